//! Which blocks an index surely does not have: two bytes per block in memory instead of a look at the disk.
//!
//! A Bloom filter in lines of 64 bytes. Digests are uniform already, so their own bits choose line and places, and a
//! question touches one line. Of digests that are not in the index about 2 in 1,000 are let through.

const LINE_BYTES: usize = 64;
/// 16 bits for each.
const BLOCKS_PER_LINE: u64 = 32;
/// Bits of a line that one digest sets; nine bits of the digest choose each.
const PLACES: u32 = 6;

/// A filter over the digests of one index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    lines: Vec<[u8; LINE_BYTES]>,
}

impl Filter {
    /// Length in bytes of the filter over `count` digests.
    #[must_use]
    pub(super) const fn bytes_for(count: u64) -> u64 {
        lines_for(count) * LINE_BYTES as u64
    }

    /// An empty one with room for `count` digests.
    pub(super) fn with_room_for(count: u64) -> Self {
        Self { lines: vec![[0; LINE_BYTES]; usize::try_from(lines_for(count)).unwrap_or(1)] }
    }

    /// From its stored form; `None` unless that is some whole lines.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (lines, rest) = bytes.as_chunks::<LINE_BYTES>();
        (!lines.is_empty() && rest.is_empty()).then(|| Self { lines: lines.to_vec() })
    }

    /// The stored form.
    pub(super) fn to_bytes(&self) -> &[u8] {
        self.lines.as_flattened()
    }

    /// Takes a digest in.
    pub(super) fn add(&mut self, digest: &[u8; 32]) {
        let (line, places) = self.place(digest);
        if let Some(line) = self.lines.get_mut(line) {
            places.for_each(|bit| line[bit / 8] |= 1 << (bit % 8));
        }
    }

    /// Whether the digest may be in the index; `false` is certain.
    #[must_use]
    pub fn may_have(&self, digest: &[u8; 32]) -> bool {
        let (line, mut places) = self.place(digest);
        self.lines.get(line).is_some_and(|line| places.all(|bit| line[bit / 8] & (1 << (bit % 8)) != 0))
    }

    /// The line of a digest, and its bits there.
    fn place(&self, digest: &[u8; 32]) -> (usize, impl Iterator<Item = usize> + use<>) {
        let number = |from: usize| u64::from_le_bytes(std::array::from_fn(|at| digest[from + at]));
        let line = (u128::from(number(0)) * self.lines.len() as u128) >> 64;
        let bits = number(8);
        let places = (0..PLACES).map(move |place| ((bits >> (9 * place)) & 0x1ff) as usize);
        // Less than the number of lines, which is a usize.
        (usize::try_from(line).unwrap_or(usize::MAX), places)
    }
}

const fn lines_for(count: u64) -> u64 {
    let lines = count.div_ceil(BLOCKS_PER_LINE);
    if lines == 0 { 1 } else { lines }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::sha256;

    fn digest(number: u64) -> [u8; 32] {
        sha256(&number.to_le_bytes())
    }

    #[test]
    fn what_was_taken_in_is_let_through_and_of_the_rest_nearly_nothing() {
        for count in [0, 1, 32, 33, 5_000] {
            let mut filter = Filter::with_room_for(count);
            (0..count).for_each(|number| filter.add(&digest(number)));
            assert!((0..count).all(|number| filter.may_have(&digest(number))), "{count}");
            let through = (10_000..20_000).filter(|number| filter.may_have(&digest(*number))).count();
            assert!(through < 50, "{through} of 10,000 with {count}");
            assert_eq!(filter.to_bytes().len() as u64, Filter::bytes_for(count));
            assert_eq!(Filter::from_bytes(filter.to_bytes()), Some(filter));
        }
        assert_eq!(Filter::from_bytes(&[0; 65]), None);
        assert_eq!(Filter::from_bytes(&[]), None);
    }
}
