//! Filling empty places with verified spare copies, before money is spent.
//!
//! A spare is a copy that fills no place: adopted, published late, or left by an aggregator. It fills one
//! when it is published or proven and its operator holds no place of this piece. Not seen, suspect and
//! already renewed spares fill nothing.

use super::view::View;
use crate::health::Health;
use crate::holding::{Slot, health};
use crate::ids::{OperatorId, OrderId};
use crate::order::{Cause, Order};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Which spare goes to which empty place of the target. Proven ones first, then the longest terms.
pub(super) fn fills(view: &View<'_>) -> BTreeMap<u32, OrderId> {
    let mut used: Vec<OperatorId> = view
        .pieces
        .slots
        .iter()
        .flat_map(|slot| &slot.generations)
        .filter(|order| order.state.occupies() || order.state.is_active())
        .map(|order| order.operator)
        .collect();
    let mut candidates: Vec<&Order> = view
        .pieces
        .spares
        .iter()
        .filter(|order| {
            matches!(health(order), Some(Health::Proven | Health::Pending)) && !is_renewed(view, order)
        })
        .collect();
    candidates.sort_by_key(|order| {
        let end = order.state.on_chain().map(|on_chain| on_chain.term.end);
        (!order.state.is_active(), Reverse(end), order.id)
    });
    let target = view.holding.policy.replicas.target;
    let mut empty = view
        .places()
        .into_iter()
        .filter(|(index, slot)| *index < target && slot.is_none_or(Slot::is_empty))
        .map(|(index, _)| index)
        .take(view.holding.policy.replicas.max.saturating_sub(view.pieces.occupied()) as usize);
    let mut fills = BTreeMap::new();
    for spare in candidates {
        if used.contains(&spare.operator) {
            continue;
        }
        let Some(index) = empty.next() else { break };
        used.push(spare.operator);
        fills.insert(index, spare.id);
    }
    fills
}

/// A generation that has a renewal already would be renewed a second time in its new place.
fn is_renewed(view: &View<'_>, spare: &Order) -> bool {
    view.pieces.orders().any(|order| order.cause == Cause::Renew { of: spare.id })
}
