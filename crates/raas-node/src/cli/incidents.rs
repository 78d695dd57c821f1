//! `raas incidents list|show`.

use super::args::Incidents;
use super::client::Client;
use super::failure::Failure;
use super::output;
use super::words::{self, plain};
use reqwest::Method;

/// Runs one of them.
pub async fn incidents(node: &Client, wanted: &Incidents, json: bool) -> Result<(), Failure> {
    match wanted {
        Incidents::List => list(node, json).await,
        Incidents::Show { id } => show(node, *id, json).await,
    }
}

async fn list(node: &Client, json: bool) -> Result<(), Failure> {
    let answer = node.call(Method::GET, "/v1/incidents", None).await?;
    if json {
        output::json(&answer);
        return Ok(());
    }
    let incidents = answer["incidents"].as_array().map(Vec::as_slice).unwrap_or_default();
    for incident in incidents {
        output::data(&words::incident(incident));
    }
    let open = incidents.iter().filter(|incident| incident["closed_at"].is_null()).count();
    output::say(&format!(
        "{} incidents, {open} open, network {}",
        incidents.len(),
        plain(&answer["network"])
    ));
    Ok(())
}

async fn show(node: &Client, id: i64, json: bool) -> Result<(), Failure> {
    let answer = node.call(Method::GET, &format!("/v1/incidents/{id}"), None).await?;
    if json {
        output::json(&answer);
        return Ok(());
    }
    let incident = &answer["incident"];
    output::data(&words::incident(incident));
    output::data(&format!("at its worst {} replicas", plain(&incident["worst"])));
    if answer["breaker"].is_null() {
        output::data("no breaker holds its copies");
    } else {
        output::data("the storm breaker of this provider holds repairs of its suspect copies");
    }
    let cids = answer["cids"].as_array().map(Vec::as_slice).unwrap_or_default();
    for cid in cids {
        output::data(&format!("  {}", plain(cid)));
    }
    let most = answer["cids_shown_at_most"].as_u64().unwrap_or_default();
    if !cids.is_empty() && cids.len() as u64 >= most {
        output::say(&format!(
            "the first {most} CIDs are shown; `raas plan CID` tells whether one is part of it"
        ));
    }
    output::say(&format!("network {}", plain(&answer["network"])));
    Ok(())
}
