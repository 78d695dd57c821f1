//! Endpoints one by one, and the chain by all of them.

use super::{Findings, Patient};
use crate::config::EndpointSetting;
use raas_clients::address::Address;
use raas_clients::filecoin::{Identity, LotusChain, identify_one};
use raas_core::endpoint::{EndpointSeen, Standing};
use raas_core::gate::{self, FINALITY_LAG_ALARM, Hold};
use raas_core::observation::Round;
use raas_core::ports::{Chain, Look, Now};
use raas_core::units::Epoch;
use std::collections::BTreeSet;

const ENDPOINT: &str = "endpoint";
const CHAIN: &str = "chain";
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
/// State that finality may need, in epochs.
const STATE_EPOCHS: i64 = 900;
/// Log queries of a pass are this wide at best.
const LOG_BLOCKS: i64 = 2_000;

/// Each endpoint: whether it answers, and for which network.
pub(super) async fn endpoints(
    patient: &Patient<'_>,
    settings: &[EndpointSetting],
    findings: &mut Findings,
) -> Option<Identity> {
    let names: Vec<String> = patient.pool.names().map(str::to_owned).collect();
    let mut right: Option<Identity> = patient.network.identity();
    let mut seen = None;
    for (at, name) in names.iter().enumerate() {
        let identity = match identify_one(&patient.pool, at).await {
            Ok(identity) => identity,
            Err(error) => {
                let fix = "see that the URL is right and reachable from here, and the token, if it needs one";
                findings.problem(ENDPOINT, name, error.to_string(), fix);
                continue;
            }
        };
        let wanted = patient.network.chain_id().filter(|wanted| *wanted != identity.chain_id);
        let other = right.as_ref().filter(|right| !right.is_same_network(&identity));
        if wanted.is_some() || other.is_some() {
            let fix =
                format!("take it out of chain.endpoints, or name its network instead of {}", patient.network);
            findings.problem(ENDPOINT, name, format!("serves {identity}"), &fix);
            continue;
        }
        findings.ok(ENDPOINT, name, format!("serves {identity}"));
        right.get_or_insert_with(|| identity.clone());
        seen.get_or_insert(identity);
    }
    plain_text(settings, findings);
    voices(patient, settings, findings);
    seen
}

/// Answers that can be changed on their way.
fn plain_text(settings: &[EndpointSetting], findings: &mut Findings) {
    for setting in settings {
        let Ok(url) = url::Url::parse(setting.url()) else { continue };
        let host = url.host_str().unwrap_or_default();
        let here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if matches!(url.scheme(), "http" | "ws") && !here {
            let fix = "use https or wss, or reach it through a tunnel";
            findings.warning(
                ENDPOINT,
                host,
                "is asked in plain text, which anyone on the way can change",
                fix,
            );
        }
    }
}

/// How many independent voices there are.
fn voices(patient: &Patient<'_>, settings: &[EndpointSetting], findings: &mut Findings) {
    let agree = patient.config.chain.agree;
    if agree <= 1 {
        let fix = "name three endpoints of different operators in chain.endpoints and set chain.agree = 2";
        let found = "chain.agree = 1: what any single endpoint says is believed";
        if patient.devnet {
            findings.ok(CHAIN, "agreement", "chain.agree = 1, which is enough where nothing has value");
        } else {
            findings.warning(CHAIN, "agreement", found, fix);
        }
    } else {
        let found = format!("{agree} of {} endpoints must agree", patient.pool.len());
        findings.ok(CHAIN, "agreement", found);
    }
    let hosts: BTreeSet<String> = settings
        .iter()
        .filter_map(|setting| url::Url::parse(setting.url()).ok()?.host_str().map(str::to_owned))
        .collect();
    if settings.len() > 1 && hosts.len() == 1 && !patient.devnet {
        let fix = "name endpoints of different operators: one machine can mislead all of its addresses";
        findings.warning(CHAIN, "agreement", "all endpoints are on one host", fix);
    }
}

/// The round that can be pinned now, and what each endpoint showed on the way.
pub(super) async fn round(patient: &Patient<'_>, now: Now, findings: &mut Findings) -> Option<Round> {
    let chain = LotusChain::new(patient.pool.clone(), Address::Id(raas_core::ids::ActorId(0)));
    let pinned = chain.pin(&Look { expected: Some(now.epoch), last: None }).await;
    let seen = chain.endpoints();
    for endpoint in &seen {
        standing(endpoint, findings);
    }
    sockets(patient, findings).await;
    let hold = match &pinned {
        Ok(pin) => {
            let round = &pin.round;
            gate::judge(round.head, round.height, now.epoch, round.agreed, pin.wanted)
        }
        Err(hold) => Some(*hold),
    };
    match (hold, pinned) {
        (None, Ok(pin)) => {
            let round = pin.round;
            let found = format!(
                "head {}, finalized {}, {} of {} endpoints agree",
                round.head, round.height, round.agreed, round.asked
            );
            findings.ok(CHAIN, "finalized tipset", found);
            Some(round)
        }
        (hold, pinned) => {
            let hold = hold.unwrap_or(Hold::NoEndpoint);
            findings.problem(CHAIN, "finalized tipset", hold.to_string(), remedy(&hold));
            // What can be looked at all the same is looked at.
            pinned.ok().map(|pin| pin.round)
        }
    }
}

/// What ends a hold.
pub(super) const fn remedy(hold: &Hold) -> &'static str {
    match hold {
        Hold::NoEndpoint => "mend one of the endpoints above, or name another",
        Hold::OtherNetwork => "name endpoints of this network",
        Hold::HeadOld { .. } => {
            "wait until the endpoint is in sync, name another one, or set this machine's clock right"
        }
        Hold::HeadAhead { .. } => {
            "set this machine's clock right (a time service such as chrony keeps it so)"
        }
        Hold::ChainStalled { .. } => {
            "if this machine's clock is right the chain itself stands still: wait, the node goes on by itself"
        }
        Hold::FinalityStalled { .. } => {
            "wait, or name an endpoint whose finality moves; nothing is spent until then"
        }
        Hold::Upgrade { .. } => "wait an epoch; see that the endpoints run the new version",
        Hold::Disagreement { .. } => {
            "see above which endpoint is off, mend it or name another, or lower chain.agree"
        }
        Hold::Behind { .. } => "wait until the endpoints are in sync",
        Hold::Rewritten { .. } => {
            "find out whether the network was rewound or an endpoint lies; take a lying one out. If it was rewound, \
             `raas chain rewind` shows what differs and, once you say yes, reads it again"
        }
        Hold::Contradiction => "take that endpoint out",
        Hold::Restored { .. } => {
            "wait: nothing is ordered or paid until then; `raas wallet release restored` ends it at the risk of buying twice"
        }
        Hold::PassFailed { disk_full: true } => "free some space on the disk of data_dir",
        Hold::PassFailed { disk_full: false } => "read the node's log",
    }
}

/// How far one endpoint is and what it can do.
fn standing(endpoint: &EndpointSeen, findings: &mut Findings) {
    let name = endpoint.name.as_str();
    match &endpoint.standing {
        Standing::Off { head, expected } => {
            let fix = "wait until it is in sync, or take it out of chain.endpoints";
            findings.problem(ENDPOINT, name, format!("its head is {head}, it should be at {expected}"), fix);
        }
        // Told where its network was asked for.
        Standing::Failing { .. } | Standing::OtherNetwork { .. } => return,
        Standing::Unasked | Standing::Good => {}
    }
    let lag = |to: Option<Epoch>| Some(endpoint.head?.0.saturating_sub(to?.0));
    if let Some(finality) = lag(endpoint.finalized) {
        let show = |lag: Option<i64>| lag.map_or_else(|| "not told".to_owned(), |lag| lag.to_string());
        let found = format!(
            "behind its head: latest {}, safe {}, finalized {finality} epochs",
            show(lag(endpoint.latest)),
            show(lag(endpoint.safe)),
        );
        if finality > FINALITY_LAG_ALARM {
            let fix = "losses are seen that much later: see that it runs with F3 and its newest version";
            findings.warning(ENDPOINT, name, found, fix);
        } else {
            findings.ok(ENDPOINT, name, found);
        }
    }
    for (method, so) in NEEDED {
        if endpoint.not_offered.iter().any(|missing| missing == method) {
            let fix = "name an endpoint that offers it beside this one";
            findings.problem(ENDPOINT, name, format!("does not offer {method}: {so}"), fix);
        }
    }
    let also: Vec<&str> = endpoint
        .not_offered
        .iter()
        .map(String::as_str)
        .filter(|method| !NEEDED.iter().any(|(needed, _)| needed == method))
        .collect();
    if !also.is_empty() {
        findings.ok(
            ENDPOINT,
            name,
            format!("does not offer {}; there are other ways to know", also.join(", ")),
        );
    }
    if let Some(epochs) = endpoint.state_epochs {
        if epochs < STATE_EPOCHS && endpoint.head.is_some_and(|head| head.0 > STATE_EPOCHS) {
            let fix =
                "where finality falls back to 900 epochs nothing can be read: name one that keeps a day";
            findings.warning(
                ENDPOINT,
                name,
                format!("tells state less than {STATE_EPOCHS} epochs back"),
                fix,
            );
        } else {
            findings.ok(ENDPOINT, name, format!("tells state at least {epochs} epochs back"));
        }
    }
    match endpoint.log_blocks {
        Some(0) => {
            let fix = "name an endpoint with a log index beside this one";
            findings.problem(ENDPOINT, name, "gives no logs: contract requests are not seen", fix);
        }
        Some(blocks) if blocks < LOG_BLOCKS => {
            findings.ok(
                ENDPOINT,
                name,
                format!("gives logs of {blocks} blocks at once; catching up takes longer"),
            );
        }
        _ => {}
    }
}

/// Whether WebSockets can be opened. They only wake, so that none is a problem.
async fn sockets(patient: &Patient<'_>, findings: &mut Findings) {
    for (name, error) in patient.pool.try_sockets().await {
        match error {
            None => findings.ok(ENDPOINT, &name, "its WebSocket opens"),
            Some(why) => {
                let fix = "mend or remove the WebSocket; without it heads are seen by polling";
                findings.warning(ENDPOINT, &name, format!("its WebSocket does not open: {why}"), fix);
            }
        }
    }
}
