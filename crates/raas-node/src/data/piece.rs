//! `GET|HEAD /piece/{cid}`: the CAR of a deal's piece, to whoever knows that deal's secret.

use super::range::{Asked, asked};
use crate::api::App;
use crate::api::error::ApiError;
use crate::api::extract::Path;
use crate::world::World;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use raas_core::cid::Commitment;
use std::io::SeekFrom;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

/// Bytes handed to the socket at once.
const CHUNK_BYTES: usize = 256 * 1024;

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
    let opens = app.engine.store().proposal_by_secret(secret).await?;
    if opens.map(|(_, piece)| piece) != Some(commitment) {
        return Err(absent());
    }
    let Some(local) = app.pieces.get(commitment)? else { return Err(absent()) };
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let etag = format!("\"{commitment}\"");
    // A range of another version of the piece cannot be, so this is of a piece the asker mixed up.
    let same = text(header::IF_RANGE).is_none_or(|tag| tag == etag);
    let range = asked(text(header::RANGE).filter(|_| same), local.car_bytes);
    let (status, first, length) = match range {
        Asked::Whole => (StatusCode::OK, 0, local.car_bytes),
        Asked::Part(first, last) => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
        Asked::Unsatisfiable => {
            let response = Response::builder()
                .status(StatusCode::RANGE_NOT_SATISFIABLE)
                .header(header::CONTENT_RANGE, format!("bytes */{}", local.car_bytes));
            return Ok(response.body(Body::empty())?);
        }
    };
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/vnd.ipld.car; version=1")
        .header(header::CONTENT_LENGTH, length)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::ETAG, etag);
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {first}-{}/{}", first + length - 1, local.car_bytes);
        response = response.header(header::CONTENT_RANGE, range);
    }
    if method == Method::HEAD {
        return Ok(response.body(Body::empty())?);
    }
    let mut file = tokio::fs::File::from_std(local.file.try_clone()?);
    file.seek(SeekFrom::Start(first)).await?;
    let bytes = ReaderStream::with_capacity(file.take(length), CHUNK_BYTES);
    Ok(response.body(Body::from_stream(bytes))?)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}
