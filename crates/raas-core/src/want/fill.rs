//! Filling empty places with verified spare copies, before money is spent.
//!
//! A spare is a copy that fills no place: adopted, published late, or left by an aggregator. It fills one
//! when it is published or proven and its operator holds no place of this piece. Suspect and already renewed
//! spares fill nothing. A spare that could not be seen fills nothing either, but nothing is bought for the
//! place it may fill: unknown starts nothing. An order of somebody else for the aggregate that the piece is packed into is a
//! spare from its plan on: it buys this piece, too.

use super::view::View;
use crate::health::{Health, UnknownReason};
use crate::holding::{Slot, health};
use crate::ids::{OperatorId, OrderId};
use crate::order::Order;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What a spare does to an empty place.
#[derive(Clone, Copy)]
pub(super) enum Fill<'a> {
    /// It goes there.
    Put(&'a Order),
    /// It may belong there, once it is seen.
    Hold(OrderId, UnknownReason),
}

/// Which spare goes to which empty place of the target. Proven ones first, then the longest terms.
pub(super) fn fills<'a>(view: &View<'a>) -> BTreeMap<u32, Fill<'a>> {
    let mut used: Vec<OperatorId> = view
        .pieces
        .slots
        .iter()
        .flat_map(|slot| &slot.generations)
        .filter(|order| order.state.occupies() || order.state.is_active())
        .map(|order| order.operator)
        .collect();
    let mut candidates: Vec<(&Order, Fill<'_>)> = view
        .pieces
        .spares
        .iter()
        .filter(|order| !is_renewed(view, order))
        .filter_map(|order| Some((order, judged(order)?)))
        .collect();
    candidates.sort_by_key(|(order, fill)| {
        let end = order.state.on_chain().map(|on_chain| on_chain.term.end);
        (matches!(fill, Fill::Hold(..)), !order.state.is_active(), Reverse(end), order.id)
    });
    let policy = &view.holding.policy;
    let empty = view
        .places()
        .into_iter()
        .filter(|(index, slot)| *index < policy.replicas.target && slot.is_none_or(Slot::is_empty))
        .map(|(index, _)| index);
    let mut free = empty.take(policy.replicas.max.saturating_sub(view.pieces.occupied()) as usize);
    let mut fills = BTreeMap::new();
    for (spare, fill) in candidates {
        if used.contains(&spare.operator) {
            continue;
        }
        let Some(index) = free.next() else { break };
        used.push(spare.operator);
        fills.insert(index, fill);
    }
    fills
}

/// A spare that was bought as the successor of `keeper`, and came so late that another order had its place:
/// now that the place needs a successor, this is it.
pub(super) fn successor<'a>(
    view: &View<'a>,
    slot: &Slot,
    keeper: &Order,
    fills: &BTreeMap<u32, Fill<'_>>,
) -> Option<Fill<'a>> {
    let goes_elsewhere = |spare: &Order| {
        fills.values().any(|fill| match fill {
            Fill::Put(other) => other.id == spare.id,
            Fill::Hold(other, _) => *other == spare.id,
        })
    };
    let elsewhere = |spare: &Order| {
        let others = view.pieces.slots.iter().filter(|other| other.index != slot.index);
        let mut orders = others.flat_map(|other| &other.generations);
        orders.any(|order| {
            (order.state.occupies() || order.state.is_active()) && order.operator == spare.operator
        })
    };
    let fits = |spare: &&Order| {
        spare.cause.succeeds() == Some(keeper.id)
            && !is_renewed(view, spare)
            && !goes_elsewhere(spare)
            && !elsewhere(spare)
    };
    let mut found: Vec<Fill<'a>> = view.pieces.spares.iter().filter(fits).filter_map(judged).collect();
    found.sort_by_key(|fill| matches!(fill, Fill::Hold(..)));
    found.into_iter().next()
}

/// What a spare is good for as it stands.
fn judged(spare: &Order) -> Option<Fill<'_>> {
    match health(spare) {
        Some(Health::Proven | Health::Pending) => Some(Fill::Put(spare)),
        Some(Health::Unknown(reason)) => Some(Fill::Hold(spare.id, reason)),
        None if spare.state.occupies() => Some(Fill::Put(spare)),
        _ => None,
    }
}

/// A generation that has a renewal already would be renewed a second time in its new place.
fn is_renewed(view: &View<'_>, spare: &Order) -> bool {
    view.pieces.orders().any(|order| order.cause.renews() == Some(spare.id))
}
