//! Whether an endpoint that failed is asked again: open after some failures in a row, longer each time, and then one
//! call as a trial.

use std::time::{Duration, Instant};

/// Failures in a row that open it.
const FAILURES: u32 = 3;
/// How long it is open the first time.
const FIRST: Duration = Duration::from_secs(5);
/// And at most.
const MOST: Duration = Duration::from_secs(300);
/// A trial that did not end within this time was given up by its caller.
const TRIAL: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open {
        until: Instant,
    },
    /// One call is under way.
    Trial {
        since: Instant,
    },
}

/// What an asker is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Go on.
    Open,
    /// Not for so long.
    Refused(Duration),
}

#[derive(Clone, Debug)]
pub(super) struct Breaker {
    state: State,
    failures: u32,
    opened: u32,
}

impl Breaker {
    pub(super) const fn new() -> Self {
        Self { state: State::Closed, failures: 0, opened: 0 }
    }

    /// Whether a call may go. `needed`: without this endpoint there are not enough, so that it is tried before its
    /// time.
    pub(super) fn admit(&mut self, needed: bool, now: Instant) -> Admission {
        let wait = match self.state {
            State::Closed => return Admission::Open,
            State::Open { until } => until.saturating_duration_since(now),
            State::Trial { since } => (since + TRIAL).saturating_duration_since(now),
        };
        if needed || wait.is_zero() {
            self.state = State::Trial { since: now };
            return Admission::Open;
        }
        Admission::Refused(wait)
    }

    /// Whether calls go without a trial.
    pub(super) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// A call was answered. True when that ends a time without answers.
    pub(super) fn worked(&mut self) -> bool {
        let again = self.state != State::Closed;
        *self = Self::new();
        again
    }

    /// A call was not answered. True when that opens it.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        let trial = matches!(self.state, State::Trial { .. });
        if !trial && (self.failures < FAILURES || matches!(self.state, State::Open { .. })) {
            return false;
        }
        let length =
            FIRST.saturating_mul(1_u32.checked_shl(self.opened.min(16)).unwrap_or(u32::MAX)).min(MOST);
        self.opened = self.opened.saturating_add(1);
        self.state = State::Open { until: now + length };
        !trial
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Instant {
        Instant::now()
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn three_failures_open_it_and_one_trial_closes_it() {
        let now = start();
        let mut breaker = Breaker::new();
        assert!(!breaker.failed(now) && !breaker.failed(now));
        assert_eq!(breaker.admit(false, now), Admission::Open);
        assert!(breaker.failed(now), "the third");
        assert_eq!(breaker.admit(false, now + SECOND), Admission::Refused(4 * SECOND));
        assert_eq!(breaker.admit(false, now + 5 * SECOND), Admission::Open);
        assert!(
            matches!(breaker.admit(false, now + 5 * SECOND), Admission::Refused(_)),
            "one trial at a time"
        );
        assert!(breaker.worked(), "it is back");
        assert_eq!(breaker.admit(false, now + 5 * SECOND), Admission::Open);
        assert!(!breaker.worked());
    }

    #[test]
    fn each_failed_trial_doubles_the_wait_up_to_a_bound() {
        let mut now = start();
        let mut breaker = Breaker::new();
        for _ in 0..3 {
            breaker.failed(now);
        }
        for seconds in [5, 10, 20, 40, 80, 160, 300, 300] {
            assert_eq!(breaker.admit(false, now), Admission::Refused(seconds * SECOND));
            now += seconds * SECOND;
            assert_eq!(breaker.admit(false, now), Admission::Open);
            assert!(!breaker.failed(now), "told once");
        }
    }

    #[test]
    fn one_that_is_needed_is_tried_before_its_time() {
        let now = start();
        let mut breaker = Breaker::new();
        for _ in 0..3 {
            breaker.failed(now);
        }
        assert_eq!(breaker.admit(true, now), Admission::Open);
        assert!(!breaker.is_closed());
        // A trial whose caller went away does not keep it shut for ever.
        assert_eq!(breaker.admit(false, now + TRIAL), Admission::Open);
    }

    #[test]
    fn an_answer_in_between_counts_from_the_start_again() {
        let now = start();
        let mut breaker = Breaker::new();
        for _ in 0..10 {
            breaker.failed(now);
            breaker.failed(now);
            breaker.worked();
        }
        assert!(breaker.is_closed());
    }
}
