//! Rule 7: the storm breaker. Many copies turning suspect at once is more likely one incident than many.
//!
//! Owner of the state: the store keeps one [`Breaker`] and moves it once per round with [`next`].
//! A trip holds until somebody or 24 h releases it; a released trip lets repairs through by a ramp that
//! doubles each hour (`admit::storm`), and it is forgotten when its scope is calm again.

use crate::fleet::{Breaker, Census, SlotCensus, Trip};
use crate::ids::{OperatorId, ProviderId};
use crate::units::{Epoch, Epochs};
use std::collections::BTreeSet;

/// Fewer slots than this never trip a breaker: a small node repairs at once.
pub const SLOTS_MIN: u32 = 20;
/// Of one provider's slots, in percent.
const PROVIDER_SHARE: u64 = 25;
/// Of all slots, in percent.
const FLEET_SHARE: u64 = 10;
/// Operators that must be hit before it is called a storm of the fleet.
const OPERATORS_MIN: usize = 2;
/// A trip is released by itself after this.
pub const RELEASE_AFTER: Epochs = Epochs::days(1);
/// One proving period: a fault younger than this is "newly suspect".
pub const PROVING_PERIOD: Epochs = Epochs::days(1);

/// The breaker after a finalized round at `height` that counted `census`.
#[must_use]
pub fn next(before: &Breaker, census: &Census, height: Epoch) -> Breaker {
    let mut after = Breaker::default();
    for (provider, (_, count)) in &census.providers {
        let trip = before.providers.get(provider).copied();
        if let Some(trip) =
            step(trip, storms_at_provider(count.slots, count.newly_suspect), stays_at_provider(count), height)
        {
            after.providers.insert(*provider, trip);
        }
    }
    // A provider nobody counted any more was not seen calm: its trip stays until it is released and aged.
    for (provider, trip) in &before.providers {
        let uncounted = !census.providers.contains_key(provider);
        let trip = uncounted.then(|| step(Some(*trip), false, !has_aged(*trip, height), height)).flatten();
        after.providers.extend(trip.map(|trip| (*provider, trip)));
    }
    let storms = storms_in_fleet(census, |count| count.newly_suspect);
    let stays = storms_in_fleet(census, |count| count.suspect.max(count.newly_suspect));
    after.fleet = step(before.fleet, storms, stays, height);
    after
}

/// Lets repairs of `provider`, or of the fleet, through by the ramp, from `height` on. Nothing happens when
/// that breaker is not open or is released already.
#[must_use]
pub fn release(before: &Breaker, provider: Option<ProviderId>, height: Epoch) -> Breaker {
    let mut after = before.clone();
    let trip = match provider {
        Some(provider) => after.providers.get_mut(&provider),
        None => after.fleet.as_mut(),
    };
    if let Some(trip) = trip {
        trip.released_at.get_or_insert(height);
    }
    after
}

impl Breaker {
    /// The next finalized height at which a held trip is released by time.
    #[must_use]
    pub fn next_release(&self) -> Option<Epoch> {
        self.providers
            .values()
            .chain(&self.fleet)
            .filter(|trip| trip.released_at.is_none())
            .map(|trip| trip.since.after(RELEASE_AFTER))
            .min()
    }
}

/// One scope for one round: `storms` is the condition that opens, `stays` the one that keeps it open.
fn step(before: Option<Trip>, storms: bool, stays: bool, height: Epoch) -> Option<Trip> {
    let fresh = Trip { since: height, released_at: None };
    let Some(trip) = before else {
        return storms.then_some(fresh);
    };
    if !storms && !stays {
        return None;
    }
    match trip.released_at {
        None if height >= trip.since.after(RELEASE_AFTER) => Some(Trip { released_at: Some(height), ..trip }),
        // Whatever is newly suspect a whole proving period after the release is another storm.
        Some(_) if storms && has_aged(trip, height) => Some(fresh),
        _ => Some(trip),
    }
}

fn has_aged(trip: Trip, height: Epoch) -> bool {
    trip.released_at.is_some_and(|released| height >= released.after(PROVING_PERIOD))
}

fn storms_at_provider(slots: u32, suspect: u32) -> bool {
    slots >= SLOTS_MIN && u64::from(suspect) * 100 > u64::from(slots) * PROVIDER_SHARE
}

/// Aged suspects keep an open breaker open, or it would close by their age alone and let all go at once.
fn stays_at_provider(count: &SlotCensus) -> bool {
    storms_at_provider(count.slots, count.suspect.max(count.newly_suspect))
}

fn storms_in_fleet(census: &Census, suspects: impl Fn(&SlotCensus) -> u32) -> bool {
    let mut slots = 0_u64;
    let mut suspect = 0_u64;
    let mut operators: BTreeSet<OperatorId> = BTreeSet::new();
    for (operator, count) in census.providers.values() {
        slots += u64::from(count.slots);
        suspect += u64::from(suspects(count));
        if suspects(count) > 0 {
            operators.insert(*operator);
        }
    }
    suspect * 100 > slots * FLEET_SHARE && suspect >= u64::from(SLOTS_MIN) && operators.len() >= OPERATORS_MIN
}
