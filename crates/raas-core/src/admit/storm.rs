//! Which repairs of suspects wait while a breaker is open.
//!
//! A held trip lets only last copies through. A released one lets 1, 2, 4, … others through per hour. Losses
//! by two witnesses are no business of the breaker.

use crate::fleet::{Breaker, Trip};
use crate::ids::ProviderId;
use crate::observation::Round;
use crate::plan::{Priority, WaitFor, Wake};
use crate::units::{Epoch, Epochs};

/// Epochs in an hour of 30 s epochs.
const HOUR: i64 = 120;

/// The breaker, and how many suspects this hour's ramp has let through.
pub(super) struct Storm<'a> {
    breaker: &'a Breaker,
    pub(super) started: u32,
}

impl<'a> Storm<'a> {
    pub(super) const fn new(breaker: &'a Breaker, started: u32) -> Self {
        Self { breaker, started }
    }

    /// Why the repair of a suspect at `provider` waits. Both scopes must let it through.
    pub(super) fn holds(
        &self,
        provider: ProviderId,
        priority: Priority,
        round: &Round,
    ) -> Option<(WaitFor, Wake)> {
        if priority == Priority::LastCopy {
            return None;
        }
        self.trips(provider).find_map(|(scope, trip)| {
            let wake = self.wake(trip, round)?;
            Some((WaitFor::Breaker { provider: scope }, wake))
        })
    }

    /// Counts a repair that was let through while a breaker is open.
    pub(super) fn start(&mut self, provider: ProviderId, priority: Priority) {
        if priority != Priority::LastCopy && self.trips(provider).next().is_some() {
            self.started = self.started.saturating_add(1);
        }
    }

    fn trips(&self, provider: ProviderId) -> impl Iterator<Item = (Option<ProviderId>, Trip)> + use<'a> {
        let of_provider = self.breaker.providers.get(&provider).map(|trip| (Some(provider), *trip));
        of_provider.into_iter().chain(self.breaker.fleet.map(|trip| (None, trip)))
    }

    /// What wakes a repair held by `trip`; `None` when it lets one more through.
    fn wake(&self, trip: Trip, round: &Round) -> Option<Wake> {
        let Some(released_at) = trip.released_at else { return Some(Wake::OnRelease) };
        let hours = round.height.since(released_at).get() / HOUR;
        if self.started < allowance(hours) {
            return None;
        }
        let next_hour = released_at.after(Epochs::new((hours + 1) * HOUR).unwrap_or(Epochs::ZERO));
        let distance: Epoch = round.head.after(next_hour.since(round.height));
        Some(Wake::At(distance))
    }
}

/// How many may start in the hour that begins `hours` after the release.
fn allowance(hours: i64) -> u32 {
    u32::try_from(hours).ok().and_then(|hours| 1_u32.checked_shl(hours)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(height: i64) -> Round {
        Round {
            tipset: String::new(),
            height: Epoch(height),
            eth_block: Epoch(height - 1),
            head: Epoch(height + 900),
            agreed: 2,
            asked: 2,
        }
    }

    fn open(released_at: Option<i64>) -> Breaker {
        let trip = Trip { since: Epoch(1_000), released_at: released_at.map(Epoch) };
        Breaker { providers: [(ProviderId::new(1_000), trip)].into(), fleet: None }
    }

    #[test]
    fn the_ramp_doubles_each_hour() {
        let breaker = open(Some(2_000));
        let table =
            [(2_000, 1), (2_119, 1), (2_120, 2), (2_240, 4), (2_000 + 120 * 31, 1 << 31), (50_000, u32::MAX)];
        for (height, allowed) in table {
            let at = |started| {
                Storm::new(&breaker, started).holds(ProviderId::new(1_000), Priority::Normal, &round(height))
            };
            assert_eq!(at(allowed - 1), None, "at {height}");
            if allowed < u32::MAX {
                assert!(at(allowed).is_some(), "at {height}");
            }
        }
        let held = Storm::new(&breaker, 1).holds(ProviderId::new(1_000), Priority::Normal, &round(2_100));
        assert_eq!(held.map(|(_, wake)| wake), Some(Wake::At(Epoch(2_120 + 900))));
    }

    #[test]
    fn a_held_breaker_lets_only_last_copies_and_other_providers_through() {
        let breaker = open(None);
        let storm = Storm::new(&breaker, 0);
        let at = |provider, priority| storm.holds(ProviderId::new(provider), priority, &round(1_100));
        assert_eq!(at(1_000, Priority::LastCopy), None);
        assert_eq!(at(1_001, Priority::BelowMin), None);
        let held = (WaitFor::Breaker { provider: Some(ProviderId::new(1_000)) }, Wake::OnRelease);
        assert_eq!(at(1_000, Priority::BelowMin), Some(held));
    }

    #[test]
    fn the_fleet_holds_every_provider() {
        let breaker =
            Breaker { providers: [].into(), fleet: Some(Trip { since: Epoch(0), released_at: None }) };
        let held = Storm::new(&breaker, 0).holds(ProviderId::new(7), Priority::Normal, &round(10));
        assert_eq!(held, Some((WaitFor::Breaker { provider: None }, Wake::OnRelease)));
    }
}
