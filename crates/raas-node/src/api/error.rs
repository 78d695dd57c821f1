//! The one place where errors become HTTP. Internal text never leaves; it is logged here, once.

use crate::store;
use axum::Json;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// What a handler can fail with.
#[derive(Debug)]
pub enum ApiError {
    /// The request is wrong; which field, and what would be right.
    Field {
        /// The field as the caller spelled it.
        field: String,
        /// What is wrong and what would be right.
        why: String,
    },
    /// The request is wrong as a whole.
    Bad(String),
    /// There is no such thing.
    NotFound(String),
    /// It comes from a web page or name that must not act on this node.
    Forbidden(String),
    /// It moves money, and the caller did not show that it may.
    Unauthorized(String),
    /// It contradicts something stored before.
    Conflict(String),
    /// It is larger than allowed.
    TooLarge(String),
    /// What it needs on the disk is to stay free.
    NoRoom(String),
    /// The disk is full, or a source is not there now.
    Unavailable(String),
    /// The caller wants more than its share.
    TooMany {
        /// Of what.
        why: String,
        /// When to come back.
        after_secs: u64,
    },
    /// All callers together want more than the node gives at once.
    Busy {
        /// Of what.
        why: String,
        /// When to come back.
        after_secs: u64,
    },
    /// A defect or a failing disk of ours.
    Internal(anyhow::Error),
}

impl ApiError {
    /// A wrong field.
    pub fn field(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Field { field: field.into(), why: why.into() }
    }
}

impl<E> From<E> for ApiError
where
    E: Into<anyhow::Error>,
{
    fn from(error: E) -> Self {
        let error = error.into();
        let is_full = |cause: &(dyn std::error::Error + 'static)| {
            cause.downcast_ref::<store::Error>().is_some_and(store::Error::is_disk_full)
        };
        if error.chain().any(is_full) {
            let why = "the disk of the node's data directory is full; free some space and try again";
            return Self::Unavailable(why.to_owned());
        }
        Self::Internal(error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let after = match &self {
            Self::TooMany { after_secs, .. } | Self::Busy { after_secs, .. } => Some(*after_secs),
            _ => None,
        };
        let (status, error, field) = match self {
            Self::Field { field, why } => (StatusCode::BAD_REQUEST, format!("{field}: {why}"), Some(field)),
            Self::Bad(why) => (StatusCode::BAD_REQUEST, why, None),
            Self::NotFound(why) => (StatusCode::NOT_FOUND, why, None),
            Self::Forbidden(why) => (StatusCode::FORBIDDEN, why, None),
            Self::Unauthorized(why) => (StatusCode::UNAUTHORIZED, why, None),
            Self::Conflict(why) => (StatusCode::CONFLICT, why, None),
            Self::TooLarge(why) => (StatusCode::PAYLOAD_TOO_LARGE, why, None),
            Self::NoRoom(why) => (StatusCode::INSUFFICIENT_STORAGE, why, None),
            Self::Unavailable(why) => (StatusCode::SERVICE_UNAVAILABLE, why, None),
            Self::TooMany { why, .. } => (StatusCode::TOO_MANY_REQUESTS, why, None),
            Self::Busy { why, .. } => (StatusCode::SERVICE_UNAVAILABLE, why, None),
            Self::Internal(error) => {
                tracing::error!(error = format!("{error:#}"), "request failed");
                let text = "the node failed to answer; its log says why".to_owned();
                (StatusCode::INTERNAL_SERVER_ERROR, text, None)
            }
        };
        let body = match field {
            Some(field) => json!({ "error": error, "field": field }),
            None => json!({ "error": error }),
        };
        match after {
            Some(secs) => {
                (status, [(header::RETRY_AFTER, HeaderValue::from(secs))], Json(body)).into_response()
            }
            None => (status, Json(body)).into_response(),
        }
    }
}

/// Any other path.
pub async fn no_route(uri: Uri) -> ApiError {
    ApiError::NotFound(format!("there is no route {}; GET /v1/node tells what this node is", uri.path()))
}

/// A known path with another method.
pub async fn no_method(method: Method, uri: Uri) -> (StatusCode, Json<serde_json::Value>) {
    let text = format!("{} does not take {method}; the header Allow names what it takes", uri.path());
    (StatusCode::METHOD_NOT_ALLOWED, Json(json!({ "error": text })))
}
