//! What becomes of a published deal: activation, payment, termination, clean-up.

use super::{
    actor_events::EventBuilder,
    market::{Deal, Phase},
    queue::Event,
    state::{BURNT, MARKET, World},
};
use crate::ledger::Fact;
use cid::Cid;
use raas_core::{
    ids::{DealId, ProviderId, SectorNumber},
    units::AttoFil,
};

/// How long after a deal's end a Boost-like provider settles it; Curio-like ones never do.
pub(super) const SETTLE_AFTER_END: i64 = 2_880;

/// What one settlement did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settlement {
    pub(super) payment: AttoFil,
    pub(super) completed: bool,
}

impl World {
    /// Activates a published deal in a proven sector that ends at `ends`. False when its start epoch has passed, it is
    /// not there, or its allocation can no longer be claimed.
    pub(super) fn activate(
        &mut self,
        epoch: i64,
        id: DealId,
        (sector, ends): (SectorNumber, i64),
        message: Cid,
    ) -> bool {
        let Some((deal, Phase::Published)) = self.market.current(id) else { return false };
        if deal.proposal.start.0 < epoch {
            return false;
        }
        let deal = deal.into_owned();
        if let Some(allocation) = deal.allocation.filter(|_| !self.is_frozen(super::StateAt(epoch)))
            && !self.claim_for_deal(epoch, (deal.client, allocation), (sector, ends), message)
        {
            return false;
        }
        self.market.set_phase(id, epoch, Phase::Active { sector, since: epoch, settled: None });
        let event = EventBuilder::deal("deal-activated", id, deal.client, deal.provider);
        self.emit(epoch, MARKET, message, event);
        let provider = ProviderId(deal.provider);
        let piece_cid = deal.proposal.piece_cid.to_string();
        let operator = self.operator(provider);
        let fact = Fact::Activated { deal_id: id, provider, operator, piece_cid, sector };
        self.ledger.record(epoch, fact);
        if self.settles(provider) {
            self.schedule(deal.proposal.end.0 + SETTLE_AFTER_END, Event::Settle { provider, deal: id });
        }
        true
    }

    /// SettleDealPayments for one deal; the exit code of its item when it cannot be settled.
    pub(super) fn settle(&mut self, epoch: i64, id: DealId, message: Cid) -> Result<Settlement, i64> {
        let (deal, phase) = self.market.deal(id, super::StateAt::NEWEST)?;
        let deal = deal.into_owned();
        let Phase::Active { sector, since, .. } = phase else {
            if deal.proposal.start.0 < epoch {
                self.clean_up(epoch, id);
                return Err(super::market::DEAL_EXPIRED);
            }
            // A deal that may still activate has nothing to pay.
            return Ok(Settlement { payment: AttoFil::ZERO, completed: false });
        };
        let payment = self.pay(epoch, &deal, phase);
        let completed = epoch >= deal.proposal.end.0;
        if completed {
            self.release(epoch, &deal, AttoFil::ZERO);
            self.market.set_phase(id, epoch, Phase::Removed);
            let event = EventBuilder::deal("deal-completed", id, deal.client, deal.provider);
            self.emit(epoch, MARKET, message, event);
        } else {
            self.market.set_phase(id, epoch, Phase::Active { sector, since, settled: Some(epoch) });
        }
        let (client, provider) = (deal.client, ProviderId(deal.provider));
        self.ledger.record(epoch, Fact::Paid { deal_id: id, client, provider, amount: payment, completed });
        Ok(Settlement { payment, completed })
    }

    /// A deal's sector was terminated. Deals past their end are left for settlement.
    pub(super) fn terminate_deal(&mut self, epoch: i64, id: DealId, message: Option<Cid>) {
        let Some((deal, phase)) = self.market.current(id) else { return };
        if deal.proposal.end.0 <= epoch {
            return;
        }
        let deal = deal.into_owned();
        let amount = self.pay(epoch, &deal, phase);
        self.release(epoch, &deal, deal.proposal.provider_collateral);
        self.market.set_phase(id, epoch, Phase::Removed);
        if let Some(message) = message {
            let event = EventBuilder::deal("deal-terminated", id, deal.client, deal.provider);
            self.emit(epoch, MARKET, message, event);
        }
        let (client, provider) = (deal.client, ProviderId(deal.provider));
        self.ledger.record(epoch, Fact::Paid { deal_id: id, client, provider, amount, completed: false });
        let fact = Fact::Terminated {
            deal_id: id,
            provider,
            operator: self.operator(provider),
            piece_cid: deal.proposal.piece_cid.to_string(),
            by_cron: message.is_none(),
        };
        self.ledger.record(epoch, fact);
    }

    /// Removes a deal that was never activated: the provider's collateral burns, the client's money is free.
    pub(super) fn clean_up(&mut self, epoch: i64, id: DealId) {
        let Some((deal, Phase::Published)) = self.market.current(id) else { return };
        let deal = deal.into_owned();
        self.release(epoch, &deal, deal.proposal.provider_collateral);
        self.market.set_phase(id, epoch, Phase::Removed);
        let provider = ProviderId(deal.provider);
        self.ledger.record(epoch, Fact::CleanedUp { deal_id: id, provider });
    }

    /// Moves what is due since the last payment from the client's to the provider's escrow.
    fn pay(&mut self, epoch: i64, deal: &Deal, phase: Phase) -> AttoFil {
        let amount = deal.proposal.price_per_epoch.times(unpaid_epochs(epoch, deal, phase));
        self.market.change(deal.client, epoch, |balance| {
            balance.escrow = balance.escrow.minus(amount);
            balance.locked = balance.locked.minus(amount);
        });
        self.market.change(deal.provider, epoch, |balance| balance.escrow = balance.escrow.plus(amount));
        amount
    }

    /// Frees what a deal still binds after its last payment, and burns `burnt` of the provider's collateral.
    fn release(&mut self, epoch: i64, deal: &Deal, burnt: AttoFil) {
        let Some((_, phase)) = self.market.current(deal.id) else { return };
        let paid_until = match phase {
            // `pay` has just brought the deal up to `epoch`.
            Phase::Active { .. } => epoch.clamp(deal.proposal.start.0, deal.proposal.end.0),
            Phase::Published | Phase::Removed => deal.proposal.start.0,
        };
        let rest = u64::try_from(deal.proposal.end.0 - paid_until).unwrap_or(0);
        let freed = deal.proposal.price_per_epoch.times(rest).plus(deal.proposal.client_collateral);
        self.market.change(deal.client, epoch, |balance| balance.locked = balance.locked.minus(freed));
        let collateral = deal.proposal.provider_collateral;
        self.market.change(deal.provider, epoch, |balance| {
            balance.locked = balance.locked.minus(collateral);
            balance.escrow = balance.escrow.minus(burnt);
        });
        self.actors.update(MARKET, epoch, |wallet| wallet.balance = wallet.balance.minus(burnt));
        self.actors.update(BURNT, epoch, |wallet| wallet.balance = wallet.balance.plus(burnt));
    }
}

/// Epochs of service since the last payment. Service begins at the proposal's start, not at activation.
fn unpaid_epochs(epoch: i64, deal: &Deal, phase: Phase) -> u64 {
    let Phase::Active { settled, .. } = phase else { return 0 };
    let from = settled.unwrap_or(deal.proposal.start.0).max(deal.proposal.start.0);
    u64::try_from(epoch.min(deal.proposal.end.0) - from).unwrap_or(0)
}
