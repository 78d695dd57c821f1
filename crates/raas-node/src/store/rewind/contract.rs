//! One contract's part of a rewind: its events, and the jobs, completions and told pieces that follow from them.

use raas_core::cid::DataCid;
use raas_core::ids::{ContractAddress, JobId, RequestAt};
use raas_core::units::Epoch;
use serde::Serialize;
use sqlx::SqliteConnection;

use super::apply::Rewind;
use crate::store::apply_window::{self, Window, event_of};
use crate::store::contract_events::{self, ContractEvent, EventKind};
use crate::store::error::Error;
use crate::store::events::{Happened, log};
use crate::store::schema::{SOURCE, int, parse, uint};
use crate::store::types::{JobSource, NO_TRANSACTION, NewJob, StepKind, TxId};
use crate::store::{cursor, jobs, steps};

/// One contract as it is read now.
#[derive(Debug)]
pub struct ContractRewind<'a> {
    /// Which.
    pub contract: ContractAddress,
    /// The event cursor after it.
    pub cursor: serde_json::Value,
    /// Everything from the first rewritten block on.
    pub window: Window<'a>,
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ContractRewound {
    /// Which contract.
    pub contract: ContractAddress,
    /// Events that are not on the chain any more.
    pub superseded: Vec<ContractEvent>,
    /// Events of the same transactions in other blocks, or under other request ids.
    pub moved: Vec<Moved>,
    /// Events that were not there before.
    pub new: Vec<ContractEvent>,
    /// Jobs that end, since their request is gone.
    pub jobs_ended: Vec<JobId>,
    /// Jobs of this node's own whose registration is gone: it is sent again.
    pub jobs_unregistered: Vec<JobId>,
}

/// An event that was mined again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// As it was.
    pub before: ContractEvent,
    /// As it is.
    pub after: ContractEvent,
}

/// A job whose request was read from the history that is gone.
struct Made {
    event: ContractEvent,
    job: JobId,
    cid: DataCid,
    source: JobSource,
}

pub(super) async fn rewind_contract(
    connection: &mut SqliteConnection,
    rewind: i64,
    order: &Rewind<'_>,
    read: &ContractRewind<'_>,
) -> Result<ContractRewound, Error> {
    let contract = read.contract;
    let old = contract_events::standing_from(connection, contract, order.from).await?;
    let now = events(&read.window);
    let mut done = ContractRewound {
        contract,
        superseded: Vec::new(),
        moved: Vec::new(),
        new: Vec::new(),
        jobs_ended: Vec::new(),
        jobs_unregistered: Vec::new(),
    };
    reopen_closed(connection, contract, &old).await?;
    let mut made = take_numbers(connection, contract, &old).await?;
    drop_planned(connection, contract, &old).await?;
    for event in old.iter().filter(|event| !now.contains(event)) {
        contract_events::supersede(connection, contract, event, rewind).await?;
    }
    take_back(connection, contract, order.from).await?;
    // Whoever was mined again is the same job, under the number that it has now.
    let mut unknown = Vec::new();
    for job in read.window.jobs {
        match made.iter().position(|made| is_same(made, job)) {
            Some(at) => renumber(connection, contract, &made.swap_remove(at), job).await?,
            None => unknown.push(job.clone()),
        }
    }
    for gone in made {
        match gone.source {
            JobSource::Contract { .. } => done.jobs_ended.extend(end(connection, rewind, gone.job).await?),
            JobSource::Api | JobSource::Upload => done.jobs_unregistered.push(gone.job),
        }
    }
    apply_window::apply(connection, contract, &Window { jobs: &unknown, ..read.window }).await?;
    cursor::put(connection, contract, &read.cursor).await?;
    tell(&mut done, old, now);
    Ok(done)
}

/// The events that a window tells; what owners changed is told by how requests stand.
fn events(window: &Window<'_>) -> Vec<ContractEvent> {
    let completed = window
        .completions
        .iter()
        .map(|seen| ContractEvent::other(EventKind::Completed, seen.request, Some(seen.deal), seen.block));
    let told = window
        .told
        .iter()
        .map(|seen| ContractEvent::other(EventKind::Told, seen.request, Some(seen.deal), seen.block));
    let made = window.jobs.iter().filter_map(event_of);
    made.chain(window.refused.iter().cloned()).chain(completed).chain(told).collect()
}

/// Takes the request numbers of jobs that the history which is gone made: another request may have them now.
async fn take_numbers(
    connection: &mut SqliteConnection,
    contract: ContractAddress,
    old: &[ContractEvent],
) -> Result<Vec<Made>, Error> {
    let mut made = Vec::new();
    for event in old.iter().filter(|event| event.kind == EventKind::Requested) {
        let row: Option<(i64, String, String)> = sqlx::query_as(
            "SELECT j.id, h.cid, j.source FROM job j JOIN holding h ON h.id = j.holding
             WHERE j.contract = $1 AND j.request = $2",
        )
        .bind(contract.to_string())
        .bind(int("request", event.request.0)?)
        .fetch_optional(&mut *connection)
        .await?;
        let Some((id, cid, source)) = row else { continue };
        sqlx::query("UPDATE job SET contract = NULL, request = NULL WHERE id = $1")
            .bind(id)
            .execute(&mut *connection)
            .await?;
        made.push(Made {
            event: event.clone(),
            job: JobId(uint("job", id)?),
            cid: parse("CID", &cid)?,
            source: SOURCE.decode(&source)?,
        });
    }
    Ok(made)
}

/// Whether `job` is the request of `made`, wherever it was mined: by its transaction and its place in it. A request that a
/// view told has no transaction; there its number and its CID must do.
fn is_same(made: &Made, job: &NewJob) -> bool {
    let Some(event) = event_of(job) else { return false };
    let known = |transaction: &str| !transaction.is_empty() && transaction != NO_TRANSACTION;
    let same = match (known(&made.event.transaction), known(&event.transaction)) {
        (true, true) => {
            made.event.transaction.eq_ignore_ascii_case(&event.transaction)
                && (made.event.position.is_none()
                    || event.position.is_none()
                    || made.event.position == event.position)
        }
        _ => made.event.request == event.request,
    };
    same && made.cid == job.cid
}

/// Gives the job the number and place that its request has now.
async fn renumber(
    connection: &mut SqliteConnection,
    contract: ContractAddress,
    made: &Made,
    job: &NewJob,
) -> Result<(), Error> {
    let Some(event) = event_of(job) else { return Ok(()) };
    let source = match &made.source {
        JobSource::Contract { .. } => &job.source,
        own => own,
    };
    sqlx::query("UPDATE job SET contract = $2, request = $3, source = $4 WHERE id = $1")
        .bind(int("job", made.job.0)?)
        .bind(contract.to_string())
        .bind(int("request", event.request.0)?)
        .bind(SOURCE.encode(source)?)
        .execute(&mut *connection)
        .await?;
    contract_events::insert(connection, contract, &event).await
}

/// Ends a job whose request is gone. What its holding has is still watched.
async fn end(connection: &mut SqliteConnection, rewind: i64, job: JobId) -> Result<Option<JobId>, Error> {
    let ended = jobs::stop(connection, job).await?;
    sqlx::query("UPDATE job SET superseded = $2, ended_by_rewind = $3 WHERE id = $1")
        .bind(int("job", job.0)?)
        .bind(rewind)
        .bind(ended)
        .execute(connection)
        .await?;
    Ok(ended.then_some(job))
}

/// Completions that are planned and not signed name requests that may be others now: they are wanted anew.
async fn drop_planned(
    connection: &mut SqliteConnection,
    contract: ContractAddress,
    old: &[ContractEvent],
) -> Result<(), Error> {
    for event in old.iter().filter(|event| event.kind == EventKind::Requested) {
        let dropped: Vec<i64> = sqlx::query_scalar(
            "UPDATE tx SET open = 0, counts = 0, version = version + 1
             WHERE contract = $1 AND request = $2 AND open = 1 AND nonce IS NULL RETURNING id",
        )
        .bind(contract.to_string())
        .bind(int("request", event.request.0)?)
        .fetch_all(&mut *connection)
        .await?;
        for id in dropped {
            let tx = TxId(uint("transaction", id)?);
            steps::remove(connection, &StepKind::Send { tx }).await?;
            log(connection, None, None, &Happened::TxClosed { tx }).await?;
        }
    }
    Ok(())
}

/// Takes completions and told pieces back; the new history tells its own.
async fn take_back(
    connection: &mut SqliteConnection,
    contract: ContractAddress,
    from: Epoch,
) -> Result<(), Error> {
    for sql in [
        "UPDATE sighting SET contract = NULL, request = NULL WHERE contract = $1 AND EXISTS (
             SELECT 1 FROM completion c WHERE c.contract = $1 AND c.block >= $2
             AND c.request = sighting.request AND c.deal = sighting.deal)",
        "DELETE FROM completion WHERE contract = $1 AND block >= $2",
        "DELETE FROM told WHERE contract = $1 AND block >= $2",
    ] {
        sqlx::query(sql).bind(contract.to_string()).bind(from.0).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Jobs that an owner closed on the history that is gone; whoever closed them on the new one, too, is told again.
async fn reopen_closed(
    connection: &mut SqliteConnection,
    contract: ContractAddress,
    old: &[ContractEvent],
) -> Result<(), Error> {
    for event in old.iter().filter(|event| event.kind == EventKind::Closed) {
        let at = RequestAt { contract, request: event.request };
        if let Some(job) = jobs::of_request(connection, at).await? {
            jobs::reopen(connection, job).await?;
        }
    }
    Ok(())
}

/// Sorts what differs, for people.
fn tell(done: &mut ContractRewound, old: Vec<ContractEvent>, now: Vec<ContractEvent>) {
    let differs = |list: &[ContractEvent], other: &[ContractEvent]| -> Vec<ContractEvent> {
        list.iter().filter(|event| !other.contains(event)).cloned().collect()
    };
    let (gone, mut new) = (differs(&old, &now), differs(&now, &old));
    for before in gone {
        match new.iter().position(|after| is_again(&before, after)) {
            Some(at) => done.moved.push(Moved { before, after: new.remove(at) }),
            None => done.superseded.push(before),
        }
    }
    done.new = new;
}

/// Whether `after` is the event `before`, mined again.
fn is_again(before: &ContractEvent, after: &ContractEvent) -> bool {
    let same = (before.kind, before.request, before.deal) == (after.kind, after.request, after.deal);
    match before.kind {
        EventKind::Requested if !before.transaction.is_empty() => {
            after.kind == EventKind::Requested
                && before.transaction.eq_ignore_ascii_case(&after.transaction)
                && before.position == after.position
        }
        _ => same,
    }
}
