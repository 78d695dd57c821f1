//! Streaming CommP in memory of one node per level.
//!
//! The first 127 payload bytes are kept aside until the end, and the tree's left edge is folded last.
//! This lets a writer change the start of a stream it has hashed already (a CAR header names a root
//! that is known only after the last block) without reading the stream again.

use std::io::{self, Read};

use crate::commp::{Commitment, PieceInfo};
use crate::fr32::{self, GROUP_IN};
use crate::size::SizeError;
use crate::tree::{Node, hash, zero};

/// How many bytes at the start of a stream [`Hasher::rewrite_head`] can change.
pub const HEAD_BYTES: usize = GROUP_IN;
/// A group of four leaves is a node of level 2.
const GROUP_LEVEL: usize = 2;
const LEVELS: usize = 64;

/// A head that cannot be rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("only the first {HEAD_BYTES} bytes already written can be rewritten, not {offset}..{end}")]
pub struct HeadError {
    offset: usize,
    end: usize,
}

/// A running CommP computation.
///
/// Invariant: `waiting[l]` is a complete left child of level l whose right sibling is not done; the
/// subtree of the head is complete up to `head_level`, and `edge` holds its right siblings bottom up.
#[derive(Debug, Clone)]
pub struct Hasher {
    partial: [u8; GROUP_IN],
    partial_len: usize,
    payload_bytes: u64,
    head: Option<[u8; GROUP_IN]>,
    head_level: usize,
    edge: Vec<Node>,
    waiting: [Option<Node>; LEVELS],
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
        Self {
            partial: [0; GROUP_IN],
            partial_len: 0,
            payload_bytes: 0,
            head: None,
            head_level: GROUP_LEVEL,
            edge: Vec::new(),
            waiting: [None; LEVELS],
        }
    }

    /// Payload bytes taken so far.
    #[must_use]
    pub const fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    /// Takes more payload, in pieces of any length.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.payload_bytes += bytes.len() as u64;
        if self.partial_len > 0 {
            let take = bytes.len().min(GROUP_IN - self.partial_len);
            let (now, later) = bytes.split_at(take);
            self.partial[self.partial_len..self.partial_len + take].copy_from_slice(now);
            self.partial_len += take;
            bytes = later;
            if self.partial_len < GROUP_IN {
                return;
            }
            let group = self.partial;
            self.partial_len = 0;
            self.group(&group);
        }
        let (groups, rest) = bytes.as_chunks::<GROUP_IN>();
        for group in groups {
            self.group(group);
        }
        self.partial[..rest.len()].copy_from_slice(rest);
        self.partial_len = rest.len();
    }

    /// Replaces bytes at the start of the payload, as if they had been written so at first.
    ///
    /// # Errors
    /// [`HeadError`] when the range is not within the first 127 bytes, or not written yet.
    pub fn rewrite_head(&mut self, offset: usize, bytes: &[u8]) -> Result<(), HeadError> {
        let end = offset.saturating_add(bytes.len());
        let (head, len) = match &mut self.head {
            Some(head) => (head, GROUP_IN),
            None => (&mut self.partial, self.partial_len),
        };
        let target = head[..len].get_mut(offset..end).ok_or(HeadError { offset, end })?;
        target.copy_from_slice(bytes);
        Ok(())
    }

    /// Pads with zeros and gives the piece.
    ///
    /// # Errors
    /// [`SizeError::PayloadTooLarge`] past the 64-bit sizes; no real stream gets there.
    pub fn finish(mut self) -> Result<PieceInfo, SizeError> {
        let padded = crate::size::PaddedSize::for_payload(self.payload_bytes)?;
        if self.partial_len > 0 {
            let mut group = self.partial;
            group[self.partial_len..].fill(0);
            self.group(&group);
        }
        let height = usize::from(padded.height());
        for (level, label) in (GROUP_LEVEL..height).zip(2u8..) {
            // Whatever waits alone at this level gets a zero sibling; levels below are empty by now.
            if self.waiting[level].is_some() || self.head_level == level {
                self.carry(level, zero(label));
            }
        }
        let head = group_root(&self.head.unwrap_or([0; GROUP_IN]));
        let root = self.edge.iter().fold(head, |left, right| hash(&left, right));
        let commitment = Commitment::new(root).map_err(|_| SizeError::PayloadTooLarge(self.payload_bytes))?;
        PieceInfo::new(commitment, self.payload_bytes)
    }

    fn group(&mut self, group: &[u8; GROUP_IN]) {
        if self.head.is_none() {
            self.head = Some(*group);
        } else {
            self.carry(GROUP_LEVEL, group_root(group));
        }
    }

    /// Adds a complete subtree to the right, merging upwards as in a binary counter.
    fn carry(&mut self, mut level: usize, mut node: Node) {
        while let Some(left) = self.waiting[level].take() {
            node = hash(&left, &node);
            level += 1;
        }
        if self.head_level == level {
            self.edge.push(node);
            self.head_level += 1;
        } else {
            self.waiting[level] = Some(node);
        }
    }
}

/// The level-2 node of one group.
fn group_root(group: &[u8; GROUP_IN]) -> Node {
    let padded = fr32::pad_group(group);
    let (nodes, _) = padded.as_chunks::<32>();
    match nodes {
        [a, b, c, d] => hash(&hash(a, b), &hash(c, d)),
        _ => zero(2),
    }
}

/// CommP of everything a reader gives, in flat memory.
///
/// # Errors
/// The reader's own error; `InvalidData` past the 64-bit sizes.
pub fn of_reader(mut reader: impl Read) -> io::Result<PieceInfo> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0u8; 256 * 1024];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return hasher.finish().map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e)),
            Ok(n) => hasher.update(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
