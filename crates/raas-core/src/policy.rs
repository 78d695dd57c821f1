//! What a user wants for a CID: how many copies, how early to renew, how late to repair, at what price.

use crate::ids::ProviderId;
use crate::units::{AttoFil, Epoch, Epochs};
use serde::{Deserialize, Serialize};

/// Shortest deal the market accepts: 180 days.
pub const DURATION_MIN: Epochs = Epochs::days(180);
/// Longest deal the market accepts: 1,278 days.
pub const DURATION_MAX: Epochs = Epochs::days(1_278);
/// Most copies one holding can ask for.
pub const REPLICAS_MAX: u32 = 64;

/// The band of proven copies: below `min` is urgent, `target` is aimed at, `max` is never exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replicas {
    /// Fewer proven copies than this is urgent.
    pub min: u32,
    /// The number of slots.
    pub target: u32,
    /// Occupied slots never exceed this.
    pub max: u32,
}

/// How long the node keeps its own copy of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeepLocal {
    /// For as long as the holding is open.
    Always,
    /// Until so many copies are proven at a finalized tipset.
    UntilProven(u32),
    /// No longer than it takes to hand the bytes over: as `UntilProven(target)`.
    Never,
}

/// Which of the three R's are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duties {
    /// Order copies until the target is reached.
    pub replicate: bool,
    /// Order a successor before a copy's term ends.
    pub renew: bool,
    /// Order a successor for a copy that is lost or suspect for too long.
    pub repair: bool,
}

impl Duties {
    /// All three.
    pub const ALL: Self = Self { replicate: true, renew: true, repair: true };

    /// What either asks for.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self {
            replicate: self.replicate || other.replicate,
            renew: self.renew || other.renew,
            repair: self.repair || other.repair,
        }
    }
}

/// Where copies may go and what they may cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// Only these providers; empty means any that the node knows.
    #[serde(default)]
    pub allow: Vec<ProviderId>,
    /// Never these.
    #[serde(default)]
    pub deny: Vec<ProviderId>,
    /// The highest price per GiB and epoch.
    pub price_max: AttoFil,
}

/// The whole policy of a job, validated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// How many copies.
    pub replicas: Replicas,
    /// A copy is renewed when no more than this is left of its term.
    pub renew_before: Epochs,
    /// A suspect copy is repaired when it has been faulty for this long.
    pub repair_after: Epochs,
    /// Term of new deals.
    pub duration: Epochs,
    /// Distance from signing to a deal's start epoch.
    pub start_delay: Epochs,
    /// From here on nothing is renewed or repaired any more.
    pub ends_at: Option<Epoch>,
    /// Where and at what price.
    pub placement: Placement,
    /// The node's own copy.
    pub keep_local: KeepLocal,
}

/// Why a policy is refused; each names the field and what would be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The band is out of order or out of range.
    #[error(
        "replicas: 1 <= min <= target <= max <= {REPLICAS_MAX} is needed, got min {min}, target {target}, max {max}"
    )]
    Replicas {
        /// As given.
        min: u32,
        /// As given.
        target: u32,
        /// As given.
        max: u32,
    },
    /// The market would refuse the term.
    #[error("duration: {0} epochs is outside the market's 518400..=3680640 (180 to 1278 days)")]
    Duration(Epochs),
    /// Renewal would begin before half the term has passed.
    #[error("renewBefore: {renew_before} epochs must be less than half the duration of {duration}")]
    RenewBefore {
        /// As given.
        renew_before: Epochs,
        /// As given.
        duration: Epochs,
    },
    /// A provider cannot take, publish and seal in so short a time, or the signature would stay open too long.
    #[error("startDelay: {0} epochs is outside 240..=86400 (2 hours to 30 days)")]
    StartDelay(Epochs),
    /// The end lies in the past.
    #[error("endDate: epoch {ends_at} is not after the current epoch {now}")]
    EndsInThePast {
        /// As given.
        ends_at: Epoch,
        /// The head.
        now: Epoch,
    },
}

impl Policy {
    /// Checks every bound against the market and against itself, at head `now`.
    pub fn validated(self, now: Epoch) -> Result<Self, PolicyError> {
        let Replicas { min, target, max } = self.replicas;
        if !(1 <= min && min <= target && target <= max && max <= REPLICAS_MAX) {
            return Err(PolicyError::Replicas { min, target, max });
        }
        if self.duration < DURATION_MIN || self.duration > DURATION_MAX {
            return Err(PolicyError::Duration(self.duration));
        }
        if self.renew_before.get() >= self.duration.get() / 2 {
            return Err(PolicyError::RenewBefore {
                renew_before: self.renew_before,
                duration: self.duration,
            });
        }
        if !(240..=86_400).contains(&self.start_delay.get()) {
            return Err(PolicyError::StartDelay(self.start_delay));
        }
        match self.ends_at {
            Some(ends_at) if ends_at <= now => Err(PolicyError::EndsInThePast { ends_at, now }),
            _ => Ok(self),
        }
    }

    /// The policy that satisfies both: the larger band, the strictest thresholds, the earlier renewal, the
    /// later end, the narrower placement.
    #[must_use]
    pub fn strictest(&self, other: &Self) -> Self {
        let (a, b) = (&self.replicas, &other.replicas);
        Self {
            replicas: Replicas {
                min: a.min.max(b.min),
                target: a.target.max(b.target),
                max: a.max.max(b.max),
            },
            renew_before: self.renew_before.max(other.renew_before),
            repair_after: self.repair_after.min(other.repair_after),
            duration: self.duration.max(other.duration),
            start_delay: self.start_delay.min(other.start_delay),
            ends_at: match (self.ends_at, other.ends_at) {
                (Some(a), Some(b)) => Some(a.max(b)),
                _ => None,
            },
            placement: self.placement.narrower(&other.placement),
            keep_local: self.keep_local.longer(other.keep_local),
        }
    }
}

impl Placement {
    /// Only what both allow.
    #[must_use]
    pub fn narrower(&self, other: &Self) -> Self {
        let allow = match (self.allow.is_empty(), other.allow.is_empty()) {
            (true, _) => other.allow.clone(),
            (_, true) => self.allow.clone(),
            _ => self.allow.iter().filter(|provider| other.allow.contains(provider)).copied().collect(),
        };
        let mut deny = self.deny.clone();
        deny.extend(other.deny.iter().filter(|provider| !self.deny.contains(provider)));
        // Two allow lists with nothing in common must not turn into "any": deny what either excludes.
        if allow.is_empty() && !self.allow.is_empty() && !other.allow.is_empty() {
            deny.extend(self.allow.iter().chain(&other.allow));
            return Self { allow: self.allow.clone(), deny, price_max: self.price_max.min(other.price_max) };
        }
        Self { allow, deny, price_max: self.price_max.min(other.price_max) }
    }

    /// Whether a copy may go to `provider`.
    #[must_use]
    pub fn allows(&self, provider: ProviderId) -> bool {
        (self.allow.is_empty() || self.allow.contains(&provider)) && !self.deny.contains(&provider)
    }
}

impl KeepLocal {
    /// The one that keeps the bytes longer.
    const fn longer(self, other: Self) -> Self {
        match (self, other) {
            (Self::Always, _) | (_, Self::Always) => Self::Always,
            (Self::UntilProven(a), Self::UntilProven(b)) => Self::UntilProven(if a > b { a } else { b }),
            (Self::UntilProven(n), Self::Never) | (Self::Never, Self::UntilProven(n)) => Self::UntilProven(n),
            (Self::Never, Self::Never) => Self::Never,
        }
    }

    /// How many proven copies allow the local one to go; `None` when it stays.
    #[must_use]
    pub const fn evict_at(self, target: u32) -> Option<u32> {
        match self {
            Self::Always => None,
            Self::UntilProven(copies) => Some(copies),
            Self::Never => Some(target),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy {
            replicas: Replicas { min: 2, target: 3, max: 4 },
            renew_before: Epochs::days(30),
            repair_after: Epochs::days(1),
            duration: Epochs::days(540),
            start_delay: Epochs::days(3),
            ends_at: None,
            placement: Placement { allow: vec![], deny: vec![], price_max: AttoFil(100) },
            keep_local: KeepLocal::Always,
        }
    }

    #[test]
    fn the_default_is_valid_and_each_bound_is_checked() {
        let now = Epoch(1_000);
        assert_eq!(policy().validated(now), Ok(policy()));
        type Spoil = fn(&mut Policy);
        let cases: Vec<(Spoil, &str)> = vec![
            (|p| p.replicas.min = 0, "replicas"),
            (|p| p.replicas.target = 1, "replicas"),
            (|p| p.replicas.max = 65, "replicas"),
            (|p| p.duration = Epochs::days(179), "duration"),
            (|p| p.duration = Epochs::days(1_279), "duration"),
            (|p| p.renew_before = Epochs::days(270), "renewBefore"),
            (|p| p.start_delay = Epochs::days(0), "startDelay"),
            (|p| p.start_delay = Epochs::days(31), "startDelay"),
            (|p| p.ends_at = Some(Epoch(1_000)), "endDate"),
        ];
        for (spoil, field) in cases {
            let mut spoiled = policy();
            spoil(&mut spoiled);
            let error = spoiled.validated(now).expect_err(field);
            assert!(error.to_string().starts_with(field), "{error}");
        }
    }

    #[test]
    fn the_strictest_of_two_satisfies_both() {
        let mut other = policy();
        other.replicas = Replicas { min: 1, target: 5, max: 6 };
        other.repair_after = Epochs::days(2);
        other.ends_at = Some(Epoch(5_000));
        other.keep_local = KeepLocal::Never;
        let both = policy().strictest(&other);
        assert_eq!(both.replicas, Replicas { min: 2, target: 5, max: 6 });
        assert_eq!(both.repair_after, Epochs::days(1));
        assert_eq!(both.ends_at, None);
        assert_eq!(both.keep_local, KeepLocal::Always);
        assert_eq!(both, other.strictest(&policy()));
    }

    #[test]
    fn disjoint_allow_lists_allow_nobody() {
        let only =
            |number| Placement { allow: vec![ProviderId::new(number)], deny: vec![], price_max: AttoFil(1) };
        let both = only(1_000).narrower(&only(1_001));
        assert!(!both.allows(ProviderId::new(1_000)) && !both.allows(ProviderId::new(1_001)));
        assert!(!both.allows(ProviderId::new(1_002)));
    }
}
