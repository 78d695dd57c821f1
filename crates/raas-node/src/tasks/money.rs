//! Money: how long it lasts at what renewals and gas will cost, told before it runs out.
//!
//! Looked at twice a day; the admin is told when it becomes urgent, at 30, 7 and 1 days, and again at each restart.

use crate::engine::{Engine, Error};
use crate::world::World;
use raas_core::forecast::{Due, Runway, Urgency, runway};
use raas_core::observation::Round;
use raas_core::ports::{Balances, Chain, Lane, Wallet};
use raas_core::units::{AttoFil, Epoch, Epochs};
use serde::Serialize;

/// Epochs between two looks.
const EVERY: i64 = 1_440;
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

/// The outlook, made anew when it is older than half a day. One that cannot be made stays as it was.
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
    let policy = &engine.settings.default_policy;
    let mut due: Vec<Due> = engine
        .store
        .renewals()
        .await?
        .into_iter()
        .map(|renewal| Due {
            at: renewal.end.before(policy.renew_before),
            amount: renewal.cost,
            every: renewal.duration,
        })
        .collect();
    // What is not on chain yet is due as well, and renewed after its term.
    for stored in engine.store.unsettled_orders().await? {
        let (amount, every) = (stored.order.cost(), stored.order.duration);
        due.push(Due { at: round.head, amount, every });
    }
    Ok(due)
}
