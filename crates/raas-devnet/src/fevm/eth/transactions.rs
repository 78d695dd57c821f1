//! Transactions and receipts.

use super::{blocks, context::Context, hex, logs, params::Params};
use crate::{
    fevm::{Executed, Kind, Transaction},
    rpc::RpcError,
};
use serde_json::{Value, json};

/// How far back a gateway shows receipts.
const RECEIPTS_SHOWN: i64 = 20;

/// A transaction in a block.
pub(super) fn mined(context: Context<'_>, height: i64, index: usize, executed: &Executed) -> Value {
    let place = json!({
        "blockHash": hex::word(context.hash(height)),
        "blockNumber": hex::height(height),
        "transactionIndex": hex::index(index),
    });
    render(context, &executed.transaction, place)
}

fn pending(context: Context<'_>, transaction: &Transaction) -> Value {
    render(context, transaction, json!({ "blockHash": null, "blockNumber": null, "transactionIndex": null }))
}

fn render(context: Context<'_>, transaction: &Transaction, mut fields: Value) -> Value {
    let chain_id = context.lens.chain_id(context.world.fevm.chain_id());
    let signature = &transaction.signature;
    let parity = u64::from(signature.v());
    let own = json!({
        "hash": hex::word(transaction.hash),
        "nonce": hex::quantity(transaction.nonce),
        "from": hex::address(&transaction.from),
        "to": transaction.to.to().map(hex::address),
        "value": hex::quantity(transaction.value),
        "input": hex::bytes(&transaction.input),
        "gas": hex::quantity(transaction.gas_limit),
        "chainId": hex::quantity(chain_id),
        "r": hex::quantity(signature.r()),
        "s": hex::quantity(signature.s()),
    });
    let by_kind = match transaction.kind {
        Kind::DynamicFee | Kind::Native => json!({
            "type": "0x2",
            "accessList": [],
            "maxFeePerGas": hex::quantity(transaction.fee_cap),
            "maxPriorityFeePerGas": hex::quantity(transaction.premium),
            "gasPrice": hex::quantity(transaction.fee_cap),
            "v": hex::quantity(parity),
            "yParity": hex::quantity(parity),
        }),
        Kind::Legacy { bound_to_chain } => json!({
            "type": "0x0",
            "gasPrice": hex::quantity(transaction.fee_cap),
            "v": hex::quantity(if bound_to_chain { chain_id * 2 + 35 + parity } else { 27 + parity }),
        }),
    };
    if let Value::Object(fields) = &mut fields {
        for part in [own, by_kind] {
            if let Value::Object(part) = part {
                fields.extend(part);
            }
        }
    }
    fields
}

fn receipt(context: Context<'_>, height: i64, index: usize, executed: &Executed) -> Value {
    let transaction = &executed.transaction;
    json!({
        "transactionHash": hex::word(transaction.hash),
        "transactionIndex": hex::index(index),
        "blockHash": hex::word(context.hash(height)),
        "blockNumber": hex::height(height),
        "from": hex::address(&transaction.from),
        "to": transaction.to.to().map(hex::address),
        "root": hex::word([0; 32]),
        "status": if executed.exit.is_ok() { "0x1" } else { "0x0" },
        "contractAddress": executed.contract.as_ref().map(hex::address),
        "cumulativeGasUsed": "0x0",
        "gasUsed": hex::quantity(executed.gas_used),
        "effectiveGasPrice": hex::quantity(executed.charge.effective_price(executed.gas_used)),
        "logsBloom": hex::bytes(blocks::bloom(std::slice::from_ref(executed)).as_slice()),
        "logs": logs::of_transaction(context, height, index, executed),
        "type": match transaction.kind { Kind::DynamicFee | Kind::Native => "0x2", Kind::Legacy { .. } => "0x0" },
    })
}

/// `eth_getTransactionByHash`: mined, waiting, or null. A transaction in the head counts as waiting.
pub(super) fn by_hash(context: Context<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    params.count(1, 1)?;
    let hash = params.hash(0)?;
    let fevm = &context.world.fevm;
    if let Some((height, index, executed)) = fevm.find(&hash) {
        return Ok(if height <= context.latest() {
            mined(context, height, index, executed)
        } else {
            pending(context, &executed.transaction)
        });
    }
    Ok(fevm.waiting(&hash).map_or(Value::Null, |transaction| pending(context, transaction)))
}

/// `eth_getTransactionReceipt`: null until the including tipset has a child.
pub(super) fn receipt_by_hash(context: Context<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    params.count(1, 1)?;
    let oldest = if context.lens.is_gateway() { context.head - RECEIPTS_SHOWN } else { 0 };
    let shown = oldest..=context.latest();
    let found = context.world.fevm.find(&params.hash(0)?).filter(|(height, ..)| shown.contains(height));
    Ok(found.map_or(Value::Null, |(height, index, executed)| receipt(context, height, index, executed)))
}

/// `eth_getBlockReceipts`.
pub(super) fn block_receipts(context: Context<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    params.count(1, 1)?;
    let height = context.block(&params.block(0)?)?;
    if height > context.latest() {
        return Err(RpcError::other("receipts for the requested block are not yet available"));
    }
    let executed = context.world.fevm.executed(height).iter().enumerate();
    Ok(executed.map(|(index, executed)| receipt(context, height, index, executed)).collect())
}

/// `eth_getTransactionByBlockNumberAndIndex` and `..HashAndIndex`.
pub(super) fn by_place(context: Context<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    params.count(2, 2)?;
    let height = context.block(&params.block(0)?)?;
    let index = usize::try_from(params.quantity(1)?).unwrap_or(usize::MAX);
    let executed = context.world.fevm.executed(height).get(index);
    executed.map(|executed| mined(context, height, index, executed)).ok_or_else(|| {
        RpcError::other(format!("failed to get transaction: index {index} out of range at height {height}"))
    })
}
