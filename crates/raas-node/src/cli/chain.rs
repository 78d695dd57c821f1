//! `raas chain rewind`: the way out when history that was final is another one now.

use super::client::Client;
use super::failure::Failure;
use super::output;
use super::wallet::{ask, token};
use super::words::plain;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::PathBuf;

/// `raas chain …`.
#[derive(Debug, Subcommand)]
pub enum Chain {
    /// Show what differs since history that was final was rewritten, ask, and read it again.
    Rewind(Rewind),
}

/// `raas chain rewind`.
#[derive(Debug, Args)]
pub struct Rewind {
    /// The first height to read again; where the new history leaves the old one unless named.
    #[arg(long)]
    pub from: Option<i64>,
    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
    /// Only show what differs.
    #[arg(long)]
    pub dry_run: bool,
    /// The node's wallet.token: transactions that are gone are sent again.
    #[arg(long, env = "RAAS_WALLET_TOKEN_FILE", default_value = "raas-data/wallet.token")]
    pub token_file: PathBuf,
}

const PATH: &str = "/v1/chain/rewind";

/// Runs it.
pub async fn chain(node: &Client, command: &Chain, json: bool) -> Result<(), Failure> {
    let Chain::Rewind(wanted) = command;
    let query = wanted.from.map_or_else(String::new, |from| format!("?from={from}"));
    let preview = node.call(Method::GET, &format!("{PATH}{query}"), None).await?;
    if wanted.dry_run {
        if json {
            output::json(&preview);
        } else {
            show(&preview);
            output::say("a dry run: nothing was changed");
        }
        return Ok(());
    }
    if !json {
        show(&preview);
    }
    let token = token(&wanted.token_file)?;
    let question = format!(
        "Only when you know that the network was rewound and no endpoint lies. Read everything from epoch {} again on {}?",
        plain(&preview["from"]),
        plain(&preview["network"])
    );
    ask(wanted.yes, &question)?;
    let body = json!({ "from": preview["from"], "gone": preview["gone"]["tipset"] });
    let answer = node.pay(PATH, Some(&body), &token, "rewind").await?;
    if json {
        output::json(&answer);
    } else {
        let rewind = plain(&answer["rewind"]);
        output::data(&format!(
            "rewind {rewind} is done, the node goes on (network {})",
            plain(&answer["network"])
        ));
    }
    Ok(())
}

fn show(preview: &Value) {
    let (gone, round) = (&preview["gone"], &preview["round"]);
    output::table(&[
        ["network".to_owned(), plain(&preview["network"])],
        ["was final".to_owned(), format!("epoch {}, {}", plain(&gone["height"]), plain(&gone["tipset"]))],
        [
            "is final now".to_owned(),
            format!("epoch {}, {}", plain(&round["height"]), plain(&round["tipset"])),
        ],
        ["read again from".to_owned(), format!("epoch {}", plain(&preview["from"]))],
    ]);
    for contract in list(&preview["contracts"]) {
        output::data("");
        output::data(&format!("contract {}", plain(&contract["contract"])));
        for event in list(&contract["superseded"]) {
            output::data(&format!("  is gone: {}", words(event)));
        }
        for moved in list(&contract["moved"]) {
            output::data(&format!("  moved: {}, now {}", words(&moved["before"]), words(&moved["after"])));
        }
        for event in list(&contract["new"]) {
            output::data(&format!("  is new: {}", words(event)));
        }
        for (field, what) in [("jobs_ended", "ends"), ("jobs_unregistered", "is registered again")] {
            for job in list(&contract[field]) {
                output::data(&format!("  job {} {what}", plain(job)));
            }
        }
    }
    output::data("");
    for order in list(&preview["orders"]) {
        let [id, from, to] = ["order", "from", "to"].map(|field| plain(&order[field]));
        output::data(&format!("order {id}: {from}, then {to}"));
    }
    for transaction in list(&preview["transactions"]) {
        output::data(&format!("transaction {} is looked for, and sent, again", plain(transaction)));
    }
}

/// An event in words.
fn words(event: &Value) -> String {
    let deal = match &event["deal"] {
        Value::Null => String::new(),
        deal => format!(", deal {}", plain(deal)),
    };
    let (request, kind) = (plain(&event["request"]), plain(&event["kind"]));
    format!("request {request} {kind}{deal} in block {}", plain(&event["block"]))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
