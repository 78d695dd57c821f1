//! What becomes of orders and transactions when history that was final is rewritten, and an admin has it read again.
//!
//! Nothing that was seen from the first rewritten height on counts any more. What was signed stays signed: a proposal whose
//! publication is gone can be published again, and a transaction whose tipset is gone can be mined again.

use super::sender;
use crate::health::{Fault, Health, HealthRecord, UnknownReason};
use crate::ids::SectorNumber;
use crate::observation::NotSeen;
use crate::order::{OnChain, OrderState, Signed};
use crate::units::Epoch;

/// How the chain as it is now answers for an order's copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copy {
    /// It is there: active in this sector, or published only.
    There {
        /// Its sector, once it is active.
        sector: Option<SectorNumber>,
    },
    /// It was there and is removed.
    Removed,
    /// It never was: its id is nobody's, or another deal's.
    Never,
}

/// History as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// The first height that is another one than it was.
    pub from: Epoch,
    /// Height of the finalized tipset now.
    pub height: Epoch,
}

/// The state of an order after the rewrite. `copy` is what the chain now says of its copy, `signed` the proposal that was
/// signed for it; copies that were found have none.
#[must_use]
pub fn order(state: &OrderState, history: Rewritten, copy: Copy, signed: Option<&Signed>) -> OrderState {
    let before = match state {
        // Until its start a proposal can be published, on this history too. Whoever took its place keeps it.
        OrderState::Expired => {
            return match signed {
                Some(signed) if signed.term.start >= history.from => {
                    OrderState::RejectedWatched(signed.clone())
                }
                _ => OrderState::Expired,
            };
        }
        OrderState::Published(on_chain)
        | OrderState::Active(on_chain)
        | OrderState::Ended(on_chain)
        | OrderState::Lost { on_chain, .. } => *on_chain,
        _ => return state.clone(),
    };
    match (copy, signed) {
        (Copy::Never, Some(signed)) if state.is_closed() => OrderState::RejectedWatched(signed.clone()),
        (Copy::Never, Some(signed)) => OrderState::Accepted(signed.clone()),
        (Copy::Never, None) => OrderState::Cancelled,
        // Two witnesses said so, and the chain does not take it back.
        (Copy::Removed, _) if state.is_closed() => state.clone(),
        (Copy::Removed, _) => with(state, OnChain { health: forget(before.health, history), ..before }),
        (Copy::There { .. }, _) if state.is_closed() && history.height >= before.term.end => state.clone(),
        (Copy::There { sector: None }, _) => {
            let health = HealthRecord::pending(before.health.at.min(history.height));
            OrderState::Published(OnChain { sector: None, health, ..before })
        }
        (Copy::There { sector }, _) => {
            OrderState::Active(OnChain { sector, health: forget(before.health, history), ..before })
        }
    }
}

fn with(state: &OrderState, on_chain: OnChain) -> OrderState {
    match state {
        OrderState::Active(_) => OrderState::Active(on_chain),
        _ => OrderState::Published(on_chain),
    }
}

/// A replica's memory without what was seen on the history that is gone. What is left says nothing until it is read anew.
fn forget(record: HealthRecord, Rewritten { from, height }: Rewritten) -> HealthRecord {
    if record.at < from && !matches!(record.health, Health::Lost(_) | Health::Ended) {
        return record;
    }
    let last = Epoch(from.0 - 1).min(height);
    let fault = record.fault.filter(|fault| fault.first_round < from && fault.since < from);
    HealthRecord {
        health: Health::Unknown(UnknownReason::NotSeen(NotSeen::NotAsked)),
        fault: fault.map(|fault| Fault { last_round: fault.last_round.min(last), ..fault }),
        proven_at: record.proven_at.filter(|proven| *proven < from),
        at: record.at.min(last),
    }
}

/// The state in which a transaction goes on whose tipset, at `from` or above, is gone: the same nonce and bytes, to be looked
/// for again. `None` for one that is as final as it was.
#[must_use]
pub fn transaction(state: &sender::State, from: Epoch) -> Option<sender::State> {
    match state {
        sender::State::Final { sent, receipt } | sender::State::Failed { sent, receipt }
            if receipt.block >= from =>
        {
            Some(sender::State::Broadcast(sent.clone()))
        }
        _ => None,
    }
}
