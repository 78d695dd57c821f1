//! `Chain*`: tipsets by height and key.

use super::{RpcError, encode, gateway, native, params::Params, view::View};
use crate::world::TipsetError;
use cid::Cid;
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
    Ok(encode::tipset(view.world, &view.tipset_of_key(&params.key(0)?)?))
}

/// `ChainGetBlock [cid]`
pub(super) fn block(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let cid = params.cid(0)?;
    let tipset = view.tipset(height_of_block(view, &cid)?)?;
    let index = tipset.key.iter().position(|block| *block == cid).ok_or_else(|| unknown(&cid))?;
    Ok(encode::block(view.world, &tipset, index))
}

/// The height of the tipset that a block belongs to.
pub(super) fn height_of_block(view: View<'_>, cid: &Cid) -> Result<i64, RpcError> {
    let height = view.world.chain().height_of_block(cid).filter(|height| *height <= view.head);
    height.ok_or_else(|| unknown(cid))
}

fn unknown(cid: &Cid) -> RpcError {
    RpcError::from(TipsetError::UnknownKey(cid.to_string()))
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

/// `ChainGetPath [from, to]`: what is reverted and applied on the way, on one branch.
pub(super) fn path(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let (from, to) = (view.height_at(params, 0)?, view.height_at(params, 1)?);
    let chain = view.world.chain();
    let (kind, mut heights) = if from <= to { ("apply", from..to) } else { ("revert", to..from) };
    let mut steps = Vec::new();
    while let Some(height) = heights.next() {
        let height = chain.at_or_after(height + 1);
        steps.push(json!({ "Type": kind, "Val": show(view, height)? }));
        heights.start = height;
    }
    if kind == "revert" {
        steps.reverse();
    }
    Ok(Value::Array(steps))
}

/// `ChainGetEvents [root]`: receipts name no roots here, so that there is none to ask for.
pub(super) fn events_of_root(params: Params<'_>) -> Result<Value, RpcError> {
    let root = params.cid(0)?;
    Err(RpcError::other(format!("failed to load events: ipld: could not find {root}")))
}

/// `Discover []`: what is served, as far as names go.
pub(super) fn discover(view: View<'_>) -> Value {
    let served = native::methods().filter(|name| !view.lens.is_gateway() || gateway::lists(name));
    let methods: Vec<Value> =
        served.map(|name| json!({ "name": format!("Filecoin.{name}"), "params": [] })).collect();
    json!({ "openrpc": "1.2.6", "info": { "title": "raas-devnet", "version": "1" }, "methods": methods })
}

/// `ChainReadObj [cid]`: a block of a state that was read before. Miners have theirs; other actors' states are opaque
/// here.
pub(super) fn read_object(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let cid = params.cid(0)?;
    view.lens.check_age(view.head, view.head)?;
    let block = view.world.ipld.get(&cid);
    let block =
        block.ok_or_else(|| RpcError::other(format!("blockstore get: ipld: could not find {cid}")))?;
    Ok(json!(encode::base64(&block)))
}

/// `ChainHasObj [cid]`
pub(super) fn has_object(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    Ok(json!(view.world.ipld.get(&params.cid(0)?).is_some()))
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
        if view.lens.is_gateway() {
            return Err(RpcError::other("bad tipset height: tipset height in future"));
        }
        return Err(TipsetError::Future { asked, head: start }.into());
    }
    view.lens.check_age(asked, view.head)?;
    Ok(asked)
}

fn show(view: View<'_>, height: i64) -> Result<Value, RpcError> {
    Ok(encode::tipset(view.world, &view.tipset(height)?))
}
