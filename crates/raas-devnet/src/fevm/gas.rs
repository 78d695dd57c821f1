//! Gas in Filecoin's scale, and who gets the money for it.
//!
//! The EVM that runs contracts here counts Ethereum gas. Filecoin's numbers are about a hundred times as large (a
//! plain transfer costs millions), so both directions go through [`SCALE`]: a client that hard-codes Ethereum's
//! limits fails here as it would there. The figures are a model of that order, not a measurement.

use alloy_primitives::U256;

/// Filecoin gas per unit of EVM gas.
pub const SCALE: u64 = 100;
/// The most gas one message, and here one tipset, can use.
pub const BLOCK_LIMIT: u64 = 10_000_000_000;
/// The floor of the base fee in attoFIL, where it stays unless a command says otherwise: the messages of a devnet stay
/// below half a block.
pub const BASE_FEE: u64 = 100;
/// The premium a node proposes when blocks have room, in attoFIL.
pub const MIN_PREMIUM: u64 = 100_000;

/// The least fee cap a mempool takes at this base fee: what might be included some blocks later, as it falls by at most
/// an eighth per tipset.
pub(crate) const fn fee_cap_floor(base_fee: u64) -> u64 {
    let later = base_fee / 10;
    if later > BASE_FEE { later } else { BASE_FEE }
}

/// EVM gas that `filecoin` gas buys.
pub(super) const fn to_evm(filecoin: u64) -> u64 {
    filecoin / SCALE
}

/// What `evm` gas costs in Filecoin gas.
pub(super) const fn from_evm(evm: u64) -> u64 {
    evm.saturating_mul(SCALE)
}

/// EVM gas that a transaction costs before any code runs.
pub(super) fn intrinsic(input: &[u8], creates: bool) -> u64 {
    let zeros = input.iter().filter(|byte| **byte == 0).count();
    let data = as_u64(zeros) * 4 + as_u64(input.len() - zeros) * 16;
    let creation = if creates { 32_000 + as_u64(input.len().div_ceil(32)) * 2 } else { 0 };
    let floor = 21_000 + (as_u64(zeros) + as_u64(input.len() - zeros) * 4) * 10;
    floor.max(21_000 + data + creation)
}

fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// What one message cost its sender, in attoFIL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    /// Burned for gas used and for the over-estimation of the limit.
    pub burned: U256,
    /// Paid to the block's miner: premium times limit.
    pub tip: U256,
}

impl Charge {
    /// The charge for `used` of `limit` gas, by the rules of the reference implementation: the tip is paid on
    /// the limit, and a limit far above use burns part of the difference.
    pub(super) fn new(used: u64, limit: u64, fee_cap: u128, premium: u128, base_fee: u64) -> Self {
        let base_fee = u128::from(base_fee).min(fee_cap);
        let tip = premium.min(fee_cap - base_fee);
        let burned_gas = u128::from(used) + u128::from(overestimation_burn(used, limit));
        Self {
            burned: U256::from(base_fee).saturating_mul(U256::from(burned_gas)),
            tip: U256::from(tip).saturating_mul(U256::from(limit)),
        }
    }

    /// Everything the sender lost to gas.
    #[must_use]
    pub fn total(&self) -> U256 {
        self.burned.saturating_add(self.tip)
    }

    /// Total divided by gas used: what eth receipts call the effective price.
    #[must_use]
    pub fn effective_price(&self, used: u64) -> U256 {
        self.total().checked_div(U256::from(used)).unwrap_or_default()
    }
}

/// Gas burned beyond what was used: nothing up to 1.1 times the use, all of the rest from 2.1 times on.
fn overestimation_burn(used: u64, limit: u64) -> u64 {
    if used == 0 {
        return limit;
    }
    let (used, limit) = (u128::from(used), u128::from(limit));
    let over = limit.saturating_sub(used * 11 / 10).min(used);
    let burned = limit.saturating_sub(used) * over / used;
    u64::try_from(burned).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_limit_burns_only_what_was_used() {
        let charge = Charge::new(1_000_000, 1_100_000, 10_000, 50, BASE_FEE);
        assert_eq!(charge.burned, U256::from(100_000_000_u64));
        assert_eq!(charge.tip, U256::from(55_000_000_u64));
        assert_eq!(charge.effective_price(1_000_000), U256::from(155));
    }

    #[test]
    fn a_huge_limit_burns_the_rest() {
        assert_eq!(overestimation_burn(1_000, 2_100), 1_100);
        assert_eq!(overestimation_burn(1_000, 1_000_000), 999_000);
        assert_eq!(overestimation_burn(1_000, 1_600), 300);
        assert_eq!(overestimation_burn(0, 77), 77);
    }

    #[test]
    fn the_tip_never_exceeds_what_the_cap_leaves() {
        let charge = Charge::new(10, 10, 130, 500, BASE_FEE);
        assert_eq!(charge.tip, U256::from(300));
        let poor = Charge::new(10, 10, 60, 60, BASE_FEE);
        assert_eq!((poor.burned, poor.tip), (U256::from(600), U256::ZERO));
    }
}
