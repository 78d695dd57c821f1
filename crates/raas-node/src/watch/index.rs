//! [`FleetIndex`]: all shelves, the wakes, and how they follow the store.

use super::shelf::{Row, Shelf, Shelves};
use super::wakes::Wakes;
use crate::store::{Error, Mark, Store, StoredOrder, Watched};
use raas_core::fleet::Census;
use raas_core::ids::{HoldingId, OrderId, ProviderId, SectorNumber};
use raas_core::observation::{ProviderView, Round};
use raas_core::order::{OrderState, ReplicaRef};
use raas_core::units::Epoch;
use std::collections::{BTreeMap, VecDeque};

/// A replica whose sector was seen dead at the round's tipset; the market has not been asked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doomed {
    /// Which order.
    pub order: OrderId,
    /// What it is on chain.
    pub replica: ReplicaRef,
}

/// The fleet in memory.
#[derive(Debug, Default)]
pub struct FleetIndex {
    /// By provider.
    pub shelves: Shelves,
    /// By holding.
    pub wakes: Wakes,
    /// Seen dead in the round of this tipset, to be confirmed by the market.
    pub doomed: VecDeque<Doomed>,
    /// The tipset of `doomed`.
    pub doomed_at: Option<String>,
    /// Where the sample of deals that shows a market which does not forget goes on.
    pub sampled: usize,
    /// The feed's number up to which rows are in step.
    seq: i64,
}

impl FleetIndex {
    /// Reads the store once.
    pub async fn load(store: &Store) -> Result<Self, Error> {
        // The number first: what is touched meanwhile is read twice, never missed.
        let seq = store.dirty(0, i64::MAX).await?.to;
        let mut index = Self { wakes: Wakes::new(store.wakes().await?), seq, ..Self::default() };
        let shelves = &mut index.shelves;
        store
            .each_watched(&mut |row| {
                shelves.entry(row.provider).or_insert_with(|| Shelf::new(row.operator)).push(&row);
            })
            .await?;
        for (provider, view) in store.views().await? {
            if let Some(shelf) = index.shelves.get_mut(&provider) {
                shelf.view = view;
            }
        }
        index.shelves.values_mut().for_each(Shelf::shrink);
        Ok(index)
    }

    /// Takes over what transactions touched since the last time.
    pub async fn sync(&mut self, store: &Store) -> Result<(), Error> {
        let dirty = store.dirty(self.seq, i64::MAX).await?;
        if dirty.holdings.is_empty() {
            return Ok(());
        }
        for row in store.watched_of(&dirty.holdings).await? {
            self.put(&row);
        }
        self.seq = dirty.to;
        Ok(())
    }

    /// Up to which number of the feed the rows are in step.
    #[must_use]
    pub const fn synced_to(&self) -> i64 {
        self.seq
    }

    /// Puts one order where it belongs.
    pub fn put(&mut self, row: &Watched) {
        if row.mark == Mark::Unwatched && !self.shelves.contains_key(&row.provider) {
            return;
        }
        let shelf = self.shelves.entry(row.provider).or_insert_with(|| Shelf::new(row.operator));
        shelf.put(row);
        if shelf.is_empty() {
            self.shelves.remove(&row.provider);
        }
    }

    /// Puts an order in the state that a round gave it.
    pub fn turn(&mut self, stored: &StoredOrder, state: &OrderState) {
        let on_chain = state.on_chain();
        self.put(&Watched {
            order: stored.order.id,
            provider: stored.order.provider,
            operator: stored.order.operator,
            deal: on_chain.and_then(|on_chain| on_chain.replica.deal()),
            sector: on_chain.and_then(|on_chain| on_chain.sector),
            mark: Mark::of(state),
            start: on_chain.map_or(Epoch(0), |on_chain| on_chain.term.start),
            end: on_chain.map_or(Epoch(0), |on_chain| on_chain.term.end),
            fault: on_chain
                .and_then(|on_chain| on_chain.health.fault)
                .map(|fault| (fault.since, fault.first_round)),
            places: u32::try_from(stored.slots.len()).unwrap_or(u32::MAX),
        });
    }

    /// Slots by provider, for the storm breaker.
    #[must_use]
    pub fn census(&self, height: Epoch) -> Census {
        let rows = self.shelves.iter().filter(|(_, shelf)| shelf.active() > 0);
        Census {
            providers: rows
                .map(|(provider, shelf)| (*provider, (shelf.operator, shelf.census(height))))
                .collect(),
        }
    }

    /// Active replicas.
    #[must_use]
    pub fn replicas(&self) -> usize {
        self.shelves.values().map(Shelf::active).sum()
    }

    /// Whether any replica waits for its activation.
    #[must_use]
    pub fn any_pending(&self) -> bool {
        self.shelves.values().any(|shelf| !shelf.pending.is_empty())
    }

    /// Whether the next round decides about some replica.
    #[must_use]
    pub fn any_doomed(&self) -> bool {
        self.shelves.values().any(Shelf::has_doomed)
    }

    /// Up to `count` active replicas, other ones each time.
    pub fn sample(&mut self, count: usize) -> Vec<(ProviderId, Row)> {
        let all = self.replicas();
        let mut found = Vec::new();
        for step in 0..count.min(all) {
            // A stride that is prime to most sizes goes over the whole fleet, not along one provider.
            let mut at = (self.sampled + step).wrapping_mul(7_919) % all;
            for (provider, shelf) in &self.shelves {
                if at < shelf.active() {
                    found.extend(shelf.row(at).map(|row| (*provider, row)));
                    break;
                }
                at -= shelf.active();
            }
        }
        self.sampled = (self.sampled + count) % all.max(1);
        found
    }

    /// What the last looks found, by provider.
    #[must_use]
    pub fn views(&self) -> BTreeMap<ProviderId, ProviderView> {
        self.shelves.iter().map(|(provider, shelf)| (*provider, shelf.view)).collect()
    }

    /// Queues the replicas in `dead` sectors, in order, of `provider`.
    pub fn doom(&mut self, round: &Round, provider: ProviderId, dead: &[SectorNumber]) {
        if self.doomed_at.as_deref() != Some(round.tipset.as_str()) {
            self.doomed.clear();
            self.doomed_at = Some(round.tipset.clone());
        }
        let Some(shelf) = self.shelves.get(&provider) else { return };
        let rows = shelf.in_sectors(dead);
        self.doomed.extend(rows.into_iter().map(|row| Doomed { order: row.order, replica: row.replica }));
    }

    /// The next of those queued in `round`, at most `count`.
    pub fn next_doomed(&mut self, round: &Round, count: usize) -> Vec<Doomed> {
        if self.doomed_at.as_deref() != Some(round.tipset.as_str()) {
            self.doomed.clear();
        }
        let count = count.min(self.doomed.len());
        self.doomed.drain(..count).collect()
    }

    /// Holdings whose wake has come.
    #[must_use]
    pub fn woken(&self, head: Epoch) -> Vec<HoldingId> {
        self.wakes.due(head)
    }
}
