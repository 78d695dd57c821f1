//! What goes over the wire, decoded and checked by code of this crate alone.
//!
//! The devnet judges the node, so it must not share the node's encoders: the same bug on both sides would agree
//! with itself. Everything here is written from the specifications over `serde_ipld_dagcbor`, `k256`, `blake2`
//! and `sha2`, holds no state, and is checked by vectors that other teams' software made.
//!
//! Two CBOR dialects meet here. Types of the market actor and of messages are *tuples*; types of the deal
//! protocol between client and provider are *maps* with text keys in canonical order.

mod address;
mod bitfield;
mod cbor;
mod cids;
mod commp;
mod deal;
mod message;
mod method;
mod mk12;
mod multiaddr;
mod piece_cid;
mod signature;

pub use address::{Address, AddressError, Network};
pub use bitfield::{Bitfield, BitfieldError};
pub use cbor::{CborError, TokenAmount, from_cbor, to_cbor};
pub use cids::{dag_cbor_blake2b, dag_cbor_sha256, raw_sha256};
pub use commp::{CommP, Commitment, Piece, expand_fr32, extend, zero_commitment};
pub use deal::{ClientDealProposal, DealProposal, Label};
pub use message::{Message, SignedMessage};
pub use method::method_number;
pub use mk12::{
    AskRequest, AskResponse, DealParams, DealResponse, DealStatus, DealStatusRequest, DealStatusResponse,
    DealUuid, SignedAsk, StorageAsk, Transfer, TransferParams,
};
pub use multiaddr::http_multiaddr;
pub use piece_cid::{PieceCid, PieceCidError, piece_cid_v1, piece_cid_v2};
pub use signature::{SecretKey, Signature, SignatureError, SignatureKind};
