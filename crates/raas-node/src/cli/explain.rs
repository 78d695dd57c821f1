//! `raas plan` and `raas why`: what the rules decided, and everything they decided on.

use super::client::Client;
use super::failure::Failure;
use super::output;
use super::words::{self, deal_rows, plain};
use raas_core::cid::DataCid;
use reqwest::Method;
use serde_json::Value;

/// Attempts shown to a person; `--json` has all that the node tells.
const ATTEMPTS_SHOWN: usize = 10;

/// What the node does for a CID, and what it waits for.
pub async fn plan(node: &Client, cid: &str, json: bool) -> Result<(), Failure> {
    let answer = ask(node, cid, "plan").await?;
    if json {
        output::json(&answer);
        return Ok(());
    }
    head(&answer);
    for holding in list(&answer["holdings"]) {
        title(holding);
        decided(holding);
    }
    Ok(())
}

/// The plan with its evidence.
pub async fn why(node: &Client, cid: &str, json: bool) -> Result<(), Failure> {
    let answer = ask(node, cid, "why").await?;
    if json {
        output::json(&answer);
        return Ok(());
    }
    head(&answer);
    if !answer["contract_waits"].is_null() {
        output::data(&format!("contract  {}", plain(&answer["contract_waits"])));
    }
    for holding in list(&answer["holdings"]) {
        title(holding);
        output::data(&format!("  copies: {}", words::standing(&holding["standing"])));
        for part in words::parts(&holding["standing"]) {
            output::data(&format!("    {part}"));
        }
        output::data(&format!("  duties: {}", words::duties(&holding["duties"])));
        output::data(&format!("  policy: {}", words::policy(&holding["policy"])));
        for piece in list(&holding["pieces"]) {
            let local = if piece["local"] == true { "here too" } else { "not here" };
            let bytes = plain(&piece["size"]);
            output::data(&format!(
                "  piece: {} ({bytes} bytes padded), {local}",
                plain(&piece["commitment"])
            ));
        }
        decided(holding);
        copies(&holding["orders"]);
        attempts(&holding["attempts"]);
    }
    seen_on_contract(&answer["seen_on_contract"]);
    Ok(())
}

async fn ask(node: &Client, cid: &str, what: &str) -> Result<Value, Failure> {
    let cid: DataCid = cid.parse().map_err(|error| Failure::Usage(format!("cid: {error}")))?;
    node.call(Method::GET, &format!("/v1/holdings/{cid}/{what}"), None).await
}

fn head(answer: &Value) {
    let mut rows =
        vec![["network".to_owned(), plain(&answer["network"])], ["cid".to_owned(), plain(&answer["cid"])]];
    let round = &answer["round"];
    let evidence = if round.is_null() {
        "none yet: the chain was not seen".to_owned()
    } else {
        format!(
            "finalized epoch {}, head {}, {} of {} endpoints agree",
            plain(&round["height"]),
            plain(&round["head"]),
            plain(&round["agreed"]),
            plain(&round["asked"]),
        )
    };
    rows.push(["evidence".to_owned(), evidence]);
    if !round.is_null() {
        rows.push(["tipset".to_owned(), plain(&round["tipset"])]);
    }
    if !answer["hold"].is_null() {
        rows.push(["holds".to_owned(), words::hold(&answer["hold"])]);
    }
    for alarm in list(&answer["alarms"]) {
        rows.push(["alarm".to_owned(), words::alarm(alarm)]);
    }
    output::table(&rows);
}

fn title(holding: &Value) {
    output::data("");
    output::data(&format!("holding {} of {}", plain(&holding["holding"]), plain(&holding["owner"])));
}

fn decided(holding: &Value) {
    for place in list(&holding["aggregates"]) {
        output::data(&format!(
            "  in aggregate {} at offset {}",
            plain(&place["aggregatePieceCid"]),
            plain(&place["offset"])
        ));
    }
    for part in list(&holding["incidents"]) {
        output::data(&format!("  part of {}", words::incident(&part["incident"])));
    }
    let standing = &holding["standing"];
    for action in list(&holding["actions"]) {
        let part = words::part(&action["piece"], standing);
        output::data(&format!("  now: {part}{}", words::action(action)));
    }
    for wait in list(&holding["waits"]) {
        let part = words::part(&wait["part"], standing);
        output::data(&format!("  waits: {part}{}", words::wait(wait)));
    }
    for delay in list(&holding["delays"]) {
        let of = match (&delay["order"], &delay["transaction"]) {
            (Value::Null, Value::Null) => plain(&delay["step"]),
            (Value::Null, tx) => format!("transaction {}", plain(tx)),
            (order, _) => format!("order {}", plain(order)),
        };
        output::data(&format!("  put off: {of}: {}", plain(&delay["why"])));
    }
    if list(&holding["actions"]).is_empty() && list(&holding["waits"]).is_empty() {
        output::data("  nothing to do and nothing to wait for");
    }
}

fn copies(orders: &Value) {
    let rows = deal_rows(orders);
    if rows.len() > 1 {
        output::data("");
        for line in output::columns(&rows) {
            output::data(&format!("  {line}"));
        }
    }
}

fn attempts(attempts: &Value) {
    let attempts = list(attempts);
    if attempts.is_empty() {
        return;
    }
    output::data("");
    let rows: Vec<[String; 5]> = attempts
        .iter()
        .take(ATTEMPTS_SHOWN)
        .map(|attempt| {
            [
                format!("epoch {}", plain(&attempt["at"])),
                plain(&attempt["what"]),
                provider(&attempt["provider"]),
                plain(&attempt["outcome"]),
                plain(&attempt["detail"]),
            ]
        })
        .collect();
    for line in output::columns(&rows) {
        output::data(&format!("  {line}"));
    }
    if attempts.len() > ATTEMPTS_SHOWN {
        output::data(&format!("  and {} more; --json shows them", attempts.len() - ATTEMPTS_SHOWN));
    }
}

fn provider(value: &Value) -> String {
    value.as_u64().map_or_else(|| plain(value), |number| format!("f0{number}"))
}

fn seen_on_contract(sightings: &Value) {
    if list(sightings).is_empty() {
        return;
    }
    output::data("");
    for sighting in list(sightings) {
        let request = match &sighting["request"] {
            Value::Null => String::new(),
            request => format!(" for request {}", plain(request)),
        };
        let (deal, state) = (plain(&sighting["deal"]), plain(&sighting["state"]));
        let place = match (&sighting["sector"], &sighting["storageProvider"]) {
            (Value::Null, _) => String::new(),
            (sector, provider) => format!(", the piece in sector {} of {}", plain(sector), plain(provider)),
        };
        output::data(&format!("on the contract: deal {deal}{place}{request}, {state}"));
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
