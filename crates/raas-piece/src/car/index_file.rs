//! A block index on the disk, looked into without reading it whole.
//!
//! Version 2 of the stored form begins like version 1 (magic, count, sorted entries); behind the entries are a
//! [`Filter`] and a seal of 64 bytes: the CAR's length, the SHA-256 of its last 4,096 bytes, 16 bytes of the
//! SHA-256 of all before, and a magic. So a write that was cut short is found by the lengths and the seal, of the index
//! and of its CAR alike, and rot inside by [`IndexFile::verify`]. Version 1 is read for ever; it has no seal.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use ::cid::Cid;
use sha2_11::{Digest, Sha256};

use super::filter::Filter;
use super::index::{ENTRY_BYTES, Index, IndexError, Location, MAGIC as MAGIC_1, entry};
use super::store::ReadAt;
use crate::block::{digest_of, sha256};

const MAGIC_2: &[u8; 8] = b"RAASIDX2";
const END: &[u8; 8] = b"RAASEND2";
const HEAD_BYTES: u64 = 16;
const SEAL_BYTES: usize = 64;
/// Bytes at the end of a CAR that the seal knows.
const TAIL_BYTES: u64 = 4_096;
/// Entries read at once where all are.
const READ_ENTRIES: u64 = 4_096;

/// What a CAR must be for its index to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// Its length in bytes.
    pub car_bytes: u64,
    /// SHA-256 of its last 4,096 bytes, or of all of them when there are fewer.
    pub tail: [u8; 32],
}

impl Seal {
    /// The seal of a CAR.
    ///
    /// # Errors
    /// The file's own.
    pub fn of(mut car: impl Read + Seek) -> io::Result<Self> {
        let car_bytes = car.seek(SeekFrom::End(0))?;
        car.seek(SeekFrom::Start(car_bytes.saturating_sub(TAIL_BYTES)))?;
        let mut tail = Vec::new();
        car.read_to_end(&mut tail)?;
        Ok(Self { car_bytes, tail: sha256(&tail) })
    }
}

/// An index on the disk that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexFileError {
    /// It is none, or damaged.
    #[error(transparent)]
    Bad(#[from] IndexError),
    /// It cannot be read.
    #[error("could not read the block index")]
    Io(#[from] io::Error),
}

/// The stored form of an index under the seal of its CAR.
#[must_use]
pub fn sealed(index: &Index, seal: &Seal) -> Vec<u8> {
    let mut bytes = index.to_bytes();
    bytes.splice(..MAGIC_2.len(), *MAGIC_2);
    bytes.extend_from_slice(filter_of(index).to_bytes());
    bytes.extend_from_slice(&seal.car_bytes.to_le_bytes());
    bytes.extend_from_slice(&seal.tail);
    let sum = sha256(&bytes);
    bytes.extend_from_slice(&sum[..16]);
    bytes.extend_from_slice(END);
    bytes
}

fn filter_of(index: &Index) -> Filter {
    let mut filter = Filter::with_room_for(index.len() as u64);
    index.digests().for_each(|digest| filter.add(digest));
    filter
}

/// An open index. Memory: its filter, two bytes per block.
#[derive(Debug, Clone)]
pub struct IndexFile<R> {
    file: R,
    count: u64,
    filter: Arc<Filter>,
    seal: Option<Seal>,
}

impl<R: ReadAt> IndexFile<R> {
    /// Opens an index of `bytes` bytes: lengths and seal are looked at, of version 1 all entries.
    ///
    /// # Errors
    /// [`IndexFileError::Bad`] when it has to be rebuilt from the CAR.
    pub fn open(file: R, bytes: u64) -> Result<Self, IndexFileError> {
        if bytes < HEAD_BYTES {
            return Err(IndexError::Length.into());
        }
        let mut head = [0; HEAD_BYTES as usize];
        file.read_exact_at(&mut head, 0)?;
        let (magic, count) = head.split_at(8);
        let count = u64::from_le_bytes(std::array::from_fn(|at| count[at]));
        let entries = count.checked_mul(ENTRY_BYTES as u64).ok_or(IndexError::Length)?;
        let behind = bytes.checked_sub(HEAD_BYTES + entries.min(bytes)).ok_or(IndexError::Length)?;
        if magic == MAGIC_1 && behind == 0 {
            return Self::open_1(file, count);
        }
        if magic != MAGIC_2 {
            return Err(IndexError::Magic.into());
        }
        let filter_bytes = Filter::bytes_for(count);
        if behind != filter_bytes.saturating_add(SEAL_BYTES as u64) {
            return Err(IndexError::Length.into());
        }
        // Not more than the file has.
        let mut rest = vec![0; usize::try_from(behind).map_err(|_| IndexError::Length)?];
        file.read_exact_at(&mut rest, HEAD_BYTES + entries)?;
        let (filter, seal) = rest.split_at(rest.len() - SEAL_BYTES);
        if seal.get(56..) != Some(END) {
            return Err(IndexError::Seal.into());
        }
        let filter = Filter::from_bytes(filter).ok_or(IndexError::Length)?;
        let car_bytes = u64::from_le_bytes(std::array::from_fn(|at| seal[at]));
        let seal = Seal { car_bytes, tail: std::array::from_fn(|at| seal[8 + at]) };
        Ok(Self { file, count, filter: Arc::new(filter), seal: Some(seal) })
    }

    fn open_1(file: R, count: u64) -> Result<Self, IndexFileError> {
        let mut index = Self { file, count, filter: Arc::new(Filter::with_room_for(count)), seal: None };
        let mut filter = Filter::with_room_for(count);
        index.walk(|record| filter.add(&entry(record).0))?;
        index.filter = Arc::new(filter);
        Ok(index)
    }

    /// What its CAR must be; `None` in version 1.
    #[must_use]
    pub const fn seal(&self) -> Option<&Seal> {
        self.seal.as_ref()
    }

    /// Its filter, which outlives it.
    #[must_use]
    pub fn filter(&self) -> Arc<Filter> {
        Arc::clone(&self.filter)
    }

    /// Number of distinct blocks.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Where a block lies, whatever the CID's version or codec.
    ///
    /// # Errors
    /// The file's own.
    pub fn get(&self, cid: &Cid) -> io::Result<Option<Location>> {
        let Ok(digest) = digest_of(cid) else { return Ok(None) };
        if !self.filter.may_have(&digest) {
            return Ok(None);
        }
        // Digests are uniform, so that one lies near its share of the way: within one standard deviation or two,
        // and a second look at a half finds the few that do not.
        let share = (u128::from(prefix(&digest)) * u128::from(self.count)) >> 64;
        let middle = u64::try_from(share).unwrap_or(0);
        let reach = 16 + self.count.isqrt();
        let (mut low, mut high) = (0, self.count);
        let (mut from, mut to) = (middle.saturating_sub(reach), middle.saturating_add(reach).min(self.count));
        while low < high {
            let records = self.read(from, to)?;
            let at = records.binary_search_by(|record| record.first_chunk::<32>().cmp(&Some(&digest)));
            match at {
                Ok(at) => return Ok(records.get(at).map(|record| entry(record).1)),
                Err(0) if from > low => high = from,
                Err(at) if at == records.len() && to < high => low = to,
                Err(_) => return Ok(None),
            }
            let middle = low + (high - low) / 2;
            (from, to) = (middle.saturating_sub(8).max(low), middle.saturating_add(8).min(high));
        }
        Ok(None)
    }

    /// Reads all of it: whether every byte is as it was written.
    ///
    /// # Errors
    /// [`IndexFileError::Bad`] when it has to be rebuilt from the CAR.
    pub fn verify(&self) -> Result<(), IndexFileError> {
        let mut last = None;
        let mut ordered = true;
        let mut sum = Sha256::new();
        sum.update(if self.seal.is_some() { MAGIC_2 } else { MAGIC_1 });
        sum.update(self.count.to_le_bytes());
        self.walk(|record| {
            let digest = entry(record).0;
            ordered &= last.is_none_or(|last| last < digest);
            last = Some(digest);
            sum.update(record);
        })?;
        if !ordered {
            return Err(IndexError::Order.into());
        }
        let Some(seal) = &self.seal else { return Ok(()) };
        sum.update(self.filter.to_bytes());
        sum.update(seal.car_bytes.to_le_bytes());
        sum.update(seal.tail);
        let mut stored = [0; 16];
        let at = HEAD_BYTES + self.count * ENTRY_BYTES as u64 + Filter::bytes_for(self.count) + 40;
        self.file.read_exact_at(&mut stored, at)?;
        let sum: [u8; 32] = sum.finalize().into();
        if sum[..16] == stored { Ok(()) } else { Err(IndexError::Seal.into()) }
    }

    fn walk(&self, mut each: impl FnMut(&[u8; ENTRY_BYTES])) -> io::Result<()> {
        let mut from = 0;
        while from < self.count {
            let to = self.count.min(from + READ_ENTRIES);
            self.read(from, to)?.iter().for_each(&mut each);
            from = to;
        }
        Ok(())
    }

    /// The entries from one on to before another.
    fn read(&self, from: u64, to: u64) -> io::Result<Vec<[u8; ENTRY_BYTES]>> {
        let mut records = vec![[0; ENTRY_BYTES]; usize::try_from(to.saturating_sub(from)).unwrap_or(0)];
        self.file.read_exact_at(records.as_flattened_mut(), HEAD_BYTES + from * ENTRY_BYTES as u64)?;
        Ok(records)
    }
}

/// The first bytes of a digest in the order by which entries are sorted.
fn prefix(digest: &[u8; 32]) -> u64 {
    u64::from_be_bytes(std::array::from_fn(|at| digest[at]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{RAW, cid_v1};
    use crate::car::IndexBuilder;
    use std::io::Cursor;

    fn cid(number: u64) -> Cid {
        cid_v1(RAW, &number.to_le_bytes())
    }

    /// An index of so many blocks, each at a place of its own.
    fn index(count: u64) -> Index {
        let mut builder = IndexBuilder::default();
        (0..count).for_each(|number| builder.add(&cid(number), number * 100, 8).expect("SHA-256"));
        builder.build()
    }

    fn open(bytes: Vec<u8>) -> Result<IndexFile<Vec<u8>>, IndexFileError> {
        let length = bytes.len() as u64;
        IndexFile::open(bytes, length)
    }

    #[test]
    fn every_block_is_found_and_no_other() {
        let seal = Seal::of(Cursor::new(b"a CAR")).expect("in memory");
        for count in [0, 1, 2, 17, 1_000, 20_000] {
            let index = index(count);
            for bytes in [index.to_bytes(), sealed(&index, &seal)] {
                let file = open(bytes).expect("an index");
                assert_eq!(file.len(), count);
                file.verify().expect("as it was written");
                for number in (0..count).step_by(1 + count as usize / 700) {
                    assert_eq!(
                        file.get(&cid(number)).expect("readable"),
                        index.get(&cid(number)),
                        "{number}"
                    );
                    assert!(index.get(&cid(number)).is_some());
                }
                for number in count..count + 500 {
                    assert_eq!(file.get(&cid(number)).expect("readable"), None);
                }
            }
        }
    }

    /// Digests that are all alike at their beginning: no place can be guessed from them.
    #[test]
    fn blocks_are_found_however_their_digests_lie() {
        let entries = (0..5_000_u32).map(|number| {
            let mut digest = [0xff; 32];
            digest[28..].copy_from_slice(&number.to_be_bytes());
            digest
        });
        let mut builder = IndexBuilder::default();
        let cids: Vec<Cid> =
            entries.map(|digest| crate::block::cid_of_digest(cid::Version::V1, RAW, &digest)).collect();
        for (at, cid) in cids.iter().enumerate() {
            builder.add(cid, at as u64, 1).expect("SHA-256");
        }
        let file = open(builder.build().to_bytes()).expect("an index");
        for (at, cid) in cids.iter().enumerate() {
            assert_eq!(file.get(cid).expect("readable").map(|found| found.offset), Some(at as u64));
        }
    }

    #[test]
    fn what_is_cut_short_or_changed_is_seen() {
        let seal = Seal::of(Cursor::new(vec![7; 10_000])).expect("in memory");
        assert_eq!((seal.car_bytes, seal.tail), (10_000, sha256(&[7; 4_096])));
        let good = sealed(&index(40), &seal);
        assert_eq!(open(good.clone()).expect("an index").seal(), Some(&seal));
        for length in 0..good.len() {
            assert!(open(good[..length].to_vec()).is_err(), "cut to {length}");
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            let seen = open(bad).is_err_and(|error| matches!(error, IndexFileError::Bad(_)));
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(seen || open(bad).expect("it opens").verify().is_err(), "byte {at}");
        }
        let error = open(vec![0xff; 64]).expect_err("no index");
        assert!(matches!(error, IndexFileError::Bad(_)), "{error}");
    }
}
