//! The storage deal proposal: eleven fields as a CBOR tuple, signed as they stand.

use super::address::Address;
use super::cbor::{CborError, TokenAmount, to_cbor};
use super::cids::{dag_cbor_blake2b, dag_cbor_sha256};
use super::signature::Signature;
use cid::Cid;
use raas_core::units::{AttoFil, Epoch};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// A deal's free text or free bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Label {
    /// UTF-8; by convention the payload's root CID.
    Text(String),
    /// Anything.
    Bytes(Vec<u8>),
}

impl Label {
    /// Bytes of the label; the market takes at most 256.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text; `""` for bytes, as Lotus prints them.
    #[must_use]
    pub fn as_text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Bytes(_) => "",
        }
    }
}

impl Serialize for Label {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(_) if serializer.is_human_readable() => serializer.serialize_str(""),
            Self::Bytes(bytes) => serializer.serialize_bytes(bytes),
        }
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Kinds;

        impl de::Visitor<'_> for Kinds {
            type Value = Label;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a label: text or bytes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Label, E> {
                Ok(Label::Text(text.to_owned()))
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Label, E> {
                Ok(Label::Bytes(bytes.to_vec()))
            }
        }

        deserializer.deserialize_any(Kinds)
    }
}

/// A storage deal as client and provider agree on it. Nothing but the form has been checked: the piece CID may be
/// any CID and the size any number, since it is the provider's and the market's part to refuse them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Tuple", into = "Tuple")]
pub struct DealProposal {
    /// The piece's commitment as a CID v1.
    pub piece_cid: Cid,
    /// Padded bytes.
    pub piece_size: u64,
    /// Whether DataCap pays.
    pub verified: bool,
    /// The client; any form in what is signed, an id on chain.
    pub client: Address,
    /// The miner actor.
    pub provider: Address,
    /// Free text.
    pub label: Label,
    /// Latest epoch of activation.
    pub start: Epoch,
    /// First epoch after the deal.
    pub end: Epoch,
    /// For the whole piece.
    pub price_per_epoch: AttoFil,
    /// What the provider locks.
    pub provider_collateral: AttoFil,
    /// What the client locks on top of the price.
    pub client_collateral: AttoFil,
}

#[derive(Serialize, Deserialize)]
struct Tuple(Cid, u64, bool, Address, Address, Label, Epoch, Epoch, TokenAmount, TokenAmount, TokenAmount);

impl From<DealProposal> for Tuple {
    fn from(deal: DealProposal) -> Self {
        Self(
            deal.piece_cid,
            deal.piece_size,
            deal.verified,
            deal.client,
            deal.provider,
            deal.label,
            deal.start,
            deal.end,
            TokenAmount(deal.price_per_epoch),
            TokenAmount(deal.provider_collateral),
            TokenAmount(deal.client_collateral),
        )
    }
}

impl From<Tuple> for DealProposal {
    fn from(tuple: Tuple) -> Self {
        let Tuple(piece_cid, piece_size, verified, client, provider, label, start, end, price, theirs, ours) =
            tuple;
        Self {
            piece_cid,
            piece_size,
            verified,
            client,
            provider,
            label,
            start,
            end,
            price_per_epoch: price.0,
            provider_collateral: theirs.0,
            client_collateral: ours.0,
        }
    }
}

impl DealProposal {
    /// The bytes the client signs: the CBOR of the tuple, with no envelope.
    pub fn signing_bytes(&self) -> Result<Vec<u8>, CborError> {
        to_cbor(self)
    }

    /// The proposal CID of the chain (`bafy2bza…`).
    pub fn cid(&self) -> Result<Cid, CborError> {
        Ok(dag_cbor_blake2b(&to_cbor(self)?))
    }

    /// Epochs from start to end; negative or zero in a nonsensical proposal.
    #[must_use]
    pub const fn duration(&self) -> i64 {
        self.end.0.saturating_sub(self.start.0)
    }

    /// What the client pays in all and locks on top: price x duration + collateral.
    #[must_use]
    pub fn client_balance_needed(&self) -> AttoFil {
        let epochs = u64::try_from(self.duration()).unwrap_or(0);
        self.price_per_epoch.times(epochs).plus(self.client_collateral)
    }
}

/// A proposal with its client's signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "SignedTuple", into = "SignedTuple")]
pub struct ClientDealProposal {
    /// What was signed.
    pub proposal: DealProposal,
    /// By the client's key.
    pub signature: Signature,
}

#[derive(Serialize, Deserialize)]
struct SignedTuple(DealProposal, Signature);

impl From<ClientDealProposal> for SignedTuple {
    fn from(signed: ClientDealProposal) -> Self {
        Self(signed.proposal, signed.signature)
    }
}

impl From<SignedTuple> for ClientDealProposal {
    fn from(SignedTuple(proposal, signature): SignedTuple) -> Self {
        Self { proposal, signature }
    }
}

impl ClientDealProposal {
    /// The CID under which Boost reports the signed proposal (`bafyrei…`).
    pub fn cid(&self) -> Result<Cid, CborError> {
        Ok(dag_cbor_sha256(&to_cbor(self)?))
    }
}
