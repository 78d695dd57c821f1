//! `/v1/proofs`: that a piece is in an aggregate (PoDSI), as JSON, and as the bytes that CBOR readers and contracts take.

use crate::api::App;
use crate::api::error::ApiError;
use crate::api::extract::{Path, Query};
use crate::blocks::core_commitment;
use crate::store::{Store, StoredPiece};
use crate::world::World;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use raas_clients::inclusion;
use raas_core::cid::{Commitment, DataCid};
use raas_core::holding::Holding;
use raas_core::order::Within;
use raas_core::units::PaddedSize;
use raas_piece::PieceInfo;
use raas_piece::inclusion::{AuxData, InclusionProof, VerifierData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

/// What is asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ProofQuery")]
pub struct Wanted {
    /// `json`, or the bytes of one proof as `cbor` or `abi`.
    #[serde(default)]
    format: Format,
    /// Only in this aggregate.
    #[schemars(with = "Option<String>")]
    aggregate: Option<Commitment>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ProofFormat")]
enum Format {
    #[default]
    Json,
    Cbor,
    Abi,
}

/// All proofs of a CID.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Proofs {
    network: String,
    cid: String,
    /// Each with where the piece lies, the deals of the aggregate, and the arguments of `complete`.
    proofs: Vec<Value>,
}

/// A piece, the aggregate that it lies in, and the proof.
struct Included {
    piece: PieceInfo,
    within: Within,
    proof: InclusionProof,
}

/// The proofs of a payload's or a piece's CID.
pub async fn show<W: World>(
    State(app): State<Arc<App<W>>>,
    Path(cid): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, ApiError> {
    let cid: DataCid = cid.parse().map_err(|error| ApiError::field("cid", format!("{error}")))?;
    let store = app.engine.store();
    let pieces = match cid.commitment() {
        Some(piece) => store.piece(piece).await?.into_iter().collect(),
        None => store.pieces_of_root(&cid).await?,
    };
    let mut found = Vec::new();
    for piece in &pieces {
        found.extend(included(store, piece).await?);
    }
    found.retain(|one| wanted.aggregate.is_none_or(|aggregate| one.within.aggregate == aggregate));
    if found.is_empty() {
        let why =
            "no piece of it lies in an aggregate here: a piece that is a deal of its own needs no proof";
        return Err(ApiError::NotFound(format!("no proof of {cid}: {why}")));
    }
    if wanted.format == Format::Json {
        let mut proofs = Vec::with_capacity(found.len());
        for one in &found {
            proofs.push(one.shown(store).await?);
        }
        let all = Proofs { network: app.network.clone(), cid: cid.to_string(), proofs };
        return Ok(Json(all).into_response());
    }
    let [one] = found.as_slice() else {
        let which: Vec<String> = found.iter().map(|one| one.within.aggregate.to_string()).collect();
        return Err(ApiError::field("aggregate", format!("name one of {}", which.join(", "))));
    };
    let (kind, bytes) = match wanted.format {
        Format::Cbor => ("application/cbor", one.proof.to_cbor()),
        _ => ("application/octet-stream", one.proof.to_abi()),
    };
    Ok(([(header::CONTENT_TYPE, kind)], bytes).into_response())
}

/// Where the pieces of a holding lie in the aggregates that its copies are bought in.
pub(super) async fn places(store: &Store, holding: &Holding) -> Result<Vec<Value>, ApiError> {
    let mut places = Vec::new();
    for piece in holding.pieces.iter().map(|slots| slots.piece) {
        let Some(packed) = piece.packed else { continue };
        let Some(stored) = store.piece(piece.commitment).await? else { continue };
        let found = included(store, &stored).await?;
        places.extend(found.iter().filter(|one| one.within == packed).map(Included::place));
    }
    Ok(places)
}

/// All aggregates that a piece is known to lie in, by their commitments.
async fn included(store: &Store, stored: &StoredPiece) -> Result<Vec<Included>, ApiError> {
    let (commitment, size) = (stored.piece.commitment, stored.piece.size);
    let piece =
        PieceInfo::full(raas_piece::Commitment::new(commitment.0)?, raas_piece::PaddedSize::new(size.get())?);
    let mut found = Vec::new();
    for (aggregate, size) in store.aggregates_of(commitment).await? {
        let within = Within { aggregate, size };
        let proof = match store.inclusion(aggregate, commitment).await? {
            Some(stored) => InclusionProof::from_cbor(&stored).ok(),
            None => computed(store, within, commitment).await?,
        };
        let unreadable = || ApiError::Internal(anyhow::anyhow!("the proof of {commitment} in {aggregate}"));
        found.push(Included { piece, within, proof: proof.ok_or_else(unreadable)? });
    }
    let orders = store.orders_of_piece(commitment).await?;
    for within in orders.into_iter().filter_map(|stored| stored.order.within) {
        let alone = inclusion::alone(commitment, size).filter(|alone| is_it(alone.piece(), within));
        let is_new = found.iter().all(|known| known.within != within);
        if let Some(proof) = alone.filter(|_| is_new).and_then(|alone| alone.proof(0).ok()) {
            found.push(Included { piece, within, proof });
        }
    }
    Ok(found)
}

fn is_it(piece: PieceInfo, within: Within) -> bool {
    (core_commitment(piece.commitment()), piece.padded().get()) == (within.aggregate, within.size.get())
}

/// The proof in an aggregate that was put together by hand.
async fn computed(
    store: &Store,
    within: Within,
    piece: Commitment,
) -> Result<Option<InclusionProof>, ApiError> {
    let Some(stored) = store.aggregate(within.aggregate).await? else { return Ok(None) };
    let made = tokio::task::spawn_blocking(move || {
        let pieces: Vec<(Commitment, PaddedSize)> =
            stored.pieces.iter().map(|piece| (piece.commitment, piece.size)).collect();
        let position = pieces.iter().position(|(other, _)| *other == piece)?;
        inclusion::packed(within.size, &pieces).ok()?.proof(position).ok()
    });
    made.await.map_err(|error| ApiError::Internal(error.into()))
}

impl Included {
    /// Padded bytes before the piece.
    const fn offset(&self) -> u64 {
        self.proof.subtree.index.saturating_mul(self.piece.padded().get())
    }

    fn place(&self) -> Value {
        let offset = self.offset();
        json!({
            "pieceCid": core_commitment(self.piece.commitment()),
            "aggregatePieceCid": self.within.aggregate,
            "aggregateSize": self.within.size.get(),
            "offset": offset,
            // Where the piece begins in what `/piece/{aggregate}` gives.
            "byteOffset": offset - offset / 128,
        })
    }

    async fn shown(&self, store: &Store) -> Result<Value, ApiError> {
        let piece = core_commitment(self.piece.commitment());
        let deal = PieceInfo::full(
            raas_piece::Commitment::new(self.within.aggregate.0)?,
            raas_piece::PaddedSize::new(self.within.size.get())?,
        );
        let verifier = VerifierData { piece: self.piece.commitment(), size: self.piece.padded() };
        let aux = AuxData { deal: deal.commitment(), size: deal.padded() };
        let orders = store.orders_of_piece(piece).await?;
        let bought = orders.iter().filter(|stored| stored.order.within == Some(self.within));
        let deals: Vec<Value> = bought
            .filter_map(|stored| {
                let on_chain = stored.order.state.on_chain()?;
                Some(json!({
                    "dealId": on_chain.replica.deal(),
                    "storageProvider": stored.order.provider.to_string(),
                    "state": stored.order.state.name(),
                    "endEpoch": on_chain.term.end,
                }))
            })
            .collect();
        let mut shown = self.place();
        shown["pieceSize"] = self.piece.padded().get().into();
        shown["aggregatePieceCidV2"] = raas_piece::cid::v2(&deal).to_string().into();
        shown["proof"] =
            serde_json::to_value(&self.proof).map_err(|error| ApiError::Internal(error.into()))?;
        shown["proofCid"] = self.proof.cid().to_string().into();
        // The arguments of `complete`, and what it returns.
        shown["abi"] = json!({
            "proof": format!("0x{}", hex::encode(self.proof.to_abi())),
            "verifierData": format!("0x{}", hex::encode(verifier.to_abi())),
            "auxData": format!("0x{}", hex::encode(aux.to_abi())),
        });
        shown["cbor"] = hex::encode(self.proof.to_cbor()).into();
        shown["deals"] = deals.into();
        Ok(shown)
    }
}
