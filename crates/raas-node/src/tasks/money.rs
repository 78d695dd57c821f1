//! Money: how long it lasts at what renewals and gas will cost, told before it runs out.
//!
//! Looked at once an hour; the admin is told when it becomes urgent, at 30, 7 and 1 days, and again at each restart.

use crate::engine::{Engine, Error};
use crate::world::World;
use raas_core::forecast::{Due, Runway, Urgency, runway};
use raas_core::ids::HoldingId;
use raas_core::observation::Round;
use raas_core::order::OrderState;
use raas_core::policy::Policy;
use raas_core::ports::{Balances, Chain, Lane, Wallet};
use raas_core::units::{AttoFil, Epoch, Epochs};
use serde::Serialize;
use std::collections::BTreeMap;

/// Epochs between two looks.
const EVERY: i64 = 120;
/// Gas of so many days is averaged.
const GAS_DAYS: u32 = 7;

/// How long each kind of money lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Outlook {
    /// The head it was made at.
    pub at: Epoch,
    /// Escrow and f1 wallet against renewals and gas.
    pub deals: Runway,
    /// The 0x account against gas.
    pub contract: Runway,
    /// `budget.total_attofil` against renewals.
    pub budget: Runway,
}

impl Outlook {
    /// The most urgent of them.
    #[must_use]
    pub fn urgency(&self) -> Urgency {
        self.deals.urgency.max(self.contract.urgency).max(self.budget.urgency)
    }
}

/// The outlook, made anew when it is older than an hour. One that cannot be made stays as it was.
pub async fn look<W: World>(
    engine: &Engine<W>,
    round: &Round,
    before: Option<Outlook>,
) -> Result<Option<Outlook>, Error> {
    if before.is_some_and(|outlook| round.head.0 - outlook.at.0 < EVERY) {
        return Ok(before);
    }
    let Some(outlook) = make(engine, round).await? else { return Ok(before) };
    let was = before.map_or(Urgency::Calm, |outlook| outlook.urgency());
    if outlook.urgency() > was {
        let days = [outlook.deals.days, outlook.contract.days, outlook.budget.days];
        let days = days.into_iter().flatten().min().unwrap_or_default();
        tracing::warn!(
            deals_days = outlook.deals.days,
            contract_days = outlook.contract.days,
            budget_days = outlook.budget.days,
            "money lasts for {days} days only; `raas wallet balance` shows what is missing"
        );
    }
    Ok(Some(outlook))
}

/// `None` when a balance cannot be read.
pub async fn make<W: World>(engine: &Engine<W>, round: &Round) -> Result<Option<Outlook>, Error> {
    let wallet = engine.world.wallet();
    let (Ok(balances), Ok(contract)) =
        (engine.world.chain().balances().await, wallet.balance(Lane::Evm).await)
    else {
        return Ok(None);
    };
    let due = renewals(engine, round).await?;
    let gas = engine.store.gas_since(round.head.before(Epochs::days(GAS_DAYS))).await?;
    let per_day = |lane| AttoFil(gas.get(&lane).map_or(0, |sum| sum.0.div_ceil(u128::from(GAS_DAYS))));
    let spent = engine.store.spent_since(Epoch(i64::MIN)).await?;
    let budget = engine.settings.budget_total.minus(spent);
    let evm_due: &[Due] = &[];
    Ok(Some(Outlook {
        at: round.head,
        deals: runway(round.head, free(balances), per_day(Lane::Native), &due),
        contract: runway(round.head, contract, per_day(Lane::Evm), evm_due),
        budget: runway(round.head, budget, AttoFil::ZERO, &due),
    }))
}

const fn free(balances: Balances) -> AttoFil {
    balances.escrow.minus(balances.locked).plus(balances.wallet)
}

/// What the copies that live or are ordered will cost, again and again, as long as their job is open.
async fn renewals<W: World>(engine: &Engine<W>, round: &Round) -> Result<Vec<Due>, Error> {
    let policies: BTreeMap<HoldingId, Policy> = engine
        .store
        .holdings()
        .await?
        .into_iter()
        .filter(|holding| holding.duties.renew)
        .map(|holding| (holding.id, holding.policy))
        .collect();
    let mut due = Vec::new();
    for stored in engine.store.open_orders().await? {
        let Some(policy) = policies.get(&stored.holding) else { continue };
        let order = &stored.order;
        let every = policy.duration;
        let amount = order.price_per_epoch.times(every.get().unsigned_abs());
        let window = |end: Epoch| end.before(policy.renew_before);
        let at = match &order.state {
            OrderState::Active(on_chain) => window(on_chain.term.end),
            OrderState::Published(on_chain) => window(on_chain.term.end),
            OrderState::Planned => round.head,
            state => match state.signed() {
                // Signed and not published: its own price is due as well.
                Some(signed) => {
                    due.push(Due { at: round.head, amount: order.cost(), every: Epochs::ZERO });
                    window(signed.term.end)
                }
                None => continue,
            },
        };
        if policy.ends_at.is_none_or(|ends| at < ends) {
            due.push(Due { at, amount, every });
        }
    }
    Ok(due)
}
