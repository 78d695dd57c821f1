//! FRC-42 method numbers.

use blake2::{Blake2b512, Digest as _};

/// Numbers below this are reserved for methods exported before FRC-42.
const FIRST: u32 = 1 << 24;

/// The number of an exported method: the first big-endian `u32` of blake2b-512(`1|Name`) that is at least 2^24.
#[must_use]
pub fn method_number(name: &str) -> u64 {
    let digest = Blake2b512::digest(format!("1|{name}"));
    digest
        .chunks_exact(4)
        .map(|chunk| chunk.iter().fold(0u32, |sum, byte| (sum << 8) | u32::from(*byte)))
        .find(|number| *number >= FIRST)
        .map_or(0, u64::from)
}

#[cfg(test)]
mod tests {
    use super::method_number;

    #[test]
    fn known_methods_have_their_numbers() {
        for (name, number) in [
            ("Transfer", 80_475_954),
            ("AuthenticateMessage", 2_643_134_072),
            ("MarketNotifyDeal", 4_186_741_094),
            ("Receive", 3_726_118_371),
            ("AddBalance", 822_473_126),
            ("GetClaims", 2_199_871_187),
            ("ExtendClaimTerms", 1_752_273_514),
            ("RemoveExpiredAllocations", 2_421_068_268),
            ("SectorContentChanged", 2_034_386_435),
            ("PublishStorageDeals", 2_236_929_350),
            ("GetDealActivation", 2_567_238_399),
            ("GenerateSectorLocation", 1_321_604_665),
        ] {
            assert_eq!(method_number(name), number, "{name}");
        }
    }
}
