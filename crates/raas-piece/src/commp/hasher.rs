//! Streaming CommP in memory of one kibibyte per level.
//!
//! The tree grows by units of 32 nodes, so that every call hashes as many nodes as the machine can at once. The
//! first unit of payload is kept aside until the end, and the tree's left edge is folded last. This lets a
//! writer change the start of a stream it has hashed already (a CAR header names a root that is known only after
//! the last block) without reading the stream again.

use super::small;
use crate::commp::{Commitment, PieceInfo};
use crate::sha::{Kernel, Path, SPAN_LEVEL, SPAN_PAYLOAD, UNIT_HEIGHT, UNIT_LEVEL, UNIT_PAYLOAD, Unit};
use crate::size::{PaddedSize, SizeError};
use crate::tree::zero;

/// How many bytes at the start of a stream [`Hasher::rewrite_head`] can change.
pub const HEAD_BYTES: usize = UNIT_PAYLOAD;
const FIRST_LEVEL: usize = UNIT_LEVEL as usize;
/// Spans handed to the kernel at once: a multiple of what each likes best.
const SPANS: usize = 12;
const SPAN_UNITS: usize = SPAN_PAYLOAD / UNIT_PAYLOAD;

/// A head that cannot be rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("only the first {HEAD_BYTES} bytes already written can be rewritten, not {offset}..{end}")]
pub struct HeadError {
    offset: usize,
    end: usize,
}

/// A running CommP computation.
///
/// Invariant: the unit in `waiting[l]` is a complete left half at level l whose right half is not done; the
/// subtree of the head is complete up to `head_level`, and `edge` holds its right neighbours bottom up.
#[derive(Debug, Clone)]
pub struct Hasher {
    kernel: &'static Kernel,
    partial: Vec<u8>,
    payload_bytes: u64,
    head: Option<Box<[u8; UNIT_PAYLOAD]>>,
    head_level: usize,
    edge: Vec<Unit>,
    waiting: Waiting,
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}

impl Hasher {
    /// An empty payload.
    #[must_use]
    pub fn new() -> Self {
        Self::on(Path::best())
    }

    /// An empty payload, hashed in a chosen way; the library's where the machine cannot take that.
    #[must_use]
    pub fn on(path: Path) -> Self {
        let kernel = path.kernel();
        Self {
            kernel,
            partial: Vec::with_capacity(UNIT_PAYLOAD),
            payload_bytes: 0,
            head: None,
            head_level: FIRST_LEVEL,
            edge: Vec::new(),
            waiting: Waiting { kernel, levels: Vec::new() },
        }
    }

    /// Payload bytes taken so far.
    #[must_use]
    pub const fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    /// Takes more payload, in parts of any length.
    pub fn update(&mut self, bytes: &[u8]) {
        let rest = self.fill_partial(bytes);
        let (units, rest) = rest.as_chunks::<UNIT_PAYLOAD>();
        // Spans lie at multiples of their length, and the first unit of all is set aside.
        let before =
            (self.payload_bytes - (units.as_flattened().len() + rest.len()) as u64) / UNIT_PAYLOAD as u64;
        let to_span = (before.next_multiple_of(SPAN_UNITS as u64).max(SPAN_UNITS as u64) - before) as usize;
        let (first, units) = units.split_at(to_span.min(units.len()));
        first.iter().for_each(|unit| self.unit(unit));
        let (spans, last) = units.as_flattened().as_chunks::<SPAN_PAYLOAD>();
        let mut tops = [Unit::EMPTY; SPANS];
        for spans in spans.chunks(SPANS) {
            self.kernel.spans(spans, &mut tops);
            tops.iter().take(spans.len()).for_each(|top| self.carry(SPAN_LEVEL.into(), *top));
        }
        last.as_chunks().0.iter().for_each(|unit| self.unit(unit));
        self.partial.extend_from_slice(rest);
    }

    /// Completes a unit begun before, or the head; gives what is left of the bytes.
    fn fill_partial<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        self.payload_bytes += bytes.len() as u64;
        if self.partial.is_empty() {
            return bytes;
        }
        let (now, later) = bytes.split_at(bytes.len().min(UNIT_PAYLOAD - self.partial.len()));
        self.partial.extend_from_slice(now);
        if let Some(unit) = self.partial.first_chunk::<UNIT_PAYLOAD>().copied() {
            self.partial.clear();
            self.unit(&unit);
        }
        later
    }

    /// Replaces bytes at the start of the payload, as if they had been written so at first.
    ///
    /// # Errors
    /// [`HeadError`] when the range is not within the first [`HEAD_BYTES`], or not written yet.
    pub fn rewrite_head(&mut self, offset: usize, bytes: &[u8]) -> Result<(), HeadError> {
        let end = offset.saturating_add(bytes.len());
        let head = match &mut self.head {
            Some(head) => &mut head[..],
            None => &mut self.partial[..],
        };
        let target = head.get_mut(offset..end).ok_or(HeadError { offset, end })?;
        target.copy_from_slice(bytes);
        Ok(())
    }

    /// Pads with zeros and gives the piece.
    ///
    /// # Errors
    /// [`SizeError::PayloadTooLarge`] past the 64-bit sizes; no real stream gets there.
    pub fn finish(mut self) -> Result<PieceInfo, SizeError> {
        let padded = PaddedSize::for_payload(self.payload_bytes)?;
        let payload_bytes = self.payload_bytes;
        let too_large = |_| SizeError::PayloadTooLarge(payload_bytes);
        let Some(last) = padded.height().checked_sub(UNIT_HEIGHT).filter(|&level| level >= UNIT_LEVEL) else {
            let commitment =
                Commitment::new(small::root(self.kernel, &self.partial, padded)).map_err(too_large)?;
            return PieceInfo::new(commitment, self.payload_bytes);
        };
        if !self.partial.is_empty() {
            let mut unit = [0; UNIT_PAYLOAD];
            unit[..self.partial.len()].copy_from_slice(&self.partial);
            self.unit(&unit);
        }
        for level in UNIT_LEVEL..last {
            // Whatever waits alone at this level gets a zero neighbour; levels below are empty by now.
            if self.waiting.has(level.into()) || self.head_level == usize::from(level) {
                self.carry(level.into(), self.kernel.filled(&zero(level)));
            }
        }
        let head = self.kernel.unit_of(self.head.as_deref().unwrap_or(&[0; UNIT_PAYLOAD]));
        let top = self.edge.iter().fold(head, |left, right| self.kernel.parents(&left, right));
        let commitment = Commitment::new(self.kernel.root(&top)).map_err(too_large)?;
        PieceInfo::new(commitment, self.payload_bytes)
    }

    /// Takes the subtree over the next payload, hashed elsewhere. The payload so far must be whole subtrees of
    /// that size, at least one.
    pub(super) fn subtree(&mut self, subtree: Subtree) {
        self.payload_bytes += subtree.payload_bytes;
        self.carry(subtree.level, subtree.unit);
    }

    fn unit(&mut self, payload: &[u8; UNIT_PAYLOAD]) {
        if self.head.is_none() {
            self.head = Some(Box::new(*payload));
        } else {
            self.carry(FIRST_LEVEL, self.kernel.unit_of(payload));
        }
    }

    /// Adds a complete unit to the right.
    fn carry(&mut self, level: usize, unit: Unit) {
        let (level, unit) = self.waiting.merge(level, unit);
        if self.head_level == level {
            self.edge.push(unit);
            self.head_level += 1;
        } else {
            self.waiting.put(level, unit);
        }
    }
}

/// A complete part of a tree.
#[derive(Debug)]
pub(super) struct Subtree {
    level: usize,
    unit: Unit,
    payload_bytes: u64,
}

impl Subtree {
    /// The subtree over a power of two of units; bytes past the last whole unit are not looked at.
    pub(super) fn of(path: Path, payload: &[u8]) -> Self {
        let kernel = path.kernel();
        let mut waiting = Waiting { kernel, levels: Vec::new() };
        let mut top = (FIRST_LEVEL, kernel.filled(&zero(UNIT_LEVEL)));
        let (spans, last) = payload.as_chunks::<SPAN_PAYLOAD>();
        let mut units = [Unit::EMPTY; SPANS];
        for spans in spans.chunks(SPANS) {
            kernel.spans(spans, &mut units);
            for unit in units.iter().take(spans.len()) {
                top = waiting.merge(SPAN_LEVEL.into(), *unit);
                waiting.put(top.0, top.1);
            }
        }
        for unit in last.as_chunks().0 {
            top = waiting.merge(FIRST_LEVEL, kernel.unit_of(unit));
            waiting.put(top.0, top.1);
        }
        Self { level: top.0, unit: top.1, payload_bytes: payload.len() as u64 }
    }
}

/// Units that wait for their right neighbours, one a level at most.
#[derive(Debug, Clone)]
struct Waiting {
    kernel: &'static Kernel,
    levels: Vec<Option<Unit>>,
}

impl Waiting {
    fn has(&self, level: usize) -> bool {
        self.levels.get(level).is_some_and(Option::is_some)
    }

    /// Merges a unit with what waits to its left, upwards as in a binary counter.
    fn merge(&mut self, mut level: usize, mut unit: Unit) -> (usize, Unit) {
        while let Some(left) = self.levels.get_mut(level).and_then(Option::take) {
            unit = self.kernel.parents(&left, &unit);
            level += 1;
        }
        (level, unit)
    }

    fn put(&mut self, level: usize, unit: Unit) {
        if self.levels.len() <= level {
            self.levels.resize(level + 1, None);
        }
        self.levels[level] = Some(unit);
    }
}
