//! Small HTTP servers on loopback.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio::net::TcpListener;

/// Serves `router` until the test ends; gives its base URL.
pub async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// A port on which nothing listens.
pub async fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    format!("http://{}", listener.local_addr().expect("bound"))
}

/// Serves `bytes` at every path, with HEAD and Range, as a data listener does.
pub async fn serve_bytes(bytes: Vec<u8>) -> String {
    serve(Router::new().fallback(ranged).with_state(Bytes::from(bytes))).await
}

async fn ranged(State(bytes): State<Bytes>, method: Method, headers: HeaderMap) -> Response {
    let total = bytes.len();
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok()).map(|text| {
        let (from, to) = text.strip_prefix("bytes=").and_then(|text| text.split_once('-')).expect("a range");
        let from: usize = from.parse().expect("a start");
        (from, to.parse::<usize>().map_or(total, |to| to + 1).min(total))
    });
    let (status, from, to) = match range {
        None => (StatusCode::OK, 0, total),
        Some((from, to)) => (StatusCode::PARTIAL_CONTENT, from, to),
    };
    let part = bytes.slice(from..to);
    let mut answer = Response::builder()
        .status(status)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::CONTENT_LENGTH, part.len());
    if range.is_some() {
        answer = answer.header(header::CONTENT_RANGE, format!("bytes {from}-{}/{total}", to - 1));
    }
    let body = if method == Method::HEAD { Body::empty() } else { Body::from(part) };
    answer.body(body).expect("a response").into_response()
}
