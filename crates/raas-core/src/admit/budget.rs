//! Money for new orders: what is left, and who may take it.

use crate::fleet::Money;
use crate::plan::{Priority, WaitFor};
use crate::spend::Limit;
use crate::units::AttoFil;

/// What is left of the money while the plan is made.
pub(super) struct Budget {
    available: AttoFil,
    limit: Limit,
    /// The most urgent priority that went without: nothing less urgent may take what it waits for.
    short: Option<Priority>,
}

impl Budget {
    pub(super) const fn new(money: &Money) -> Self {
        Self { available: money.available, limit: money.limit, short: None }
    }

    /// Takes `needed`, the price of the whole term, or says what is missing.
    pub(super) fn take(&mut self, needed: AttoFil, priority: Priority) -> Result<(), WaitFor> {
        let is_kept_back = self.short.is_some_and(|short| short < priority);
        if is_kept_back || needed > self.available {
            if !is_kept_back {
                self.short = Some(self.short.map_or(priority, |short| short.min(priority)));
            }
            let available = if is_kept_back { AttoFil::ZERO } else { self.available };
            return Err(WaitFor::Budget { needed, available, limit: self.limit });
        }
        self.available = self.available.minus(needed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn budget(available: u128) -> Budget {
        Budget::new(&Money { available: AttoFil(available), limit: Limit::Total })
    }

    #[test]
    fn money_goes_down_to_nothing_and_no_further() {
        let mut budget = budget(10);
        assert_eq!(budget.take(AttoFil(4), Priority::Normal), Ok(()));
        assert_eq!(budget.take(AttoFil(6), Priority::Normal), Ok(()));
        let short = WaitFor::Budget { needed: AttoFil(1), available: AttoFil(0), limit: Limit::Total };
        assert_eq!(budget.take(AttoFil(1), Priority::Normal), Err(short));
    }

    #[test]
    fn the_less_urgent_does_not_take_what_the_urgent_waits_for() {
        let mut budget = budget(10);
        assert!(budget.take(AttoFil(11), Priority::LastCopy).is_err());
        assert_eq!(budget.take(AttoFil(5), Priority::LastCopy), Ok(()), "its own kind may");
        let kept_back = WaitFor::Budget { needed: AttoFil(1), available: AttoFil(0), limit: Limit::Total };
        assert_eq!(budget.take(AttoFil(1), Priority::BelowMin), Err(kept_back));
    }

    proptest! {
        #[test]
        fn never_more_is_taken_than_there_was(available in 0_u128..1_000, needs in proptest::collection::vec((0_u128..400, 0_u8..3), 0..20)) {
            let mut budget = budget(available);
            let mut taken = 0;
            for (needed, priority) in needs {
                let priority = [Priority::LastCopy, Priority::BelowMin, Priority::Normal][priority as usize];
                if budget.take(AttoFil(needed), priority).is_ok() {
                    taken += needed;
                }
            }
            prop_assert!(taken <= available);
        }
    }
}
