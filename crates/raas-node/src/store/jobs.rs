//! Jobs: what was registered. A job creates or joins the holding of its owner and CID.

use raas_core::cid::DataCid;
use raas_core::holding::Unserved;
use raas_core::ids::{HoldingId, JobId, OwnerId, RequestAt, RequestId};
use raas_core::policy::{Duties, Policy};
use raas_core::ports::TxIntent;
use raas_core::units::Epoch;
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::error::Error;
use super::events::{Happened, log};
use super::open::Store;
use super::schema::{DUTIES, ON_CHAIN, POLICY, SOURCE, int, parse, uint};
use super::types::{Job, JobSource, JobState, NewJob, Registered, StepKind, TxSubmit};
use super::{holdings, keeping, pieces, steps, txs};

/// [`TxSubmit`] as it is stored, to tell a repeated call from another one.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct OnChain {
    cid: Vec<u8>,
    target: u32,
    repair: i64,
    renew: i64,
}

impl From<&TxSubmit> for OnChain {
    fn from(submit: &TxSubmit) -> Self {
        let TxSubmit { cid, target, repair, renew } = submit;
        Self { cid: cid.clone(), target: *target, repair: *repair, renew: *renew }
    }
}

macro_rules! job_sql {
    ($rest:literal) => {
        concat!(
            "SELECT j.id, j.holding, j.owner, h.cid, j.duties, j.policy, j.source, j.on_chain, j.open,
             j.contract, j.request, j.at, j.at_unix, j.superseded FROM job j JOIN holding h ON h.id = j.holding ",
            $rest
        )
    };
}

impl Store {
    /// Registers a job, and with it whatever must not be forgotten: its registration on the contract, the
    /// pieces already known for its CID, or the step that fetches them. Repeating it with the same
    /// idempotency key gives the first job again.
    pub async fn register_job(&self, job: &NewJob) -> Result<Registered, Error> {
        let mut tx = self.write().await?;
        let registered = register(&mut tx, job).await?;
        tx.commit().await?;
        Ok(registered)
    }

    /// Ends what `job` asks for; whether it was open. What its holding has already is still watched.
    pub async fn stop_job(&self, job: JobId) -> Result<bool, Error> {
        let mut tx = self.write().await?;
        let stopped = stop(&mut tx, job).await?;
        tx.commit().await?;
        Ok(stopped)
    }

    /// One job.
    pub async fn job(&self, job: JobId) -> Result<Option<Job>, Error> {
        let row = sqlx::query(job_sql!("WHERE j.id = $1"))
            .bind(int("job", job.0)?)
            .fetch_optional(&mut *self.read().await?)
            .await?;
        row.as_ref().map(decode).transpose()
    }

    /// At most `limit` jobs after number `after`, in order of their numbers; of one owner, of one CID, or all.
    pub async fn jobs(
        &self,
        owner: Option<&OwnerId>,
        cid: Option<&DataCid>,
        after: Option<JobId>,
        limit: u32,
    ) -> Result<Vec<Job>, Error> {
        let sql = match (owner, cid) {
            (None, None) => job_sql!("WHERE j.id > $1 ORDER BY j.id LIMIT $2"),
            (Some(_), None) => job_sql!("WHERE j.id > $1 AND j.owner = $3 ORDER BY j.id LIMIT $2"),
            (None, Some(_)) => job_sql!("WHERE j.id > $1 AND h.cid = $3 ORDER BY j.id LIMIT $2"),
            (Some(_), Some(_)) => {
                job_sql!("WHERE j.id > $1 AND j.owner = $3 AND h.cid = $4 ORDER BY j.id LIMIT $2")
            }
        };
        let after = after.map_or(Ok(0), |after| int("job", after.0))?;
        let mut query = sqlx::query(sql).bind(after).bind(limit);
        if let Some(owner) = owner {
            query = query.bind(owner.0.clone());
        }
        if let Some(cid) = cid {
            query = query.bind(cid.to_string());
        }
        let rows = query.fetch_all(&mut *self.read().await?).await?;
        rows.iter().map(decode).collect()
    }

    /// All jobs of a holding, stopped ones too, oldest first.
    pub async fn jobs_of_holding(&self, holding: HoldingId) -> Result<Vec<Job>, Error> {
        let rows = sqlx::query(job_sql!("WHERE j.holding = $1 ORDER BY j.id"))
            .bind(int("holding", holding.0)?)
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter().map(decode).collect()
    }
}

/// Stops `job` inside the caller's transaction; whether it was open.
pub(super) async fn stop(connection: &mut SqliteConnection, job: JobId) -> Result<bool, Error> {
    let holding: Option<i64> =
        sqlx::query_scalar("UPDATE job SET open = 0 WHERE id = $1 AND open = 1 RETURNING holding")
            .bind(int("job", job.0)?)
            .fetch_optional(&mut *connection)
            .await?;
    let Some(holding) = holding else { return Ok(false) };
    let holding = HoldingId(uint("holding", holding)?);
    log(connection, Some(holding), None, &Happened::JobStopped { job }).await?;
    if !holdings::is_open(connection, holding).await? {
        steps::remove(connection, &StepKind::Fetch { holding }).await?;
    }
    Ok(true)
}

/// Opens a stopped job again inside the caller's transaction: what stopped it is taken back.
pub(super) async fn reopen(connection: &mut SqliteConnection, job: JobId) -> Result<(), Error> {
    let row: Option<(i64, String, i64)> = sqlx::query_as(
        "UPDATE job SET open = 1 WHERE id = $1 AND open = 0
         RETURNING holding, (SELECT cid FROM holding h WHERE h.id = job.holding), at_unix",
    )
    .bind(int("job", job.0)?)
    .fetch_optional(&mut *connection)
    .await?;
    let Some((holding, cid, at_unix)) = row else { return Ok(()) };
    let holding = HoldingId(uint("holding", holding)?);
    if !pieces::link_known(connection, holding, &parse("CID", &cid)?).await? {
        steps::plan(connection, &StepKind::Fetch { holding }, at_unix).await?;
    }
    log(connection, Some(holding), None, &Happened::JobReopened { job }).await
}

/// Replaces the policy of an open job inside the caller's transaction; whether it is another one now.
pub(super) async fn change(
    connection: &mut SqliteConnection,
    job: JobId,
    policy: &Policy,
) -> Result<bool, Error> {
    let row = sqlx::query(job_sql!("WHERE j.id = $1 AND j.open = 1"))
        .bind(int("job", job.0)?)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(old) = row.as_ref().map(decode).transpose()? else { return Ok(false) };
    if old.policy == *policy {
        return Ok(false);
    }
    sqlx::query("UPDATE job SET policy = $2 WHERE id = $1")
        .bind(int("job", job.0)?)
        .bind(POLICY.encode(policy)?)
        .execute(&mut *connection)
        .await?;
    log(connection, Some(old.holding), None, &Happened::JobChanged { job }).await?;
    Ok(true)
}

/// The job of a contract's request.
pub(super) async fn of_request(
    connection: &mut SqliteConnection,
    at: RequestAt,
) -> Result<Option<JobId>, Error> {
    let id: Option<i64> = sqlx::query_scalar("SELECT id FROM job WHERE contract = $1 AND request = $2")
        .bind(at.contract.to_string())
        .bind(int("request", at.request.0)?)
        .fetch_optional(connection)
        .await?;
    id.map(|id| uint("job", id).map(JobId)).transpose()
}

/// Registers `job` inside the caller's transaction.
pub(super) async fn register(connection: &mut SqliteConnection, job: &NewJob) -> Result<Registered, Error> {
    if let Some(found) = seen_before(connection, job).await? {
        return Ok(found);
    }
    let holding = holdings::create_or_join(connection, &job.owner, &job.cid).await?;
    let id = insert(connection, holding, job).await?;
    keeping::job_takes_over(connection, &job.owner, &job.cid).await?;
    let registered = Happened::JobRegistered { job: id, cid: job.cid.clone() };
    log(connection, Some(holding), Some(job.at), &registered).await?;
    let wants_bytes = !matches!(job.source, JobSource::Contract { policy_known: false, .. });
    if !pieces::link_known(connection, holding, &job.cid).await? && wants_bytes {
        steps::plan(connection, &StepKind::Fetch { holding }, job.at_unix).await?;
    }
    if let Some(submit) = &job.on_chain {
        let TxSubmit { cid, target, repair, renew } = submit.clone();
        let intent = TxIntent::Submit { job: id, cid, target, repair, renew };
        let key = format!("submit:{id}");
        let purpose = txs::Purpose { owner: &job.owner, holding: Some(holding) };
        txs::plan(connection, &intent, &key, purpose, job.at_unix).await?;
    }
    Ok(Registered::Created { job: id, holding })
}

async fn insert(connection: &mut SqliteConnection, holding: HoldingId, job: &NewJob) -> Result<JobId, Error> {
    let (contract, request, policy_known) = match &job.source {
        JobSource::Contract { contract, request, policy_known, .. } => {
            (Some(contract.to_string()), Some(int("request", request.0)?), *policy_known)
        }
        JobSource::Api | JobSource::Upload => (None, None, true),
    };
    let on_chain = job.on_chain.as_ref().map(|submit| ON_CHAIN.encode(&OnChain::from(submit))).transpose()?;
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO job (holding, owner, duties, policy, source, on_chain, open, contract, request,
         idempotency_key, at, at_unix, policy_known)
         VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, $9, $10, $11, $12) RETURNING id",
    )
    .bind(int("holding", holding.0)?)
    .bind(&job.owner.0)
    .bind(DUTIES.encode(&job.duties)?)
    .bind(POLICY.encode(&job.policy)?)
    .bind(SOURCE.encode(&job.source)?)
    .bind(on_chain)
    .bind(contract)
    .bind(request)
    .bind(job.idempotency_key.as_deref())
    .bind(job.at.0)
    .bind(job.at_unix)
    .bind(policy_known)
    .fetch_one(connection)
    .await?;
    Ok(JobId(uint("job", id)?))
}

/// The job that the same key or the same contract request led to, if any.
async fn seen_before(connection: &mut SqliteConnection, job: &NewJob) -> Result<Option<Registered>, Error> {
    if let Some(key) = &job.idempotency_key {
        let row = sqlx::query(job_sql!("WHERE j.owner = $1 AND j.idempotency_key = $2"))
            .bind(&job.owner.0)
            .bind(key)
            .fetch_optional(&mut *connection)
            .await?;
        if let Some(row) = row {
            let first = decode(&row)?;
            if !same_content(&row, &first, job)? {
                return Err(Error::KeyReused { key: key.clone(), job: first.id });
            }
            return Ok(Some(Registered::AlreadyExists { job: first.id, holding: first.holding }));
        }
    }
    let JobSource::Contract { contract, request, .. } = &job.source else { return Ok(None) };
    let row = sqlx::query(job_sql!("WHERE j.contract = $1 AND j.request = $2"))
        .bind(contract.to_string())
        .bind(int("request", request.0)?)
        .fetch_optional(connection)
        .await?;
    let Some(first) = row.as_ref().map(decode).transpose()? else { return Ok(None) };
    // The policy is not compared: it comes in part from the node's defaults, which may have changed since.
    let bound_by_us = !matches!(first.source, JobSource::Contract { .. });
    if first.cid != job.cid || !(bound_by_us || first.owner == job.owner) {
        let (contract, request) = (*contract, *request);
        return Err(Error::RequestChanged { contract, request, job: first.id });
    }
    Ok(Some(Registered::AlreadyExists { job: first.id, holding: first.holding }))
}

/// Why nothing is done for a job, if so. A job of the API that was registered on a contract is served all the same.
pub(super) fn unserved(source: &JobSource, request: Option<RequestAt>) -> Option<Unserved> {
    let JobSource::Contract { policy_known, .. } = source else { return None };
    let at = request?;
    (!policy_known).then_some(Unserved::PolicyUnknown { at })
}

fn same_content(row: &SqliteRow, first: &Job, job: &NewJob) -> Result<bool, Error> {
    let on_chain: Option<OnChain> = ON_CHAIN.decode_option(row.try_get("on_chain")?)?;
    Ok(first.cid == job.cid
        && first.duties == job.duties
        && first.policy == job.policy
        && first.source == job.source
        && on_chain == job.on_chain.as_ref().map(OnChain::from))
}

fn decode(row: &SqliteRow) -> Result<Job, Error> {
    let open: bool = row.try_get("open")?;
    let request: Option<i64> = row.try_get("request")?;
    let duties: Duties = DUTIES.decode(row.try_get("duties")?)?;
    let contract: Option<String> = row.try_get("contract")?;
    let request = match (contract, request) {
        (Some(contract), Some(request)) => Some(RequestAt {
            contract: parse("contract", &contract)?,
            request: RequestId(uint("request", request)?),
        }),
        _ => None,
    };
    let source: JobSource = SOURCE.decode(row.try_get("source")?)?;
    Ok(Job {
        id: JobId(uint("job", row.try_get("id")?)?),
        holding: HoldingId(uint("holding", row.try_get("holding")?)?),
        owner: OwnerId(row.try_get("owner")?),
        cid: parse("CID", row.try_get("cid")?)?,
        duties,
        policy: POLICY.decode(row.try_get("policy")?)?,
        unserved: unserved(&source, request).filter(|_| open),
        source,
        request,
        state: if open { JobState::Open } else { JobState::Stopped },
        superseded: row
            .try_get::<Option<i64>, _>("superseded")?
            .map(|rewind| uint("rewind", rewind))
            .transpose()?,
        at: Epoch(row.try_get("at")?),
        at_unix: row.try_get("at_unix")?,
    })
}
