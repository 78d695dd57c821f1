//! Counts slots by provider for the storm breaker.

use crate::store::StoredOrder;
use raas_core::fleet::Census;
use raas_core::health::Health;
use raas_core::order::OrderState;
use raas_core::units::EPOCHS_PER_DAY;

/// Slots with an active replica by provider, and those whose fault began within the last proving period.
#[must_use]
pub fn count(orders: &[(&StoredOrder, &OrderState)]) -> Census {
    let mut census = Census::default();
    for (stored, state) in orders {
        let OrderState::Active(on_chain) = state else { continue };
        let places = u32::try_from(stored.slots.len()).unwrap_or(u32::MAX);
        let entry = census
            .providers
            .entry(stored.order.provider)
            .or_insert_with(|| (stored.order.operator, Default::default()));
        entry.1.slots += places;
        let suspect = on_chain.health.health == Health::Suspect;
        if suspect {
            entry.1.suspect += places;
        }
        let newly = suspect
            && on_chain
                .health
                .fault
                .is_some_and(|fault| on_chain.health.at.0 - fault.first_round.0 < EPOCHS_PER_DAY);
        if newly {
            entry.1.newly_suspect += places;
        }
    }
    census
}
