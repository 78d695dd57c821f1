//! Rule 6: whether this round may start anything at all.

use crate::units::Epoch;
use serde::{Deserialize, Serialize};

/// A head older than this by the clock closes the gate.
pub const HEAD_AGE_MAX: i64 = 5;
/// A head further ahead of the clock than this closes the gate.
pub const HEAD_AHEAD_MAX: i64 = 2;

/// Why the node only observes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "hold")]
pub enum Hold {
    /// No endpoint answered.
    NoEndpoint,
    /// The head lags behind the clock.
    HeadOld {
        /// The newest head any endpoint has.
        head: Epoch,
        /// The epoch it should be.
        expected: Epoch,
    },
    /// The head is ahead of the clock.
    HeadAhead {
        /// The head.
        head: Epoch,
        /// The epoch it should be.
        expected: Epoch,
    },
    /// Too few endpoints agree on one finalized tipset.
    Disagreement {
        /// How many agree.
        agreed: u32,
        /// How many are wanted.
        wanted: u32,
    },
    /// An endpoint denies what was seen finalized: forgotten deals, a head that went back.
    Contradiction,
    /// The store is an older copy: what was signed after it was made is unknown, and can be published until its start.
    /// The node only looks until then.
    Restored {
        /// Nothing signed before can be published any more once this is finalized.
        until: Epoch,
    },
}

/// Judges head and agreement against the clock. `None` means open.
#[must_use]
pub fn judge(head: Epoch, expected: Epoch, agreed: u32, wanted: u32) -> Option<Hold> {
    if expected.0.saturating_sub(head.0) > HEAD_AGE_MAX {
        return Some(Hold::HeadOld { head, expected });
    }
    if head.0.saturating_sub(expected.0) > HEAD_AHEAD_MAX {
        return Some(Hold::HeadAhead { head, expected });
    }
    if agreed < wanted {
        return Some(Hold::Disagreement { agreed, wanted });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_of_the_gate() {
        let at = |head| judge(Epoch(head), Epoch(100), 2, 2);
        assert_eq!(at(95), None);
        assert!(matches!(at(94), Some(Hold::HeadOld { .. })));
        assert_eq!(at(102), None);
        assert!(matches!(at(103), Some(Hold::HeadAhead { .. })));
        assert!(matches!(
            judge(Epoch(100), Epoch(100), 1, 2),
            Some(Hold::Disagreement { agreed: 1, wanted: 2 })
        ));
    }
}
