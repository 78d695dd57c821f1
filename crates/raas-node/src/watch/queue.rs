//! What a round saw and has not written yet. It is taken up in slices, so that whatever else comes in meanwhile does not
//! wait for the loss of a whole provider.

use raas_core::ids::{OrderId, ProviderId};
use raas_core::observation::SectorSeen;
use raas_core::order::ReplicaRef;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A replica whose sector was seen dead at the round's tipset; the market has not been asked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doomed {
    /// Which order.
    pub order: OrderId,
    /// Where.
    pub provider: ProviderId,
    /// What it is on chain.
    pub replica: ReplicaRef,
}

/// A replica whose sector is other than it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turned {
    /// Which order.
    pub order: OrderId,
    /// Where.
    pub provider: ProviderId,
    /// Its sector now.
    pub sector: SectorSeen,
}

impl Turned {
    fn is_faulty(&self) -> u32 {
        u32::from(matches!(self.sector, SectorSeen::Faulty { .. }))
    }
}

/// Both of one round.
#[derive(Debug, Default)]
pub struct Queue {
    doomed: VecDeque<Doomed>,
    turned: VecDeque<Turned>,
    left: BTreeMap<ProviderId, Left>,
    begun: BTreeSet<ProviderId>,
}

/// How many of one provider's replicas turned and are not taken up yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// In all.
    pub turned: u32,
    /// Of these, such as turned faulty.
    pub faulty: u32,
}

impl Queue {
    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.doomed.is_empty() && self.turned.is_empty()
    }

    /// Providers of which something is left.
    #[must_use]
    pub fn providers(&self) -> BTreeSet<ProviderId> {
        let doomed = self.doomed.iter().map(|doomed| doomed.provider);
        doomed.chain(self.turned.iter().map(|turned| turned.provider)).collect()
    }

    /// What is left of each provider's turns.
    #[must_use]
    pub const fn left(&self) -> &BTreeMap<ProviderId, Left> {
        &self.left
    }

    /// Notes whose first slice was stored, and that there are more.
    pub fn begin(&mut self, providers: impl Iterator<Item = ProviderId>) {
        self.begun.extend(providers);
    }

    /// Providers whose first slice was stored in this round.
    #[must_use]
    pub const fn begun(&self) -> &BTreeSet<ProviderId> {
        &self.begun
    }

    /// What is left is over: another round looks anew.
    pub fn end(&mut self) -> (Vec<Doomed>, Vec<Turned>) {
        self.begun.clear();
        self.left.clear();
        (self.doomed.drain(..).collect(), self.turned.drain(..).collect())
    }

    /// Adds replicas seen dead.
    pub fn doom(&mut self, doomed: impl Iterator<Item = Doomed>) {
        self.doomed.extend(doomed);
    }

    /// Adds replicas that turned.
    pub fn turn(&mut self, turned: impl IntoIterator<Item = Turned>) {
        for turned in turned {
            let left = self.left.entry(turned.provider).or_default();
            left.turned += 1;
            left.faulty += turned.is_faulty();
            self.turned.push_back(turned);
        }
    }

    /// The next of those seen dead, at most `count`.
    pub fn next_doomed(&mut self, count: usize) -> Vec<Doomed> {
        self.doomed.drain(..count.min(self.doomed.len())).collect()
    }

    /// The next of those that turned, at most `count`.
    pub fn next_turned(&mut self, count: usize) -> Vec<Turned> {
        let next: Vec<Turned> = self.turned.drain(..count.min(self.turned.len())).collect();
        for turned in &next {
            if let Some(left) = self.left.get_mut(&turned.provider) {
                left.turned -= 1;
                left.faulty -= turned.is_faulty();
            }
        }
        self.left.retain(|_, left| left.turned > 0);
        next
    }
}
