//! Rule 6: whether this round may start anything at all.
//!
//! An endpoint that cannot be right by the clock is left out before anybody agrees on anything; what remains must be
//! enough. Each way not to be enough has a name of its own, since each has another remedy.

use crate::units::Epoch;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A head older than this by the clock closes the gate.
pub const HEAD_AGE_MAX: i64 = 5;
/// A head further ahead of the clock than this closes the gate.
pub const HEAD_AHEAD_MAX: i64 = 2;
/// Finality never lags further by the rules of consensus (900 epochs); some null rounds are allowed for.
pub const FINALITY_LAG_MAX: i64 = 960;
/// A finality that lags further is slow, which is an alarm and no reason to stop.
pub const FINALITY_LAG_ALARM: i64 = 60;

/// Why the node only observes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "hold")]
pub enum Hold {
    /// No endpoint answered.
    NoEndpoint,
    /// Endpoints answer, but those that do serve another network.
    OtherNetwork,
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
    /// Several endpoints name one and the same old head: the chain itself stands still.
    ChainStalled {
        /// Where it stands.
        head: Epoch,
        /// The epoch it should be.
        expected: Epoch,
    },
    /// The head moves, but nothing becomes final any more.
    FinalityStalled {
        /// The finalized height.
        finalized: Epoch,
        /// The head.
        head: Epoch,
    },
    /// The state at this tipset is being upgraded, so that endpoints refuse calls on it. The next one will do.
    Upgrade {
        /// Its height.
        epoch: Epoch,
    },
    /// Too few endpoints agree on one finalized tipset.
    Disagreement {
        /// How many agree.
        agreed: u32,
        /// How many are wanted.
        wanted: u32,
    },
    /// Those that answer have not come to what was seen finalized before.
    Behind {
        /// What they call finalized.
        finalized: Epoch,
        /// What was.
        seen: Epoch,
    },
    /// The chain that is final now does not hold the tipset that was seen final before.
    Rewritten {
        /// Height of the tipset that is gone.
        height: Epoch,
    },
    /// An endpoint denies what was seen finalized: forgotten deals.
    Contradiction,
    /// The store is an older copy: what was signed after it was made is unknown, and can be published until its start.
    /// The node only looks until then.
    Restored {
        /// Nothing signed before can be published any more once this is finalized.
        until: Epoch,
    },
    /// The last pass ended in an error of the node's own; the next one tries again.
    PassFailed {
        /// Whether the disk had no room for what was to be stored.
        disk_full: bool,
    },
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEndpoint => f.write_str("no chain endpoint answers"),
            Self::OtherNetwork => f.write_str("the endpoints that answer serve another network"),
            Self::HeadOld { head, expected } => {
                write!(f, "the newest head {head} is older than the clock's epoch {expected}")
            }
            Self::HeadAhead { head, expected } => {
                write!(f, "the head {head} is ahead of the clock's epoch {expected}")
            }
            Self::ChainStalled { head, expected } => {
                write!(
                    f,
                    "the chain stands still at {head}, the clock is at {expected}; several endpoints say so"
                )
            }
            Self::FinalityStalled { finalized, head } => {
                write!(
                    f,
                    "nothing becomes final: the head is {head}, the newest finalized tipset {finalized}"
                )
            }
            Self::Upgrade { epoch } => {
                write!(f, "the network upgrades at {epoch}, where calls are refused; the next tipset will do")
            }
            Self::Disagreement { agreed, wanted } => {
                write!(f, "{agreed} endpoints agree on a finalized tipset, {wanted} must")
            }
            Self::Behind { finalized, seen } => {
                write!(
                    f,
                    "the endpoints' finalized tipset {finalized} is behind {seen}, which was seen final"
                )
            }
            Self::Rewritten { height } => {
                write!(
                    f,
                    "the tipset at {height} was final and is not on the chain any more: all stands until an admin looks"
                )
            }
            Self::Contradiction => f.write_str("an endpoint denies what was seen finalized before"),
            Self::Restored { until } => {
                write!(
                    f,
                    "the store was put back from a backup; it only looks until epoch {until} is final, since what \
                     was signed meanwhile can be published until then"
                )
            }
            Self::PassFailed { disk_full: true } => f.write_str(
                "the disk of the data directory is full; the node goes on by itself once there is room",
            ),
            Self::PassFailed { disk_full: false } => {
                f.write_str("the last pass over the tasks failed, as the node's log says; it is tried again")
            }
        }
    }
}

/// Why a head at `head` cannot be that of a healthy node when the clock says `expected`. `None` means it can.
#[must_use]
pub fn implausible(head: Epoch, expected: Epoch) -> Option<Hold> {
    if expected.0.saturating_sub(head.0) > HEAD_AGE_MAX {
        return Some(Hold::HeadOld { head, expected });
    }
    if head.0.saturating_sub(expected.0) > HEAD_AHEAD_MAX {
        return Some(Hold::HeadAhead { head, expected });
    }
    None
}

/// The hold when no head is plausible. `heads` are heights and keys, one for each endpoint that answered.
#[must_use]
pub fn none_plausible(heads: &[(Epoch, &str)], expected: Epoch) -> Hold {
    let Some((head, key)) = heads.iter().max_by_key(|(head, _)| *head).copied() else {
        return Hold::NoEndpoint;
    };
    let same = heads.iter().filter(|(_, other)| *other == key).count();
    match implausible(head, expected) {
        // One alone cannot tell its own failure from the chain's.
        Some(Hold::HeadOld { .. }) if same >= 2 && same == heads.len() => {
            Hold::ChainStalled { head, expected }
        }
        Some(hold) => hold,
        // One is plausible after all, which the caller has seen otherwise.
        None => Hold::HeadOld { head, expected },
    }
}

/// Judges head, finality and agreement against the clock. `None` means open.
#[must_use]
pub fn judge(head: Epoch, finalized: Epoch, expected: Epoch, agreed: u32, wanted: u32) -> Option<Hold> {
    if let Some(hold) = implausible(head, expected) {
        return Some(hold);
    }
    if agreed < wanted {
        return Some(Hold::Disagreement { agreed, wanted });
    }
    (head.0.saturating_sub(finalized.0) > FINALITY_LAG_MAX)
        .then_some(Hold::FinalityStalled { finalized, head })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_of_the_gate() {
        let at = |head| judge(Epoch(head), Epoch(head - 10), Epoch(2_000), 2, 2);
        assert_eq!(at(1_995), None);
        assert!(matches!(at(1_994), Some(Hold::HeadOld { .. })));
        assert_eq!(at(2_002), None);
        assert!(matches!(at(2_003), Some(Hold::HeadAhead { .. })));
        let few = judge(Epoch(2_000), Epoch(1_990), Epoch(2_000), 1, 2);
        assert_eq!(few, Some(Hold::Disagreement { agreed: 1, wanted: 2 }));
    }

    #[test]
    fn finality_may_lag_as_far_as_consensus_lets_it() {
        let lag = |lag| judge(Epoch(2_000), Epoch(2_000 - lag), Epoch(2_000), 1, 1);
        assert_eq!(lag(900), None);
        assert_eq!(lag(FINALITY_LAG_MAX), None);
        assert!(matches!(lag(FINALITY_LAG_MAX + 1), Some(Hold::FinalityStalled { .. })));
    }

    #[test]
    fn a_chain_that_stands_still_is_told_from_an_endpoint_that_does() {
        let (old, older, expected) = (Epoch(60), Epoch(50), Epoch(100));
        assert_eq!(none_plausible(&[], expected), Hold::NoEndpoint);
        let one = none_plausible(&[(old, "a")], expected);
        assert_eq!(one, Hold::HeadOld { head: old, expected });
        let all = none_plausible(&[(old, "a"), (old, "a")], expected);
        assert_eq!(all, Hold::ChainStalled { head: old, expected });
        let apart = none_plausible(&[(old, "a"), (older, "b")], expected);
        assert_eq!(apart, Hold::HeadOld { head: old, expected });
        let forks = none_plausible(&[(old, "a"), (old, "b")], expected);
        assert_eq!(forks, Hold::HeadOld { head: old, expected });
        let ahead = none_plausible(&[(Epoch(200), "a"), (Epoch(200), "a")], expected);
        assert!(matches!(ahead, Hold::HeadAhead { .. }));
    }
}
