//! Prices, as blocks with room have them.

use super::{context::Context, hex, params::Params};
use crate::{
    fevm::{BLOCK_LIMIT, Executed, MIN_PREMIUM},
    rpc::RpcError,
};
use serde_json::{Value, json};

/// The most blocks `eth_feeHistory` covers.
const MAX_BLOCKS: u64 = 1_024;
/// The same through a gateway.
const GATEWAY_BLOCKS: u64 = 128;

/// `eth_gasPrice`: base fee and premium.
pub(super) fn price(context: Context<'_>) -> Value {
    hex::quantity(base(context).saturating_add(MIN_PREMIUM))
}

/// The base fee of the next block.
pub(super) fn base(context: Context<'_>) -> u64 {
    context.world.chain().base_fee(context.head + 1)
}

/// `eth_feeHistory` over existing blocks, null rounds skipped.
pub(super) fn history(context: Context<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    params.count(2, 3)?;
    let count: u64 = params.quantity(0)?.saturating_to();
    let most = if context.lens.is_gateway() { GATEWAY_BLOCKS } else { MAX_BLOCKS };
    if count > most {
        return Err(RpcError::other(format!("block count should be smaller than {most}")));
    }
    let percentiles = percentiles(params)?;
    let mut height = context.state(&params.block(1)?)?;
    let mut heights = Vec::new();
    while height >= 0 && u64::try_from(heights.len()).unwrap_or(u64::MAX) < count {
        heights.push(height);
        height = context.world.chain().parent(height);
    }
    heights.reverse();
    let blocks: Vec<&[Executed]> =
        heights.iter().map(|height| context.world.fevm.executed(*height)).collect();
    let next = heights.last().map(|last| last + 1);
    let fees: Vec<Value> = heights
        .iter()
        .copied()
        .chain(next)
        .map(|height| hex::quantity(context.world.chain().base_fee(height)))
        .collect();
    let mut answer = json!({
        "oldestBlock": hex::height(heights.first().copied().unwrap_or(0)),
        "baseFeePerGas": fees,
        "gasUsedRatio": blocks.iter().map(|block| used_ratio(block)).collect::<Vec<f64>>(),
    });
    if !percentiles.is_empty() {
        let rewards: Vec<Vec<Value>> = blocks
            .iter()
            .map(|block| {
                percentiles.iter().map(|percentile| hex::quantity(reward(block, *percentile))).collect()
            })
            .collect();
        answer["reward"] = json!(rewards);
    }
    Ok(answer)
}

fn percentiles(params: Params<'_>) -> Result<Vec<f64>, RpcError> {
    let values = match params.get(2) {
        Value::Null => return Ok(Vec::new()),
        Value::Array(values) => values,
        _ => return Err(params.error("reward percentiles must be an array")),
    };
    let numbers: Vec<f64> = values.iter().filter_map(Value::as_f64).collect();
    let rising = numbers.windows(2).all(|pair| matches!(pair, [a, b] if a <= b));
    if numbers.len() != values.len()
        || !rising
        || numbers.iter().any(|number| !(0.0..=100.0).contains(number))
    {
        return Err(params.error("reward percentiles must be rising numbers from 0 to 100"));
    }
    Ok(numbers)
}

fn used_ratio(block: &[Executed]) -> f64 {
    let used: u64 = block.iter().map(|executed| executed.gas_used).sum();
    // Both are below 2^53, so that the division is exact enough for a ratio.
    used as f64 / BLOCK_LIMIT as f64
}

/// The premium at this percentile of gas used, or the least useful one for an empty block.
fn reward(block: &[Executed], percentile: f64) -> u128 {
    let mut paid: Vec<(u128, u64)> =
        block.iter().map(|executed| (executed.transaction.premium, executed.gas_used)).collect();
    paid.sort_unstable();
    let total: u64 = paid.iter().map(|(_, gas)| gas).sum();
    let wanted = total as f64 * percentile / 100.0;
    let mut seen = 0;
    for (premium, gas) in &paid {
        seen += gas;
        if seen as f64 >= wanted {
            return *premium;
        }
    }
    u128::from(MIN_PREMIUM)
}
