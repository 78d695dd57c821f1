//! The life of an order, from intent to the end of its replica.
//!
//! Money is a signature: from `Signed` on, only the chain closes an order: by publication, or by a finalized
//! height past the start epoch without one. What a provider says moves it, but never closes it.

use crate::health::{Health, HealthRecord, Term};
use crate::ids::DealId;
use crate::observation::{DealSeen, Round, SectorSeen, TermSeen};
use crate::order::{OnChain, OrderState, ReplicaRef, Signed};
use crate::units::Epoch;

/// What can happen to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The proposal was signed; its bytes are stored with this state.
    Signed(Signed),
    /// It was handed over and the answer is not known.
    DeliverySent,
    /// The provider said yes.
    AcceptedByProvider,
    /// The provider said no, at once or later.
    RejectedByProvider,
    /// A finalized tipset has the deal, and its stored proposal is ours field by field.
    SeenPublished {
        /// Its id.
        deal: DealId,
        /// Its term on chain.
        term: Term,
        /// The tipset.
        height: Epoch,
    },
    /// What a round saw of the published deal.
    Observed {
        /// At the market.
        deal: DealSeen,
        /// At the miner.
        sector: SectorSeen,
        /// Of this round.
        round: Round,
    },
    /// What a round saw of a copy that is in its sector without a deal.
    Listed {
        /// In the miner's table of sectors.
        term: TermSeen,
        /// In its partitions.
        sector: SectorSeen,
        /// Of this round.
        height: Epoch,
    },
    /// What a round saw of the sector of an active replica, whose deal it did not ask for.
    SectorObserved {
        /// At the miner.
        sector: SectorSeen,
        /// Of this round.
        height: Epoch,
    },
    /// All publications up to this finalized height are known.
    FinalizedAt(Epoch),
    /// Another order takes its place, since nothing came of this one.
    Hedged,
    /// The plan gives it up.
    Cancel,
    /// A deal that this node did not make was found and verified on chain.
    Adopted {
        /// Its id.
        deal: DealId,
        /// Its term.
        term: Term,
        /// The finalized tipset that showed it.
        height: Epoch,
    },
}

/// What the executor does after the new state is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Hand the stored bytes to the provider: the same bytes each time.
    Deliver,
    /// Ask the provider what became of it.
    AskStatus,
    /// The node's own reservation can go: the market holds the money, or nobody can take it any more.
    Release,
    /// A deal that nobody waited for: put it where it fits, as its slot's copy or as a spare.
    Place {
        /// The deal.
        deal: DealId,
    },
    /// Proven for the first time, at this finalized height: attest it, and learn the lead time.
    FirstProven {
        /// What it is on chain.
        replica: ReplicaRef,
        /// The round.
        at: Epoch,
    },
    /// The place may be empty now: plan again.
    Replan,
}

/// Why an event cannot happen in a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// The state does not know this event.
    #[error("an order that is {state} cannot be {event}")]
    NotNow {
        /// The state's name.
        state: &'static str,
        /// The event's name.
        event: &'static str,
    },
    /// Other bytes were signed for the same order while the first can still be published.
    #[error("the order is signed as {first}; signing {second} too could buy twice")]
    SignedTwice {
        /// The proposal that stands.
        first: String,
        /// The one refused.
        second: String,
    },
    /// The deal on chain does not have the signed term.
    #[error("deal {deal} has another term than the signed proposal")]
    OtherTerm {
        /// The deal.
        deal: DealId,
    },
    /// The order has a deal already.
    #[error("the order is {first}; deal {second} is another order's")]
    SecondDeal {
        /// The one that stands.
        first: ReplicaRef,
        /// The one refused.
        second: DealId,
    },
}

/// The name of `event` for logs and errors.
const fn name(event: &Event) -> &'static str {
    match event {
        Event::Signed(_) => "signed",
        Event::DeliverySent => "delivered",
        Event::AcceptedByProvider => "accepted",
        Event::RejectedByProvider => "rejected",
        Event::SeenPublished { .. } => "seen published",
        Event::Observed { .. } => "observed",
        Event::Listed { .. } => "listed by its miner",
        Event::SectorObserved { .. } => "seen in its sector",
        Event::FinalizedAt(_) => "finalized",
        Event::Hedged => "hedged",
        Event::Cancel => "cancelled",
        Event::Adopted { .. } => "adopted",
    }
}

/// A state and what to do once it is stored.
type Next = Result<(OrderState, Vec<Effect>), Illegal>;

/// The state after `event`, and what to do then.
pub fn next(state: &OrderState, event: &Event) -> Next {
    match event {
        Event::Signed(signed) => sign(state, signed, event),
        Event::DeliverySent | Event::AcceptedByProvider | Event::RejectedByProvider => answer(state, event),
        Event::SeenPublished { deal, term, height } => publish(state, *deal, *term, *height, event),
        Event::Adopted { deal, term, height } => match state {
            OrderState::Planned => {
                Ok((published(*deal, *term, *height), vec![Effect::Release, Effect::Place { deal: *deal }]))
            }
            _ => publish(state, *deal, *term, *height, event),
        },
        Event::Observed { deal, sector, round } => observe(state, deal, *sector, round, event),
        Event::Listed { term, sector, height } => list(state, *term, *sector, *height, event),
        Event::SectorObserved { sector, height } => match state {
            OrderState::Active(before) => {
                let health = before.health.with_sector(before.term, *sector, *height);
                Ok((OrderState::Active(OnChain { health, ..*before }), Vec::new()))
            }
            OrderState::Lost { .. } | OrderState::Ended(_) => unchanged(state),
            _ => not_now(state, event),
        },
        Event::FinalizedAt(height) => Ok(finalize(state, *height)),
        Event::Hedged => match state {
            OrderState::Accepted(signed) => Ok((OrderState::Hedged(signed.clone()), vec![Effect::Replan])),
            OrderState::Hedged(_) => unchanged(state),
            _ => not_now(state, event),
        },
        Event::Cancel => match state {
            OrderState::Planned => Ok((OrderState::Cancelled, vec![Effect::Release, Effect::Replan])),
            OrderState::Cancelled => unchanged(state),
            _ => not_now(state, event),
        },
    }
}

fn unchanged(state: &OrderState) -> Next {
    Ok((state.clone(), Vec::new()))
}

fn not_now(state: &OrderState, event: &Event) -> Next {
    Err(Illegal::NotNow { state: state.name(), event: name(event) })
}

fn sign(state: &OrderState, signed: &Signed, event: &Event) -> Next {
    if matches!(state, OrderState::Planned) {
        return Ok((OrderState::Signed(signed.clone()), vec![Effect::Deliver]));
    }
    match state.signed() {
        Some(first) if first == signed => {
            let effects = if matches!(state, OrderState::Signed(_)) { vec![Effect::Deliver] } else { vec![] };
            Ok((state.clone(), effects))
        }
        Some(first) => Err(Illegal::SignedTwice {
            first: first.proposal_cid.clone(),
            second: signed.proposal_cid.clone(),
        }),
        None => not_now(state, event),
    }
}

/// What a provider answers, or does not. The chain has the last word, so an answer that comes after it
/// changes nothing.
fn answer(state: &OrderState, event: &Event) -> Next {
    use OrderState::{Accepted, Active, Delivered, Ended, Expired, Hedged, Lost, Published, RejectedWatched};
    match (state, event) {
        (OrderState::Signed(signed), Event::DeliverySent) => {
            Ok((Delivered(signed.clone()), vec![Effect::AskStatus]))
        }
        (Delivered(_), Event::DeliverySent) => Ok((state.clone(), vec![Effect::AskStatus])),
        (OrderState::Signed(signed) | Delivered(signed), Event::AcceptedByProvider) => {
            Ok((Accepted(signed.clone()), Vec::new()))
        }
        (
            OrderState::Signed(signed) | Delivered(signed) | Accepted(signed) | Hedged(signed),
            Event::RejectedByProvider,
        ) => Ok((RejectedWatched(signed.clone()), vec![Effect::Replan])),
        // Late or repeated answers. A provider that takes its rejection back is watched all the same: the
        // slot may have moved on.
        (
            Accepted(_)
            | RejectedWatched(_)
            | Hedged(_)
            | Published(_)
            | Active(_)
            | Expired
            | Lost { .. }
            | Ended(_),
            _,
        ) => unchanged(state),
        _ => not_now(state, event),
    }
}

fn published(deal: DealId, term: Term, height: Epoch) -> OrderState {
    let replica = ReplicaRef::Deal(deal);
    OrderState::Published(OnChain { replica, term, sector: None, health: HealthRecord::pending(height) })
}

fn publish(state: &OrderState, deal: DealId, term: Term, height: Epoch, event: &Event) -> Next {
    if let Some(on_chain) = state.on_chain() {
        return if on_chain.replica == ReplicaRef::Deal(deal) {
            unchanged(state)
        } else {
            Err(Illegal::SecondDeal { first: on_chain.replica, second: deal })
        };
    }
    match state {
        // What the chain shows is there, even if it was taken for expired because no endpoint told of it.
        OrderState::Expired => {
            Ok((published(deal, term, height), vec![Effect::Release, Effect::Place { deal }]))
        }
        _ => {
            let Some(signed) = state.signed() else { return not_now(state, event) };
            if signed.term != term {
                return Err(Illegal::OtherTerm { deal });
            }
            let mut effects = vec![Effect::Release];
            if state.is_watched() {
                effects.push(Effect::Place { deal });
            }
            Ok((published(deal, term, height), effects))
        }
    }
}

fn observe(state: &OrderState, deal: &DealSeen, sector: SectorSeen, round: &Round, event: &Event) -> Next {
    let before = match state {
        OrderState::Published(on_chain) | OrderState::Active(on_chain) => *on_chain,
        OrderState::Lost { .. } | OrderState::Ended(_) => return unchanged(state),
        _ => return not_now(state, event),
    };
    let health = before.health.next(before.term, deal, sector, round);
    let sector = match deal {
        DealSeen::Present(deal) if deal.activated.is_some() => Some(deal.sector),
        _ => before.sector,
    };
    Ok(turned(state, OnChain { sector, health, ..before }, round.height))
}

/// A copy without a deal is one only while its sector is there; the sector can be extended.
fn list(state: &OrderState, listed: TermSeen, sector: SectorSeen, height: Epoch, event: &Event) -> Next {
    let before = match state {
        OrderState::Published(on_chain) | OrderState::Active(on_chain) => *on_chain,
        OrderState::Lost { .. } | OrderState::Ended(_) => return unchanged(state),
        _ => return not_now(state, event),
    };
    let ReplicaRef::Sector { .. } = before.replica else { return not_now(state, event) };
    let term = match listed {
        TermSeen::Listed(term) => term,
        TermSeen::Gone | TermSeen::NotSeen(_) => before.term,
    };
    let health = before.health.in_sector(term, &listed, sector, height);
    Ok(turned(state, OnChain { term, health, ..before }, height))
}

/// The state that goes with what a round made of a copy.
fn turned(state: &OrderState, after: OnChain, height: Epoch) -> (OrderState, Vec<Effect>) {
    let before = state.on_chain().map(|before| before.health);
    match after.health.health {
        Health::Proven | Health::Suspect => {
            let is_first =
                before.is_none_or(|before| before.proven_at.is_none()) && after.health.proven_at.is_some();
            let first = Effect::FirstProven { replica: after.replica, at: height };
            (OrderState::Active(after), if is_first { vec![first] } else { Vec::new() })
        }
        Health::Lost(reason) => (OrderState::Lost { on_chain: after, reason }, vec![Effect::Replan]),
        Health::Ended => (OrderState::Ended(after), vec![Effect::Replan]),
        Health::Pending | Health::Unknown(_) => match state {
            OrderState::Active(_) => (OrderState::Active(after), Vec::new()),
            _ => (OrderState::Published(after), Vec::new()),
        },
    }
}

/// A signature that nobody used by its start epoch is worth nothing any more.
fn finalize(state: &OrderState, height: Epoch) -> (OrderState, Vec<Effect>) {
    match state.signed() {
        Some(signed) if signed.is_over(height) => {
            (OrderState::Expired, vec![Effect::Release, Effect::Replan])
        }
        _ => (state.clone(), Vec::new()),
    }
}
