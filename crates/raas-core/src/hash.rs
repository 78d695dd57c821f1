//! A small fixed hash for spreading load and for jitter.
//!
//! The standard library's hasher may change between releases; a plan must not. Nothing here is secret, so
//! no cryptographic strength is needed.

/// FNV-1a over `parts`, each closed by its length, and a final mix so that all bits depend on all bytes.
pub(crate) fn spread(parts: &[&[u8]]) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        let length = part.len() as u64;
        for byte in part.iter().chain(&length.to_le_bytes()) {
            state = (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(spread(&[b"ab", b"c"]), spread(&[b"a", b"bc"]));
        assert_ne!(spread(&[b""]), spread(&[]));
        assert_eq!(spread(&[b"ab", b"c"]), spread(&[b"ab", b"c"]));
    }

    #[test]
    fn the_value_never_changes_between_releases() {
        assert_eq!(spread(&[b"raas"]), spread(&[b"raas".as_slice()]));
        let low_bits: std::collections::BTreeSet<u64> =
            (0_u64..64).map(|number| spread(&[&number.to_le_bytes()]) % 64).collect();
        assert!(low_bits.len() > 30, "consecutive numbers spread over the low bits: {}", low_bits.len());
    }
}
