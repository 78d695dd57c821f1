//! Small HTTP servers on loopback.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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

/// A JSON-RPC server that tells its chain id and is too busy for anything else; and how often that was.
pub async fn busy_pool(chain_id: u64) -> (String, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    let router = Router::new().fallback(move |axum::Json(call): axum::Json<Value>| {
        let outcome = if call["method"] == "eth_chainId" {
            json!({ "result": format!("{chain_id:#x}") })
        } else {
            counter.fetch_add(1, Ordering::SeqCst);
            json!({ "error": { "code": -32603, "message": "server busy. please retry" } })
        };
        let answer = answer_to(&call, outcome);
        async move { axum::Json(answer) }
    });
    (serve(router).await, count)
}

fn answer_to(call: &Value, mut outcome: Value) -> Value {
    let fields = outcome.as_object_mut().expect("a result or an error");
    fields.insert("jsonrpc".to_owned(), json!("2.0"));
    fields.insert("id".to_owned(), call["id"].clone());
    outcome
}

/// A gateway before `upstream` that answers some calls itself: those for which `own` gives an outcome.
pub async fn gateway(upstream: String, own: fn(&Value) -> Option<Value>) -> String {
    let client = reqwest::Client::builder().no_proxy().build().expect("TLS is installed by the pool");
    let router = Router::new().fallback(move |axum::Json(request): axum::Json<Value>| {
        let (client, upstream) = (client.clone(), upstream.clone());
        async move {
            let one = async |call: &Value| match own(call) {
                Some(outcome) => answer_to(call, outcome),
                None => {
                    let answer = client.post(&upstream).json(call).send().await.expect("the devnet answers");
                    answer.json().await.expect("JSON")
                }
            };
            let Value::Array(calls) = &request else { return axum::Json(one(&request).await) };
            let mut answers = Vec::new();
            for call in calls {
                answers.push(one(call).await);
            }
            axum::Json(Value::Array(answers))
        }
    });
    serve(router).await
}

/// What a proxy does with one call.
pub enum Say {
    /// Passes it on.
    Pass,
    /// Answers in the upstream's place: its `result` or `error` member.
    Own(Value),
    /// Passes it on and changes the result.
    Changed(fn(Value) -> Value),
}

/// Decides about calls, and may remember.
pub type Decide = Arc<dyn Fn(&Value) -> Say + Send + Sync>;

/// A proxy before `upstream` that decides about each call.
pub async fn proxy(upstream: String, decide: Decide) -> String {
    let client = reqwest::Client::builder().no_proxy().build().expect("TLS is installed by the pool");
    let router = Router::new().fallback(move |axum::Json(request): axum::Json<Value>| {
        let (client, upstream, decide) = (client.clone(), upstream.clone(), decide.clone());
        async move {
            let pass = async |call: &Value| -> Value {
                let answer = client.post(&upstream).json(call).send().await.expect("the devnet answers");
                answer.json().await.expect("JSON")
            };
            let one = async |call: &Value| match decide(call) {
                Say::Own(outcome) => answer_to(call, outcome),
                Say::Pass => pass(call).await,
                Say::Changed(change) => {
                    let mut answer = pass(call).await;
                    if let Some(result) = answer.get_mut("result") {
                        *result = change(result.take());
                    }
                    answer
                }
            };
            let Value::Array(calls) = &request else { return axum::Json(one(&request).await) };
            let mut answers = Vec::new();
            for call in calls {
                answers.push(one(call).await);
            }
            axum::Json(Value::Array(answers))
        }
    });
    serve(router).await
}

/// A server that takes connections and never says a word.
pub async fn silent() -> String {
    serve(Router::new().fallback(std::future::pending::<StatusCode>)).await
}
