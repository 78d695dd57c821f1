//! Where reading the contract's events has got to.
//!
//! Request ids are dense from 1, so the contract's own count at the end of a window says whether a log answer
//! left a request out; a second endpoint, or the contract's state and the receipts, say whether it left out anything
//! else. Without either the cursor stays. Only finalized blocks are read: nothing that was applied is ever taken
//! back. Null rounds need no care, since the window is a range of heights and the count is state.

use crate::ids::RequestId;
use crate::units::Epoch;
use serde::{Deserialize, Serialize};

/// Where the cursor stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The first block not read yet.
    pub next_block: Epoch,
    /// Every request up to this id was applied; 0 before the first.
    pub highest_request: u64,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<T> {
    /// A window of finalized blocks was read from one endpoint.
    WindowRead {
        /// First block.
        from: Epoch,
        /// Last block.
        to: Epoch,
        /// The contract's request count at `to`; `None` for a contract that does not count.
        request_count_at_to: Option<u64>,
        /// Whether something besides the answer itself vouches for the logs.
        witnessed: bool,
        /// The requests of the window's logs, in any order, with repetitions.
        events: Vec<(RequestId, T)>,
    },
}

/// What the executor does. `Apply` is done in the transaction that stores the new state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<T> {
    /// A request nobody has seen before. In ascending order of ids.
    Apply(RequestId, T),
    /// The answer is not the truth: read this smaller window, from another endpoint if there is one.
    Reread {
        /// First block.
        from: Epoch,
        /// Last block.
        to: Epoch,
        /// What was wrong.
        why: Doubt,
    },
}

/// What was wrong with a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// Nothing but one endpoint's word.
    #[error("one endpoint's logs, and neither a second endpoint nor state or receipts to check them by")]
    Unwitnessed,
    /// Requests are left out between those that are there.
    #[error("request {missing} is not in the logs, although {seen} is")]
    Hole {
        /// The first one not there.
        missing: u64,
        /// A later one that is.
        seen: u64,
    },
    /// The logs do not have every request up to the count.
    #[error("the contract counts {count} requests, request {missing} is not in the logs")]
    Missing {
        /// By the contract.
        count: u64,
        /// The first one not there.
        missing: u64,
    },
    /// The logs have requests that the contract does not count, or the count went back.
    #[error("the contract counts {count} requests, but request {seen} was seen")]
    TooMany {
        /// By the contract.
        count: u64,
        /// The highest one seen.
        seen: u64,
    },
}

/// Why an event cannot be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// Blocks between the cursor and the window would never be read.
    #[error("the window starts at {from}, but the cursor is at {next_block}: blocks would be left out")]
    Gap {
        /// The window's first block.
        from: Epoch,
        /// The cursor.
        next_block: Epoch,
    },
    /// A window that ends before it starts.
    #[error("the window {from}..={to} is empty")]
    Empty {
        /// First block.
        from: Epoch,
        /// Last block.
        to: Epoch,
    },
}

/// A state, and what to do in the transaction that stores it.
type Next<T> = Result<(State, Vec<Effect<T>>), Illegal>;

/// The state after `event`, and what to do with it.
pub fn next<T: Clone>(state: &State, event: &Event<T>) -> Next<T> {
    let Event::WindowRead { from, to, request_count_at_to: count, witnessed, events } = event;
    let (from, to, count) = (*from, *to, *count);
    if from > to {
        return Err(Illegal::Empty { from, to });
    }
    if from > state.next_block {
        return Err(Illegal::Gap { from, next_block: state.next_block });
    }
    if to < state.next_block {
        return Ok((*state, Vec::new()));
    }
    let mut fresh: Vec<(RequestId, &T)> = events
        .iter()
        .filter(|(request, _)| request.0 > state.highest_request)
        .map(|(request, event)| (*request, event))
        .collect();
    // A stable sort keeps the first of equal ids first; the repetitions go.
    fresh.sort_by_key(|(request, _)| *request);
    fresh.dedup_by_key(|(request, _)| *request);
    let doubt = doubt(state.highest_request, count, &fresh);
    if let Some(why) = doubt.or_else(|| (!witnessed).then_some(Doubt::Unwitnessed)) {
        let to = Epoch(state.next_block.0.midpoint(to.0));
        return Ok((*state, vec![Effect::Reread { from: state.next_block, to, why }]));
    }
    let highest = fresh.last().map_or(state.highest_request, |(request, _)| request.0);
    let after = State { next_block: Epoch(to.0.saturating_add(1)), highest_request: highest };
    Ok((after, fresh.into_iter().map(|(request, event)| Effect::Apply(request, event.clone())).collect()))
}

/// Whether `fresh`, ascending and without repetitions, is not exactly the requests above `highest` up to
/// `count`, or, without a count, is not dense.
fn doubt<T>(highest: u64, count: Option<u64>, fresh: &[(RequestId, &T)]) -> Option<Doubt> {
    let seen = fresh.last().map_or(highest, |(request, _)| request.0);
    if let Some(count) = count
        && seen > count
    {
        return Some(Doubt::TooMany { count, seen });
    }
    let mut expected = highest;
    for (request, _) in fresh {
        expected += 1;
        if request.0 != expected {
            return Some(match count {
                Some(count) => Doubt::Missing { count, missing: expected },
                None => Doubt::Hole { missing: expected, seen: request.0 },
            });
        }
    }
    let count = count?;
    (expected < count).then_some(Doubt::Missing { count, missing: expected + 1 })
}
