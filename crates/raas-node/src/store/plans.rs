//! When holdings are planned again, and the node's own small notes.

use raas_core::ids::HoldingId;
use raas_core::units::Epoch;

use super::error::Error;
use super::open::Store;
use super::schema::uint;

impl Store {
    /// Stores when holdings are planned again (0: in every round, `None`: when something touches them), and takes what
    /// was planned out of the feed, by its numbers there: what was touched since has a later one.
    pub async fn save_wakes(
        &self,
        wakes: &[(HoldingId, Option<Epoch>)],
        planned: &[i64],
    ) -> Result<(), Error> {
        let mut tx = self.write().await?;
        for page in wakes.chunks(1_000) {
            let rows: Vec<(u64, Option<i64>)> =
                page.iter().map(|(holding, wake)| (holding.0, wake.map(|wake| wake.0))).collect();
            sqlx::query(
                "UPDATE holding SET wake = n.value ->> 1 FROM json_each($1) n WHERE holding.id = n.value ->> 0",
            )
            .bind(serde_json::to_string(&rows).unwrap_or_default())
            .execute(&mut *tx)
            .await?;
        }
        sqlx::query("DELETE FROM dirty WHERE seq IN (SELECT value FROM json_each($1))")
            .bind(serde_json::to_string(planned).unwrap_or_default())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// When each holding is planned again, by id, as [`Store::save_wakes`] stored it.
    pub async fn wakes(&self) -> Result<Vec<(HoldingId, Option<Epoch>)>, Error> {
        let rows: Vec<(i64, Option<i64>)> = sqlx::query_as("SELECT id, wake FROM holding ORDER BY id")
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.into_iter().map(|(id, wake)| Ok((HoldingId(uint("holding", id)?), wake.map(Epoch)))).collect()
    }

    /// Replaces a note; its format is its writer's.
    pub async fn put_meta(&self, key: &str, value: &str) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO meta (key, value) VALUES ($1, $2)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )
        .bind(key)
        .bind(value)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// A note.
    pub async fn meta(&self, key: &str) -> Result<Option<String>, Error> {
        Ok(sqlx::query_scalar("SELECT value FROM meta WHERE key = $1")
            .bind(key)
            .fetch_optional(&mut *self.read().await?)
            .await?)
    }
}
