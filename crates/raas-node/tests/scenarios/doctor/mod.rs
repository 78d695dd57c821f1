//! `raas doctor`: every kind of finding by a table over what may have been looked at, and those that can really be
//! produced by real looks.

mod seen;
mod table;

use raas_node::node::doctor::{Code, Finding, Level};

/// The only finding of `code`, or of `code` about `subject` where there are several.
#[track_caller]
fn only(findings: &[Finding], code: Code) -> &Finding {
    let found: Vec<&Finding> = findings.iter().filter(|finding| finding.code == code).collect();
    assert_eq!(found.len(), 1, "{code:?} in {findings:#?}");
    found[0]
}

/// What is not as it should be.
fn troubles(findings: &[Finding]) -> Vec<&Finding> {
    findings.iter().filter(|finding| finding.level != Level::Ok).collect()
}
