//! `trace_*` as Lotus has them, and the two more of Forest: the calls of executed transactions.
//!
//! What miners tell contracts (FIP-0109) is a native message, whose trace is not told here.

use super::{context::Context, hex, params::BlockRef, params::Params};
use crate::{
    fevm::{Executed, Frame},
    rpc::RpcError,
};
use alloy_primitives::Address;
use serde_json::{Map, Value, json};

/// The most blocks of one `trace_filter` at a gateway.
const GATEWAY_BLOCKS: i64 = 100;
/// The most traces of one answer.
const TRACES_MAX: usize = 500;

/// A frame in the form of OpenEthereum.
fn show(frame: &Frame) -> Map<String, Value> {
    let mut action = json!({
        "from": hex::address(&frame.from),
        "gas": hex::quantity(frame.gas),
        "value": hex::quantity(frame.value),
    });
    let to = frame.to.as_ref().map(hex::address);
    let (own, result) = match frame.call {
        Some(kind) => (
            json!({ "callType": kind, "to": to, "input": hex::bytes(&frame.input) }),
            json!({ "gasUsed": hex::quantity(frame.gas_used), "output": hex::bytes(&frame.output) }),
        ),
        None => (
            json!({ "init": hex::bytes(&frame.input) }),
            json!({
                "address": to, "gasUsed": hex::quantity(frame.gas_used), "code": hex::bytes(&frame.output),
            }),
        ),
    };
    if let (Some(action), Value::Object(own)) = (action.as_object_mut(), own) {
        action.extend(own);
    }
    let mut trace = Map::from_iter([
        ("type".to_owned(), json!(if frame.call.is_some() { "call" } else { "create" })),
        ("subtraces".to_owned(), json!(frame.calls)),
        ("traceAddress".to_owned(), json!(frame.place)),
        ("action".to_owned(), action),
        ("result".to_owned(), result),
    ]);
    if let Some(error) = frame.error {
        trace.insert("error".to_owned(), json!(error));
    }
    trace
}

/// The frames of a transaction with its place on the chain.
fn placed<'a>(
    context: Context<'a>,
    height: i64,
    index: usize,
    executed: &'a Executed,
) -> impl Iterator<Item = Value> + 'a {
    let block = hex::word(context.hash(height));
    executed.trace.iter().map(move |frame| {
        let mut trace = show(frame);
        trace.insert("blockHash".to_owned(), block.clone());
        trace.insert("blockNumber".to_owned(), json!(height));
        trace.insert("transactionHash".to_owned(), hex::word(executed.transaction.hash));
        trace.insert("transactionPosition".to_owned(), json!(index));
        Value::Object(trace)
    })
}

fn executed_block(context: Context<'_>, block: &BlockRef) -> Result<i64, RpcError> {
    let height = context.block(block)?;
    if height > context.latest() {
        return Err(RpcError::other("traces for the requested block are not yet available"));
    }
    Ok(height)
}

/// `trace_block [block]`
pub(super) fn block(context: Context<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    params.count(1, 1)?;
    let height = executed_block(context, &params.block(0)?)?;
    let all = context.world.fevm.executed(height).iter().enumerate();
    Ok(all.flat_map(|(index, executed)| placed(context, height, index, executed)).collect())
}

/// `trace_transaction [hash]`: null until the including tipset has a child.
pub(super) fn transaction(context: Context<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    params.count(1, 1)?;
    let found = context.world.fevm.find(&params.hash(0)?).filter(|(height, ..)| *height <= context.latest());
    Ok(found
        .map_or(Value::Null, |(height, index, executed)| placed(context, height, index, executed).collect()))
}

fn only_traces(params: Params<'_>, index: usize) -> Result<(), RpcError> {
    if *params.get(index) == json!(["trace"]) {
        return Ok(());
    }
    Err(RpcError::other("only 'trace' type is supported"))
}

/// `trace_replayBlockTransactions [block, ["trace"]]`
pub(super) fn replay(context: Context<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    params.count(2, 2)?;
    only_traces(params, 1)?;
    let height = executed_block(context, &params.block(0)?)?;
    let replayed = context.world.fevm.executed(height).iter().map(|executed| {
        let trace: Vec<Value> = executed.trace.iter().map(show).map(Value::Object).collect();
        json!({
            "output": hex::bytes(&executed.output),
            "stateDiff": null,
            "trace": trace,
            "transactionHash": hex::word(executed.transaction.hash),
            "vmTrace": null,
        })
    });
    Ok(replayed.collect())
}

/// `trace_filter [{fromBlock, toBlock, fromAddress, toAddress, after, count}]`
pub(super) fn filter(context: Context<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    params.count(1, 1)?;
    let Value::Object(filter) = params.get(0) else {
        return Err(params.error("the filter must be an object"));
    };
    let end = |name: &str| match filter.get(name) {
        None | Some(Value::Null) => executed_block(context, &BlockRef::Tag("latest".to_owned())),
        Some(block) => executed_block(context, &params.block_of(block)?),
    };
    let (from, to) = (end("fromBlock")?, end("toBlock")?);
    if from > to {
        return Err(RpcError::other(format!("invalid block range: {from} is after {to}")));
    }
    if context.lens.is_gateway() && to - from > GATEWAY_BLOCKS {
        let text = format!("block range exceeds maximum of {GATEWAY_BLOCKS} (got {})", to - from);
        return Err(RpcError::coded(-32005, text));
    }
    context.lens.check_age(from, context.head)?;
    context.lens.check_range(from, to)?;
    let addresses = |name: &str| -> Result<Option<Vec<Address>>, RpcError> {
        let Some(Value::Array(listed)) = filter.get(name) else { return Ok(None) };
        listed.iter().map(|one| params.parse(one, name)).collect::<Result<Vec<_>, _>>().map(Some)
    };
    let (senders, callees) = (addresses("fromAddress")?, addresses("toAddress")?);
    let number = |name: &str, otherwise: usize| match filter.get(name) {
        None | Some(Value::Null) => Ok(otherwise),
        Some(value) => super::params::quantity(value)
            .map(|number| number.saturating_to::<usize>())
            .ok_or_else(|| params.error(format!("{name} is no 0x quantity"))),
    };
    let (after, count) = (number("after", 0)?, number("count", TRACES_MAX)?.min(TRACES_MAX));
    let wanted = |trace: &Value| {
        let is = |wanted: &Option<Vec<Address>>, told: &Value| {
            wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|one| hex::address(one) == *told))
        };
        let to = &trace["action"]["to"];
        let to = if to.is_null() { &trace["result"]["address"] } else { to };
        is(&senders, &trace["action"]["from"]) && is(&callees, to)
    };
    let blocks = context.world.fevm.blocks_between(from, to);
    let all = blocks.flat_map(|(height, block)| {
        block.iter().enumerate().flat_map(move |(index, executed)| placed(context, height, index, executed))
    });
    Ok(all.filter(wanted).skip(after).take(count).collect())
}

/// Forest's `trace_call [transaction, ["trace"], block]`.
pub(super) fn call(context: Context<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    params.count(2, 3)?;
    only_traces(params, 1)?;
    let height = context.state(&params.block(2)?)?;
    let (output, frames) =
        context.world.fevm.trace(&params.trial(0)?, context.tipset(height), &context.actors(height));
    let trace: Vec<Value> = frames.iter().map(show).map(Value::Object).collect();
    Ok(json!({ "output": hex::bytes(&output), "stateDiff": null, "trace": trace, "vmTrace": null }))
}

/// Forest's `debug_traceTransaction [hash, {"tracer": "callTracer"}]`.
pub(super) fn debug(context: Context<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    params.count(2, 2)?;
    if params.get(1)["tracer"] != "callTracer" {
        return Err(RpcError::other("only the tracer \"callTracer\" is supported"));
    }
    let hash = params.hash(0)?;
    let found = context.world.fevm.find(&hash).filter(|(height, ..)| *height <= context.latest());
    let (.., executed) = found.ok_or_else(|| RpcError::other(format!("transaction {hash} not found")))?;
    let frames = executed.trace.as_slice();
    Ok(frames.split_first().map_or(Value::Null, |(root, below)| nested(root, below)))
}

/// A frame with those that it called inside it; `below` are the frames that begin after it.
fn nested(frame: &Frame, below: &[Frame]) -> Value {
    let depth = frame.place.len();
    let inside = below.iter().take_while(|other| other.place.len() > depth).count();
    let below = below.get(..inside).unwrap_or_default();
    let calls: Vec<Value> = below
        .iter()
        .enumerate()
        .filter(|(_, other)| other.place.len() == depth + 1)
        .map(|(index, other)| nested(other, below.get(index + 1..).unwrap_or_default()))
        .collect();
    let mut shown = Map::from_iter([
        ("type".to_owned(), json!(frame.call.unwrap_or("create").to_uppercase())),
        ("from".to_owned(), hex::address(&frame.from)),
        ("to".to_owned(), json!(frame.to.as_ref().map(hex::address))),
        ("value".to_owned(), hex::quantity(frame.value)),
        ("gas".to_owned(), hex::quantity(frame.gas)),
        ("gasUsed".to_owned(), hex::quantity(frame.gas_used)),
        ("input".to_owned(), hex::bytes(&frame.input)),
        ("output".to_owned(), hex::bytes(&frame.output)),
    ]);
    if let Some(error) = frame.error {
        shown.insert("error".to_owned(), json!(error));
    }
    if !calls.is_empty() {
        shown.insert("calls".to_owned(), Value::Array(calls));
    }
    Value::Object(shown)
}
