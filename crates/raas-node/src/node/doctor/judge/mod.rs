//! What is wrong by what was looked at, and what mends it. Pure: no clock, network or files.

mod chain;
mod contracts;
mod endpoints;
mod machine;
mod node;
mod providers;
mod wallet;

use super::finding::{Finding, Findings};
use super::looked::Looked;

/// Judges everything.
#[must_use]
pub fn judge(looked: &Looked) -> Vec<Finding> {
    let mut findings = Findings::default();
    machine::disk(&looked.disk, &mut findings);
    endpoints::judge(looked, &mut findings);
    chain::judge(looked, &mut findings);
    machine::clock(looked, &mut findings);
    contracts::judge(looked, &mut findings);
    wallet::judge(looked, &mut findings);
    providers::judge(looked, &mut findings);
    providers::listener(looked, &mut findings);
    node::judge(&looked.node, &mut findings);
    findings.list()
}
