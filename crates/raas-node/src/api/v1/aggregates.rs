//! `/v1/aggregates`: pieces of this node put together to one, by whoever decides which. Nothing is bought by it.

use crate::api::App;
use crate::api::error::ApiError;
use crate::api::extract::{JsonBody, Path};
use crate::blocks::{core_commitment, core_size};
use crate::store::StoredAggregate;
use crate::world::World;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use raas_core::cid::Commitment;
use raas_piece::segment::{Aggregate, minimum_deal_size};
use raas_piece::{PaddedSize, cid as piece_cid};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is put together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WantedAggregate")]
pub struct Wanted {
    /// Piece CIDs in their order. One can be there more than once.
    #[schemars(with = "Vec<String>", length(min = 1))]
    pieces: Vec<Commitment>,
    /// Padded bytes of the deal. Without it the least that holds all.
    size: Option<u64>,
}

/// An aggregate that was put together.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "NewAggregate")]
pub struct Made {
    network: String,
    piece_cid: String,
    /// The piece CID that tells its size, too.
    piece_cid_v2: String,
    /// Padded bytes.
    size: u64,
    /// How many pieces lie in it.
    pieces: usize,
}

/// Computes and stores an aggregate; `/piece` serves it from then on.
pub async fn put<W: World>(
    State(app): State<Arc<App<W>>>,
    JsonBody(wanted): JsonBody<Wanted>,
) -> Result<(StatusCode, Json<Made>), ApiError> {
    let field = |name: &str, why: String| ApiError::field(name, why);
    if wanted.pieces.is_empty() {
        return Err(field("pieces", "name one piece at least".to_owned()));
    }
    let store = app.engine.store();
    let mut parts = Vec::with_capacity(wanted.pieces.len());
    for piece in &wanted.pieces {
        let stored = store.piece(*piece).await?.filter(|stored| stored.local);
        let stored = stored.ok_or_else(|| field("pieces", format!("{piece} is not on this node's disk")))?;
        let commitment = raas_piece::Commitment::new(piece.0)?;
        parts.push((commitment, PaddedSize::new(stored.piece.size.get())?));
    }
    let made = tokio::task::spawn_blocking(move || {
        let sizes: Vec<PaddedSize> = parts.iter().map(|(_, size)| *size).collect();
        let size = match wanted.size {
            Some(size) => PaddedSize::new(size).map_err(|error| field("size", error.to_string()))?,
            None => minimum_deal_size(&sizes).map_err(|error| field("pieces", error.to_string()))?,
        };
        let aggregate = Aggregate::new(size, &parts).map_err(|error| field("size", error.to_string()))?;
        Ok::<_, ApiError>((aggregate.piece(), wanted.pieces))
    });
    let (piece, pieces) = made.await.map_err(|error| ApiError::Internal(error.into()))??;
    let too_large = || field("size", format!("{} padded bytes are over the limit of 64 GiB", piece.padded()));
    let size = core_size(piece.padded()).ok_or_else(too_large)?;
    let aggregate = core_commitment(piece.commitment());
    if !store.put_aggregate(aggregate, size, &pieces).await? {
        return Err(ApiError::Conflict("a piece was forgotten meanwhile; send it again".to_owned()));
    }
    let made = Made {
        network: app.network.clone(),
        piece_cid: aggregate.to_string(),
        piece_cid_v2: piece_cid::v2(&piece).to_string(),
        size: size.get(),
        pieces: pieces.len(),
    };
    Ok((StatusCode::CREATED, Json(made)))
}

/// A stored aggregate.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Aggregate")]
pub struct Shown {
    network: String,
    piece_cid: String,
    /// Padded bytes.
    size: u64,
    pieces: Vec<Part>,
}

/// A piece in an aggregate.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "AggregatePiece")]
pub struct Part {
    piece_cid: String,
    /// Padded bytes.
    size: u64,
    car_bytes: u64,
}

/// What lies in an aggregate.
pub async fn show<W: World>(
    State(app): State<Arc<App<W>>>,
    Path(cid): Path<String>,
) -> Result<Json<Shown>, ApiError> {
    let aggregate: Commitment = cid.parse().map_err(|error| ApiError::field("cid", format!("{error}")))?;
    let stored = app.engine.store().aggregate(aggregate).await?;
    let StoredAggregate { size, pieces } =
        stored.ok_or_else(|| ApiError::NotFound(format!("no aggregate {aggregate} is stored here")))?;
    let pieces = pieces.iter().map(|piece| Part {
        piece_cid: piece.commitment.to_string(),
        size: piece.size.get(),
        car_bytes: piece.car_bytes,
    });
    Ok(Json(Shown {
        network: app.network.clone(),
        piece_cid: aggregate.to_string(),
        size: size.get(),
        pieces: pieces.collect(),
    }))
}
