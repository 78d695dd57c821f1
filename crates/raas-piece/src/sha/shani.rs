//! Four messages side by side with the SHA extensions: one stream alone would wait for each of its rounds.
//!
//! Nodes are kept as eight words in their own order, so that two nodes are a message without any move.

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_and_si128, _mm_blend_epi16, _mm_cvtsi32_si128,
    _mm_loadu_si128, _mm_or_si128, _mm_set_epi64x, _mm_setr_epi8, _mm_setr_epi32, _mm_sha256msg1_epu32,
    _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8, _mm_shuffle_epi32, _mm_sll_epi64,
    _mm_srli_epi64, _mm_storeu_si128,
};

use super::unit::{UNIT_NODES, UNIT_PAYLOAD, Unit};
use super::words::{IV, K, K_TAIL, LAST_WORD_MASK};
use crate::fr32::GROUP_IN;
use crate::tree::Node;

/// Streams side by side.
const STREAMS: usize = 4;

type Message = [__m128i; 4];
/// The state as the instructions take it: words A B E F, and C D G H, the first named on top.
type State = [__m128i; 2];

#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn quad(words: &[u32], at: usize) -> __m128i {
    let words = &words[at..][..4];
    // SAFETY: the slice has the 16 bytes.
    unsafe { _mm_loadu_si128(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn sixteen(bytes: &[u8], at: usize) -> __m128i {
    let bytes = &bytes[at..][..16];
    // SAFETY: the slice has the 16 bytes.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn swap_bytes(words: __m128i) -> __m128i {
    _mm_shuffle_epi8(words, _mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12))
}

#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn four_rounds(state: &mut State, words_and_keys: __m128i) {
    state[1] = _mm_sha256rnds2_epu32(state[1], state[0], words_and_keys);
    state[0] = _mm_sha256rnds2_epu32(state[0], state[1], _mm_shuffle_epi32::<0x0e>(words_and_keys));
}

/// Words `T` to `T + 4` of the schedule sixteen rounds on, in place.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn schedule<const T: usize>(w: &mut Message) {
    let (next, before, last) = (w[(T + 1) % 4], w[(T + 2) % 4], w[(T + 3) % 4]);
    let sum = _mm_add_epi32(_mm_sha256msg1_epu32(w[T], next), _mm_alignr_epi8::<4>(last, before));
    w[T] = _mm_sha256msg2_epu32(sum, last);
}

#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn compress(states: &mut [State; STREAMS], w: &mut [Message; STREAMS]) {
    let before = *states;
    let (scheduled, last) = K.split_at(48);
    for k in scheduled.as_chunks::<16>().0 {
        macro_rules! four {
            ($t:literal) => {
                for s in 0..STREAMS {
                    four_rounds(&mut states[s], _mm_add_epi32(w[s][$t], quad(k, 4 * $t)));
                    schedule::<$t>(&mut w[s]);
                }
            };
        }
        four!(0);
        four!(1);
        four!(2);
        four!(3);
    }
    for (t, k) in last.as_chunks::<4>().0.iter().enumerate() {
        for (state, w) in states.iter_mut().zip(&*w) {
            four_rounds(state, _mm_add_epi32(w[t], quad(k, 0)));
        }
    }
    add(states, &before);
}

/// The constant second block of 64-byte messages.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn tail(states: &mut [State; STREAMS]) {
    let before = *states;
    for k in K_TAIL.as_chunks::<8>().0 {
        for state in &mut *states {
            four_rounds(state, quad(k, 0));
        }
        for state in &mut *states {
            four_rounds(state, quad(k, 4));
        }
    }
    add(states, &before);
}

#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn add(states: &mut [State; STREAMS], before: &[State; STREAMS]) {
    for (state, before) in states.iter_mut().zip(before) {
        state[0] = _mm_add_epi32(state[0], before[0]);
        state[1] = _mm_add_epi32(state[1], before[1]);
    }
}

#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn state_of(words: [__m128i; 2]) -> State {
    let cdab = _mm_shuffle_epi32::<0xb1>(words[0]);
    let efgh = _mm_shuffle_epi32::<0x1b>(words[1]);
    [_mm_alignr_epi8::<8>(cdab, efgh), _mm_blend_epi16::<0xf0>(efgh, cdab)]
}

#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn words_of(state: State) -> [__m128i; 2] {
    let feba = _mm_shuffle_epi32::<0x1b>(state[0]);
    let dchg = _mm_shuffle_epi32::<0xb1>(state[1]);
    [_mm_blend_epi16::<0xf0>(feba, dchg), _mm_alignr_epi8::<8>(dchg, feba)]
}

/// The parents of four pairs of nodes as words, cut to 254 bits.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn parents_of(mut w: [Message; STREAMS]) -> [[__m128i; 2]; STREAMS] {
    let mut states = [state_of([quad(&IV, 0), quad(&IV, 4)]); STREAMS];
    compress(&mut states, &mut w);
    tail(&mut states);
    let mask = _mm_setr_epi32(-1, -1, -1, LAST_WORD_MASK.cast_signed());
    let mut nodes = [[mask; 2]; STREAMS];
    for s in 0..STREAMS {
        let [low, high] = words_of(states[s]);
        nodes[s] = [low, _mm_and_si128(high, mask)];
    }
    nodes
}

#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn store(nodes: [[__m128i; 2]; STREAMS], first: usize, out: &mut Unit) {
    for (node, halves) in out.0[8 * first..].as_chunks_mut::<8>().0.iter_mut().zip(nodes) {
        // SAFETY: a node has the 32 bytes.
        unsafe {
            _mm_storeu_si128(node.as_mut_ptr().cast(), halves[0]);
            _mm_storeu_si128(node.as_mut_ptr().add(4).cast(), halves[1]);
        }
    }
}

#[target_feature(enable = "sha,sse4.1,ssse3")]
pub(super) fn unit_of(payload: &[u8; UNIT_PAYLOAD], out: &mut Unit) {
    // The last leaf is read from one byte past its own first one, so it needs one byte more than there is.
    let mut last = [0; GROUP_IN + 1];
    last[..GROUP_IN].copy_from_slice(&payload[UNIT_PAYLOAD - GROUP_IN..]);
    for first in (0..UNIT_NODES).step_by(STREAMS) {
        let at = first / 2 * GROUP_IN;
        let a = payload.get(at..=at + GROUP_IN).unwrap_or(&last);
        let b = payload.get(at + GROUP_IN..=at + 2 * GROUP_IN).unwrap_or(&last);
        let w = [
            pair::<0, 0, 31, 6>(a),
            pair::<63, 4, 95, 2>(a),
            pair::<0, 0, 31, 6>(b),
            pair::<63, 4, 95, 2>(b),
        ];
        store(parents_of(w), first, out);
    }
}

/// The leaves that begin at bit `SHIFT` of byte `AT`, as one message.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn pair<const AT: usize, const SHIFT: i32, const AT2: usize, const SHIFT2: i32>(group: &[u8]) -> Message {
    let ([a, b], [c, d]) = (leaf::<SHIFT>(group, AT), leaf::<SHIFT2>(group, AT2));
    [a, b, c, d]
}

/// Of every 64 bits one load has the low ones, and a load one byte further the high ones; where both have
/// bits they agree.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn leaf<const SHIFT: i32>(group: &[u8], at: usize) -> [__m128i; 2] {
    let half = |at: usize| {
        let low = _mm_srli_epi64::<SHIFT>(sixteen(group, at));
        let high = _mm_sll_epi64(sixteen(group, at + 1), _mm_cvtsi32_si128(8 - SHIFT));
        _mm_or_si128(low, high)
    };
    let mask = _mm_set_epi64x(i64::MAX >> 1, -1);
    [swap_bytes(half(at)), swap_bytes(_mm_and_si128(half(at + 16), mask))]
}

#[target_feature(enable = "sha,sse4.1,ssse3")]
pub(super) fn parents(left: &Unit, right: &Unit, out: &mut Unit) {
    for first in (0..UNIT_NODES).step_by(STREAMS) {
        let child = 2 * first;
        let (unit, child) = if child < UNIT_NODES { (left, child) } else { (right, child - UNIT_NODES) };
        let words = &unit.0[8 * child..][..16 * STREAMS];
        let message = |s: usize| [0, 4, 8, 12].map(|at| quad(words, 16 * s + at));
        store(parents_of([message(0), message(1), message(2), message(3)]), first, out);
    }
}

#[target_feature(enable = "sha,sse4.1,ssse3")]
pub(super) fn pairs(pairs: &[[u8; 64]], out: &mut [Node]) {
    for (pairs, out) in pairs.chunks(STREAMS).zip(out.chunks_mut(STREAMS)) {
        let message =
            |s: usize| [0, 16, 32, 48].map(|at| swap_bytes(sixteen(&pairs[s.min(pairs.len() - 1)], at)));
        let nodes = parents_of([message(0), message(1), message(2), message(3)]);
        for (out, node) in out.iter_mut().zip(nodes) {
            // SAFETY: a node has the 32 bytes.
            unsafe {
                _mm_storeu_si128(out.as_mut_ptr().cast(), swap_bytes(node[0]));
                _mm_storeu_si128(out.as_mut_ptr().add(16).cast(), swap_bytes(node[1]));
            }
        }
    }
}

/// Takes the next `count` blocks of the first `used` messages into their states, four messages at a time.
#[target_feature(enable = "sha,sse4.1,ssse3")]
pub(super) fn blocks(states: &mut Unit, used: usize, count: usize, messages: &[&[[u8; 64]]; UNIT_NODES]) {
    for first in (0..used).step_by(STREAMS) {
        let of = |s: usize| messages[if first + s < used { first + s } else { first }];
        let streams = [of(0), of(1), of(2), of(3)].map(|stream| &stream[..count]);
        let words = |s: usize| [quad(&states.0, 8 * (first + s)), quad(&states.0, 8 * (first + s) + 4)];
        let mut running = [state_of(words(0)), state_of(words(1)), state_of(words(2)), state_of(words(3))];
        #[expect(clippy::needless_range_loop, reason = "the number is of a block of each of four streams")]
        for number in 0..count {
            let message = |s: usize| [0, 16, 32, 48].map(|at| swap_bytes(sixteen(&streams[s][number], at)));
            compress(&mut running, &mut [message(0), message(1), message(2), message(3)]);
        }
        let [a, b, c, d] = running;
        store([words_of(a), words_of(b), words_of(c), words_of(d)], first, states);
    }
}
