//! `Chain*`: tipsets by height and key.

use super::{RpcError, encode, params::Params, view::View};
use crate::world::TipsetError;
use serde_json::{Value, json};

/// `ChainHead []`
pub(super) fn head(view: View<'_>) -> Result<Value, RpcError> {
    show(view, view.head)
}

/// `ChainGetFinalizedTipSet []`
pub(super) fn finalized(view: View<'_>) -> Result<Value, RpcError> {
    show(view, view.finalized())
}

/// `ChainGetGenesis []`
pub(super) fn genesis(view: View<'_>) -> Result<Value, RpcError> {
    show(view, 0)
}

/// `ChainGetTipSet [key]`
pub(super) fn by_key(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    show(view, view.height_at(params, 0)?)
}

/// `ChainGetBlock [cid]`
pub(super) fn block(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let height = view.height(&[params.cid(0)?])?;
    Ok(encode::block(view.world, &view.tipset(height)?))
}

/// `ChainGetTipSetByHeight [epoch, key]`: at a null round the closest earlier tipset.
pub(super) fn by_height(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let asked = asked(view, params)?;
    show(view, view.world.chain().at_or_before(asked))
}

/// `ChainGetTipSetAfterHeight [epoch, key]`: at a null round the next later tipset.
pub(super) fn after_height(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let asked = asked(view, params)?;
    show(view, view.world.chain().at_or_after(asked))
}

/// `ChainNotify` and the like need a socket.
pub(super) fn needs_socket(method: &str) -> RpcError {
    RpcError::coded(-32601, format!("method '{method}' not supported in this mode (no out channel support)"))
}

/// `Version []`
pub(super) fn version(view: View<'_>) -> Value {
    json!({
        "Version": concat!("raas-devnet-", env!("CARGO_PKG_VERSION")),
        "APIVersion": 131_840,
        "BlockDelay": view.world.config().block_delay_secs,
        "Agent": "raas-devnet",
    })
}

fn asked(view: View<'_>, params: Params<'_>) -> Result<i64, RpcError> {
    let asked: i64 = params.get(0)?;
    let start = view.height_at(params, 1)?;
    if asked < 0 {
        return Err(TipsetError::Negative(asked).into());
    }
    if asked > start {
        return Err(TipsetError::Future { asked, head: start }.into());
    }
    Ok(asked)
}

fn show(view: View<'_>, height: i64) -> Result<Value, RpcError> {
    Ok(encode::tipset(view.world, &view.tipset(height)?))
}
