//! A node that runs with this configuration: whether it holds, and what ends that.

use super::chain::remedy;
use super::{Findings, Patient};
use raas_core::gate::Hold;
use serde::Deserialize;
use std::time::Duration;

/// A node on this machine answers sooner, or does not run.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Ready {
    hold: Option<Hold>,
}

/// Asks the configured API whether anything holds the node.
pub(super) async fn node(patient: &Patient<'_>, findings: &mut Findings) {
    const AREA: &str = "node";
    let admin = patient.config.listen.admin;
    // A port of the system's choice is known to the node alone.
    if admin.port() == 0 {
        return;
    }
    let name = admin.to_string();
    let Ok(http) = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build() else { return };
    let Ok(answer) = http.get(format!("http://{admin}/readyz")).send().await else {
        findings.ok(AREA, &name, "does not run, or listens elsewhere");
        return;
    };
    match answer.json::<Ready>().await {
        Ok(Ready { hold: None }) => findings.ok(AREA, &name, "runs, and nothing holds it"),
        Ok(Ready { hold: Some(hold) }) => findings.problem(AREA, &name, hold.to_string(), remedy(&hold)),
        Err(_) => {
            let fix = "name another address as listen.admin, or end what listens there";
            findings.warning(AREA, &name, "something else than a node answers there", fix);
        }
    }
}
