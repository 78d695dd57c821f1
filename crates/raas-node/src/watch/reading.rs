//! What a round looks at: paced by cost, news first.

use super::index::FleetIndex;
use super::shelf::Row;
use raas_core::ids::{DealId, OrderId, ProviderId, SectorNumber};
use raas_core::order::ReplicaRef;
use raas_core::sweep::{self, Candidate, Pace};
use raas_core::units::{Epoch, Epochs};
use std::collections::BTreeSet;

/// Faults of providers: a count, and the bitfield where it is not zero.
const FAULTS: Pace = Pace { per_epoch: 20, at_once: 16 };
/// Which sectors live: 48 deadlines, or the deals themselves where they are fewer.
const LIVES: Pace = Pace { per_epoch: 12, at_once: 24 };
/// Deals that wait for their activation.
const PENDING: Pace = Pace { per_epoch: 8, at_once: 16 };
/// Reading all partitions of a provider takes so many calls; for fewer deals these are read in their place.
pub const PARTITION_CALLS: usize = 48;
/// Deals read singly in one round, because their term is over or nothing can be said of them.
const SETTLED_MAX: usize = 2_000;
/// The ends of sectors that hold copies without deals are read again with the partitions, in the last part of their terms:
/// few policies renew earlier.
const TERMS_READ: Epochs = Epochs::days(180);
/// Known deals that are read in any case, so that a market which forgets is noticed.
const SAMPLE: usize = 3;

/// A copy that is read singly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Probe {
    /// The order behind it.
    pub order: OrderId,
    /// Where.
    pub provider: ProviderId,
    /// What it is on chain.
    pub replica: ReplicaRef,
    /// Its sector, once active.
    pub sector: Option<SectorNumber>,
    /// Its term is over: the market, or the miner's table, alone says so.
    pub over: bool,
}

/// What a round looks at.
#[derive(Debug, Default)]
pub struct Reading {
    /// Providers whose faults are read.
    pub faults: Vec<ProviderId>,
    /// Providers whose partitions are read.
    pub lives: Vec<ProviderId>,
    /// Providers all of whose copies are in `copies`, in place of their partitions.
    pub lives_by_copies: Vec<ProviderId>,
    /// Copies read singly, by order.
    pub copies: BTreeSet<Probe>,
}

/// What the round at `height` looks at, `elapsed` epochs after the last one. `named` are deals that events told of.
pub fn reading(
    index: &mut FleetIndex,
    height: Epoch,
    elapsed: i64,
    named: &BTreeSet<(ProviderId, DealId)>,
) -> Reading {
    let mut reading =
        Reading { faults: sweep::due(&faults(index, height), FAULTS, height, elapsed), ..Reading::default() };
    for provider in sweep::due(&lives(index), LIVES, height, elapsed) {
        let Some(shelf) = index.shelves.get(&provider) else { continue };
        if shelf.active() > PARTITION_CALLS {
            reading.lives.push(provider);
            let ending = shelf.ending_sectors(height.after(TERMS_READ));
            reading.copies.extend(ending.map(|row| probe(provider, row, height)));
        } else {
            reading.lives_by_copies.push(provider);
            reading.copies.extend(shelf.rows().map(|row| probe(provider, row, height)));
        }
    }
    let waiting = pending(index, height, named);
    let due: BTreeSet<OrderId> = sweep::due(&waiting, PENDING, height, elapsed).into_iter().collect();
    let mut settled = 0;
    for (provider, shelf) in &mut index.shelves {
        for (order, pending) in &mut shelf.pending {
            if due.contains(order) {
                pending.read_at = Some(height);
                reading.copies.insert(Probe {
                    order: *order,
                    provider: *provider,
                    replica: ReplicaRef::Deal(pending.deal),
                    sector: None,
                    over: false,
                });
            }
        }
        for row in shelf.to_settle(height).take(SETTLED_MAX.saturating_sub(settled)) {
            settled += 1;
            reading.copies.insert(probe(*provider, row, height));
        }
    }
    read_named(index, height, named, &mut reading);
    if !reading.copies.iter().any(|probe| probe.sector.is_some()) {
        reading
            .copies
            .extend(index.sample(SAMPLE).into_iter().map(|(provider, row)| probe(provider, row, height)));
    }
    reading
}

/// The finalized height at which a sweep is due next; `None` when everything is read in every round.
#[must_use]
pub fn next_look(index: &FleetIndex) -> Option<Epoch> {
    let none = BTreeSet::new();
    let looks = [
        sweep::next(&faults(index, Epoch(0)), FAULTS),
        sweep::next(&lives(index), LIVES),
        sweep::next(&pending(index, Epoch(0), &none), PENDING),
    ];
    looks.into_iter().flatten().min()
}

fn faults(index: &FleetIndex, height: Epoch) -> Vec<Candidate<ProviderId>> {
    let shelves = index.shelves.iter().filter(|(_, shelf)| shelf.active() > 0);
    shelves
        .map(|(provider, shelf)| Candidate {
            key: *provider,
            cost: if shelf.suspects() > 0 { 2 } else { 1 },
            read_at: shelf.view.faults_at,
            urgent: shelf.view.unseen.is_some() || shelf.faults_due.first().is_some_and(|due| height >= *due),
            lot: sweep::lot(*provider),
        })
        .collect()
}

fn lives(index: &FleetIndex) -> Vec<Candidate<ProviderId>> {
    let shelves = index.shelves.iter().filter(|(_, shelf)| shelf.active() > 0);
    shelves
        .map(|(provider, shelf)| Candidate {
            key: *provider,
            cost: shelf.active().min(PARTITION_CALLS) as u64,
            read_at: shelf.view.lives_at,
            urgent: shelf.lives_due,
            lot: sweep::lot(*provider),
        })
        .collect()
}

fn pending(
    index: &FleetIndex,
    height: Epoch,
    named: &BTreeSet<(ProviderId, DealId)>,
) -> Vec<Candidate<OrderId>> {
    let all = index.shelves.iter().flat_map(|(provider, shelf)| {
        shelf.pending.iter().map(move |(order, pending)| (*provider, *order, pending))
    });
    all.map(|(provider, order, pending)| Candidate {
        key: order,
        cost: 1,
        read_at: pending.read_at,
        urgent: pending.start < height || named.contains(&(provider, pending.deal)),
        lot: order.0,
    })
    .collect()
}

/// Active replicas whose deals events name: singly when they are few, by the partitions of their provider when they
/// are many. They are looked for in one pass over the provider's.
fn read_named(
    index: &FleetIndex,
    height: Epoch,
    named: &BTreeSet<(ProviderId, DealId)>,
    reading: &mut Reading,
) {
    let providers: BTreeSet<ProviderId> = named.iter().map(|(provider, _)| *provider).collect();
    for provider in providers {
        let Some(shelf) = index.shelves.get(&provider) else { continue };
        let is_named = |row: &Row| row.replica.deal().is_some_and(|deal| named.contains(&(provider, deal)));
        let rows: Vec<Row> = shelf.rows().filter(|row| is_named(row)).collect();
        if rows.len() <= PARTITION_CALLS {
            reading.copies.extend(rows.into_iter().map(|row| probe(provider, row, height)));
        } else if !reading.lives.contains(&provider) {
            reading.lives.push(provider);
        }
    }
}

fn probe(provider: ProviderId, row: Row, height: Epoch) -> Probe {
    let (order, replica) = (row.order, row.replica);
    Probe { order, provider, replica, sector: Some(row.sector), over: height >= row.end }
}
