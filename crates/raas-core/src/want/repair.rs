//! Rule 4: a successor for a replica that is lost, or suspect for too long, on another operator.
//!
//! Lost is repaired at once: two witnesses or a missed start are final. Suspect waits for the policy's
//! patience and a second finalized round. A repair of which nothing has left the node is given up when the
//! replica is proven again.

use super::fill::Fill;
use super::renew;
use super::view::{Out, Target, View};
use crate::health::Health;
use crate::holding::{Slot, health};
use crate::order::{Cause, Order, OrderState};
use crate::plan::{Reason, WaitFor, Wake};

/// Wants a copy in place of the lost `order`. The caller has checked duties and sources.
pub(super) fn lost(view: &View<'_>, index: u32, order: &Order, out: &mut Out) {
    let OrderState::Lost { reason, .. } = order.state else { return };
    let cause = if view.holding.duties.repair { Cause::Repair { of: order.id } } else { Cause::Replicate };
    let target = Target { index, cause, of: Some(order), prefer: None, avoid: Some(order.operator) };
    let reason = Reason::Lost { of: order.id, reason };
    out.wants.push(view.want(view.copy(&target), reason, view.round.height));
}

/// Decides for a place kept by the suspect `keeper`, with nothing on its way.
pub(super) fn suspect(
    view: &View<'_>,
    index: u32,
    slot: &Slot,
    keeper: &Order,
    later: &[Order],
    home: Option<Fill<'_>>,
    out: &mut Out,
) {
    let Some(on_chain) = keeper.state.on_chain() else { return };
    let Some(fault) = on_chain.health.fault else { return };
    let repair_after = view.holding.policy.repair_after;
    let until = fault.since.after(repair_after);
    let is_due = view.holding.duties.repair && on_chain.health.repair_due(repair_after);
    if !is_due && view.holding.duties.renew && renew::is_open(view, keeper) {
        renew::renew(view, index, slot, keeper, later, home, out);
    } else if !view.holding.duties.repair {
        out.waits.push(view.wait(Some(index), WaitFor::NotAsked, Wake::OnRound));
    } else if !is_due {
        let for_ = WaitFor::Patience { order: keeper.id, since: fault.since, until };
        out.waits.push(view.wait(Some(index), for_, view.at_height(until)));
    } else if !view.has_source() {
        out.waits.push(view.wait(Some(index), WaitFor::Bytes, Wake::OnBytes));
    } else if slot.live() > 1 {
        let for_ = WaitFor::OrderUnderWay { order: keeper.id, provider: keeper.provider };
        out.waits.push(view.wait(Some(index), for_, Wake::OnRound));
    } else if let Some(home) = home {
        out.fill(view, index, home);
    } else {
        let target = Target {
            index,
            cause: Cause::Repair { of: keeper.id },
            of: Some(keeper),
            prefer: None,
            avoid: Some(keeper.operator),
        };
        let reason = Reason::Suspect { of: keeper.id, since: fault.since, repair_after };
        out.wants.push(view.want(view.copy(&target), reason, until));
    }
}

/// Why the unsigned repair `order` is not needed any more: what it repairs is proven again.
pub(super) fn recovered(slot: &Slot, order: &Order) -> Option<Reason> {
    let (Cause::Repair { of }, OrderState::Planned) = (order.cause, &order.state) else { return None };
    let repaired = slot.active().find(|replica| replica.id == of)?;
    let on_chain = repaired.state.on_chain()?;
    (health(repaired) == Some(Health::Proven))
        .then_some(Reason::Recovered { of, proven_at: on_chain.health.at })
}
