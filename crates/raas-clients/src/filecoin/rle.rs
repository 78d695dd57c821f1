//! RLE+: the bitfields of actors' states, as run lengths that begin with a run of zeros.

/// Why bytes are no bitfield.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RLE+ bitfield")]
pub(super) struct NotRle;

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
pub(super) fn runs(bytes: &[u8]) -> Result<Vec<u64>, NotRle> {
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

/// Writes bits in the order they are read.
#[cfg(test)]
pub(super) fn pack(bits: &str) -> Vec<u8> {
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
}
