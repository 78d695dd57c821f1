//! The node's own copies: what is here and why, what nothing keeps, and a look at every byte.

use crate::api::App;
use crate::api::error::ApiError;
use crate::api::extract::{Path, Query};
use crate::api::jobs::time;
use crate::keeping;
use crate::store::{Kept, Shelved, Shelves, Spare};
use crate::world::World;
use axum::Json;
use axum::extract::State;
use raas_core::cid::{Commitment, DataCid};
use raas_core::ports::Clock;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

/// Pieces on one page at most.
const PAGE_MAX: u32 = 1_000;

/// All local bytes in a few numbers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LocalBytes")]
pub struct Local {
    network: String,
    local: Shelves,
    free_bytes: u64,
    /// What is to stay free.
    reserve_bytes: u64,
    /// Files that were put aside as damaged.
    quarantined: u64,
}

/// All local bytes in a few numbers, and the room beside them.
pub async fn show<W: World>(State(app): State<Arc<App<W>>>) -> Result<Json<Local>, ApiError> {
    let shelves = app.engine.store().shelves().await?;
    let room = app.pieces.room();
    Ok(Json(Local {
        network: app.network.clone(),
        local: shelves,
        free_bytes: room.free_bytes()?,
        reserve_bytes: room.reserve_bytes(),
        quarantined: app.pieces.quarantined()?,
    }))
}

/// Which page of pieces.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// `next_after` of the page before.
    after: Option<String>,
    /// Pieces on the page, 100 unless said, 1000 at most.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<u32>,
}

/// A page of pieces.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PiecePage")]
pub struct Pieces {
    network: String,
    pieces: Vec<Piece>,
    /// What `after` is for the next page; `null` on the last one.
    next_after: Option<String>,
}

/// A piece of this node.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Piece {
    #[serde(rename = "pieceCid")]
    piece_cid: String,
    /// The root of what is in it.
    cid: String,
    #[serde(rename = "carBytes")]
    car_bytes: u64,
    /// Whether its bytes are on the disk.
    local: bool,
    /// Why they are not, where they were damaged or went missing.
    lost: Option<String>,
    /// When they were hashed again last, RFC 3339.
    scrubbed_at: Option<String>,
    /// What keeps them.
    kept_by: Vec<Kept>,
}

/// Pieces with what keeps each, a page at a time.
pub async fn pieces<W: World>(
    State(app): State<Arc<App<W>>>,
    Query(page): Query<Page>,
) -> Result<Json<Pieces>, ApiError> {
    let limit = limit(page.limit)?;
    let shelved = app.engine.store().shelved(page.after.as_deref().unwrap_or_default(), limit).await?;
    let full = shelved.len() == limit as usize;
    let next = shelved.last().filter(|_| full).map(|last| last.stored.piece.commitment.to_string());
    let mut pieces = Vec::with_capacity(shelved.len());
    for shelved in &shelved {
        pieces.push(piece(&app, shelved).await?);
    }
    Ok(Json(Pieces { network: app.network.clone(), pieces, next_after: next }))
}

async fn piece<W: World>(app: &App<W>, shelved: &Shelved) -> Result<Piece, ApiError> {
    let piece = &shelved.stored.piece;
    Ok(Piece {
        piece_cid: piece.commitment.to_string(),
        cid: piece.root.to_string(),
        car_bytes: piece.car_bytes,
        local: shelved.stored.local,
        lost: shelved.lost.clone(),
        scrubbed_at: shelved.scrubbed_unix.and_then(time),
        kept_by: app.engine.store().reasons(piece.commitment).await?,
    })
}

/// How many on one page.
pub(super) fn limit(wanted: Option<u32>) -> Result<u32, ApiError> {
    match wanted.unwrap_or(100) {
        limit @ 1..=PAGE_MAX => Ok(limit),
        other => Err(ApiError::field("limit", format!("{other} is not in 1..={PAGE_MAX}"))),
    }
}

/// How to collect.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Collect {
    /// Only tell.
    #[serde(default)]
    dry_run: bool,
}

/// What was deleted, or would be.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Collected {
    network: String,
    dry_run: bool,
    bytes: u64,
    pieces: Vec<Spare>,
}

/// Deletes the bytes of every piece that nothing keeps now, without the grace that the node itself gives.
pub async fn collect<W: World>(
    State(app): State<Arc<App<W>>>,
    Query(collect): Query<Collect>,
) -> Result<Json<Collected>, ApiError> {
    let now = app.engine.world().clock().now().await.unix_seconds;
    let store = app.engine.store();
    let collected = keeping::collect(store, &app.pieces, now, 0, collect.dry_run).await?;
    Ok(Json(Collected {
        network: app.network.clone(),
        dry_run: collect.dry_run,
        bytes: collected.bytes,
        pieces: collected.pieces,
    }))
}

/// What was found of a piece, or of each part where the data lies in several.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Verified {
    network: String,
    #[serde(flatten)]
    one: Option<VerifiedPiece>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parts: Option<Vec<VerifiedPiece>>,
}

/// What was found of a piece.
#[derive(Debug, Serialize, JsonSchema)]
pub struct VerifiedPiece {
    #[serde(rename = "pieceCid")]
    piece_cid: String,
    /// `sound`, or what is wrong.
    verified: Value,
}

/// Hashes one piece again, at once and as fast as it goes; by its piece CID, or by a payload's.
pub async fn verify<W: World>(
    State(app): State<Arc<App<W>>>,
    Path(cid): Path<String>,
) -> Result<Json<Verified>, ApiError> {
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
        parts.push(VerifiedPiece { piece_cid: piece.to_string(), verified: json!(verified) });
    }
    app.wake.notify_one();
    if parts.is_empty() {
        return Err(ApiError::NotFound(format!("{cid} is not on this node's disk")));
    }
    let several = parts.len() > 1;
    let one = if several { None } else { parts.pop() };
    Ok(Json(Verified { network: app.network.clone(), one, parts: several.then_some(parts) }))
}
