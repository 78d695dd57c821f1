//! The running node, by what it tells of itself.

use super::chain::remedy;
use crate::node::doctor::finding::{Code, Findings};
use crate::node::doctor::looked::{Node, NodeAlarm, Running};
use raas_core::forecast::Urgency;
use raas_core::ports::Lane;

/// A contract that is followed later than this many blocks is behind: an hour.
const EVENTS_BEHIND: i64 = 120;

/// Whether it runs, holds, and what it is alarmed about.
pub(super) fn judge(node: &Node, findings: &mut Findings) {
    match node {
        Node::Away { at } => {
            let found = "none runs there; halted accounts, how long money lasts and how far events are read are known \
                         to a running node";
            findings.ok(Code::NodeAway, at, found);
        }
        Node::Unread { at, why } => {
            let fix = "see what listens there, or name the node's API with --node";
            findings.bad(Code::NodeUnread, at, format!("what answers is not understood: {why}"), fix);
        }
        Node::Foreign { at, network } => {
            let fix = "name the API of the node that is meant with --node";
            let found = format!("the node that answers is on {network}");
            findings.bad(Code::NodeForeign, at, found, fix);
        }
        Node::Waits { why, .. } => {
            findings.bad(Code::NodeWaits, "", why, "mend one of the endpoints above");
        }
        Node::Runs(running) => self::running(running, findings),
    }
}

fn running(running: &Running, findings: &mut Findings) {
    let found = format!("version {} runs on {}", running.version, running.network);
    findings.ok(Code::NodeRuns, &running.at, found);
    if let Some(hold) = &running.hold {
        let found = format!("it only looks: {hold}");
        findings.bad(Code::NodeHolds, &running.at, found, remedy(hold));
    }
    for alarm in &running.alarms {
        self::alarm(alarm, findings);
    }
    for follows in &running.follows {
        let address = follows.address.as_str();
        if let Some(why) = &follows.waits {
            let fix = "name an endpoint that has these logs and a second one to compare them with; where all have forgotten \
                       them, set contract.skip_to_block";
            findings.bad(Code::EventsStuck, address, why, fix);
            continue;
        }
        let behind = running.eth_block.zip(follows.read_to).map(|(to, read)| to.0 - read.0);
        if let Some(behind) = behind.filter(|behind| *behind > EVENTS_BEHIND) {
            let found = format!("its events are read {behind} blocks behind the finalized one");
            let fix = "it catches up by itself; if the number does not fall, name a faster endpoint for eth_getLogs";
            findings.bad(Code::EventsBehind, address, found, fix);
        }
    }
}

fn alarm(alarm: &NodeAlarm, findings: &mut Findings) {
    match alarm {
        NodeAlarm::AccountHalted { account, why } => {
            let name = match account {
                Lane::Native => "native",
                Lane::Evm => "evm",
            };
            let fix = format!(
                "find out who else has the key; then `raas wallet release {name}` goes on from the chain's nonce"
            );
            let found = format!("its {name} account is halted, nothing is sent from it: {why}");
            findings.bad(Code::AccountHalted, name, found, fix);
        }
        NodeAlarm::StoreRestored { until } => {
            let found =
                format!("its store was put back from a backup; it only looks until epoch {until} is final");
            let fix = "wait; `raas wallet release restored` ends it at the risk of buying twice";
            findings.bad(Code::StoreRestored, "store", found, fix);
        }
        NodeAlarm::StepSetAside { why } => {
            let fix = "read the node's log of that step; `raas job retry` tries it now";
            findings.bad(Code::StepSetAside, "step", why, fix);
        }
        NodeAlarm::GasTooDear { why } => {
            let fix = "wait until gas is cheaper, or raise the cap that is named";
            findings.bad(Code::GasTooDear, "gas", why, fix);
        }
        NodeAlarm::MoneyEnds { urgency, why } => {
            let code = match urgency {
                Urgency::Calm => return,
                Urgency::Month => Code::MoneyEndsMonth,
                Urgency::Week => Code::MoneyEndsWeek,
                Urgency::Day => Code::MoneyEndsDay,
            };
            let fix =
                "send FIL to the account that `raas wallet balance` names, or raise budget.total_attofil";
            findings.bad(code, "runway", why, fix);
        }
        // Endpoints are looked at here, and what a newer node tells is in its own words at `raas why`.
        NodeAlarm::Other => {}
    }
}
