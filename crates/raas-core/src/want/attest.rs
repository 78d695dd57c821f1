//! Each contract request of the holding gets every active and proven deal of its places, once.

use super::view::{Out, View};
use crate::health::Health;
use crate::holding::{Slot, health};
use crate::ids::DealId;
use crate::plan::{Reason, Wanted};

/// Wants every deal shown that is proven and not shown yet.
pub(super) fn attest(view: &View<'_>, out: &mut Out) {
    for attestation in &view.holding.attestations {
        let mut seen: Vec<DealId> = Vec::new();
        for order in view.pieces.slots.iter().flat_map(Slot::active) {
            let Some(on_chain) = order.state.on_chain() else { continue };
            let is_new = !attestation.done.contains(&on_chain.deal) && !seen.contains(&on_chain.deal);
            if health(order) == Some(Health::Proven) && is_new {
                seen.push(on_chain.deal);
                let what =
                    Wanted::Attest { request: attestation.request, order: order.id, deal: on_chain.deal };
                let reason = Reason::NotAttested { request: attestation.request };
                out.wants.push(view.want(what, reason, view.round.height));
            }
        }
    }
}
