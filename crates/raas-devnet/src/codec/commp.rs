//! The piece commitment, by the plain definition: Fr32 expansion, then a binary tree of truncated SHA-256.
//!
//! One node at a time, one level above the other, constant memory: about 350 MiB/s with SHA instructions, which
//! is enough for a judge.

use raas_core::units::PaddedSize;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::LazyLock;

/// Payload bytes that expand to one group of four nodes.
const GROUP: usize = 127;
/// The level of a 128-byte piece's root: four leaves.
const GROUP_LEVEL: usize = 2;
/// The level of the largest piece's root, 64 GiB.
const LEVEL_MAX: usize = 31;

/// A node of the tree: 32 bytes with the two highest bits zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Commitment(pub [u8; 32]);

impl fmt::Debug for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// What hashing some bytes gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The tree's root.
    pub commitment: Commitment,
    /// The smallest piece that holds the payload.
    pub padded_size: PaddedSize,
    /// The bytes hashed.
    pub payload_size: u64,
}

/// SHA-256 of two nodes, the two highest bits cleared.
fn parent(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut hash: [u8; 32] = Sha256::new().chain_update(left).chain_update(right).finalize().into();
    hash[31] &= 0x3f;
    hash
}

static ZEROS: LazyLock<[[u8; 32]; 64]> = LazyLock::new(|| {
    let mut levels = [[0; 32]; 64];
    for level in 1..levels.len() {
        levels[level] = parent(&levels[level - 1], &levels[level - 1]);
    }
    levels
});

/// The commitment to `32 << level` zero bytes. Levels above 63 do not exist and give the last one.
#[must_use]
pub fn zero_commitment(level: usize) -> Commitment {
    Commitment(ZEROS[level.min(63)])
}

/// Four nodes of 254 bits each out of 127 bytes: the payload's bits, lowest first, with two zero bits after every
/// 254.
#[must_use]
pub fn expand_fr32(group: &[u8; GROUP]) -> [[u8; 32]; 4] {
    // A byte behind the last one, so that every node reads 33 bytes.
    let mut padded = [0; GROUP + 1];
    padded[..GROUP].copy_from_slice(group);
    let mut nodes = [[0; 32]; 4];
    for (node, (start, shift)) in nodes.iter_mut().zip([(0usize, 0u32), (31, 6), (63, 4), (95, 2)]) {
        for (index, byte) in node.iter_mut().enumerate() {
            let low = u16::from(padded[start + index]);
            let high = padded.get(start + index + 1).copied().map_or(0, u16::from);
            *byte = ((high << 8 | low) >> shift) as u8;
        }
        node[31] &= 0x3f;
    }
    nodes
}

/// Hashes a stream of bytes to its piece commitment.
#[derive(Clone)]
pub struct CommP {
    group: [u8; GROUP],
    filled: usize,
    payload_size: u64,
    /// Finished left subtrees by level, at most one of each.
    pending: [Option<[u8; 32]>; 64],
}

impl fmt::Debug for CommP {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommP(after {} bytes)", self.payload_size)
    }
}

impl Default for CommP {
    fn default() -> Self {
        Self { group: [0; GROUP], filled: 0, payload_size: 0, pending: [None; 64] }
    }
}

impl CommP {
    /// The piece of `bytes`, all at once.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Piece {
        let mut hasher = Self::default();
        hasher.update(bytes);
        hasher.finish().expect("bytes in memory are fewer than 64 GiB")
    }

    /// Takes the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.payload_size += bytes.len() as u64;
        while !bytes.is_empty() {
            let taken = bytes.len().min(GROUP - self.filled);
            let (now, rest) = bytes.split_at(taken);
            self.group[self.filled..self.filled + taken].copy_from_slice(now);
            self.filled += taken;
            bytes = rest;
            if self.filled == GROUP {
                self.add_group();
            }
        }
    }

    fn add_group(&mut self) {
        let [a, b, c, d] = expand_fr32(&self.group);
        let mut node = parent(&parent(&a, &b), &parent(&c, &d));
        let mut level = GROUP_LEVEL;
        while let Some(left) = self.pending[level].take() {
            node = parent(&left, &node);
            level += 1;
        }
        self.pending[level] = Some(node);
        self.filled = 0;
    }

    /// Fills up with zeros to the next piece size. `None` when more than 64 GiB would be needed.
    #[must_use]
    pub fn finish(mut self) -> Option<Piece> {
        if self.filled > 0 || self.payload_size == 0 {
            self.group[self.filled..].fill(0);
            self.add_group();
        }
        let highest = self.pending.iter().rposition(Option::is_some)?;
        let mut carried: Option<[u8; 32]> = None;
        for level in GROUP_LEVEL..highest {
            carried = match (self.pending[level], carried) {
                (None, None) => None,
                (Some(left), None) => Some(parent(&left, &ZEROS[level])),
                (Some(left), Some(right)) => Some(parent(&left, &right)),
                (None, Some(left)) => Some(parent(&left, &ZEROS[level])),
            };
        }
        let top = self.pending[highest]?;
        let (root, level) = match carried {
            None => (top, highest),
            Some(right) => (parent(&top, &right), highest + 1),
        };
        if level > LEVEL_MAX {
            return None;
        }
        let padded_size = PaddedSize::new(32 << level).ok()?;
        Some(Piece { commitment: Commitment(root), padded_size, payload_size: self.payload_size })
    }
}

/// The commitment of the same payload in a larger piece: zeros on its right, doubling up to `to`.
#[must_use]
pub fn extend(commitment: Commitment, from: PaddedSize, to: PaddedSize) -> Commitment {
    let level = |size: PaddedSize| (size.get() / 32).trailing_zeros() as usize;
    Commitment((level(from)..level(to)).fold(commitment.0, |node, level| parent(&node, &ZEROS[level])))
}
