//! What the verified registry f06 and its token f07 hold: DataCap, allocations that wait for a miner, and the claims
//! that miners made of them.

use super::timeline::{StateAt, Timeline};
use cid::Cid;
use raas_core::ids::{ActorId, ProviderId, SectorNumber};
use std::collections::BTreeMap;

/// DataCap that a client set aside for a piece at a provider; the provider claims it by proving the piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// Its number; that of the claim too.
    pub id: u64,
    /// Whose DataCap.
    pub client: ActorId,
    /// Who may claim it.
    pub provider: ProviderId,
    /// The piece.
    pub data: Cid,
    /// Padded bytes.
    pub size: u64,
    /// Shortest and longest term in epochs.
    pub term: (i64, i64),
    /// The last epoch in which it can be claimed, and the first in which anybody may remove it.
    pub expiration: i64,
}

/// A claim: a provider's promise to store a client's piece. It says nothing of whether the sector still lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its number, that of the allocation it came from.
    pub id: u64,
    /// Who stores.
    pub provider: ProviderId,
    /// For whom.
    pub client: ActorId,
    /// The piece.
    pub data: Cid,
    /// Padded bytes.
    pub size: u64,
    /// Shortest and longest term in epochs.
    pub term: (i64, i64),
    /// Where the term begins.
    pub start: i64,
    /// The sector in which it was claimed.
    pub sector: SectorNumber,
}

impl Claim {
    /// The epoch from which on anybody may remove it.
    pub(super) const fn expiration(&self) -> i64 {
        self.start.saturating_add(self.term.1)
    }
}

/// A record that comes and may go.
type Record<T> = Timeline<Option<T>>;

/// Allocations, claims and DataCap over time.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    allocations: BTreeMap<(ActorId, u64), Record<Allocation>>,
    claims: BTreeMap<(ProviderId, u64), Record<Claim>>,
    /// In bytes.
    datacap: BTreeMap<ActorId, Timeline<u64>>,
    /// What the verifier may still give, in bytes.
    pub(super) allowance: Timeline<u64>,
}

impl Registry {
    /// An allocation in state `at`.
    #[must_use]
    pub fn allocation(&self, client: ActorId, id: u64, at: StateAt) -> Option<&Allocation> {
        self.allocations.get(&(client, id))?.get(at)?.as_ref()
    }

    /// All allocations of a client in state `at`.
    pub fn allocations(&self, client: ActorId, at: StateAt) -> impl Iterator<Item = &Allocation> {
        let own = self.allocations.range((client, 0)..=(client, u64::MAX));
        own.filter_map(move |(_, record)| record.get(at)?.as_ref())
    }

    /// All allocations in state `at`.
    pub fn all_allocations(&self, at: StateAt) -> impl Iterator<Item = &Allocation> {
        self.allocations.values().filter_map(move |record| record.get(at)?.as_ref())
    }

    /// A claim in state `at`.
    #[must_use]
    pub fn claim(&self, provider: ProviderId, id: u64, at: StateAt) -> Option<&Claim> {
        self.claims.get(&(provider, id))?.get(at)?.as_ref()
    }

    /// All claims of a provider in state `at`.
    pub fn claims(&self, provider: ProviderId, at: StateAt) -> impl Iterator<Item = &Claim> {
        let own = self.claims.range((provider, 0)..=(provider, u64::MAX));
        own.filter_map(move |(_, record)| record.get(at)?.as_ref())
    }

    /// The DataCap of an account in state `at`, in bytes.
    #[must_use]
    pub fn datacap(&self, account: ActorId, at: StateAt) -> u64 {
        self.datacap.get(&account).and_then(|line| line.get(at)).copied().unwrap_or_default()
    }

    /// Changes the DataCap of an account by a message of `epoch`; its new balance.
    pub(super) fn change(&mut self, account: ActorId, epoch: i64, change: impl FnOnce(u64) -> u64) -> u64 {
        let line = self.datacap.entry(account).or_default();
        let balance = change(line.latest().copied().unwrap_or_default());
        line.set(epoch, balance);
        balance
    }

    /// Writes an allocation; the next number is its own.
    pub(super) fn allocate(&mut self, epoch: i64, allocation: Allocation) -> Allocation {
        let allocation = Allocation { id: self.next(), ..allocation };
        let key = (allocation.client, allocation.id);
        self.allocations.entry(key).or_default().set(epoch, Some(allocation.clone()));
        allocation
    }

    /// Takes an allocation away, as it was.
    pub(super) fn take_allocation(&mut self, epoch: i64, client: ActorId, id: u64) -> Option<Allocation> {
        let record = self.allocations.get_mut(&(client, id))?;
        let taken = record.latest()?.clone();
        record.set(epoch, None);
        taken
    }

    /// Writes a claim, new or changed.
    pub(super) fn put_claim(&mut self, epoch: i64, claim: Claim) {
        self.claims.entry((claim.provider, claim.id)).or_default().set(epoch, Some(claim));
    }

    /// Takes a claim away, as it was.
    pub(super) fn take_claim(&mut self, epoch: i64, provider: ProviderId, id: u64) -> Option<Claim> {
        let record = self.claims.get_mut(&(provider, id))?;
        let taken = record.latest()?.clone();
        record.set(epoch, None);
        taken
    }

    /// The number of the next allocation. Records that are gone keep theirs.
    fn next(&self) -> u64 {
        self.allocations.keys().map(|(_, id)| *id).max().map_or(1, |last| last + 1)
    }

    pub(super) fn revert(&mut self, epoch: i64) {
        self.allocations.retain(|_, record| record.revert(epoch));
        self.claims.retain(|_, record| record.revert(epoch));
        self.datacap.retain(|_, line| line.revert(epoch));
        self.allowance.revert(epoch);
    }
}
