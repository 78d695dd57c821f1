//! A piece's name: CID v1 (commitment only) and v2 (commitment, size and padding; FRC-0069).

use super::address::{push_varint, take_varint};
use super::cids::of_digest;
use super::commp::{Commitment, Piece};
use cid::{Cid, Version};
use raas_core::units::PaddedSize;

const UNSEALED: u64 = 0xf101;
const SHA2_256_TRUNC254_PADDED: u64 = 0x1012;
const RAW: u64 = 0x55;
const FR32_SHA2_256_TRUNC254_PADDED_BINARY_TREE: u64 = 0x1011;
const HEIGHT_MIN: u8 = 2;

/// What a piece CID says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PieceCid {
    /// The commitment alone; the size must come from elsewhere.
    V1(Commitment),
    /// All there is to know.
    V2(Piece),
}

impl PieceCid {
    /// The commitment, which both forms have.
    #[must_use]
    pub const fn commitment(&self) -> Commitment {
        match self {
            Self::V1(commitment) => *commitment,
            Self::V2(piece) => piece.commitment,
        }
    }
}

/// Why a CID names no piece.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PieceCidError {
    /// Not the codec and hash of either form.
    #[error(
        "codec {codec:#x} with hash {hash:#x} is no piece CID: baga6ea4seaq… (v1) or bafkzcib… (v2) is needed"
    )]
    Kind {
        /// The CID's codec.
        codec: u64,
        /// The multihash's code.
        hash: u64,
    },
    /// The digest has the wrong length or a padding that is not in its shortest form.
    #[error("the digest of the piece CID is malformed")]
    Digest,
    /// The two highest bits of the commitment are set.
    #[error("the commitment of the piece CID has one of its two highest bits set")]
    Bits,
    /// The height is out of range.
    #[error("height {0} of the piece CID is not one of a 128 B to 64 GiB piece")]
    Height(u8),
    /// The padding does not belong to a payload of this height.
    #[error("padding {padding} does not belong to a piece of {padded} padded bytes")]
    Padding {
        /// As found.
        padding: u64,
        /// The piece's size.
        padded: u64,
    },
}

/// The CID v1 of a commitment.
#[must_use]
pub fn piece_cid_v1(commitment: Commitment) -> Cid {
    of_digest(UNSEALED, SHA2_256_TRUNC254_PADDED, &commitment.0)
}

/// The CID v2 of a piece. A payload larger than the piece would be a lie that no [`Piece`] tells.
#[must_use]
pub fn piece_cid_v2(piece: &Piece) -> Cid {
    let padded = piece.padded_size.get();
    let mut digest = Vec::with_capacity(43);
    push_varint(&mut digest, (padded - padded / 128).saturating_sub(piece.payload_size));
    digest.push((padded / 32).trailing_zeros() as u8);
    digest.extend(piece.commitment.0);
    of_digest(RAW, FR32_SHA2_256_TRUNC254_PADDED_BINARY_TREE, &digest)
}

fn commitment(bytes: &[u8]) -> Result<Commitment, PieceCidError> {
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| PieceCidError::Digest)?;
    if bytes[31] & 0xc0 == 0 { Ok(Commitment(bytes)) } else { Err(PieceCidError::Bits) }
}

impl TryFrom<&Cid> for PieceCid {
    type Error = PieceCidError;

    fn try_from(cid: &Cid) -> Result<Self, PieceCidError> {
        let (codec, hash) = (cid.codec(), cid.hash().code());
        match (cid.version(), codec, hash) {
            (Version::V1, UNSEALED, SHA2_256_TRUNC254_PADDED) => {
                commitment(cid.hash().digest()).map(Self::V1)
            }
            (Version::V1, RAW, FR32_SHA2_256_TRUNC254_PADDED_BINARY_TREE) => {
                let (padding, rest) = take_varint(cid.hash().digest()).ok_or(PieceCidError::Digest)?;
                let (height, root) = rest.split_first().ok_or(PieceCidError::Digest)?;
                let commitment = commitment(root)?;
                let padded_size = 32u64
                    .checked_shl(u32::from(*height))
                    .filter(|_| (HEIGHT_MIN..=31).contains(height))
                    .and_then(|size| PaddedSize::new(size).ok())
                    .ok_or(PieceCidError::Height(*height))?;
                let padded = padded_size.get();
                let capacity = padded - padded / 128;
                // A larger padding would put the payload into the next smaller piece; the smallest has no next.
                let allowed = if *height == HEIGHT_MIN { capacity + 1 } else { capacity / 2 };
                if padding >= allowed {
                    return Err(PieceCidError::Padding { padding, padded });
                }
                Ok(Self::V2(Piece { commitment, padded_size, payload_size: capacity - padding }))
            }
            _ => Err(PieceCidError::Kind { codec, hash }),
        }
    }
}
