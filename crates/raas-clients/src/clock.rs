//! Time as decisions see it: epochs by the wall clock, or by the devnet's own true time.

use crate::rpc::{Call, CallError, EndpointConfig, Limits, Pool, PoolError};
use raas_core::ports::{Clock, Now};
use raas_core::units::Epoch;
use serde::Deserialize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The epochs of a real network, counted by the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallClock {
    genesis_unix: i64,
    block_delay_secs: i64,
}

impl WallClock {
    /// Epoch 0 began at `genesis_unix` (seconds since 1970); each takes `block_delay_secs`, at least 1.
    #[must_use]
    pub fn new(genesis_unix: i64, block_delay_secs: u64) -> Self {
        let block_delay_secs = i64::try_from(block_delay_secs).unwrap_or(i64::MAX).max(1);
        Self { genesis_unix, block_delay_secs }
    }

    fn at(self, unix_seconds: i64) -> Now {
        let age = unix_seconds.saturating_sub(self.genesis_unix);
        Now { epoch: Epoch(age.div_euclid(self.block_delay_secs)), unix_seconds }
    }
}

impl Clock for WallClock {
    async fn now(&self) -> Now {
        self.at(unix_seconds())
    }
}

/// Seconds since 1970 by this machine's clock: for what ends in people's time, such as keys. Decisions ask the port.
#[must_use]
pub fn unix_seconds() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the adapter of the Clock port")]
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}

/// The devnet's true time, asked for each time. Its RPC faults do not touch the method; when the process itself
/// is away, time stands still at what was last heard, so that nothing becomes due.
#[derive(Debug)]
pub struct DevnetClock {
    pool: Pool,
    last: Mutex<Now>,
}

/// Why there is no devnet clock.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DevnetClockError {
    /// The endpoint cannot be asked at all.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// It does not tell the time.
    #[error("the endpoint does not tell the devnet's time: {0}")]
    Call(#[from] CallError),
}

#[derive(Deserialize)]
struct DevnetNow {
    height: i64,
    unix_ms: i64,
}

impl DevnetClock {
    /// The clock of the devnet at `endpoint`, which must answer now.
    pub async fn connect(endpoint: EndpointConfig) -> Result<Self, DevnetClockError> {
        let limits = Limits { deadline: Duration::from_secs(10), breaker: false, ..Limits::default() };
        let pool = Pool::new(&[endpoint], limits, 1)?;
        let now = ask(&pool).await?;
        Ok(Self { pool, last: Mutex::new(now) })
    }
}

async fn ask(pool: &Pool) -> Result<Now, CallError> {
    let now: DevnetNow = pool.read(Call::new("devnet_now", vec![])).await?;
    Ok(Now { epoch: Epoch(now.height), unix_seconds: now.unix_ms.div_euclid(1_000) })
}

impl Clock for DevnetClock {
    async fn now(&self) -> Now {
        let asked = ask(&self.pool).await;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match asked {
            Ok(now) => *last = now,
            Err(error) => tracing::warn!(%error, "the devnet does not tell the time"),
        }
        *last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_count_from_genesis() {
        let mainnet = WallClock::new(1_598_306_400, 30);
        assert_eq!(mainnet.at(1_598_306_400).epoch, Epoch(0));
        assert_eq!(mainnet.at(1_598_306_429).epoch, Epoch(0));
        assert_eq!(mainnet.at(1_598_306_430).epoch, Epoch(1));
        assert_eq!(mainnet.at(1_598_306_399).epoch, Epoch(-1));
        // 2026-11-21T00:00:00Z
        assert_eq!(mainnet.at(1_795_219_200).epoch, Epoch(6_563_760));
        assert_eq!(WallClock::new(0, 0).at(7).epoch, Epoch(7));
    }
}
