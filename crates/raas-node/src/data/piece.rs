//! `GET|HEAD /piece/{cid}`: the bytes of a deal, to whoever knows that deal's secret: the CAR of its piece, or an
//! aggregate around it, which is computed while it is read and never written.

use super::range::{Asked, asked};
use crate::api::App;
use crate::api::error::ApiError;
use crate::api::extract::Path;
use crate::blocks::{LocalPiece, core_commitment};
use crate::world::World;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use raas_clients::inclusion;
use raas_core::cid::Commitment;
use raas_core::order::Order;
use raas_piece::segment::{Payload, VirtualDeal};
use std::fs::File;
use std::io::{self, Read as _, SeekFrom};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::io::ReaderStream;

/// Bytes handed to the socket at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// Chunks of an aggregate computed before the socket takes them.
const CHUNKS_AHEAD: usize = 2;

/// The bytes, whole or one range of them.
pub async fn piece<W: World>(
    State(app): State<Arc<App<W>>>,
    Path(cid): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let commitment: Commitment = cid.parse().map_err(|error| ApiError::field("cid", format!("{error}")))?;
    let absent = || ApiError::NotFound(format!("no piece {cid} is served under this secret"));
    let secret = bearer(&headers).ok_or_else(absent)?;
    let opens = app.engine.store().order_by_secret(secret).await?;
    let order = opens.filter(|order| order.deal_piece().0 == commitment).ok_or_else(absent)?;
    let local = app.pieces.get(order.piece)?.ok_or_else(absent)?;
    let content = match order.within {
        None => Content::Car(local),
        Some(_) => Content::Aggregate(Arc::new(around(&order, local).ok_or_else(absent)?)),
    };
    let bytes = content.bytes();
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let etag = format!("\"{commitment}\"");
    // A range of another version of the piece cannot be, so this is of a piece the asker mixed up.
    let same = text(header::IF_RANGE).is_none_or(|tag| tag == etag);
    let range = asked(text(header::RANGE).filter(|_| same), bytes);
    let (status, first, length) = match range {
        Asked::Whole => (StatusCode::OK, 0, bytes),
        Asked::Part(first, last) => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
        Asked::Unsatisfiable => {
            let response = Response::builder()
                .status(StatusCode::RANGE_NOT_SATISFIABLE)
                .header(header::CONTENT_RANGE, format!("bytes */{bytes}"));
            return Ok(response.body(Body::empty())?);
        }
    };
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, content.media_type())
        .header(header::CONTENT_LENGTH, length)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::ETAG, etag);
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {first}-{}/{bytes}", first + length - 1);
        response = response.header(header::CONTENT_RANGE, range);
    }
    if method == Method::HEAD {
        return Ok(response.body(Body::empty())?);
    }
    let body = match content {
        Content::Car(local) => {
            let mut file = tokio::fs::File::from_std(local.file.try_clone()?);
            file.seek(SeekFrom::Start(first)).await?;
            Body::from_stream(ReaderStream::with_capacity(file.take(length), CHUNK_BYTES))
        }
        Content::Aggregate(deal) => Body::from_stream(read(deal, first, length)),
    };
    Ok(response.body(body)?)
}

/// What a deal is of.
enum Content {
    /// The piece is the deal: its CAR, which the provider pads.
    Car(LocalPiece),
    /// An aggregate, to its last byte.
    Aggregate(Arc<VirtualDeal<Arc<File>>>),
}

impl Content {
    fn bytes(&self) -> u64 {
        match self {
            Self::Car(local) => local.car_bytes,
            Self::Aggregate(deal) => deal.bytes(),
        }
    }

    const fn media_type(&self) -> &'static str {
        match self {
            Self::Car(_) => "application/vnd.ipld.car; version=1",
            Self::Aggregate(_) => "application/octet-stream",
        }
    }
}

/// The aggregate that the order is bought in; `None` when that is not the one around its piece alone.
fn around(order: &Order, local: LocalPiece) -> Option<VirtualDeal<Arc<File>>> {
    let aggregate = inclusion::alone(order.piece, order.size)?;
    if core_commitment(aggregate.piece().commitment()) != order.deal_piece().0 {
        return None;
    }
    let payload = Payload { file: local.file, bytes: local.car_bytes };
    VirtualDeal::new(&aggregate, vec![payload]).ok()
}

/// A range of an aggregate as it is computed, on a blocking thread that ends with its reader.
fn read(deal: Arc<VirtualDeal<Arc<File>>>, first: u64, length: u64) -> ReceiverStream<io::Result<Bytes>> {
    let (chunks, read) = mpsc::channel(CHUNKS_AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut range = deal.range(first, first + length);
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            let sent = match range.read(&mut chunk) {
                Ok(0) => return,
                Ok(count) => {
                    chunk.truncate(count);
                    chunks.blocking_send(Ok(chunk.into()))
                }
                Err(error) => {
                    let _ = chunks.blocking_send(Err(error));
                    return;
                }
            };
            if sent.is_err() {
                return;
            }
        }
    });
    ReceiverStream::new(read)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}
