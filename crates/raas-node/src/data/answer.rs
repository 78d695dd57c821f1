//! An answer on its way: its head, where its bytes come from, and the seat it keeps until they are gone.

use super::ahead::{Ahead, Chunks};
use super::limit::Seat;
use crate::api::error::ApiError;
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_LENGTH;
use axum::http::response::Builder;
use axum::response::Response;
use futures_util::{Stream, StreamExt};
use std::io;

/// An answer before its first byte is read.
pub enum Answer {
    /// All of it.
    Ready(Response),
    /// These bytes.
    Whole(Builder, Bytes),
    /// What is read while it is sent.
    Chunks(Builder, Box<dyn Chunks>),
}

impl Answer {
    /// Sends it. To HEAD goes the head of what GET would get.
    ///
    /// # Errors
    /// What fails before the first byte; [`ApiError::Unavailable`] when a file is not there any more.
    pub async fn send(self, head: bool, seat: Seat) -> Result<Response, ApiError> {
        match self {
            Self::Ready(response) => Ok(response),
            Self::Whole(response, bytes) => {
                let has_length = response.headers_ref().is_some_and(|head| head.contains_key(CONTENT_LENGTH));
                let response =
                    if has_length { response } else { response.header(CONTENT_LENGTH, bytes.len()) };
                let once = tokio_stream::once(Ok(bytes));
                Ok(response.body(if head { nothing() } else { kept(once, seat) })?)
            }
            Self::Chunks(response, _) if head => Ok(response.body(nothing())?),
            Self::Chunks(response, chunks) => match Ahead::start(chunks).await {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    Err(ApiError::Unavailable(error.to_string()))
                }
                started => Ok(response.body(kept(started?, seat))?),
            },
        }
    }
}

/// An empty body that does not say so: its length would be told as that of the answer.
fn nothing() -> Body {
    Body::from_stream(tokio_stream::empty::<io::Result<Bytes>>())
}

fn kept(bytes: impl Stream<Item = io::Result<Bytes>> + Send + 'static, seat: Seat) -> Body {
    Body::from_stream(bytes.map(move |chunk| {
        let _kept = &seat;
        chunk
    }))
}
