//! `/v1/jobs`: list, show, stop. Registration is the specification's, with other defaults.

use crate::api::App;
use crate::api::error::ApiError;
use crate::api::extract::{Path, Query};
use crate::api::jobs::{job as job_json, order, orders as orders_json, pieces, standing};
use crate::world::World;
use axum::Json;
use axum::extract::State;
use raas_core::cid::DataCid;
use raas_core::ids::JobId;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// What to list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    cid: Option<String>,
    after: Option<u64>,
    limit: Option<u32>,
}

/// Jobs in order of their numbers, a page at a time.
pub async fn list<W: World>(
    State(app): State<Arc<App<W>>>,
    Query(listing): Query<Listing>,
) -> Result<Json<Value>, ApiError> {
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
    let jobs = app.engine.store().jobs(None, cid.as_ref(), listing.after.map(JobId), limit).await?;
    let next = (jobs.len() == limit as usize).then(|| jobs.last().map(|job| job.id)).flatten();
    let jobs: Vec<Value> = jobs.iter().map(job_json).collect();
    Ok(Json(json!({ "network": app.network, "jobs": jobs, "next_after": next })))
}

/// One job with its holding's orders and standing.
pub async fn show<W: World>(
    State(app): State<Arc<App<W>>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let (store, id) = (app.engine.store(), number(&id)?);
    let Some(job) = store.job(JobId(id)).await? else { return Err(missing(id)) };
    let orders = store.orders_of_holding(job.holding).await?;
    let pieces = store.holding(job.holding).await?.map(|holding| pieces(&holding)).unwrap_or_default();
    Ok(Json(json!({
        "network": app.network,
        "job": job_json(&job),
        "transaction": store.registration(job.id).await?,
        "standing": standing(&orders, &pieces, job.policy.replicas.target),
        "orders": orders_json(&orders, &pieces, &store.seen_proposals(job.holding).await?),
    })))
}

/// No more spending for the job; what lives is listed with its end.
pub async fn stop<W: World>(
    State(app): State<Arc<App<W>>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let (store, id) = (app.engine.store(), number(&id)?);
    let Some(job) = store.job(JobId(id)).await? else { return Err(missing(id)) };
    let stopped = store.stop_job(job.id).await?;
    app.wake.notify_one();
    let orders = store.orders_of_holding(job.holding).await?;
    let alive: Vec<Value> =
        orders.iter().filter(|stored| !stored.order.state.is_closed()).map(order).collect();
    Ok(Json(json!({ "network": app.network, "job": id, "stopped_now": stopped, "still_alive": alive })))
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
