//! How the native API writes what it knows: CID links, addresses with `t`, tipsets, base64.

use crate::{
    codec::{Address, Network},
    world::{Chain, Tipset, World},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use cid::Cid;
use raas_core::ids::ActorId;
use serde_json::{Value, json};

/// A CID link.
pub(super) fn link(cid: &Cid) -> Value {
    json!({ "/": cid.to_string() })
}

/// A list of CID links.
pub(super) fn key(cids: &[Cid]) -> Value {
    Value::Array(cids.iter().map(link).collect())
}

/// An address as a test network prints it.
pub(super) fn address(address: &Address) -> String {
    address.text(Network::Testnet)
}

/// An actor's id address.
pub(super) fn id_address(id: ActorId) -> String {
    address(&Address::Id(id))
}

/// Bytes as standard base64.
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Bytes as standard base64, none as null.
pub(super) fn base64_or_null(bytes: &[u8]) -> Value {
    if bytes.is_empty() { Value::Null } else { Value::String(base64(bytes)) }
}

/// A tipset with its one block.
pub(super) fn tipset(world: &World, tipset: &Tipset) -> Value {
    let block = block(world, tipset);
    json!({ "Cids": key(&tipset.key), "Blocks": [block], "Height": tipset.height })
}

/// The block of a tipset.
pub(super) fn block(world: &World, tipset: &Tipset) -> Value {
    let chain = world.chain();
    let proof = |what| base64(&chain.derive(what, tipset.height));
    let parents: Vec<Value> =
        if tipset.parent < 0 { Vec::new() } else { vec![link(&chain.block_cid(tipset.parent))] };
    json!({
        "Miner": id_address(world.block_miner()),
        "Ticket": { "VRFProof": proof("ticket") },
        "ElectionProof": { "WinCount": 1, "VRFProof": proof("election") },
        "BeaconEntries": null,
        "WinPoStProof": null,
        "Parents": parents,
        "ParentWeight": tipset.height.to_string(),
        "Height": tipset.height,
        "ParentStateRoot": link(&state_root(chain, tipset)),
        "ParentMessageReceipts": link(&chain.object_cid("receipts", tipset.parent)),
        "Messages": link(&chain.object_cid("messages", tipset.height)),
        "BLSAggregate": { "Type": 2, "Data": proof("aggregate") },
        "Timestamp": tipset.timestamp,
        "BlockSig": { "Type": 2, "Data": proof("signature") },
        "ForkSignaling": 0,
        "ParentBaseFee": crate::fevm::BASE_FEE.to_string(),
    })
}

/// The root of the state after the parent's messages.
fn state_root(chain: &Chain, tipset: &Tipset) -> Cid {
    chain.object_cid("state", tipset.parent)
}
