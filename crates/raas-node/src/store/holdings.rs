//! Holdings: what one owner wants kept of one CID. Their view for the rules is put together in `assemble`.

use raas_core::cid::DataCid;
use raas_core::holding::Holding;
use raas_core::ids::{HoldingId, OwnerId};
use raas_core::policy::Policy;
use sqlx::SqliteConnection;

use super::assemble::{self, Scope};
use super::error::Error;
use super::open::Store;
use super::schema::{POLICY, int, uint};

impl Store {
    /// Every holding that the rules must look at: open ones, and those whose orders are not all closed. In
    /// order of their ids; a fixed number of queries, however many there are.
    pub async fn holdings(&self) -> Result<Vec<Holding>, Error> {
        assemble::load(&mut *self.snapshot().await?, Scope::Watched).await
    }

    /// One holding, whether or not it is still looked at.
    pub async fn holding(&self, holding: HoldingId) -> Result<Option<Holding>, Error> {
        let scope = Scope::One(int("holding", holding.0)?);
        Ok(assemble::load(&mut *self.snapshot().await?, scope).await?.pop())
    }

    /// Whose a holding is.
    pub async fn owner_of(&self, holding: HoldingId) -> Result<Option<OwnerId>, Error> {
        let owner: Option<String> = sqlx::query_scalar("SELECT owner FROM holding WHERE id = $1")
            .bind(int("holding", holding.0)?)
            .fetch_optional(&mut *self.read().await?)
            .await?;
        Ok(owner.map(OwnerId))
    }

    /// The holdings of one CID, one per owner.
    pub async fn holdings_of_cid(&self, cid: &DataCid) -> Result<Vec<HoldingId>, Error> {
        of_cid(&mut *self.read().await?, cid).await
    }
}

/// The holding of (owner, cid), made if there is none.
pub(super) async fn create_or_join(
    connection: &mut SqliteConnection,
    owner: &OwnerId,
    cid: &DataCid,
) -> Result<HoldingId, Error> {
    let cid = cid.to_string();
    sqlx::query("INSERT INTO holding (owner, cid) VALUES ($1, $2) ON CONFLICT (owner, cid) DO NOTHING")
        .bind(&owner.0)
        .bind(&cid)
        .execute(&mut *connection)
        .await?;
    let id: i64 = sqlx::query_scalar("SELECT id FROM holding WHERE owner = $1 AND cid = $2")
        .bind(&owner.0)
        .bind(&cid)
        .fetch_one(connection)
        .await?;
    Ok(HoldingId(uint("holding", id)?))
}

pub(super) async fn of_cid(
    connection: &mut SqliteConnection,
    cid: &DataCid,
) -> Result<Vec<HoldingId>, Error> {
    let ids: Vec<i64> = sqlx::query_scalar("SELECT id FROM holding WHERE cid = $1 ORDER BY id")
        .bind(cid.to_string())
        .fetch_all(connection)
        .await?;
    ids.into_iter().map(|id| uint("holding", id).map(HoldingId)).collect()
}

/// Whether any job of `holding` is open.
pub(super) async fn is_open(connection: &mut SqliteConnection, holding: HoldingId) -> Result<bool, Error> {
    let open: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM job WHERE holding = $1 AND open = 1")
        .bind(int("holding", holding.0)?)
        .fetch_one(connection)
        .await?;
    Ok(open > 0)
}

/// The strictest policy over the open jobs of `holding` that are served; `None` when there is none.
pub(super) async fn policy(
    connection: &mut SqliteConnection,
    holding: HoldingId,
) -> Result<Option<Policy>, Error> {
    let texts: Vec<String> = sqlx::query_scalar(
        "SELECT policy FROM job j WHERE holding = $1 AND open = 1 AND policy_known = 1
             ORDER BY id",
    )
    .bind(int("holding", holding.0)?)
    .fetch_all(connection)
    .await?;
    let policies = texts.iter().map(|text| POLICY.decode(text)).collect::<Result<Vec<Policy>, _>>()?;
    Ok(policies.into_iter().reduce(|a, b| a.strictest(&b)))
}
