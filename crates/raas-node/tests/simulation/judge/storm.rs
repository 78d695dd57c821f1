//! A8: repairs of lost copies are paced, and while many copies turn suspect at once only last copies are repaired, for a
//! day and then by a ramp that doubles each hour.
//!
//! The judge counts faults in its own books at each round that the node had. Where the node's count may differ by what
//! it has not seen yet, the judge calls a storm later and its end earlier, never the other way round.

use super::Asked;
use super::copies::{Copies, Copy, Replaced};
use std::collections::{BTreeMap, BTreeSet};

/// Fewer slots never trip a breaker.
const SLOTS_MIN: usize = 20;
const DAY: i64 = 2_880;
const HOUR: i64 = 120;
/// After so many hours the ramp lets everything through.
const RAMP_HOURS: i64 = 16;

/// A breaker that is open for certain.
#[derive(Clone, Copy, Debug)]
struct Open {
    since: i64,
    /// Repairs of suspects that were no last copies.
    started: u64,
}

/// The slots of one scope at one tipset.
#[derive(Clone, Debug, Default)]
struct Count {
    slots: usize,
    newly: usize,
    suspect: usize,
    operators: BTreeSet<u64>,
}

pub struct Storm {
    asked: Asked,
    signed: BTreeMap<String, i64>,
    /// Repairs of lost copies by window.
    windows: BTreeMap<i64, usize>,
    /// By provider, and 0 for the fleet.
    open: BTreeMap<u64, Open>,
    /// The first tipset at which the node may have opened it: in a round with lies it may have, or not.
    earliest: BTreeMap<u64, i64>,
    /// The last tipset at which a scope was in a storm.
    stormy: BTreeMap<u64, i64>,
    round: (i64, bool),
}

const FLEET: u64 = 0;

impl Storm {
    pub fn new(asked: Asked) -> Self {
        Self {
            asked,
            signed: BTreeMap::new(),
            windows: BTreeMap::new(),
            open: BTreeMap::new(),
            earliest: BTreeMap::new(),
            stormy: BTreeMap::new(),
            round: (0, false),
        }
    }

    pub fn signed(&mut self, at: i64, proposal: &str) {
        self.signed.insert(proposal.to_owned(), at);
    }

    /// The node looks at a finalized tipset.
    pub fn round(&mut self, tipset: i64, truthful: bool, copies: &Copies) {
        if self.round == (tipset, truthful) {
            return;
        }
        self.round = (tipset, truthful);
        let head = tipset + self.asked.finality_lag;
        let mut counts: BTreeMap<u64, Count> = BTreeMap::new();
        for copy in copies.all() {
            // Whatever may still have a slot counts as one, so that the share is rather too small.
            if copy.activated.is_none() || copy.gone.is_some() || copy.place.end <= tipset {
                continue;
            }
            let since = copies.faulty_since(copy, head);
            for scope in [FLEET, copy.place.provider] {
                let count = counts.entry(scope).or_default();
                count.slots += 1;
                if let Some(since) = since {
                    count.suspect += 1;
                    count.newly += usize::from(tipset - since < DAY);
                    count.operators.insert(copy.place.operator);
                }
            }
        }
        let scopes: BTreeSet<u64> = counts.keys().chain(self.open.keys()).copied().collect();
        for scope in scopes {
            let count = counts.remove(&scope).unwrap_or_default();
            let storms = |suspect: usize| match scope {
                FLEET => {
                    suspect * 100 > count.slots * 10 && suspect >= SLOTS_MIN && count.operators.len() >= 2
                }
                _ => count.slots >= SLOTS_MIN && suspect * 100 > count.slots * 25,
            };
            if storms(count.newly) {
                let calm = self.stormy.get(&scope).is_none_or(|last| tipset - last > 3 * DAY);
                if calm {
                    self.earliest.insert(scope, tipset);
                }
                self.stormy.insert(scope, tipset);
                if let (true, Some(since)) = (truthful, self.earliest.get(&scope).copied()) {
                    self.open.entry(scope).or_insert(Open { since, started: 0 });
                }
            } else if !storms(count.suspect) {
                self.open.remove(&scope);
                self.earliest.remove(&scope);
            }
        }
    }

    /// A repair must be allowed to start now. What it was, for coverage.
    pub fn repair(
        &mut self,
        epoch: i64,
        piece: &str,
        new: &Copy,
        replaced: &Replaced,
        copies: &Copies,
    ) -> Result<Option<&'static str>, String> {
        // It started when it was signed; the provider may hear of it later.
        let at = self.signed.get(&new.proposal).copied().unwrap_or(epoch);
        if replaced.lost {
            let window = at - at.rem_euclid(self.asked.pace_window);
            let started = self.windows.entry(window).or_default();
            *started += 1;
            return match *started {
                started if started > self.asked.repairs_per_window => Err(format!(
                    "A8: {started} repairs of lost copies started in the window from {window}, {} may",
                    self.asked.repairs_per_window
                )),
                started if started == self.asked.repairs_per_window => Ok(Some("the pace was reached")),
                _ => Ok(None),
            };
        }
        let finalized = at - self.asked.finality_lag;
        if !replaced.suspect || copies.proven_at(piece, finalized, at) <= 1 {
            return Ok(None);
        }
        for scope in [FLEET, replaced.copy.place.provider] {
            let Some(open) = self.open.get_mut(&scope) else { continue };
            open.started += 1;
            let hours = (finalized - open.since - DAY).div_euclid(HOUR);
            if hours > RAMP_HOURS {
                continue;
            }
            let allowed = if hours < 0 { 0 } else { (2_u64 << hours) - 1 };
            if open.started > allowed {
                return Err(format!(
                    "A8: at {at} a suspect copy of {piece} at f0{} was repaired, the {}. of {allowed} allowed: \
                     the breaker of {scope} is open since {}",
                    replaced.copy.place.provider, open.started, open.since
                ));
            }
        }
        Ok(None)
    }

    /// Whether any breaker is open for certain.
    pub fn is_open(&self) -> bool {
        !self.open.is_empty()
    }
}
