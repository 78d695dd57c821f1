//! The three ways a CID is made of bytes here.

use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest as _};
use cid::Cid;
use multihash::Multihash;
use sha2::Sha256;

const RAW: u64 = 0x55;
const DAG_CBOR: u64 = 0x71;
const SHA2_256: u64 = 0x12;
const BLAKE2B_256: u64 = 0xb220;

pub(super) fn blake2b_256(bytes: &[u8]) -> [u8; 32] {
    Blake2b::<U32>::digest(bytes).into()
}

/// A CIDv1 of a 32-byte digest.
pub(super) fn of_digest(codec: u64, hash: u64, digest: &[u8]) -> Cid {
    let multihash = Multihash::wrap(hash, digest).expect("every digest made here is shorter than 64 bytes");
    Cid::new_v1(codec, multihash)
}

/// CIDv1, dag-cbor, blake2b-256: proposals on chain, messages, blocks (`bafy2bza…`).
#[must_use]
pub fn dag_cbor_blake2b(bytes: &[u8]) -> Cid {
    of_digest(DAG_CBOR, BLAKE2B_256, &blake2b_256(bytes))
}

/// CIDv1, dag-cbor, sha2-256: the signed proposal as Boost names it (`bafyrei…`).
#[must_use]
pub fn dag_cbor_sha256(bytes: &[u8]) -> Cid {
    of_digest(DAG_CBOR, SHA2_256, &Sha256::digest(bytes))
}

/// CIDv1, raw, sha2-256: a single block of bytes (`bafkrei…`).
#[must_use]
pub fn raw_sha256(bytes: &[u8]) -> Cid {
    of_digest(RAW, SHA2_256, &Sha256::digest(bytes))
}
