//! The fleet snapshot that `admit` reads: providers, money, storm breaker, pace.

use crate::ids::{OperatorId, ProviderId};
use crate::lead::Leads;
use crate::spend::Limit;
use crate::units::{AttoFil, Epoch, Epochs, PaddedSize};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a provider asks, and what the node knows of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provider {
    /// The miner actor.
    pub id: ProviderId,
    /// Its owner.
    pub operator: OperatorId,
    /// Price per GiB and epoch of an unverified deal; `None` when no ask could be had.
    pub ask: Option<Ask>,
    /// Orders on their way to it.
    pub in_flight: u32,
    /// Most orders on their way at once.
    pub capacity: u32,
    /// Failures of its own fault since its last success.
    pub failures: u32,
    /// Passed over until then (rejections, silence, wrong bytes).
    pub backs_off_until: Option<Epoch>,
    /// Whether any of its sectors is faulty or its view could not be read: no preference on renewal.
    pub healthy: bool,
}

/// A provider's ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Per GiB and epoch.
    pub price: AttoFil,
    /// Smallest piece taken.
    pub size_min: PaddedSize,
    /// Largest piece taken.
    pub size_max: PaddedSize,
}

/// Money that new orders may use: escrow that is free, plus what budget and wallet allow to add, less every
/// reservation of an order that can still be published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// For new orders.
    pub available: AttoFil,
    /// What keeps it from being more: the money itself, or a limit of the node.
    #[serde(default)]
    pub limit: Limit,
}

/// Repairs and replications started in the current pacing window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// Orders already started in this window, for lost copies.
    pub started: u32,
    /// Most in one window.
    pub cap: u32,
    /// When the next window begins.
    pub next_window: Epoch,
}

/// Slots of one provider, as the breaker counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotCensus {
    /// Slots with an active replica there.
    pub slots: u32,
    /// Of these, suspect by a fault that began within the last proving period.
    pub newly_suspect: u32,
    /// Of these, suspect whatever the fault's age: an open breaker closes only when these are few, too.
    pub suspect: u32,
}

/// Everything the breaker looks at in one round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    /// Per provider, with its operator.
    pub providers: BTreeMap<ProviderId, (OperatorId, SlotCensus)>,
}

/// One open breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trip {
    /// The round that opened it.
    pub since: Epoch,
    /// Since when it lets repairs through, twice as many each hour; `None` while it holds all.
    pub released_at: Option<Epoch>,
}

/// The storm breaker's memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// Providers whose suspects wait.
    pub providers: BTreeMap<ProviderId, Trip>,
    /// All suspects wait.
    pub fleet: Option<Trip>,
}

/// The whole snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fleet {
    /// Known providers, by id.
    pub providers: Vec<Provider>,
    /// For new orders.
    pub money: Money,
    /// The breaker after this round.
    pub breaker: Breaker,
    /// For lost copies.
    pub pace: Pace,
    /// Suspect repairs started since the breaker was released, in the current hour.
    pub released_started: u32,
}

impl Fleet {
    /// Whether all that `earlier` held back is held back here, too, but for what waits for money.
    #[must_use]
    pub fn holds_as_much_as(&self, earlier: &Self) -> bool {
        let no_looser = |provider: &Provider, earlier: &Provider| {
            (provider.id, provider.operator) == (earlier.id, earlier.operator)
                && (provider.ask, provider.capacity) == (earlier.ask, earlier.capacity)
                && provider.in_flight >= earlier.in_flight
                && provider.backs_off_until >= earlier.backs_off_until
        };
        let (pace, before) = (&self.pace, &earlier.pace);
        self.breaker == earlier.breaker
            && self.released_started >= earlier.released_started
            && (pace.cap, pace.next_window) == (before.cap, before.next_window)
            && pace.started >= before.started
            && self.providers.len() == earlier.providers.len()
            && self.providers.iter().zip(&earlier.providers).all(|(now, before)| no_looser(now, before))
    }
}

/// Numbers of the rules that are not the user's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// How long providers take, as learned.
    pub leads: Leads,
    /// Lag of finalized behind head, measured.
    pub finality_lag: Epochs,
    /// Tries that must fit into the renewal window.
    pub renewal_tries: u32,
    /// An accepted renewal of a last copy that is not published for this long may be hedged.
    pub hedge_after: Epochs,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            leads: Leads::default(),
            finality_lag: Epochs::new(900).unwrap_or(Epochs::ZERO),
            renewal_tries: 2,
            hedge_after: Epochs::new(1_440).unwrap_or(Epochs::ZERO),
        }
    }
}
