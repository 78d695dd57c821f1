//! Where each block of a CAR file lies.
//!
//! The stored form is versioned: eight bytes of magic with the version, the entry count, then entries of
//! 48 bytes sorted by digest, all integers little-endian. It can be rebuilt from the CAR at any time. What version 2 adds
//! is in `index_file`.

use std::hash::{BuildHasher, RandomState};
use std::io::Read;

use ::cid::Cid;

use super::error::CarError;
use super::reader::{Limits, Reader};
use crate::block::{BlockError, digest_of, identity_bytes};

pub(super) const MAGIC: &[u8; 8] = b"RAASIDX1";
pub(super) const ENTRY_BYTES: usize = 48;

/// The place of a block's bytes in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// First byte.
    pub offset: u64,
    /// Length in bytes.
    pub len: u32,
    /// Codec it was written under.
    pub codec: u32,
}

/// A stored index that cannot be used; rebuild it from the CAR.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// Not an index of this version.
    #[error("not a block index of version 1; rebuild it from the CAR file")]
    Magic,
    /// The length does not fit the entry count.
    #[error("block index has the wrong length; rebuild it from the CAR file")]
    Length,
    /// Entries are not strictly ascending.
    #[error("block index is not sorted; rebuild it from the CAR file")]
    Order,
    /// The end is not what was written last, or does not fit the rest.
    #[error("block index is not as it was written; rebuild it from the CAR file")]
    Seal,
}

/// The finished index: sorted, looked up by hash.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Index {
    entries: Vec<([u8; 32], Location)>,
}

impl Index {
    /// Builds the index by reading and checking a whole CAR.
    ///
    /// # Errors
    /// [`CarError`] when the CAR is bad.
    pub fn scan(input: impl Read, limits: Limits) -> Result<Self, CarError> {
        let mut reader = Reader::new(input, limits)?;
        let mut builder = IndexBuilder::default();
        while let Some(block) = reader.next_block()? {
            let (offset, len) = (block.offset, block.data.len());
            builder.add(&block.cid, offset, len).map_err(|source| CarError::Block { offset, source })?;
        }
        Ok(builder.build())
    }

    /// Where a block lies, whatever the CID's version or codec.
    #[must_use]
    pub fn get(&self, cid: &Cid) -> Option<Location> {
        let number = self.number(&digest_of(cid).ok()?)?;
        self.at(number).map(|(_, location)| location)
    }

    /// The number of a block among all, from zero in order of their digests.
    pub(crate) fn number(&self, digest: &[u8; 32]) -> Option<usize> {
        self.entries.binary_search_by_key(&digest, |(digest, _)| digest).ok()
    }

    /// The digest of the block of a number, and where it lies.
    pub(crate) fn at(&self, number: usize) -> Option<([u8; 32], Location)> {
        self.entries.get(number).copied()
    }

    /// Number of distinct blocks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of its distinct blocks, without CIDs and lengths.
    #[must_use]
    pub fn block_bytes(&self) -> u64 {
        self.entries.iter().map(|(_, location)| u64::from(location.len)).sum()
    }

    /// The digests of its blocks, ascending.
    pub(super) fn digests(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.entries.iter().map(|(digest, _)| digest)
    }

    /// The stored form of version 1, 48 bytes per block; [`super::sealed`] makes that of version 2 of it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + self.entries.len() * ENTRY_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&(self.entries.len() as u64).to_le_bytes());
        for (digest, location) in &self.entries {
            out.extend_from_slice(digest);
            out.extend_from_slice(&location.offset.to_le_bytes());
            out.extend_from_slice(&location.len.to_le_bytes());
            out.extend_from_slice(&location.codec.to_le_bytes());
        }
        out
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`IndexError`] unless the bytes are exactly one index.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IndexError> {
        let (magic, rest) = bytes.split_first_chunk::<8>().ok_or(IndexError::Magic)?;
        if magic != MAGIC {
            return Err(IndexError::Magic);
        }
        let (count, rest) = rest.split_first_chunk::<8>().ok_or(IndexError::Length)?;
        let (records, tail) = rest.as_chunks::<ENTRY_BYTES>();
        if !tail.is_empty() || u64::from_le_bytes(*count) != records.len() as u64 {
            return Err(IndexError::Length);
        }
        let entries: Vec<_> = records.iter().map(entry).collect();
        if entries.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return Err(IndexError::Order);
        }
        Ok(Self { entries })
    }
}

pub(super) fn entry(record: &[u8; ENTRY_BYTES]) -> ([u8; 32], Location) {
    let take = |from: usize| -> [u8; 8] { std::array::from_fn(|i| record[from + i]) };
    let small = |from: usize| u32::from_le_bytes(std::array::from_fn(|i| record[from + i]));
    let digest = std::array::from_fn(|i| record[i]);
    (digest, Location { offset: u64::from_le_bytes(take(32)), len: small(40), codec: small(44) })
}

/// An index being built, in the order blocks are met. Memory: 76 bytes per distinct block
/// at most.
#[derive(Debug, Clone, Default)]
pub struct IndexBuilder {
    entries: Vec<([u8; 32], Location)>,
    /// For each digest one past its entry, at the first free place from where its hash says; half are zero at
    /// least. A map that holds the entries themselves takes twice the memory, and a third copy while it grows.
    places: Vec<u32>,
    /// Secret, so that nobody can choose blocks that fall on one place.
    hasher: RandomState,
}

impl IndexBuilder {
    /// Notes a block; the first place of a block counts. Identity CIDs need no place.
    ///
    /// # Errors
    /// [`BlockError::UnsupportedHash`] for other hashes than SHA-256.
    pub fn add(&mut self, cid: &Cid, offset: u64, len: usize) -> Result<(), BlockError> {
        if identity_bytes(cid).is_some() {
            return Ok(());
        }
        // Blocks are capped at 2 MiB; a codec past 32 bits is kept as 0, which no codec of ours is.
        let location = Location {
            offset,
            len: u32::try_from(len).map_err(|_| BlockError::TooLarge { cid: Box::new(*cid), bytes: len })?,
            codec: u32::try_from(cid.codec()).unwrap_or(0),
        };
        let digest = digest_of(cid)?;
        if self.entries.len() * 2 >= self.places.len() {
            self.grow();
        }
        let place = self.place(&digest);
        if self.places[place] == 0 {
            if self.entries.len() == self.entries.capacity() {
                // By a quarter and not by doubling: this list is most of the memory of a large index.
                self.entries.reserve_exact(self.entries.len() / 4 + 64);
            }
            self.entries.push((digest, location));
            // More entries than that would be 200 GiB.
            self.places[place] = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        }
        Ok(())
    }

    /// Whether this block was noted under the same codec.
    ///
    /// # Errors
    /// [`BlockError::UnsupportedHash`] for other hashes than SHA-256.
    pub fn contains(&self, cid: &Cid) -> Result<bool, BlockError> {
        let codec = u32::try_from(cid.codec()).unwrap_or(0);
        Ok(self.get(&digest_of(cid)?).is_some_and(|location| location.codec == codec))
    }

    /// The finished index.
    #[must_use]
    pub fn build(self) -> Index {
        let mut entries = self.entries;
        entries.shrink_to_fit();
        entries.sort_unstable_by_key(|&(digest, _)| digest);
        Index { entries }
    }

    fn get(&self, digest: &[u8; 32]) -> Option<&Location> {
        let number = if self.places.is_empty() { 0 } else { self.places[self.place(digest)] };
        self.entry(number).map(|(_, location)| location)
    }

    /// The entry that a place names.
    fn entry(&self, number: u32) -> Option<&([u8; 32], Location)> {
        self.entries.get((number as usize).checked_sub(1)?)
    }

    /// Where a digest is, or would go. There are places, and free ones.
    fn place(&self, digest: &[u8; 32]) -> usize {
        let mask = self.places.len() - 1;
        // The high bits of a hash are as good as those that a small word cuts off.
        let mut place = self.hasher.hash_one(digest) as usize & mask;
        while self.entry(self.places[place]).is_some_and(|(other, _)| other != digest) {
            place = (place + 1) & mask;
        }
        place
    }

    fn grow(&mut self) {
        let places = (self.places.len() * 2).max(16);
        // The old ones first, so that both are never there together.
        self.places = Vec::new();
        self.places.resize(places, 0);
        for number in 1..=self.entries.len() {
            let place = self.place(&self.entries[number - 1].0);
            self.places[place] = u32::try_from(number).unwrap_or(u32::MAX);
        }
    }
}
