//! A7: a copy is replaced only after the node was told enough. A loss needs both witnesses at one finalized tipset; a
//! fault must have been seen in two rounds and be old enough in the later one. A lie or a failed look tells nothing.

use super::Asked;
use super::copies::{Copies, Copy};
use std::collections::{BTreeMap, BTreeSet};

/// A sector: provider and number.
type Sector = (u64, u64);

/// What the node was told, by tipset; with the epoch at which it heard it first.
pub struct Evidence {
    asked: Asked,
    faulty: BTreeMap<Sector, BTreeMap<i64, i64>>,
    dead: BTreeMap<Sector, BTreeMap<i64, i64>>,
    gone: BTreeMap<u64, BTreeMap<i64, i64>>,
    /// Deals that the node was ever shown as active.
    active: BTreeSet<u64>,
}

impl Evidence {
    pub fn new(asked: Asked) -> Self {
        Self {
            asked,
            faulty: BTreeMap::new(),
            dead: BTreeMap::new(),
            gone: BTreeMap::new(),
            active: BTreeSet::new(),
        }
    }

    pub fn faulty(&mut self, at: i64, tipset: i64, sector: Sector) {
        self.faulty.entry(sector).or_default().entry(tipset).or_insert(at);
    }

    pub fn dead(&mut self, at: i64, tipset: i64, sector: Sector) {
        self.dead.entry(sector).or_default().entry(tipset).or_insert(at);
    }

    pub fn active(&mut self, deal: u64) {
        self.active.insert(deal);
    }

    /// Whether the node was ever shown the deal as active.
    pub fn is_shown(&self, deal: u64) -> bool {
        self.active.contains(&deal)
    }

    pub fn gone(&mut self, at: i64, tipset: i64, deal: u64) {
        self.gone.entry(deal).or_default().entry(tipset).or_insert(at);
    }

    /// An order now must have a place that the node may know to be free.
    pub fn needed(&self, piece: &str, epoch: i64, copies: &Copies) -> Result<(), String> {
        let unknown: Vec<&Copy> = copies
            .of(piece)
            .iter()
            .filter(|copy| !copies.stands(copy, epoch) && !self.is_known(copy, epoch, copies))
            .collect();
        if copies.standing(piece, epoch) + unknown.len() < self.asked.target {
            return Ok(());
        }
        let faulty = unknown.iter().filter_map(|copy| self.faulty.get(&copy.at()?)).collect::<Vec<_>>();
        Err(format!(
            "A7: at {epoch} a copy of {piece} was replaced before the node was told enough of it: {unknown:#?}\n\
             seen faulty {faulty:?}"
        ))
    }

    /// Whether the node was told that `copy`, which does not stand, does not.
    fn is_known(&self, copy: &Copy, epoch: i64, copies: &Copies) -> bool {
        if copy.is_over_by_itself(&self.asked, epoch) || copy.place.end <= epoch {
            return true;
        }
        let (Some(sector), Some(deal)) = (copy.at(), copy.deal) else { return true };
        let lost = || {
            let (dead, gone) = (self.dead.get(&sector)?, self.gone.get(&deal)?);
            let told = dead.iter().filter(|(_, at)| **at <= epoch);
            let both = told.filter(|(tipset, _)| gone.get(tipset).is_some_and(|at| *at <= epoch));
            both.map(|(tipset, _)| *tipset).next()
        };
        // A deal that became active and went while nobody looked has no sector that the node could ask for: it is lost
        // once its start is final and it is seen to be gone.
        let unseen = || {
            let mut gone = self.gone.get(&deal).into_iter().flatten();
            let after = |(tipset, at): (&i64, &i64)| *tipset > copy.place.start && *at <= epoch;
            !self.active.contains(&deal) && gone.any(after)
        };
        lost().is_some() || unseen() || self.is_suspect(copy, sector, epoch, copies)
    }

    /// Whether the fault of now was told in two rounds, the later of them old enough.
    fn is_suspect(&self, copy: &Copy, sector: Sector, epoch: i64, copies: &Copies) -> bool {
        let (Some(since), Some(told)) = (copies.faulty_since(copy, epoch), self.faulty.get(&sector)) else {
            return false;
        };
        let seen: BTreeSet<i64> =
            told.range(since..).filter(|(_, at)| **at <= epoch).map(|(tipset, _)| *tipset).collect();
        seen.len() >= 2 && seen.last().is_some_and(|last| last - since >= self.asked.repair_after)
    }
}
