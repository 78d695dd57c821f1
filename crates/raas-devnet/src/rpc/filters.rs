//! Ethereum filters: what a client fetches again and again that has no socket to be told over.
//!
//! They are of the endpoint (of the connection at a gateway), not of the chain. One that nobody asks for during an hour
//! of the chain's time is gone.

use super::{RpcError, lens::Lens, server::answer, subscription::Subscription};
use crate::world::World;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Filters of one node.
const NODE_MAX: usize = 100;
/// Filters of one connection to a gateway.
const CONNECTION_MAX: usize = 16;
/// Seconds that a filter lives unasked.
const LIFE_SECS: u64 = 3_600;

/// The methods that need a memory.
const METHODS: [&str; 6] = [
    "eth_newFilter",
    "eth_newBlockFilter",
    "eth_newPendingTransactionFilter",
    "eth_getFilterChanges",
    "eth_getFilterLogs",
    "eth_uninstallFilter",
];

/// Whether a method is about filters.
pub(super) fn handles(method: &str) -> bool {
    METHODS.contains(&method)
}

#[derive(Clone, Debug)]
enum Kind {
    /// The filter object.
    Logs(Value),
    Blocks,
    Transactions,
}

#[derive(Clone, Debug)]
struct Filter {
    kind: Kind,
    news: Subscription,
    /// When it was asked for last, by the chain's clock.
    asked: u64,
}

/// The filters of one node, or of one connection to a gateway.
#[derive(Clone, Debug, Default)]
pub(super) struct Filters {
    open: BTreeMap<u64, Filter>,
    last: u64,
}

impl Filters {
    /// Answers one of the methods.
    pub(super) fn answer(
        &mut self,
        world: &mut World,
        lens: &Lens,
        method: &str,
        params: &Value,
    ) -> Result<Value, RpcError> {
        let now = world.chain().timestamp(world.chain().clock());
        self.open.retain(|_, filter| now.saturating_sub(filter.asked) <= LIFE_SECS);
        let param = params.get(0).cloned().unwrap_or(Value::Null);
        match method {
            "eth_newFilter" => {
                let from = height(&param, "fromBlock")?;
                if let Some(from) = from {
                    let head = lens.head(world.chain().head());
                    lens.check_age(from, head)?;
                    lens.check_range(from, head)?;
                }
                let news = subscribe(world, lens, "logs", param.clone())?;
                let news = if let Some(from) = from { news.since(world, from) } else { news };
                self.add(lens, Filter { kind: Kind::Logs(param), news, asked: now })
            }
            "eth_newBlockFilter" => {
                let news = subscribe(world, lens, "newHeads", Value::Null)?;
                self.add(lens, Filter { kind: Kind::Blocks, news, asked: now })
            }
            "eth_newPendingTransactionFilter" => {
                let news = subscribe(world, lens, "newPendingTransactions", Value::Null)?;
                self.add(lens, Filter { kind: Kind::Transactions, news, asked: now })
            }
            "eth_uninstallFilter" => Ok(Value::Bool(self.open.remove(&number(&param)?).is_some())),
            "eth_getFilterLogs" => match &self.filter(&param, now)?.kind {
                Kind::Logs(filter) => answer(world, lens, "eth_getLogs", &json!([filter.clone()])),
                Kind::Blocks | Kind::Transactions => Err(RpcError::other("the filter is not one of logs")),
            },
            _ => self.changes(world, lens, &param, now),
        }
    }

    fn add(&mut self, lens: &Lens, filter: Filter) -> Result<Value, RpcError> {
        let most = if lens.is_gateway() { CONNECTION_MAX } else { NODE_MAX };
        if self.open.len() >= most {
            return Err(RpcError::other(format!("maximum number of filters registered: {most}")));
        }
        self.last += 1;
        self.open.insert(self.last, filter);
        Ok(json!(format!("{:#066x}", self.last)))
    }

    fn filter(&mut self, id: &Value, now: u64) -> Result<&mut Filter, RpcError> {
        let filter = self.open.get_mut(&number(id)?).ok_or_else(gone)?;
        filter.asked = now;
        Ok(filter)
    }

    /// What is new since the last time: logs (of blocks that were left with `removed`), block hashes or transactions'.
    fn changes(&mut self, world: &World, lens: &Lens, id: &Value, now: u64) -> Result<Value, RpcError> {
        let filter = self.filter(id, now)?;
        let Ok(news) = filter.news.news(world, lens) else {
            self.open.remove(&number(id)?);
            return Err(gone());
        };
        Ok(Value::Array(match &filter.kind {
            Kind::Logs(asked) => {
                let to = height(asked, "toBlock")?;
                let at = |log: &Value| height(log, "blockNumber").ok().flatten();
                let within = |log: &Value| to.is_none_or(|to| at(log).is_none_or(|at| at <= to));
                news.into_iter().filter(within).collect()
            }
            Kind::Blocks => news.iter().map(|head| head["hash"].clone()).collect(),
            Kind::Transactions => news,
        }))
    }
}

fn subscribe(world: &World, lens: &Lens, what: &str, filter: Value) -> Result<Subscription, RpcError> {
    Subscription::open(world, lens.clone(), "eth_subscribe", &json!([what, filter]), Value::Null)
}

fn gone() -> RpcError {
    RpcError::other("filter not found")
}

/// The number in a filter's id.
fn number(id: &Value) -> Result<u64, RpcError> {
    let digits = id.as_str().and_then(|text| text.strip_prefix("0x"));
    let digits = digits.ok_or_else(|| RpcError::coded(-32602, "param 0: the id of a filter is needed"))?;
    u64::from_str_radix(digits.trim_start_matches('0'), 16).map_err(|_| gone())
}

/// A height that a filter or a log names; none for `latest`, for a tag, or if it names none.
fn height(value: &Value, field: &str) -> Result<Option<i64>, RpcError> {
    match value.get(field).and_then(Value::as_str) {
        None | Some("" | "latest" | "pending" | "safe" | "finalized") => Ok(None),
        Some("earliest") => Ok(Some(0)),
        Some(text) => {
            let digits = text.strip_prefix("0x").and_then(|digits| i64::from_str_radix(digits, 16).ok());
            digits.map(Some).ok_or_else(|| RpcError::other(format!("{field} is not a hex")))
        }
    }
}
