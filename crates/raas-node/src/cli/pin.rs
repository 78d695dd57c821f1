//! `raas pin add|rm|ls`.

use super::args::Pin;
use super::client::Client;
use super::failure::Failure;
use super::output;
use super::words::plain;
use raas_core::cid::DataCid;
use reqwest::Method;
use serde_json::{Value, json};

/// Runs one of them.
pub async fn pin(node: &Client, command: &Pin, json: bool) -> Result<(), Failure> {
    match command {
        Pin::Add { cid } => add(node, cid, json).await,
        Pin::Rm { cid } => remove(node, cid, json).await,
        Pin::Ls => list(node, json).await,
    }
}

async fn add(node: &Client, cid: &str, json: bool) -> Result<(), Failure> {
    let answer = node.call(Method::POST, "/v1/pins", Some(&json!({ "cid": cid }))).await?;
    if json {
        output::json(&answer);
        return Ok(());
    }
    let word = if answer["pinned_now"] == true { "is pinned" } else { "was pinned before" };
    let place = match answer["why"].as_str() {
        None => "its bytes are on the disk".to_owned(),
        Some(why) => format!("its bytes are not here yet: {why}"),
    };
    output::data(&format!(
        "{} {word}; {place} (network {})",
        plain(&answer["cid"]),
        plain(&answer["network"])
    ));
    Ok(())
}

async fn remove(node: &Client, cid: &str, json: bool) -> Result<(), Failure> {
    let answer = node.call(Method::DELETE, &format!("/v1/pins/{}", parse(cid)?), None).await?;
    if json {
        output::json(&answer);
    } else {
        let (cid, network) = (plain(&answer["cid"]), plain(&answer["network"]));
        output::data(&format!("{cid} is not pinned any more (network {network})"));
    }
    Ok(())
}

async fn list(node: &Client, json: bool) -> Result<(), Failure> {
    let pins = pages(node, "/v1/pins", "pins").await?;
    if json {
        output::json(&json!({ "pins": pins }));
        return Ok(());
    }
    let mut rows = vec![["CID", "BYTES"].map(str::to_owned)];
    let place = |pin: &Value| if pin["local"] == true { "here" } else { "wanted" };
    rows.extend(pins.iter().map(|pin| [plain(&pin["cid"]), place(pin).to_owned()]));
    output::table(&rows);
    Ok(())
}

/// A CID that can stand in a path.
pub(super) fn parse(text: &str) -> Result<DataCid, Failure> {
    text.parse().map_err(|error| Failure::Usage(format!("cid: {error}")))
}

/// All pages of a list.
pub(super) async fn pages(node: &Client, path: &str, field: &str) -> Result<Vec<Value>, Failure> {
    let mut all = Vec::new();
    let mut next = format!("{path}?limit=1000");
    loop {
        let page = node.call(Method::GET, &next, None).await?;
        all.extend(page[field].as_array().into_iter().flatten().cloned());
        match &page["next_after"] {
            Value::Null => return Ok(all),
            after => next = format!("{path}?limit=1000&after={}", plain(after)),
        }
    }
}
