//! Any byte range of an aggregate's raw stream, computed from the pieces' own files: the aggregate is never written.

use std::io::{self, Read};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::aggregate::Aggregate;
use super::stream::{Span, SpanKind};
use crate::car::ReadAt;
use crate::commp::{Commitment, Hasher};

/// A piece's payload at hand.
#[derive(Debug, Clone)]
pub struct Payload<F> {
    /// The bytes.
    pub file: F,
    /// How many there are; zeros follow them to the capacity of the piece.
    pub bytes: u64,
}

/// Pieces that do not belong to an aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PayloadsError {
    /// Not one payload per entry.
    #[error("the aggregate has {entries} entries, {payloads} payloads were given")]
    Count {
        /// Entries there are.
        entries: usize,
        /// Payloads given.
        payloads: usize,
    },
    /// A payload longer than its piece.
    #[error("the payload of entry {position} has {bytes} bytes, its piece holds {capacity}")]
    TooLong {
        /// Which entry.
        position: usize,
        /// Length of the payload.
        bytes: u64,
        /// What the piece holds.
        capacity: u64,
    },
}

/// An aggregate over the files of its pieces.
#[derive(Debug)]
pub struct VirtualDeal<F> {
    commitments: Vec<Commitment>,
    spans: Vec<Span>,
    index: Vec<u8>,
    payloads: Vec<Payload<F>>,
    /// Of each entry, whether its payload was seen to have its commitment.
    checked: Vec<AtomicBool>,
    bytes: u64,
}

impl<F: ReadAt> VirtualDeal<F> {
    /// The aggregate with the payloads of its entries, in their order. Memory: the index twice, 64 bytes a piece.
    ///
    /// # Errors
    /// [`PayloadsError`] when there are more or fewer than entries, or one is longer than its piece.
    pub fn new(aggregate: &Aggregate, payloads: Vec<Payload<F>>) -> Result<Self, PayloadsError> {
        let entries = aggregate.segments().len();
        if entries != payloads.len() {
            return Err(PayloadsError::Count { entries, payloads: payloads.len() });
        }
        for (position, (segment, payload)) in aggregate.segments().iter().zip(&payloads).enumerate() {
            let (bytes, capacity) = (payload.bytes, segment.size.capacity());
            if bytes > capacity {
                return Err(PayloadsError::TooLong { position, bytes, capacity });
            }
        }
        Ok(Self {
            commitments: aggregate.segments().iter().map(|segment| segment.commitment).collect(),
            spans: aggregate.spans(),
            index: aggregate.index_payload(),
            checked: payloads.iter().map(|_| AtomicBool::new(false)).collect(),
            payloads,
            bytes: aggregate.piece().payload_bytes(),
        })
    }

    /// Length of the stream, in bytes.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes `start..end` as a reader; an end past the stream is its end. Pieces that lie in the range whole are
    /// checked against their commitments while they are read, unless they were before: a wrong one ends in an
    /// `InvalidData` error.
    pub fn range(&self, start: u64, end: u64) -> RangeReader<&Self> {
        RangeReader::new(self, start, end)
    }

    /// The same for a reader that has its part in the deal.
    pub fn shared_range(self: Arc<Self>, start: u64, end: u64) -> RangeReader<Arc<Self>> {
        RangeReader::new(self, start, end)
    }

    /// The files that bytes `start..end` are read from, in their order.
    pub fn files_in(&self, start: u64, end: u64) -> impl Iterator<Item = &F> {
        let first = self.spans.partition_point(|span| span.start + span.len <= start);
        let spans = self.spans.get(first..).unwrap_or_default();
        spans.iter().take_while(move |span| span.start < end).filter_map(move |span| match span.kind {
            SpanKind::Piece(position) => {
                let payload = self.payloads.get(position)?;
                (start < span.start + payload.bytes).then_some(&payload.file)
            }
            SpanKind::Zeros | SpanKind::Index => None,
        })
    }

    fn span_at(&self, at: u64) -> Option<(usize, &Span)> {
        let number = self.spans.partition_point(|span| span.start + span.len <= at);
        self.spans.get(number).map(|span| (number, span))
    }
}

impl<F: ReadAt> VirtualDeal<F> {
    /// Fills the buffer with the bytes at `offset`; `read` does it where they are a file's.
    fn fill_by(
        &self,
        mut buffer: &mut [u8],
        mut offset: u64,
        mut read: impl FnMut(&F, &mut [u8], u64) -> io::Result<()>,
    ) -> io::Result<()> {
        while !buffer.is_empty() {
            let (_, span) = self.span_at(offset).ok_or(io::ErrorKind::UnexpectedEof)?;
            let within = offset - span.start;
            let len = usize::try_from(span.len - within).unwrap_or(usize::MAX).min(buffer.len());
            let (now, later) = std::mem::take(&mut buffer).split_at_mut(len);
            match span.kind {
                SpanKind::Zeros => now.fill(0),
                SpanKind::Index => self.index.read_exact_at(now, within)?,
                SpanKind::Piece(position) => {
                    let payload = self.payloads.get(position).ok_or(io::ErrorKind::UnexpectedEof)?;
                    let data = usize::try_from(payload.bytes.saturating_sub(within)).unwrap_or(usize::MAX);
                    let (data, zeros) = now.split_at_mut(len.min(data));
                    if !data.is_empty() {
                        read(&payload.file, data, within)?;
                    }
                    zeros.fill(0);
                }
            }
            offset += len as u64;
            buffer = later;
        }
        Ok(())
    }
}

impl<F: ReadAt> ReadAt for VirtualDeal<F> {
    /// Without the check of whole pieces; [`VirtualDeal::range`] has it.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.fill_by(buffer, offset, F::read_exact_at)
    }
}

/// A range of a virtual deal being read.
#[derive(Debug)]
pub struct RangeReader<D> {
    deal: D,
    at: u64,
    end: u64,
    /// The entry being read whole, and its hash so far.
    checking: Option<(usize, Hasher)>,
}

impl<F: ReadAt, D: Deref<Target = VirtualDeal<F>>> RangeReader<D> {
    fn new(deal: D, start: u64, end: u64) -> Self {
        let end = end.min(deal.bytes);
        Self { deal, at: start.min(end), end, checking: None }
    }

    /// Whether a check of an entry begins with the next byte.
    fn begins_check(&self, span: &Span, position: usize) -> bool {
        let is_checked = |checked: &AtomicBool| checked.load(Ordering::Relaxed);
        self.at == span.start
            && span.start + span.len <= self.end
            && !self.deal.checked.get(position).is_some_and(is_checked)
    }

    /// Whether the next bytes will be hashed, which takes several times as long as reading them.
    #[must_use]
    pub fn hashes_next(&self) -> bool {
        let Some((_, span)) = self.deal.span_at(self.at) else { return false };
        let SpanKind::Piece(position) = span.kind else { return false };
        let is_begun = self.checking.as_ref().is_some_and(|(checked, _)| *checked == position);
        is_begun || self.begins_check(span, position)
    }

    /// Reads on like [`Read::read`]; `read` fills a buffer from a place in a file. When it fails nothing was read.
    ///
    /// # Errors
    /// Those of `read`, and `InvalidData` for a piece that is not the one it should be.
    pub fn read_by(
        &mut self,
        buffer: &mut [u8],
        read: impl FnMut(&F, &mut [u8], u64) -> io::Result<()>,
    ) -> io::Result<usize> {
        let Some((_, span)) = self.deal.span_at(self.at) else { return Ok(0) };
        let span = *span;
        let left = self.end.min(span.start + span.len) - self.at;
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = &mut buffer[..len];
        self.deal.fill_by(buffer, self.at, read)?;
        if let SpanKind::Piece(position) = span.kind {
            self.check(&span, position, buffer)?;
        }
        self.at += len as u64;
        Ok(len)
    }

    fn check(&mut self, span: &Span, position: usize, bytes: &[u8]) -> io::Result<()> {
        let end = span.start + span.len;
        if self.begins_check(span, position) {
            self.checking = Some((position, Hasher::new()));
        }
        let Some((_, hasher)) = self.checking.as_mut().filter(|(checked, _)| *checked == position) else {
            return Ok(());
        };
        hasher.update(bytes);
        if self.at + (bytes.len() as u64) < end {
            return Ok(());
        }
        let found = self.checking.take().and_then(|(_, hasher)| hasher.finish().ok());
        if found.map(|info| info.commitment()) != self.deal.commitments.get(position).copied() {
            let wrong = format!("the payload of entry {position} does not have its commitment");
            return Err(io::Error::new(io::ErrorKind::InvalidData, wrong));
        }
        if let Some(checked) = self.deal.checked.get(position) {
            checked.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl<F: ReadAt, D: Deref<Target = VirtualDeal<F>>> Read for RangeReader<D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_by(buffer, F::read_exact_at)
    }
}
