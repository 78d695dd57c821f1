//! WebSockets at the endpoints' paths: the same calls, and what comes unasked.
//!
//! One task per connection. Native channels have the form of go-jsonrpc (`xrpc.ch.val`, `xrpc.ch.close`, `xrpc.cancel`),
//! Ethereum's that of `eth_subscription`. The task looks at the chain whenever that has changed and sends what is new
//! since it last looked; after a reorganisation it tells first what is gone.

use super::{
    RpcError,
    endpoint::Answer,
    filters::{self, Filters},
    server::{Server, failure},
    subscription::{Subscription, Subscriptions},
};
use axum::body::Body;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE},
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, interval_at};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::derive_accept_key, protocol::Role},
};

/// How often the server pings.
const PING: Duration = Duration::from_secs(5);

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Whether a request wants to become a WebSocket.
pub(super) fn wants_socket(request: &Request<Incoming>) -> bool {
    let upgrade = request.headers().get(UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

/// Accepts the handshake and serves the socket until it closes.
pub(super) fn accept(server: Arc<Server>, name: String, mut request: Request<Incoming>) -> Response<Body> {
    let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY) else {
        let mut response = Response::new(Body::from("Sec-WebSocket-Key is missing"));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return response;
    };
    let accept = derive_accept_key(key.as_bytes());
    let upgrade = hyper::upgrade::on(&mut request);
    let (tasks, stop) = (server.tasks.clone(), server.stop.clone());
    tasks.spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        tokio::select! {
            () = stop.cancelled() => {}
            () = Connection::new(server, name, socket).run() => {}
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(value) = HeaderValue::from_str(&accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, value);
    }
    response
}

struct Connection {
    server: Arc<Server>,
    name: String,
    socket: Socket,
    open: Subscriptions,
    /// A gateway keeps filters for a connection only.
    filters: Filters,
}

/// The connection is over.
struct Closed;

impl Connection {
    fn new(server: Arc<Server>, name: String, socket: Socket) -> Self {
        Self { server, name, socket, open: Subscriptions::default(), filters: Filters::default() }
    }

    async fn run(mut self) {
        let mut changes = self.server.host.changes();
        let mut ping = interval_at(Instant::now() + PING, PING);
        loop {
            let went_on = tokio::select! {
                message = self.socket.next() => self.take(message).await,
                changed = changes.changed() => match changed {
                    Ok(()) => self.tell().await,
                    Err(_) => Err(Closed),
                },
                _ = ping.tick() => self.send(Message::Ping(Vec::new().into())).await,
            };
            if went_on.is_err() {
                return;
            }
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), Closed> {
        self.socket.send(message).await.map_err(|_| Closed)
    }

    async fn say(&mut self, value: &Value) -> Result<(), Closed> {
        self.send(Message::text(value.to_string())).await
    }

    async fn take(
        &mut self,
        message: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>,
    ) -> Result<(), Closed> {
        let text = match message {
            Some(Ok(Message::Text(text))) => text.to_string(),
            Some(Ok(Message::Binary(bytes))) => String::from_utf8_lossy(&bytes).into_owned(),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Closed),
            Some(Ok(_)) => return Ok(()),
        };
        match serde_json::from_str::<Value>(&text) {
            Err(error) => {
                let error = RpcError::coded(-32700, format!("parse error: {error}"));
                self.say(&failure(&Value::Null, &error)).await
            }
            Ok(Value::Array(requests)) => {
                self.server.endpoints.count_request(&self.name, requests.len());
                let mut answers = Vec::new();
                for request in &requests {
                    answers.extend(self.one(request).await?);
                }
                self.say(&Value::Array(answers)).await?;
                self.tell().await
            }
            Ok(request) => {
                self.server.endpoints.count_request(&self.name, 1);
                if let Some(answer) = self.one(&request).await? {
                    self.say(&answer).await?;
                }
                self.tell().await
            }
        }
    }

    /// One request; a notification has no answer.
    async fn one(&mut self, request: &Value) -> Result<Option<Value>, Closed> {
        let id = request.get("id").cloned().unwrap_or(Value::Null);
        let Some(method) = request.get("method").and_then(Value::as_str) else {
            return Ok(Some(failure(&id, &RpcError::coded(-32600, "invalid request: no method"))));
        };
        let params = request.get("params").unwrap_or(&Value::Null);
        let result = match method {
            "xrpc.cancel" => {
                if let Some(channel) = self.open.cancel(params.get(0).unwrap_or(&Value::Null)) {
                    let close = json!({ "jsonrpc": "2.0", "method": "xrpc.ch.close", "params": [channel] });
                    return Ok(Some(close));
                }
                return Ok(None);
            }
            "eth_unsubscribe" => self.open.unsubscribe(params).map(Value::Bool),
            "eth_subscribe" | "Filecoin.ChainNotify" | "Filecoin.SubscribeActorEventsRaw" => {
                match self.server.admit_stateful(&self.name, method).await? {
                    Err(error) => Err(error),
                    Ok(lens) => {
                        let opened = self
                            .server
                            .host
                            .read(|world| Subscription::open(world, lens, method, params, id.clone()));
                        opened.and_then(|subscription| self.open.add(subscription))
                    }
                }
            }
            _ if filters::handles(method) && self.server.endpoints.look(&self.name, method).is_gateway() => {
                match self.server.admit_stateful(&self.name, method).await? {
                    Err(error) => Err(error),
                    Ok(lens) => {
                        let filters = &mut self.filters;
                        let result =
                            self.server.host.act(|world| filters.answer(world, &lens, method, params));
                        result.map_err(|error| RpcError::other(error.to_string())).flatten()
                    }
                }
            }
            _ => match self.server.call(&self.name, method, params, true).await {
                Answer::Json { result, .. } => result,
                Answer::Silence => return Err(Closed),
                Answer::Hang => return Ok(None),
                // A gateway tells those on sockets in words.
                Answer::Http { .. } => Err(RpcError::other("connection limited. please try again later")),
            },
        };
        if request.get("id").is_none() {
            return Ok(None);
        }
        Ok(Some(match result {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            Err(error) => failure(&id, &error),
        }))
    }

    /// Sends what is new to every subscription.
    async fn tell(&mut self) -> Result<(), Closed> {
        let (server, name) = (self.server.clone(), self.name.clone());
        let lens = |method: &str| server.endpoints.look(&name, method);
        let news = self.server.host.read(|world| self.open.news(world, &lens));
        for message in news {
            self.say(&message).await?;
        }
        Ok(())
    }
}

impl Server {
    /// Counts a call that the connection itself answers, and says how it sees the chain; the outer error closes the connection.
    async fn admit_stateful(
        &self,
        name: &str,
        method: &str,
    ) -> Result<Result<super::lens::Lens, RpcError>, Closed> {
        use super::endpoint::Admitted;
        match self.endpoints.admit(name, method, true) {
            Admitted::Through { lens, .. } => Ok(Ok(lens)),
            Admitted::Answer(Answer::Json { result, .. }) => {
                Ok(Err(result.err().unwrap_or_else(|| RpcError::other("no answer"))))
            }
            Admitted::Answer(Answer::Silence) => Err(Closed),
            Admitted::Answer(Answer::Hang) => std::future::pending().await,
            Admitted::Answer(Answer::Http { .. }) => {
                Ok(Err(RpcError::other("connection limited. please try again later")))
            }
        }
    }
}
