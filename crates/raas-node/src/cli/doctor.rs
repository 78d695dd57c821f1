//! `raas doctor`: every trouble with its fix. The node need not run.
//!
//! Exit codes: 0 when nothing is wrong (warnings are allowed), 1 when something is, 2 for a configuration that cannot
//! be read.

use super::args::Doctor;
use super::failure::Failure;
use super::output;
use crate::causes::chain;
use crate::config::{ConfigError, Overrides, load};
use crate::node::doctor::{DoctorError, Examine, Finding, Level, examine};
use serde_json::json;

/// Looks and tells. `node` is the API of the running node, where another than the configured one is meant.
pub async fn doctor(doctor: &Doctor, node: Option<String>, json: bool) -> Result<(), Failure> {
    let overrides = Overrides {
        network: doctor.network.clone(),
        data_dir: doctor.data_dir.clone(),
        admin: None,
        data: None,
    };
    let usage = |error: &(dyn std::error::Error + 'static)| Failure::Usage(chain(error));
    let config = load(doctor.config.as_deref(), &overrides).map_err(|error| usage(&error))?;
    let findings = match examine(&config, &Examine { devnet_port: doctor.devnet_port, node }).await {
        Ok(findings) => findings,
        Err(DoctorError::Config(ConfigError::NoNetwork)) => {
            let text = "no network was named; raas doctor --network calibration, or --config raas.toml";
            return Err(Failure::Usage(text.to_owned()));
        }
        Err(error) => return Err(usage(&error)),
    };
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let (problems, warnings) = (count(Level::Problem), count(Level::Warning));
    if json {
        let network = config.network.unwrap_or_default();
        output::json(&json!({
            "network": network, "problems": problems, "warnings": warnings, "findings": findings,
        }));
    } else {
        findings.iter().for_each(show);
        output::say(&format!("{} looked at, {problems} problems, {warnings} warnings", findings.len()));
    }
    if problems == 0 {
        Ok(())
    } else {
        Err(Failure::failed(format!("{problems} problems, each with its fix above")))
    }
}

fn show(finding: &Finding) {
    let mark = match finding.level {
        Level::Ok => "ok     ",
        Level::Warning => "warning",
        Level::Problem => "PROBLEM",
    };
    let subject = if finding.subject.is_empty() { String::new() } else { format!(" {}", finding.subject) };
    output::data(&format!("{mark}  {}{subject}: {}", finding.area, finding.found));
    if !finding.fix.is_empty() {
        output::data(&format!("         fix: {}", finding.fix));
    }
}
