//! Escrow: tops the market balance up for orders that are about to be signed, in one transaction for all.

use crate::engine::{Engine, Error};
use crate::store::TxId;
use crate::world::World;
use raas_core::order::OrderState;
use raas_core::ports::{Chain, Lane, TxIntent};
use raas_core::units::AttoFil;
use tokio::sync::Mutex;

/// What escrow says to an order that wants to be signed.
pub enum Escrow {
    /// Covered, with everything that is already signed.
    Covered,
    /// A top-up is on its way.
    ToppingUp(TxId),
    /// Wallet or chain cannot be read now.
    Unknown,
    /// The wallet has too little.
    Short {
        /// What has to be added.
        needed: AttoFil,
        /// What the wallet can give.
        wallet: AttoFil,
    },
}

/// The market balance as one pass over the steps sees it: read once, then less by every order it has covered, so
/// that steps which run side by side never count the same money twice.
#[derive(Default)]
pub struct Purse {
    drawn: Mutex<Option<Drawn>>,
}

/// What is left for the rest of the pass.
struct Drawn {
    /// Escrow that nothing signed or covered may take.
    free: AttoFil,
    /// Cost of the orders that are planned and not covered yet.
    planned: AttoFil,
    /// What the wallet can add.
    wallet: AttoFil,
    /// A top-up under way.
    top_up: Option<TxId>,
}

impl Purse {
    /// Takes `cost` out of free escrow, or plans a top-up when it does not reach.
    ///
    /// One top-up covers every order that is planned now, so that a hundred orders cost one transaction.
    pub async fn cover<W: World>(&self, engine: &Engine<W>, cost: AttoFil) -> Result<Escrow, Error> {
        let mut held = self.drawn.lock().await;
        if held.is_none() {
            *held = draw(engine).await?;
        }
        let Some(drawn) = held.as_mut() else { return Ok(Escrow::Unknown) };
        if drawn.free >= cost {
            drawn.free = drawn.free.minus(cost);
            drawn.planned = drawn.planned.minus(cost);
            return Ok(Escrow::Covered);
        }
        if let Some(tx) = drawn.top_up {
            return Ok(Escrow::ToppingUp(tx));
        }
        let wished = drawn.planned.max(cost).minus(drawn.free);
        let least = cost.minus(drawn.free);
        if drawn.wallet < least {
            return Ok(Escrow::Short { needed: least, wallet: drawn.wallet });
        }
        let amount = wished.min(drawn.wallet);
        let tx = engine.store.plan_tx(&TxIntent::AddBalance { amount }, "escrow").await?;
        drawn.top_up = Some(tx);
        Ok(Escrow::ToppingUp(tx))
    }
}

/// Balances less everything that is signed and can still be published; `None` when they cannot be read.
async fn draw<W: World>(engine: &Engine<W>) -> Result<Option<Drawn>, Error> {
    let Ok(balances) = engine.world.chain().balances().await else { return Ok(None) };
    let open = engine.store.unsettled_orders().await?;
    let sum = |wanted: fn(&OrderState) -> bool| {
        open.iter()
            .filter(|stored| wanted(&stored.order.state))
            .fold(AttoFil::ZERO, |sum, stored| sum.plus(stored.order.cost()))
    };
    let signed = sum(|state| state.signed().is_some());
    let under_way = engine.store.open_txs(Some(Lane::Native)).await?;
    let top_up = under_way.iter().find(|tx| matches!(tx.intent, TxIntent::AddBalance { .. })).map(|tx| tx.id);
    // What is about to be taken out covers nothing any more.
    let withdrawn = under_way.iter().fold(AttoFil::ZERO, |sum, tx| match &tx.intent {
        TxIntent::Withdraw { amount } => sum.plus(*amount),
        _ => sum,
    });
    Ok(Some(Drawn {
        free: balances.escrow.minus(balances.locked).minus(signed).minus(withdrawn),
        planned: sum(|state| matches!(state, OrderState::Planned)),
        wallet: balances.wallet.minus(engine.settings.wallet_reserve),
        top_up,
    }))
}
