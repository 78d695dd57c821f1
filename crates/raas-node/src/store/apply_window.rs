//! One window of a contract's events: the cursor, the jobs and the completions in one transaction, so that
//! each event counts exactly once however often it is read.

use raas_core::cid::DataCid;
use raas_core::ids::{ContractAddress, HoldingId, JobId, RequestAt, RequestId};
use raas_core::policy::Policy;
use raas_core::ports::{CompletionSeen, ToldSeen};
use raas_core::units::Epoch;
use sqlx::SqliteConnection;

use super::contract_events::{self, ContractEvent, EventKind};
use super::error::Error;
use super::events::{Happened, log};
use super::open::Store;
use super::schema::{SOURCE, deal_int, int, parse, uint};
use super::types::{JobSource, NewJob, Registered, Sighting, SightingState};
use super::{batches, cursor, jobs, mark, sightings, told};

/// What became of a request that is known already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestChange {
    /// It wants nothing more.
    Closed,
    /// Its job has this policy now.
    Policy(Box<Policy>),
}

/// What a window of a contract's events tells.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window<'a> {
    /// One for each request.
    pub jobs: &'a [NewJob],
    /// In order.
    pub completions: &'a [CompletionSeen],
    /// Pieces in sectors that the contract was told of.
    pub told: &'a [ToldSeen],
    /// What owners changed or closed, of earlier requests too.
    pub changes: &'a [(RequestId, RequestChange)],
    /// Requests that no job is made of.
    pub refused: &'a [ContractEvent],
    /// The window's last block.
    pub to: Epoch,
}

impl Store {
    /// Stores a window: the cursor after it, a job per request, a sighting per completion. A request whose
    /// transaction is one of our own submits binds to the job that submitted it and makes no second one. What
    /// became of each of `jobs`, in their order.
    pub async fn apply_window(
        &self,
        contract: ContractAddress,
        cursor: &serde_json::Value,
        jobs: &[NewJob],
        completions: &[CompletionSeen],
    ) -> Result<Vec<Registered>, Error> {
        self.apply_whole_window(contract, cursor, &Window { jobs, completions, ..Window::default() }).await
    }

    /// The same, with everything else that a window can tell.
    pub async fn apply_whole_window(
        &self,
        contract: ContractAddress,
        cursor: &serde_json::Value,
        window: &Window<'_>,
    ) -> Result<Vec<Registered>, Error> {
        let mut tx = self.write().await?;
        cursor::put(&mut tx, contract, cursor).await?;
        let registered = apply(&mut tx, contract, window).await?;
        tx.commit().await?;
        Ok(registered)
    }
}

/// Everything that a window tells, inside the caller's transaction.
pub(super) async fn apply(
    connection: &mut SqliteConnection,
    contract: ContractAddress,
    window: &Window<'_>,
) -> Result<Vec<Registered>, Error> {
    let mut registered = Vec::with_capacity(window.jobs.len());
    for job in window.jobs {
        if let Some(event) = event_of(job) {
            contract_events::insert(connection, contract, &event).await?;
        }
        let known = match bind_own(connection, job).await? {
            Some(bound) => Some(bound),
            None => revive(connection, job).await?,
        };
        registered.push(match known {
            Some(known) => known,
            None => jobs::register(connection, job).await?,
        });
    }
    // Most CIDs are asked for by one owner; what is settled anew changes nothing for whoever has it.
    for (job, done) in window.jobs.iter().zip(&registered) {
        if matches!(done, Registered::Created { .. }) {
            told::settle_again(connection, contract, &job.cid).await?;
        }
    }
    for refused in window.refused {
        contract_events::insert(connection, contract, refused).await?;
    }
    for seen in window.told {
        let event = ContractEvent::other(EventKind::Told, seen.request, Some(seen.deal), seen.block);
        contract_events::insert(connection, contract, &event).await?;
        told::insert(connection, contract, seen).await?;
    }
    for completion in window.completions {
        let CompletionSeen { request, deal, block } = *completion;
        let event = ContractEvent::other(EventKind::Completed, request, Some(deal), block);
        contract_events::insert(connection, contract, &event).await?;
        complete(connection, contract, completion).await?;
    }
    for (request, change) in window.changes {
        let kind = match change_one(connection, contract, *request, change).await? {
            Some(kind) => kind,
            None => continue,
        };
        let event = ContractEvent::other(kind, *request, None, window.to);
        contract_events::insert(connection, contract, &event).await?;
    }
    Ok(registered)
}

/// The event that made a job of a contract.
pub(super) fn event_of(job: &NewJob) -> Option<ContractEvent> {
    let JobSource::Contract { request, transaction, block, .. } = &job.source else { return None };
    Some(ContractEvent::requested(*request, transaction, job.position, *block))
}

/// What became of a request reaches its job. How that is noted; `None` where nothing is to be taken back later: a request
/// without a job (its CID was none), or a job that had ended before.
async fn change_one(
    connection: &mut SqliteConnection,
    contract: ContractAddress,
    request: RequestId,
    change: &RequestChange,
) -> Result<Option<EventKind>, Error> {
    let Some(job) = jobs::of_request(connection, RequestAt { contract, request }).await? else {
        return Ok(None);
    };
    Ok(match change {
        RequestChange::Closed => jobs::stop(connection, job).await?.then_some(EventKind::Closed),
        RequestChange::Policy(policy) => {
            jobs::change(connection, job, policy).await?;
            Some(EventKind::Changed)
        }
    })
}

/// Binds the request to the job whose own transaction submitted it, if that is so: among several jobs of one transaction
/// the one at the request's place in it. A request that was read by view has
/// no transaction; if it may be this node's own it binds to the first job whose registration is under way for its CID.
async fn bind_own(connection: &mut SqliteConnection, job: &NewJob) -> Result<Option<Registered>, Error> {
    let JobSource::Contract { contract, request, transaction, .. } = &job.source else { return Ok(None) };
    let own: Option<(i64, i64)> = sqlx::query_as(
        "SELECT j.id, j.holding FROM tx_signed s JOIN tx t ON t.id = s.tx OR t.carrier = s.tx
         JOIN job j ON j.id = t.job JOIN holding h ON h.id = j.holding
         WHERE (LOWER(s.hash) = LOWER($1) OR $1 = '') AND j.request IS NULL AND h.cid = $2
         AND (t.carrier IS NULL OR $5 IS NULL OR t.position = $5)
         AND NOT EXISTS (SELECT 1 FROM job o WHERE o.contract = $3 AND o.request = $4)
         ORDER BY t.id, j.id LIMIT 1",
    )
    .bind(transaction)
    .bind(job.cid.to_string())
    .bind(contract.to_string())
    .bind(int("request", request.0)?)
    .bind(job.position.map(|position| int("position", position)).transpose()?)
    .fetch_optional(&mut *connection)
    .await?;
    let own = match own {
        Some(own) => Some(own),
        None => bind_forgotten(connection, job).await?,
    };
    let Some((id, holding)) = own else { return Ok(None) };
    sqlx::query("UPDATE job SET contract = $2, request = $3 WHERE id = $1")
        .bind(id)
        .bind(contract.to_string())
        .bind(int("request", request.0)?)
        .execute(&mut *connection)
        .await?;
    let (id, holding) = (JobId(uint("job", id)?), HoldingId(uint("holding", holding)?));
    let bound = Happened::RequestBound { job: id, request: *request };
    log(connection, Some(holding), Some(job.at), &bound).await?;
    Ok(Some(Registered::AlreadyExists { job: id, holding }))
}

/// A transaction that a rewind found on no chain, and that is mined after all: its request is the job that it was.
async fn revive(connection: &mut SqliteConnection, job: &NewJob) -> Result<Option<Registered>, Error> {
    let JobSource::Contract { contract, request, transaction, .. } = &job.source else { return Ok(None) };
    let ended: Option<(i64, i64, bool)> = sqlx::query_as(
        "SELECT j.id, j.holding, j.ended_by_rewind FROM job j JOIN holding h ON h.id = j.holding
         WHERE j.superseded IS NOT NULL AND j.request IS NULL AND h.cid = $2 AND j.owner = $4
         AND json_extract(j.source, '$.d.contract') = $3
         AND LOWER(json_extract(j.source, '$.d.transaction')) = LOWER($1) AND LENGTH($1) > 2
         AND NOT EXISTS (SELECT 1 FROM job o WHERE o.contract = $3 AND o.request = $5)
         ORDER BY j.id LIMIT 1",
    )
    .bind(transaction)
    .bind(job.cid.to_string())
    .bind(contract.to_string())
    .bind(&job.owner.0)
    .bind(int("request", request.0)?)
    .fetch_optional(&mut *connection)
    .await?;
    let Some((id, holding, ended_by_rewind)) = ended else { return Ok(None) };
    sqlx::query(
        "UPDATE job SET contract = $2, request = $3, source = $4, superseded = NULL, ended_by_rewind = 0
         WHERE id = $1",
    )
    .bind(id)
    .bind(contract.to_string())
    .bind(int("request", request.0)?)
    .bind(SOURCE.encode(&job.source)?)
    .execute(&mut *connection)
    .await?;
    let (id, holding) = (JobId(uint("job", id)?), HoldingId(uint("holding", holding)?));
    if ended_by_rewind {
        jobs::reopen(connection, id).await?;
    }
    Ok(Some(Registered::AlreadyExists { job: id, holding }))
}

/// A store that was put back has forgotten what it sent: a request by the node's own account is the registration of the
/// first job for its CID that this store still wants to register, and is not sent again.
async fn bind_forgotten(
    connection: &mut SqliteConnection,
    job: &NewJob,
) -> Result<Option<(i64, i64)>, Error> {
    if mark::restored_account(connection).await?.is_none_or(|account| account != job.owner.0) {
        return Ok(None);
    }
    let waiting: Option<(i64, i64, i64)> = sqlx::query_as(
        "SELECT j.id, j.holding, t.id FROM tx t JOIN job j ON j.id = t.job JOIN holding h ON h.id = j.holding
         LEFT JOIN tx c ON c.id = t.carrier
         WHERE (t.open = 1 OR c.open = 1) AND j.request IS NULL AND h.cid = $1 ORDER BY j.id LIMIT 1",
    )
    .bind(job.cid.to_string())
    .fetch_optional(&mut *connection)
    .await?;
    let Some((id, holding, tx)) = waiting else { return Ok(None) };
    batches::registered(connection, tx, HoldingId(uint("holding", holding)?)).await?;
    Ok(Some((id, holding)))
}

/// Stores one completion; a deal that is no order here is to be looked at.
async fn complete(
    connection: &mut SqliteConnection,
    contract: ContractAddress,
    completion: &CompletionSeen,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO completion (contract, request, deal, block) VALUES ($1, $2, $3, $4)
         ON CONFLICT (contract, request, deal) DO NOTHING",
    )
    .bind(contract.to_string())
    .bind(int("request", completion.request.0)?)
    .bind(deal_int(completion.deal))
    .bind(completion.block.0)
    .execute(&mut *connection)
    .await?;
    // A request without a job (its CID was none) has nobody whose copy this could be.
    let Some(cid) = cid_of_request(connection, contract, completion.request).await? else { return Ok(()) };
    let of = Some(RequestAt { contract, request: completion.request });
    let sighting = Sighting { cid, of, deal: completion.deal, state: SightingState::New };
    sightings::insert(connection, &sighting).await
}

async fn cid_of_request(
    connection: &mut SqliteConnection,
    contract: ContractAddress,
    request: RequestId,
) -> Result<Option<DataCid>, Error> {
    let cid: Option<String> = sqlx::query_scalar(
        "SELECT h.cid FROM job j JOIN holding h ON h.id = j.holding WHERE j.contract = $1 AND j.request = $2",
    )
    .bind(contract.to_string())
    .bind(int("request", request.0)?)
    .fetch_optional(connection)
    .await?;
    cid.map(|cid| parse("CID", &cid)).transpose()
}
