//! Rule 10: how long to wait before trying again, by class of failure.
//!
//! Delays double up to the class's bound. Jitter takes up to a quarter off, by hash of what is retried, so
//! that things which failed together do not come back together, and the same input gives the same delay.

use crate::hash::spread;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A step whose worker died in so many runs one after the other runs alone, so that the next death is its own.
pub const ALONE_FROM: u32 = 2;
/// And after so many it is set aside.
pub const CRASHES_MAX: u32 = 3;

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The network, an endpoint, a lock: 5 s to 5 min.
    Transient,
    /// A provider said no or nothing: 1 to 64 min.
    Provider,
    /// Nothing changes by itself soon (data gone, bad configuration): 1 to 32 h.
    Terminal,
}

impl Class {
    /// First delay and longest delay.
    const fn bounds(self) -> (Duration, Duration) {
        match self {
            Self::Transient => (Duration::from_secs(5), Duration::from_secs(300)),
            Self::Provider => (Duration::from_secs(60), Duration::from_secs(64 * 60)),
            Self::Terminal => (Duration::from_secs(3_600), Duration::from_secs(32 * 3_600)),
        }
    }
}

/// How long a step is set aside whose worker died `crashes` times in a row; `None` while it is not. It comes back by
/// itself: what it is about may be money on its way, and what killed its worker may be over.
#[must_use]
pub fn quarantine(crashes: u32, jitter_key: &[u8]) -> Option<Duration> {
    let again = crashes.checked_sub(CRASHES_MAX)?;
    Some(delay(Class::Terminal, again.saturating_add(1), jitter_key))
}

/// The delay after failed attempt number `attempt`, counted from 1. `jitter_key` names what is retried.
#[must_use]
pub fn delay(class: Class, attempt: u32, jitter_key: &[u8]) -> Duration {
    let (first, longest) = class.bounds();
    let doublings = attempt.saturating_sub(1).min(16);
    let full = first.saturating_mul(1 << doublings).min(longest);
    let share = spread(&[jitter_key, &attempt.to_le_bytes()]) % 256;
    // Up to 255/1024, a little under a quarter, is taken off.
    full.saturating_sub(full.saturating_mul(u32::try_from(share).unwrap_or(0)) / 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_class_grows_to_its_bound() {
        let table = [
            (Class::Transient, 1, 5),
            (Class::Transient, 2, 10),
            (Class::Transient, 6, 160),
            (Class::Transient, 7, 300),
            (Class::Transient, u32::MAX, 300),
            (Class::Provider, 1, 60),
            (Class::Provider, 7, 3_840),
            (Class::Provider, 8, 3_840),
            (Class::Terminal, 1, 3_600),
            (Class::Terminal, 6, 115_200),
            (Class::Terminal, 7, 115_200),
        ];
        for (class, attempt, full) in table {
            let delay = delay(class, attempt, b"key").as_millis();
            let full = full * 1_000_u128;
            assert!(delay <= full && delay * 4 > full * 3, "{class:?} {attempt}: {delay} of {full} ms");
        }
    }

    #[test]
    fn a_third_crash_sets_the_step_aside_and_each_further_one_for_longer() {
        assert_eq!((quarantine(0, b""), quarantine(2, b"")), (None, None));
        for (crashes, attempt) in [(3, 1), (4, 2), (9, 7), (u32::MAX, u32::MAX - 2)] {
            assert_eq!(
                quarantine(crashes, b"key"),
                Some(delay(Class::Terminal, attempt, b"key")),
                "{crashes}"
            );
        }
    }

    #[test]
    fn keys_come_back_at_different_times() {
        let delays: std::collections::BTreeSet<Duration> =
            (0_u32..100).map(|key| delay(Class::Provider, 3, &key.to_le_bytes())).collect();
        assert!(delays.len() > 50, "only {} different delays", delays.len());
    }

    proptest! {
        #[test]
        fn a_delay_stays_within_its_class_and_is_repeatable(attempt in 0_u32.., key: [u8; 8]) {
            for class in [Class::Transient, Class::Provider, Class::Terminal] {
                let (first, longest) = class.bounds();
                let waited = delay(class, attempt, &key);
                prop_assert!(waited <= longest && waited * 4 > first * 3);
                prop_assert_eq!(waited, delay(class, attempt, &key));
            }
        }
    }
}
