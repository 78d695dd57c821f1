//! The HTTP side: one path per endpoint, JSON-RPC 2.0 with batches, answers that may be lost on purpose.

use super::{
    RpcError, control,
    endpoint::{Admitted, Answer},
    endpoints::Endpoints,
    filters,
    lens::Lens,
    native, socket,
    view::View,
};
use crate::{fevm, host::Host, provider::Fleet, world::World};
use axum::body::Body;
use http_body_util::{BodyExt as _, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER},
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The path of the endpoint without a name; named ones follow after a slash.
pub const PATH: &str = "/rpc/v1";
/// The most bytes of a request.
const BODY_MAX: usize = 100 << 20;

/// What the endpoints work on.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) host: Arc<Host>,
    pub(crate) fleet: Arc<Fleet<Host>>,
    /// Wall-clock milliseconds per epoch, 0 by command only.
    pub(crate) epoch_ms: watch::Sender<u64>,
    /// Held while time moves by command.
    pub(crate) advancing: tokio::sync::Mutex<()>,
    pub(super) endpoints: Endpoints,
    /// Where sockets live, and what ends them.
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
}

/// What came of one request of an HTTP body.
enum Reply {
    /// The answer; none to a notification.
    Json(Option<Value>),
    /// No JSON-RPC at all; none closes the connection.
    Whole(Option<Response<Body>>),
}

impl Server {
    pub(crate) fn new(
        host: Arc<Host>,
        fleet: Arc<Fleet<Host>>,
        epoch_ms: watch::Sender<u64>,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        Self {
            host,
            fleet,
            epoch_ms,
            advancing: tokio::sync::Mutex::default(),
            endpoints: Endpoints::default(),
            tasks,
            stop,
        }
    }

    /// Answers an HTTP request; `None` closes the connection without an answer.
    pub(crate) async fn serve(self: Arc<Self>, request: Request<Incoming>) -> Option<Response<Body>> {
        let Some(name) = self.endpoints.at(request.uri().path()) else {
            let text = format!("use POST {PATH} or {PATH}/NAME of an endpoint that devnet_endpoints lists");
            return Some(plain(StatusCode::NOT_FOUND, text));
        };
        if socket::wants_socket(&request) {
            return Some(socket::accept(self, name, request));
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
                self.endpoints.count_request(&name, requests.len());
                let mut answers = Vec::with_capacity(requests.len());
                for request in &requests {
                    match self.one(&name, request).await {
                        Reply::Json(answer) => answers.extend(answer),
                        Reply::Whole(response) => return response,
                    }
                }
                Some(Value::Array(answers))
            }
            Ok(request) => {
                self.endpoints.count_request(&name, 1);
                match self.one(&name, &request).await {
                    Reply::Json(answer) => answer,
                    Reply::Whole(response) => return response,
                }
            }
        };
        let text = answer.map(|answer| answer.to_string()).unwrap_or_default();
        let mut response = Response::new(Body::from(text));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Some(response)
    }

    async fn one(&self, name: &str, request: &Value) -> Reply {
        let id = request.get("id").unwrap_or(&Value::Null);
        let Some(method) = request.get("method").and_then(Value::as_str) else {
            return Reply::Json(Some(failure(id, &RpcError::coded(-32600, "invalid request: no method"))));
        };
        let params = request.get("params").unwrap_or(&Value::Null);
        let result = match self.call(name, method, params, false).await {
            Answer::Json { result, .. } => result,
            Answer::Silence => return Reply::Whole(None),
            Answer::Hang => std::future::pending().await,
            Answer::Http { status, retry_after, body } => {
                return Reply::Whole(Some(other(status, retry_after, body)));
            }
        };
        if request.get("id").is_none() {
            return Reply::Json(None);
        }
        Reply::Json(Some(match result {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            Err(error) => failure(id, &error),
        }))
    }

    /// One call at one endpoint, late if it is to be late.
    pub(super) async fn call(&self, name: &str, method: &str, params: &Value, socket: bool) -> Answer {
        if method.starts_with("devnet_") {
            return Answer::Json { result: control::answer(self, method, params).await, delay_ms: 0 };
        }
        match self.endpoints.admit(name, method, socket) {
            Admitted::Answer(Answer::Json { result, delay_ms }) => {
                late(delay_ms).await;
                Answer::Json { result, delay_ms }
            }
            Admitted::Answer(answer) => answer,
            Admitted::Through { lens, delay_ms, lose_answer } => {
                let result = if method == native::WAIT {
                    self.wait(name, lens, params).await
                } else {
                    let result = self.host.act(|world| match filters::handles(method) {
                        true => self.endpoints.filter(name, world, &lens, method, params),
                        false => answer(world, &lens, method, params),
                    });
                    result.map_err(|error| RpcError::other(error.to_string())).flatten()
                };
                late(delay_ms).await;
                if lose_answer {
                    return Answer::Silence;
                }
                Answer::Json { result, delay_ms }
            }
        }
    }

    /// Answers when what is waited for is there, looking whenever the chain has changed.
    async fn wait(&self, name: &str, mut lens: Lens, params: &Value) -> Result<Value, RpcError> {
        let mut changes = self.host.changes();
        loop {
            let found = self.host.read(|world| {
                let head = lens.head(world.chain().head());
                native::wait(View { world, head, lens: &lens }, params)
            });
            if let Some(found) = found? {
                return Ok(found);
            }
            tokio::select! {
                () = self.stop.cancelled() => return Err(RpcError::other("the node is shutting down")),
                changed = changes.changed() => if changed.is_err() {
                    return Err(RpcError::other("the node is shutting down"));
                },
            }
            lens = self.endpoints.look(name, native::WAIT);
        }
    }
}

async fn late(ms: u64) {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

/// What is no JSON-RPC answer.
fn other(status: u16, retry_after: Option<u64>, body: String) -> Response<Body> {
    let mut response = plain(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY), body);
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Answers `Filecoin.*`, `eth_*`, `net_*` and `web3_*` truthfully, without a server.
pub fn call(world: &mut World, method: &str, params: &Value) -> Result<Value, RpcError> {
    answer(world, &Lens::default(), method, params)
}

/// Answers as an endpoint does that sees the world through `lens`.
pub(super) fn answer(
    world: &mut World,
    lens: &Lens,
    method: &str,
    params: &Value,
) -> Result<Value, RpcError> {
    let head = lens.head(world.chain().head());
    let result = if method.starts_with("Filecoin.") {
        match native::act(world, method, params) {
            Some(result) => result,
            None => native::answer(View { world, head, lens }, method, params),
        }
    } else {
        fevm::eth::handle_as(world, head, lens, method, params)
    };
    if !lens.is_forest() {
        return result;
    }
    match result {
        Ok(Value::Null) if method == "Filecoin.GetActorEventsRaw" => Ok(json!([])),
        Err(error) if error.code == 1 => Err(RpcError { code: -32603, ..error }),
        other => other,
    }
}

pub(super) fn failure(id: &Value, error: &RpcError) -> Value {
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
