//! `raas store ls|gc|verify`.

use super::args::StoreCommand;
use super::client::Client;
use super::failure::Failure;
use super::output;
use super::pin::{pages, parse};
use super::words::plain;
use reqwest::Method;
use serde_json::{Value, json};

/// Runs one of them.
pub async fn store(node: &Client, command: &StoreCommand, json: bool) -> Result<(), Failure> {
    match command {
        StoreCommand::Ls => list(node, json).await,
        StoreCommand::Gc { dry_run } => collect(node, *dry_run, json).await,
        StoreCommand::Verify { cid } => verify(node, cid.as_deref(), json).await,
    }
}

async fn list(node: &Client, json: bool) -> Result<(), Failure> {
    let store = node.call(Method::GET, "/v1/store", None).await?;
    let pieces = pages(node, "/v1/store/pieces", "pieces").await?;
    if json {
        output::json(&json!({ "store": store, "pieces": pieces }));
        return Ok(());
    }
    let mut rows = vec![["PIECE", "CAR BYTES", "HERE", "KEPT BY", "CID"].map(str::to_owned)];
    rows.extend(pieces.iter().map(|piece| {
        [
            plain(&piece["pieceCid"]),
            plain(&piece["carBytes"]),
            place(piece),
            kept_by(piece),
            plain(&piece["cid"]),
        ]
    }));
    output::table(&rows);
    let local = &store["local"];
    output::say(&format!(
        "{} pieces with {} bytes here, {} lost, {} in quarantine; {} bytes free, {} of them reserved",
        local["pieces"],
        local["bytes"],
        local["lost"],
        store["quarantined"],
        store["free_bytes"],
        store["reserve_bytes"]
    ));
    Ok(())
}

fn place(piece: &Value) -> String {
    match (piece["local"] == true, piece["lost"].as_str()) {
        (true, _) => "yes".to_owned(),
        (false, None) => "no".to_owned(),
        (false, Some(why)) => format!("lost: {why}"),
    }
}

/// `job 1, pin`; `nothing` for what the next collection deletes.
fn kept_by(piece: &Value) -> String {
    let named = |kept: &Value| match kept["by"].as_str() {
        Some("pin") => "pin".to_owned(),
        Some(by) => format!("{by} {}", plain(&kept["id"])),
        None => String::new(),
    };
    let reasons: Vec<String> = piece["kept_by"].as_array().into_iter().flatten().map(named).collect();
    if reasons.is_empty() { "nothing".to_owned() } else { reasons.join(", ") }
}

async fn collect(node: &Client, dry_run: bool, json: bool) -> Result<(), Failure> {
    let answer = node.call(Method::POST, &format!("/v1/store/gc?dry_run={dry_run}"), None).await?;
    if json {
        output::json(&answer);
        return Ok(());
    }
    let pieces = answer["pieces"].as_array().map(Vec::as_slice).unwrap_or_default();
    for piece in pieces {
        output::data(&plain(&piece["piece"]));
    }
    let word = if dry_run { "would be deleted" } else { "deleted" };
    output::say(&format!("{} pieces, {} bytes {word}", pieces.len(), answer["bytes"]));
    Ok(())
}

/// Ends with status 1 when anything is damaged.
async fn verify(node: &Client, cid: Option<&str>, json: bool) -> Result<(), Failure> {
    let wanted = match cid {
        Some(cid) => vec![parse(cid)?.to_string()],
        None => {
            let pieces = pages(node, "/v1/store/pieces", "pieces").await?;
            let local = pieces.iter().filter(|piece| piece["local"] == true);
            local.map(|piece| plain(&piece["pieceCid"])).collect()
        }
    };
    let mut answers = Vec::with_capacity(wanted.len());
    for cid in &wanted {
        let answer = node.call(Method::POST, &format!("/v1/store/verify/{cid}"), None).await?;
        let alone = std::slice::from_ref(&answer);
        let parts = answer["parts"].as_array().map_or(alone, Vec::as_slice);
        for part in parts.iter().filter(|_| !json) {
            let (piece, verified) = (plain(&part["pieceCid"]), &part["verified"]);
            let why = verified["why"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
            output::data(&format!("{piece} {}{why}", plain(&verified["found"])));
        }
        answers.extend(parts.iter().cloned());
    }
    let bad = answers.iter().filter(|answer| answer["verified"]["found"] != "sound").count();
    if json {
        output::json(&json!({ "pieces": answers, "damaged": bad }));
    }
    match bad {
        0 => Ok(()),
        bad => {
            Err(Failure::failed(format!("{bad} of {} pieces are not as they were written", answers.len())))
        }
    }
}
