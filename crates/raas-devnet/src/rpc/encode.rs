//! How the native API writes what it knows: CID links, addresses with `t`, tipsets, base64.

use crate::{
    codec::{Address, DealProposal, Network},
    world::{Tipset, World},
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

/// A deal proposal.
pub(super) fn proposal(proposal: &DealProposal) -> Value {
    json!({
        "PieceCID": link(&proposal.piece_cid),
        "PieceSize": proposal.piece_size,
        "VerifiedDeal": proposal.verified,
        "Client": address(&proposal.client),
        "Provider": address(&proposal.provider),
        "Label": proposal.label.as_text(),
        "StartEpoch": proposal.start.0,
        "EndEpoch": proposal.end.0,
        "StoragePricePerEpoch": proposal.price_per_epoch,
        "ProviderCollateral": proposal.provider_collateral,
        "ClientCollateral": proposal.client_collateral,
    })
}

/// A tipset with its blocks.
pub(super) fn tipset(world: &World, tipset: &Tipset) -> Value {
    let blocks: Vec<Value> = (0..tipset.key.len()).map(|index| block(world, tipset, index)).collect();
    json!({ "Cids": key(&tipset.key), "Blocks": blocks, "Height": tipset.height })
}

/// The block of a tipset at `index`.
pub(super) fn block(world: &World, tipset: &Tipset, index: usize) -> Value {
    let chain = world.chain();
    let proof = |what| base64(&chain.derive(&format!("{what} {} {index}", tipset.branch), tipset.height));
    let object = |what: &str, height| link(&chain.object_cid_in(what, height, tipset.branch));
    json!({
        "Miner": id_address(world.block_miner_of(tipset.height, index)),
        "Ticket": { "VRFProof": proof("ticket") },
        "ElectionProof": { "WinCount": 1, "VRFProof": proof("election") },
        "BeaconEntries": null,
        "WinPoStProof": null,
        "Parents": key(&tipset.parent_key),
        "ParentWeight": tipset.height.to_string(),
        "Height": tipset.height,
        "ParentStateRoot": object("state", tipset.parent),
        "ParentMessageReceipts": object("receipts", tipset.parent),
        "Messages": object(&format!("messages {index}"), tipset.height),
        "BLSAggregate": { "Type": 2, "Data": proof("aggregate") },
        "Timestamp": tipset.timestamp,
        "BlockSig": { "Type": 2, "Data": proof("signature") },
        "ForkSignaling": 0,
        "ParentBaseFee": chain.base_fee(tipset.height).to_string(),
    })
}
