//! How long the money lasts: what renewals will cost, what gas costs a day, against what there is.
//!
//! Nothing lapses silently: below 30, 7 and 1 days the admin is told. The forecast assumes that every copy is renewed
//! at the price and for the term it has now.

use crate::spend::DAY;
use crate::units::{AttoFil, Epoch, Epochs};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How far the forecast looks. Money that lasts longer has no end in it.
pub const HORIZON: Epochs = Epochs::days(5 * 365);

/// A cost that comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// When it is due first. What lies in the past is due now.
    pub at: Epoch,
    /// How much.
    pub amount: AttoFil,
    /// After how long it is due again; zero for once.
    pub every: Epochs,
}

/// How much of an alarm the runway is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// More than 30 days.
    #[default]
    Calm,
    /// 30 days or less.
    Month,
    /// 7 days or less.
    Week,
    /// A day or less.
    Day,
}

/// How long money lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runway {
    /// The first epoch at which something cannot be paid; `None` beyond the horizon.
    pub ends_at: Option<Epoch>,
    /// Whole days until then.
    pub days: Option<u64>,
    /// Whether to be alarmed.
    pub urgency: Urgency,
}

impl Urgency {
    /// Of money that lasts so many whole days.
    #[must_use]
    pub const fn of(days: Option<u64>) -> Self {
        match days {
            Some(0..=1) => Self::Day,
            Some(2..=7) => Self::Week,
            Some(8..=30) => Self::Month,
            _ => Self::Calm,
        }
    }
}

/// How long `funds` last when `per_day` is spent all the time and each of `due` when it comes.
#[must_use]
pub fn runway(now: Epoch, funds: AttoFil, per_day: AttoFil, due: &[Due]) -> Runway {
    let horizon = days(HORIZON);
    // By day and period, so that a million copies are a few thousand sums.
    let mut coming: BTreeMap<(u64, u64), AttoFil> = BTreeMap::new();
    for item in due {
        let every = if item.every == Epochs::ZERO { 0 } else { days(item.every).max(1) };
        let sum = coming.entry((days(item.at.since(now)), every)).or_default();
        *sum = sum.plus(item.amount);
    }
    let (mut left, mut today) = (funds, 0);
    while let Some(((day, every), amount)) = coming.pop_first().filter(|((day, _), _)| *day <= horizon) {
        if let Some(lasts) = lasts(left, per_day, day - today) {
            return ending(now, today + lasts);
        }
        left = left.minus(per_day.times(day - today));
        if left < amount {
            return ending(now, day);
        }
        (left, today) = (left.minus(amount), day);
        if every > 0 {
            let next = coming.entry((day + every, every)).or_default();
            *next = next.plus(amount);
        }
    }
    match lasts(left, per_day, horizon - today) {
        Some(lasts) => ending(now, today + lasts),
        None => Runway::default(),
    }
}

/// Whole days that `left` pays `per_day`, if that is less than `span` days.
const fn lasts(left: AttoFil, per_day: AttoFil, span: u64) -> Option<u64> {
    if per_day.0 == 0 {
        return None;
    }
    let lasts = left.0 / per_day.0;
    if lasts < span as u128 { Some(lasts as u64) } else { None }
}

fn ending(now: Epoch, day: u64) -> Runway {
    let epochs = i64::try_from(day).unwrap_or(i64::MAX).saturating_mul(DAY.get());
    Runway {
        ends_at: Some(Epoch(now.0.saturating_add(epochs))),
        days: Some(day),
        urgency: Urgency::of(Some(day)),
    }
}

const fn days(epochs: Epochs) -> u64 {
    (epochs.get() / DAY.get()).unsigned_abs()
}
