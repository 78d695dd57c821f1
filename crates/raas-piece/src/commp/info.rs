//! What is known of a piece once it is hashed.

use std::fmt;

use crate::size::{PaddedSize, SizeError};
use crate::tree::{Node, pad_up};

/// 32 bytes that cannot be the root of a tree: a bit above 254 is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("commitment has one of its two top bits set, so it is no 254-bit tree root")]
pub struct NotACommitment;

/// The root of a piece's tree (CommP), or of a sector's (CommD): 254 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Commitment(Node);

impl Commitment {
    /// A commitment from its bytes.
    ///
    /// # Errors
    /// [`NotACommitment`] when one of the two top bits is set.
    pub const fn new(bytes: Node) -> Result<Self, NotACommitment> {
        if bytes[31] & 0xc0 == 0 { Ok(Self(bytes)) } else { Err(NotACommitment) }
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &Node {
        &self.0
    }

    /// The commitment of the same payload as the left part of a larger, otherwise zero piece. A `to` not
    /// above `from` changes nothing.
    #[must_use]
    pub fn padded_up(self, from: PaddedSize, to: PaddedSize) -> Self {
        Self(pad_up(self.0, from.height(), to.height()))
    }
}

impl fmt::Display for Commitment {
    /// Lower-case hex.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Commitment({self})")
    }
}

/// A piece: its commitment and how many payload bytes it was made from. The padded size follows.
///
/// Invariant: the padded size is the smallest that holds the payload, so CID v2 always exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceInfo {
    commitment: Commitment,
    padded: PaddedSize,
    payload_bytes: u64,
}

impl PieceInfo {
    /// A piece made from `payload_bytes` bytes.
    ///
    /// # Errors
    /// [`SizeError::PayloadTooLarge`] past the 64-bit sizes.
    pub fn new(commitment: Commitment, payload_bytes: u64) -> Result<Self, SizeError> {
        Ok(Self { commitment, padded: PaddedSize::for_payload(payload_bytes)?, payload_bytes })
    }

    /// A piece known by commitment and padded size alone (CID v1): its payload counts as the whole
    /// capacity, which is right for consensus and an upper bound of the real payload.
    #[must_use]
    pub const fn full(commitment: Commitment, padded: PaddedSize) -> Self {
        Self { commitment, padded, payload_bytes: padded.capacity() }
    }

    /// The root of the tree.
    #[must_use]
    pub const fn commitment(&self) -> Commitment {
        self.commitment
    }

    /// Size after Fr32 padding.
    #[must_use]
    pub const fn padded(&self) -> PaddedSize {
        self.padded
    }

    /// Payload bytes that were hashed (of a CAR: its length), without padding.
    #[must_use]
    pub const fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    /// Zero bytes added to the payload to fill the piece's capacity.
    #[must_use]
    pub const fn padding_bytes(&self) -> u64 {
        self.padded.capacity() - self.payload_bytes
    }
}
