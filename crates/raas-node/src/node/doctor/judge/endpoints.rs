//! Endpoints one by one: network, head, finality, what they offer.

use crate::node::doctor::finding::{Code, Findings};
use crate::node::doctor::looked::{Looked, Serves};
use raas_core::endpoint::{EndpointSeen, FINALITY_STATE, Standing};
use raas_core::gate::FINALITY_LAG_ALARM;
use raas_core::units::Epoch;

/// Methods without which a part of the work cannot be done at all.
const NEEDED: &[(&str, &str)] = &[
    ("Filecoin.StateCall", "deals and sectors cannot be told lost from unknown"),
    ("Filecoin.StateMarketStorageDeal", "deals cannot be read"),
    ("Filecoin.StateMinerSectorCount", "faults cannot be read"),
    ("Filecoin.StateMinerInfo", "providers cannot be read"),
    ("Filecoin.ChainGetTipSetByHeight", "endpoints cannot be compared"),
    ("Filecoin.GetActorEventsRaw", "published deals are not found"),
    ("eth_call", "the contract cannot be read"),
];
/// Log queries of a pass are this wide at best.
const LOG_BLOCKS: i64 = 2_000;

/// Each endpoint.
pub(super) fn judge(looked: &Looked, findings: &mut Findings) {
    let voices = &looked.voices;
    for (endpoint, serves) in voices.serves() {
        let name = endpoint.name.as_str();
        match serves {
            Serves::Right(identity) => {
                findings.ok(Code::EndpointServes, name, format!("serves {identity}"));
            }
            Serves::Other(identity) => {
                let fix = format!(
                    "take it out of chain.endpoints, or name its network instead of {}",
                    looked.network
                );
                findings.bad(Code::EndpointForeign, name, format!("serves {identity}"), fix);
            }
            Serves::Silent(why) => {
                let fix = "see that the URL is right and reachable from here, and the token, if it needs one";
                findings.bad(Code::EndpointSilent, name, why, fix);
            }
        }
        if let (Some(seen), Serves::Right(_)) = (&endpoint.seen, serves) {
            head(seen, findings);
            offers(seen, findings);
            keeps(seen, findings);
        }
        match &endpoint.socket {
            None => {}
            Some(Ok(())) => findings.ok(Code::SocketOpens, name, "its WebSocket opens"),
            Some(Err(why)) => {
                let fix = "mend or remove the WebSocket; without it heads are seen by polling";
                findings.bad(Code::SocketFails, name, format!("its WebSocket does not open: {why}"), fix);
            }
        }
    }
    for address in voices.addresses.iter().filter(|address| address.plain && !address.here) {
        let found = "is asked in plain text, which anyone on the way can change";
        let fix = "use https or wss, or reach it through a tunnel";
        findings.bad(Code::EndpointPlainText, &address.host, found, fix);
    }
}

/// How far it is.
fn head(seen: &EndpointSeen, findings: &mut Findings) {
    let name = seen.name.as_str();
    if let Standing::Off { head, expected } = &seen.standing {
        let fix = "wait until it is in sync, or take it out of chain.endpoints";
        findings.bad(
            Code::EndpointStale,
            name,
            format!("its head is {head}, it should be at {expected}"),
            fix,
        );
    }
    let lag = |to: Option<Epoch>| Some(seen.head?.0.saturating_sub(to?.0));
    let Some(finality) = lag(seen.finalized) else { return };
    let show = |lag: Option<i64>| lag.map_or_else(|| "not told".to_owned(), |lag| lag.to_string());
    let found = format!(
        "behind its head: latest {}, safe {}, finalized {finality} epochs",
        show(lag(seen.latest)),
        show(lag(seen.safe)),
    );
    if finality > FINALITY_LAG_ALARM {
        let fix = "losses are seen that much later: see that it runs with F3 and its newest version";
        findings.bad(Code::EndpointFinalityLags, name, found, fix);
    } else {
        findings.ok(Code::EndpointFinality, name, found);
    }
}

/// What it can do.
fn offers(seen: &EndpointSeen, findings: &mut Findings) {
    let name = seen.name.as_str();
    for (method, so) in NEEDED {
        if seen.not_offered.iter().any(|missing| missing == method) {
            let fix = "name an endpoint that offers it beside this one";
            findings.bad(Code::EndpointLacks, name, format!("does not offer {method}: {so}"), fix);
        }
    }
    let is_needed = |method: &str| NEEDED.iter().any(|(needed, _)| *needed == method);
    let also: Vec<&str> =
        seen.not_offered.iter().map(String::as_str).filter(|method| !is_needed(method)).collect();
    if !also.is_empty() {
        let found = format!("does not offer {}; there are other ways to know", also.join(", "));
        findings.ok(Code::EndpointLacksLittle, name, found);
    }
}

/// How far back it tells state and logs.
fn keeps(seen: &EndpointSeen, findings: &mut Findings) {
    let name = seen.name.as_str();
    if let Some(epochs) = seen.state_epochs {
        if seen.lacks_state() {
            let fix =
                "where finality falls back to 900 epochs nothing can be read: name one that keeps a day";
            let found = format!("tells state less than {FINALITY_STATE} epochs back");
            findings.bad(Code::EndpointStateShort, name, found, fix);
        } else {
            findings.ok(Code::EndpointState, name, format!("tells state at least {epochs} epochs back"));
        }
    }
    match seen.log_blocks {
        Some(0) => {
            let fix = "name an endpoint with a log index beside this one";
            findings.bad(Code::EndpointNoLogs, name, "gives no logs: contract requests are not seen", fix);
        }
        Some(blocks) if blocks < LOG_BLOCKS => {
            let found = format!("gives logs of {blocks} blocks at once; catching up takes longer");
            findings.ok(Code::EndpointFewLogs, name, found);
        }
        _ => {}
    }
}
