//! One index entry: 64 bytes, two nodes, with a checksum.

use super::layout::{DealLayout, Segment};
use crate::block::sha256;
use crate::commp::{Commitment, NotACommitment};
use crate::sha::Path;
use crate::size::{GROUP_PADDED_BYTES, PaddedSize, SizeError};
use crate::tree::{Node, hash};

/// Bytes of an entry.
pub const DESCRIPTOR_BYTES: usize = 64;
const CHECKSUM_AT: usize = 48;

/// An entry as it is written, whatever it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// Root of the piece.
    pub commitment: Node,
    /// First padded byte of the piece.
    pub offset: u64,
    /// Padded size of the piece.
    pub size: u64,
}

/// An entry that must not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    /// The checksum is wrong; unused slots are of this kind, too.
    #[error("the checksum of the index entry is wrong")]
    Checksum,
    /// Offset or size is no multiple of 128.
    #[error("offset {offset} or size {size} of the index entry is not a multiple of 128")]
    Alignment {
        /// Offset given.
        offset: u64,
        /// Size given.
        size: u64,
    },
    /// The size is no piece's.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// The commitment is none.
    #[error(transparent)]
    Commitment(#[from] NotACommitment),
    /// The offset is no multiple of the size, so the piece is no subtree.
    #[error("offset {offset} of the index entry is not a multiple of its size {size}")]
    NotASubtree {
        /// Offset given.
        offset: u64,
        /// Size given.
        size: u64,
    },
    /// The piece would reach into the index or past the deal.
    #[error("the piece of the index entry ends at {end}, past the index start {index_start}")]
    OutOfBounds {
        /// End of the piece.
        end: u64,
        /// Start of the index.
        index_start: u64,
    },
    /// The piece overlaps the piece of an earlier entry.
    #[error("the piece of the index entry overlaps that of entry {other}")]
    Overlap {
        /// Position of the other entry.
        other: usize,
    },
}

impl Descriptor {
    /// The 64 bytes, with their checksum.
    #[must_use]
    pub fn encode(&self) -> [u8; DESCRIPTOR_BYTES] {
        self.encode_with(&sha256(&self.without_checksum()))
    }

    /// The 64 bytes of each, their checksums computed together.
    #[must_use]
    pub fn encode_all(descriptors: &[Self]) -> Vec<[u8; DESCRIPTOR_BYTES]> {
        let bare: Vec<_> = descriptors.iter().map(Self::without_checksum).collect();
        // A node hash is cut in its last byte only, and the checksum is the first sixteen.
        let sums = Path::best().hash_pairs(&bare);
        descriptors.iter().zip(sums).map(|(descriptor, sum)| descriptor.encode_with(&sum)).collect()
    }

    fn without_checksum(&self) -> [u8; DESCRIPTOR_BYTES] {
        let mut bytes = [0u8; DESCRIPTOR_BYTES];
        bytes[..32].copy_from_slice(&self.commitment);
        bytes[32..40].copy_from_slice(&self.offset.to_le_bytes());
        bytes[40..CHECKSUM_AT].copy_from_slice(&self.size.to_le_bytes());
        bytes
    }

    fn encode_with(&self, sum: &[u8; 32]) -> [u8; DESCRIPTOR_BYTES] {
        let mut bytes = self.without_checksum();
        bytes[CHECKSUM_AT..].copy_from_slice(&sum[..DESCRIPTOR_BYTES - CHECKSUM_AT]);
        // 126 bits, so that the node keeps its two top bits zero.
        bytes[DESCRIPTOR_BYTES - 1] &= 0x3f;
        bytes
    }

    /// Decodes an entry by the rules that all implementations share: checksum, and alignment to 128.
    ///
    /// # Errors
    /// [`DescriptorError::Checksum`] and [`DescriptorError::Alignment`].
    pub fn decode(bytes: &[u8; DESCRIPTOR_BYTES]) -> Result<Self, DescriptorError> {
        let number = |from: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[from + i]));
        let commitment = std::array::from_fn(|i| bytes[i]);
        let descriptor = Self { commitment, offset: number(32), size: number(40) };
        if descriptor.encode() != *bytes {
            return Err(DescriptorError::Checksum);
        }
        let Self { offset, size, .. } = descriptor;
        if offset % GROUP_PADDED_BYTES != 0 || size % GROUP_PADDED_BYTES != 0 {
            return Err(DescriptorError::Alignment { offset, size });
        }
        Ok(descriptor)
    }

    /// The node above the entry's two nodes.
    #[must_use]
    pub fn node(&self) -> Node {
        let [left, right] = self.leaves();
        hash(&left, &right)
    }

    /// The entry's two nodes.
    #[must_use]
    pub fn leaves(&self) -> [Node; 2] {
        let bytes = self.encode();
        [std::array::from_fn(|i| bytes[i]), std::array::from_fn(|i| bytes[32 + i])]
    }

    /// The piece the entry describes, if it can be one of a deal of this layout.
    ///
    /// # Errors
    /// [`DescriptorError`]: size no power of two, no subtree, out of bounds, no commitment.
    pub fn segment(&self, layout: &DealLayout) -> Result<Segment, DescriptorError> {
        let size = PaddedSize::new(self.size)?;
        let commitment = Commitment::new(self.commitment)?;
        let segment = Segment { commitment, offset: self.offset, size };
        if !self.offset.is_multiple_of(self.size) {
            return Err(DescriptorError::NotASubtree { offset: self.offset, size: self.size });
        }
        if segment.end() > layout.index_start() {
            let (end, index_start) = (segment.end(), layout.index_start());
            return Err(DescriptorError::OutOfBounds { end, index_start });
        }
        Ok(segment)
    }
}

impl From<&Segment> for Descriptor {
    fn from(segment: &Segment) -> Self {
        Self { commitment: *segment.commitment.as_bytes(), offset: segment.offset, size: segment.size.get() }
    }
}
