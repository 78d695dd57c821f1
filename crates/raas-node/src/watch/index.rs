//! [`FleetIndex`]: all shelves, the wakes, and how they follow the store.

use super::queue::{Doomed, Queue, Turned};
use super::shelf::{Row, Shelf, Shelves};
use super::touched::Touched;
use super::wakes::Wakes;
use crate::store::{Error, Mark, Store, StoredOrder, Watched};
use raas_core::fleet::Census;
use raas_core::ids::{HoldingId, ProviderId, SectorNumber};
use raas_core::observation::ProviderView;
use raas_core::order::OrderState;
use raas_core::units::Epoch;
use std::collections::{BTreeMap, BTreeSet};

/// The fleet in memory.
#[derive(Debug, Default)]
pub struct FleetIndex {
    /// By provider.
    pub shelves: Shelves,
    /// By holding.
    pub wakes: Wakes,
    /// What the last round saw and has not written yet.
    pub queue: Queue,
    /// Providers whose views are not stored yet: a process that starts again has to look at them again.
    unstored: BTreeSet<ProviderId>,
    /// Where the sample of deals that shows a market which does not forget goes on.
    pub sampled: usize,
    /// Holdings to be planned because something touched them.
    pub touched: Touched,
    /// The feed's number up to which rows are in step.
    seq: i64,
}

impl FleetIndex {
    /// Reads the store once.
    pub async fn load(store: &Store) -> Result<Self, Error> {
        // The feed first: what is touched meanwhile is read twice, never missed.
        let mut index = Self::default();
        for (seq, holding) in store.touched(0).await? {
            index.touched.note(seq, holding);
            index.seq = seq;
        }
        index.wakes = Wakes::new(store.wakes().await?);
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
        let touched = store.touched(self.seq).await?;
        if touched.is_empty() {
            return Ok(());
        }
        let holdings: Vec<HoldingId> = touched.iter().map(|(_, holding)| *holding).collect();
        for row in store.watched_of(&holdings).await? {
            self.put(&row);
        }
        for (seq, holding) in touched {
            self.touched.note(seq, holding);
            self.seq = seq;
        }
        Ok(())
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

    /// Puts orders in the states that a round gave them.
    pub fn turn_all<'a>(&mut self, turned: impl Iterator<Item = (&'a StoredOrder, &'a OrderState)>) {
        let mut rows: BTreeMap<ProviderId, Vec<Watched>> = BTreeMap::new();
        for (stored, state) in turned {
            rows.entry(stored.order.provider).or_default().push(watched(stored, state));
        }
        for (provider, rows) in rows {
            let Some(shelf) = self.shelves.get_mut(&provider) else {
                rows.iter().for_each(|row| self.put(row));
                continue;
            };
            shelf.put_all(&rows);
            if shelf.is_empty() {
                self.shelves.remove(&provider);
            }
        }
    }

    /// Puts an order in the state that a round gave it.
    pub fn turn(&mut self, stored: &StoredOrder, state: &OrderState) {
        self.put(&watched(stored, state));
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

    /// The views that can be stored, of those that are other than `before`: not while the queue holds what they found.
    pub fn views_to_store(
        &mut self,
        before: &BTreeMap<ProviderId, ProviderView>,
    ) -> Vec<(ProviderId, ProviderView)> {
        let queued = self.queue.providers();
        let mut ready = Vec::new();
        for (provider, shelf) in &self.shelves {
            if before.get(provider) == Some(&shelf.view) && !self.unstored.contains(provider) {
                continue;
            }
            if queued.contains(provider) {
                self.unstored.insert(*provider);
            } else {
                self.unstored.remove(provider);
                ready.push((*provider, shelf.view));
            }
        }
        ready
    }

    /// Queues the replicas in `dead` sectors, in order, of `provider`.
    pub fn doom(&mut self, provider: ProviderId, dead: &[SectorNumber]) {
        let Some(shelf) = self.shelves.get(&provider) else { return };
        let rows = shelf.in_sectors(dead).into_iter();
        self.queue.doom(rows.map(|row| Doomed { order: row.order, provider, replica: row.replica }));
    }

    /// What a round before the one at `height` left in the queue is looked at anew.
    pub fn look_again(&mut self, height: Epoch) {
        let (doomed, turned) = self.queue.end();
        for Doomed { provider, .. } in doomed {
            if let Some(shelf) = self.shelves.get_mut(&provider) {
                shelf.lives_due = true;
            }
        }
        for Turned { provider, .. } in turned {
            if let Some(shelf) = self.shelves.get_mut(&provider) {
                shelf.faults_due.insert(height);
            }
        }
    }

    /// Holdings whose wake has come.
    #[must_use]
    pub fn woken(&self, head: Epoch) -> Vec<HoldingId> {
        self.wakes.due(head)
    }
}

fn watched(stored: &StoredOrder, state: &OrderState) -> Watched {
    let on_chain = state.on_chain();
    Watched {
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
    }
}
