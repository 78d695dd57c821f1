//! Rule 9 for the local copy: it never goes while it is the last verified source.
//!
//! Enough copies proven at this finalized round and none out of sight, bytes read back from a provider once,
//! no order that still needs the bytes, and none wanted now. At least one proven copy is always needed, whatever the policy says.

use super::view::{Out, View};
use crate::health::{Health, UnknownReason};
use crate::holding::health;
use crate::ids::OrderId;
use crate::order::OrderState;
use crate::plan::{Reason, WaitFor, Wake, Wanted};

/// Wants the local copy of the piece gone, or says what keeps it.
pub(super) fn evict(view: &View<'_>, copies_wanted: bool, out: &mut Out) {
    let policy = &view.holding.policy;
    let Some(needed) = policy.keep_local.evict_at(policy.replicas.target).map(|copies| copies.max(1)) else {
        return;
    };
    let piece = &view.pieces.piece;
    if !piece.local || copies_wanted {
        return;
    }
    let needs_bytes = view.pieces.orders().find(|order| {
        matches!(
            order.state,
            OrderState::Planned
                | OrderState::Signed(_)
                | OrderState::Delivered(_)
                | OrderState::Accepted(_)
                | OrderState::Hedged(_)
        )
    });
    if let Some(order) = needs_bytes {
        let for_ = WaitFor::OrderUnderWay { order: order.id, provider: order.provider };
        out.waits.push(view.wait(None, for_, Wake::OnRound));
    } else if let Some((order, reason)) = unknown(view) {
        out.waits.push(view.wait(None, WaitFor::Unknown { order, reason }, Wake::OnRound));
    } else if view.proven < needed || !piece.retrievable {
        let for_ = WaitFor::LocalCopy { proven: view.proven, needed, retrievable: piece.retrievable };
        out.waits.push(view.wait(None, for_, Wake::OnRound));
    } else {
        let what = Wanted::Evict { piece: piece.commitment };
        out.wants.push(view.want(
            what,
            Reason::CopiesProven { proven: view.proven, needed },
            view.round.height,
        ));
    }
}

/// A replica out of sight may turn out to need a repair, and with it the bytes.
fn unknown(view: &View<'_>) -> Option<(OrderId, UnknownReason)> {
    view.pieces.orders().find_map(|order| match health(order) {
        Some(Health::Unknown(reason)) => Some((order.id, reason)),
        _ => None,
    })
}
