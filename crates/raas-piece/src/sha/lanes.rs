//! SHA-256 over many messages at once, one per lane of a vector, for any vector type.
//!
//! Words are kept transposed (a vector holds the same word of all messages), so that the nodes of one level
//! are the messages of the next after one permutation. Everything is `inline(always)`: it becomes code of the
//! instruction set of whoever calls it.

use super::unit::{LANE_PAIRS, LANE_PAYLOAD, UNIT_NODES, UNIT_PAYLOAD, Unit};
use super::words::{IV, K, K_TAIL, LAST_WORD_MASK};
use crate::fr32::GROUP_IN;
use crate::tree::Node;

/// Vectors of 32-bit lanes.
pub(super) trait Lanes: Copy {
    const LANES: usize;

    fn splat(word: u32) -> Self;
    /// The first lanes of a slice, which has enough.
    fn load(words: &[u32]) -> Self;
    fn store(self, words: &mut [u32]);
    fn add(self, other: Self) -> Self;
    fn and(self, other: Self) -> Self;
    fn xor3(self, b: Self, c: Self) -> Self;
    /// `self ? b : c`, bit by bit.
    fn choose(self, b: Self, c: Self) -> Self;
    fn majority(self, b: Self, c: Self) -> Self;
    fn rotr<const N: i32>(self) -> Self;
    fn shr<const N: i32>(self) -> Self;
    /// The lanes of even and of odd number of `self` followed by `other`.
    fn deinterleave(self, other: Self) -> (Self, Self);
    /// The sixteen message words of one 64-byte block per lane.
    fn messages<'a>(block: impl Fn(usize) -> &'a [u8; 64]) -> [Self; 16];
    /// The sixteen message words of pairs of leaves: lane i has leaves 2i and 2i + 1 of a payload of half as
    /// many groups as there are lanes.
    fn leaves(payload: &[u8]) -> [Self; 16];
    /// Stops the compiler from regrouping the sum, which would lengthen the chain from round to round.
    fn pin(self) -> Self {
        self
    }
}

/// Vectors that hash whole subtrees in their lanes.
pub(super) trait Subtrees: Lanes {
    /// The message words of one pair of leaves per lane: lane i has pair number `pair` of the i-th
    /// [`LANE_PAYLOAD`] bytes.
    fn strided_leaves(payload: &[u8], pair: usize) -> [Self; 16];
    /// Asks for the cache line so many bytes after the end of these; there need not be any.
    fn prefetch(bytes: &[u8], after: usize);
    /// The parents of pairs of nodes, as [`parents_of`], but one function for all who call it: two copies side by
    /// side would leave the cache of decoded instructions. The message is used up.
    fn parents_by_call<const B: usize>(message: &mut Message<Self, B>, out: &mut State<Self, B>);
}

pub(super) type State<V, const B: usize> = [[V; B]; 8];
pub(super) type Message<V, const B: usize> = [[V; B]; 16];

/// An array of one value per batch. A loop and not `array::from_fn`, since a closure has no target features.
macro_rules! each {
    ($i:ident => $value:expr) => {{
        let mut all = [V::splat(0); B];
        for $i in 0..B {
            all[$i] = $value;
        }
        all
    }};
}

/// The same for the sixteen words of a message.
macro_rules! each_word {
    ($word:ident $i:ident => $value:expr) => {{
        let mut all = [[V::splat(0); B]; 16];
        for $word in 0..16 {
            for $i in 0..B {
                all[$word][$i] = $value;
            }
        }
        all
    }};
}

#[inline(always)]
fn small_sigma0<V: Lanes>(x: V) -> V {
    x.rotr::<7>().xor3(x.rotr::<18>(), x.shr::<3>())
}

#[inline(always)]
fn small_sigma1<V: Lanes>(x: V) -> V {
    x.rotr::<17>().xor3(x.rotr::<19>(), x.shr::<10>())
}

/// One round on eight named words; the caller turns the names.
macro_rules! round {
    ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $i:ident => $kw:expr) => {
        for $i in 0..B {
            let sum = $h[$i].add($kw).pin().add($e[$i].choose($f[$i], $g[$i])).pin();
            let t1 = sum.add($e[$i].rotr::<6>().xor3($e[$i].rotr::<11>(), $e[$i].rotr::<25>())).pin();
            let t2 = $a[$i].rotr::<2>().xor3($a[$i].rotr::<13>(), $a[$i].rotr::<22>());
            let t2 = t2.add($a[$i].majority($b[$i], $c[$i])).pin();
            $d[$i] = $d[$i].add(t1);
            $h[$i] = t1.add(t2);
        }
    };
}

/// Eight rounds, adding `$kw` in round `$j` of batch `$i` and doing `$after` after each; at their end every word is
/// back at its name.
macro_rules! rounds8 {
    ($s:ident, $j:ident $i:ident => $kw:expr, $after:block) => {
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *$s;
        rounds8!($j $i $kw, $after, 0: a b c d e f g h, 1: h a b c d e f g, 2: g h a b c d e f, 3: f g h a b c d e);
        rounds8!($j $i $kw, $after, 4: e f g h a b c d, 5: d e f g h a b c, 6: c d e f g h a b, 7: b c d e f g h a);
        *$s = [a, b, c, d, e, f, g, h];
    };
    ($j:ident $i:ident $kw:expr, $after:block, $($n:literal: $a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident),*) => {$(
        let $j = $n;
        round!($a $b $c $d $e $f $g $h, $i => $kw);
        $after
    )*};
}

/// Takes one block of each message into the state.
///
/// The loop stays rolled, sixteen rounds a turn, the last turn with the others: larger code leaves the instruction
/// caches and runs at half the speed. A word of the schedule is made after each round, since rotations, which only
/// half of the vector units can do, then never come in a row.
#[inline(always)]
pub(super) fn compress<V: Lanes, const B: usize>(state: &mut State<V, B>, w: &mut Message<V, B>) {
    let before = *state;
    for (turn, k) in K.as_chunks::<16>().0.iter().enumerate() {
        let more = turn < 3;
        macro_rules! words {
            ($word:expr) => {
                if more {
                    let at = |add: usize| ($word + add) % 16;
                    w[$word] = each!(i => {
                        let sum = w[$word][i].add(w[at(9)][i]);
                        sum.add(small_sigma0(w[at(1)][i])).add(small_sigma1(w[at(14)][i]))
                    });
                }
            };
        }
        rounds8!(state, j i => V::splat(k[j]).add(w[j][i]), { words!(j) });
        rounds8!(state, j i => V::splat(k[8 + j]).add(w[8 + j][i]), { words!(8 + j) });
    }
    for (word, before) in state.iter_mut().zip(before) {
        *word = each!(i => word[i].add(before[i]));
    }
}

/// The constant second block of 64-byte messages.
#[inline(always)]
fn tail<V: Lanes, const B: usize>(state: &mut State<V, B>) {
    let before = *state;
    for k in K_TAIL.as_chunks::<8>().0 {
        rounds8!(state, j i => V::splat(k[j]), {});
    }
    for (word, before) in state.iter_mut().zip(before) {
        *word = each!(i => word[i].add(before[i]));
    }
}

/// The parents of pairs of nodes, cut to 254 bits.
#[inline(always)]
pub(super) fn parents_of<V: Lanes, const B: usize>(w: &mut Message<V, B>) -> State<V, B> {
    let mut state: State<V, B> = IV.map(|word| [V::splat(word); B]);
    compress(&mut state, w);
    tail(&mut state);
    let mask = V::splat(LAST_WORD_MASK);
    state[7] = each!(i => state[7][i].and(mask));
    state
}

#[inline(always)]
pub(super) fn store_words<V: Lanes, const B: usize>(state: State<V, B>, first: usize, out: &mut Unit) {
    for (word, batches) in state.into_iter().enumerate() {
        for (batch, vector) in batches.into_iter().enumerate() {
            vector.store(&mut out.0[UNIT_NODES * word + first + batch * V::LANES..]);
        }
    }
}

/// The unit over 2,032 payload bytes.
#[inline(always)]
pub(super) fn unit_of<V: Lanes, const B: usize>(payload: &[u8; UNIT_PAYLOAD], out: &mut Unit) {
    let step = V::LANES * B;
    for first in (0..UNIT_NODES).step_by(step) {
        let mut batches = [[V::splat(0); 16]; B];
        for (i, batch) in batches.iter_mut().enumerate() {
            *batch = V::leaves(&payload[(first + i * V::LANES) / 2 * GROUP_IN..]);
        }
        store_words(parents_of(&mut each_word!(word i => batches[i][word])), first, out);
    }
}

/// Messages of each level above the leaves that wait for their second half.
type Waiting<V, const B: usize> = [Message<V, B>; LANE_PAIRS.ilog2() as usize];

/// Room for [`subtrees`]; what is in it does not matter.
#[inline(always)]
pub(super) fn waiting<V: Lanes, const B: usize>() -> Waiting<V, B> {
    [[[V::splat(0); B]; 16]; LANE_PAIRS.ilog2() as usize]
}

/// The roots over [`LANE_PAYLOAD`] bytes each, one per lane: neighbours in a tree are in the same lane all the way
/// up, so that nothing is moved between lanes. A node is written where its parent's message is built.
#[inline(always)]
pub(super) fn subtrees<V: Subtrees, const B: usize>(
    payload: &[u8],
    waiting: &mut Waiting<V, B>,
    roots: &mut State<V, B>,
) {
    for pair in 0..LANE_PAIRS {
        // Lanes are read in strides, which no processor foresees: the next call's bytes are asked for here.
        let ahead = payload.len() / LANE_PAIRS;
        (pair * ahead..(pair + 1) * ahead).step_by(64).for_each(|after| V::prefetch(payload, after));
        let mut w: Message<V, B> = [[V::splat(0); B]; 16];
        for i in 0..B {
            let words = V::strided_leaves(&payload[i * V::LANES * LANE_PAYLOAD..], pair);
            for (all, word) in w.iter_mut().zip(words) {
                all[i] = word;
            }
        }
        V::parents_by_call(&mut w, &mut waiting[0].as_chunks_mut().0[pair % 2]);
        let complete = pair.trailing_ones() as usize;
        for level in 1..=complete {
            let (below, above) = waiting.split_at_mut(level);
            let out = match above.first_mut() {
                Some(message) => &mut message.as_chunks_mut().0[(pair >> level) % 2],
                None => &mut *roots,
            };
            V::parents_by_call(&mut below[level - 1], out);
        }
    }
}

/// The unit over two units.
#[inline(always)]
pub(super) fn parents<V: Lanes, const B: usize>(left: &Unit, right: &Unit, out: &mut Unit) {
    let step = V::LANES * B;
    for first in (0..UNIT_NODES).step_by(step) {
        let mut w: Message<V, B> = [[V::splat(0); B]; 16];
        for word in 0..8 {
            #[expect(
                clippy::needless_range_loop,
                reason = "the number of the batch says where its nodes are"
            )]
            for i in 0..B {
                // Parent p is over nodes 2p and 2p + 1 of both units.
                let child = 2 * (first + i * V::LANES);
                let (unit, child) =
                    if child < UNIT_NODES { (left, child) } else { (right, child - UNIT_NODES) };
                let words = &unit.0[UNIT_NODES * word + child..];
                let (even, odd) = V::load(words).deinterleave(V::load(&words[V::LANES..]));
                w[word][i] = even;
                w[8 + word][i] = odd;
            }
        }
        store_words(parents_of(&mut w), first, out);
    }
}

/// The parents of pairs of nodes, at most as many as there are lanes.
#[inline(always)]
pub(super) fn pairs<V: Lanes, const B: usize>(pairs: &[[u8; 64]], out: &mut [Node]) {
    let Some(first) = pairs.first() else { return };
    let mut w = [[V::splat(0); 16]; B];
    for (batch, w) in w.iter_mut().enumerate() {
        *w = V::messages(|i| pairs.get(batch * V::LANES + i).unwrap_or(first));
    }
    let state = parents_of::<V, B>(&mut each_word!(word i => w[i][word]));
    let mut words = Unit::EMPTY;
    store_words(state, 0, &mut words);
    for (i, node) in out.iter_mut().take(pairs.len()).enumerate() {
        *node = words.node(super::unit::Order::Words, i);
    }
}

/// Takes the next `count` blocks of the first `used` messages into their states, kept as words.
#[inline(always)]
pub(super) fn blocks<V: Lanes, const B: usize>(
    states: &mut Unit,
    used: usize,
    count: usize,
    messages: &[&[[u8; 64]]; UNIT_NODES],
) {
    for first in (0..used).step_by(V::LANES * B) {
        let mut state: State<V, B> = [[V::splat(0); B]; 8];
        for (word, batches) in state.iter_mut().enumerate() {
            *batches = each!(i => V::load(&states.0[UNIT_NODES * word + first + i * V::LANES..]));
        }
        for number in 0..count {
            let mut w = [[V::splat(0); 16]; B];
            for (i, w) in w.iter_mut().enumerate() {
                // Lanes past the last message repeat the first one; nobody reads their states.
                let message = |lane: usize| {
                    let lane = first + i * V::LANES + lane;
                    if lane < used { messages[lane] } else { messages[0] }
                };
                *w = V::messages(|lane| &message(lane)[number]);
            }
            compress::<V, B>(&mut state, &mut each_word!(word i => w[i][word]));
        }
        store_words(state, first, states);
    }
}
