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

/// A range of a file, and of the zeros that follow it.
pub struct FileRange {
    file: File,
    file_bytes: u64,
    at: u64,
    end: u64,
    buffers: Arc<Buffers>,
}

impl FileRange {
    /// Bytes `first..first + length` of a file of `file_bytes` and endless zeros.
    #[must_use]
    pub const fn new(file: File, file_bytes: u64, first: u64, length: u64, buffers: Arc<Buffers>) -> Self {
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
