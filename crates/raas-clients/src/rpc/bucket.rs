//! How fast one endpoint is asked: a token bucket that learns from being turned away.
//!
//! No public endpoint tells its limit, so the rate follows what it says: half as fast when it is busy, a tenth faster
//! in every quiet second. Without a configured limit there is none until the first refusal. A debt is allowed, so that
//! callers are delayed in their order and never refused.

use std::time::{Duration, Instant};

/// Least calls a second: an endpoint that is always busy is still asked.
const LEAST: f64 = 0.5;
/// Above this a rate that was learned is no limit any more.
const UNLIMITED: f64 = 10_000.0;
/// Growth in a second without a refusal.
const GROWTH: f64 = 1.1;
/// Calls that were on their way together are turned away together: within so long after it was lowered the rate is not
/// lowered again.
const LOWERED_FOR: Duration = Duration::from_secs(1);
/// Seconds of the rate that may be asked at once.
const BURST_SECONDS: f64 = 2.0;
/// Longest pause that a refusal may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(300);

#[derive(Clone, Debug)]
pub(super) struct Bucket {
    /// Calls a second at present; infinite when they are not limited.
    rate: f64,
    /// As configured.
    most: f64,
    /// Calls that may go now; negative when callers wait.
    tokens: f64,
    /// When `tokens` was true.
    at: Instant,
    /// Nothing goes before.
    paused_until: Option<Instant>,
    /// When the rate was lowered last.
    lowered_at: Option<Instant>,
    /// Calls in the second that began at `.0`.
    counted: (Instant, f64),
}

impl Bucket {
    /// `most` calls a second; `None` is without a limit.
    pub(super) fn new(most: Option<u32>, now: Instant) -> Self {
        let most = most.map_or(f64::INFINITY, |most| f64::from(most.max(1)));
        Self {
            rate: most,
            most,
            tokens: burst(most),
            at: now,
            paused_until: None,
            lowered_at: None,
            counted: (now, 0.0),
        }
    }

    /// Takes `calls` tokens; how long to wait before they go.
    pub(super) fn take(&mut self, calls: usize, now: Instant) -> Duration {
        let calls = f64::from(u32::try_from(calls).unwrap_or(u32::MAX));
        self.count(calls, now);
        let pause = self.paused_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        if self.rate.is_infinite() {
            return pause;
        }
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = elapsed.mul_add(self.rate, self.tokens).min(burst(self.rate));
        self.at = now;
        self.tokens -= calls;
        let debt = if self.tokens < 0.0 { -self.tokens / self.rate } else { 0.0 };
        pause.max(Duration::try_from_secs_f64(debt).unwrap_or(PAUSE_MAX))
    }

    /// It was busy; it may have said for how long.
    pub(super) fn turned_away(&mut self, pause: Option<Duration>, now: Instant) {
        self.paused_until = pause.map(|pause| now + pause.min(PAUSE_MAX));
        if self.lowered_at.is_some_and(|at| now.saturating_duration_since(at) < LOWERED_FOR) {
            return;
        }
        self.lowered_at = Some(now);
        // Not limited so far: what was asked in the last second was too much.
        let was = if self.rate.is_finite() { self.rate } else { self.counted.1.max(1.0) };
        self.rate = (was / 2.0).max(LEAST);
        self.tokens = self.tokens.min(0.0);
        if !self.tokens.is_finite() {
            self.tokens = 0.0;
        }
        self.at = now;
    }

    /// Whether the rate was lowered since `moment`, so that a turn that was given before it is void.
    pub(super) fn lowered_since(&self, moment: Instant) -> bool {
        self.lowered_at.is_some_and(|at| at > moment)
    }

    /// Calls a second at present.
    pub(super) fn rate(&self) -> Option<f64> {
        self.rate.is_finite().then_some(self.rate)
    }

    fn count(&mut self, calls: f64, now: Instant) {
        let elapsed = now.saturating_duration_since(self.counted.0).as_secs_f64();
        if elapsed < 1.0 {
            self.counted.1 += calls;
            return;
        }
        if self.rate < self.most {
            let grown = self.rate * GROWTH.powf(elapsed.min(600.0));
            self.rate = if grown > UNLIMITED { self.most } else { grown.min(self.most) };
            if self.rate.is_infinite() {
                self.tokens = 0.0;
            }
        }
        self.counted = (now, calls);
    }
}

fn burst(rate: f64) -> f64 {
    (rate * BURST_SECONDS).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Instant {
        Instant::now()
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_goes_and_then_the_rate_holds() {
        let now = start();
        let mut bucket = Bucket::new(Some(10), now);
        assert_eq!(bucket.take(20, now), Duration::ZERO);
        assert_eq!(bucket.take(5, now), Duration::from_millis(500));
        assert_eq!(bucket.take(5, now), SECOND, "each waits behind the one before");
        assert_eq!(bucket.take(10, now + 3 * SECOND), Duration::ZERO);
    }

    #[test]
    fn without_a_limit_nothing_waits_until_it_is_turned_away() {
        let now = start();
        let mut bucket = Bucket::new(None, now);
        assert_eq!((bucket.take(1_000, now), bucket.rate()), (Duration::ZERO, None));
        bucket.turned_away(Some(2 * SECOND), now);
        assert_eq!(bucket.rate(), Some(500.0), "half of what was too much");
        assert_eq!(bucket.take(1, now), 2 * SECOND);
        let mut later = now;
        for _ in 0..200 {
            later += SECOND;
            bucket.take(1, later);
        }
        assert_eq!(bucket.rate(), None, "and no limit again after a long quiet time");
    }

    #[test]
    fn it_never_stops_and_never_passes_its_limit() {
        let now = start();
        let mut bucket = Bucket::new(Some(8), now);
        let mut later = now;
        for _ in 0..50 {
            bucket.turned_away(None, later);
            later += SECOND;
        }
        assert_eq!(bucket.rate(), Some(LEAST));
        bucket.take(1, later + 900 * SECOND);
        assert_eq!(bucket.rate(), Some(8.0));
    }

    #[test]
    fn those_who_were_turned_away_together_lower_the_rate_once() {
        let now = start();
        let mut bucket = Bucket::new(None, now);
        bucket.take(80, now);
        for _ in 0..8 {
            bucket.turned_away(Some(SECOND), now + SECOND / 2);
        }
        assert_eq!(bucket.rate(), Some(40.0));
        assert!(bucket.lowered_since(now) && !bucket.lowered_since(now + SECOND / 2));
        bucket.turned_away(None, now + 2 * SECOND);
        assert_eq!(bucket.rate(), Some(20.0), "and again, once it was still too much");
    }
}
