//! One provider's HTTP server: deal making by CBOR, pieces by range.

use super::book::Retrieval;
use super::command::{Command, Reply, StoreReply};
use super::fleet::{Host, Shared};
use super::mode::Mode;
use super::range::{Span, span};
use super::view::ChainView;
use crate::StatusStyle;
use crate::codec::{
    AskRequest, Commitment, DealParams, DealStatusRequest, Piece, PieceCid, from_cbor, to_cbor,
};
use axum::body::Body;
use cid::Cid;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, RANGE,
};
use hyper::{Method, Request, Response, StatusCode};
use raas_core::ids::ProviderId;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

/// The most bytes of a request's body.
const BODY_MAX: usize = 4 << 20;
/// Bytes served at a time.
const CHUNK: usize = 64 << 10;
const CBOR: &str = "application/cbor";

/// The answer, or `None` for a connection that closes without one.
pub(super) async fn answer<H: Host>(
    shared: Arc<Shared<H>>,
    id: ProviderId,
    request: Request<Incoming>,
) -> Option<Response<Body>> {
    if shared.spoilt(id, &[Mode::Offline]) {
        return None;
    }
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    match (path.as_str(), method) {
        ("/market/mk12/store", Method::POST) => store(&shared, id, request).await,
        ("/market/mk12/status", Method::GET) => status(&shared, id, request).await,
        ("/market/mk12/ask", Method::GET) => ask(&shared, id, request).await,
        ("/market/mk12/store", _) => Some(not_allowed("POST")),
        ("/market/mk12/status" | "/market/mk12/ask", _) => Some(not_allowed("GET")),
        (path, method) => match (path.strip_prefix("/piece/"), method) {
            (Some(cid), Method::GET | Method::HEAD) => piece(&shared, id, cid, &request).await,
            (Some(_), _) => Some(not_allowed("GET, HEAD")),
            (None, _) => Some(text(StatusCode::NOT_FOUND, "no such path")),
        },
    }
}

fn text(status: StatusCode, body: impl Into<String>) -> Response<Body> {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn not_allowed(allowed: &'static str) -> Response<Body> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, format!("use {allowed}"));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// The decoded body, or the answer that says what is wrong with it.
async fn body<T: serde::de::DeserializeOwned>(request: Request<Incoming>) -> Result<T, Response<Body>> {
    if request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) != Some(CBOR) {
        return Err(text(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/cbor"));
    }
    let bytes = Limited::new(request.into_body(), BODY_MAX).collect().await.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            text(StatusCode::PAYLOAD_TOO_LARGE, format!("the body may have {BODY_MAX} bytes"))
        } else {
            text(StatusCode::BAD_REQUEST, "the body broke off")
        }
    })?;
    from_cbor(&bytes.to_bytes()).map_err(|error| text(StatusCode::BAD_REQUEST, error.to_string()))
}

/// A CBOR answer. Curio's content type comes too late to be seen, so its style is none in particular.
fn cbor<T: serde::Serialize>(style: StatusStyle, value: &T) -> Response<Body> {
    match to_cbor(value) {
        Ok(bytes) => {
            let mut response = Response::new(Body::from(bytes));
            let kind = match style {
                StatusStyle::Boost => CBOR,
                StatusStyle::Curio => "application/octet-stream",
            };
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            response
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

async fn store<H: Host>(
    shared: &Shared<H>,
    id: ProviderId,
    request: Request<Incoming>,
) -> Option<Response<Body>> {
    let params: DealParams = match body(request).await {
        Ok(params) => params,
        Err(answer) => return Some(answer),
    };
    let style = shared.style(id)?;
    let applied = shared.host.apply(Command::Store { at: id, params: Box::new(params) });
    shared.wake();
    match applied {
        Ok(Reply::Store(StoreReply::Answered(answer))) => Some(cbor(style, &answer)),
        Ok(_) => None,
        Err(error) => Some(text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}

async fn status<H: Host>(
    shared: &Shared<H>,
    id: ProviderId,
    request: Request<Incoming>,
) -> Option<Response<Body>> {
    let request: DealStatusRequest = match body(request).await {
        Ok(request) => request,
        Err(answer) => return Some(answer),
    };
    let received = shared.received(id, request.deal_uuid);
    let style = shared.style(id)?;
    let answered =
        shared.host.read(|world| world.book.get(id).map(|book| book.status(&request, received, world)))?;
    match answered {
        Ok(answer) => answer.map(|answer| cbor(style, &answer)),
        Err(error) => Some(text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}

async fn ask<H: Host>(
    shared: &Shared<H>,
    id: ProviderId,
    request: Request<Incoming>,
) -> Option<Response<Body>> {
    let request: AskRequest = match body(request).await {
        Ok(request) => request,
        Err(answer) => return Some(answer),
    };
    let style = shared.style(id)?;
    let answered = shared.host.read(|world| {
        let (book, miner) = (world.book.get(id)?, world.miner(id)?);
        Some(book.terms().ask(&request.miner, &miner.worker_key, ChainView::head(world)))
    });
    match answered? {
        Ok(answer) => Some(cbor(style, &answer)),
        Err(error) => Some(text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}

async fn piece<H: Host>(
    shared: &Shared<H>,
    id: ProviderId,
    name: &str,
    request: &Request<Incoming>,
) -> Option<Response<Body>> {
    let commitment = match name.parse::<Cid>().map_err(|error| error.to_string()).and_then(|cid| {
        PieceCid::try_from(&cid).map(|piece| piece.commitment()).map_err(|error| error.to_string())
    }) {
        Ok(commitment) => commitment,
        Err(error) => return Some(text(StatusCode::BAD_REQUEST, error)),
    };
    let style = shared.style(id)?;
    let retrieval =
        shared.host.read(|world| world.book.get(id).map(|book| book.retrieval(commitment, world)))?;
    let (piece, wrong) = match retrieval {
        Retrieval::Unreachable => return None,
        Retrieval::NotFound => return Some(text(StatusCode::NOT_FOUND, "piece not found")),
        Retrieval::NoUnsealed => {
            shared.spoilt(id, &[Mode::NoUnsealed]);
            return Some(match style {
                StatusStyle::Boost => {
                    text(StatusCode::INTERNAL_SERVER_ERROR, "no unsealed copy of the piece")
                }
                StatusStyle::Curio => text(StatusCode::NOT_FOUND, "piece not found"),
            });
        }
        // A HEAD shows no bytes, so it spends no wrong ones.
        Retrieval::Wrong(piece) => {
            (piece, request.method() == Method::HEAD || shared.spoilt(id, &[Mode::WrongBytes]))
        }
        Retrieval::Right(piece) => (piece, false),
    };
    Some(serve_piece(&shared.files.piece(id, commitment), &piece, commitment, style, wrong, request).await)
}

async fn serve_piece(
    path: &Path,
    piece: &Piece,
    commitment: Commitment,
    style: StatusStyle,
    wrong: bool,
    request: &Request<Incoming>,
) -> Response<Body> {
    let Ok(file) = tokio::fs::File::open(path).await else {
        return text(StatusCode::INTERNAL_SERVER_ERROR, "the piece's file is gone from the provider's disk");
    };
    let padded = piece.padded_size.get();
    let (total, kind) = match style {
        StatusStyle::Boost => (padded - padded / 128, "application/piece"),
        StatusStyle::Curio => (piece.payload_size, "application/octet-stream"),
    };
    let asked = request.headers().get(RANGE).and_then(|value| value.to_str().ok());
    let (status, first, last) = match span(asked, total) {
        Span::Whole => (StatusCode::OK, 0, total),
        Span::Part { first, last } => (StatusCode::PARTIAL_CONTENT, first, last + 1),
        Span::Unsatisfiable => {
            let mut response = text(StatusCode::RANGE_NOT_SATISFIABLE, "the range lies outside the piece");
            insert(&mut response, CONTENT_RANGE, &format!("bytes */{total}"));
            return response;
        }
    };
    let body = if request.method() == Method::HEAD {
        Body::empty()
    } else {
        bytes_of(file, piece.payload_size, first, last, wrong)
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    insert(&mut response, CONTENT_TYPE, kind);
    insert(&mut response, ACCEPT_RANGES, "bytes");
    insert(&mut response, CONTENT_LENGTH, &(last - first).to_string());
    insert(&mut response, ETAG, &format!("\"{}\"", hex::encode(commitment.0)));
    if status == StatusCode::PARTIAL_CONTENT {
        insert(&mut response, CONTENT_RANGE, &format!("bytes {first}-{}/{total}", last - 1));
    }
    response
}

fn insert(response: &mut Response<Body>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// The bytes `first..end` of a piece: its payload, then zeros. Wrong ones differ at fixed places of the payload.
fn bytes_of(file: tokio::fs::File, payload: u64, first: u64, end: u64, wrong: bool) -> Body {
    let state = (file, first, false);
    Body::from_stream(futures_util::stream::try_unfold(state, move |(mut file, at, sought)| async move {
        if at >= end {
            return Ok::<_, std::io::Error>(None);
        }
        let count = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
        let mut chunk = vec![0; count];
        let present = usize::try_from(payload.saturating_sub(at)).unwrap_or(count).min(count);
        if present > 0 {
            if !sought {
                file.seek(std::io::SeekFrom::Start(at)).await?;
            }
            let part = chunk.get_mut(..present).unwrap_or_default();
            file.read_exact(part).await?;
            if wrong {
                spoil(part, at, payload);
            }
        }
        Ok(Some((Bytes::from(chunk), (file, at + count as u64, true))))
    }))
}

/// Flips a byte in every 997, and the last of the payload.
fn spoil(part: &mut [u8], at: u64, payload: u64) {
    for (offset, byte) in (at..).zip(part) {
        if offset % 997 == 500 || offset + 1 == payload {
            *byte ^= 0x55;
        }
    }
}
