//! Providers: what the chain and their asks say, and how they served this node.

use raas_core::fleet::Ask;
use raas_core::ids::ProviderId;
use raas_core::observation::ProviderOnChain;
use raas_core::units::Epoch;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::error::Error;
use super::open::Store;
use super::schema::{ASK, PROVIDER, int, small};
use super::types::StoredProvider;

impl Store {
    /// All known providers, by id.
    pub async fn providers(&self) -> Result<Vec<StoredProvider>, Error> {
        let rows = sqlx::query(
            "SELECT on_chain, ask, read_at, failures, backs_off_until, last_failure FROM provider ORDER BY id",
        )
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.iter().map(decode).collect()
    }

    /// Stores what was read of a provider; how it served is kept.
    pub async fn put_provider(
        &self,
        on_chain: &ProviderOnChain,
        ask: Option<&Ask>,
        read_at: Epoch,
    ) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO provider (id, on_chain, ask, read_at, failures) VALUES ($1, $2, $3, $4, 0)
             ON CONFLICT (id) DO UPDATE SET on_chain = excluded.on_chain, ask = excluded.ask,
             read_at = excluded.read_at",
        )
        .bind(int("provider", on_chain.provider.number())?)
        .bind(PROVIDER.encode(on_chain)?)
        .bind(ask.map(|ask| ASK.encode(ask)).transpose()?)
        .bind(read_at.0)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Counts a failure of the provider's own fault and passes it over until `until`.
    pub async fn provider_failed(&self, provider: ProviderId, why: &str, until: Epoch) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query(
            "UPDATE provider SET failures = failures + 1, backs_off_until = $2, last_failure = $3
             WHERE id = $1",
        )
        .bind(int("provider", provider.number())?)
        .bind(until.0)
        .bind(why)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Clears the provider's failures; the words of the last one are kept.
    pub async fn provider_succeeded(&self, provider: ProviderId) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE provider SET failures = 0, backs_off_until = NULL WHERE id = $1")
            .bind(int("provider", provider.number())?)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }
}

fn decode(row: &SqliteRow) -> Result<StoredProvider, Error> {
    Ok(StoredProvider {
        on_chain: PROVIDER.decode(row.try_get("on_chain")?)?,
        ask: ASK.decode_option(row.try_get("ask")?)?,
        read_at: Epoch(row.try_get("read_at")?),
        failures: small("failures", row.try_get("failures")?)?,
        backs_off_until: row.try_get::<Option<i64>, _>("backs_off_until")?.map(Epoch),
        last_failure: row.try_get("last_failure")?,
    })
}
