//! The one place where errors become HTTP. Internal text never leaves; it is logged here, once.

use super::problem::{Kind, Told};
use crate::store;
use axum::Json;
use axum::http::{HeaderValue, Method, Uri, header};
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
    /// There is no such path.
    NoRoute(String),
    /// The path does not take this method.
    NoMethod(String),
    /// It comes from a web page or name that must not act on this node.
    Forbidden(String),
    /// The caller did not show who it is, or that it may spend.
    Unauthorized(String),
    /// The caller may not do this.
    NotAllowed(String),
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

    /// Its kind, and what is told of it.
    fn told(self) -> Told {
        let told = |kind, detail| Told { kind, detail, field: None, after_secs: None };
        match self {
            Self::Field { field, why } => {
                let detail = format!("{field}: {why}");
                Told { field: Some(field), ..told(Kind::InvalidField, detail) }
            }
            Self::Bad(why) => told(Kind::InvalidRequest, why),
            Self::NotFound(why) => told(Kind::NotFound, why),
            Self::NoRoute(why) => told(Kind::NoRoute, why),
            Self::NoMethod(why) => told(Kind::MethodNotAllowed, why),
            Self::Forbidden(why) => told(Kind::ForeignPage, why),
            Self::Unauthorized(why) => told(Kind::Unauthorized, why),
            Self::NotAllowed(why) => told(Kind::NotAllowed, why),
            Self::Conflict(why) => told(Kind::Conflict, why),
            Self::TooLarge(why) => told(Kind::TooLarge, why),
            Self::NoRoom(why) => told(Kind::NoRoom, why),
            Self::Unavailable(why) => told(Kind::Unavailable, why),
            Self::TooMany { why, after_secs } => {
                Told { after_secs: Some(after_secs), ..told(Kind::TooMany, why) }
            }
            Self::Busy { why, after_secs } => Told { after_secs: Some(after_secs), ..told(Kind::Busy, why) },
            Self::Internal(error) => {
                tracing::error!(error = format!("{error:#}"), "request failed");
                told(Kind::Internal, "the node failed to answer; its log says why".to_owned())
            }
        }
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

/// In the form of the RaaS specification and of the data listener. `/v1` gets another one from what goes with the
/// answer: [`super::problem::shape`].
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let told = self.told();
        let body = match &told.field {
            Some(field) => json!({ "error": told.detail, "field": field }),
            None => json!({ "error": told.detail }),
        };
        let mut response = (told.kind.status(), Json(body)).into_response();
        if let Some(secs) = told.after_secs {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        if told.kind == Kind::Unauthorized {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(told);
        response
    }
}

/// Any other path.
pub async fn no_route(uri: Uri) -> ApiError {
    ApiError::NoRoute(format!("there is no route {}; GET /docs lists those there are", uri.path()))
}

/// A known path with another method.
pub async fn no_method(method: Method, uri: Uri) -> ApiError {
    ApiError::NoMethod(format!("{} does not take {method}; the header Allow names what it takes", uri.path()))
}
