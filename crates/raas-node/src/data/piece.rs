//! `GET|HEAD /piece/{cid}`, by piece CID v1 or v2: the CAR of a piece, or an aggregate of pieces, which is computed while it
//! is read and never written. To whoever knows the secret of a deal of it; to anyone where the node is told to.

use super::aggregates::{alone, stored};
use super::ahead::Chunks;
use super::answer::Answer;
use super::asked::Conditions;
use super::files::{DealRange, FileRange, OnDisk};
use super::gateway::{Gateway, Visitor};
use super::range::{Part, part};
use crate::api::error::ApiError;
use crate::api::extract::Path;
use crate::world::World;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use raas_core::cid::{Commitment, PieceName, piece_name};
use raas_core::order::Order;
use raas_piece::segment::VirtualDeal;
use std::fs::File;
use std::sync::Arc;

/// The bytes, whole or one range of them.
pub async fn piece<W: World>(
    State(gateway): State<Arc<Gateway<W>>>,
    visitor: Visitor,
    Path(cid): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (name, cid) = name(&cid)?;
    let order = match bearer(&headers) {
        Some(secret) => gateway.app.engine.store().order_by_secret(secret).await?,
        None => None,
    };
    let order = order.filter(|order| order.deal_piece().0 == name.commitment);
    let client = order.is_none().then(|| gateway.client(&visitor, &headers));
    let seat = gateway.clients.seat(client)?;
    let absent = || ApiError::NotFound(format!("no piece {cid} is served{}", gateway.to_whom()));
    let content = match &order {
        Some(order) => of_order(&gateway, order).await?,
        None if gateway.settings.public_pieces => of_piece(&gateway, name.commitment).await?,
        None => None,
    };
    let content = content.ok_or_else(absent)?;
    let bytes = content.bytes_as(name).ok_or_else(absent)?;
    let answer = respond(&gateway, content, bytes, &cid, order.is_some(), &headers).await?;
    answer.ok_or_else(absent)?.send(method == Method::HEAD, seat).await
}

/// What a piece CID names, and its usual spelling.
fn name(text: &str) -> Result<(PieceName, String), ApiError> {
    let wrong = |why: String| ApiError::field("cid", why);
    let cid = cid::Cid::try_from(text).map_err(|error| wrong(format!("not a CID ({error})")))?;
    let name = piece_name(&cid).map_err(|error| wrong(error.to_string()))?;
    let name = name.ok_or_else(|| wrong(format!("{cid} is not a piece CID (baga6ea4seaq… or bafkzcib…)")))?;
    Ok((name, cid.to_string()))
}

/// The answer; `None` where a piece of what was asked for is not here: what cannot be sent whole is not begun.
async fn respond<W: World>(
    gateway: &Gateway<W>,
    content: Content,
    bytes: u64,
    cid: &str,
    by_secret: bool,
    headers: &HeaderMap,
) -> Result<Option<Answer>, ApiError> {
    let etag = format!("\"{cid}\"");
    let whose = if by_secret { "private" } else { "public" };
    let response = Response::builder()
        .header(header::CACHE_CONTROL, format!("{whose}, max-age=29030400, immutable"))
        .header(header::VARY, "authorization")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::ETAG, &etag);
    let conditions = Conditions::read(headers);
    if conditions.has(&etag) {
        let response = response.status(StatusCode::NOT_MODIFIED);
        return Ok(Some(Answer::Ready(response.body(Body::empty())?)));
    }
    let (kind, ending) = content.media_type();
    let response = response
        .header(header::CONTENT_TYPE, kind)
        .header(header::CONTENT_DISPOSITION, format!("attachment; filename=\"{cid}.{ending}\""));
    let (response, first, length) = match part(response, conditions.range(bytes, &etag), bytes)? {
        Part::Bytes(response, first, length) => (response, first, length),
        Part::Outside(response) => return Ok(Some(Answer::Ready(response))),
    };
    let buffers = Arc::clone(&gateway.buffers);
    let chunks: Box<dyn Chunks> = match content {
        Content::Car { file, bytes } => Box::new(FileRange::new(file, bytes, first, length, buffers)),
        Content::Aggregate(deal) => {
            let begun = move || DealRange::begin(deal, first, length, buffers);
            let begun = tokio::task::spawn_blocking(begun).await;
            match begun.map_err(|error| ApiError::Internal(error.into()))?? {
                Some(range) => Box::new(range),
                None => return Ok(None),
            }
        }
    };
    Ok(Some(Answer::Chunks(response, chunks)))
}

/// What is served.
enum Content {
    /// A piece's CAR, which whoever seals it pads.
    Car {
        /// The file, which others read at the same time.
        file: Arc<File>,
        /// Its length.
        bytes: u64,
    },
    /// An aggregate, to its last byte.
    Aggregate(Arc<VirtualDeal<OnDisk>>),
}

impl Content {
    /// Length under this name. A v2 CID tells it: zeros after a CAR are the same piece, another length is not.
    fn bytes_as(&self, name: PieceName) -> Option<u64> {
        let bytes = match self {
            Self::Car { bytes, .. } => *bytes,
            Self::Aggregate(deal) => deal.bytes(),
        };
        let padded = |bytes| raas_piece::PaddedSize::for_payload(bytes).ok();
        match name.payload_bytes {
            None => Some(bytes),
            Some(named) => (named >= bytes && padded(named) == padded(bytes)).then_some(named),
        }
    }

    /// And the ending of a file of it.
    const fn media_type(&self) -> (&'static str, &'static str) {
        match self {
            Self::Car { .. } => ("application/vnd.ipld.car; version=1", "car"),
            Self::Aggregate(_) => ("application/octet-stream", "piece"),
        }
    }
}

/// What an order's deal is of.
async fn of_order<W: World>(gateway: &Gateway<W>, order: &Order) -> Result<Option<Content>, ApiError> {
    match order.within {
        None => car(gateway, order.piece).await,
        Some(within) => aggregate(gateway, within.aggregate, Some(order.piece)).await,
    }
}

/// What anyone may have.
async fn of_piece<W: World>(
    gateway: &Gateway<W>,
    commitment: Commitment,
) -> Result<Option<Content>, ApiError> {
    match car(gateway, commitment).await? {
        Some(car) => Ok(Some(car)),
        None => aggregate(gateway, commitment, None).await,
    }
}

/// Its length is what was recorded: a file that is cut off while it is sent must not pass for a whole one.
async fn car<W: World>(gateway: &Gateway<W>, piece: Commitment) -> Result<Option<Content>, ApiError> {
    let Some(local) = gateway.local(piece).await? else { return Ok(None) };
    let recorded = gateway.app.engine.store().piece(piece).await?;
    Ok(recorded.map(|recorded| Content::Car { file: local.file, bytes: recorded.piece.car_bytes }))
}

/// A stored aggregate, or the one around `around` alone. Of one at hand nothing is read again: its pieces are for ever the same.
async fn aggregate<W: World>(
    gateway: &Gateway<W>,
    wanted: Commitment,
    around: Option<Commitment>,
) -> Result<Option<Content>, ApiError> {
    if let Some(deal) = gateway.aggregates.get(wanted) {
        return Ok(Some(Content::Aggregate(deal)));
    }
    let (store, pieces) = (gateway.app.engine.store(), gateway.app.pieces.clone());
    let deal = match (store.aggregate(wanted).await?, around) {
        (Some(parts), _) => {
            // Hundreds of thousands of pieces take a while.
            let made = tokio::task::spawn_blocking(move || stored(&pieces, wanted, &parts));
            made.await.map_err(|error| ApiError::Internal(error.into()))?
        }
        (None, Some(piece)) => store.piece(piece).await?.and_then(|piece| alone(&pieces, wanted, &piece)),
        (None, None) => None,
    };
    Ok(deal.map(|deal| Content::Aggregate(gateway.aggregates.keep(wanted, deal))))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}
