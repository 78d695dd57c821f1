//! `StateCall`, `Mpool*`, `StateSearchMsg`, gas estimates.

use super::{RpcError, encode, lens::GATEWAY_SEARCH, params::Params, view::View};
use crate::{
    codec::{Message, SignedMessage, from_cbor, to_cbor},
    world::{
        CallResult, Command, CommandError, MARKET, NativeReceipt, Outcome, StateAt, World, reads_a_deal,
    },
};
use cid::Cid;
use raas_core::units::AttoFil;
use serde_json::{Value, json};

/// Exit code of a call to an actor that is not there.
const INVALID_RECEIVER: i64 = 5;
/// The most epochs that a waiter may want to stand on a message.
const CONFIDENCE_MAX: i64 = 900;

/// `StateCall [message, key]`: an actor's failure is an exit code, not an error.
pub(super) fn state_call(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let message: Message = params.get(0)?;
    let at = view.state(params, 1)?;
    if view.world.actors.lookup(&message.from, at).is_none() {
        let from = encode::address(&message.from);
        return Err(RpcError::other(format!("call raw get actor: sender {from} not found on chain")));
    }
    let result = match view.world.actors.lookup(&message.to, at) {
        Some(to) => match view.lens.forgets_deals() {
            Some(exit) if to == MARKET && reads_a_deal(message.method) => {
                CallResult { exit, ..CallResult::default() }
            }
            _ => view.world.call_actor(at, to, message.method, &message.params),
        },
        None => CallResult { exit: INVALID_RECEIVER, ..CallResult::default() },
    };
    let exit = if result.exit < 0 { INVALID_RECEIVER } else { result.exit };
    let cid = message.cid().map_err(|error| RpcError::other(error.to_string()))?;
    Ok(invocation(&message, &cid, exit, &result.ret))
}

/// `StateReplay [key, cid]`: what an executed message came to.
pub(super) fn replay(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    view.height_at(params, 0)?;
    let cid = params.cid(1)?;
    let Some(found) = view.world.find_message(&cid, view.head) else {
        return Err(RpcError::other(format!("could not find message {cid} in execution")));
    };
    Ok(invocation(&found.message, &found.cid, found.exit, &found.ret))
}

fn invocation(message: &Message, cid: &Cid, exit: i64, ret: &[u8]) -> Value {
    let gas_used = World::gas_of(message);
    let receipt = json!({
        "ExitCode": exit,
        "Return": encode::base64_or_null(ret),
        "GasUsed": gas_used,
        "EventsRoot": null,
    });
    let error = if exit == 0 { String::new() } else { format!("message failed with exit code {exit}") };
    json!({
        "MsgCid": encode::link(cid),
        "Msg": message_json(message),
        "MsgRct": receipt,
        "GasCost": {
            "Message": encode::link(cid), "GasUsed": gas_used.to_string(), "BaseFeeBurn": "0",
            "OverEstimationBurn": "0", "MinerPenalty": "0", "MinerTip": "0", "Refund": "0", "TotalCost": "0",
        },
        "ExecutionTrace": { "Msg": message_json(message), "MsgRct": receipt, "GasCharges": [], "Subcalls": null },
        "Error": error,
        "Duration": 0,
    })
}

/// `GasEstimateGasPremium [blocks, sender, limit, key]`
pub(super) fn premium(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let _within: u64 = params.get(0)?;
    view.actor(&params.address(1)?, view.state(params, 3)?)?;
    let (_, premium) = World::fees_above(view.world.chain().base_fee(view.head + 1));
    Ok(json!(premium))
}

/// A message with this network's addresses and its CID, as nodes print it.
pub(super) fn message_json(message: &Message) -> Value {
    let mut value = json!(message);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("To".to_owned(), json!(encode::address(&message.to)));
        fields.insert("From".to_owned(), json!(encode::address(&message.from)));
        fields.insert("Params".to_owned(), encode::base64_or_null(&message.params));
        if let Ok(cid) = message.cid() {
            fields.insert("CID".to_owned(), encode::link(&cid));
        }
    }
    value
}

/// `MpoolPush [{Message, Signature}]`
pub(super) fn push(world: &mut World, params: Params<'_>) -> Result<Value, RpcError> {
    let signed: SignedMessage = params.get(0)?;
    let encoded = to_cbor(&signed.message).map_err(|error| RpcError::other(error.to_string()))?;
    let command =
        Command::Push { message: hex::encode(encoded), signature: hex::encode(signed.signature.to_bytes()) };
    match world.apply(command) {
        Ok(Outcome::Message(cid)) => Ok(encode::link(&cid)),
        Ok(other) => Err(RpcError::other(format!("pushing a message answered {other:?}"))),
        Err(CommandError::Mempool(why)) => Err(RpcError::other(why)),
        Err(error) => Err(RpcError::other(error.to_string())),
    }
}

/// `MpoolGetNonce [address]`
pub(super) fn nonce(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let id = view.actor(&params.address(0)?, StateAt::after(view.head))?;
    Ok(json!(view.world.next_nonce(id)))
}

/// `MpoolPending [key]`
pub(super) fn pending(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    view.height_at(params, 0)?;
    let waiting = view.world.pending_messages();
    Ok(waiting
        .map(|(signed, cid)| {
            json!({
                "Message": message_json(&signed.message),
                "Signature": signed.signature,
                "CID": encode::link(cid),
            })
        })
        .collect())
}

/// `GasEstimateMessageGas [message, {MaxFee}, key]`
pub(super) fn estimate(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let mut message: Message = params.get(0)?;
    let at = view.state(params, 2)?;
    view.actor(&message.from, at)?;
    let (fee_cap, premium) = World::fees_above(view.world.chain().base_fee(view.head + 1));
    if message.gas_limit == 0 {
        message.gas_limit = i64::try_from(World::gas_of(&message) * 5 / 4).unwrap_or(i64::MAX);
    }
    if message.gas_premium == AttoFil::ZERO {
        message.gas_premium = premium;
    }
    if message.gas_fee_cap == AttoFil::ZERO {
        message.gas_fee_cap = fee_cap;
    }
    Ok(message_json(&message))
}

/// `StateSearchMsg [from, cid, lookback, allowReplaced]`: null until the including tipset has a child.
pub(super) fn search(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let from = view.height_at(params, 0)?;
    let (cid, lookback) = (params.cid(1)?, params.get(2)?);
    let _allow_replaced: bool = params.get(3)?;
    Ok(lookup(view, from, &cid, lookback)?.map_or(Value::Null, |(_, found)| found))
}

/// `StateWaitMsg [cid, confidence, lookback, allowReplaced]`: `None` while the message has no receipt, or less than
/// `confidence` epochs stand on the tipset that executed it.
pub(super) fn waited(view: View<'_>, params: Params<'_>) -> Result<Option<Value>, RpcError> {
    let (cid, confidence): (Cid, i64) = (params.cid(0)?, params.get(1)?);
    let _allow_replaced: bool = params.get(3)?;
    if view.lens.is_gateway() && confidence > GATEWAY_SEARCH {
        return Err(RpcError::other(format!(
            "confidence {confidence} exceeds gateway maximum {GATEWAY_SEARCH}"
        )));
    }
    if confidence > CONFIDENCE_MAX {
        let text = format!("confidence {confidence} is too large, the maximum is {CONFIDENCE_MAX}");
        return Err(RpcError::other(text));
    }
    let found = lookup(view, view.head, &cid, params.get(2)?)?;
    Ok(found.filter(|(executed, _)| view.head - executed >= confidence).map(|(_, found)| found))
}

/// Where a message was executed, and what became of it.
fn lookup(view: View<'_>, from: i64, cid: &Cid, lookback: i64) -> Result<Option<(i64, Value)>, RpcError> {
    let lookback = match lookback {
        // A gateway searches no further, whatever it is asked, and does not say so.
        own if view.lens.is_gateway() && !(0..=GATEWAY_SEARCH).contains(&own) => GATEWAY_SEARCH,
        own => own,
    };
    let Some(found) = view.world.find_message(cid, from) else { return Ok(None) };
    let executed = view.world.chain().at_or_after(found.included + 1);
    if lookback >= 0 && from - executed > lookback {
        return Ok(None);
    }
    let tipset = view.tipset(executed)?;
    let told = json!({
        "Message": encode::link(&found.cid),
        "Receipt": {
            "ExitCode": found.exit,
            "Return": encode::base64_or_null(&found.ret),
            "GasUsed": found.gas_used,
            "EventsRoot": null,
        },
        "ReturnDec": decoded(found),
        "TipSet": encode::key(&tipset.key),
        "Height": executed,
    });
    Ok(Some((executed, told)))
}

/// What nodes decode of a publish message's return: ids and the valid proposals.
fn decoded(receipt: &NativeReceipt) -> Value {
    if receipt.exit != 0 || !matches!(receipt.message.method, 4 | 2_236_929_350) {
        return Value::Null;
    }
    from_cbor::<(Vec<u64>, crate::codec::Bitfield)>(&receipt.ret)
        .map_or(Value::Null, |(ids, valid)| json!({ "IDs": ids, "ValidDeals": valid.runs() }))
}
