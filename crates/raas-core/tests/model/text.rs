//! Wants, waits and actions as one line each, so that tables read as text.

use raas_core::holding::{Holding, health};
use raas_core::observation::Round;
use raas_core::order::{Cause, Order};
use raas_core::plan::{Action, Plan, Reason, Wait, WaitFor, Wake, Want, Wanted};
use raas_core::want::want;

use super::build::rules;

/// What `holding` wants and waits for, sorted lines.
pub fn wanted(holding: &Holding, round: &Round) -> Vec<String> {
    let (wants, waits) = want(holding, round, &rules());
    wants.iter().map(want_line).chain(waits.iter().map(wait_line)).collect()
}

pub fn plan_lines(plan: &Plan) -> Vec<String> {
    plan.actions.iter().map(action_line).chain(plan.waits.iter().map(wait_line)).collect()
}

pub fn want_line(want: &Want) -> String {
    let what = match &want.what {
        Wanted::Copy(copy) => format!("slot {}: {}", copy.slot.index, cause(copy.cause)),
        Wanted::Fill { slot, spare } => format!("slot {}: fill with {spare}", slot.index),
        Wanted::Attest { at, deal, .. } => format!("attest deal {deal} for request {}", at.request),
        Wanted::Evict { .. } => "evict".to_owned(),
        Wanted::Cancel { order } => format!("cancel {order}"),
    };
    format!("{what}, {}, {:?}", reason(&want.reason), want.priority)
}

fn cause(cause: Cause) -> String {
    match cause {
        Cause::Replicate => "replicate".to_owned(),
        Cause::Renew { of } => format!("renew {of}"),
        Cause::Hedge { of, silent } => format!("renew {of} beside {silent}"),
        Cause::Repair { of } => format!("repair {of}"),
        Cause::Adopt => "adopt".to_owned(),
    }
}

fn reason(reason: &Reason) -> String {
    match reason {
        Reason::SlotEmpty => "empty".to_owned(),
        Reason::Lost { of, reason } => format!("{of} lost ({reason:?})"),
        Reason::Suspect { of, since, .. } => format!("{of} suspect since {since}"),
        Reason::TermEnds { of, end, window } => format!("{of} ends {end}, window {window}"),
        Reason::Hedge { of, silent } => format!("{silent} for {of} is silent"),
        Reason::Recovered { of, proven_at } => format!("{of} proven again at {proven_at}"),
        Reason::SpareFits { spare } => format!("spare {spare} fits"),
        Reason::NotAttested { .. } => "not attested".to_owned(),
        Reason::CopiesProven { proven, needed } => format!("{proven} of {needed} proven"),
    }
}

pub fn action_line(action: &Action) -> String {
    match action {
        Action::Order { slots, cause: why, provider, reason: because, priority, .. } => {
            let places: Vec<String> =
                slots.iter().map(|slot| format!("{}/{}", slot.holding, slot.index)).collect();
            let places = if places.len() > 3 { format!("{} slots", places.len()) } else { places.join(" ") };
            format!("order at {provider} for {places}: {}, {}, {priority:?}", cause(*why), reason(because))
        }
        Action::Fill { slot, spare } => format!("fill {}/{} with {spare}", slot.holding, slot.index),
        Action::Attest { at, deal, .. } => format!("attest deal {deal} for request {}", at.request),
        Action::Evict { holding, .. } => format!("evict local copy of holding {holding}"),
        Action::Cancel { order, .. } => format!("cancel {order}"),
    }
}

pub fn wait_line(wait: &Wait) -> String {
    let place = wait.slot.map_or_else(
        || wait.holding.map_or("node".to_owned(), |_| "holding".to_owned()),
        |slot| format!("slot {}", slot.index),
    );
    let for_ = match &wait.for_ {
        WaitFor::Gate(hold) => format!("gate {hold:?}"),
        WaitFor::Bytes => "bytes".to_owned(),
        WaitFor::Unknown { order, .. } => format!("{order} unknown"),
        WaitFor::OrderUnderWay { order, .. } => format!("{order} under way"),
        WaitFor::Patience { order, since, until } => format!("{order} suspect {since}..{until}"),
        WaitFor::RenewalWindow { order, opens, .. } => format!("{order} window opens {opens}"),
        WaitFor::Budget { needed, available, .. } => format!("money: {needed} needed, {available} there"),
        WaitFor::Provider { rejected } => format!("provider {rejected:?}"),
        WaitFor::Breaker { provider: Some(provider) } => format!("breaker of {provider}"),
        WaitFor::Breaker { provider: None } => "breaker of the fleet".to_owned(),
        WaitFor::Pace { started, cap } => format!("pace {started} of {cap}"),
        WaitFor::MaxReplicas { occupied, max } => format!("maximum: {occupied} of {max}"),
        WaitFor::NotAsked => "not asked".to_owned(),
        WaitFor::Unserved(why) => format!("{why:?}"),
        WaitFor::InParts { at, whole } => format!("{whole} of all parts of {at}"),
        WaitFor::CompletesInAggregate { at } => format!("aggregate for {at}"),
        WaitFor::ContractNotFollowed { at } => format!("{at} not followed"),
        WaitFor::Stopped => "stopped".to_owned(),
        WaitFor::LocalCopy { proven, needed, retrievable } => {
            format!("local copy: {proven} of {needed} proven, read back: {retrievable}")
        }
        WaitFor::PolicyEnded { ends_at } => format!("policy ends {ends_at}"),
        WaitFor::NotSeen { provider, .. } => format!("{provider} not seen"),
    };
    let wake = match wait.wake {
        Wake::At(epoch) => format!("head {epoch}"),
        Wake::OnRound => "round".to_owned(),
        Wake::OnProvider => "provider".to_owned(),
        Wake::OnBudget => "money".to_owned(),
        Wake::OnRelease => "release".to_owned(),
        Wake::OnBytes => "bytes".to_owned(),
    };
    format!("{place} waits: {for_} -> {wake}")
}

/// Holdings whose failing cases print as a few lines.
#[derive(Clone)]
pub struct Shown(pub Vec<Holding>);

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for holding in &self.0 {
            writeln!(f, "\nholding {} {:?} {:?}", holding.id, holding.duties, holding.policy.replicas)?;
            for pieces in &holding.pieces {
                for slot in &pieces.slots {
                    writeln!(f, "  slot {}: {}", slot.index, order_list(&slot.generations))?;
                }
                writeln!(f, "  spares: {}", order_list(&pieces.spares))?;
            }
        }
        Ok(())
    }
}

fn order_list(orders: &[Order]) -> String {
    let one = |order: &Order| {
        let health = health(order).map(|health| format!(" {health:?}")).unwrap_or_default();
        format!("{} at {} {}{health} to {}", order.id, order.provider, order.state.name(), cause(order.cause))
    };
    orders.iter().map(one).collect::<Vec<_>>().join(" | ")
}
