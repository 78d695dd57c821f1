//! Sightings: deals that the contract names for a CID, and what became of each.

use raas_core::cid::DataCid;
use raas_core::ids::{DealId, RequestAt, RequestId};
use sqlx::SqliteConnection;

use super::error::Error;
use super::open::Store;
use super::schema::{int, parse, uint};
use super::types::{Sighting, SightingState};

type Row = (String, Option<String>, Option<i64>, i64, String);

impl Store {
    /// Adds what is not known yet. A deal that is an order here is noted as adopted at once.
    pub async fn add_sightings(&self, sightings: &[Sighting]) -> Result<(), Error> {
        let mut tx = self.write().await?;
        for sighting in sightings {
            insert(&mut tx, sighting).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// All sightings in one state, by CID and deal.
    pub async fn sightings(&self, state: SightingState) -> Result<Vec<Sighting>, Error> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT cid, contract, request, deal, state FROM sighting WHERE state = $1 ORDER BY cid, deal",
        )
        .bind(name(state))
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.into_iter().map(decode).collect()
    }

    /// All sightings of one CID, by deal.
    pub async fn sightings_of_cid(&self, cid: &DataCid) -> Result<Vec<Sighting>, Error> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT cid, contract, request, deal, state FROM sighting WHERE cid = $1 ORDER BY deal",
        )
        .bind(cid.to_string())
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.into_iter().map(decode).collect()
    }
}

/// Adds a sighting unless it is known. Its request is filled in when it was not known before.
pub(super) async fn insert(connection: &mut SqliteConnection, sighting: &Sighting) -> Result<(), Error> {
    // What the contract was told of stands in a table of its own.
    if sighting.deal.is_of_sector() {
        return Ok(());
    }
    let deal = int("deal", sighting.deal.0)?;
    sqlx::query(
        "INSERT INTO sighting (cid, deal, contract, request, state) VALUES ($1, $2, $3, $4,
         CASE WHEN EXISTS (SELECT 1 FROM orders WHERE deal = $2) THEN 'adopted' ELSE $5 END)
         ON CONFLICT (cid, deal) DO UPDATE SET contract = excluded.contract, request = excluded.request
         WHERE sighting.request IS NULL",
    )
    .bind(sighting.cid.to_string())
    .bind(deal)
    .bind(sighting.of.map(|of| of.contract.to_string()))
    .bind(sighting.of.map(|of| int("request", of.request.0)).transpose()?)
    .bind(name(sighting.state))
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn set_state(
    connection: &mut SqliteConnection,
    cid: &DataCid,
    deal: DealId,
    state: SightingState,
) -> Result<(), Error> {
    sqlx::query("UPDATE sighting SET state = $3 WHERE cid = $1 AND deal = $2")
        .bind(cid.to_string())
        .bind(int("deal", deal.0)?)
        .bind(name(state))
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) const fn name(state: SightingState) -> &'static str {
    match state {
        SightingState::New => "new",
        SightingState::Adopted => "adopted",
        SightingState::Unverified => "unverified",
    }
}

fn decode((cid, contract, request, deal, state): Row) -> Result<Sighting, Error> {
    let of = match (contract, request) {
        (Some(contract), Some(request)) => Some(RequestAt {
            contract: parse("contract", &contract)?,
            request: RequestId(uint("request", request)?),
        }),
        _ => None,
    };
    Ok(Sighting {
        cid: parse("CID", &cid)?,
        of,
        deal: DealId(uint("deal", deal)?),
        state: self::state(&state)?,
    })
}

pub(super) fn state(name: &str) -> Result<SightingState, Error> {
    Ok(match name {
        "new" => SightingState::New,
        "adopted" => SightingState::Adopted,
        "unverified" => SightingState::Unverified,
        _ => return Err(Error::Unreadable { format: "sighting state", source: name.into() }),
    })
}
