//! One provider's replicas as columns, sorted by sector and order: 31 bytes a replica.

use crate::store::{Mark, Watched};
use raas_core::fleet::SlotCensus;
use raas_core::ids::{DealId, OperatorId, OrderId, ProviderId, SectorNumber};
use raas_core::observation::ProviderView;
use raas_core::order::ReplicaRef;
use raas_core::units::{EPOCHS_PER_DAY, Epoch};
use std::collections::{BTreeMap, BTreeSet};

/// An active replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which order.
    pub order: OrderId,
    /// What it is on chain.
    pub replica: ReplicaRef,
    /// Its sector.
    pub sector: SectorNumber,
    /// First epoch after its term.
    pub end: Epoch,
    /// How it stands.
    pub mark: Mark,
}

/// A replica that is published and not active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Its deal.
    pub deal: DealId,
    /// Activation must not be later.
    pub start: Epoch,
    /// Height of the last look at it.
    pub read_at: Option<Epoch>,
}

/// What is known of a suspect.
#[derive(Clone, Copy, Debug)]
struct Fault {
    since: Epoch,
    /// The first round that saw it.
    first: Epoch,
    places: u8,
}

/// No market gives this id.
const NO_DEAL: DealId = DealId(u64::MAX);

/// All watched replicas of one provider.
#[derive(Debug)]
pub struct Shelf {
    /// Who runs it.
    pub operator: OperatorId,
    sectors: Vec<SectorNumber>,
    orders: Vec<OrderId>,
    /// [`NO_DEAL`] for a piece that is in its sector without one.
    deals: Vec<DealId>,
    ends: Vec<u32>,
    marks: Vec<Mark>,
    places: Vec<u8>,
    /// Suspects.
    faults: BTreeMap<OrderId, Fault>,
    /// Published, not active.
    pub pending: BTreeMap<OrderId, Pending>,
    /// What the last looks found.
    pub view: ProviderView,
    /// Finalized heights at which its faults have to be read: the patience with a suspect is over.
    pub faults_due: BTreeSet<Epoch>,
    /// Something says that a sector does not live any more.
    pub lives_due: bool,
}

impl Shelf {
    /// An empty one.
    #[must_use]
    pub fn new(operator: OperatorId) -> Self {
        Self {
            operator,
            sectors: Vec::new(),
            orders: Vec::new(),
            deals: Vec::new(),
            ends: Vec::new(),
            marks: Vec::new(),
            places: Vec::new(),
            faults: BTreeMap::new(),
            pending: BTreeMap::new(),
            view: ProviderView::default(),
            faults_due: BTreeSet::new(),
            lives_due: false,
        }
    }

    /// Active replicas.
    #[must_use]
    pub fn active(&self) -> usize {
        self.orders.len()
    }

    /// Whether there is nothing to watch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.orders.is_empty() && self.pending.is_empty()
    }

    /// Sectors of the active replicas, in order; one for each of them.
    #[must_use]
    pub fn sectors(&self) -> &[SectorNumber] {
        &self.sectors
    }

    /// Sectors of the suspects, in order.
    #[must_use]
    pub fn known_faulty(&self) -> Vec<SectorNumber> {
        let rows = self.marks.iter().zip(&self.sectors);
        rows.filter(|(mark, _)| **mark == Mark::Suspect).map(|(_, sector)| *sector).collect()
    }

    /// Whether the next round decides about some replica.
    #[must_use]
    pub fn has_doomed(&self) -> bool {
        self.marks.contains(&Mark::Doomed)
    }

    /// Suspect replicas.
    #[must_use]
    pub fn suspects(&self) -> usize {
        self.faults.len()
    }

    /// When the fault of `order` began, and the first round that saw it.
    #[must_use]
    pub fn fault(&self, order: OrderId) -> Option<(Epoch, Epoch)> {
        self.faults.get(&order).map(|fault| (fault.since, fault.first))
    }

    /// Active replicas in order of their sectors.
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        (0..self.active()).filter_map(|at| self.row(at))
    }

    /// How an active replica stands.
    #[must_use]
    pub fn mark(&self, sector: SectorNumber, order: OrderId) -> Option<Mark> {
        self.position(sector, order).and_then(|at| self.marks.get(at)).copied()
    }

    /// The position of an active replica.
    #[must_use]
    pub fn position(&self, sector: SectorNumber, order: OrderId) -> Option<usize> {
        self.find(sector, order).ok()
    }

    /// The replica at a position.
    #[must_use]
    pub fn row(&self, at: usize) -> Option<Row> {
        let sector = *self.sectors.get(at)?;
        let replica = match *self.deals.get(at)? {
            NO_DEAL => ReplicaRef::Sector { sector },
            deal => ReplicaRef::Deal(deal),
        };
        Some(Row {
            order: *self.orders.get(at)?,
            replica,
            sector,
            end: Epoch(i64::from(*self.ends.get(at)?)),
            mark: *self.marks.get(at)?,
        })
    }

    /// Replicas whose term is over at `height`, or of which nothing can be said: they are read singly.
    pub fn to_settle(&self, height: Epoch) -> impl Iterator<Item = Row> {
        let now = end_column(height);
        let rows = self.ends.iter().zip(&self.marks).enumerate();
        rows.filter(move |(_, (end, mark))| **end <= now || mark.is_doubtful())
            .filter_map(|(at, _)| self.row(at))
    }

    /// Copies without a deal whose sector ends before `end`: only the miner's table tells when it is extended.
    pub fn ending_sectors(&self, end: Epoch) -> impl Iterator<Item = Row> {
        let end = end_column(end);
        let rows = self.deals.iter().zip(&self.ends).enumerate();
        rows.filter(move |(_, (deal, at))| **deal == NO_DEAL && **at < end).filter_map(|(at, _)| self.row(at))
    }

    /// Replicas in one of `sectors`, which are in order.
    #[must_use]
    pub fn in_sectors(&self, sectors: &[SectorNumber]) -> Vec<Row> {
        let mut found = Vec::new();
        for sector in sectors {
            let from = self.sectors.partition_point(|other| other < sector);
            found.extend(
                (from..self.active()).map_while(|at| self.row(at).filter(|row| row.sector == *sector)),
            );
        }
        found
    }

    /// Adds a row at the end; rows must come in order of sector and order.
    pub(super) fn push(&mut self, row: &Watched) {
        let Some(sector) = active_sector(row) else { return self.put_pending(row) };
        self.sectors.push(sector);
        self.orders.push(row.order);
        self.deals.push(row.deal.unwrap_or(NO_DEAL));
        self.ends.push(end_column(row.end));
        self.marks.push(row.mark);
        self.places.push(places(row));
        self.note_fault(row);
    }

    /// Puts `row` where it belongs, in place of whatever was known of its order.
    pub(super) fn put(&mut self, row: &Watched) {
        let known = row.sector.map(|sector| self.find(sector, row.order));
        self.faults.remove(&row.order);
        if active_sector(row).is_none() {
            if let Some(Ok(at)) = known {
                self.remove_at(at);
            }
            let before = self.pending.remove(&row.order);
            if row.mark != Mark::Unwatched {
                self.put_pending(row);
                if let (Some(before), Some(now)) = (before, self.pending.get_mut(&row.order)) {
                    now.read_at = before.read_at;
                }
            }
            return;
        }
        self.pending.remove(&row.order);
        self.note_fault(row);
        match (known, row.sector) {
            (Some(Ok(at)), _) => {
                if let (Some(end), Some(mark), Some(slots)) =
                    (self.ends.get_mut(at), self.marks.get_mut(at), self.places.get_mut(at))
                {
                    (*end, *mark, *slots) = (end_column(row.end), row.mark, places(row));
                }
            }
            (Some(Err(at)), Some(sector)) => {
                self.sectors.insert(at, sector);
                self.orders.insert(at, row.order);
                self.deals.insert(at, row.deal.unwrap_or(NO_DEAL));
                self.ends.insert(at, end_column(row.end));
                self.marks.insert(at, row.mark);
                self.places.insert(at, places(row));
            }
            _ => {}
        }
    }

    fn put_pending(&mut self, row: &Watched) {
        // What is in its sector without a deal is never waited for.
        let Some(deal) = row.deal else { return };
        self.pending.insert(row.order, Pending { deal, start: row.start, read_at: None });
    }

    fn note_fault(&mut self, row: &Watched) {
        if let (Mark::Suspect, Some((since, first))) = (row.mark, row.fault) {
            self.faults.insert(row.order, Fault { since, first, places: places(row) });
        }
    }

    fn find(&self, sector: SectorNumber, order: OrderId) -> Result<usize, usize> {
        let from = self.sectors.partition_point(|other| *other < sector);
        let same = self.sectors.get(from..).unwrap_or_default().partition_point(|other| *other == sector);
        let orders = self.orders.get(from..from + same).unwrap_or_default();
        orders.binary_search(&order).map(|at| from + at).map_err(|at| from + at)
    }

    /// Puts all of `rows`. Those that leave do so together: each alone would move all that come after it.
    pub(super) fn put_all(&mut self, rows: &[Watched]) {
        let mut leaving = Vec::new();
        for row in rows {
            match row.sector.filter(|_| row.mark == Mark::Unwatched) {
                Some(sector) => leaving.push((sector, row.order)),
                None => self.put(row),
            }
        }
        for (_, order) in &leaving {
            self.faults.remove(order);
            self.pending.remove(order);
        }
        let at = leaving.iter().filter_map(|(sector, order)| self.position(*sector, *order));
        let at: BTreeSet<usize> = at.collect();
        if !at.is_empty() {
            leave(&mut self.sectors, &at);
            leave(&mut self.orders, &at);
            leave(&mut self.deals, &at);
            leave(&mut self.ends, &at);
            leave(&mut self.marks, &at);
            leave(&mut self.places, &at);
        }
    }

    fn remove_at(&mut self, at: usize) {
        self.sectors.remove(at);
        self.orders.remove(at);
        self.deals.remove(at);
        self.ends.remove(at);
        self.marks.remove(at);
        self.places.remove(at);
    }

    pub(super) fn shrink(&mut self) {
        self.sectors.shrink_to_fit();
        self.orders.shrink_to_fit();
        self.deals.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.marks.shrink_to_fit();
        self.places.shrink_to_fit();
    }

    /// Slots by what the breaker counts, at the finalized `height`.
    #[must_use]
    pub fn census(&self, height: Epoch) -> SlotCensus {
        let is_new = |fault: &&Fault| height.0 - fault.first.0 < EPOCHS_PER_DAY;
        SlotCensus {
            slots: self.places.iter().copied().map(u32::from).sum(),
            suspect: self.faults.values().map(|fault| u32::from(fault.places)).sum(),
            newly_suspect: self.faults.values().filter(is_new).map(|fault| u32::from(fault.places)).sum(),
        }
    }

    /// Whether any of its replicas is faulty, as far as anybody can see.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.faults.is_empty() && self.view.unseen.is_none()
    }
}

/// Takes the positions `gone` out of a column.
fn leave<T>(column: &mut Vec<T>, gone: &BTreeSet<usize>) {
    let (mut at, mut gone) = (0, gone.iter().peekable());
    column.retain(|_| {
        let stays = gone.next_if_eq(&&at).is_none();
        at += 1;
        stays
    });
}

fn active_sector(row: &Watched) -> Option<SectorNumber> {
    match row.mark {
        Mark::Proven | Mark::Suspect | Mark::Unknown | Mark::Doomed => row.sector,
        Mark::Pending | Mark::Unwatched => None,
    }
}

/// Epochs fit: 2^32 of them are 4,000 years.
fn end_column(epoch: Epoch) -> u32 {
    u32::try_from(epoch.0.max(0)).unwrap_or(u32::MAX)
}

/// More than 255 places under one order count as 255: the breaker looks at shares.
fn places(row: &Watched) -> u8 {
    u8::try_from(row.places).unwrap_or(u8::MAX)
}

/// Shelves by provider.
pub type Shelves = BTreeMap<ProviderId, Shelf>;
