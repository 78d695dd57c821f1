//! Tipsets as Ethereum blocks.

use super::{context::Context, hex, params::Params, transactions};
use crate::{
    fevm::{BLOCK_LIMIT, Executed, masked},
    rpc::RpcError,
};
use alloy_primitives::{Bloom, BloomInput};
use serde_json::{Value, json};

/// keccak of an empty list of uncles; no tipset has any.
const NO_UNCLES: &str = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347";
/// Root of an empty trie.
const EMPTY_ROOT: &str = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421";

/// The block of the tipset at `height`, with whole transactions or their hashes.
pub(super) fn render(context: Context<'_>, height: i64, whole: bool) -> Value {
    let chain = context.world.chain();
    let executed = context.world.fevm.executed(height);
    let transactions: Vec<Value> = executed
        .iter()
        .enumerate()
        .map(|(index, executed)| {
            if whole {
                transactions::mined(context, height, index, executed)
            } else {
                hex::word(executed.transaction.hash)
            }
        })
        .collect();
    let root = |what: &str| {
        let empty = Value::String(EMPTY_ROOT.to_owned());
        if executed.is_empty() { empty } else { hex::bytes(chain.object_cid(what, height).hash().digest()) }
    };
    let gas_used: u64 = executed.iter().map(|executed| executed.gas_used).sum();
    json!({
        "hash": hex::word(context.hash(height)),
        "parentHash": hex::word(context.hash(chain.parent(height).max(0))),
        "sha3Uncles": NO_UNCLES,
        "miner": hex::address(&masked(context.world.block_miner())),
        "stateRoot": hex::bytes(chain.object_cid("eth-state", height).hash().digest()),
        "transactionsRoot": root("messages"),
        "receiptsRoot": root("receipts"),
        "logsBloom": hex::bytes(bloom(executed).as_slice()),
        "difficulty": "0x0",
        "totalDifficulty": "0x0",
        "number": hex::height(height),
        "gasLimit": hex::quantity(BLOCK_LIMIT.saturating_mul(chain.block_count(height))),
        "gasUsed": hex::quantity(gas_used),
        "timestamp": hex::quantity(chain.timestamp(height)),
        "extraData": "0x",
        "mixHash": hex::word([0; 32]),
        "nonce": "0x0000000000000000",
        "baseFeePerGas": hex::quantity(chain.base_fee(height)),
        "size": "0x0",
        "transactions": transactions,
        "uncles": [],
    })
}

/// The bloom over contracts and topics of all logs.
pub(super) fn bloom(executed: &[Executed]) -> Bloom {
    let mut bloom = Bloom::default();
    for log in executed.iter().flat_map(|executed| &executed.logs) {
        bloom.accrue(BloomInput::Raw(log.address.as_slice()));
        for topic in log.topics() {
            bloom.accrue(BloomInput::Raw(topic.as_slice()));
        }
    }
    bloom
}

/// `eth_getBlockByNumber` and `eth_getBlockByHash`.
pub(super) fn get(context: Context<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    params.count(1, 2)?;
    let height = context.block(&params.block(0)?)?;
    Ok(render(context, height, params.flag(1)))
}

/// `eth_getBlockTransactionCountByNumber` and `..ByHash`.
pub(super) fn transaction_count(context: Context<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    params.count(1, 1)?;
    let height = context.block(&params.block(0)?)?;
    Ok(hex::index(context.world.fevm.executed(height).len()))
}
