//! Escrow: tops the market balance up for orders that are about to be signed, in one transaction for all.

use crate::engine::{Engine, Error};
use crate::store::TxId;
use crate::world::World;
use raas_core::order::OrderState;
use raas_core::ports::{Chain, TxIntent};
use raas_core::units::AttoFil;

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

/// Checks free escrow against `cost` and all open signatures, and plans a top-up when it does not reach.
///
/// One top-up covers every order that is planned now, so that a hundred orders cost one transaction.
pub async fn cover<W: World>(engine: &Engine<W>, cost: AttoFil) -> Result<Escrow, Error> {
    let Ok(balances) = engine.world.chain().balances().await else { return Ok(Escrow::Unknown) };
    let open = engine.store.open_orders().await?;
    let sum = |wanted: fn(&OrderState) -> bool| {
        open.iter()
            .filter(|stored| wanted(&stored.order.state))
            .fold(AttoFil::ZERO, |sum, stored| sum.plus(stored.order.cost()))
    };
    let signed = sum(|state| state.signed().is_some());
    let planned = sum(|state| matches!(state, OrderState::Planned));
    let free = balances.escrow.minus(balances.locked).minus(signed);
    if free >= cost {
        return Ok(Escrow::Covered);
    }
    let under_way = engine.store.open_txs(Some(raas_core::ports::Lane::Native)).await?;
    if let Some(tx) = under_way.iter().find(|tx| matches!(tx.intent, TxIntent::AddBalance { .. })) {
        return Ok(Escrow::ToppingUp(tx.id));
    }
    let wallet = balances.wallet.minus(engine.settings.wallet_reserve);
    let wished = planned.max(cost).minus(free);
    let least = cost.minus(free);
    if wallet < least {
        return Ok(Escrow::Short { needed: least, wallet });
    }
    let amount = wished.min(wallet);
    let tx = engine.store.plan_tx(&TxIntent::AddBalance { amount }, "escrow").await?;
    Ok(Escrow::ToppingUp(tx))
}
