//! Reading the index of somebody's deal.

use super::descriptor::{DESCRIPTOR_BYTES, Descriptor, DescriptorError};
use super::layout::{DealLayout, Segment};

/// One used slot of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexEntry {
    /// Its number in the index; pieces may repeat, so entries are named by position.
    pub position: usize,
    /// The piece, or why the entry must not be used.
    pub segment: Result<Segment, DescriptorError>,
}

/// Reads index bytes in padded form (64 bytes an entry, from the index start on; a part is fine). Slots of
/// zeros are left out. Beyond what all implementations check, each piece must be a subtree inside the data
/// area and must not overlap a good earlier one.
#[must_use]
pub fn parse_index(layout: &DealLayout, padded: &[u8]) -> Vec<IndexEntry> {
    let (slots, _) = padded.as_chunks::<DESCRIPTOR_BYTES>();
    let count = usize::try_from(layout.max_entries()).unwrap_or(usize::MAX);
    let mut entries: Vec<IndexEntry> = slots
        .iter()
        .take(count)
        .enumerate()
        .filter(|(_, slot)| slot.iter().any(|&byte| byte != 0))
        .map(|(position, slot)| {
            let segment = Descriptor::decode(slot).and_then(|descriptor| descriptor.segment(layout));
            IndexEntry { position, segment }
        })
        .collect();
    refuse_overlaps(&mut entries);
    entries
}

/// Of two pieces that overlap, the one with the later entry is refused.
fn refuse_overlaps(entries: &mut [IndexEntry]) {
    // Pieces by start; good ones never overlap, so only the neighbours of a new one can.
    let mut good = std::collections::BTreeMap::<u64, (u64, usize)>::new();
    for entry in entries {
        let Ok(segment) = entry.segment else { continue };
        let before = good.range(..segment.end()).next_back();
        match before {
            Some((_, &(end, other))) if end > segment.offset => {
                entry.segment = Err(DescriptorError::Overlap { other });
            }
            _ => {
                good.insert(segment.offset, (segment.end(), entry.position));
            }
        }
    }
}
