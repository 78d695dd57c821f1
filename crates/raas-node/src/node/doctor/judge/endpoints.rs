//! Endpoints one by one: network, head, finality, what they offer.

use crate::node::doctor::finding::{Code, Findings};
use crate::node::doctor::looked::{Looked, Serves, Silence};
use raas_clients::evm::LogsSeen;
use raas_core::endpoint::{EndpointSeen, FINALITY_STATE, Standing};
use raas_core::gate::FINALITY_LAG_ALARM;
use raas_core::units::Epoch;
use std::time::Duration;

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
/// A small question takes longer at an endpoint that is far or overloaded.
const SLOW: Duration = Duration::from_secs(5);
/// A node with a million copies at rest asks twice a second.
const CALLS_LEAST: u64 = 2;
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
            Serves::Silent(silence) => silent(name, silence, findings),
        }
        if let (Some(seen), Serves::Right(_)) = (&endpoint.seen, serves) {
            head(seen, findings);
            offers(seen, findings);
            keeps(seen, findings);
            pace(seen, endpoint.took, findings);
        }
        if let Some(logs) = &endpoint.logs {
            self::logs(name, logs, findings);
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

/// Why it does not answer, by what mends it.
fn silent(name: &str, silence: &Silence, findings: &mut Findings) {
    let (code, fix) = match silence {
        Silence::Busy(_) => (
            Code::EndpointBusy,
            "it limits how much it is asked: wait, give this endpoint a lower calls_per_second in chain.endpoints, name a \
             token with a larger share, or name another endpoint beside it",
        ),
        Silence::Refused(_) => (
            Code::EndpointRefuses,
            "name a token that it takes in that entry of chain.endpoints (token_file), or the URL with its own path",
        ),
        Silence::Dead(_) => (
            Code::EndpointSilent,
            "see that host and port of the URL are right and reachable from here (DNS, firewall, proxy), and that it runs",
        ),
        Silence::Strange(_) => (
            Code::EndpointStrange,
            "see that the URL leads to the JSON-RPC of a Filecoin node, most often at /rpc/v1, and the token, if it needs one",
        ),
    };
    findings.bad(code, name, silence.why(), fix);
}

/// How fast it answers, and how much it may be asked.
fn pace(seen: &EndpointSeen, took: Duration, findings: &mut Findings) {
    let name = seen.name.as_str();
    if took > SLOW {
        let found = format!("takes {:.1} s to tell its network; a pass asks much more", took.as_secs_f64());
        let fix = "name an endpoint that is nearer or less busy before it in chain.endpoints";
        findings.bad(Code::EndpointSlow, name, found, fix);
    }
    if let Some(calls) = seen.calls_per_second.filter(|calls| *calls < CALLS_LEAST) {
        let found = format!("turned calls away (HTTP 429 or busy) and is asked {calls} a second from now on");
        let fix = "give it a calls_per_second that it takes in chain.endpoints, name a token with a larger share, or name \
                   another endpoint beside it";
        findings.bad(Code::EndpointThrottles, name, found, fix);
    }
}

/// Whether its log queries can be believed.
fn logs(name: &str, logs: &LogsSeen, findings: &mut Findings) {
    match logs {
        LogsSeen::Whole => {
            let found = "its newest logs are those of its receipts";
            findings.ok(Code::EndpointLogsWhole, name, found);
        }
        LogsSeen::LeftOut { block, count } => {
            let found =
                format!("eth_getLogs leaves out {count} logs of block {block} that its receipts have");
            let fix = "take it out, or have its operator fill its index again (Lotus: `lotus index validate-backfill`); until then \
                       each window costs its receipts, and a second endpoint is worth more";
            findings.bad(Code::EndpointHidesLogs, name, found, fix);
        }
        LogsSeen::Unexplained { block } => {
            let found = format!(
                "a contract's state changed in block {block}, and neither eth_getLogs nor eth_getBlockReceipts has an event of it"
            );
            let fix = "name a second endpoint to compare it with, and take out the one that hides events";
            findings.bad(Code::EndpointHidesEvents, name, found, fix);
        }
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
            let behind = seen.head.zip(seen.finalized).map_or(0, |(head, to)| head.0.saturating_sub(to.0));
            let found = if behind > epochs {
                format!(
                    "its lookback is {epochs} epochs, and finality lies {behind} back: nothing final can be read there now"
                )
            } else {
                format!(
                    "its lookback is {epochs} epochs: it refuses older state, and finality can fall {FINALITY_STATE} back"
                )
            };
            let fix = "name an endpoint that keeps at least a day (2880 epochs) of state beside it, or have its operator \
                       raise the limit (lotus-gateway: --api-max-lookback; a pruned Lotus: KeepSnapshots of its splitstore)";
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
