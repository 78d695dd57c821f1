//! What a transaction offers for gas.

use raas_core::ports::Fees;
use raas_core::units::AttoFil;

/// Less than this per gas no mempool takes.
const PREMIUM_MIN: AttoFil = AttoFil(100_000);
/// The floor of the base fee.
pub(super) const BASE_FEE_MIN: AttoFil = AttoFil(100);
/// The most gas that one message can have.
const GAS_MAX: u64 = 10_000_000_000;

/// Twice the base fee and the premium, so that the base fee may rise for six full epochs; a replacement offers
/// at least a quarter and one more than what it replaces.
pub(super) fn fees(base_fee: AttoFil, premium: AttoFil, bump: Option<Fees>) -> Fees {
    let mut premium = premium.max(PREMIUM_MIN);
    let mut fee_cap = base_fee.max(BASE_FEE_MIN).times(2).plus(premium);
    if let Some(old) = bump {
        premium = premium.max(raised(old.premium));
        fee_cap = fee_cap.max(raised(old.fee_cap)).max(base_fee.times(2).plus(premium));
    }
    Fees { fee_cap, premium }
}

fn raised(old: AttoFil) -> AttoFil {
    old.plus(AttoFil(old.0.div_ceil(4))).plus(AttoFil(1))
}

/// An estimate with a quarter on top; `None` when no block holds that much. Never the block's limit: what is reserved
/// and not used is burnt.
pub(super) fn gas_limit(estimate: u64) -> Option<u64> {
    let limit = estimate.saturating_add(estimate / 4).max(1);
    (limit < GAS_MAX).then_some(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replacement_is_a_quarter_and_one_above() {
        let old = fees(AttoFil(100), AttoFil(200_000), None);
        assert_eq!(old, Fees { fee_cap: AttoFil(200_200), premium: AttoFil(200_000) });
        let new = fees(AttoFil(100), AttoFil(0), Some(old));
        assert_eq!(new, Fees { fee_cap: AttoFil(250_251), premium: AttoFil(250_001) });
        let risen = fees(AttoFil(1_000_000), AttoFil(0), Some(old));
        assert_eq!(risen.fee_cap, AttoFil(2_250_001));
    }

    #[test]
    fn the_floor_and_the_ceiling_hold() {
        assert_eq!(fees(AttoFil(0), AttoFil(0), None).premium, PREMIUM_MIN);
        assert_eq!(gas_limit(8_000_000), Some(10_000_000));
        assert_eq!(gas_limit(0), Some(1));
        assert_eq!(gas_limit(8_000_000_000), None, "never the limit of a block");
        assert_eq!(gas_limit(u64::MAX), None);
    }
}
