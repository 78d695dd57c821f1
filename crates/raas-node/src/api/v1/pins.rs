//! `/v1/pins`: what is kept on this disk whatever the policies of jobs say.

use super::store::limit;
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::error::ApiError;
use crate::api::extract::{JsonBody, Path, Query};
use crate::keeping;
use crate::store::Pin;
use crate::world::World;
use axum::Json;
use axum::extract::State;
use raas_core::cid::DataCid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Which page of pins.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// `next_after` of the page before.
    after: Option<u64>,
    /// Pins on the page, 100 unless said, 1000 at most.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<u32>,
}

/// A page of pins.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PinPage")]
pub struct Pins {
    network: String,
    pins: Vec<Pin>,
    /// What `after` is for the next page; `null` on the last one.
    next_after: Option<u64>,
}

/// Pins in order of their making, a page at a time.
pub async fn list<W: World>(
    State(app): State<Arc<App<W>>>,
    caller: Caller,
    Query(page): Query<Page>,
) -> Result<Json<Pins>, ApiError> {
    let limit = limit(page.limit)?;
    let after = page.after.unwrap_or_default();
    if i64::try_from(after).is_err() {
        return Err(ApiError::field("after", "no pin has such a number; take next_after of the page before"));
    }
    let pins = app.engine.store().pins(caller.only(), after, limit).await?;
    let next = pins.last().filter(|_| pins.len() == limit as usize).map(|last| last.seq);
    Ok(Json(Pins { network: app.network.clone(), pins, next_after: next }))
}

/// What to pin.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WantedPin")]
pub struct Wanted {
    /// Of the payload or of a piece.
    cid: String,
}

/// A CID that is kept.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Pinned {
    network: String,
    cid: String,
    /// False when it was pinned before.
    pinned_now: bool,
    /// Whether its bytes are on the disk.
    local: bool,
    /// Why they are not, if so.
    why: Option<String>,
}

/// Keeps a CID. Its bytes are looked for once before the answer where they are not here, and again by the node.
pub async fn add<W: World>(
    State(app): State<Arc<App<W>>>,
    caller: Caller,
    JsonBody(wanted): JsonBody<Wanted>,
) -> Result<Json<Pinned>, ApiError> {
    let cid = parse(&wanted.cid)?;
    let pinned = app.engine.store().pin(&caller.tenant, &cid).await?;
    let why = keeping::bring(&app.engine, &app.pieces, &cid).await?;
    app.wake.notify_one();
    Ok(Json(Pinned {
        network: app.network.clone(),
        cid: cid.to_string(),
        pinned_now: pinned,
        local: why.is_none(),
        why,
    }))
}

/// A CID that is kept no longer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Unpinned {
    network: String,
    cid: String,
    unpinned_now: bool,
}

/// Keeps a CID no longer. What nothing else keeps is deleted after a while.
pub async fn remove<W: World>(
    State(app): State<Arc<App<W>>>,
    caller: Caller,
    Path(cid): Path<String>,
) -> Result<Json<Unpinned>, ApiError> {
    let cid = parse(&cid)?;
    if !app.engine.store().unpin(&caller.tenant, &cid).await? {
        return Err(ApiError::NotFound(format!("{cid} is not pinned; GET /v1/pins lists what is")));
    }
    app.wake.notify_one();
    Ok(Json(Unpinned { network: app.network.clone(), cid: cid.to_string(), unpinned_now: true }))
}

fn parse(text: &str) -> Result<DataCid, ApiError> {
    text.parse().map_err(|error| ApiError::field("cid", format!("{error}")))
}
