//! Query, path and body of a request, with refusals in the API's own form: the field, and what would be right.

use super::error::ApiError;
use axum::extract::{FromRequest, FromRequestParts, Request, rejection};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// The query as a type; unknown, repeated and wrong parameters are named.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection::QueryRejection::FailedToDeserializeQueryString(error)) => {
                Err(wrong(&error.body_text()))
            }
            Err(other) => Err(ApiError::Bad(other.body_text())),
        }
    }
}

/// The query as texts by name, each at most once.
#[derive(Debug)]
pub struct Parameters(pub BTreeMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        let mut named = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if named.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(ApiError::field(name, "is there twice"));
            }
        }
        Ok(Self(named))
    }
}

/// The variable parts of the path.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(error) => {
                let why = error.body_text();
                Err(ApiError::Bad(format!("the path {} cannot be read: {why}", parts.uri.path())))
            }
        }
    }
}

/// A JSON body as a type.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match axum::Json::<T>::from_request(request, state).await {
            Ok(axum::Json(value)) => Ok(Self(value)),
            Err(rejection::JsonRejection::JsonDataError(error)) => Err(unfit(&error.body_text())),
            Err(rejection::JsonRejection::MissingJsonContentType(_)) => {
                Err(ApiError::field("content-type", "send JSON, and say so: content-type: application/json"))
            }
            Err(other) if other.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(ApiError::TooLarge(other.body_text()))
            }
            Err(other) => Err(ApiError::Bad(format!("the body cannot be read: {}", other.body_text()))),
        }
    }
}

/// What the deserialiser says of a body, as a refusal that names the field: `path: what at line 1 column 2`.
fn unfit(said: &str) -> ApiError {
    let said = said.split_once(": ").map_or(said, |(_, rest)| rest);
    let said = said.rsplit_once(" at line ").map_or(said, |(what, _)| what);
    let (path, what) = match said.split_once(": ") {
        Some((path, what)) if !path.contains([' ', '`']) => (Some(path), what),
        _ => (None, said),
    };
    let quoted = what.split('`').nth(1);
    let within = |name: &str| match path {
        Some(path) => format!("{path}.{name}"),
        None => name.to_owned(),
    };
    match (quoted, path) {
        (Some(name), _) if what.starts_with("missing field") => ApiError::field(within(name), "is missing"),
        (Some(name), _) if what.starts_with("unknown field") => {
            let known = what.split_once("expected ").map_or("none", |(_, known)| known);
            // serde_path_to_error counts an unknown field to the path.
            let field = path.filter(|path| path.ends_with(name)).map_or_else(|| within(name), str::to_owned);
            ApiError::field(field, format!("unknown field; known are {}", known.replace('`', "")))
        }
        (_, Some(path)) => ApiError::field(path, what),
        (_, None) => ApiError::Bad(format!("the body cannot be read: {what}")),
    }
}

/// What the deserialiser says, as a refusal that names the parameter.
fn wrong(said: &str) -> ApiError {
    let said = said.split_once(": ").map_or(said, |(_, rest)| rest);
    let quoted = said.split('`').nth(1);
    match (quoted, said.split_once(": ")) {
        (Some(name), _) if said.starts_with("unknown field") => {
            let known = said.split_once("expected ").map_or("no parameters", |(_, known)| known);
            ApiError::field(name, format!("unknown parameter; known are {}", known.replace('`', "")))
        }
        (Some(name), _) if said.starts_with("duplicate field") => ApiError::field(name, "is there twice"),
        (Some("true"), Some((name, _))) => ApiError::field(name, "give true or false"),
        (_, Some((name, why)))
            if why.contains("digit") || why.contains("number") || why.contains("integer") =>
        {
            ApiError::field(name, format!("{why}; give one whole number"))
        }
        (_, Some((name, why))) => ApiError::field(name, why),
        _ => ApiError::Bad(format!("the query cannot be read: {said}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the refusals are looked at")]
    struct Listing {
        after: Option<u64>,
        limit: Option<u32>,
    }

    async fn refused(query: &str) -> (String, String) {
        let (mut parts, ()) =
            Request::get(format!("/v1/jobs?{query}")).body(()).expect("a request").into_parts();
        match Query::<Listing>::from_request_parts(&mut parts, &()).await {
            Err(ApiError::Field { field, why }) => (field, why),
            other => panic!("{query}: {other:?}"),
        }
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the refusals are looked at")]
    struct Outer {
        cid: String,
        inner: Option<Listing>,
    }

    #[tokio::test]
    async fn every_wrong_field_of_a_body_is_named() {
        let refused = async |kind: &str, body: &str| {
            let request = Request::post("/v1/pins").header("content-type", kind);
            let request = request.body(axum::body::Body::from(body.to_owned())).expect("a request");
            match JsonBody::<Outer>::from_request(request, &()).await {
                Err(ApiError::Field { field, why }) => (field, why),
                Err(ApiError::Bad(why)) => (String::new(), why),
                other => panic!("{body}: {other:?}"),
            }
        };
        let json = "application/json";
        assert_eq!(refused(json, "{}").await, ("cid".to_owned(), "is missing".to_owned()));
        assert_eq!(refused(json, r#"{"cid":7}"#).await.0, "cid");
        let (field, why) = refused(json, r#"{"cid":"b","cidd":"b"}"#).await;
        assert_eq!(field, "cidd");
        assert!(why.contains("known are cid or inner"), "{why}");
        assert_eq!(refused(json, r#"{"cid":"b","inner":{"limit":-1}}"#).await.0, "inner.limit");
        assert_eq!(refused(json, r#"{"cid":"b","inner":{"limitt":1}}"#).await.0, "inner.limitt");
        assert_eq!(refused("text/plain", "{}").await.0, "content-type");
        assert!(refused(json, "{").await.1.starts_with("the body cannot be read"));
    }

    #[tokio::test]
    async fn every_wrong_parameter_is_named() {
        for query in ["limit=x", "limit=-1", "limit=", "limit=4294967296", "limit=1.5"] {
            assert_eq!(refused(query).await.0, "limit", "{query}");
        }
        let (field, why) = refused("cidd=1").await;
        assert_eq!(field, "cidd");
        assert!(why.contains("after") && why.contains("limit"), "{why}");
        let twice = ("limit".to_owned(), "is there twice".to_owned());
        assert_eq!(refused("limit=1&limit=2").await, twice);
    }
}
