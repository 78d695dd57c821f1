//! Leases and their fence. A start takes the next number and all leases; what an older start still wants to
//! write is refused. With one process per store the newest start always wins, so leases have no end time.

use sqlx::SqliteConnection;

use super::error::Error;

/// What only one process may do: send from a wallet, follow a contract, observe providers, plan.
const KINDS: [&str; 4] = ["wallet", "contract", "provider", "shard"];
/// The key that stands for all of a kind.
const ALL: &str = "*";

/// Takes over every lease for `holder`; gives the new fence.
pub(super) async fn take_over(connection: &mut SqliteConnection, holder: &str) -> Result<i64, Error> {
    let fence = newest(connection).await?.unwrap_or(0) + 1;
    for kind in KINDS {
        sqlx::query(
            "INSERT INTO lease (kind, key, holder, fence, until) VALUES ($1, $2, $3, $4, NULL)
             ON CONFLICT (kind, key) DO UPDATE SET holder = excluded.holder, fence = excluded.fence",
        )
        .bind(kind)
        .bind(ALL)
        .bind(holder)
        .bind(fence)
        .execute(&mut *connection)
        .await?;
    }
    Ok(fence)
}

/// Refuses when another start took over.
pub(super) async fn check(connection: &mut SqliteConnection, mine: i64) -> Result<(), Error> {
    match newest(connection).await? {
        Some(newest) if newest != mine => Err(Error::Fenced { mine, newest }),
        _ => Ok(()),
    }
}

/// The fence of the newest start.
pub(super) async fn newest(connection: &mut SqliteConnection) -> Result<Option<i64>, Error> {
    Ok(sqlx::query_scalar("SELECT MAX(fence) FROM lease").fetch_one(connection).await?)
}
