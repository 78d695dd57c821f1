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
    let token = token(node, &wanted.token_file)?;
    let question = format!(
        "This is right only if the network itself was rewound: if an endpoint lies, take it out instead, and nothing needs to be \
         read again. Read everything from epoch {} again on {}?",
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
            "rewind {rewind} is done, the node goes on (network {}); `raas job list` and `raas wallet txs` show what became of it",
            plain(&answer["network"])
        ));
    }
    Ok(())
}

fn show(preview: &Value) {
    let (gone, round) = (&preview["gone"], &preview["round"]);
    output::table(&[
        ["network".to_owned(), plain(&preview["network"])],
        [
            "seen final".to_owned(),
            format!(
                "epoch {}, {}: not on the chain any more",
                plain(&gone["height"]),
                plain(&gone["tipset"])
            ),
        ],
        ["final now".to_owned(), format!("epoch {}, {}", plain(&round["height"]), plain(&round["tipset"]))],
        ["to be read again".to_owned(), format!("everything from epoch {} on", plain(&preview["from"]))],
    ]);
    output::data("");
    output::data("what the contracts told and tell:");
    let contracts = list(&preview["contracts"]);
    let differs = |contract: &&Value| {
        ["superseded", "moved", "new"].iter().any(|field| !list(&contract[*field]).is_empty())
    };
    if !contracts.iter().any(|contract| differs(&contract)) {
        output::data("  no event differs");
    }
    for contract in contracts.iter().filter(differs) {
        output::data(&format!("  contract {}", plain(&contract["contract"])));
        for event in list(&contract["superseded"]) {
            output::data(&format!("    gone: {}", words(event)));
        }
        for moved in list(&contract["moved"]) {
            output::data(&format!("    moved: {}, now {}", words(&moved["before"]), words(&moved["after"])));
        }
        for event in list(&contract["new"]) {
            output::data(&format!("    new: {}", words(event)));
        }
    }
    output::data("");
    output::data("what reading it again will do:");
    let mut done = Vec::new();
    for contract in contracts {
        for job in list(&contract["jobs_ended"]) {
            done.push(format!("job {} ends: its request is on no chain", plain(job)));
        }
        for job in list(&contract["jobs_unregistered"]) {
            done.push(format!("job {} goes on, and is registered at the contract once more", plain(job)));
        }
    }
    for order in list(&preview["orders"]) {
        let [id, from, to] = ["order", "from", "to"].map(|field| plain(&order[field]));
        done.push(if from == to {
            format!("order {id} stays {to}")
        } else {
            format!("order {id} was {from}, and becomes {to} as the chain has it now")
        });
    }
    for transaction in list(&preview["transactions"]) {
        let id = plain(transaction);
        done.push(format!(
            "transaction {id} is looked for, and its same bytes are sent again if it is nowhere"
        ));
    }
    if done.is_empty() {
        done.push("no job, order or transaction changes; the node goes on".to_owned());
    }
    for line in done {
        output::data(&format!("  {line}"));
    }
    output::data("  nothing is deleted: what is gone stays in the store as superseded");
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
