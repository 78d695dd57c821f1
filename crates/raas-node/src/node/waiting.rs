//! The listeners of a node that waits for a chain endpoint: they are bound and answer, with the reason.

use crate::api::network_header;
use crate::api::problem::{Kind, PROBLEM_JSON, Problem, Told};
use crate::data::LISTENER;
use axum::Json;
use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::{IncomingStream, Listener};
use raas_core::gate::Hold;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use tower::util::Oneshot;
use tower::{Service, ServiceExt as _};

/// What stands behind a bound listener: at first the reason to wait, then the real routes.
#[derive(Clone)]
pub struct Door {
    inside: Arc<RwLock<Router>>,
}

impl Door {
    fn new(inside: Router) -> Self {
        Self { inside: Arc::new(RwLock::new(inside)) }
    }

    /// From now on requests go here.
    pub fn open(&self, router: Router) {
        *self.inside.write().unwrap_or_else(PoisonError::into_inner) = router;
    }
}

impl<L: Listener<Addr = SocketAddr>> Service<IncomingStream<'_, L>> for Door {
    type Response = Visit;
    type Error = Infallible;
    type Future = Ready<Result<Visit, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, stream: IncomingStream<'_, L>) -> Self::Future {
        ready(Ok(Visit { inside: Arc::clone(&self.inside), peer: *stream.remote_addr() }))
    }
}

/// One connection: its requests go to what stands behind the door by then, and know where they come from. No router
/// around the router: it would tell a length for each answer to HEAD.
#[derive(Clone)]
pub struct Visit {
    inside: Arc<RwLock<Router>>,
    peer: SocketAddr,
}

impl Service<Request> for Visit {
    type Response = Response;
    type Error = Infallible;
    type Future = Oneshot<Router, Request>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        request.extensions_mut().insert(ConnectInfo(self.peer));
        self.inside.read().unwrap_or_else(PoisonError::into_inner).clone().oneshot(request)
    }
}

/// Both listeners.
pub struct Doors {
    pub admin: Door,
    pub data: Door,
    network: String,
    listener: String,
}

impl Doors {
    /// Both waiting.
    pub fn new(network: &str, listener: &str) -> Self {
        let door = || Door::new(waiting(network, listener, "the node starts"));
        Self { admin: door(), data: door(), network: network.to_owned(), listener: listener.to_owned() }
    }

    /// Tells what is waited for.
    pub fn wait_for(&self, why: &str) {
        self.admin.open(waiting(&self.network, &self.listener, why));
        self.data.open(waiting(&self.network, &self.listener, why));
    }
}

fn waiting(network: &str, listener: &str, why: &str) -> Router {
    let state = json!({
        "network": network,
        "listener": listener,
        "ready": false,
        "round": null,
        "hold": Hold::NoEndpoint,
        "waits": why,
        "error": format!("the node waits for a chain endpoint: {why}; raas doctor looks at each"),
    });
    let named = [(LISTENER, listener.to_owned())];
    let fallback = move |uri: Uri| {
        let unavailable = (StatusCode::SERVICE_UNAVAILABLE, Json(state.clone())).into_response();
        let response = if uri.path().starts_with("/v1/") { not_yet(&state) } else { unavailable };
        let response = (named.clone(), response).into_response();
        async move { response }
    };
    Router::new().route("/livez", get(async || "ok")).fallback(fallback).layer(network_header(network))
}

/// What `/v1` answers until there is an endpoint: a problem, with what is waited for.
fn not_yet(state: &Value) -> Response {
    let detail = state["error"].as_str().unwrap_or_default().to_owned();
    let told = Told { kind: Kind::Unavailable, detail, field: None, after_secs: None };
    let mut body = state.clone();
    if let (Some(body), Ok(Value::Object(problem))) =
        (body.as_object_mut(), serde_json::to_value(Problem::new(&told, None)))
    {
        body.extend(problem);
    }
    let content_type = [(header::CONTENT_TYPE, PROBLEM_JSON)];
    (StatusCode::SERVICE_UNAVAILABLE, content_type, body.to_string()).into_response()
}
