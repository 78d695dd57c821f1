//! `ChainGetParentMessages` and `ChainGetParentReceipts`: what a block's parent tipset executed, in its order.

use super::chain::height_of_block;
use super::{RpcError, encode, messages::message_json, params::Params, view::View};
use crate::world::NativeReceipt;
use serde_json::{Value, json};

/// The messages of the parent of block `[cid]`, each with the CID by which it is looked up.
pub(super) fn messages(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    Ok(listed(executed(view, params)?))
}

/// `ChainGetMessagesInTipset [key]`: what the tipset includes; the next one executes it.
pub(super) fn included(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let height = view.height_at(params, 0)?;
    Ok(listed(view.world.receipts_at(height)))
}

fn listed(receipts: &[NativeReceipt]) -> Value {
    let message = |receipt: &NativeReceipt| json!({ "Cid": encode::link(&receipt.cid), "Message": message_json(&receipt.message) });
    receipts.iter().map(message).collect()
}

/// Their receipts, one for each.
pub(super) fn receipts(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let executed = executed(view, params)?;
    Ok(executed
        .iter()
        .map(|receipt| {
            json!({
                "ExitCode": receipt.exit,
                "Return": encode::base64_or_null(&receipt.ret),
                "GasUsed": receipt.gas_used,
                "EventsRoot": null,
            })
        })
        .collect())
}

fn executed<'a>(view: View<'a>, params: Params<'_>) -> Result<&'a [NativeReceipt], RpcError> {
    let height = height_of_block(view, &params.cid(0)?)?;
    Ok(view.world.receipts_at(view.world.chain().at_or_before(height - 1)))
}
