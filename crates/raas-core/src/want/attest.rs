//! Each contract request of the holding gets every active and proven deal of its places, once; of data in parts, those of one
//! part, as far as there are copies of all.

use super::fill::Fill;
use super::view::{Out, View};
use crate::health::Health;
use crate::holding::{Attestation, Completes, PieceSlots, Slot, health};
use crate::ids::DealId;
use crate::order::Order;
use crate::plan::{Reason, Wait, WaitFor, Wake, Wanted};
use std::collections::BTreeMap;

/// Wants every deal shown that is proven and not shown yet, those of spares that go to a place now among them.
pub(super) fn attest(view: &View<'_>, fills: &BTreeMap<u32, Fill<'_>>, out: &mut Out) {
    for attestation in &view.holding.attestations {
        let filling = fills.values().filter_map(|fill| match fill {
            Fill::Put(spare) => Some(*spare),
            Fill::Hold(..) => None,
        });
        // Its miner told the contract for this very purpose, so that it is shown even where it came too late for a place.
        let told = view.pieces.spares.iter().filter(|spare| attestation.is_told(spare));
        let active = view.pieces.slots.iter().flat_map(Slot::active);
        show(
            view,
            attestation,
            active.chain(filling.chain(told).filter(|spare| spare.state.is_active())),
            out,
        );
    }
}

/// A contract binds a request to one piece, and whoever reads it counts deals as copies. So of data in parts it is shown the
/// deals of one part, and no more of them than there are copies of all parts. The view is of that part.
pub(super) fn in_parts(view: &View<'_>, out: &mut Out) {
    let whole = view.holding.pieces.iter().map(PieceSlots::proven).min().unwrap_or(0);
    for attestation in &view.holding.attestations {
        let is_proven = |order: &&Order| health(order) == Some(Health::Proven);
        let is_done =
            |order: &Order| attestation.deal_of(order).is_some_and(|deal| attestation.done.contains(&deal));
        // Generations of one place are one copy: a successor is shown beside the one that it follows.
        let places = view.pieces.slots.iter().filter(|slot| slot.active().any(|order| is_proven(&order)));
        let (shown, hidden): (Vec<&Slot>, Vec<&Slot>) =
            places.partition(|slot| slot.active().filter(is_proven).any(is_done));
        let more = usize::try_from(whole).unwrap_or(usize::MAX).saturating_sub(shown.len());
        let (now, later) = hidden.split_at(more.min(hidden.len()));
        show(view, attestation, shown.iter().chain(now).flat_map(|slot| slot.active()), out);
        if !later.is_empty() {
            out.waits.push(view.wait(None, WaitFor::InParts { at: attestation.at, whole }, Wake::OnRound));
        }
    }
}

/// Wants those of `orders` shown to a request that are proven and not shown yet.
fn show<'o>(
    view: &View<'_>,
    attestation: &Attestation,
    orders: impl Iterator<Item = &'o Order>,
    out: &mut Out,
) {
    let mut seen: Vec<DealId> = Vec::new();
    let mut said = false;
    for order in orders {
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
                out.waits.push(Wait { holding, slot: None, part: None, for_: cannot, wake: Wake::OnRound });
            }
        }
    }
}
