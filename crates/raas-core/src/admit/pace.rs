//! Losses are final and never stopped, but paced: at most so many replacements start in one window. The
//! order of service puts those with the fewest proven copies first.

use crate::fleet::Pace;
use crate::observation::Round;
use crate::plan::{WaitFor, Wake};

/// Replacements started in this window, by earlier plans and by this one.
pub(super) struct Pacer {
    pace: Pace,
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
