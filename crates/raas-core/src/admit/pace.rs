//! Losses are final and never stopped, but paced: at most so many replacements start in one window. The
//! order of service puts those with the fewest proven copies first.

use crate::fleet::Pace;
use crate::observation::Round;
use crate::plan::{WaitFor, Wake};

/// Replacements started in this window, by earlier plans and by this one.
pub(super) struct Pacer {
    pub(super) pace: Pace,
}

impl Pacer {
    pub(super) const fn new(pace: Pace) -> Self {
        Self { pace }
    }

    /// Why another replacement of a lost copy does not start in this window.
    pub(super) fn holds(&self, round: &Round) -> Option<(WaitFor, Wake)> {
        let Pace { started, cap, next_window } = self.pace;
        if started < cap {
            return None;
        }
        let wake = if next_window > round.head { Wake::At(next_window) } else { Wake::OnRound };
        Some((WaitFor::Pace { started, cap }, wake))
    }

    pub(super) const fn start(&mut self) {
        self.pace.started = self.pace.started.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Epoch;

    #[test]
    fn a_full_window_is_waited_out_and_one_that_is_over_waits_for_the_next_round() {
        let round = Round {
            tipset: String::new(),
            height: Epoch(100),
            eth_block: Epoch(99),
            head: Epoch(1_000),
            agreed: 2,
            asked: 2,
        };
        let wake = |started, next_window| {
            let pacer = Pacer::new(Pace { started, cap: 5, next_window: Epoch(next_window) });
            pacer.holds(&round).map(|(_, wake)| wake)
        };
        assert_eq!(wake(4, 1_001), None);
        assert_eq!(wake(5, 1_001), Some(Wake::At(Epoch(1_001))));
        assert_eq!(wake(5, 1_000), Some(Wake::OnRound), "a wake at the head would be in the past");
        assert_eq!(wake(6, 999), Some(Wake::OnRound));
    }
}
