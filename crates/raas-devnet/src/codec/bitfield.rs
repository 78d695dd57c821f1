//! Sets of numbers as the chain writes them: RLE+ in CBOR, run lengths in JSON.

use super::address::push_varint;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::ops::Range;

/// A set of `u64`, held as ascending ranges that neither touch nor overlap, so that a run of a billion costs as
/// much as a run of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bitfield {
    ranges: Vec<Range<u64>>,
}

/// Why bytes are no RLE+ bitfield.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BitfieldError {
    /// The first two bits must be 0.
    #[error("a bitfield must have version 0")]
    Version,
    /// The last byte must not be 0.
    #[error("a bitfield must not end with a zero byte")]
    Trailing,
    /// A run's length is cut off, zero or beyond 64 bits.
    #[error("a run of the bitfield is cut off, of length zero or too long")]
    Run,
}

/// Reads bits, lowest of each byte first; behind the end there are only zeros.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn done(&self) -> bool {
        self.at >= self.bytes.len() * 8
    }

    fn take(&mut self, count: usize) -> u8 {
        (0..count).fold(0, |value, bit| {
            let byte = self.bytes.get(self.at / 8).copied().unwrap_or(0);
            let set = byte >> (self.at % 8) & 1;
            self.at += 1;
            value | set << bit
        })
    }

    /// One run's length: `1` is one, `01` and four bits are 0 to 15, `00` and a varint are anything.
    fn run(&mut self) -> Result<u64, BitfieldError> {
        if self.take(1) == 1 {
            return Ok(1);
        }
        if self.take(1) == 1 {
            return Ok(u64::from(self.take(4)));
        }
        let mut value = 0u64;
        for group in 0..10 {
            if self.done() {
                // Padding of the last byte reads as the start of a run that is not there.
                return if group == 0 { Ok(0) } else { Err(BitfieldError::Run) };
            }
            let byte = self.take(8);
            let low = u64::from(byte & 0x7f);
            if group == 9 && low > 1 {
                return Err(BitfieldError::Run);
            }
            value |= low << (7 * group);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(BitfieldError::Run)
    }
}

#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    used: usize,
}

impl BitWriter {
    fn put(&mut self, value: u8, count: usize) {
        for bit in 0..count {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= (value >> bit & 1) << (self.used % 8);
            }
            self.used += 1;
        }
    }

    fn run(&mut self, length: u64) {
        match length {
            1 => self.put(1, 1),
            2..=15 => {
                self.put(0b10, 2);
                self.put(length as u8, 4);
            }
            _ => {
                self.put(0, 2);
                let mut varint = Vec::new();
                push_varint(&mut varint, length);
                for byte in varint {
                    self.put(byte, 8);
                }
            }
        }
    }
}

impl Bitfield {
    /// The numbers in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.ranges.iter().cloned().flatten()
    }

    /// How many numbers are in the set.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether `number` is in the set.
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        self.ranges.iter().any(|range| range.contains(&number))
    }

    /// Alternating run lengths, beginning with the zeros: `[5, 1]` is {5}, `[0]` is empty.
    #[must_use]
    pub fn runs(&self) -> Vec<u64> {
        let mut at = 0;
        let mut runs = Vec::with_capacity(self.ranges.len() * 2);
        for range in &self.ranges {
            runs.extend([range.start - at, range.end - range.start]);
            at = range.end;
        }
        if runs.is_empty() { vec![0] } else { runs }
    }

    /// Reads alternating run lengths that begin with the zeros.
    pub fn from_runs(runs: &[u64]) -> Result<Self, BitfieldError> {
        let mut field = Self::default();
        let mut at = 0u64;
        for (index, length) in runs.iter().enumerate() {
            let end = at.checked_add(*length).ok_or(BitfieldError::Run)?;
            if index % 2 == 1 {
                field.push(at..end);
            }
            at = end;
        }
        Ok(field)
    }

    /// RLE+ bytes; nothing at all for the empty set.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Some(first) = self.ranges.first() else { return Vec::new() };
        let mut writer = BitWriter::default();
        writer.put(0, 2);
        writer.put(u8::from(first.start == 0), 1);
        for length in self.runs().into_iter().skip_while(|length| *length == 0) {
            writer.run(length);
        }
        // Bits behind the end read as zeros, so zero bytes there are left out.
        while writer.bytes.last() == Some(&0) {
            writer.bytes.pop();
        }
        writer.bytes
    }

    /// Reads RLE+ bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BitfieldError> {
        match bytes.last() {
            None => return Ok(Self::default()),
            Some(0) => return Err(BitfieldError::Trailing),
            Some(_) => {}
        }
        let mut bits = Bits { bytes, at: 0 };
        if bits.take(2) != 0 {
            return Err(BitfieldError::Version);
        }
        let mut set = bits.take(1) == 1;
        let mut field = Self::default();
        let mut at = 0u64;
        while !bits.done() {
            let length = bits.run()?;
            if length == 0 {
                if bits.done() {
                    break;
                }
                return Err(BitfieldError::Run);
            }
            let end = at.checked_add(length).ok_or(BitfieldError::Run)?;
            if set {
                field.push(at..end);
            }
            at = end;
            set = !set;
        }
        Ok(field)
    }

    /// Appends a range that begins at or behind the last one's end.
    fn push(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        match self.ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.ranges.push(range),
        }
    }
}

impl FromIterator<u64> for Bitfield {
    /// Any order, duplicates allowed; `u64::MAX` itself cannot be in a bitfield and is left out.
    fn from_iter<I: IntoIterator<Item = u64>>(numbers: I) -> Self {
        let mut sorted: Vec<u64> = numbers.into_iter().filter(|number| *number < u64::MAX).collect();
        sorted.sort_unstable();
        sorted.dedup();
        let mut field = Self::default();
        for number in sorted {
            field.push(number..number + 1);
        }
        field
    }
}

impl Serialize for Bitfield {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            self.runs().serialize(serializer)
        } else {
            serializer.serialize_bytes(&self.to_bytes())
        }
    }
}

impl<'de> Deserialize<'de> for Bitfield {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Self::from_runs(&Vec::<u64>::deserialize(deserializer)?).map_err(de::Error::custom);
        }
        Self::from_bytes(&serde_bytes::ByteBuf::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(numbers: &[u64]) -> Bitfield {
        numbers.iter().copied().collect()
    }

    #[test]
    fn sets_survive_both_forms() {
        let long: Vec<u64> = (100..1_000).chain([5, 7, 8, 2_000_000]).collect();
        for numbers in [vec![], vec![0], vec![5], vec![0, 1, 2], vec![u64::MAX - 1], long] {
            let set = field(&numbers);
            assert_eq!(Bitfield::from_bytes(&set.to_bytes()), Ok(set.clone()), "{numbers:?}");
            assert_eq!(Bitfield::from_runs(&set.runs()), Ok(set.clone()));
            assert_eq!(set.count(), numbers.len() as u64);
            assert!(numbers.iter().all(|number| set.contains(*number)));
        }
    }

    #[test]
    fn runs_begin_with_the_zeros() {
        assert_eq!(field(&[5]).runs(), [5, 1]);
        assert_eq!(field(&[]).runs(), [0]);
        assert_eq!(field(&[0, 1, 2]).runs(), [0, 3]);
    }

    /// Bytes made by the crate `fvm_ipld_bitfield` 0.7, which the chain itself uses.
    #[test]
    fn bytes_are_those_of_the_chain() {
        for (numbers, bytes) in [
            (vec![], ""),
            (vec![0], "0c"),
            (vec![5], "b002"),
            (vec![0, 1, 2], "74"),
            ((0..8).collect(), "1401"),
            ((0..16).collect(), "0402"),
            ((3..1_000).collect(), "70283f"),
            (vec![1, 3, 5, 7, 9, 100, 101, 102, 2_000_000], "f81f2d874c44bd"),
            (vec![1 << 40], "00101010101024"),
            ((100..117).collect(), "808c08"),
        ] {
            assert_eq!(hex::encode(field(&numbers).to_bytes()), bytes, "{numbers:?}");
            assert_eq!(Bitfield::from_bytes(&hex::decode(bytes).expect("hex")), Ok(field(&numbers)));
        }
    }

    #[test]
    fn malformed_bytes_are_refused() {
        assert_eq!(Bitfield::from_bytes(&[0x01]), Err(BitfieldError::Version));
        assert_eq!(Bitfield::from_bytes(&[0x0c, 0x00]), Err(BitfieldError::Trailing));
        let endless = [&[0xe4][..], &[0xff; 12]].concat();
        assert_eq!(Bitfield::from_bytes(&endless), Err(BitfieldError::Run));
        assert_eq!(Bitfield::from_runs(&[u64::MAX, 1, 1]), Err(BitfieldError::Run));
    }
}
