//! How often what is to be looked at: by what a pass over all of it costs, never by how many rounds there are.
//!
//! A pass that is cheap enough is made in every round, so that a small fleet is seen whole each time. A dear one is
//! spread: its interval is its cost over the calls an epoch may use, and the longest unread comes first.

use crate::hash::spread;
use crate::ids::ProviderId;
use crate::units::{EPOCHS_PER_DAY, Epoch};

/// No interval is longer: each thing is seen within a proving period, with a tenth in hand.
const INTERVAL_MAX: i64 = EPOCHS_PER_DAY / 10 * 9;

/// What one kind of look may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Calls per epoch, on average.
    pub per_epoch: u32,
    /// A pass of at most so many calls is made in every round.
    pub at_once: u32,
}

/// Something to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<K> {
    /// What.
    pub key: K,
    /// Calls that one look takes.
    pub cost: u64,
    /// Height of the last look; `None` before the first.
    pub read_at: Option<Epoch>,
    /// Something says that there is news: it is due whatever its interval, and comes first.
    pub urgent: bool,
    /// Its place among equals, so that a fleet read for the first time is spread.
    pub lot: u64,
}

/// A provider's place among equals: the same in every run, another for each.
#[must_use]
pub fn lot(provider: ProviderId) -> u64 {
    spread(&[&provider.number().to_le_bytes()])
}

impl Pace {
    /// Epochs between two looks at the same thing when one pass over all takes `pass` calls.
    #[must_use]
    pub fn interval(&self, pass: u64) -> i64 {
        if pass <= u64::from(self.at_once) {
            return 0;
        }
        let epochs = pass.div_ceil(u64::from(self.per_epoch.max(1)));
        i64::try_from(epochs).unwrap_or(INTERVAL_MAX).min(INTERVAL_MAX)
    }

    /// Calls a round may use that comes `elapsed` epochs after the last one.
    fn allowance(&self, pass: u64, elapsed: i64) -> u64 {
        // At the longest interval the pass sets the rate, not the other way round.
        let rate = u64::from(self.per_epoch).max(pass.div_ceil(INTERVAL_MAX.unsigned_abs()));
        rate.saturating_mul(elapsed.max(1).unsigned_abs()).max(u64::from(self.at_once))
    }
}

/// Which of `candidates` are looked at in the round at `height`, `elapsed` epochs after the last one: the urgent, then
/// the longest unread. At least one if any is due.
#[must_use]
pub fn due<K: Copy>(candidates: &[Candidate<K>], pace: Pace, height: Epoch, elapsed: i64) -> Vec<K> {
    let pass: u64 = candidates.iter().map(|candidate| candidate.cost).sum();
    let interval = pace.interval(pass);
    let is_due = |candidate: &&Candidate<K>| {
        candidate.urgent || candidate.read_at.is_none_or(|read| height.0.saturating_sub(read.0) >= interval)
    };
    let mut due: Vec<&Candidate<K>> = candidates.iter().filter(is_due).collect();
    due.sort_by_key(|candidate| (!candidate.urgent, candidate.read_at, candidate.lot));
    let mut left = pace.allowance(pass, elapsed);
    let mut taken = Vec::new();
    for candidate in due {
        if left == 0 {
            break;
        }
        left = left.saturating_sub(candidate.cost);
        taken.push(candidate.key);
    }
    taken
}

/// The finalized height at which something is due next; `None` when everything is read in every round.
#[must_use]
pub fn next<K>(candidates: &[Candidate<K>], pace: Pace) -> Option<Epoch> {
    let interval = pace.interval(candidates.iter().map(|candidate| candidate.cost).sum());
    if interval == 0 {
        return None;
    }
    candidates
        .iter()
        .map(|candidate| candidate.read_at.map_or(Epoch(0), |read| Epoch(read.0 + interval)))
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { per_epoch: 20, at_once: 64 };

    fn fleet(count: u32, cost: u64) -> Vec<Candidate<u32>> {
        (0..count)
            .map(|key| Candidate {
                key,
                cost,
                read_at: None,
                urgent: false,
                lot: u64::from(key * 7_919 % 601),
            })
            .collect()
    }

    #[test]
    fn a_small_fleet_is_read_in_every_round() {
        let mut small = fleet(8, 8);
        for height in [10, 11, 11] {
            let taken = due(&small, PACE, Epoch(height), 1);
            assert_eq!(taken.len(), 8);
            small.iter_mut().for_each(|candidate| candidate.read_at = Some(Epoch(height)));
        }
        assert_eq!(next(&small, PACE), None);
    }

    #[test]
    fn a_large_fleet_is_spread_and_nothing_is_forgotten() {
        let mut large = fleet(600, 48);
        let (mut calls, mut longest) = (0, 0);
        for height in 0..20_000 {
            for key in due(&large, PACE, Epoch(height), 1) {
                let candidate = &mut large[key as usize];
                if let Some(read) = candidate.read_at {
                    longest = longest.max(height - read.0);
                }
                candidate.read_at = Some(Epoch(height));
                calls += candidate.cost;
            }
        }
        assert!(large.iter().all(|candidate| candidate.read_at.is_some()));
        assert!(longest <= EPOCHS_PER_DAY, "{longest}");
        assert!(calls <= 20_000 * 64, "{calls}");
    }

    #[test]
    fn whatever_the_size_all_is_seen_within_a_proving_period() {
        assert!(PACE.interval(1_000_000_000) < EPOCHS_PER_DAY);
        let mut huge = fleet(30_000, 48);
        for height in 0..EPOCHS_PER_DAY {
            for key in due(&huge, PACE, Epoch(height), 1) {
                huge[key as usize].read_at = Some(Epoch(height));
            }
        }
        assert!(huge.iter().all(|candidate| candidate.read_at.is_some()));
    }

    #[test]
    fn news_come_first_and_a_long_pause_catches_up() {
        let mut large = fleet(600, 48);
        large.iter_mut().for_each(|candidate| candidate.read_at = Some(Epoch(100)));
        large[599].urgent = true;
        assert_eq!(due(&large, PACE, Epoch(101), 1), [599]);
        assert_eq!(due(&large, PACE, Epoch(9_000), 8_900).len(), 600);
        assert_eq!(next(&large, PACE), Some(Epoch(100 + 1_440)));
    }
}
