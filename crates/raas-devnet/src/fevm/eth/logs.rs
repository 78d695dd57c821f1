//! `eth_getLogs`: what contracts emitted, by range or block, with the limits of a node.

use super::{
    context::Context,
    hex,
    params::{BlockRef, Params},
};
use crate::{fevm::Executed, rpc::RpcError};
use alloy_primitives::{Address, B256, Log};
use serde_json::{Map, Value, json};

/// Topics a log can have.
const MAX_TOPICS: usize = 4;

/// Which logs are wanted: empty lists match everything.
#[derive(Clone, Debug)]
pub(crate) struct LogFilter {
    addresses: Vec<Address>,
    topics: Vec<Vec<B256>>,
}

impl LogFilter {
    /// Reads addresses and topics of a filter object; ranges are the business of whoever asks.
    pub(crate) fn read(value: &Value) -> Result<Self, RpcError> {
        let params = Params::new("eth_subscribe", &Value::Null)?;
        let empty = Map::new();
        let filter = value.as_object().unwrap_or(&empty);
        Ok(Self { addresses: addresses(params, filter)?, topics: topics(params, filter)? })
    }

    fn matches(&self, log: &Log) -> bool {
        let from = self.addresses.is_empty() || self.addresses.contains(&log.address);
        from && self.topics.iter().enumerate().all(|(position, any)| {
            any.is_empty() || log.topics().get(position).is_some_and(|topic| any.contains(topic))
        })
    }
}

/// The logs of one transaction.
pub(super) fn of_transaction(
    context: Context<'_>,
    height: i64,
    index: usize,
    executed: &Executed,
) -> Vec<Value> {
    let all = LogFilter { addresses: Vec::new(), topics: Vec::new() };
    matching(context, height, index, executed, &all)
}

fn matching(
    context: Context<'_>,
    height: i64,
    index: usize,
    executed: &Executed,
    wanted: &LogFilter,
) -> Vec<Value> {
    let block = hex::word(context.hash(height));
    let numbered = executed.logs.iter().enumerate().filter(|(_, log)| wanted.matches(log));
    numbered
        .map(|(position, log)| {
            json!({
                "address": hex::address(&log.address),
                "data": hex::bytes(&log.data.data),
                "topics": log.topics().iter().map(|topic| hex::word(*topic)).collect::<Vec<_>>(),
                "removed": false,
                "logIndex": hex::index(executed.first_log + position),
                "transactionIndex": hex::index(index),
                "transactionHash": hex::word(executed.transaction.hash),
                "blockHash": block,
                "blockNumber": hex::height(height),
            })
        })
        .collect()
}

/// The wanted logs of one block.
pub(super) fn of_block(context: Context<'_>, height: i64, wanted: &LogFilter) -> Vec<Value> {
    let executed = context.world.fevm.executed(height).iter().enumerate();
    executed.flat_map(|(index, executed)| matching(context, height, index, executed, wanted)).collect()
}

/// `eth_getLogs`.
pub(super) fn get(context: Context<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    params.count(1, 1)?;
    let empty = Map::new();
    let filter = match params.get(0) {
        Value::Object(filter) => filter,
        Value::Null => &empty,
        _ => return Err(params.error("the filter must be an object")),
    };
    let wanted = LogFilter { addresses: addresses(params, filter)?, topics: topics(params, filter)? };
    let (from, to) = range(context, params, filter)?;
    let mut found = Vec::new();
    for (height, block) in context.world.fevm.blocks_between(from, to) {
        for (index, executed) in block.iter().enumerate() {
            found.extend(matching(context, height, index, executed, &wanted));
        }
        if from != to && found.len() > context.lens.log_results() {
            return Err(RpcError::other("filter matches too many events, try a more restricted filter"));
        }
    }
    found.truncate(context.lens.keeps_logs());
    Ok(Value::Array(found))
}

fn text<'a>(filter: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    filter.get(name).filter(|value| !value.is_null() && value.as_str() != Some(""))
}

fn range(
    context: Context<'_>,
    params: Params<'_>,
    filter: &Map<String, Value>,
) -> Result<(i64, i64), RpcError> {
    let (from, to) = (text(filter, "fromBlock"), text(filter, "toBlock"));
    if let Some(hash) = text(filter, "blockHash") {
        if from.is_some() || to.is_some() {
            return Err(RpcError::other("must not specify block hash and from/to block"));
        }
        let height = context.block(&BlockRef::Hash(params.parse(hash, "blockHash")?))?;
        if height > context.latest() {
            return Err(not_executed());
        }
        return Ok((height, height));
    }
    let (latest, head, gateway) = (context.latest(), context.head, context.lens.is_gateway());
    let from = end(from, "FromBlock", latest, gateway)?;
    let to = end(to, "ToBlock", latest, gateway)?;
    if from > to {
        return Err(RpcError::other(format!(
            "invalid epoch range: to block ({to}) must be after from block ({from})"
        )));
    }
    context.lens.check_age(from, head)?;
    context.lens.check_range(from, to)?;
    if to > head {
        return Err(RpcError::other(format!("range end is in the future, highest epoch: {head}")));
    }
    if to == head {
        return Err(not_executed());
    }
    Ok((from, to))
}

fn not_executed() -> RpcError {
    RpcError::other("events for the requested block are not yet available")
}

fn end(value: Option<&Value>, name: &str, latest: i64, gateway: bool) -> Result<i64, RpcError> {
    let not_hex = || RpcError::other(format!("{name} is not a hex"));
    match value.map(|value| value.as_str().ok_or_else(not_hex)).transpose()? {
        None | Some("latest") => Ok(latest),
        Some("earliest") if gateway => Err(RpcError::other("block param \"earliest\" is not supported")),
        Some("earliest") => Ok(0),
        Some(text) => {
            let digits = text.strip_prefix("0x").ok_or_else(not_hex)?;
            i64::from_str_radix(digits, 16)
                .ok()
                .filter(|height| *height >= 0)
                .ok_or_else(|| RpcError::other(format!("invalid epoch: {text}")))
        }
    }
}

fn one_or_many(value: &Value) -> &[Value] {
    match value {
        Value::Null => &[],
        Value::Array(values) => values,
        one => std::slice::from_ref(one),
    }
}

fn addresses(params: Params<'_>, filter: &Map<String, Value>) -> Result<Vec<Address>, RpcError> {
    let value = filter.get("address").unwrap_or(&Value::Null);
    one_or_many(value).iter().map(|value| params.parse(value, "address")).collect()
}

fn topics(params: Params<'_>, filter: &Map<String, Value>) -> Result<Vec<Vec<B256>>, RpcError> {
    let positions = match filter.get("topics") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(positions)) => positions,
        Some(_) => return Err(params.error("topics must be an array")),
    };
    if positions.len() > MAX_TOPICS {
        return Err(params.error(format!("at most {MAX_TOPICS} topics, got {}", positions.len())));
    }
    let parse = |value: &Value| params.parse(value, "topic");
    positions.iter().map(|any| one_or_many(any).iter().map(parse).collect()).collect()
}
