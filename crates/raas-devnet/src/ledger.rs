//! The record of all that happened: signed, accepted, published, activated, paid, faulted, terminated, attested.
//!
//! Owner: the [`crate::world::World`], which alone appends. Entries of one epoch are kept in canonical order
//! (by their own bytes), so that the hash does not depend on the order in which requests arrived.

use raas_core::ids::{ActorId, DealId, ProviderId, SectorNumber};
use raas_core::units::AttoFil;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// One thing that happened, in the words of the chain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[allow(missing_docs, reason = "the fields are the chain's own, named as there")]
pub enum Fact {
    /// A provider received a signed proposal and answered, whatever it answered.
    Proposed {
        provider: ProviderId,
        deal_uuid: String,
        proposal_cid: String,
        piece_cid: String,
        piece_size: u64,
        client: String,
        label: String,
        start_epoch: i64,
        end_epoch: i64,
        price_per_epoch: AttoFil,
        accepted: bool,
        message: String,
    },
    /// A provider has the bytes and their commitment is right.
    Transferred { provider: ProviderId, deal_uuid: String, proposal_cid: String },
    /// A transfer failed for good.
    TransferFailed { provider: ProviderId, deal_uuid: String, proposal_cid: String, reason: String },
    /// A deal got its id.
    Published {
        deal_id: DealId,
        provider: ProviderId,
        operator: ActorId,
        client: ActorId,
        proposal_cid: String,
        piece_cid: String,
        piece_size: u64,
        label: String,
        start_epoch: i64,
        end_epoch: i64,
        price_per_epoch: AttoFil,
        provider_collateral: AttoFil,
    },
    /// A proposal in a publish message was skipped by the market.
    PublishSkipped { provider: ProviderId, proposal_cid: String, reason: String },
    /// A deal's sector was proven.
    Activated {
        deal_id: DealId,
        provider: ProviderId,
        operator: ActorId,
        piece_cid: String,
        sector: SectorNumber,
    },
    /// A deal's time was over (it stays in state until settled).
    Ended { deal_id: DealId, provider: ProviderId, piece_cid: String },
    /// A deal missed its start epoch and can never activate.
    NeverActivated { deal_id: DealId, provider: ProviderId, piece_cid: String },
    /// A never-activated deal's record was removed.
    CleanedUp { deal_id: DealId, provider: ProviderId },
    /// A deal was lost with its sector.
    Terminated { deal_id: DealId, provider: ProviderId, operator: ActorId, piece_cid: String, by_cron: bool },
    /// Payment for storage moved from a client's escrow to the provider's.
    Paid { deal_id: DealId, client: ActorId, provider: ProviderId, amount: AttoFil, completed: bool },
    /// A sector became faulty.
    Faulted { provider: ProviderId, sector: SectorNumber },
    /// A sector was proven again.
    Recovered { provider: ProviderId, sector: SectorNumber },
    /// A sector was terminated.
    SectorTerminated { provider: ProviderId, sector: SectorNumber, by_cron: bool },
    /// Escrow grew.
    BalanceAdded { account: ActorId, amount: AttoFil },
    /// Escrow was taken back.
    BalanceWithdrawn { account: ActorId, amount: AttoFil },
    /// The faucet gave.
    Funded { address: String, amount: AttoFil },
    /// A native message was executed.
    Message { cid: String, from: ActorId, to: ActorId, method: u64, exit: i64 },
    /// An Ethereum transaction was executed; `selector` is the first four bytes of its data.
    Transaction {
        hash: String,
        from: String,
        to: Option<String>,
        nonce: u64,
        selector: String,
        success: bool,
    },
    /// A contract emitted a log.
    Log { contract: String, topics: Vec<String>, data: String },
    /// The tipsets above `base` were left for another branch. Facts of what messages and cron did in them are gone from
    /// here, and those of the new branch stand in their place; what happened outside the chain stays.
    Reorganised { base: i64, reverted: u64 },
}

impl Fact {
    /// Whether it happened outside the chain, so that no reorganisation undoes it.
    #[must_use]
    pub const fn is_off_chain(&self) -> bool {
        matches!(
            self,
            Self::Proposed { .. }
                | Self::Transferred { .. }
                | Self::TransferFailed { .. }
                | Self::Funded { .. }
                | Self::Reorganised { .. }
        )
    }
}

/// A fact and the epoch of the tipset (or of the cron) in which it happened.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub epoch: i64,
    /// What.
    #[serde(flatten)]
    pub fact: Fact,
}

/// All facts so far.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// On the heap: a fact takes its place among tens of thousands of its epoch.
    #[expect(clippy::vec_box, reason = "entries move when one is put between them")]
    entries: Vec<Box<Entry>>,
}

impl Ledger {
    /// Appends a fact in its canonical place within its epoch.
    pub fn record(&mut self, epoch: i64, fact: Fact) {
        let epoch = self.entries.last().map_or(epoch, |last| last.epoch.max(epoch));
        let entry = Box::new(Entry { epoch, fact });
        let place = self.entries.partition_point(|other| *other <= entry);
        self.entries.insert(place, entry);
    }

    /// Takes out every fact after `epoch` and answers those that did not happen on chain.
    pub(crate) fn revert(&mut self, epoch: i64) -> Vec<Entry> {
        let left = self.entries.partition_point(|entry| entry.epoch <= epoch);
        let mut after = self.entries.split_off(left);
        after.retain(|entry| entry.fact.is_off_chain());
        after.into_iter().map(|entry| *entry).collect()
    }

    /// How many facts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing has happened yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Every entry from `index` on.
    #[must_use]
    pub fn since(&self, index: usize) -> &[Box<Entry>] {
        self.entries.get(index..).unwrap_or_default()
    }

    /// sha2-256 over the entries, as lower-case hex.
    #[must_use]
    pub fn hash(&self) -> String {
        self.hash_of(self.entries.len())
    }

    /// The same over the first `count` of them.
    #[must_use]
    pub fn hash_of(&self, count: usize) -> String {
        let mut hasher = Sha256::new();
        for entry in self.entries.iter().take(count) {
            let line = serde_json::to_vec(entry).expect("facts have only strings and numbers");
            hasher.update(line);
            hasher.update(b"\n");
        }
        hex::encode(hasher.finalize())
    }
}
