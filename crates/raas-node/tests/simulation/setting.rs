//! What kind of run a seed is: most are small fleets in all kinds of trouble, some have one copy of each, some are
//! fleets large enough for a storm, and some have little money.

use raas_core::ids::ProviderId;
use raas_core::policy::{KeepLocal, Placement, Policy, Replicas};
use raas_core::units::{AttoFil, Epochs};

pub const REPAIR_AFTER: i64 = 2_880;
pub const RENEW_BEFORE: i64 = 43_200;
pub const HEDGE_AFTER: i64 = 1_440;
pub const PACE_WINDOW: i64 = 120;
/// Proven copies after which the local one may go, where it may.
pub const KEEP_UNTIL: u32 = 2;
/// What others pay into the client's escrow where orders shall never wait for it.
const ENDOWMENT: AttoFil = AttoFil::fil(1);

/// A kind of run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Three copies of a few holdings.
    Usual,
    /// One copy of each, which is always the last one.
    Alone,
    /// Three copies of so many holdings that the breaker and the pace bite.
    Storm,
    /// As usual, under limits that bite.
    Thrifty,
    /// Three copies of a few holdings for one day, whose tipsets do not stay.
    Day,
}

/// What differs between runs.
#[derive(Clone, Debug)]
pub struct Setting {
    pub seed: u64,
    pub kind: Kind,
    pub target: u32,
    /// Holdings at the beginning.
    pub holdings: u64,
    pub providers: Vec<ProviderId>,
    pub repairs_per_window: u32,
    pub budget: AttoFil,
    pub per_day: Option<AttoFil>,
    pub per_holding: Option<AttoFil>,
    pub endowment: AttoFil,
}

impl Setting {
    /// The setting of a seed, on a devnet with `providers`.
    pub fn of(seed: u64, providers: Vec<ProviderId>) -> Self {
        let kind = match seed % 20 {
            7 => Kind::Storm,
            12 => Kind::Thrifty,
            rest if rest % 5 == 4 => Kind::Alone,
            _ => Kind::Usual,
        };
        Self::with(kind, seed, providers)
    }

    /// The setting of a seed's day.
    pub fn day(seed: u64, providers: Vec<ProviderId>) -> Self {
        Self::with(Kind::Day, seed, providers)
    }

    fn with(kind: Kind, seed: u64, providers: Vec<ProviderId>) -> Self {
        let usual = Self {
            seed,
            kind,
            target: 3,
            holdings: 1 + seed % 3,
            providers,
            repairs_per_window: 100,
            budget: AttoFil::fil(500),
            per_day: None,
            per_holding: None,
            endowment: AttoFil::ZERO,
        };
        match kind {
            Kind::Usual | Kind::Day => usual,
            Kind::Alone => Self { target: 1, ..usual },
            // Providers of four operators hold more than 20 copies each; of five, only the fleet is large enough.
            Kind::Storm => {
                let count = if (seed / 20).is_multiple_of(2) { 4 } else { 5 };
                // f01000 shares the operator of f01001.
                let providers = usual.providers.iter().skip(1).take(count).copied().collect();
                Self { holdings: 28, providers, repairs_per_window: 3, endowment: ENDOWMENT, ..usual }
            }
            Kind::Thrifty => Self {
                budget: AttoFil(250_000_000_000_000),
                per_day: Some(AttoFil(40_000_000_000_000)),
                per_holding: Some(AttoFil(90_000_000_000_000)),
                endowment: ENDOWMENT,
                ..usual
            },
        }
    }

    pub fn policy(&self, keep_local: KeepLocal) -> Policy {
        let epochs = |count| Epochs::new(count).expect("not negative");
        let target = self.target;
        Policy {
            replicas: Replicas { min: target.min(2), target, max: target + 1 },
            renew_before: epochs(RENEW_BEFORE),
            repair_after: epochs(REPAIR_AFTER),
            duration: Epochs::days(180),
            start_delay: Epochs::days(3),
            ends_at: None,
            placement: Placement { allow: vec![], deny: vec![], price_max: AttoFil::fil(1) },
            keep_local,
        }
    }

    /// Whether local copies may go: where starts are counted by their signatures, an order shall not wait for bytes.
    pub const fn may_evict(&self) -> bool {
        matches!(self.kind, Kind::Usual | Kind::Alone)
    }
}
