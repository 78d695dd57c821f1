//! `raas wallet balance|txs|send|market-add|market-withdraw|settle|datacap|allocate|release`: the running node's money.
//!
//! Payments go through the node, since only one process may send from an account. What it costs is shown first.

use super::args::{PayOptions, Wallet};
use super::client::Client;
use super::failure::Failure;
use super::output;
use super::words::{epochs, plain};
use reqwest::Method;
use serde_json::{Value, json};
use std::io::{BufRead, IsTerminal};
use std::path::Path;

/// Runs one of them.
pub async fn wallet(node: &Client, command: &Wallet, json: bool) -> Result<(), Failure> {
    match command {
        Wallet::Balance => balance(node, json).await,
        Wallet::Txs { id, limit } => transactions(node, *id, *limit, json).await,
        Wallet::Send { to, amount, from, pay } => {
            let body = json!({ "do": "send", "to": to, "amount": amount, "from": from });
            self::pay(node, body, pay, &format!("send {amount} to {to}"), json).await
        }
        Wallet::MarketAdd(pay) => {
            let body = json!({ "do": "market_add", "amount": pay.amount });
            self::pay(node, body, &pay.options, &format!("add {} to the escrow", pay.amount), json).await
        }
        Wallet::MarketWithdraw(pay) => {
            let body = json!({ "do": "market_withdraw", "amount": pay.amount });
            let what = format!("take {} out of the escrow", pay.amount);
            self::pay(node, body, &pay.options, &what, json).await
        }
        Wallet::Settle { deals, pay } => {
            let body = match deals.is_empty() {
                true => json!({ "do": "settle" }),
                false => json!({ "do": "settle", "deals": deals }),
            };
            self::pay(node, body, pay, "have ended deals settled", json).await
        }
        Wallet::Datacap => datacap(node, json).await,
        Wallet::Allocate(asked) => {
            let body = json!({ "do": "allocate", "allocation": {
                "provider": asked.provider, "piece": asked.piece, "size": asked.size, "term_min": asked.term_min,
                "term_max": asked.term_max, "expiration": asked.expiration,
            } });
            let what = format!("set {} bytes of DataCap aside for {}", asked.size, asked.piece);
            self::pay(node, body, &asked.options, &what, json).await
        }
        Wallet::Release { what, pay } => release(node, what, pay, json).await,
        Wallet::New { .. }
        | Wallet::Import { .. }
        | Wallet::Export { .. }
        | Wallet::List { .. }
        | Wallet::Signer { .. } => Ok(()),
    }
}

/// Shows the costs, asks, and then pays.
async fn pay(
    node: &Client,
    mut body: Value,
    options: &PayOptions,
    what: &str,
    json: bool,
) -> Result<(), Failure> {
    let token = token(node, &options.token_file)?;
    let key = options.key.clone().unwrap_or_else(new_key);
    body["dry_run"] = json!(true);
    let quote = node.pay(PATH, Some(&body), &token, &key).await?;
    if options.dry_run {
        if json {
            output::json(&quote);
        } else {
            costs(&quote);
            datacap_taken(&quote["datacap"]);
            output::say("a dry run: nothing was sent");
        }
        return Ok(());
    }
    if !json {
        costs(&quote);
        datacap_taken(&quote["datacap"]);
    }
    confirm(options, &format!("{what} on {}?", plain(&quote["network"])))?;
    body["dry_run"] = json!(false);
    let answer = node.pay(PATH, Some(&body), &token, &key).await?;
    if json {
        output::json(&answer);
        return Ok(());
    }
    let id = plain(&answer["transaction"]);
    let news = if answer["new"] == true { "is planned" } else { "was planned before, under this key" };
    output::data(&format!("transaction {id} {news} (network {})", plain(&answer["network"])));
    if !answer["hold"].is_null() {
        output::say(&format!("it waits: {}", super::words::hold(&answer["hold"])));
    }
    output::say(&format!("next: raas wallet txs {id}"));
    Ok(())
}

const PATH: &str = "/v1/wallet/transactions";

fn costs(quote: &Value) {
    output::table(&[
        ["network".to_owned(), plain(&quote["network"])],
        ["from".to_owned(), format!("{} ({} account)", plain(&quote["address"]), plain(&quote["account"]))],
        ["amount".to_owned(), money(&quote["amount"])],
        [
            "gas at most".to_owned(),
            format!("{}, limit {} gas", money(&quote["gas_max"]), plain(&quote["gas_limit"])),
        ],
        ["together at most".to_owned(), money(&quote["total_max"])],
        ["balance".to_owned(), money(&quote["balance"])],
    ]);
}

/// What an allocation takes, for whom, and what becomes of it.
fn datacap_taken(datacap: &Value) {
    if datacap.is_null() {
        return;
    }
    let span = |field: &str| datacap[field].as_i64().map_or_else(|| "-".to_owned(), epochs);
    output::table(&[
        ["DataCap".to_owned(), format!("{} bytes", plain(&datacap["has"]))],
        ["  it takes".to_owned(), format!("{} bytes", plain(&datacap["takes"]))],
        ["  and leaves".to_owned(), format!("{} bytes", plain(&datacap["leaves"]))],
        [
            "provider".to_owned(),
            format!("{}, operator {}", plain(&datacap["provider"]), plain(&datacap["operator"])),
        ],
        [
            "piece".to_owned(),
            format!("{}, {} bytes padded", plain(&datacap["piece"]), plain(&datacap["size"])),
        ],
        ["kept for".to_owned(), format!("{} to {}", span("term_min"), span("term_max"))],
        [
            "claim by".to_owned(),
            format!("epoch {}, in {}", plain(&datacap["claim_by"]), span("claim_within")),
        ],
    ]);
    output::say("unclaimed, its DataCap can be taken back after that epoch; claimed, it is spent");
    if let Some(same) = datacap["same_waiting"].as_array().filter(|same| !same.is_empty()) {
        let ids: Vec<String> = same.iter().map(plain).collect();
        output::say(&format!(
            "this piece waits for this provider already: allocation {}; another one takes as much again",
            ids.join(", ")
        ));
    }
}

/// Both forms of an amount.
fn money(amount: &Value) -> String {
    if amount.is_null() {
        return "-".to_owned();
    }
    format!("{} ({} attoFIL)", plain(&amount["fil"]), plain(&amount["attofil"]))
}

async fn release(node: &Client, what: &str, options: &PayOptions, json: bool) -> Result<(), Failure> {
    let query = match what {
        "native" | "evm" => format!("account={what}"),
        "restored" => "restored=true".to_owned(),
        other => {
            return Err(Failure::Usage(format!("{other:?} is none of native, evm and restored")));
        }
    };
    let token = token(node, &options.token_file)?;
    if options.dry_run {
        return Err(Failure::Usage(
            "--dry-run: a release costs nothing; `raas wallet balance` shows why".to_owned(),
        ));
    }
    let warning = "only when you know who used the account's nonces. Release it";
    confirm(options, &format!("{warning} ({what})?"))?;
    let answer = node.pay(&format!("/v1/wallet/release?{query}"), None, &token, &new_key()).await?;
    if json {
        output::json(&answer);
    } else {
        let released: Vec<String> = answer["released"].as_array().into_iter().flatten().map(plain).collect();
        let text = match (released.is_empty(), answer["restored"] == true) {
            (_, true) => "the store acts again".to_owned(),
            (false, _) => format!("released: {}", released.join(", ")),
            (true, _) => "nothing was halted".to_owned(),
        };
        output::data(&format!("{text} (network {})", plain(&answer["network"])));
    }
    Ok(())
}

async fn balance(node: &Client, json: bool) -> Result<(), Failure> {
    let answer = node.call(Method::GET, "/v1/wallet", None).await?;
    if json {
        output::json(&answer);
        return Ok(());
    }
    let mut rows = vec![["network".to_owned(), plain(&answer["network"])]];
    for account in answer["accounts"].as_array().into_iter().flatten() {
        let halted = if account["halted"].is_null() { "" } else { ", HALTED" };
        rows.push([
            format!("{} account", plain(&account["account"])),
            format!("{}: {}{halted}", plain(&account["address"]), money(&account["balance"])),
        ]);
    }
    let escrow = &answer["escrow"];
    for (name, field) in [
        ("escrow", "total"),
        ("  held by deals", "locked_by_deals"),
        ("  promised to signed deals", "reserved_for_signed"),
        ("  free", "free"),
    ] {
        rows.push([name.to_owned(), money(&escrow[field])]);
    }
    for limit in answer["limits"].as_array().into_iter().flatten() {
        if limit["limit"].is_null() {
            continue;
        }
        let used = match limit["used"].is_null() {
            true => String::new(),
            false => format!(", used {}", plain(&limit["used"]["fil"])),
        };
        rows.push([plain(&limit["key"]), format!("{}{used}", plain(&limit["limit"]["fil"]))]);
    }
    for (name, field) in
        [("deals paid for", "deals"), ("contract's gas paid for", "contract"), ("budget lasts", "budget")]
    {
        rows.push([name.to_owned(), lasts(&answer["runway"][field])]);
    }
    output::table(&rows);
    for alarm in answer["alarms"].as_array().into_iter().flatten() {
        output::say(&format!("alarm: {}", plain(&alarm["why"])));
    }
    Ok(())
}

async fn datacap(node: &Client, json: bool) -> Result<(), Failure> {
    let answer = node.call(Method::GET, "/v1/wallet/datacap", None).await?;
    if json {
        output::json(&answer);
        return Ok(());
    }
    output::table(&[
        ["network".to_owned(), plain(&answer["network"])],
        ["account".to_owned(), plain(&answer["address"])],
        ["DataCap".to_owned(), format!("{} bytes", plain(&answer["bytes"]))],
    ]);
    let mut rows = vec![["ALLOCATION", "PROVIDER", "PIECE", "SIZE", "TERM", "CLAIM BY"].map(str::to_owned)];
    for one in answer["allocations"].as_array().into_iter().flatten() {
        rows.push([
            plain(&one["id"]),
            format!("f0{}", plain(&one["provider"])),
            plain(&one["piece"]),
            plain(&one["size"]),
            format!("{} to {}", plain(&one["term_min"]), plain(&one["term_max"])),
            plain(&one["expiration"]),
        ]);
    }
    if rows.len() > 1 {
        output::table(&rows);
    }
    if answer["frozen"] == true {
        output::say("since version 29 the network has no DataCap to spend");
    }
    Ok(())
}

fn lasts(runway: &Value) -> String {
    if runway.is_null() {
        return "not known yet".to_owned();
    }
    match (runway["days"].as_u64(), runway["ends_at"].as_i64()) {
        (Some(days), Some(epoch)) => format!("{days} days, to epoch {epoch}"),
        _ => "beyond five years".to_owned(),
    }
}

async fn transactions(node: &Client, id: Option<u64>, limit: u32, json: bool) -> Result<(), Failure> {
    let query = id.map_or_else(|| format!("limit={limit}"), |id| format!("id={id}"));
    let answer = node.call(Method::GET, &format!("{PATH}?{query}"), None).await?;
    if json {
        output::json(&answer);
        return Ok(());
    }
    let mut rows = vec![["TX", "STATE", "WHAT", "ACCOUNT", "NONCE", "HASH"].map(str::to_owned)];
    let listed = answer["transactions"].as_array().map(Vec::as_slice).unwrap_or_default();
    for tx in listed {
        let hash = tx["hashes"].as_array().and_then(|hashes| hashes.last()).map(plain);
        rows.push([
            plain(&tx["id"]),
            match tx["carrier"].as_u64() {
                Some(carrier) => format!("in {carrier}"),
                None => plain(&tx["state"]),
            },
            plain(&tx["intent"]["intent"]),
            plain(&tx["account"]),
            if tx["nonce"].is_null() { "-".to_owned() } else { plain(&tx["nonce"]) },
            hash.unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    output::table(&rows);
    for tx in listed.iter().filter(|tx| !tx["waits"].is_null()) {
        output::say(&format!("transaction {}: {}", plain(&tx["id"]), plain(&tx["waits"])));
    }
    output::say(&format!("network {}", plain(&answer["network"])));
    Ok(())
}

/// What shows that the caller may spend; empty where an admin's key does.
pub(super) fn token(node: &Client, path: &Path) -> Result<String, Failure> {
    if node.has_key() {
        return Ok(String::new());
    }
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::Usage(format!(
            "--token-file {}: {error}; it is wallet.token in the node's data directory",
            path.display()
        ))
    })?;
    Ok(text.trim().to_owned())
}

/// Asks on the terminal, unless `--yes` was given. Without a terminal nobody can say yes.
pub(super) fn confirm(options: &PayOptions, question: &str) -> Result<(), Failure> {
    ask(options.yes, question)
}

pub(super) fn ask(yes: bool, question: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(format!("{question} Nobody is there to ask; --yes says yes")));
    }
    output::say(&format!("{question} Type yes:"));
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    if line.trim() == "yes" { Ok(()) } else { Err(Failure::failed("not confirmed; nothing was done")) }
}

#[expect(clippy::disallowed_methods, reason = "the name of one payment")]
fn new_key() -> String {
    format!("cli-{:032x}", rand::random::<u128>())
}
