//! The node's own copies: what is here and why, what nothing keeps, and a look at every byte.

use crate::api::App;
use crate::api::error::ApiError;
use crate::api::extract::{Path, Query};
use crate::api::jobs::time;
use crate::keeping;
use crate::store::Shelved;
use crate::world::World;
use axum::Json;
use axum::extract::State;
use raas_core::cid::{Commitment, DataCid};
use raas_core::ports::Clock;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Pieces on one page at most.
const PAGE_MAX: u32 = 1_000;

/// All local bytes in a few numbers, and the room beside them.
pub async fn show<W: World>(State(app): State<Arc<App<W>>>) -> Result<Json<Value>, ApiError> {
    let shelves = app.engine.store().shelves().await?;
    let room = app.pieces.room();
    Ok(Json(json!({
        "network": app.network,
        "local": shelves,
        "free_bytes": room.free_bytes()?,
        "reserve_bytes": room.reserve_bytes(),
        "quarantined": app.pieces.quarantined()?,
    })))
}

/// Which page of pieces.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    after: Option<String>,
    limit: Option<u32>,
}

/// Pieces with what keeps each, a page at a time.
pub async fn pieces<W: World>(
    State(app): State<Arc<App<W>>>,
    Query(page): Query<Page>,
) -> Result<Json<Value>, ApiError> {
    let limit = limit(page.limit)?;
    let shelved = app.engine.store().shelved(page.after.as_deref().unwrap_or_default(), limit).await?;
    let full = shelved.len() == limit as usize;
    let next = shelved.last().filter(|_| full).map(|last| last.stored.piece.commitment.to_string());
    let mut pieces = Vec::with_capacity(shelved.len());
    for shelved in &shelved {
        pieces.push(piece(&app, shelved).await?);
    }
    Ok(Json(json!({ "network": app.network, "pieces": pieces, "next_after": next })))
}

async fn piece<W: World>(app: &App<W>, shelved: &Shelved) -> Result<Value, ApiError> {
    let piece = &shelved.stored.piece;
    Ok(json!({
        "pieceCid": piece.commitment.to_string(),
        "cid": piece.root,
        "carBytes": piece.car_bytes,
        "local": shelved.stored.local,
        "lost": shelved.lost,
        "scrubbed_at": shelved.scrubbed_unix.map(time),
        "kept_by": app.engine.store().reasons(piece.commitment).await?,
    }))
}

/// How many on one page.
pub(super) fn limit(wanted: Option<u32>) -> Result<u32, ApiError> {
    match wanted.unwrap_or(100) {
        limit @ 1..=PAGE_MAX => Ok(limit),
        other => Err(ApiError::field("limit", format!("{other} is not in 1..={PAGE_MAX}"))),
    }
}

/// How to collect.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Collect {
    /// Only tell.
    #[serde(default)]
    dry_run: bool,
}

/// Deletes the bytes of every piece that nothing keeps now, without the grace that the node itself gives.
pub async fn collect<W: World>(
    State(app): State<Arc<App<W>>>,
    Query(collect): Query<Collect>,
) -> Result<Json<Value>, ApiError> {
    let now = app.engine.world().clock().now().await.unix_seconds;
    let store = app.engine.store();
    let collected = keeping::collect(store, &app.pieces, now, 0, collect.dry_run).await?;
    Ok(Json(json!({
        "network": app.network,
        "dry_run": collect.dry_run,
        "bytes": collected.bytes,
        "pieces": collected.pieces,
    })))
}

/// Hashes one piece again, at once and as fast as it goes; by its piece CID, or by a payload's.
pub async fn verify<W: World>(
    State(app): State<Arc<App<W>>>,
    Path(cid): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let cid: DataCid = cid.parse().map_err(|error| ApiError::field("cid", format!("{error}")))?;
    let store = app.engine.store();
    let known: Vec<Commitment> = match cid.commitment() {
        Some(commitment) => store.piece(commitment).await?.into_iter().collect(),
        None => store.pieces_of_root(&cid).await?,
    }
    .into_iter()
    .filter(|known| known.local)
    .map(|known| known.piece.commitment)
    .collect();
    let now = app.engine.world().clock().now().await.unix_seconds;
    let mut parts = Vec::with_capacity(known.len());
    for piece in &known {
        let verified = keeping::verify(store, &app.pieces, *piece, now, None).await?;
        parts.push(json!({ "pieceCid": piece.to_string(), "verified": verified }));
    }
    app.wake.notify_one();
    let mut answer = match parts.as_slice() {
        [] => return Err(ApiError::NotFound(format!("{cid} is not on this node's disk"))),
        [only] => only.clone(),
        parts => json!({ "parts": parts }),
    };
    answer["network"] = app.network.clone().into();
    Ok(Json(answer))
}
