//! Others: the providers that may be used, and whether they can fetch the bytes.

use crate::node::doctor::finding::{Code, Findings};
use crate::node::doctor::looked::{Answer, Looked};
use std::collections::BTreeSet;

/// Whether the providers exist, and how many operators they are.
pub(super) fn judge(looked: &Looked, findings: &mut Findings) {
    let providers = &looked.providers;
    if let Some(why) = &providers.wrong {
        findings.bad(Code::ProvidersMisnamed, "", why, "mend that key of the configuration");
        return;
    }
    // All of a devnet's could not be asked for; why, is told of its endpoint.
    if providers.list.is_empty() && looked.devnet {
        return;
    }
    if providers.list.is_empty() {
        let fix = "name the miner actors this node may use in deals.providers, such as [\"f01000\"]";
        findings.bad(Code::ProvidersNone, "", "none is named", fix);
        return;
    }
    let mut operators = BTreeSet::new();
    let mut is_whole = true;
    for (provider, found) in &providers.list {
        let name = provider.to_string();
        match found {
            None => is_whole = false,
            Some(Ok(found)) => {
                operators.insert(found.operator);
                let operator = found.operator;
                if found.urls.is_empty() {
                    let fix = "ask its operator to announce an HTTP address, or leave it out";
                    let found = "announces no HTTP address to propose deals at";
                    findings.bad(Code::ProviderNoAddress, &name, found, fix);
                } else {
                    let found = format!("operator {operator}, {}", found.urls.join(", "));
                    findings.ok(Code::ProviderFound, &name, found);
                }
            }
            Some(Err(why)) => {
                let fix = "see that this miner actor exists on this network";
                findings.bad(Code::ProviderUnread, &name, format!("could not be read: {why}"), fix);
            }
        }
    }
    let wanted = providers.copies as usize;
    if is_whole && operators.len() < wanted {
        let found = format!("{} operators for {wanted} copies on distinct ones", operators.len());
        let fix = "name providers of more operators in deals.providers, or lower policy.replicas_target";
        findings.bad(Code::OperatorsFew, "operators", found, fix);
    }
}

/// Whether providers can fetch the bytes.
pub(super) fn listener(looked: &Looked, findings: &mut Findings) {
    let Some(url) = &looked.listener.url else {
        if looked.devnet {
            findings.ok(Code::UrlToBeBound, "", "its address is known once the node runs");
        } else {
            let found = "listen.public_url is not set: providers cannot fetch pieces";
            let fix =
                "set listen.public_url to an address of listen.data that providers can reach from outside";
            findings.bad(Code::UrlUnset, "", found, fix);
        }
        return;
    };
    if !looked.devnet && is_private(url) {
        let found = "is no address that others can reach: providers refuse it";
        let fix = "set listen.public_url to an address of listen.data that providers can reach from outside";
        findings.bad(Code::UrlPrivate, url, found, fix);
    }
    if let Some((address, why)) = &looked.listener.taken {
        let fix = "end the program that has it (`ss -ltnp` names it), or name another address in listen.data";
        findings.bad(Code::PortTaken, address, format!("the node cannot have this address: {why}"), fix);
    }
    match &looked.listener.answer {
        None => {}
        Some(Answer::OtherNode(which)) => {
            let found = format!("leads to another raas node: {which}");
            let fix = "let listen.public_url lead to this node's listen.data: providers would ask the other one for pieces it \
                       does not have";
            findings.bad(Code::UrlOtherNode, url, found, fix);
        }
        Some(Answer::Ours) => {
            findings.ok(Code::UrlAnswers, url, "leads to the data listener, as fetched from here");
        }
        Some(Answer::Other(what)) => {
            let found = format!("leads to something else: {what}");
            let fix =
                "let listen.public_url lead to listen.data: see the forwarding, and what else listens there";
            findings.bad(Code::UrlForeign, url, found, fix);
        }
        Some(Answer::Silent(why)) => {
            let found = format!("does not answer: {why}");
            let fix = "let the firewall and the router pass connections for listen.public_url on to listen.data; where only \
                       this machine cannot reach it, try it from another one";
            findings.bad(Code::UrlSilent, url, found, fix);
        }
    }
}

/// Whether only this machine or its neighbours reach it.
fn is_private(url: &str) -> bool {
    let url = url::Url::parse(url).ok();
    match url.as_ref().and_then(url::Url::host) {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
