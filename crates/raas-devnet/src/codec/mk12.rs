//! The deal protocol between client and provider (MK12): maps with text keys.

use super::address::Address;
use super::cbor::TokenAmount;
use super::deal::{ClientDealProposal, DealProposal};
use super::signature::Signature;
use cid::Cid;
use raas_core::units::Epoch;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The client's own name of a deal, 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DealUuid(#[serde(with = "serde_bytes")] pub [u8; 16]);

impl fmt::Display for DealUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = hex::encode(self.0);
        for (index, group) in [0..8, 8..12, 12..16, 16..20, 20..32].into_iter().enumerate() {
            if index > 0 {
                f.write_str("-")?;
            }
            f.write_str(text.get(group).unwrap_or_default())?;
        }
        Ok(())
    }
}

/// A proposed deal with everything the provider needs to get the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DealParams {
    /// The client's key of this deal.
    #[serde(rename = "DealUUID")]
    pub deal_uuid: DealUuid,
    /// Where the data is.
    pub transfer: Transfer,
    /// Whether the data comes by other means.
    pub is_offline: bool,
    /// Root of the payload.
    pub deal_data_root: Cid,
    /// Whether the payload's index stays private. Since protocol 1.2.1.
    #[serde(rename = "SkipIPNIAnnounce", default)]
    pub skip_ipni_announce: bool,
    /// The signed proposal.
    pub client_deal_proposal: ClientDealProposal,
    /// Whether the provider may drop the copy it serves. Since protocol 1.2.1.
    #[serde(default)]
    pub remove_unsealed_copy: bool,
}

/// How the provider gets the bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Transfer {
    /// Bytes of the CAR, unpadded.
    pub size: u64,
    /// `http`; `libp2p` exists elsewhere.
    pub r#type: String,
    /// JSON of [`TransferParams`].
    #[serde(with = "serde_bytes")]
    pub params: Vec<u8>,
    /// May be empty.
    #[serde(rename = "ClientID", default)]
    pub client_id: String,
}

/// What stands, as JSON, in [`Transfer::params`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TransferParams {
    /// The bytes' address.
    #[serde(rename = "URL")]
    pub url: String,
    /// Sent along with every request; `null` is none.
    #[serde(default)]
    pub headers: Option<BTreeMap<String, String>>,
}

/// The provider's answer. Accepted means queued, not stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DealResponse {
    /// Why not, when not.
    pub message: String,
    /// Whether the deal was queued.
    pub accepted: bool,
}

/// Asks how a deal is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DealStatusRequest {
    /// Which deal.
    #[serde(rename = "DealUUID")]
    pub deal_uuid: DealUuid,
    /// Of the 16 bytes, by the deal's client.
    pub signature: Signature,
}

/// How a deal is doing, by the provider's own word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DealStatusResponse {
    /// Why there is no status, or empty.
    pub error: String,
    /// Which deal.
    #[serde(rename = "DealUUID")]
    pub deal_uuid: DealUuid,
    /// As in the deal's parameters.
    pub is_offline: bool,
    /// Nothing when `error` says why.
    pub deal_status: Option<DealStatus>,
    /// Bytes to come.
    pub transfer_size: u64,
    /// Bytes that came.
    #[serde(rename = "NBytesReceived")]
    pub bytes_received: u64,
}

/// The state of one deal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DealStatus {
    /// Why it failed, or empty.
    pub error: String,
    /// A word; it differs between implementations.
    pub status: String,
    /// As proposed.
    pub proposal: DealProposal,
    /// The publishing message, once sent.
    pub publish_cid: Option<Cid>,
    /// 0 until known.
    #[serde(rename = "ChainDealID")]
    pub chain_deal_id: u64,
    /// A word on the sector.
    pub sealing_status: String,
    /// See [`ClientDealProposal::cid`].
    pub signed_proposal_cid: Cid,
}

/// Asks for a provider's price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AskRequest {
    /// Whose.
    pub miner: Address,
}

/// A provider's price, or nothing when it is another miner or has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AskResponse {
    /// Signed.
    pub ask: Option<SignedAsk>,
}

/// An ask with its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SignedAsk {
    /// What is asked.
    pub ask: Option<StorageAsk>,
    /// Of the ask's CBOR, by the miner's worker.
    pub signature: Option<Signature>,
}

/// What a provider asks. Prices are attoFIL per GiB and epoch, sizes padded bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StorageAsk {
    /// Whose.
    pub miner: Address,
    /// For a deal without DataCap.
    pub price: TokenAmount,
    /// For a deal with DataCap.
    pub verified_price: TokenAmount,
    /// Smallest piece.
    pub min_piece_size: u64,
    /// Largest piece.
    pub max_piece_size: u64,
    /// When it was signed.
    pub timestamp: Epoch,
    /// Until when it holds.
    pub expiry: Epoch,
    /// Counts its changes.
    pub seq_no: u64,
}
