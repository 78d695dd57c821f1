//! Two batches of sixteen lanes with AVX-512 F and BW.

use std::arch::asm;
use std::arch::x86_64::{
    __m512i, _MM_HINT_T0, _mm_cvtsi32_si128, _mm_prefetch, _mm_setr_epi8, _mm256_loadu_si256,
    _mm512_add_epi32, _mm512_and_si512, _mm512_broadcast_i32x4, _mm512_castsi256_si512, _mm512_inserti64x4,
    _mm512_loadu_si512, _mm512_permutex2var_epi32, _mm512_ror_epi32, _mm512_set1_epi32, _mm512_setr_epi32,
    _mm512_setr_epi64, _mm512_shuffle_epi8, _mm512_shuffle_i32x4, _mm512_sllv_epi64, _mm512_srl_epi32,
    _mm512_srlv_epi64, _mm512_storeu_si512, _mm512_ternarylogic_epi32, _mm512_ternarylogic_epi64,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::lanes::{self, Lanes, Message, State, Subtrees};
use super::unit::{LANE_PAYLOAD, SPAN_PAYLOAD, UNIT_NODES, UNIT_PAYLOAD, Unit};
use crate::fr32::GROUP_IN;
use crate::tree::Node;

/// One vector. Only the entry points below make any, and they are called after AVX-512 was found.
#[derive(Clone, Copy)]
struct Zmm(__m512i);

/// An intrinsic on vectors.
macro_rules! op {
    ($value:expr) => {
        // SAFETY: a `Zmm` exists only below the entry points of this file, whose callers found AVX-512 F and BW.
        unsafe { $value }
    };
}

/// How many batches run side by side, so that one works while the other waits for its last result.
const BATCHES: usize = 2;

#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn unit_of(payload: &[u8; UNIT_PAYLOAD], out: &mut Unit) {
    lanes::unit_of::<Zmm, BATCHES>(payload, out);
}

/// Batches side by side where there are enough messages: three are never without work, and their states still fit
/// the 32 registers.
const MANY: usize = 3;

#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn spans(spans: &[[u8; SPAN_PAYLOAD]], out: &mut [Unit]) {
    let (many, out_many) = (spans.chunks_exact(MANY), out.chunks_exact_mut(MANY));
    let few = many.remainder().iter();
    let done = spans.len() - few.len();
    if done > 0 {
        let mut waiting = lanes::waiting::<Zmm, MANY>();
        for (spans, units) in many.zip(out_many) {
            let parts = spans.as_flattened().as_chunks::<{ MANY * Zmm::LANES * LANE_PAYLOAD }>().0;
            for (part, payload) in parts.iter().enumerate() {
                let mut roots: State<Zmm, MANY> = [[Zmm::splat(0); MANY]; 8];
                lanes::subtrees(payload, &mut waiting, &mut roots);
                for batch in 0..MANY {
                    let node = (part * MANY + batch) * Zmm::LANES;
                    let unit = &mut units[node / UNIT_NODES];
                    for (word, batches) in roots.iter().enumerate() {
                        batches[batch].store(&mut unit.0[UNIT_NODES * word + node % UNIT_NODES..]);
                    }
                }
            }
        }
    }
    for (payload, unit) in few.zip(&mut out[done..]) {
        let mut roots: State<Zmm, BATCHES> = [[Zmm::splat(0); BATCHES]; 8];
        lanes::subtrees(payload, &mut lanes::waiting(), &mut roots);
        lanes::store_words(roots, 0, unit);
    }
}

#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw")]
fn parents_of<const B: usize>(message: &mut Message<Zmm, B>, out: &mut State<Zmm, B>) {
    *out = lanes::parents_of(message);
}

#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn parents(left: &Unit, right: &Unit, out: &mut Unit) {
    lanes::parents::<Zmm, BATCHES>(left, right, out);
}

#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn pairs(pairs: &[[u8; 64]], out: &mut [Node]) {
    let mut chunks = pairs.chunks(BATCHES * Zmm::LANES).zip(out.chunks_mut(BATCHES * Zmm::LANES));
    chunks.by_ref().for_each(|(pairs, out)| lanes::pairs::<Zmm, BATCHES>(pairs, out));
}

#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn blocks(states: &mut Unit, used: usize, count: usize, messages: &[&[[u8; 64]]; UNIT_NODES]) {
    lanes::blocks::<Zmm, BATCHES>(states, used, count, messages);
}

impl Lanes for Zmm {
    const LANES: usize = 16;

    #[inline(always)]
    fn splat(word: u32) -> Self {
        Self(op!(_mm512_set1_epi32(word.cast_signed())))
    }

    #[inline(always)]
    fn load(words: &[u32]) -> Self {
        let words = &words[..Self::LANES];
        Self(op!(_mm512_loadu_si512(words.as_ptr().cast())))
    }

    #[inline(always)]
    fn store(self, words: &mut [u32]) {
        let words = &mut words[..Self::LANES];
        op!(_mm512_storeu_si512(words.as_mut_ptr().cast(), self.0));
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(op!(_mm512_add_epi32(self.0, other.0)))
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        Self(op!(_mm512_and_si512(self.0, other.0)))
    }

    #[inline(always)]
    fn xor3(self, b: Self, c: Self) -> Self {
        Self(op!(_mm512_ternarylogic_epi32::<0x96>(self.0, b.0, c.0)))
    }

    #[inline(always)]
    fn choose(self, b: Self, c: Self) -> Self {
        Self(op!(_mm512_ternarylogic_epi32::<0xca>(self.0, b.0, c.0)))
    }

    #[inline(always)]
    fn majority(self, b: Self, c: Self) -> Self {
        Self(op!(_mm512_ternarylogic_epi32::<0xe8>(self.0, b.0, c.0)))
    }

    #[inline(always)]
    fn rotr<const N: i32>(self) -> Self {
        Self(op!(_mm512_ror_epi32::<N>(self.0)))
    }

    #[inline(always)]
    fn shr<const N: i32>(self) -> Self {
        // The count is a register for this intrinsic's constant form, whose type differs from the rotation's.
        Self(op!(_mm512_srl_epi32(self.0, _mm_cvtsi32_si128(N))))
    }

    #[inline(always)]
    fn deinterleave(self, other: Self) -> (Self, Self) {
        op!({
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
            (
                Self(_mm512_permutex2var_epi32(self.0, even, other.0)),
                Self(_mm512_permutex2var_epi32(self.0, odd, other.0)),
            )
        })
    }

    #[inline(always)]
    fn messages<'a>(block: impl Fn(usize) -> &'a [u8; 64]) -> [Self; 16] {
        let mut rows = [Self::splat(0); 16];
        for (lane, row) in rows.iter_mut().enumerate() {
            *row = Self(op!(_mm512_loadu_si512(block(lane).as_ptr().cast())));
        }
        transpose_swapped(rows)
    }

    #[inline(always)]
    fn leaves(payload: &[u8]) -> [Self; 16] {
        let payload = &payload[..8 * GROUP_IN];
        // The last leaf is read from one byte past its own first one, so it needs one byte more than there is.
        let mut last = [0; GROUP_IN + 1];
        last[..GROUP_IN].copy_from_slice(&payload[7 * GROUP_IN..]);
        let mut rows = [Self::splat(0); 16];
        for group in 0..8 {
            let bytes = if group == 7 { &last[..] } else { &payload[group * GROUP_IN..][..GROUP_IN + 1] };
            rows[2 * group] = leaf_pair::<0, 31>(bytes, 0, 6);
            rows[2 * group + 1] = leaf_pair::<63, 95>(bytes, 4, 2);
        }
        transpose_swapped(rows)
    }

    #[inline(always)]
    fn pin(self) -> Self {
        // SAFETY: as for every `Zmm`.
        unsafe { pin(self) }
    }
}

impl Subtrees for Zmm {
    #[inline(always)]
    fn strided_leaves(payload: &[u8], pair: usize) -> [Self; 16] {
        let at = |lane: usize| lane * LANE_PAYLOAD + pair / 2 * GROUP_IN;
        let mut rows = [Self::splat(0); 16];
        if pair.is_multiple_of(2) {
            for (lane, row) in rows.iter_mut().enumerate() {
                *row = leaf_pair::<0, 31>(&payload[at(lane)..][..GROUP_IN], 0, 6);
            }
            return transpose_swapped(rows);
        }
        for (lane, row) in rows.iter_mut().enumerate().take(15) {
            *row = leaf_pair::<63, 95>(&payload[at(lane)..][..GROUP_IN + 1], 4, 2);
        }
        // The last leaf is read from one byte past its own first one, so it needs one byte more than there may be.
        let mut wide = [0; GROUP_IN + 1];
        let group = payload.get(at(15)..=at(15) + GROUP_IN).unwrap_or_else(|| {
            wide[..GROUP_IN].copy_from_slice(&payload[at(15)..][..GROUP_IN]);
            &wide
        });
        rows[15] = leaf_pair::<63, 95>(group, 4, 2);
        transpose_swapped(rows)
    }

    #[inline(always)]
    fn prefetch(bytes: &[u8], after: usize) {
        let at = bytes.as_ptr().wrapping_add(bytes.len() + after);
        op!(_mm_prefetch::<_MM_HINT_T0>(at.cast()));
    }

    #[inline(always)]
    fn parents_by_call<const B: usize>(message: &mut Message<Self, B>, out: &mut State<Self, B>) {
        op!(parents_of(message, out));
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn pin(vector: Zmm) -> Zmm {
    let mut inside = vector.0;
    // SAFETY: no instruction; the compiler must only take the register for changed.
    unsafe { asm!("/* {0} */", inlateout(zmm_reg) inside, options(pure, nomem, nostack, preserves_flags)) };
    Zmm(inside)
}

/// Two neighbouring leaves of a group of 127 bytes and one more: those that begin at bit `FIRST_SHIFT` of byte
/// `FIRST`, and at that of `SECOND`.
///
/// Of every 64 bits one load has the low ones, and a load one byte further the high ones; where both have
/// bits they agree.
#[inline(always)]
fn leaf_pair<const FIRST: usize, const SECOND: usize>(
    group: &[u8],
    first_shift: i64,
    second_shift: i64,
) -> Zmm {
    let here = two_halves(group, FIRST, SECOND);
    let next = two_halves(group, FIRST + 1, SECOND + 1);
    op!({
        let (a, b) = (first_shift, second_shift);
        let low = _mm512_srlv_epi64(here, _mm512_setr_epi64(a, a, a, a, b, b, b, b));
        let (a, b) = (8 - a, 8 - b);
        let high = _mm512_sllv_epi64(next, _mm512_setr_epi64(a, a, a, a, b, b, b, b));
        let top = i64::MAX >> 1;
        let mask = _mm512_setr_epi64(-1, -1, -1, top, -1, -1, -1, top);
        // (low | high) & mask
        Zmm(_mm512_ternarylogic_epi64::<0xa8>(low, high, mask))
    })
}

#[inline(always)]
fn two_halves(group: &[u8], first: usize, second: usize) -> __m512i {
    let (first, second) = (&group[first..][..32], &group[second..][..32]);
    op!({
        let first = _mm512_castsi256_si512(_mm256_loadu_si256(first.as_ptr().cast()));
        _mm512_inserti64x4::<1>(first, _mm256_loadu_si256(second.as_ptr().cast()))
    })
}

/// Sixteen rows of sixteen big-endian words to sixteen vectors of one word each.
#[inline(always)]
fn transpose_swapped(rows: [Zmm; 16]) -> [Zmm; 16] {
    let mut a = rows;
    op!({
        let swap =
            _mm512_broadcast_i32x4(_mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12));
        for row in &mut a {
            row.0 = _mm512_shuffle_epi8(row.0, swap);
        }
        let mut b = a;
        // Pairs of rows, then fours: each 128-bit part then has one word of four rows.
        for i in 0..8 {
            b[2 * i].0 = _mm512_unpacklo_epi32(a[2 * i].0, a[2 * i + 1].0);
            b[2 * i + 1].0 = _mm512_unpackhi_epi32(a[2 * i].0, a[2 * i + 1].0);
        }
        for i in 0..4 {
            a[4 * i].0 = _mm512_unpacklo_epi64(b[4 * i].0, b[4 * i + 2].0);
            a[4 * i + 1].0 = _mm512_unpackhi_epi64(b[4 * i].0, b[4 * i + 2].0);
            a[4 * i + 2].0 = _mm512_unpacklo_epi64(b[4 * i + 1].0, b[4 * i + 3].0);
            a[4 * i + 3].0 = _mm512_unpackhi_epi64(b[4 * i + 1].0, b[4 * i + 3].0);
        }
        // a[4 i + w] has word 4 p + w of rows 4 i .. 4 i + 4 in part p: gather the parts of the four i.
        for w in 0..4 {
            let low01 = _mm512_shuffle_i32x4::<0x88>(a[w].0, a[4 + w].0);
            let high01 = _mm512_shuffle_i32x4::<0xdd>(a[w].0, a[4 + w].0);
            let low23 = _mm512_shuffle_i32x4::<0x88>(a[8 + w].0, a[12 + w].0);
            let high23 = _mm512_shuffle_i32x4::<0xdd>(a[8 + w].0, a[12 + w].0);
            b[w].0 = _mm512_shuffle_i32x4::<0x88>(low01, low23);
            b[8 + w].0 = _mm512_shuffle_i32x4::<0xdd>(low01, low23);
            b[4 + w].0 = _mm512_shuffle_i32x4::<0x88>(high01, high23);
            b[12 + w].0 = _mm512_shuffle_i32x4::<0xdd>(high01, high23);
        }
        b
    })
}
