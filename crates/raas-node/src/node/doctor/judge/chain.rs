//! The chain by all endpoints: how many must agree, and whether a finalized tipset can be pinned.

use crate::node::doctor::finding::{Code, Findings};
use crate::node::doctor::looked::{Looked, Voices};
use raas_core::gate::{self, Hold};
use std::collections::BTreeSet;

/// Agreement and the pin.
pub(super) fn judge(looked: &Looked, findings: &mut Findings) {
    agreement(&looked.voices, looked.devnet, findings);
    let Some(pinned) = &looked.pinned else { return };
    const SUBJECT: &str = "finalized tipset";
    let hold = match &pinned.pin {
        Err(hold) => Some(*hold),
        Ok(pin) => {
            let round = &pin.round;
            let hold = gate::judge(round.head, round.height, pinned.expected, round.agreed, pin.wanted);
            if hold.is_none() {
                let found = format!(
                    "head {}, finalized {}, {} of {} endpoints agree",
                    round.head, round.height, round.agreed, round.asked
                );
                findings.ok(Code::Finalized, SUBJECT, found);
            }
            hold
        }
    };
    if let Some(hold) = hold {
        findings.bad(Code::ChainHolds, SUBJECT, hold.to_string(), remedy(&hold));
    }
}

/// How many independent voices there are.
fn agreement(voices: &Voices, devnet: bool, findings: &mut Findings) {
    const SUBJECT: &str = "agreement";
    let (agree, count) = (voices.agree, voices.endpoints.len());
    if agree as usize > count {
        let found = format!("chain.agree = {agree}, but there are {count} endpoints to agree");
        let fix = format!(
            "name {} more in chain.endpoints (an HTTP and a WebSocket URL of one place count as one), or set \
             chain.agree = {count}",
            agree as usize - count
        );
        findings.bad(Code::TooFewVoices, SUBJECT, found, fix);
    } else if agree > 1 {
        findings.ok(Code::Agreement, SUBJECT, format!("{agree} of {count} endpoints must agree"));
    } else if devnet {
        let found = "chain.agree = 1, which is enough where nothing has value";
        findings.ok(Code::Agreement, SUBJECT, found);
    } else {
        let fix = "name three endpoints of different operators in chain.endpoints and set chain.agree = 2";
        let found = "chain.agree = 1: what any single endpoint says is believed";
        findings.bad(Code::OneVoice, SUBJECT, found, fix);
    }
    let hosts: BTreeSet<&str> = voices.addresses.iter().map(|address| address.host.as_str()).collect();
    if count > 1 && hosts.len() == 1 && !devnet {
        let fix = "name endpoints of different operators: one machine can mislead all of its addresses";
        findings.bad(Code::OneHost, SUBJECT, "all endpoints are on one host", fix);
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
