//! What is remembered of one endpoint between calls.

use super::breaker::{Admission, Breaker};
use super::bucket::Bucket;
use super::config::Limits;
use super::error::CallError;
use super::sight::{Abilities, Sight};
use raas_core::endpoint::Standing;
use raas_core::units::Epoch;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A method that was refused as unknown is asked for again after this long: gateways change.
const NOT_OFFERED_FOR: Duration = Duration::from_secs(600);
/// An endpoint that failed stands behind the others for this long.
const BEHIND_FOR: Duration = Duration::from_secs(30);
/// An endpoint of another network is looked at again after this long.
const FOREIGN_FOR: Duration = Duration::from_secs(600);

/// Whose network it serves.
#[derive(Clone, Debug, Default)]
pub(super) enum Checked {
    /// Not known since it was last reached.
    #[default]
    No,
    /// The one that is expected, since this moment.
    Same(Instant),
    /// Another one, told in words at this moment.
    Other(String, Instant),
}

/// What an endpoint's own refusals told of its limits since it was last reached.
#[derive(Clone, Copy, Debug, Default)]
struct Learned {
    /// Blocks of logs that it gives at once at most.
    log_blocks: Option<i64>,
    /// Epochs back at which it keeps no state.
    state_refused: Option<i64>,
}

#[derive(Debug)]
pub(super) struct Memory {
    pub(super) breaker: Breaker,
    pub(super) bucket: Bucket,
    pub(super) checked: Checked,
    /// It refused a batch as such.
    pub(super) batchless: bool,
    pub(super) sight: Option<Arc<Sight>>,
    pub(super) abilities: Option<Abilities>,
    learned: Learned,
    not_offered: BTreeMap<String, Instant>,
    failed_at: Option<Instant>,
    last_error: Option<String>,
    /// Head and where it should be, when it cannot be believed.
    off: Option<(Epoch, Epoch)>,
    uses_breaker: bool,
    asked: bool,
}

impl Memory {
    pub(super) fn new(limits: &Limits, now: Instant) -> Self {
        Self {
            breaker: Breaker::new(),
            bucket: Bucket::new(limits.calls_per_second, now),
            checked: Checked::No,
            batchless: false,
            sight: None,
            abilities: None,
            learned: Learned::default(),
            not_offered: BTreeMap::new(),
            failed_at: None,
            last_error: None,
            off: None,
            uses_breaker: limits.breaker,
            asked: false,
        }
    }

    /// Whether it may be asked now; else in words why not.
    pub(super) fn admit(&mut self, needed: bool, now: Instant) -> Result<(), String> {
        if !self.uses_breaker {
            return Ok(());
        }
        match self.breaker.admit(needed, now) {
            Admission::Open => Ok(()),
            Admission::Refused(wait) => {
                let last = self.last_error.as_deref().unwrap_or("it did not answer");
                Err(format!("not asked for {} s more: {last}", wait.as_secs().saturating_add(1)))
            }
        }
    }

    /// The network that it was found to serve instead, unless that is to be looked at again.
    pub(super) fn foreign(&self, now: Instant) -> Option<&str> {
        match &self.checked {
            Checked::Other(found, at) if now.saturating_duration_since(*at) < FOREIGN_FOR => Some(found),
            _ => None,
        }
    }

    /// Whether the network was checked since it was last reached, and no longer ago than `within`.
    pub(super) fn is_checked(&self, within: Option<Duration>, now: Instant) -> bool {
        let Checked::Same(at) = self.checked else { return false };
        within.is_none_or(|within| now.saturating_duration_since(at) <= within)
    }

    /// It answered something. True when that ends an outage.
    pub(super) fn worked(&mut self) -> bool {
        self.asked = true;
        self.failed_at = None;
        self.last_error = None;
        let again = self.breaker.worked();
        if again {
            // Behind the same address may now be another machine.
            self.not_offered.clear();
            self.batchless = false;
            self.abilities = None;
            self.learned = Learned::default();
            self.sight = None;
        }
        again
    }

    /// It refused so many blocks of logs at once, or said that it gives no more.
    pub(super) fn learn_log_blocks(&mut self, most: i64) {
        let known = self.learned.log_blocks.unwrap_or(most);
        self.learned.log_blocks = Some(known.min(most).max(1));
    }

    /// It did not have the state of this height.
    pub(super) fn learn_refused(&mut self, height: i64) {
        let Some(sight) = &self.sight else { return };
        let depth = sight.head.height.saturating_sub(height).max(1);
        self.learned.state_refused = Some(self.learned.state_refused.map_or(depth, |known| known.min(depth)));
    }

    /// How many blocks of logs it gives at once at most, as far as that is known.
    pub(super) fn log_blocks(&self) -> Option<i64> {
        let probed = self.abilities.as_ref().map(|able| able.log_blocks).filter(|blocks| *blocks > 0);
        [probed, self.learned.log_blocks].into_iter().flatten().min()
    }

    /// Whether it is known not to keep the state of this height.
    pub(super) fn lacks(&self, height: i64) -> bool {
        let probed = self.abilities.as_ref().and_then(|able| able.state_refused);
        let refused = [probed, self.learned.state_refused].into_iter().flatten().min();
        let depth = self.sight.as_ref().map(|sight| sight.head.height.saturating_sub(height));
        refused.zip(depth).is_some_and(|(refused, depth)| depth >= refused)
    }

    /// It turned a request away.
    pub(super) fn turned_away(&mut self, pause: Option<Duration>, now: Instant) {
        self.asked = true;
        self.bucket.turned_away(pause, now);
        self.failed_at = Some(now);
    }

    /// It did not answer. True when it is left alone from now on.
    pub(super) fn failed(&mut self, why: &str, now: Instant) -> bool {
        self.asked = true;
        self.failed_at = Some(now);
        self.last_error = Some(why.to_owned());
        // Whoever answers next is asked for its name first.
        if matches!(self.checked, Checked::Same(_)) {
            self.checked = Checked::No;
        }
        self.breaker.failed(now)
    }

    /// It answered, but nothing that can be used.
    pub(super) fn useless(&mut self, why: &str) {
        self.asked = true;
        self.breaker.worked();
        self.last_error = Some(why.to_owned());
    }

    pub(super) fn not_offered(&mut self, method: &str, now: Instant) {
        self.not_offered.insert(method.to_owned(), now);
    }

    pub(super) fn known_missing(&self, method: &str, now: Instant) -> bool {
        self.not_offered
            .get(method)
            .is_some_and(|since| now.saturating_duration_since(*since) < NOT_OFFERED_FOR)
    }

    pub(super) fn missing_methods(&self) -> Vec<String> {
        self.not_offered.keys().cloned().collect()
    }

    /// Notes that its head cannot be believed, or that it can.
    pub(super) fn set_off(&mut self, off: Option<(Epoch, Epoch)>) {
        self.off = off;
    }

    /// Whether others are asked before it.
    pub(super) fn is_behind(&self, now: Instant) -> bool {
        let lately = self.failed_at.is_some_and(|at| now.saturating_duration_since(at) < BEHIND_FOR);
        // One that has not even the state of what is final is asked where no other is left.
        let forgets = self.sight.as_ref().is_some_and(|sight| self.lacks(sight.finalized.height));
        lately
            || forgets
            || self.off.is_some()
            || !self.breaker.is_closed()
            || matches!(self.checked, Checked::Other(..))
    }

    /// Whether calls go to it without a trial.
    pub(super) fn is_available(&self) -> bool {
        !self.uses_breaker || self.breaker.is_closed()
    }

    pub(super) fn standing(&self) -> Standing {
        match (&self.checked, &self.last_error, self.off) {
            (Checked::Other(found, _), ..) => Standing::OtherNetwork { found: found.clone() },
            (_, Some(why), _) => Standing::Failing { why: why.clone() },
            (_, None, Some((head, expected))) => Standing::Off { head, expected },
            _ if self.asked => Standing::Good,
            _ => Standing::Unasked,
        }
    }
}

/// The error for an endpoint that serves another network.
pub(super) fn foreign_error(found: &str) -> CallError {
    CallError::Unknown(super::error::Unknown::OtherNetwork(found.to_owned()))
}
