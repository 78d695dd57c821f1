//! Who competes again when a few holdings were planned since all of them competed.
//!
//! What was held back takes nothing from those that come later, and stays held back as long as the fleet holds as much
//! (`Fleet::holds_as_much_as`). So only what is new has to compete, with those that it shares an order with.

use super::group::Shared;
use crate::ids::{HoldingId, OrderId};
use crate::plan::Want;
use std::collections::{BTreeMap, HashSet};

/// Of all wants those of the holdings that are `new`, each named once, and those that one purchase with them may serve.
#[must_use]
pub fn anew<'a>(all: &'a BTreeMap<HoldingId, Vec<Want>>, new: &[HoldingId]) -> Vec<&'a Want> {
    let mut wants: Vec<&Want> = new.iter().filter_map(|holding| all.get(holding)).flatten().collect();
    let shared: HashSet<OrderId> = wants.iter().filter_map(|want| Shared::order_of(want)).collect();
    if !shared.is_empty() {
        let new: HashSet<HoldingId> = new.iter().copied().collect();
        let beside = all.values().flatten().filter(|want| {
            Shared::order_of(want).is_some_and(|order| shared.contains(&order))
                && !new.contains(&want.holding)
        });
        wants.extend(beside);
    }
    wants
}
