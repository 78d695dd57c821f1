//! What a round saw and has not written yet. It is taken up in slices, so that whatever else comes in meanwhile does not
//! wait for the loss of a whole provider.

use raas_core::ids::{OrderId, ProviderId};
use raas_core::observation::SectorSeen;
use raas_core::order::ReplicaRef;
use std::collections::{BTreeSet, VecDeque};

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

/// Both of one round.
#[derive(Debug, Default)]
pub struct Queue {
    doomed: VecDeque<Doomed>,
    turned: VecDeque<Turned>,
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

    /// Adds replicas seen dead.
    pub fn doom(&mut self, doomed: impl Iterator<Item = Doomed>) {
        self.doomed.extend(doomed);
    }

    /// Adds replicas that turned.
    pub fn turn(&mut self, turned: impl IntoIterator<Item = Turned>) {
        self.turned.extend(turned);
    }

    /// The next of those seen dead, at most `count`.
    pub fn next_doomed(&mut self, count: usize) -> Vec<Doomed> {
        self.doomed.drain(..count.min(self.doomed.len())).collect()
    }

    /// The next of those that turned, at most `count`.
    pub fn next_turned(&mut self, count: usize) -> Vec<Turned> {
        self.turned.drain(..count.min(self.turned.len())).collect()
    }
}
