//! The last plan, for "why" and the dashboard, and the node's own small notes.

use super::error::Error;
use super::open::Store;
use super::rounds::{get, put};
use super::schema::PLAN;
use super::types::StoredPlan;

const LAST_PLAN: &str = "plan";

impl Store {
    /// Replaces the last plan.
    pub async fn save_plan(&self, plan: &StoredPlan) -> Result<(), Error> {
        let mut tx = self.write().await?;
        put(&mut tx, LAST_PLAN, PLAN.encode(plan)?).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The last plan and the round it was made in.
    pub async fn last_plan(&self) -> Result<Option<StoredPlan>, Error> {
        get(&mut *self.read().await?, LAST_PLAN, &PLAN).await
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
