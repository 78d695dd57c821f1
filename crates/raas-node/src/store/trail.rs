//! The trail: the finalized tipsets of the last rounds. Where the chain that is final now leaves it, history was rewritten.

use raas_core::observation::Round;
use raas_core::units::Epoch;
use sqlx::SqliteConnection;

use super::error::Error;
use super::open::Store;

/// Epochs that the trail goes back: two days, where finality never lags further than 900 epochs.
const KEPT: i64 = 5_760;

impl Store {
    /// The finalized tipsets of the last rounds, key and height, oldest first.
    pub async fn trail(&self) -> Result<Vec<(String, Epoch)>, Error> {
        let rows: Vec<(String, i64)> = sqlx::query_as("SELECT tipset, height FROM trail ORDER BY height")
            .fetch_all(&mut *self.read().await?)
            .await?;
        Ok(rows.into_iter().map(|(tipset, height)| (tipset, Epoch(height))).collect())
    }
}

/// Goes on to the tipset of `round`.
pub(super) async fn extend(connection: &mut SqliteConnection, round: &Round) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO trail (height, tipset) VALUES ($1, $2)
         ON CONFLICT (height) DO UPDATE SET tipset = excluded.tipset",
    )
    .bind(round.height.0)
    .bind(&round.tipset)
    .execute(&mut *connection)
    .await?;
    sqlx::query("DELETE FROM trail WHERE height < $1")
        .bind(round.height.0.saturating_sub(KEPT))
        .execute(connection)
        .await?;
    Ok(())
}

/// Leaves everything from `from` on, and goes on to the tipset of `round`.
pub(super) async fn leave(
    connection: &mut SqliteConnection,
    from: Epoch,
    round: &Round,
) -> Result<(), Error> {
    sqlx::query("DELETE FROM trail WHERE height >= $1").bind(from.0).execute(&mut *connection).await?;
    extend(connection, round).await
}
