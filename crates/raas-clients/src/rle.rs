//! RLE+: the bitfields of actors' states, as run lengths that begin with a run of zeros.

use crate::address::push_varint;

/// Why bytes are no bitfield.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RLE+ bitfield")]
pub(crate) struct NotRle;

/// Bits of a byte string, the lowest of each byte first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn left(&self) -> usize {
        (self.bytes.len() * 8).saturating_sub(self.at)
    }

    /// The next `count` bits as a number, those past the end being zero.
    fn take(&mut self, count: usize) -> u64 {
        let mut value = 0;
        for bit in 0..count {
            let byte = self.bytes.get(self.at / 8).copied().unwrap_or(0);
            value |= u64::from(byte >> (self.at % 8) & 1) << bit;
            self.at += 1;
        }
        value
    }

    /// A length of seven bits a byte.
    fn varint(&mut self) -> Result<u64, NotRle> {
        let mut value = 0_u64;
        for shift in (0..63).step_by(7) {
            if self.left() < 8 {
                return Err(NotRle);
            }
            let byte = self.take(8);
            value |= (byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(NotRle)
    }
}

/// The run lengths of `bytes`.
pub(crate) fn runs(bytes: &[u8]) -> Result<Vec<u64>, NotRle> {
    let mut runs = Vec::new();
    if bytes.is_empty() {
        return Ok(runs);
    }
    let mut bits = Bits { bytes, at: 0 };
    if bits.take(2) != 0 {
        return Err(NotRle);
    }
    if bits.take(1) == 1 {
        runs.push(0);
    }
    while bits.left() > 0 {
        let length = if bits.take(1) == 1 {
            1
        } else if bits.take(1) == 1 {
            bits.take(4)
        } else if bits.left() >= 8 {
            bits.varint()?
        } else {
            // Padding at the end of the last byte.
            break;
        };
        if length == 0 {
            break;
        }
        runs.push(length);
    }
    Ok(runs)
}

/// A set of numbers in RLE+: two bits of version 0, then runs of zeros and ones in turn, each as one bit, as a four-bit
/// number, or as a varint; the first bit after the version says with which the runs begin.
pub(crate) fn encode(numbers: &[u64]) -> Vec<u8> {
    let mut numbers = numbers.to_vec();
    numbers.sort_unstable();
    numbers.dedup();
    let mut runs: Vec<u64> = Vec::new();
    let mut end = 0_u64;
    for number in numbers {
        match runs.last_mut() {
            Some(ones) if number == end => *ones += 1,
            // The first run may be of no zeros: then the set begins with ones.
            _ => runs.extend([number - end, 1]),
        }
        end = number.saturating_add(1);
    }
    let mut bits = Written::default();
    bits.push(0, 2);
    let begins_with_ones = runs.first() == Some(&0);
    bits.push(u64::from(begins_with_ones), 1);
    for run in runs.into_iter().skip(usize::from(begins_with_ones)) {
        match run {
            1 => bits.push(1, 1),
            2..16 => {
                bits.push(0b10, 2);
                bits.push(run, 4);
            }
            _ => {
                bits.push(0b00, 2);
                let mut varint = Vec::new();
                push_varint(&mut varint, run);
                varint.into_iter().for_each(|byte| bits.push(u64::from(byte), 8));
            }
        }
    }
    // Bits behind the end read as zeros: a set must not end with a byte of them.
    while bits.bytes.last() == Some(&0) {
        bits.bytes.pop();
    }
    bits.bytes
}

/// Bits, the lowest of a byte first.
#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    filled: u32,
}

impl Written {
    fn push(&mut self, value: u64, count: u32) {
        for at in 0..count {
            if self.filled.is_multiple_of(8) {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= ((value >> at & 1) as u8) << (self.filled % 8);
            }
            self.filled += 1;
        }
    }
}

/// Writes bits in the order they are read.
#[cfg(test)]
pub(crate) fn pack(bits: &str) -> Vec<u8> {
    let bits: Vec<u8> = bits.bytes().filter(|bit| *bit != b' ').map(|bit| bit - b'0').collect();
    bits.chunks(8).map(|byte| byte.iter().enumerate().map(|(at, bit)| bit << at).sum()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_block_forms() {
        assert_eq!(runs(&[]), Ok(vec![]));
        // Version 00, first bit 1, one 1; a run of 3 zeros (01 + 1100); a long run of 200 ones.
        let bytes = pack("00 1 1 01 1100 00 00010011 10000000");
        assert_eq!(runs(&bytes), Ok(vec![0, 1, 3, 200]));
        assert_eq!(runs(&pack("00 0 01 1010 1")), Ok(vec![5, 1]), "{{5}}");
        assert_eq!(runs(&pack("10 0 1")), Err(NotRle));
        assert_eq!(runs(&pack("00 0 00 11111111")), Err(NotRle));
    }

    /// The devnet reads bitfields with code of its own.
    #[test]
    fn sets_are_written_as_others_read_them() {
        for numbers in
            [vec![], vec![0], vec![5], vec![0, 1, 2], vec![3, 4, 90, 91, 92, 1_000_000], (10..60).collect()]
        {
            let field = raas_devnet::codec::Bitfield::from_bytes(&encode(&numbers)).expect("a bitfield");
            assert_eq!(field.iter().collect::<Vec<u64>>(), numbers);
        }
    }
}
