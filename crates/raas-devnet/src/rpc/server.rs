//! The HTTP side: one path, JSON-RPC 2.0 with batches, answers that may be lost on purpose.

use super::{
    RpcError, control,
    fault::{Faults, Treatment},
    native,
    view::View,
};
use crate::{fevm, host::Host, provider::Fleet, world::World};
use axum::body::Body;
use http_body_util::{BodyExt as _, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{ALLOW, CONTENT_TYPE, HeaderValue},
};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The one path.
pub const PATH: &str = "/rpc/v1";
/// The most bytes of a request.
const BODY_MAX: usize = 100 << 20;

/// What the endpoint works on.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) host: Arc<Host>,
    pub(crate) fleet: Arc<Fleet<Host>>,
    /// Wall-clock milliseconds per epoch, 0 by command only.
    pub(crate) epoch_ms: watch::Sender<u64>,
    /// Held while time moves by command.
    pub(crate) advancing: tokio::sync::Mutex<()>,
    faults: Mutex<Faults>,
}

impl Server {
    pub(crate) fn new(host: Arc<Host>, fleet: Arc<Fleet<Host>>, epoch_ms: watch::Sender<u64>) -> Self {
        Self { host, fleet, epoch_ms, advancing: tokio::sync::Mutex::default(), faults: Mutex::default() }
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers an HTTP request; `None` closes the connection without an answer.
    pub(crate) async fn serve(self: Arc<Self>, request: Request<Incoming>) -> Option<Response<Body>> {
        if request.uri().path() != PATH {
            return Some(plain(StatusCode::NOT_FOUND, format!("use POST {PATH}")));
        }
        if request.method() != Method::POST {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "use POST".to_owned());
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return Some(response);
        }
        let body = match Limited::new(request.into_body(), BODY_MAX).collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => {
                return Some(plain(StatusCode::PAYLOAD_TOO_LARGE, format!("at most {BODY_MAX} bytes")));
            }
        };
        let answer = match serde_json::from_slice::<Value>(&body) {
            Err(error) => {
                Some(failure(&Value::Null, &RpcError::coded(-32700, format!("parse error: {error}"))))
            }
            Ok(Value::Array(requests)) if requests.is_empty() => {
                Some(failure(&Value::Null, &RpcError::coded(-32600, "invalid request: empty batch")))
            }
            Ok(Value::Array(requests)) => {
                let mut answers = Vec::with_capacity(requests.len());
                for request in &requests {
                    answers.extend(self.one(request).await?);
                }
                Some(Value::Array(answers))
            }
            Ok(request) => self.one(&request).await?,
        };
        let text = answer.map(|answer| answer.to_string()).unwrap_or_default();
        let mut response = Response::new(Body::from(text));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Some(response)
    }

    /// One request. The outer `None` is silence, the inner one the answer to a notification.
    async fn one(&self, request: &Value) -> Option<Option<Value>> {
        let id = request.get("id").unwrap_or(&Value::Null);
        let Some(method) = request.get("method").and_then(Value::as_str) else {
            return Some(Some(failure(id, &RpcError::coded(-32600, "invalid request: no method"))));
        };
        let params = request.get("params").unwrap_or(&Value::Null);
        let result = if method.starts_with("devnet_") {
            control::answer(self, method, params).await
        } else {
            let treatment = self.faults().treat(method);
            if treatment.refuse {
                return None;
            }
            let result = self.host.act(|world| answer(world, treatment, method, params));
            if treatment.lose_answer {
                return None;
            }
            result.map_err(|error| RpcError::other(error.to_string())).and_then(|result| result)
        };
        if request.get("id").is_none() {
            return Some(None);
        }
        Some(Some(match result {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            Err(error) => failure(id, &error),
        }))
    }
}

/// Answers `Filecoin.*`, `eth_*`, `net_*` and `web3_*` truthfully, without a server.
pub fn call(world: &mut World, method: &str, params: &Value) -> Result<Value, RpcError> {
    answer(world, Faults::default().treat(method), method, params)
}

fn answer(world: &mut World, treatment: Treatment, method: &str, params: &Value) -> Result<Value, RpcError> {
    let head = treatment.head.unwrap_or_else(|| world.chain().head());
    if method.starts_with("Filecoin.") {
        if let Some(result) = native::act(world, method, params) {
            return result;
        }
        return native::answer(View { world, head, lens: treatment.lens }, method, params);
    }
    if method == "eth_getLogs" && treatment.lens.hides_logs() {
        return Ok(json!([]));
    }
    fevm::eth::handle_at(world, head, method, params)
}

fn failure(id: &Value, error: &RpcError) -> Value {
    let mut object = json!({ "code": error.code, "message": error.message });
    if let (Some(fields), Some(data)) = (object.as_object_mut(), &error.data) {
        fields.insert("data".to_owned(), data.clone());
    }
    json!({ "jsonrpc": "2.0", "id": id, "error": object })
}

fn plain(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}
