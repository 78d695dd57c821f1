//! CARs of pieces, read where they lie.

use super::ahead::{Buffers, Chunks};
use crate::blocks::PieceStore;
use axum::body::Bytes;
use raas_core::cid::Commitment;
use raas_piece::car::ReadAt;
use raas_piece::segment::{RangeReader, VirtualDeal};
use rustix::io::{ReadWriteFlags, preadv2};
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::sync::Arc;

/// Bytes handed to the socket at once: enough to be worth the calls, few enough to stay in the processor's cache.
pub const CHUNK_BYTES: usize = 256 << 10;

/// A piece's CAR that is opened when it is read. An aggregate can have more pieces than a process may have files, and a file
/// that is kept open keeps its room on the disk when it is deleted.
#[derive(Clone, Debug)]
pub struct OnDisk {
    /// The folder.
    pub pieces: PieceStore,
    /// Which.
    pub piece: Commitment,
}

impl OnDisk {
    fn open(&self) -> io::Result<File> {
        let gone =
            || io::Error::new(io::ErrorKind::NotFound, format!("piece {} is not here any more", self.piece));
        self.pieces.car(self.piece)?.ok_or_else(gone)
    }
}

impl ReadAt for OnDisk {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.open()?.read_exact_at(buffer, offset)
    }
}

/// Reads what the system has in memory, which can be less than there is. Fails when it has nothing, or cannot say.
fn read_at_hand(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    Ok(preadv2(file, &mut [IoSliceMut::new(buffer)], offset, ReadWriteFlags::NOWAIT)?)
}

/// A range of a file, and of the zeros that follow it. Many answers read one open file, so each read says where: the file
/// has one offset for all of them, which nobody may use.
pub struct FileRange {
    file: Arc<File>,
    file_bytes: u64,
    at: u64,
    end: u64,
    buffers: Arc<Buffers>,
}

impl FileRange {
    /// Bytes `first..first + length` of a file of `file_bytes` and endless zeros.
    #[must_use]
    pub const fn new(
        file: Arc<File>,
        file_bytes: u64,
        first: u64,
        length: u64,
        buffers: Arc<Buffers>,
    ) -> Self {
        Self { file, file_bytes, at: first, end: first + length, buffers }
    }

    /// How many bytes the next chunk takes from the file.
    fn wanted(&self, room: usize) -> usize {
        usize::try_from(self.end.min(self.file_bytes).saturating_sub(self.at)).unwrap_or(usize::MAX).min(room)
    }

    fn zeros(&self, to: &mut [u8]) -> usize {
        let count = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(to.len());
        to[..count].fill(0);
        count
    }

    fn step(&mut self, chunk: io::Result<Bytes>) -> io::Result<Option<Bytes>> {
        let chunk = chunk?;
        self.at += chunk.len() as u64;
        Ok(Some(chunk))
    }
}

impl Chunks for FileRange {
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.at >= self.end {
            return Ok(None);
        }
        let chunk = self.buffers.filled(|to| match self.wanted(to.len()) {
            0 => Ok(self.zeros(to)),
            count => {
                self.file.read_exact_at(&mut to[..count], self.at)?;
                Ok(count)
            }
        });
        self.step(chunk)
    }

    /// What the system has in memory is read at once, without another thread.
    fn next_at_hand(&mut self) -> Option<io::Result<Option<Bytes>>> {
        if self.at >= self.end {
            return Some(Ok(None));
        }
        let chunk = self.buffers.filled(|to| match self.wanted(to.len()) {
            0 => Ok(self.zeros(to)),
            count => read_at_hand(&self.file, &mut to[..count], self.at),
        });
        match chunk {
            // Nothing of it in memory, a file that has become shorter, or a file system that cannot say: the other way
            // finds out.
            Err(_) => None,
            Ok(chunk) if chunk.is_empty() => None,
            Ok(chunk) => Some(self.step(Ok(chunk))),
        }
    }
}

/// A range of an aggregate as it is computed.
pub struct DealRange {
    range: RangeReader<Arc<VirtualDeal<OnDisk>>>,
    /// The CAR that is being read.
    open: Option<(Commitment, File)>,
    buffers: Arc<Buffers>,
}

impl DealRange {
    /// Bytes `first..first + length`; `None` where not all pieces that they come from are here. Looks at the disk.
    ///
    /// # Errors
    /// The disk's own.
    pub fn begin(
        deal: Arc<VirtualDeal<OnDisk>>,
        first: u64,
        length: u64,
        buffers: Arc<Buffers>,
    ) -> io::Result<Option<Self>> {
        let mut open = None;
        for on_disk in deal.files_in(first, first + length) {
            if open.is_none() {
                let Some(file) = on_disk.pieces.car(on_disk.piece)? else { return Ok(None) };
                open = Some((on_disk.piece, file));
            } else if !on_disk.pieces.has(on_disk.piece) {
                return Ok(None);
            }
        }
        Ok(Some(Self { range: deal.shared_range(first, first + length), open, buffers }))
    }

    /// The next bytes, none at the end. Where nothing may be waited for, those that are in memory and need no hashing; an
    /// error where there are none.
    fn fill(&mut self, at_hand: bool) -> io::Result<Bytes> {
        let Self { range, open, buffers } = self;
        let mut read = |on_disk: &OnDisk, buffer: &mut [u8], offset: u64| {
            let file = match open {
                Some((piece, file)) if *piece == on_disk.piece => file,
                _ if at_hand => return Err(io::ErrorKind::WouldBlock.into()),
                _ => &mut open.insert((on_disk.piece, on_disk.open()?)).1,
            };
            match at_hand {
                false => file.read_exact_at(buffer, offset),
                true if read_at_hand(file, buffer, offset)? == buffer.len() => Ok(()),
                true => Err(io::ErrorKind::WouldBlock.into()),
            }
        };
        buffers.filled(|to| {
            let mut filled = 0;
            while filled < to.len() {
                let next = if at_hand && range.hashes_next() {
                    Err(io::ErrorKind::WouldBlock.into())
                } else {
                    range.read_by(&mut to[filled..], &mut read)
                };
                match next {
                    Ok(0) => break,
                    Ok(count) => filled += count,
                    // It is met again at the next read.
                    Err(_) if at_hand && filled > 0 => break,
                    Err(error) => return Err(error),
                }
            }
            Ok(filled)
        })
    }
}

impl Chunks for DealRange {
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        let chunk = self.fill(false)?;
        Ok((!chunk.is_empty()).then_some(chunk))
    }

    fn next_at_hand(&mut self) -> Option<io::Result<Option<Bytes>>> {
        let chunk = self.fill(true).ok()?;
        Some(Ok((!chunk.is_empty()).then_some(chunk)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raas_piece::pack::{PackOptions, pack_reader};
    use raas_piece::segment::{Aggregate, Payload, minimum_deal_size};
    use std::io::{Read as _, Write as _};

    /// Reads one after the other in turns, by the way that waits or by the one that does not.
    fn in_turns<C: Chunks>(ranges: &mut [C], at_hand: bool) -> Vec<Vec<u8>> {
        let mut got = vec![Vec::new(); ranges.len()];
        let mut ended = 0;
        while ended < ranges.len() {
            ended = 0;
            for (range, got) in ranges.iter_mut().zip(&mut got) {
                let at_hand = at_hand.then(|| range.next_at_hand()).flatten();
                match at_hand.unwrap_or_else(|| range.next()).expect("bytes") {
                    Some(chunk) => got.extend_from_slice(&chunk),
                    None => ended += 1,
                }
            }
        }
        got
    }

    #[test]
    fn answers_that_read_one_open_file_in_turns_get_their_own_bytes() {
        let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&content).expect("written");
        let (file, length) = (Arc::new(file), content.len() as u64);
        let buffers = Buffers::new(1 << 10, 4);
        let spans = [(0, length), (0, length), (1, 200_000), (399_000, 1_000), (300_000, length)];
        for at_hand in [false, true] {
            let mut ranges = spans.map(|(first, count)| {
                FileRange::new(Arc::clone(&file), length, first, count, Arc::clone(&buffers))
            });
            let padded = [content.clone(), vec![0; content.len()]].concat();
            for (got, (first, count)) in in_turns(&mut ranges, at_hand).iter().zip(spans) {
                let (first, count) = (first as usize, count as usize);
                assert!(got[..] == padded[first..first + count], "{count} bytes from {first}");
            }
        }
    }

    /// Pieces of different lengths, and what lies where in the aggregate of them.
    fn three(store: &PieceStore) -> (Aggregate, Vec<Payload<OnDisk>>) {
        let mut parts = Vec::new();
        let mut payloads = Vec::new();
        for number in 1..4_u8 {
            let content = vec![number; 300_000 * usize::from(number)];
            let staged = store.stage().expect("a file");
            let packed = pack_reader(&content[..], staged, &PackOptions::default());
            let (packed, staged) = packed.expect("packed");
            let piece = store.keep(staged, &packed).expect("kept").piece();
            parts.push((packed.piece.commitment(), packed.piece.padded()));
            payloads.push(Payload { file: OnDisk { pieces: store.clone(), piece }, bytes: packed.car_bytes });
        }
        let sizes: Vec<_> = parts.iter().map(|(_, size)| *size).collect();
        let size = minimum_deal_size(&sizes).expect("a size");
        (Aggregate::new(size, &parts).expect("an aggregate"), payloads)
    }

    #[test]
    fn a_range_of_an_aggregate_is_the_same_at_hand_or_not_and_is_not_begun_without_its_pieces() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = PieceStore::open(folder.path()).expect("a store");
        let (aggregate, payloads) = three(&store);
        let new = || Arc::new(VirtualDeal::new(&aggregate, payloads.clone()).expect("a deal"));
        let (hashed, unhashed) = (new(), new());
        let mut whole = Vec::new();
        hashed.range(0, hashed.bytes()).read_to_end(&mut whole).expect("all of it");

        let buffers = Buffers::new(10_000, 4);
        let begin = |deal: &Arc<VirtualDeal<OnDisk>>, first, length| {
            DealRange::begin(Arc::clone(deal), first, length, Arc::clone(&buffers)).expect("the disk is well")
        };
        let all = hashed.bytes();
        let mut first = begin(&unhashed, 0, all).expect("its pieces");
        assert!(first.next_at_hand().is_none(), "what is hashed is not at hand");
        for deal in [&hashed, &unhashed] {
            for (first, length) in [(1, all - 1), (299_000, 900_000), (all - 10, 10), (0, 3), (0, all)] {
                for at_hand in [true, false] {
                    let range = begin(deal, first, length).expect("its pieces");
                    let got = in_turns(&mut [range], at_hand);
                    let wanted = &whole[first as usize..(first + length) as usize];
                    assert!(got[0][..] == *wanted, "{length} bytes from {first}");
                }
            }
        }

        store.remove(payloads[1].file.piece).expect("removed");
        let second = aggregate.segments()[1].payload_offset();
        assert!(begin(&hashed, 0, all).is_none() && begin(&hashed, second, 1).is_none());
        assert!(begin(&hashed, 0, 300_000).is_some() && begin(&hashed, all - 10, 10).is_some());
    }
}
