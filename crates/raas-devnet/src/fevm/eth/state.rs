//! Reads of state, and calls that leave none.

use super::{
    context::Context,
    hex,
    params::{BlockRef, Params},
};
use crate::{
    fevm::{ActorCalls, Trial, unmasked},
    rpc::RpcError,
    world::StateAt,
};
use alloy_primitives::{Address, U256};
use serde_json::Value;

/// `eth_getBalance`.
pub(super) fn balance(context: Context<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    params.count(1, 2)?;
    let address = context.canonical(params.address(0)?);
    let height = context.state(&params.block(1)?)?;
    let balance = match unmasked(&address) {
        Some(actor) => context.actors(height).native_balance(actor),
        None => context.world.fevm.account(&address, StateAt::after(height)).map(|account| account.balance),
    };
    Ok(hex::quantity(balance.unwrap_or_default()))
}

/// `eth_getTransactionCount`; `pending` counts what waits in the mempool.
pub(super) fn nonce(context: Context<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    params.count(1, 2)?;
    let address = context.canonical(params.address(0)?);
    let block = params.block(1)?;
    if block == BlockRef::Tag("pending".to_owned()) {
        return Ok(hex::quantity(context.world.fevm.next_nonce(&address)));
    }
    let at = StateAt::after(context.state(&block)?);
    let native = || {
        let wallet = context.world.actors.wallet(unmasked(&address)?, at)?;
        Some(wallet.nonce)
    };
    let account = context.world.fevm.account(&address, at).map(|account| account.nonce);
    Ok(hex::quantity(account.or_else(native).unwrap_or_default()))
}

/// `eth_getCode`.
pub(super) fn code(context: Context<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    params.count(1, 2)?;
    let address = context.canonical(params.address(0)?);
    let at = StateAt::after(context.state(&params.block(1)?)?);
    Ok(hex::bytes(&context.world.fevm.code(&address, at)))
}

/// `eth_getStorageAt`.
pub(super) fn storage(context: Context<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    params.count(2, 3)?;
    let address = context.canonical(params.address(0)?);
    let slot: U256 = params.quantity(1)?;
    let at = StateAt::after(context.state(&params.block(2)?)?);
    Ok(hex::word(context.world.fevm.storage(&address, &slot, at)))
}

/// `eth_call`.
pub(super) fn call(context: Context<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    params.count(1, 2)?;
    let trial = trial(context, params)?;
    let height = context.state(&params.block(1)?)?;
    let output = context.world.fevm.call(&trial, context.tipset(height), &context.actors(height))?;
    Ok(hex::bytes(&output))
}

/// `eth_estimateGas`.
pub(super) fn estimate(context: Context<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    params.count(1, 2)?;
    let trial = trial(context, params)?;
    // Without a block, what was sent but not yet executed counts.
    let block = match params.get(1) {
        Value::Null => BlockRef::Tag("pending".to_owned()),
        _ => params.block(1)?,
    };
    let height = context.state(&block)?;
    let gas = context.world.fevm.estimate(&trial, context.tipset(height), &context.actors(height))?;
    Ok(hex::quantity(gas))
}

fn trial(context: Context<'_>, params: Params<'_>) -> Result<Trial, RpcError> {
    let canonical = |address: Option<Address>| address.map(|address| context.canonical(address));
    let trial = params.trial(0)?;
    Ok(Trial { from: canonical(trial.from), to: canonical(trial.to), ..trial })
}
