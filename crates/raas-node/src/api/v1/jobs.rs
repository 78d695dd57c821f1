//! `/v1/jobs`: list, show, stop. Registration is the specification's, with other defaults.

use crate::api::App;
use crate::api::caller::Caller;
use crate::api::error::ApiError;
use crate::api::extract::{Path, Query};
use crate::api::jobs::{
    ShownJob, ShownOrder, Standing, job as shown, order, orders as shown_orders, pieces, standing,
};
use crate::store::Job;
use crate::world::World;
use axum::Json;
use axum::extract::State;
use raas_core::cid::DataCid;
use raas_core::ids::JobId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// Only jobs of this CID.
    cid: Option<String>,
    /// `next_after` of the page before.
    after: Option<u64>,
    /// Jobs on the page, 100 unless said, 1000 at most.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<u32>,
}

/// A page of jobs.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "JobPage")]
pub struct Page {
    network: String,
    jobs: Vec<ShownJob>,
    /// What `after` is for the next page; `null` on the last one.
    next_after: Option<u64>,
}

/// Jobs in order of their numbers, a page at a time.
pub async fn list<W: World>(
    State(app): State<Arc<App<W>>>,
    caller: Caller,
    Query(listing): Query<Listing>,
) -> Result<Json<Page>, ApiError> {
    let cid: Option<DataCid> = match &listing.cid {
        Some(text) => Some(text.parse().map_err(|error| ApiError::field("cid", format!("{error}")))?),
        None => None,
    };
    let limit = match listing.limit.unwrap_or(100) {
        limit @ 1..=1_000 => limit,
        other => return Err(ApiError::field("limit", format!("{other} is not in 1..=1000"))),
    };
    if listing.after.is_some_and(|after| i64::try_from(after).is_err()) {
        return Err(ApiError::field("after", "no job has such a number; take next_after of the page before"));
    }
    let jobs = app.engine.store().jobs(caller.only(), cid.as_ref(), listing.after.map(JobId), limit).await?;
    let next = (jobs.len() == limit as usize).then(|| jobs.last().map(|job| job.id.0)).flatten();
    let jobs = jobs.iter().map(shown).collect();
    Ok(Json(Page { network: app.network.clone(), jobs, next_after: next }))
}

/// One job and what there is of its data.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "JobAndOrders")]
pub struct One {
    network: String,
    job: ShownJob,
    /// The transaction that registers it on the contract, if so.
    transaction: Option<u64>,
    standing: Standing,
    orders: Vec<ShownOrder>,
}

/// One job with its holding's orders and standing.
pub async fn show<W: World>(
    State(app): State<Arc<App<W>>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<One>, ApiError> {
    let (store, job) = (app.engine.store(), own(&app, &caller, &id).await?);
    let orders = store.orders_of_holding(job.holding).await?;
    let pieces = store.holding(job.holding).await?.map(|holding| pieces(&holding)).unwrap_or_default();
    Ok(Json(One {
        network: app.network.clone(),
        job: shown(&job),
        transaction: store.registration(job.id).await?.map(|tx| tx.0),
        standing: standing(&orders, &pieces, job.policy.replicas.target),
        orders: shown_orders(&orders, &pieces, &store.seen_proposals(job.holding).await?),
    }))
}

/// What a stop leaves.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Stopped {
    network: String,
    /// The job's number.
    job: u64,
    /// False when it was stopped before.
    stopped_now: bool,
    /// What lives on, each with its end.
    still_alive: Vec<ShownOrder>,
}

/// No more spending for the job; what lives is listed with its end.
pub async fn stop<W: World>(
    State(app): State<Arc<App<W>>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Stopped>, ApiError> {
    let (store, job) = (app.engine.store(), own(&app, &caller, &id).await?);
    let stopped = store.stop_job(job.id).await?;
    app.wake.notify_one();
    let orders = store.orders_of_holding(job.holding).await?;
    let still_alive = orders.iter().filter(|stored| !stored.order.state.is_closed()).map(order).collect();
    Ok(Json(Stopped { network: app.network.clone(), job: job.id.0, stopped_now: stopped, still_alive }))
}

/// A job that the caller sees; that of another tenant is not there.
async fn own<W: World>(app: &App<W>, caller: &Caller, id: &str) -> Result<Job, ApiError> {
    let id = number(id)?;
    let job = app.engine.store().job(JobId(id)).await?;
    job.filter(|job| caller.sees(&job.owner)).ok_or_else(|| missing(id))
}

/// The number of a job; no job has one that the store could not hold.
fn number(text: &str) -> Result<u64, ApiError> {
    let number = text.parse::<u64>().ok().filter(|number| i64::try_from(*number).is_ok());
    number.ok_or_else(|| {
        ApiError::field(
            "id",
            format!("{text:?} is no job's number; GET /v1/jobs?cid=CID lists those of a CID"),
        )
    })
}

fn missing(id: u64) -> ApiError {
    ApiError::NotFound(format!("there is no job {id}; `raas job list` or GET /v1/jobs lists them"))
}
