//! Piece CIDs: v1 (fil-commitment-unsealed, no size inside) and v2 (FRC-0069, with height and padding).
//!
//! Encoding is strict. Decoding takes what the specification allows and refuses what cannot be a piece:
//! other codecs, heights under 2 or over 58, non-minimal varints, padding that belongs to a smaller
//! tree, top bits set.

use std::str::FromStr;

use ::cid::{Cid, multibase};
use multihash::Multihash;

use crate::commp::{Commitment, NotACommitment, PieceInfo};
use crate::size::{PaddedSize, SizeError};
use crate::varint;

/// Codec of a v1 piece CID: fil-commitment-unsealed.
pub const CODEC_UNSEALED: u64 = 0xf101;
/// Multihash of a v1 piece CID: sha2-256-trunc254-padded.
pub const HASH_TRUNC254: u64 = 0x1012;
/// Multihash of a v2 piece CID: fr32-sha2-256-trunc254-padded-binary-tree.
pub const HASH_FR32_TREE: u64 = 0x1011;
const CODEC_RAW: u64 = 0x55;
/// A padding varint of FRC-0069 is at most nine bytes.
const MAX_PADDING: u64 = (1 << 63) - 1;

/// A CID that is no piece CID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PieceCidError {
    /// The text or bytes are no CID at all.
    #[error("not a CID: {0}")]
    NotACid(String),
    /// A CID of something else.
    #[error(
        "not a piece CID: codec 0x{codec:x} with hash 0x{hash:x}, want 0xf101/0x1012 (v1) or 0x55/0x1011 (v2)"
    )]
    WrongKind {
        /// Codec found.
        codec: u64,
        /// Multihash code found.
        hash: u64,
    },
    /// The digest has the wrong length.
    #[error("piece CID digest is {0} bytes long")]
    DigestLength(usize),
    /// The padding is no minimal varint of at most nine bytes.
    #[error("padding of the piece CID is not a minimal varint of at most nine bytes")]
    PaddingVarint,
    /// The padding would put the payload into a smaller tree.
    #[error("padding {padding} does not fit a piece of height {height}")]
    Padding {
        /// Zero bytes claimed.
        padding: u64,
        /// Height of the tree claimed.
        height: u8,
    },
    /// The height is no piece's.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// The root cannot be a tree root.
    #[error(transparent)]
    Commitment(#[from] NotACommitment),
}

/// A piece CID of either version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PieceCid {
    /// Commitment only; the padded size must come from elsewhere.
    V1(Commitment),
    /// Commitment with payload and padded size.
    V2(PieceInfo),
}

impl PieceCid {
    /// The commitment of either version.
    #[must_use]
    pub const fn commitment(&self) -> Commitment {
        match self {
            Self::V1(commitment) => *commitment,
            Self::V2(info) => info.commitment(),
        }
    }

    /// The CID.
    #[must_use]
    pub fn to_cid(&self) -> Cid {
        match self {
            Self::V1(commitment) => v1(*commitment),
            Self::V2(info) => v2(info),
        }
    }
}

impl TryFrom<&Cid> for PieceCid {
    type Error = PieceCidError;

    fn try_from(cid: &Cid) -> Result<Self, Self::Error> {
        match (cid.version(), cid.codec(), cid.hash().code()) {
            (::cid::Version::V1, CODEC_UNSEALED, HASH_TRUNC254) => decode_v1(cid).map(Self::V1),
            (::cid::Version::V1, CODEC_RAW, HASH_FR32_TREE) => decode_v2(cid).map(Self::V2),
            (_, codec, hash) => Err(PieceCidError::WrongKind { codec, hash }),
        }
    }
}

impl FromStr for PieceCid {
    type Err = PieceCidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let not_a_cid = |e: ::cid::Error| PieceCidError::NotACid(e.to_string());
        let cid = Cid::from_str(text).map_err(not_a_cid)?;
        let piece = Self::try_from(&cid)?;
        // What the decoder reads over: bytes that follow, and bits past 64 in numbers.
        let bare = text.split_once("/ipfs/").map_or(text, |(_, bare)| bare);
        let (_, bytes) = multibase::decode(bare).map_err(|e| not_a_cid(e.into()))?;
        if bytes != cid.to_bytes() {
            return Err(PieceCidError::NotACid("there is more in it than a CID".to_owned()));
        }
        Ok(piece)
    }
}

/// The v1 CID of a commitment.
#[must_use]
pub fn v1(commitment: Commitment) -> Cid {
    Cid::new_v1(CODEC_UNSEALED, wrap(HASH_TRUNC254, commitment.as_bytes()))
}

/// The v2 CID of a piece.
#[must_use]
pub fn v2(info: &PieceInfo) -> Cid {
    let mut varint = unsigned_varint::encode::u64_buffer();
    let padding = unsigned_varint::encode::u64(info.padding_bytes(), &mut varint);
    let mut digest = Vec::with_capacity(padding.len() + 33);
    digest.extend_from_slice(padding);
    digest.push(info.padded().height());
    digest.extend_from_slice(info.commitment().as_bytes());
    Cid::new_v1(CODEC_RAW, wrap(HASH_FR32_TREE, &digest))
}

fn wrap(code: u64, digest: &[u8]) -> Multihash<64> {
    Multihash::wrap(code, digest).expect("a piece digest is at most 42 bytes, under the 64 of a multihash")
}

/// The commitment in a v1 piece CID.
///
/// # Errors
/// [`PieceCidError`] for any other CID.
pub fn decode_v1(cid: &Cid) -> Result<Commitment, PieceCidError> {
    expect_kind(cid, CODEC_UNSEALED, HASH_TRUNC254)?;
    let digest = cid.hash().digest();
    let root = digest.try_into().map_err(|_| PieceCidError::DigestLength(digest.len()))?;
    Ok(Commitment::new(root)?)
}

/// The piece in a v2 piece CID.
///
/// # Errors
/// [`PieceCidError`] for any other CID, and for sizes that do not belong together.
pub fn decode_v2(cid: &Cid) -> Result<PieceInfo, PieceCidError> {
    expect_kind(cid, CODEC_RAW, HASH_FR32_TREE)?;
    let digest = cid.hash().digest();
    let (padding, rest) = varint::read(digest).ok_or(PieceCidError::PaddingVarint)?;
    if padding > MAX_PADDING {
        return Err(PieceCidError::PaddingVarint);
    }
    let (&height, root) = rest.split_first().ok_or(PieceCidError::DigestLength(digest.len()))?;
    let root = root.try_into().map_err(|_| PieceCidError::DigestLength(digest.len()))?;
    let padded = PaddedSize::from_height(height)?;
    let bad_padding = PieceCidError::Padding { padding, height };
    let payload_bytes = padded.capacity().checked_sub(padding).ok_or_else(|| bad_padding.clone())?;
    let info = PieceInfo::new(Commitment::new(root)?, payload_bytes)?;
    if info.padded() == padded { Ok(info) } else { Err(bad_padding) }
}

fn expect_kind(cid: &Cid, codec: u64, hash: u64) -> Result<(), PieceCidError> {
    let found = (cid.codec(), cid.hash().code());
    if cid.version() == ::cid::Version::V1 && found == (codec, hash) {
        Ok(())
    } else {
        Err(PieceCidError::WrongKind { codec: found.0, hash: found.1 })
    }
}
