//! Rule 9: nothing old is given up before its successor is proven.
//!
//! No rule ends a replica: a deal lives until its term is over, and a place goes from one generation to the next only
//! when the next one is active. What the node can give up is its own copy, and `evict` keeps to the same rule.

use super::renew;
use super::view::View;
use crate::health::Health;
use crate::holding::{Slot, health};
use crate::order::Order;

/// The generation that keeps the place: the newest active one. Only when that is suspect and an older one is
/// not, as far as anybody can see, and not yet due for renewal, does the older one keep it.
pub(super) fn keeper(view: &View<'_>, slot: &Slot) -> Option<usize> {
    let newest = slot.generations.iter().rposition(|order| order.state.is_active())?;
    let is_suspect = |order: &Order| health(order) == Some(Health::Suspect);
    if !slot.generations.get(newest).is_some_and(is_suspect) {
        return Some(newest);
    }
    let stands =
        |order: &Order| order.state.is_active() && !is_suspect(order) && !renew::is_open(view, order);
    Some(slot.generations.iter().rposition(stands).unwrap_or(newest))
}
