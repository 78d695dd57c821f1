//! The accounts: their nonce floors, whether they are halted, and what their gas may cost in a day.
//!
//! An account is halted when somebody else used its nonces, and stays so until the admin releases it.

use raas_core::machine::lane::Floor;
use raas_core::ports::Lane;
use raas_core::spend::DAY;
use raas_core::units::{AttoFil, Epoch};
use serde::{Deserialize, Serialize};
use sqlx::{Row, SqliteConnection};
use std::collections::BTreeMap;

use super::error::Error;
use super::events::{Happened, log};
use super::open::Store;
use super::schema::{HALT, int, parse, uint};
use super::txs::{lane_name, parse_lane};

/// Why an account sends nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// In words, with what to do.
    pub why: String,
    /// The chain's next nonce when it was seen.
    pub chain: u64,
    /// The head then.
    pub at: Epoch,
    /// Seconds since 1970.
    pub at_unix: i64,
}

/// What the gas of all transactions together may cost in any 2,880 epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GasDay {
    /// The head now.
    pub at: Epoch,
    /// The most, counting each transaction at the most it can cost; `None` is no limit.
    pub limit: Option<AttoFil>,
}

impl GasDay {
    /// No limit.
    #[must_use]
    pub const fn unlimited(at: Epoch) -> Self {
        Self { at, limit: None }
    }
}

impl Store {
    /// What an account's next nonce may not be below.
    pub async fn floor(&self, lane: Lane) -> Result<Floor, Error> {
        let mut tx = self.snapshot().await?;
        let accepted: Option<i64> = sqlx::query_scalar("SELECT accepted FROM lane WHERE lane = $1")
            .bind(lane_name(lane))
            .fetch_optional(&mut *tx)
            .await?;
        let reserved: Option<i64> = sqlx::query_scalar("SELECT MAX(nonce) FROM tx WHERE lane = $1")
            .bind(lane_name(lane))
            .fetch_one(&mut *tx)
            .await?;
        Ok(Floor {
            reserved: reserved.map(|nonce| uint("nonce", nonce)).transpose()?,
            accepted: uint("nonce", accepted.unwrap_or(0))?,
        })
    }

    /// The halted accounts.
    pub async fn halts(&self) -> Result<BTreeMap<Lane, Halt>, Error> {
        let rows = sqlx::query("SELECT lane, halted FROM lane WHERE halted IS NOT NULL")
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter()
            .map(|row| Ok((parse_lane(row.try_get("lane")?)?, HALT.decode(row.try_get("halted")?)?)))
            .collect()
    }

    /// Halts an account, unless it is halted already. Whether it was not.
    pub async fn halt_lane(&self, lane: Lane, halt: &Halt) -> Result<bool, Error> {
        let mut tx = self.write().await?;
        let changed = sqlx::query(
            "INSERT INTO lane (lane, accepted, halted) VALUES ($1, 0, $2)
             ON CONFLICT (lane) DO UPDATE SET halted = excluded.halted WHERE lane.halted IS NULL",
        )
        .bind(lane_name(lane))
        .bind(HALT.encode(halt)?)
        .execute(&mut *tx)
        .await?
        .rows_affected();
        if changed > 0 {
            log(&mut tx, None, Some(halt.at), &Happened::LaneHalted { lane, why: halt.why.clone() }).await?;
        }
        tx.commit().await?;
        Ok(changed > 0)
    }

    /// Lets an account go on from `next`, the chain's next nonce. Whether it was halted.
    pub async fn release_lane(&self, lane: Lane, next: u64) -> Result<bool, Error> {
        let mut tx = self.write().await?;
        let halted: Option<Option<String>> = sqlx::query_scalar("SELECT halted FROM lane WHERE lane = $1")
            .bind(lane_name(lane))
            .fetch_optional(&mut *tx)
            .await?;
        sqlx::query(
            "INSERT INTO lane (lane, accepted, halted) VALUES ($1, $2, NULL)
             ON CONFLICT (lane) DO UPDATE SET accepted = MAX(lane.accepted, excluded.accepted), halted = NULL",
        )
        .bind(lane_name(lane))
        .bind(int("nonce", next)?)
        .execute(&mut *tx)
        .await?;
        let was_halted = halted.flatten().is_some();
        if was_halted {
            log(&mut tx, None, None, &Happened::LaneReleased { lane, next }).await?;
        }
        tx.commit().await?;
        Ok(was_halted)
    }

    /// The most that the gas of transactions signed since `since` can cost, per account.
    pub async fn gas_since(&self, since: Epoch) -> Result<BTreeMap<Lane, AttoFil>, Error> {
        gas(&mut *self.read().await?, since, None).await
    }
}

/// Refuses `cost` for `tx` when the day's limit does not hold it, as part of the caller's transaction.
pub(super) async fn check_gas(
    connection: &mut SqliteConnection,
    tx: i64,
    cost: AttoFil,
    gas_day: GasDay,
) -> Result<(), Error> {
    let Some(limit) = gas_day.limit else { return Ok(()) };
    let spent = gas(connection, gas_day.at.before(DAY), Some(tx)).await?;
    let spent = spent.into_values().fold(AttoFil::ZERO, AttoFil::plus);
    let available = limit.minus(spent);
    if cost > available { Err(Error::GasSpent { needed: cost, available }) } else { Ok(()) }
}

/// Sums up the dearest form of each transaction, since only one of them is ever mined.
async fn gas(
    connection: &mut SqliteConnection,
    since: Epoch,
    but: Option<i64>,
) -> Result<BTreeMap<Lane, AttoFil>, Error> {
    let rows = sqlx::query(
        "SELECT t.id, t.lane, s.gas_max FROM tx_signed s JOIN tx t ON t.id = s.tx
         WHERE s.at > $1 AND t.id <> $2",
    )
    .bind(since.0)
    .bind(but.unwrap_or(0))
    .fetch_all(connection)
    .await?;
    let mut dearest: BTreeMap<i64, (Lane, AttoFil)> = BTreeMap::new();
    for row in &rows {
        let lane = parse_lane(row.try_get("lane")?)?;
        let cost: AttoFil = parse("gas", row.try_get("gas_max")?)?;
        let entry = dearest.entry(row.try_get("id")?).or_insert((lane, AttoFil::ZERO));
        entry.1 = entry.1.max(cost);
    }
    let mut sums = BTreeMap::new();
    for (lane, cost) in dearest.into_values() {
        let sum: &mut AttoFil = sums.entry(lane).or_default();
        *sum = sum.plus(cost);
    }
    Ok(sums)
}
