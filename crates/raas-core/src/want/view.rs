//! What every rule looks at, computed once per piece, and where the rules put their answers.

use super::fill::Fill;
use crate::cid::Commitment;
use crate::fleet::Rules;
use crate::health::Health;
use crate::holding::{Holding, PieceSlots, Slot, health};
use crate::ids::{OperatorId, ProviderId};
use crate::observation::Round;
use crate::order::{Cause, Order, OrderState, SlotRef, Within};
use crate::plan::{CopyWanted, Priority, Reason, Wait, WaitFor, Wake, Want, Wanted};
use crate::units::Epoch;
use std::collections::BTreeMap;

/// Wants and waits as they come.
#[derive(Default)]
pub(super) struct Out {
    pub(super) wants: Vec<Want>,
    pub(super) waits: Vec<Wait>,
}

impl Out {
    /// A spare goes to place `index`, or the place waits until it is seen whether it can.
    pub(super) fn fill(&mut self, view: &View<'_>, index: u32, fill: Fill<'_>) {
        match fill {
            Fill::Put(spare) => {
                let what = Wanted::Fill { slot: view.slot_ref(index), spare: spare.id };
                self.wants.push(view.want(what, Reason::SpareFits { spare: spare.id }, view.round.height));
            }
            Fill::Hold(order, reason) => {
                let for_ = WaitFor::Unknown { order, reason };
                self.waits.push(view.wait(Some(index), for_, Wake::OnRound));
            }
        }
    }
}

/// One piece of one holding at one round.
pub(super) struct View<'a> {
    pub(super) holding: &'a Holding,
    pub(super) pieces: &'a PieceSlots,
    pub(super) round: &'a Round,
    pub(super) rules: &'a Rules,
    /// Copies that are proven, and nothing else.
    pub(super) proven: u32,
    /// Whether anything of the holding is unknown.
    any_unknown: bool,
    priority: Priority,
}

/// Where a copy is to go, besides what the policy says.
pub(super) struct Target<'a> {
    pub(super) index: u32,
    pub(super) cause: Cause,
    /// The order whose piece is bought again; `None` for a first copy.
    pub(super) of: Option<&'a Order>,
    pub(super) prefer: Option<ProviderId>,
    /// An operator to avoid, though it holds nothing any more.
    pub(super) avoid: Option<OperatorId>,
}

impl<'a> View<'a> {
    pub(super) fn new(
        holding: &'a Holding,
        pieces: &'a PieceSlots,
        round: &'a Round,
        rules: &'a Rules,
    ) -> Self {
        let proven = pieces.proven();
        let any_unknown = holding.pieces.iter().any(PieceSlots::any_unknown);
        let priority = priority(proven, once_held(pieces), holding.policy.replicas.min, any_unknown);
        Self { holding, pieces, round, rules, proven, any_unknown, priority }
    }

    /// Every place by number: those of the target, even when no row exists yet, and those beyond it.
    pub(super) fn places(&self) -> BTreeMap<u32, Option<&'a Slot>> {
        let numbered = (0..self.holding.policy.replicas.target).map(|index| (index, None));
        let mut places: BTreeMap<u32, Option<&'a Slot>> = numbered.collect();
        places.extend(self.pieces.slots.iter().map(|slot| (slot.index, Some(slot))));
        places
    }

    /// How many empty places may still be taken: occupied ones and those being filled count.
    pub(super) fn free_places(&self, fills: &BTreeMap<u32, Fill<'_>>) -> u32 {
        let filled = u32::try_from(fills.len()).unwrap_or(u32::MAX);
        self.holding.policy.replicas.max.saturating_sub(self.pieces.occupied().saturating_add(filled))
    }

    /// Whether the node can get at the bytes: on disk, read back before, or held by some replica.
    pub(super) fn has_source(&self) -> bool {
        let piece = &self.pieces.piece;
        piece.local || piece.retrievable || self.pieces.orders().any(|order| order.state.is_active())
    }

    /// At most one operator is left with a proven copy, and that is known for certain. An old copy and its
    /// proven successor elsewhere are two.
    pub(super) fn is_last_copy(&self) -> bool {
        let proven = self.pieces.orders().filter(|order| health(order) == Some(Health::Proven));
        let mut operators = proven.map(|order| order.operator);
        let first = operators.next();
        !self.any_unknown && operators.all(|operator| Some(operator) == first)
    }

    pub(super) fn slot_ref(&self, index: u32) -> SlotRef {
        SlotRef { holding: self.holding.id, index }
    }

    /// The wake for something judged at the finalized height `epoch`, which follows the head at a distance.
    pub(super) fn at_height(&self, epoch: Epoch) -> Wake {
        if epoch > self.round.height {
            Wake::At(self.round.head.after(epoch.since(self.round.height)))
        } else {
            Wake::OnRound
        }
    }

    /// The wake for a signed order's end: from its start epoch on, a silent one is over.
    pub(super) fn after_start(&self, order: &Order) -> Wake {
        let start = match &order.state {
            OrderState::Published(on_chain) => Some(on_chain.term.start),
            state => state.signed().map(|signed| signed.term.start),
        };
        start.map_or(Wake::OnRound, |start| self.at_height(Epoch(start.0 + 1)))
    }

    pub(super) fn wait(&self, index: Option<u32>, for_: WaitFor, wake: Wake) -> Wait {
        let slot = index.map(|index| self.slot_ref(index));
        Wait { holding: Some(self.holding.id), slot, part: self.part(), for_, wake }
    }

    /// A want of this piece. While anything is unknown, unknown copies count as if they were there, so that
    /// not seeing never moves a holding forward.
    pub(super) fn want(&self, what: Wanted, reason: Reason, due: Epoch) -> Want {
        let target = self.holding.policy.replicas.target;
        let proven = if self.any_unknown { self.proven.max(target) } else { self.proven };
        Want {
            holding: self.holding.id,
            cid: self.holding.cid.clone(),
            what,
            reason,
            priority: self.priority,
            due,
            proven,
            part: self.part(),
        }
    }

    /// Which piece this is, where the holding has several.
    fn part(&self) -> Option<Commitment> {
        (self.holding.pieces.len() > 1).then_some(self.pieces.piece.commitment)
    }

    /// The aggregate that a new copy is bought in, if the piece is packed. What was bought by itself before is renewed and
    /// repaired by itself: nobody else wants that.
    fn packed(&self, target: &Target<'_>) -> Option<Within> {
        let packed = self.pieces.piece.packed?;
        let slot = self.pieces.slots.iter().find(|slot| slot.index == target.index);
        let before = target.of.or_else(|| slot?.generations.last());
        let is_of_it = before.is_none_or(|before| before.within == Some(packed));
        (target.cause == Cause::Replicate || is_of_it).then_some(packed)
    }

    /// A new copy, with all limits of where it may go.
    pub(super) fn copy(&self, target: &Target<'_>) -> Wanted {
        let renewed = target.cause.renews();
        let mut in_use: Vec<OperatorId> = self
            .pieces
            .orders()
            .filter(|order| (order.state.occupies() || order.state.is_active()) && Some(order.id) != renewed)
            .map(|order| order.operator)
            .chain(target.avoid)
            .collect();
        in_use.sort_unstable();
        in_use.dedup();
        let mut watched: Vec<OperatorId> = self
            .pieces
            .orders()
            .filter(|order| order.state.is_watched())
            .map(|order| order.operator)
            .collect();
        watched.sort_unstable();
        watched.dedup();
        let policy = &self.holding.policy;
        let is_repair = matches!(target.cause, Cause::Repair { .. });
        let packed = self.packed(target);
        Wanted::Copy(Box::new(CopyWanted {
            slot: self.slot_ref(target.index),
            cause: target.cause,
            piece: target.of.map_or(self.pieces.piece.commitment, |of| of.piece),
            size: target.of.map_or(self.pieces.piece.size, |of| of.size),
            within: packed.or(self.pieces.piece.within),
            packed: packed.is_some(),
            since: self.holding.since,
            duration: policy.duration,
            start_delay: policy.start_delay,
            placement: policy.placement.clone(),
            operators_in_use: in_use,
            operators_watched: watched,
            prefer: target.prefer,
            replaces: target.of.filter(|_| is_repair).map(|of| of.provider),
        }))
    }
}

/// Rule 2's urgency. A holding that never held a copy is new, not in danger.
fn priority(proven: u32, once_held: u32, min: u32, any_unknown: bool) -> Priority {
    if any_unknown || once_held == 0 {
        Priority::Normal
    } else if proven <= 1 && once_held > proven {
        Priority::LastCopy
    } else if proven < min {
        Priority::BelowMin
    } else {
        Priority::Normal
    }
}

/// Places and spares that hold or once held an active copy.
fn once_held(pieces: &PieceSlots) -> u32 {
    let held = |order: &Order| order.state.is_active() || order.state.was_active();
    let slots = pieces.slots.iter().filter(|slot| slot.generations.iter().any(held)).count();
    let spares = pieces.spares.iter().filter(|order| health(order) == Some(Health::Proven)).count();
    u32::try_from(slots + spares).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urgency_by_proven_copies() {
        let table = [
            // proven, once held, min, unknown
            (0, 0, 2, false, Priority::Normal),
            (0, 1, 1, false, Priority::LastCopy),
            (1, 1, 1, false, Priority::Normal),
            (1, 1, 2, false, Priority::BelowMin),
            (1, 2, 1, false, Priority::LastCopy),
            (2, 3, 3, false, Priority::BelowMin),
            (2, 3, 2, false, Priority::Normal),
            (0, 3, 2, true, Priority::Normal),
            (1, 3, 2, true, Priority::Normal),
        ];
        for (proven, once_held, min, unknown, expected) in table {
            assert_eq!(
                priority(proven, once_held, min, unknown),
                expected,
                "proven {proven}, once {once_held}, min {min}, unknown {unknown}"
            );
        }
    }
}
