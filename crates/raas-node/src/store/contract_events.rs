//! The events of contracts as they were believed. None is ever deleted: where the history that told one is gone, it is
//! superseded by the rewind that read the new one.

use raas_core::ids::{ContractAddress, DealId, RequestId};
use raas_core::units::Epoch;
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::error::Error;
use super::open::Store;
use super::schema::{deal_id, deal_int, int, uint};

/// What an event said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A request was made.
    Requested,
    /// A deal completed a request.
    Completed,
    /// A miner actor told of a piece in a sector.
    Told,
    /// The request's owner changed its policy.
    Changed,
    /// The request's owner closed it, and its job was open until then.
    Closed,
}

/// One event of a contract.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ContractEvent {
    /// What it said.
    pub kind: EventKind,
    /// Of which request.
    pub request: RequestId,
    /// With which deal: of `Completed` and `Told`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deal: Option<DealId>,
    /// Of `Requested`: the transaction that made it, 0x hex. Empty for the others, and where a view told it.
    pub transaction: String,
    /// Of `Requested`: which of its transaction's requests it is, from 0, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// Its block; of `Changed` and `Closed` the last block of the window that told it.
    pub block: Epoch,
}

impl ContractEvent {
    /// A request as it was made.
    #[must_use]
    pub fn requested(request: RequestId, transaction: &str, position: Option<u64>, block: Epoch) -> Self {
        let transaction = transaction.to_owned();
        Self { kind: EventKind::Requested, request, deal: None, transaction, position, block }
    }

    /// Any other event.
    #[must_use]
    pub const fn other(kind: EventKind, request: RequestId, deal: Option<DealId>, block: Epoch) -> Self {
        Self { kind, request, deal, transaction: String::new(), position: None, block }
    }
}

/// By what an event was superseded, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Superseded {
    /// The rewind's number.
    pub rewind: u64,
    /// The head then.
    pub at: Epoch,
    /// Seconds since 1970.
    pub at_unix: i64,
}

impl Store {
    /// Every event of a contract that was ever believed, oldest first, with what superseded it.
    pub async fn contract_events(
        &self,
        contract: ContractAddress,
    ) -> Result<Vec<(ContractEvent, Option<Superseded>)>, Error> {
        let rows = sqlx::query(
            "SELECT e.kind, e.request, e.deal, e.tx, e.position, e.block, r.id AS rewind, r.at, r.at_unix
             FROM contract_event e LEFT JOIN rewind r ON r.id = e.superseded
             WHERE e.contract = $1 ORDER BY e.seq",
        )
        .bind(contract.to_string())
        .fetch_all(&mut *self.read().await?)
        .await?;
        let superseded = |row: &SqliteRow| -> Result<Option<Superseded>, Error> {
            let Some(rewind) = row.try_get::<Option<i64>, _>("rewind")? else { return Ok(None) };
            let rewind = uint("rewind", rewind)?;
            Ok(Some(Superseded { rewind, at: Epoch(row.try_get("at")?), at_unix: row.try_get("at_unix")? }))
        };
        rows.iter().map(|row| Ok((decode(row)?, superseded(row)?))).collect()
    }

    /// The highest request of a contract that was made before block `from`; 0 where there is none.
    pub async fn highest_request_before(&self, contract: ContractAddress, from: Epoch) -> Result<u64, Error> {
        let highest: Option<i64> = sqlx::query_scalar(
            "SELECT MAX(request) FROM contract_event
             WHERE contract = $1 AND kind = 'requested' AND block < $2 AND superseded IS NULL",
        )
        .bind(contract.to_string())
        .bind(from.0)
        .fetch_one(&mut *self.read().await?)
        .await?;
        highest.map_or(Ok(0), |highest| uint("request", highest))
    }

    /// Requests whose owners changed or closed them in block `from` or later, as far as that was read.
    pub async fn requests_changed_since(
        &self,
        contract: ContractAddress,
        from: Epoch,
    ) -> Result<Vec<RequestId>, Error> {
        let rows: Vec<i64> = sqlx::query_scalar(
            "SELECT DISTINCT request FROM contract_event WHERE contract = $1 AND block >= $2
             AND kind IN ('changed', 'closed') AND superseded IS NULL ORDER BY request",
        )
        .bind(contract.to_string())
        .bind(from.0)
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.into_iter().map(|request| uint("request", request).map(RequestId)).collect()
    }
}

/// Notes an event; once.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    contract: ContractAddress,
    event: &ContractEvent,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO contract_event (contract, kind, request, deal, tx, position, block)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
    )
    .bind(contract.to_string())
    .bind(name(event.kind))
    .bind(int("request", event.request.0)?)
    .bind(event.deal.map_or(0, deal_int))
    .bind(&event.transaction)
    .bind(event.position.map(|position| int("position", position)).transpose()?)
    .bind(event.block.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// What stands from block `from` on, oldest first.
pub(super) async fn standing_from(
    connection: &mut SqliteConnection,
    contract: ContractAddress,
    from: Epoch,
) -> Result<Vec<ContractEvent>, Error> {
    let rows = sqlx::query(
        "SELECT kind, request, deal, tx, position, block FROM contract_event
         WHERE contract = $1 AND block >= $2 AND superseded IS NULL ORDER BY seq",
    )
    .bind(contract.to_string())
    .bind(from.0)
    .fetch_all(connection)
    .await?;
    rows.iter().map(decode).collect()
}

/// Marks an event as told by a history that is gone.
pub(super) async fn supersede(
    connection: &mut SqliteConnection,
    contract: ContractAddress,
    event: &ContractEvent,
    rewind: i64,
) -> Result<(), Error> {
    sqlx::query(
        "UPDATE contract_event SET superseded = $6 WHERE contract = $1 AND kind = $2 AND request = $3
         AND deal = $4 AND block = $5 AND superseded IS NULL",
    )
    .bind(contract.to_string())
    .bind(name(event.kind))
    .bind(int("request", event.request.0)?)
    .bind(event.deal.map_or(0, deal_int))
    .bind(event.block.0)
    .bind(rewind)
    .execute(connection)
    .await?;
    Ok(())
}

const fn name(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Requested => "requested",
        EventKind::Completed => "completed",
        EventKind::Told => "told",
        EventKind::Changed => "changed",
        EventKind::Closed => "closed",
    }
}

fn kind(name: &str) -> Result<EventKind, Error> {
    Ok(match name {
        "requested" => EventKind::Requested,
        "completed" => EventKind::Completed,
        "told" => EventKind::Told,
        "changed" => EventKind::Changed,
        "closed" => EventKind::Closed,
        _ => return Err(Error::Unreadable { format: "event of a contract", source: name.into() }),
    })
}

fn decode(row: &SqliteRow) -> Result<ContractEvent, Error> {
    let kind = kind(row.try_get("kind")?)?;
    let position: Option<i64> = row.try_get("position")?;
    Ok(ContractEvent {
        kind,
        request: RequestId(uint("request", row.try_get("request")?)?),
        deal: match kind {
            EventKind::Completed | EventKind::Told => Some(deal_id(row.try_get("deal")?)),
            EventKind::Requested | EventKind::Changed | EventKind::Closed => None,
        },
        transaction: row.try_get("tx")?,
        position: position.map(|position| uint("position", position)).transpose()?,
        block: Epoch(row.try_get("block")?),
    })
}
