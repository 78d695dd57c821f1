//! Rule 3: a successor in good time before a term ends, at most one per generation.
//!
//! The old generation stays until its successor is proven, which here means: nothing is ever given up by a
//! renewal. A try that never became active may be followed by another; a successor that was active and is
//! lost is repaired, the old generation is not renewed twice.
//!
//! The accepted and silent renewal of a last copy is hedged: it leaves its place to one more order elsewhere
//! and is watched, so that a place has one order on its way at any time. An order that hedges is not hedged.

use super::fill::Fill;
use super::repair;
use super::view::{Out, Target, View};
use crate::fleet::Rules;
use crate::holding::Slot;
use crate::ids::ProviderId;
use crate::order::{Cause, Order, OrderState};
use crate::plan::{Reason, WaitFor, Wake};
use crate::policy::Policy;
use crate::units::{Epoch, Epochs};

/// How long before its end a copy at `provider`, which is asked first, is renewed: max(renew_before, p95 lead +
/// tries x (start delay + finality lag)), but never more than half of what a new deal lasts, or a fresh copy
/// would be due at once.
#[must_use]
pub fn window(policy: &Policy, rules: &Rules, provider: ProviderId) -> Epochs {
    let one_try = policy.start_delay.plus(rules.finality_lag);
    let needed = rules.leads.p95(provider).plus(one_try.times(rules.renewal_tries));
    let half = Epochs::new(policy.duration.get() / 2).unwrap_or(Epochs::ZERO);
    policy.renew_before.max(needed).min(half)
}

/// When the renewal window of `order` opens, and its end.
fn opens(view: &View<'_>, order: &Order) -> Option<(Epoch, Epoch)> {
    let end = order.state.on_chain()?.term.end;
    Some((end.before(window(&view.holding.policy, view.rules, order.provider)), end))
}

/// Whether `order` is due for renewal at this head.
pub(super) fn is_open(view: &View<'_>, order: &Order) -> bool {
    opens(view, order).is_some_and(|(opens, _)| view.round.head >= opens)
}

/// Decides for a place kept by `keeper`, with nothing on its way. `later` are generations made after it, all
/// closed, rejected or suspect.
pub(super) fn renew(
    view: &View<'_>,
    index: u32,
    slot: &Slot,
    keeper: &Order,
    later: &[Order],
    home: Option<Fill<'_>>,
    out: &mut Out,
) {
    let Some((opens, end)) = opens(view, keeper) else { return };
    if let Some(ends_at) = view.holding.policy.ends_at.filter(|ends_at| end >= *ends_at) {
        out.waits.push(view.wait(Some(index), WaitFor::PolicyEnded { ends_at }, Wake::At(ends_at)));
        return;
    }
    if view.round.head < opens {
        let for_ = WaitFor::RenewalWindow { order: keeper.id, end, opens };
        out.waits.push(view.wait(Some(index), for_, Wake::At(opens)));
        return;
    }
    match later.iter().rev().find(|order| order.state.was_active()) {
        Some(successor) if !matches!(successor.state, OrderState::Lost { .. }) => {
            order_renewal(view, index, slot, successor, home, out);
        }
        Some(successor) if view.holding.duties.repair => repair::lost(view, index, successor, out),
        Some(_) => out.waits.push(view.wait(Some(index), WaitFor::NotAsked, Wake::OnRound)),
        None => order_renewal(view, index, slot, keeper, home, out),
    }
}

/// A late renewal for a holding that asks for nothing else: the term ran out before a successor was there.
pub(super) fn late(view: &View<'_>, index: u32, slot: Option<&Slot>, ended: &Order, out: &mut Out) {
    order_one(view, index, slot, ended, out);
}

/// `home` is a spare that was bought for this very purpose and came late.
fn order_renewal(
    view: &View<'_>,
    index: u32,
    slot: &Slot,
    of: &Order,
    home: Option<Fill<'_>>,
    out: &mut Out,
) {
    if !view.holding.duties.renew {
        out.waits.push(view.wait(Some(index), WaitFor::NotAsked, Wake::OnRound));
    } else if !view.has_source() {
        out.waits.push(view.wait(Some(index), WaitFor::Bytes, Wake::OnBytes));
    } else if slot.live() > 1 {
        let for_ = WaitFor::OrderUnderWay { order: of.id, provider: of.provider };
        out.waits.push(view.wait(Some(index), for_, Wake::OnRound));
    } else if let Some(home) = home {
        out.fill(view, index, home);
    } else {
        order_one(view, index, Some(slot), of, out);
    }
}

fn order_one(view: &View<'_>, index: u32, slot: Option<&Slot>, of: &Order, out: &mut Out) {
    let Some((opens, end)) = opens(view, of) else { return };
    // A hedge that came to nothing may leave the one it hedged, which is still to be published or to expire.
    let hedged =
        |order: &&Order| matches!(order.state, OrderState::Hedged(_)) && order.cause.renews() == Some(of.id);
    match slot.and_then(|slot| slot.generations.iter().rev().find(hedged)) {
        Some(silent) if view.is_last_copy() => want_hedge(view, index, of, silent, opens, out),
        Some(silent) => {
            let for_ = WaitFor::OrderUnderWay { order: silent.id, provider: silent.provider };
            out.waits.push(view.wait(Some(index), for_, view.after_start(silent)));
        }
        None => {
            let target = Target {
                index,
                cause: Cause::Renew { of: of.id },
                of: Some(of),
                prefer: Some(of.provider),
                avoid: None,
            };
            let window = window(&view.holding.policy, view.rules, of.provider);
            out.wants.push(view.want(view.copy(&target), Reason::TermEnds { of: of.id, end, window }, opens));
        }
    }
}

fn want_hedge(view: &View<'_>, index: u32, of: &Order, silent: &Order, due: Epoch, out: &mut Out) {
    let cause = Cause::Hedge { of: of.id, silent: silent.id };
    let target = Target { index, cause, of: Some(of), prefer: None, avoid: Some(silent.operator) };
    let reason = Reason::Hedge { of: of.id, silent: silent.id };
    out.wants.push(view.want(view.copy(&target), reason, due));
}

/// From when on `silent`, the order on its way for this place, is hedged as things stand: an accepted renewal
/// of a last copy that is not published. One more is wanted then, elsewhere, once; this says so.
pub(super) fn hedge(
    view: &View<'_>,
    index: u32,
    slot: &Slot,
    silent: &Order,
    out: &mut Out,
) -> Option<Epoch> {
    let (Cause::Renew { of }, OrderState::Accepted(signed)) = (silent.cause, &silent.state) else {
        return None;
    };
    let policy = &view.holding.policy;
    let in_target = index < policy.replicas.target;
    let is_newest = slot.generations.last().is_some_and(|newest| newest.id == silent.id);
    let renewed = slot.generations.iter().find(|order| order.id == of && order.state.is_active())?;
    if !(view.holding.duties.renew && in_target && is_newest && view.is_last_copy() && view.has_source()) {
        return None;
    }
    let signed_at = signed.term.start.before(policy.start_delay).max(silent.planned_at);
    let due = signed_at.after(view.rules.hedge_after);
    if view.round.head >= due {
        want_hedge(view, index, renewed, silent, due, out);
    }
    Some(due)
}
