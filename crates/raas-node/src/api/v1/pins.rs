//! `/v1/pins`: what is kept on this disk whatever the policies of jobs say.

use super::store::limit;
use crate::api::App;
use crate::api::error::ApiError;
use crate::api::extract::{JsonBody, Path, Query};
use crate::keeping;
use crate::world::World;
use axum::Json;
use axum::extract::State;
use raas_core::cid::DataCid;
use raas_core::ids::OwnerId;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Which page of pins.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    after: Option<u64>,
    limit: Option<u32>,
}

/// Pins in order of their making, a page at a time.
pub async fn list<W: World>(
    State(app): State<Arc<App<W>>>,
    Query(page): Query<Page>,
) -> Result<Json<Value>, ApiError> {
    let limit = limit(page.limit)?;
    let after = page.after.unwrap_or_default();
    if i64::try_from(after).is_err() {
        return Err(ApiError::field("after", "no pin has such a number; take next_after of the page before"));
    }
    let pins = app.engine.store().pins(after, limit).await?;
    let next = pins.last().filter(|_| pins.len() == limit as usize).map(|last| last.seq);
    Ok(Json(json!({ "network": app.network, "pins": pins, "next_after": next })))
}

/// What to pin.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    cid: String,
}

/// Keeps a CID. Its bytes are looked for once before the answer where they are not here, and again by the node.
pub async fn add<W: World>(
    State(app): State<Arc<App<W>>>,
    JsonBody(wanted): JsonBody<Wanted>,
) -> Result<Json<Value>, ApiError> {
    let cid = parse(&wanted.cid)?;
    let pinned = app.engine.store().pin(&OwnerId::local(), &cid).await?;
    let why = keeping::bring(&app.engine, &app.pieces, &cid).await?;
    app.wake.notify_one();
    Ok(Json(json!({
        "network": app.network,
        "cid": cid,
        "pinned_now": pinned,
        "local": why.is_none(),
        "why": why,
    })))
}

/// Keeps a CID no longer. What nothing else keeps is deleted after a while.
pub async fn remove<W: World>(
    State(app): State<Arc<App<W>>>,
    Path(cid): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let cid = parse(&cid)?;
    if !app.engine.store().unpin(&OwnerId::local(), &cid).await? {
        return Err(ApiError::NotFound(format!("{cid} is not pinned; GET /v1/pins lists what is")));
    }
    app.wake.notify_one();
    Ok(Json(json!({ "network": app.network, "cid": cid, "unpinned_now": true })))
}

fn parse(text: &str) -> Result<DataCid, ApiError> {
    text.parse().map_err(|error| ApiError::field("cid", format!("{error}")))
}
