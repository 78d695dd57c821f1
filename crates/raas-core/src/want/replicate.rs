//! Rule 2: one order for each empty place, on an operator that holds no other.
//!
//! A place whose last replica was lost falls under repair when that is asked for; a place that was never
//! filled needs the replicate duty. Occupied places never exceed the maximum.

use super::view::{Out, Target, View};
use super::{renew, repair};
use crate::holding::Slot;
use crate::order::{Cause, Order, OrderState};
use crate::plan::{Reason, WaitFor, Wake};

/// Wants a copy for the empty place `index`, or says why not. Takes one of the `free` places.
pub(super) fn replicate(view: &View<'_>, index: u32, slot: Option<&Slot>, free: &mut u32, out: &mut Out) {
    let duties = view.holding.duties;
    let past = Past::of(slot);
    let asked = match past {
        _ if duties.replicate => true,
        Past::Lost(_) | Past::Repairing(_) => duties.repair,
        Past::Ended(_) => duties.renew,
        Past::Nothing => false,
    };
    if !asked {
        out.waits.push(view.wait(Some(index), WaitFor::NotAsked, Wake::OnRound));
        return;
    }
    if *free == 0 {
        let for_ =
            WaitFor::MaxReplicas { occupied: view.pieces.occupied(), max: view.holding.policy.replicas.max };
        out.waits.push(view.wait(Some(index), for_, Wake::OnRound));
        return;
    }
    if !view.has_source() {
        out.waits.push(view.wait(Some(index), WaitFor::Bytes, Wake::OnBytes));
        return;
    }
    *free -= 1;
    match past {
        Past::Lost(order) => repair::lost(view, index, order, out),
        Past::Ended(order) if !duties.replicate => renew::late(view, index, slot, order, out),
        Past::Repairing(cause) if duties.repair => {
            let target = Target { index, cause, of: None, prefer: None, avoid: None };
            out.wants.push(view.want(view.copy(&target), Reason::SlotEmpty, view.round.height));
        }
        _ => {
            let target = Target { index, cause: Cause::Replicate, of: None, prefer: None, avoid: None };
            out.wants.push(view.want(view.copy(&target), Reason::SlotEmpty, view.round.height));
        }
    }
}

/// What the empty place held before.
#[derive(Clone, Copy)]
enum Past<'a> {
    /// Never a copy.
    Nothing,
    /// Lost for good.
    Lost(&'a Order),
    /// Its term ran out.
    Ended(&'a Order),
    /// A repair that came to nothing, of a generation that is no longer listed.
    Repairing(Cause),
}

impl<'a> Past<'a> {
    fn of(slot: Option<&'a Slot>) -> Self {
        let Some(slot) = slot else { return Self::Nothing };
        for order in slot.generations.iter().rev() {
            match order.state {
                OrderState::Lost { .. } => return Self::Lost(order),
                OrderState::Ended(_) => return Self::Ended(order),
                _ => {}
            }
        }
        match slot.generations.last().map(|order| order.cause) {
            Some(cause @ Cause::Repair { .. }) => Self::Repairing(cause),
            _ => Self::Nothing,
        }
    }
}
