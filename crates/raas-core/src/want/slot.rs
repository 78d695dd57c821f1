//! Which rule a place falls under. Exactly one answer per place: a want, or a wait with its reason.

use super::fill::Fill;
use super::view::{Out, View};
use super::{fill, keep, renew, repair, replicate};
use crate::health::Health;
use crate::holding::{Slot, health};
use crate::order::Order;
use crate::plan::{WaitFor, Wake, Wanted};
use std::collections::BTreeMap;

/// Decides for place `index`. `free` counts how many empty places may still be taken under the maximum.
pub(super) fn decide(
    view: &View<'_>,
    index: u32,
    slot: Option<&Slot>,
    fills: &BTreeMap<u32, Fill<'_>>,
    free: &mut u32,
    out: &mut Out,
) {
    if let Some((slot, order)) = slot.and_then(|slot| slot.occupying().map(|order| (slot, order))) {
        under_way(view, index, slot, order, out);
        return;
    }
    let beyond_target = index >= view.holding.policy.replicas.target;
    match slot.and_then(|slot| keep::keeper(view, slot).map(|at| (slot, at))) {
        Some(_) if beyond_target => out.waits.push(view.wait(Some(index), WaitFor::NotAsked, Wake::OnRound)),
        Some((slot, at)) => held(view, index, slot, at, fills, out),
        None if beyond_target => {}
        None => match fills.get(&index) {
            Some(fill) => out.fill(view, index, *fill),
            None => replicate::replicate(view, index, slot, free, out),
        },
    }
}

/// An order is on its way: nothing else is ordered, but an unsigned repair that is not needed any more is
/// given up, and a silent renewal of a last copy may be hedged.
fn under_way(view: &View<'_>, index: u32, slot: &Slot, order: &Order, out: &mut Out) {
    if let Some(reason) = repair::recovered(slot, order) {
        let what = Wanted::Cancel { order: order.id };
        out.wants.push(view.want(what, reason, view.round.height));
        return;
    }
    let hedged_from = renew::hedge(view, index, slot, order, out);
    if hedged_from.is_some_and(|due| view.round.head >= due) {
        return;
    }
    let for_ = match health(order) {
        Some(Health::Unknown(reason)) => WaitFor::Unknown { order: order.id, reason },
        _ => WaitFor::OrderUnderWay { order: order.id, provider: order.provider },
    };
    let wake = match (view.after_start(order), hedged_from) {
        (Wake::At(end), Some(due)) => Wake::At(end.min(due)),
        (wake, _) => wake,
    };
    out.waits.push(view.wait(Some(index), for_, wake));
}

/// A place with a replica and nothing on its way.
fn held(view: &View<'_>, index: u32, slot: &Slot, at: usize, fills: &BTreeMap<u32, Fill<'_>>, out: &mut Out) {
    let Some((keeper, later)) = slot.generations.get(at..).and_then(<[Order]>::split_first) else {
        return;
    };
    let home = fill::successor(view, slot, keeper, fills);
    match health(keeper) {
        // Rule 1: unknown starts nothing, not even a renewal.
        Some(Health::Unknown(reason)) => {
            let for_ = WaitFor::Unknown { order: keeper.id, reason };
            out.waits.push(view.wait(Some(index), for_, Wake::OnRound));
        }
        Some(Health::Proven) => renew::renew(view, index, slot, keeper, later, home, out),
        Some(Health::Suspect) => repair::suspect(view, index, slot, keeper, later, home, out),
        // The round that said so has not been applied to the order's state yet.
        _ => {
            let for_ = WaitFor::OrderUnderWay { order: keeper.id, provider: keeper.provider };
            out.waits.push(view.wait(Some(index), for_, Wake::OnRound));
        }
    }
}
