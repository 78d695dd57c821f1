//! How far each contract's events are read. The cursor moves only in `apply_window`, with what it read.

use raas_core::ids::ContractAddress;
use sqlx::SqliteConnection;

use super::error::Error;
use super::open::Store;
use super::schema::CURSOR;

impl Store {
    /// The cursor machine's state as it was stored with the last window; `None` before the first.
    pub async fn cursor(&self, contract: ContractAddress) -> Result<Option<serde_json::Value>, Error> {
        let text: Option<String> = sqlx::query_scalar("SELECT state FROM cursor WHERE contract = $1")
            .bind(contract.to_string())
            .fetch_optional(&mut *self.read().await?)
            .await?;
        CURSOR.decode_option(text.as_deref())
    }
}

pub(super) async fn put(
    connection: &mut SqliteConnection,
    contract: ContractAddress,
    cursor: &serde_json::Value,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO cursor (contract, state) VALUES ($1, $2)
         ON CONFLICT (contract) DO UPDATE SET state = excluded.state",
    )
    .bind(contract.to_string())
    .bind(CURSOR.encode(cursor)?)
    .execute(connection)
    .await?;
    Ok(())
}
