//! CARs of pieces, read where they lie.

use super::ahead::{Buffers, Chunks};
use crate::blocks::PieceStore;
use axum::body::Bytes;
use raas_core::cid::Commitment;
use raas_piece::car::ReadAt;
use raas_piece::segment::{RangeReader, VirtualDeal};
use rustix::io::{ReadWriteFlags, preadv2};
use std::fs::File;
use std::io::{self, IoSliceMut, Read};
use std::sync::Arc;

/// Bytes handed to the socket at once: enough to be worth the calls, few enough to stay in the processor's cache.
pub const CHUNK_BYTES: usize = 256 << 10;

/// A piece's CAR that is opened for each read. An aggregate can have more pieces than a process may have files, and a file
/// that is kept open keeps its room on the disk when it is deleted.
#[derive(Clone, Debug)]
pub struct OnDisk {
    /// The folder.
    pub pieces: PieceStore,
    /// Which.
    pub piece: Commitment,
}

impl ReadAt for OnDisk {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let gone =
            || io::Error::new(io::ErrorKind::NotFound, format!("piece {} is not here any more", self.piece));
        self.pieces.car(self.piece)?.ok_or_else(gone)?.read_exact_at(buffer, offset)
    }
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
            count => {
                let mut parts = [IoSliceMut::new(&mut to[..count])];
                Ok(preadv2(&self.file, &mut parts, self.at, ReadWriteFlags::NOWAIT)?)
            }
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
    buffers: Arc<Buffers>,
}

impl DealRange {
    /// Bytes `first..first + length`.
    #[must_use]
    pub fn new(deal: Arc<VirtualDeal<OnDisk>>, first: u64, length: u64, buffers: Arc<Buffers>) -> Self {
        Self { range: deal.shared_range(first, first + length), buffers }
    }
}

impl Chunks for DealRange {
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        let chunk = self.buffers.filled(|to| {
            let mut filled = 0;
            while filled < to.len() {
                match self.range.read(&mut to[filled..])? {
                    0 => break,
                    count => filled += count,
                }
            }
            Ok(filled)
        })?;
        Ok((!chunk.is_empty()).then_some(chunk))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    /// Reads one after the other in turns, by the way that waits or by the one that does not.
    fn in_turns(ranges: &mut [FileRange], at_hand: bool) -> Vec<Vec<u8>> {
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
}
