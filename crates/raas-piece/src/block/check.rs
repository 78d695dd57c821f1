//! What makes bytes a block: a size cap and a hash this crate knows (SHA-256, or identity).

use std::io;

use ::cid::{Cid, Version};
use multihash::Multihash;
use sha2_11::{Digest, Sha256};

/// Codec of raw bytes.
pub const RAW: u64 = 0x55;
/// Codec of dag-pb nodes (UnixFS).
pub const DAG_PB: u64 = 0x70;
/// Codec of dag-cbor nodes.
pub const DAG_CBOR: u64 = 0x71;
/// Multihash code of SHA-256.
pub const SHA2_256: u64 = 0x12;
/// Multihash code of the bytes themselves.
pub const IDENTITY: u64 = 0x00;
/// The largest block that is accepted, 2 MiB: what Bitswap and the gateways move.
pub const MAX_BLOCK_BYTES: usize = 2 << 20;

/// A block that cannot be used, or not be had.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The bytes do not hash to the CID.
    #[error("block {cid} does not match its hash")]
    WrongBytes {
        /// The CID asked for or claimed.
        cid: Box<Cid>,
    },
    /// A hash other than SHA-256 or identity.
    #[error("block {cid} uses hash 0x{code:x}; only sha2-256 (32 bytes) and identity are supported")]
    UnsupportedHash {
        /// The CID.
        cid: Box<Cid>,
        /// Its multihash code.
        code: u64,
    },
    /// Over [`MAX_BLOCK_BYTES`].
    #[error("block {cid} has {bytes} bytes, over the limit of {MAX_BLOCK_BYTES}")]
    TooLarge {
        /// The CID.
        cid: Box<Cid>,
        /// Its length.
        bytes: usize,
    },
    /// The source does not have it.
    #[error("block {cid} is missing")]
    Missing {
        /// The CID.
        cid: Box<Cid>,
    },
    /// The source failed.
    #[error("could not read a block")]
    Io(#[from] io::Error),
}

/// SHA-256 of bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The CIDv1 (SHA-256) of a block.
#[must_use]
pub fn cid_v1(codec: u64, data: &[u8]) -> Cid {
    cid_of_digest(Version::V1, codec, &sha256(data))
}

/// The CIDv0 of a dag-pb block.
#[must_use]
pub fn cid_v0(data: &[u8]) -> Cid {
    cid_of_digest(Version::V0, DAG_PB, &sha256(data))
}

/// The CID of a block whose SHA-256 is known. A CIDv0 is always of dag-pb, whatever the codec says.
pub(crate) fn cid_of_digest(version: Version, codec: u64, digest: &[u8; 32]) -> Cid {
    let hash = Multihash::wrap(SHA2_256, digest).expect("32 bytes fit a 64-byte multihash");
    match version {
        Version::V0 => Cid::new_v0(hash).expect("a 32-byte SHA-256 is what CIDv0 takes"),
        Version::V1 => Cid::new_v1(codec, hash),
    }
}

/// The CID that is these bytes, all of them and in its one form. The decoder of the crate `cid` reads over what
/// follows, and over bits past 64 in its numbers.
pub(crate) fn exact_cid(bytes: &[u8]) -> Option<Cid> {
    Cid::read_bytes(bytes).ok().filter(|cid| cid.to_bytes() == bytes)
}

/// The SHA-256 digest in a CID.
///
/// # Errors
/// [`BlockError::UnsupportedHash`] for any other hash, and for cut digests.
pub fn digest_of(cid: &Cid) -> Result<[u8; 32], BlockError> {
    let unsupported = || BlockError::UnsupportedHash { cid: Box::new(*cid), code: cid.hash().code() };
    if cid.hash().code() != SHA2_256 {
        return Err(unsupported());
    }
    cid.hash().digest().try_into().map_err(|_| unsupported())
}

/// The bytes inside an identity CID.
#[must_use]
pub fn identity_bytes(cid: &Cid) -> Option<&[u8]> {
    (cid.hash().code() == IDENTITY).then(|| cid.hash().digest())
}

/// Checks bytes against their CID.
///
/// # Errors
/// [`BlockError`]: too large, unsupported hash, or wrong bytes.
pub fn verify(cid: &Cid, data: &[u8]) -> Result<(), BlockError> {
    if data.len() > MAX_BLOCK_BYTES {
        return Err(BlockError::TooLarge { cid: Box::new(*cid), bytes: data.len() });
    }
    let right = match identity_bytes(cid) {
        Some(inside) => inside == data,
        None => digest_of(cid)? == sha256(data),
    };
    if right { Ok(()) } else { Err(BlockError::WrongBytes { cid: Box::new(*cid) }) }
}

/// Whether two CIDs name the same block read in the same way; CIDv0 and its CIDv1 do.
#[must_use]
pub fn same_block(a: &Cid, b: &Cid) -> bool {
    a.codec() == b.codec() && a.hash() == b.hash()
}
