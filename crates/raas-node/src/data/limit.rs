//! What one client may take: so many answers at once, so many requests in a while. Who wants more is told when to
//! come back, and nobody else waits for it.
//!
//! Owner of the accounts of clients, in memory alone. A client is an IPv4 address, or an IPv6 network of 64 bits, which is
//! what one subscriber has.

use crate::api::error::ApiError;
use crate::settings::GatewayLimits;
use axum::http::HeaderMap;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Over how many seconds the number of requests is averaged.
const BURST_SECS: u64 = 10;
/// Accounts kept; those that are as new are dropped then.
const ACCOUNTS_MAX: usize = 1 << 16;
/// What a request costs, in the units of [`Account::credit`].
const REQUEST: u64 = 1_000_000_000;

/// All clients.
#[derive(Debug)]
pub struct Clients {
    limits: GatewayLimits,
    start: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    answers: u32,
    accounts: BTreeMap<IpAddr, Account>,
}

#[derive(Debug)]
struct Account {
    answers: u32,
    /// Requests it may make, in billionths.
    credit: u64,
    /// Until when that is reckoned.
    at: Duration,
}

/// The right to one answer, until it is dropped.
#[derive(Debug)]
pub struct Seat {
    clients: Arc<Clients>,
    client: Option<IpAddr>,
}

/// Why there is no seat, and when there may be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSeat {
    /// The client made too many requests.
    TooOften(Duration),
    /// The client takes as many answers as it may.
    TooMany,
    /// All clients together do.
    Full,
}

impl Clients {
    /// Nobody yet.
    #[must_use]
    pub fn new(limits: GatewayLimits) -> Arc<Self> {
        Arc::new(Self { limits, start: Instant::now(), state: Mutex::default() })
    }

    /// A seat for a client. `None`: one that has shown a secret, so that only the room of all counts.
    ///
    /// # Errors
    /// [`NoSeat`].
    pub fn seat(self: &Arc<Self>, client: Option<IpAddr>) -> Result<Seat, NoSeat> {
        self.seat_at(client.map(network), self.start.elapsed())
    }

    fn seat_at(self: &Arc<Self>, client: Option<IpAddr>, now: Duration) -> Result<Seat, NoSeat> {
        let mut state = self.state();
        if state.answers >= self.limits.answers {
            return Err(NoSeat::Full);
        }
        if let Some(client) = client {
            let full = u64::from(self.limits.requests_per_second) * BURST_SECS * REQUEST;
            if state.accounts.len() >= ACCOUNTS_MAX && !state.accounts.contains_key(&client) {
                state.accounts.retain(|_, account| {
                    self.refill(account, now);
                    account.answers > 0 || account.credit < full
                });
                if state.accounts.len() >= ACCOUNTS_MAX {
                    return Err(NoSeat::Full);
                }
            }
            let new = Account { answers: 0, credit: full, at: now };
            let account = state.accounts.entry(client).or_insert(new);
            self.refill(account, now);
            if account.credit < REQUEST {
                let missing = (REQUEST - account.credit) / u64::from(self.limits.requests_per_second);
                return Err(NoSeat::TooOften(Duration::from_nanos(missing)));
            }
            if account.answers >= self.limits.answers_per_client {
                return Err(NoSeat::TooMany);
            }
            account.credit -= REQUEST;
            account.answers += 1;
        }
        state.answers += 1;
        drop(state);
        Ok(Seat { clients: Arc::clone(self), client })
    }

    fn refill(&self, account: &mut Account, now: Duration) {
        let rate = u64::from(self.limits.requests_per_second);
        let passed = u64::try_from(now.saturating_sub(account.at).as_nanos()).unwrap_or(u64::MAX);
        // A request is a billion units and a second a billion nanoseconds.
        account.credit =
            account.credit.saturating_add(passed.saturating_mul(rate)).min(rate * BURST_SECS * REQUEST);
        account.at = account.at.max(now);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.clients.state();
        state.answers = state.answers.saturating_sub(1);
        if let Some(account) = self.client.and_then(|client| state.accounts.get_mut(&client)) {
            account.answers = account.answers.saturating_sub(1);
        }
    }
}

impl From<NoSeat> for ApiError {
    fn from(no: NoSeat) -> Self {
        // Whole seconds, the next one up.
        let (why, after) = match no {
            NoSeat::TooOften(after) => ("too many requests from your address", after.as_secs() + 1),
            NoSeat::TooMany => ("too many answers to your address are under way", 1),
            NoSeat::Full => {
                let why = "as many answers are under way as this node gives at once".to_owned();
                return Self::Busy { why, after_secs: 1 };
            }
        };
        Self::TooMany { why: format!("{why}; Retry-After says when to come back"), after_secs: after }
    }
}

/// Who asks: the peer, or behind a proxy of our own whom that one names last.
#[must_use]
pub fn client(peer: IpAddr, headers: &HeaderMap, proxies: &[IpAddr]) -> IpAddr {
    if !proxies.contains(&peer.to_canonical()) {
        return peer;
    }
    let mut lines = headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok());
    let named = lines.next_back().and_then(|line| line.rsplit(',').next()?.trim().parse().ok());
    named.unwrap_or(peer)
}

/// What counts as one client.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(answers: u32, answers_per_client: u32, requests_per_second: u32) -> Arc<Clients> {
        Clients::new(GatewayLimits { answers, answers_per_client, requests_per_second })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_seat_is_held_until_it_is_dropped_and_others_have_their_own() {
        let clients = clients(3, 2, 1_000);
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        let now = Duration::from_secs(1);
        let seat = |client| clients.seat_at(Some(client), now);
        let (first, _second) = (seat(one).expect("a seat"), seat(one).expect("a seat"));
        assert_eq!(seat(one).err(), Some(NoSeat::TooMany));
        let _third = seat(other).expect("a seat");
        assert_eq!(seat(other).err(), Some(NoSeat::Full));
        assert_eq!(clients.seat_at(None, now).err(), Some(NoSeat::Full));
        drop(first);
        let _again = seat(one).expect("a seat");
    }

    #[test]
    fn requests_are_counted_over_a_while() {
        let clients = clients(100, 100, 2);
        let client = Some(address("192.0.2.1"));
        let ask = |at_ms| clients.seat_at(client, Duration::from_millis(at_ms)).map(drop);
        for _ in 0..20 {
            ask(0).expect("the first are free");
        }
        assert_eq!(ask(0), Err(NoSeat::TooOften(Duration::from_millis(500))));
        assert_eq!(ask(400), Err(NoSeat::TooOften(Duration::from_millis(100))));
        ask(500).expect("half a second is one request");
        assert!(ask(500).is_err());
        assert!(clients.seat_at(None, Duration::ZERO).is_ok(), "who shows a secret is not counted");
        // After a long time it is as at the start, and no more.
        let free = (0..100).filter(|_| ask(3_600_000).is_ok()).count();
        assert_eq!(free, 20);
    }

    #[test]
    fn clients_are_networks_and_only_own_proxies_are_believed() {
        assert_eq!(network(address("2001:db8:1:2:3::4")), network(address("2001:db8:1:2:ffff::1")));
        assert_ne!(network(address("2001:db8:1:2::1")), network(address("2001:db8:1:3::1")));
        assert_eq!(network(address("::ffff:192.0.2.1")), address("192.0.2.1"));
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "203.0.113.9, 203.0.113.8".parse().expect("a header"));
        headers.append("x-forwarded-for", "198.51.100.1, 198.51.100.7".parse().expect("a header"));
        let (peer, proxies) = (address("192.0.2.1"), [address("192.0.2.1")]);
        assert_eq!(client(peer, &headers, &[]), peer);
        assert_eq!(client(peer, &headers, &proxies), address("198.51.100.7"));
        assert_eq!(client(peer, &HeaderMap::new(), &proxies), peer);
    }

    #[test]
    fn accounts_that_are_as_new_make_room() {
        let clients = clients(10, 10, 1);
        for number in 0..=u32::try_from(ACCOUNTS_MAX).expect("small") {
            let client = IpAddr::V4(number.into());
            clients.seat_at(Some(client), Duration::from_secs(u64::from(number))).expect("a seat");
        }
        assert!(clients.state().accounts.len() < 100, "the others have all their requests again");
    }
}
