//! Vectors as arrays, for any machine: the reference the other paths are compared with.

use super::lanes::{self, Lanes};
use super::unit::{UNIT_NODES, UNIT_PAYLOAD, Unit};
use crate::fr32;
use crate::tree::Node;

#[derive(Clone, Copy)]
pub(super) struct Words([u32; Self::LANES]);

pub(super) fn unit_of(payload: &[u8; UNIT_PAYLOAD], out: &mut Unit) {
    lanes::unit_of::<Words, 1>(payload, out);
}

pub(super) fn parents(left: &Unit, right: &Unit, out: &mut Unit) {
    lanes::parents::<Words, 1>(left, right, out);
}

pub(super) fn pairs(pairs: &[[u8; 64]], out: &mut [Node]) {
    let chunks = pairs.chunks(Words::LANES).zip(out.chunks_mut(Words::LANES));
    chunks.for_each(|(pairs, out)| lanes::pairs::<Words, 1>(pairs, out));
}

pub(super) fn blocks(states: &mut Unit, used: usize, count: usize, messages: &[&[[u8; 64]]; UNIT_NODES]) {
    lanes::blocks::<Words, 1>(states, used, count, messages);
}

/// Word by word; a loop and not a closure, so that the compiler makes vectors of it.
macro_rules! each {
    ($i:ident => $value:expr) => {{
        let mut all = [0; Words::LANES];
        for $i in 0..Words::LANES {
            all[$i] = $value;
        }
        Words(all)
    }};
}

impl Lanes for Words {
    const LANES: usize = 8;

    #[inline(always)]
    fn splat(word: u32) -> Self {
        Self([word; Self::LANES])
    }

    #[inline(always)]
    fn load(words: &[u32]) -> Self {
        let words = &words[..Self::LANES];
        each!(i => words[i])
    }

    #[inline(always)]
    fn store(self, words: &mut [u32]) {
        words[..Self::LANES].copy_from_slice(&self.0);
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        each!(i => self.0[i].wrapping_add(other.0[i]))
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        each!(i => self.0[i] & other.0[i])
    }

    #[inline(always)]
    fn xor3(self, b: Self, c: Self) -> Self {
        each!(i => self.0[i] ^ b.0[i] ^ c.0[i])
    }

    #[inline(always)]
    fn choose(self, b: Self, c: Self) -> Self {
        each!(i => c.0[i] ^ (self.0[i] & (b.0[i] ^ c.0[i])))
    }

    #[inline(always)]
    fn majority(self, b: Self, c: Self) -> Self {
        each!(i => (self.0[i] & b.0[i]) | (c.0[i] & (self.0[i] | b.0[i])))
    }

    #[inline(always)]
    fn rotr<const N: i32>(self) -> Self {
        each!(i => self.0[i].rotate_right(N.unsigned_abs()))
    }

    #[inline(always)]
    fn shr<const N: i32>(self) -> Self {
        each!(i => self.0[i] >> N)
    }

    #[inline(always)]
    fn deinterleave(self, other: Self) -> (Self, Self) {
        let mut both = [0; 2 * Self::LANES];
        both[..Self::LANES].copy_from_slice(&self.0);
        both[Self::LANES..].copy_from_slice(&other.0);
        (each!(i => both[2 * i]), each!(i => both[2 * i + 1]))
    }

    #[inline(always)]
    fn messages<'a>(block: impl Fn(usize) -> &'a [u8; 64]) -> [Self; 16] {
        let mut words = [Self::splat(0); 16];
        for lane in 0..Self::LANES {
            for (word, four) in block(lane).as_chunks::<4>().0.iter().enumerate() {
                words[word].0[lane] = u32::from_be_bytes(*four);
            }
        }
        words
    }

    #[inline(always)]
    fn leaves(payload: &[u8]) -> [Self; 16] {
        let mut rows = [[0; 64]; Self::LANES];
        let (groups, _) = payload.as_chunks::<{ fr32::GROUP_IN }>();
        for (rows, group) in rows.as_chunks_mut::<2>().0.iter_mut().zip(groups) {
            rows.as_flattened_mut().copy_from_slice(&fr32::pad_group(group));
        }
        Self::messages(|lane| &rows[lane])
    }
}
