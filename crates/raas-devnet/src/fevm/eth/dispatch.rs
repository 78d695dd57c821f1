//! From a method's name to its answer.

use super::{
    blocks, context::Context, fees, hex, logs, logs::LogFilter, params::Params, state, traces, transactions,
};
use crate::{
    fevm::MIN_PREMIUM,
    rpc::{Lens, RpcError},
    world::{Command, Outcome, World},
};
use serde_json::{Value, json};

/// What `web3_clientVersion` answers: nobody shall take this for a real network's node.
const CLIENT: &str = concat!("raas-devnet/", env!("CARGO_PKG_VERSION"));

/// Answers `eth_*`, `trace_*`, `net_*` and `web3_*` with the world's head.
pub fn handle(world: &mut World, method: &str, params: &Value) -> Result<Value, RpcError> {
    let head = world.chain().head();
    handle_as(world, head, &Lens::default(), method, params)
}

/// As [`handle`], but as an endpoint sees it whose head stands at `head`, at or before the world's.
pub(crate) fn handle_as(
    world: &mut World,
    head: i64,
    lens: &Lens,
    method: &str,
    params: &Value,
) -> Result<Value, RpcError> {
    let params = Params::new(method, params)?;
    if method == "eth_sendRawTransaction" {
        let (shown, own) = (lens.chain_id(world.fevm.chain_id()), world.fevm.chain_id());
        if shown != own {
            let text = format!("invalid chain id: {own}, this network is {shown}");
            return Err(RpcError::other(text));
        }
        return send(world, params);
    }
    read(Context { world, head, lens }, params)
}

/// The block at `height` as a subscriber to heads is told of it.
pub(crate) fn head(world: &World, lens: &Lens, height: i64) -> Value {
    let mut block = blocks::render(Context { world, head: height, lens }, height, false);
    if let Some(fields) = block.as_object_mut() {
        fields.retain(|name, _| {
            !matches!(name.as_str(), "transactions" | "uncles" | "totalDifficulty" | "size")
        });
    }
    block
}

/// The logs of the block at `height` that a filter wants.
pub(crate) fn logs_of(world: &World, lens: &Lens, filter: &LogFilter, height: i64) -> Vec<Value> {
    logs::of_block(Context { world, head: height + 1, lens }, height, filter)
}

fn read(context: Context<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let chain_id = context.lens.chain_id(context.world.fevm.chain_id());
    match params.method {
        "eth_chainId" => Ok(hex::quantity(chain_id)),
        "eth_blockNumber" => Ok(hex::height(context.latest())),
        "eth_syncing" => Ok(Value::Bool(false)),
        "eth_accounts" => Ok(json!([])),
        "eth_protocolVersion" => Ok(hex::quantity(context.world.config().network_version)),
        "eth_gasPrice" => Ok(fees::price(context)),
        "eth_baseFee" => Ok(hex::quantity(fees::base(context))),
        "eth_maxPriorityFeePerGas" => Ok(hex::quantity(MIN_PREMIUM)),
        "eth_feeHistory" => fees::history(context, params),
        "eth_getBlockByNumber" | "eth_getBlockByHash" => blocks::get(context, params),
        "eth_getBlockTransactionCountByNumber" | "eth_getBlockTransactionCountByHash" => {
            blocks::transaction_count(context, params)
        }
        "eth_getTransactionByHash" => transactions::by_hash(context, params),
        "eth_getTransactionByBlockNumberAndIndex" | "eth_getTransactionByBlockHashAndIndex" => {
            transactions::by_place(context, params)
        }
        "eth_getTransactionReceipt" => transactions::receipt_by_hash(context, params),
        "eth_getBlockReceipts" => transactions::block_receipts(context, params),
        "eth_getTransactionCount" => state::nonce(context, params),
        "eth_getBalance" => state::balance(context, params),
        "eth_getCode" => state::code(context, params),
        "eth_getStorageAt" => state::storage(context, params),
        "eth_call" => state::call(context, params),
        "eth_estimateGas" => state::estimate(context, params),
        "eth_getLogs" => logs::get(context, params),
        "trace_block" => traces::block(context, params),
        "trace_transaction" => traces::transaction(context, params),
        "trace_replayBlockTransactions" => traces::replay(context, params),
        "trace_filter" => traces::filter(context, params),
        "trace_call" if context.lens.is_forest() => traces::call(context, params),
        "debug_traceTransaction" if context.lens.is_forest() => traces::debug(context, params),
        "net_version" => Ok(Value::String(chain_id.to_string())),
        "net_listening" => Ok(Value::Bool(true)),
        "web3_clientVersion" => Ok(Value::String(CLIENT.to_owned())),
        other => Err(RpcError::unknown_method(other)),
    }
}

fn send(world: &mut World, params: Params<'_>) -> Result<Value, RpcError> {
    params.count(1, 1)?;
    let raw = ::hex::encode(params.bytes(0)?);
    match world.apply(Command::PushEth { raw }).map_err(|error| RpcError::other(error.to_string()))? {
        Outcome::Transaction(hash) => Ok(hex::word(hash)),
        other => Err(RpcError::other(format!("sending a transaction answered {other:?}"))),
    }
}
