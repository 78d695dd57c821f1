//! Each contract request of the holding gets every active and proven deal of its places, once.

use super::fill::Fill;
use super::view::{Out, View};
use crate::health::Health;
use crate::holding::{Completes, Holding, Slot, health};
use crate::ids::DealId;
use crate::plan::{Reason, Wait, WaitFor, Wake, Wanted};
use std::collections::BTreeMap;

/// Wants every deal shown that is proven and not shown yet, those of spares that go to a place now among them.
pub(super) fn attest(view: &View<'_>, fills: &BTreeMap<u32, Fill<'_>>, out: &mut Out) {
    for attestation in &view.holding.attestations {
        let mut seen: Vec<DealId> = Vec::new();
        let mut said = false;
        let filling = fills.values().filter_map(|fill| match fill {
            Fill::Put(spare) => Some(*spare),
            Fill::Hold(..) => None,
        });
        // Its miner told the contract for this very purpose, so that it is shown even where it came too late for a place.
        let told = view.pieces.spares.iter().filter(|spare| attestation.is_told(spare));
        let active = view.pieces.slots.iter().flat_map(Slot::active);
        for order in active.chain(filling.chain(told).filter(|spare| spare.state.is_active())) {
            let Some(deal) = attestation.deal_of(order) else { continue };
            let is_new = !attestation.done.contains(&deal) && !seen.contains(&deal);
            if health(order) == Some(Health::Proven) && is_new {
                seen.push(deal);
                let at = attestation.at;
                let cannot = match (attestation.completes, order.within) {
                    (Some(Completes::Direct), _) | (Some(Completes::InAggregate), Some(_)) => {
                        let what = Wanted::Attest { at, order: order.id, deal };
                        out.wants.push(view.want(what, Reason::NotAttested { at }, view.round.height));
                        continue;
                    }
                    (Some(Completes::InAggregate), None) => WaitFor::CompletesInAggregate { at },
                    (None, _) => WaitFor::ContractNotFollowed { at },
                };
                // One word for all of its deals.
                if !std::mem::replace(&mut said, true) {
                    let holding = Some(view.holding.id);
                    out.waits.push(Wait {
                        holding,
                        slot: None,
                        part: None,
                        for_: cannot,
                        wake: Wake::OnRound,
                    });
                }
            }
        }
    }
}

/// A contract lists deals under a CID, whoever reads it counts them, and knows of no parts: three deals would pass for three
/// copies where they are one of each part. So nothing is shown.
pub(super) fn in_parts(holding: &Holding, out: &mut Out) {
    out.waits.extend(holding.attestations.iter().map(|attestation| Wait {
        holding: Some(holding.id),
        slot: None,
        part: None,
        for_: WaitFor::InParts { at: attestation.at },
        wake: Wake::OnRound,
    }));
}
