//! Attempts: every try of every effect, kept for ever.

use raas_core::ids::{HoldingId, OrderId, ProviderId};
use raas_core::units::Epoch;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::error::Error;
use super::open::Store;
use super::schema::{int, uint};
use super::types::Attempt;

impl Store {
    /// Keeps one attempt.
    pub async fn add_attempt(&self, attempt: &Attempt) -> Result<(), Error> {
        let mut tx = self.write().await?;
        insert(&mut tx, attempt).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The last `limit` attempts for a holding, newest first.
    pub async fn attempts_of_holding(&self, holding: HoldingId, limit: u32) -> Result<Vec<Attempt>, Error> {
        let rows = sqlx::query(
            "SELECT holding, order_id, provider, what, outcome, detail, at, at_unix FROM attempt
             WHERE holding = $1 ORDER BY id DESC LIMIT $2",
        )
        .bind(int("holding", holding.0)?)
        .bind(limit)
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.iter().map(decode).collect()
    }
}

/// Keeps `attempt`. One that names an order but no holding belongs to the order's.
pub(super) async fn insert(connection: &mut SqliteConnection, attempt: &Attempt) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO attempt (holding, order_id, provider, what, outcome, detail, at, at_unix)
         VALUES (COALESCE($1, (SELECT holding FROM orders WHERE id = $2)), $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(attempt.holding.map(|id| int("holding", id.0)).transpose()?)
    .bind(attempt.order.map(|id| int("order", id.0)).transpose()?)
    .bind(attempt.provider.map(|id| int("provider", id.number())).transpose()?)
    .bind(&attempt.what)
    .bind(&attempt.outcome)
    .bind(&attempt.detail)
    .bind(attempt.at.0)
    .bind(attempt.at_unix)
    .execute(connection)
    .await?;
    Ok(())
}

fn decode(row: &SqliteRow) -> Result<Attempt, Error> {
    let number = |column: &'static str| -> Result<Option<u64>, Error> {
        row.try_get::<Option<i64>, _>(column)?.map(|value| uint(column, value)).transpose()
    };
    Ok(Attempt {
        holding: number("holding")?.map(HoldingId),
        order: number("order_id")?.map(OrderId),
        provider: number("provider")?.map(ProviderId::new),
        what: row.try_get("what")?,
        outcome: row.try_get("outcome")?,
        detail: row.try_get("detail")?,
        at: Epoch(row.try_get("at")?),
        at_unix: row.try_get("at_unix")?,
    })
}
