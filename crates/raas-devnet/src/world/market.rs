//! The market actor's records: deals and balances over time, and how they are read.

use super::{
    bulk::Batch,
    timeline::{StateAt, Timeline},
};
use crate::codec::DealProposal;
use cid::Cid;
use raas_core::{
    ids::{ActorId, DealId, SectorNumber},
    units::AttoFil,
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

/// Exit code: never allocated.
pub(super) const NOT_FOUND: i64 = 17;
/// Exit code: was there and is removed.
pub(super) const DEAL_EXPIRED: i64 = 32;
/// Exit code: published and not activated.
pub(super) const DEAL_NOT_ACTIVATED: i64 = 33;

/// What an account has in the market.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// All of it.
    pub escrow: AttoFil,
    /// The part bound by deals.
    pub locked: AttoFil,
}

impl Balance {
    /// What new deals can bind or the owner take back.
    #[must_use]
    pub const fn available(&self) -> AttoFil {
        self.escrow.minus(self.locked)
    }
}

/// Where a published deal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Published, not activated.
    Published,
    /// Its sector was proven. It stays so while the sector is faulty, and after its end until settled.
    Active {
        /// Where the piece is.
        sector: SectorNumber,
        /// Epoch of activation.
        since: i64,
        /// Epoch of the last settlement.
        settled: Option<i64>,
    },
    /// Gone from state: terminated, settled after its end, or cleaned up.
    Removed,
}

/// One deal.
#[derive(Clone, Debug)]
pub struct Deal {
    /// Its number.
    pub id: DealId,
    /// What was agreed, with client and provider as id addresses as the chain stores it.
    pub proposal: DealProposal,
    /// The CID of the proposal as the client signed it.
    pub signed_cid: Cid,
    /// The client's actor.
    pub client: ActorId,
    /// The miner actor.
    pub provider: ActorId,
    /// The publish message.
    pub publish_message: Cid,
    /// The allocation that a verified deal was published with. It waits for as long as the deal does, unless it is
    /// removed after its expiry.
    pub allocation: Option<u64>,
    /// Where it stood when.
    pub phase: Timeline<Phase>,
}

/// All of f05.
#[derive(Clone, Debug, Default)]
pub struct Market {
    /// The first id given out; every id below counts as removed long ago.
    first: u64,
    /// Deals with a record of their own.
    pub(super) deals: BTreeMap<DealId, Deal>,
    /// Batches of bulk deals by their first id.
    pub(super) bulk: BTreeMap<u64, Batch>,
    pub(super) by_signed: BTreeMap<Cid, DealId>,
    /// CIDs of stored proposals that may not be published a second time.
    pub(super) pending: BTreeSet<Cid>,
    balances: BTreeMap<ActorId, Timeline<Balance>>,
}

impl Market {
    /// An empty market whose next deal is `first`.
    pub(super) fn new(first: u64) -> Self {
        Self { first, ..Self::default() }
    }

    /// The id the next deal gets.
    pub(super) fn next(&self) -> DealId {
        let own = self.deals.keys().next_back().map_or(self.first, |last| last.0 + 1);
        DealId(self.bulk.values().next_back().map_or(own, |batch| own.max(batch.first_deal + batch.deals)))
    }

    /// The batch that a deal id lies in.
    fn batch_of(&self, id: DealId) -> Option<&Batch> {
        let batch = self.bulk.range(..=id.0).next_back()?.1;
        (id.0 - batch.first_deal < batch.deals).then_some(batch)
    }

    /// The id the next deal gets, as state `at` knows it.
    #[must_use]
    pub fn next_id(&self, at: StateAt) -> DealId {
        let published = |deal: &Deal| deal.phase.get(at).is_some();
        let own = self.deals.values().rev().find(|deal| published(deal)).map(|deal| deal.id.0 + 1);
        let made = self.bulk.values().rev().find(|batch| batch.created <= at.0);
        let bulk = made.map(|batch| batch.first_deal + batch.deals);
        DealId(own.into_iter().chain(bulk).max().unwrap_or(self.first))
    }

    /// A deal in state `at`, or the exit code that says why it is not there: 17 never allocated, 32 removed.
    pub fn deal(&self, id: DealId, at: StateAt) -> Result<(Cow<'_, Deal>, Phase), i64> {
        let deal = match self.deals.get(&id) {
            Some(own) => Cow::Borrowed(own),
            None if id.0 < self.first => return Err(DEAL_EXPIRED),
            None => Cow::Owned(self.batch_of(id).and_then(|batch| batch.deal(id)).ok_or(NOT_FOUND)?),
        };
        match deal.phase.get(at).copied() {
            None => Err(NOT_FOUND),
            Some(Phase::Removed) => Err(DEAL_EXPIRED),
            Some(phase) => Ok((deal, phase)),
        }
    }

    /// The newest phase of a deal that is not removed.
    pub(super) fn current(&self, id: DealId) -> Option<(Cow<'_, Deal>, Phase)> {
        self.deal(id, StateAt::NEWEST).ok()
    }

    pub(super) fn set_phase(&mut self, id: DealId, epoch: i64, phase: Phase) {
        if !self.deals.contains_key(&id)
            && let Some(deal) = self.batch_of(id).and_then(|batch| batch.deal(id))
        {
            self.deals.insert(id, deal);
        }
        if let Some(deal) = self.deals.get_mut(&id) {
            deal.phase.set(epoch, phase);
            if phase == Phase::Removed
                && let Ok(cid) = deal.proposal.cid()
            {
                self.pending.remove(&cid);
            }
        }
    }

    /// Escrow and locked funds of an account.
    #[must_use]
    pub fn balance(&self, account: ActorId, at: StateAt) -> Balance {
        self.balances.get(&account).and_then(|line| line.get(at)).copied().unwrap_or_default()
    }

    /// Every account that ever had something here.
    pub fn accounts(&self) -> impl Iterator<Item = ActorId> {
        self.balances.keys().copied()
    }

    /// Forgets everything that happened after `epoch`.
    pub(super) fn revert(&mut self, epoch: i64) {
        self.balances.retain(|_, line| line.revert(epoch));
        self.bulk.retain(|_, batch| batch.created <= epoch);
        let pending = &mut self.pending;
        self.deals.retain(|_, deal| {
            let before = deal.phase.latest().copied();
            let left = deal.phase.revert(epoch);
            let now = deal.phase.latest().copied();
            if before != now
                && let Ok(stored) = deal.proposal.cid()
            {
                match now {
                    None | Some(Phase::Removed) => pending.remove(&stored),
                    Some(_) => pending.insert(stored),
                };
            }
            left
        });
        let deals = &self.deals;
        self.by_signed.retain(|_, id| deals.contains_key(id));
    }

    /// Every deal with a record of its own, gone ones too; deals of batches have one once they are settled or lost.
    pub fn deals(&self) -> impl Iterator<Item = &Deal> {
        self.deals.values()
    }

    /// The newest escrow and locked funds of an account.
    pub(super) fn funds(&self, account: ActorId) -> Balance {
        self.balance(account, StateAt::NEWEST)
    }

    pub(super) fn change(&mut self, account: ActorId, epoch: i64, change: impl FnOnce(&mut Balance)) {
        let mut balance = self.funds(account);
        change(&mut balance);
        self.balances.entry(account).or_default().set(epoch, balance);
    }
}

/// The collateral a provider must lock for a piece of `padded` bytes: 1 % of the circulating supply times the
/// piece's share of the network's power. Both are fixed here at the order of mainnet's.
#[must_use]
pub fn min_provider_collateral(padded: u64) -> AttoFil {
    /// 750 million FIL.
    const CIRCULATING: u128 = 750_000_000 * 1_000_000_000_000_000_000;
    /// 25 EiB.
    const POWER: u128 = 25 << 60;
    AttoFil(CIRCULATING / 100 * u128::from(padded) / POWER)
}
