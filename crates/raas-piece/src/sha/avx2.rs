//! Eight lanes with AVX2, for machines that have neither AVX-512 nor the SHA extensions.

use std::arch::x86_64::{
    __m256i, _mm_cvtsi32_si128, _mm_setr_epi8, _mm256_add_epi32, _mm256_and_si256,
    _mm256_broadcastsi128_si256, _mm256_castps_si256, _mm256_castsi256_ps, _mm256_loadu_si256,
    _mm256_or_si256, _mm256_permute2x128_si256, _mm256_permute4x64_epi64, _mm256_set1_epi32,
    _mm256_setr_epi64x, _mm256_shuffle_epi8, _mm256_shuffle_ps, _mm256_sll_epi32, _mm256_sll_epi64,
    _mm256_srl_epi32, _mm256_srli_epi32, _mm256_srli_epi64, _mm256_storeu_si256, _mm256_unpackhi_epi32,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use super::lanes::{self, Lanes};
use super::unit::{UNIT_NODES, UNIT_PAYLOAD, Unit};
use crate::fr32::GROUP_IN;
use crate::tree::Node;

/// One vector. Only the entry points below make any, and they are called after AVX2 was found.
#[derive(Clone, Copy)]
struct Ymm(__m256i);

/// An intrinsic on vectors.
macro_rules! op {
    ($value:expr) => {
        // SAFETY: a `Ymm` exists only below the entry points of this file, whose callers found AVX2.
        unsafe { $value }
    };
}

#[target_feature(enable = "avx2")]
pub(super) fn unit_of(payload: &[u8; UNIT_PAYLOAD], out: &mut Unit) {
    lanes::unit_of::<Ymm, 1>(payload, out);
}

#[target_feature(enable = "avx2")]
pub(super) fn parents(left: &Unit, right: &Unit, out: &mut Unit) {
    lanes::parents::<Ymm, 1>(left, right, out);
}

#[target_feature(enable = "avx2")]
pub(super) fn pairs(pairs: &[[u8; 64]], out: &mut [Node]) {
    let chunks = pairs.chunks(Ymm::LANES).zip(out.chunks_mut(Ymm::LANES));
    chunks.for_each(|(pairs, out)| lanes::pairs::<Ymm, 1>(pairs, out));
}

#[target_feature(enable = "avx2")]
pub(super) fn blocks(states: &mut Unit, used: usize, count: usize, messages: &[&[[u8; 64]]; UNIT_NODES]) {
    lanes::blocks::<Ymm, 1>(states, used, count, messages);
}

impl Lanes for Ymm {
    const LANES: usize = 8;

    #[inline(always)]
    fn splat(word: u32) -> Self {
        Self(op!(_mm256_set1_epi32(word.cast_signed())))
    }

    #[inline(always)]
    fn load(words: &[u32]) -> Self {
        let words = &words[..Self::LANES];
        Self(op!(_mm256_loadu_si256(words.as_ptr().cast())))
    }

    #[inline(always)]
    fn store(self, words: &mut [u32]) {
        let words = &mut words[..Self::LANES];
        op!(_mm256_storeu_si256(words.as_mut_ptr().cast(), self.0));
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(op!(_mm256_add_epi32(self.0, other.0)))
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        Self(op!(_mm256_and_si256(self.0, other.0)))
    }

    #[inline(always)]
    fn xor3(self, b: Self, c: Self) -> Self {
        Self(op!(_mm256_xor_si256(_mm256_xor_si256(self.0, b.0), c.0)))
    }

    #[inline(always)]
    fn choose(self, b: Self, c: Self) -> Self {
        Self(op!(_mm256_xor_si256(c.0, _mm256_and_si256(self.0, _mm256_xor_si256(b.0, c.0)))))
    }

    #[inline(always)]
    fn majority(self, b: Self, c: Self) -> Self {
        Self(op!({
            let either = _mm256_or_si256(self.0, b.0);
            _mm256_or_si256(_mm256_and_si256(self.0, b.0), _mm256_and_si256(c.0, either))
        }))
    }

    #[inline(always)]
    fn rotr<const N: i32>(self) -> Self {
        Self(op!({
            let low = _mm256_srl_epi32(self.0, _mm_cvtsi32_si128(N));
            _mm256_or_si256(low, _mm256_sll_epi32(self.0, _mm_cvtsi32_si128(32 - N)))
        }))
    }

    #[inline(always)]
    fn shr<const N: i32>(self) -> Self {
        Self(op!(_mm256_srli_epi32::<N>(self.0)))
    }

    #[inline(always)]
    fn deinterleave(self, other: Self) -> (Self, Self) {
        op!({
            let (a, b) = (_mm256_castsi256_ps(self.0), _mm256_castsi256_ps(other.0));
            // Within 128-bit parts first, then the parts into their order.
            let even = _mm256_castps_si256(_mm256_shuffle_ps::<0x88>(a, b));
            let odd = _mm256_castps_si256(_mm256_shuffle_ps::<0xdd>(a, b));
            (Self(_mm256_permute4x64_epi64::<0xd8>(even)), Self(_mm256_permute4x64_epi64::<0xd8>(odd)))
        })
    }

    #[inline(always)]
    fn messages<'a>(block: impl Fn(usize) -> &'a [u8; 64]) -> [Self; 16] {
        let mut halves = [[Self::splat(0); 8]; 2];
        for lane in 0..8 {
            let bytes = block(lane);
            for (half, rows) in halves.iter_mut().enumerate() {
                let bytes = &bytes[32 * half..][..32];
                rows[lane] = Self(op!(_mm256_loadu_si256(bytes.as_ptr().cast())));
            }
        }
        transpose_halves(halves)
    }

    #[inline(always)]
    fn leaves(payload: &[u8]) -> [Self; 16] {
        let payload = &payload[..4 * GROUP_IN];
        // The last leaf is read from one byte past its own first one, so it needs one byte more than there is.
        let mut last = [0; GROUP_IN + 1];
        last[..GROUP_IN].copy_from_slice(&payload[3 * GROUP_IN..]);
        let mut halves = [[Self::splat(0); 8]; 2];
        for group in 0..4 {
            let bytes = if group == 3 { &last[..] } else { &payload[group * GROUP_IN..][..GROUP_IN + 1] };
            halves[0][2 * group] = leaf::<0>(bytes, 0);
            halves[1][2 * group] = leaf::<6>(bytes, 31);
            halves[0][2 * group + 1] = leaf::<4>(bytes, 63);
            halves[1][2 * group + 1] = leaf::<2>(bytes, 95);
        }
        transpose_halves(halves)
    }
}

/// The leaf that begins at bit `SHIFT` of byte `at`.
///
/// Of every 64 bits one load has the low ones, and a load one byte further the high ones; where both have
/// bits they agree.
#[inline(always)]
fn leaf<const SHIFT: i32>(group: &[u8], at: usize) -> Ymm {
    let (here, next) = (&group[at..][..32], &group[at + 1..][..32]);
    Ymm(op!({
        let here = _mm256_loadu_si256(here.as_ptr().cast());
        let next = _mm256_loadu_si256(next.as_ptr().cast());
        let low = _mm256_srli_epi64::<SHIFT>(here);
        let high = _mm256_sll_epi64(next, _mm_cvtsi32_si128(8 - SHIFT));
        let mask = _mm256_setr_epi64x(-1, -1, -1, i64::MAX >> 1);
        _mm256_and_si256(_mm256_or_si256(low, high), mask)
    }))
}

#[inline(always)]
fn transpose_halves(halves: [[Ymm; 8]; 2]) -> [Ymm; 16] {
    let [first, second] = halves;
    let (first, second) = (transpose_swapped(first), transpose_swapped(second));
    let mut words = [first[0]; 16];
    words[..8].copy_from_slice(&first);
    words[8..].copy_from_slice(&second);
    words
}

/// Eight rows of eight big-endian words to eight vectors of one word each.
#[inline(always)]
fn transpose_swapped(rows: [Ymm; 8]) -> [Ymm; 8] {
    let mut a = rows;
    op!({
        let swap =
            _mm256_broadcastsi128_si256(_mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12));
        for row in &mut a {
            row.0 = _mm256_shuffle_epi8(row.0, swap);
        }
        let mut b = a;
        for i in 0..4 {
            b[2 * i].0 = _mm256_unpacklo_epi32(a[2 * i].0, a[2 * i + 1].0);
            b[2 * i + 1].0 = _mm256_unpackhi_epi32(a[2 * i].0, a[2 * i + 1].0);
        }
        for i in 0..2 {
            a[4 * i].0 = _mm256_unpacklo_epi64(b[4 * i].0, b[4 * i + 2].0);
            a[4 * i + 1].0 = _mm256_unpackhi_epi64(b[4 * i].0, b[4 * i + 2].0);
            a[4 * i + 2].0 = _mm256_unpacklo_epi64(b[4 * i + 1].0, b[4 * i + 3].0);
            a[4 * i + 3].0 = _mm256_unpackhi_epi64(b[4 * i + 1].0, b[4 * i + 3].0);
        }
        for w in 0..4 {
            b[w].0 = _mm256_permute2x128_si256::<0x20>(a[w].0, a[4 + w].0);
            b[4 + w].0 = _mm256_permute2x128_si256::<0x31>(a[w].0, a[4 + w].0);
        }
        b
    })
}
