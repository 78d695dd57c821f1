//! The stream of Go's math/rand, which upstream's longer CommP rows hash.
//!
//! The generator is x[n] = x[n - 607] + x[n - 273] over 64 bits. Go stores its state after 7.8e12 steps as a table;
//! here the table is computed: the recurrence makes x^607 = x^334 + 1 in the ring of its steps, so that the
//! state after N steps is the remainder of x^N times the first state.

const LENGTH: usize = 607;
const TAP: usize = 273;
const WARM_UP_STEPS: u64 = 7_800_000_000_000;
const SEED_MODULUS: u64 = (1 << 31) - 1;

/// The generator that fills states: x * 48271 mod 2^31 - 1. Gives a word made of three of its numbers.
struct Fill(u64);

impl Fill {
    /// The first twenty numbers are thrown away.
    fn new(seed: u64) -> Self {
        let mut fill = Self(seed % SEED_MODULUS);
        for _ in 0..20 {
            fill.next();
        }
        fill
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0 * 48_271 % SEED_MODULUS;
        self.0
    }

    fn word(&mut self, shift: u32) -> u64 {
        let [a, b, c] = [self.next(), self.next(), self.next()];
        (a << (2 * shift)) ^ (b << shift) ^ c
    }
}

/// Coefficients of x^0 to x^606 modulo the recurrence.
type Polynomial = Vec<u64>;

/// Folds the powers from 607 up back under it.
fn reduce(mut long: Vec<u64>) -> Polynomial {
    for at in (LENGTH..long.len()).rev() {
        let coefficient = std::mem::take(&mut long[at]);
        // x^607 = x^(607 - 273) + 1
        long[at - TAP] = long[at - TAP].wrapping_add(coefficient);
        long[at - LENGTH] = long[at - LENGTH].wrapping_add(coefficient);
    }
    long.truncate(LENGTH);
    long
}

fn square(polynomial: &[u64]) -> Polynomial {
    let mut long = vec![0u64; 2 * LENGTH];
    for (i, a) in polynomial.iter().enumerate() {
        for (to, b) in long[i..].iter_mut().zip(polynomial) {
            *to = to.wrapping_add(a.wrapping_mul(*b));
        }
    }
    reduce(long)
}

fn times_x(polynomial: &[u64]) -> Polynomial {
    reduce(std::iter::once(0).chain(polynomial.iter().copied()).collect())
}

fn x_to_the(power: u64) -> Polynomial {
    let mut result = vec![0; LENGTH];
    result[0] = 1;
    for bit in (0..64 - power.leading_zeros()).rev() {
        result = square(&result);
        if power >> bit & 1 == 1 {
            result = times_x(&result);
        }
    }
    result
}

/// A state in the order of steps: the oldest word first.
///
/// Go walks its array downwards: the step after `n` others reads slot `(334 - 1 - n) mod 607` (fed) and
/// `(607 - 1 - n) mod 607`, and writes the first. So slot 333 holds the oldest word, then 332, and so on.
fn in_steps(slots: &[u64]) -> Vec<u64> {
    (0..LENGTH).map(|n| slots[(2 * LENGTH - TAP - 1 - n) % LENGTH]).collect()
}

/// The table that Go mixes into every seed.
fn cooked() -> Vec<u64> {
    let mut fill = Fill::new(1);
    let first: Vec<u64> = (0..LENGTH).map(|_| fill.word(10)).collect();
    let first = in_steps(&first);
    let mut power = x_to_the(WARM_UP_STEPS);
    let mut steps = Vec::with_capacity(LENGTH);
    for _ in 0..LENGTH {
        let word = power.iter().zip(&first).fold(0u64, |sum, (a, b)| sum.wrapping_add(a.wrapping_mul(*b)));
        steps.push(word);
        power = times_x(&power);
    }
    // After N steps Go's array has turned by N slots; the table is the array as it lies.
    let turned = usize::try_from(WARM_UP_STEPS % LENGTH as u64).unwrap();
    let mut slots = vec![0; LENGTH];
    for (n, word) in steps.into_iter().enumerate() {
        slots[(3 * LENGTH - TAP - 1 - n - turned) % LENGTH] = word;
    }
    slots
}

/// Go's `rand.New(rand.NewSource(seed))`.
pub struct GoRandom {
    words: std::collections::VecDeque<u64>,
}

impl GoRandom {
    pub fn new(seed: u64) -> Self {
        let mut fill = Fill::new(seed);
        let slots: Vec<u64> = cooked().iter().map(|cooked| fill.word(20) ^ cooked).collect();
        Self { words: in_steps(&slots).into() }
    }

    fn next(&mut self) -> u64 {
        let word = self.words[0].wrapping_add(self.words[LENGTH - TAP]);
        self.words.pop_front();
        self.words.push_back(word);
        word
    }

    /// `Uint32`: the upper half of 63 bits.
    pub fn next_u32(&mut self) -> u32 {
        let bits = self.next() & (u64::MAX >> 1);
        u32::try_from(bits >> 31).unwrap()
    }

    /// Fills with little-endian `Uint32`.
    pub fn fill(&mut self, out: &mut [u8]) {
        for four in out.as_chunks_mut::<4>().0 {
            *four = self.next_u32().to_le_bytes();
        }
    }
}

#[test]
fn the_computed_table_gives_upstream_s_stream() {
    // The table in Go's source begins with these two numbers.
    assert_eq!(
        cooked()[..2],
        [(-4_181_792_142_133_755_926i64).cast_unsigned(), (-4_576_982_950_128_230_565i64).cast_unsigned()]
    );
    let wanted = crate::support::vector_bytes("pieces/go-random-1337-prefix-64KiB.bin");
    let mut stream = vec![0; wanted.len()];
    GoRandom::new(1337).fill(&mut stream);
    assert!(stream == wanted, "the stream differs");
}
