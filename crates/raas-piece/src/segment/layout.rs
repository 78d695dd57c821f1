//! Where pieces and the index lie in a deal. All offsets are padded bytes unless a name says otherwise.

use super::descriptor::DESCRIPTOR_BYTES;
use crate::commp::Commitment;
use crate::size::{GROUP_PADDED_BYTES, PaddedSize, SizeError};

/// Fewest index entries of any deal.
const MIN_ENTRIES: u64 = 4;
/// On average one index entry for so many bytes of deal.
const DEAL_BYTES_PER_ENTRY: u64 = 2048 * DESCRIPTOR_BYTES as u64;

/// Pieces that do not make a deal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The index alone fills the deal.
    #[error("a deal of {0} padded bytes is too small for an index; take at least 512")]
    DealTooSmall(PaddedSize),
    /// The pieces reach into the index.
    #[error("the pieces end at {end} padded bytes, the index starts at {index_start}; take a larger deal")]
    DoesNotFit {
        /// End of the last piece.
        end: u64,
        /// Start of the index.
        index_start: u64,
    },
    /// More pieces than index entries.
    #[error("{pieces} pieces need more than the {max} index entries of this deal; take a larger deal")]
    TooManyPieces {
        /// Pieces given.
        pieces: u64,
        /// Entries there are.
        max: u64,
    },
    /// Past the 64-bit sizes.
    #[error(transparent)]
    Size(#[from] SizeError),
}

/// A piece at its place in a deal.
///
/// Invariant when made by this crate: the offset is a multiple of the size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// The piece.
    pub commitment: Commitment,
    /// Its first padded byte.
    pub offset: u64,
    /// Its padded size.
    pub size: PaddedSize,
}

impl Segment {
    /// Where the piece ends, in padded bytes.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.offset.saturating_add(self.size.get())
    }

    /// Where the piece starts in the raw stream of the deal, in payload bytes.
    #[must_use]
    pub const fn payload_offset(&self) -> u64 {
        self.offset - self.offset / GROUP_PADDED_BYTES
    }
}

/// The index area of a deal of some size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DealLayout {
    size: PaddedSize,
    max_entries: u64,
}

impl DealLayout {
    /// The layout of a deal.
    ///
    /// # Errors
    /// [`LayoutError::DealTooSmall`] under 512 bytes.
    pub fn new(size: PaddedSize) -> Result<Self, LayoutError> {
        let wanted = size.get() / DEAL_BYTES_PER_ENTRY;
        let max_entries = wanted.checked_ilog2().map_or(0, |log| 1 << log).max(MIN_ENTRIES);
        let layout = Self { size, max_entries };
        if layout.index_bytes() < size.get() { Ok(layout) } else { Err(LayoutError::DealTooSmall(size)) }
    }

    /// Size of the deal.
    #[must_use]
    pub const fn size(&self) -> PaddedSize {
        self.size
    }

    /// Slots in the index.
    #[must_use]
    pub const fn max_entries(&self) -> u64 {
        self.max_entries
    }

    /// Padded bytes of the index area.
    #[must_use]
    pub const fn index_bytes(&self) -> u64 {
        self.max_entries * DESCRIPTOR_BYTES as u64
    }

    /// First padded byte of the index area, which reaches to the end of the deal.
    #[must_use]
    pub const fn index_start(&self) -> u64 {
        self.size.get() - self.index_bytes()
    }

    /// First byte of the index in the raw stream of the deal, in payload bytes.
    #[must_use]
    pub const fn index_payload_offset(&self) -> u64 {
        self.index_start() - self.index_start() / GROUP_PADDED_BYTES
    }

    /// Checks that placed pieces leave room for the index.
    ///
    /// # Errors
    /// [`LayoutError::TooManyPieces`] and [`LayoutError::DoesNotFit`].
    pub fn check(&self, pieces: u64, end: u64) -> Result<(), LayoutError> {
        if pieces > self.max_entries {
            return Err(LayoutError::TooManyPieces { pieces, max: self.max_entries });
        }
        if end > self.index_start() {
            return Err(LayoutError::DoesNotFit { end, index_start: self.index_start() });
        }
        Ok(())
    }
}

/// Places pieces in the order given, each at the next multiple of its own size. No sorting: descending
/// sizes leave no gaps, ascending ones can waste half.
///
/// # Errors
/// [`LayoutError::Size`] past the 64-bit sizes.
pub fn place(pieces: &[(Commitment, PaddedSize)]) -> Result<Vec<Segment>, LayoutError> {
    let mut end = 0u64;
    pieces
        .iter()
        .map(|&(commitment, size)| {
            let offset = next_offset(end, size)?;
            end = end_of(offset, size)?;
            Ok(Segment { commitment, offset, size })
        })
        .collect()
}

fn next_offset(end: u64, size: PaddedSize) -> Result<u64, LayoutError> {
    end.checked_next_multiple_of(size.get()).ok_or(LayoutError::Size(SizeError::PayloadTooLarge(end)))
}

fn end_of(offset: u64, size: PaddedSize) -> Result<u64, LayoutError> {
    offset.checked_add(size.get()).ok_or(LayoutError::Size(SizeError::PayloadTooLarge(offset)))
}

/// The smallest deal that holds the pieces in this order, their index area, and a slot for each.
///
/// # Errors
/// [`LayoutError::Size`] past the 64-bit sizes.
pub fn minimum_deal_size(pieces: &[PaddedSize]) -> Result<PaddedSize, LayoutError> {
    let end = pieces.iter().try_fold(0, |end, &size| end_of(next_offset(end, size)?, size))?;
    let mut deal = PaddedSize::MIN;
    loop {
        if DealLayout::new(deal).is_ok_and(|layout| layout.check(pieces.len() as u64, end).is_ok()) {
            return Ok(deal);
        }
        deal = deal.doubled()?;
    }
}
