//! A proxy between node and devnet, as a gateway or a failing line is between a node and the chain.

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// Decides about one call: an answer of its own (`result` or `error`), or `None` to pass it on. Methods of the devnet
/// itself are never asked about.
pub type Decide = Arc<dyn Fn(&Value) -> Option<Value> + Send + Sync>;

/// A running proxy. Its address stays the same whatever it does.
#[derive(Clone)]
pub struct Proxy {
    state: Arc<Mutex<State>>,
    url: String,
}

struct State {
    upstream: String,
    decide: Decide,
    open: bool,
    hides: bool,
    asked: Vec<String>,
}

impl Proxy {
    /// A proxy before `upstream` that passes everything on.
    pub async fn before(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/rpc/v1", listener.local_addr().expect("bound"));
        let state = Arc::new(Mutex::new(State {
            upstream: upstream.to_owned(),
            decide: Arc::new(|_| None),
            open: true,
            hides: false,
            asked: Vec::new(),
        }));
        let (shared, client) =
            (state.clone(), reqwest::Client::builder().no_proxy().build().expect("an HTTP client"));
        let router = Router::new().fallback(move |body: Bytes| {
            let (state, client) = (shared.clone(), client.clone());
            async move { answer(&state, &client, &body).await }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { state, url }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// From now on it decides so.
    pub fn decide(&self, decide: impl Fn(&Value) -> Option<Value> + Send + Sync + 'static) {
        self.state.lock().expect("free").decide = Arc::new(decide);
    }

    /// Whether it refuses the devnet's own methods, so that what is behind it is a network like any other.
    pub fn hide_control(&self) {
        self.state.lock().expect("free").hides = true;
    }

    /// Whether it answers at all.
    pub fn set_open(&self, open: bool) {
        self.state.lock().expect("free").open = open;
    }

    /// From now on it stands before another upstream.
    pub fn move_to(&self, upstream: &str) {
        self.state.lock().expect("free").upstream = upstream.to_owned();
    }

    /// The methods that were asked for since the last time.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().expect("free").asked)
    }
}

async fn answer(state: &Mutex<State>, client: &reqwest::Client, body: &[u8]) -> Response {
    let request: Value = serde_json::from_slice(body).expect("JSON-RPC");
    let (upstream, decide, open, hides) = {
        let state = state.lock().expect("free");
        (state.upstream.clone(), Arc::clone(&state.decide), state.open, state.hides)
    };
    if !open {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let one = async |call: &Value| -> Value {
        let method = call["method"].as_str().unwrap_or_default().to_owned();
        let own = match method.starts_with("devnet_") {
            true if hides => Some(json!({"error": {"code": -32601, "message": "method not found"}})),
            true => None,
            false => decide(call),
        };
        state.lock().expect("free").asked.push(method);
        match own {
            Some(mut outcome) => {
                outcome["jsonrpc"] = json!("2.0");
                outcome["id"] = call["id"].clone();
                outcome
            }
            None => {
                let answer = client.post(&upstream).json(call).send().await.expect("the devnet answers");
                answer.json().await.expect("JSON")
            }
        }
    };
    match &request {
        Value::Array(calls) => {
            let mut answers = Vec::new();
            for call in calls {
                answers.push(one(call).await);
            }
            axum::Json(Value::Array(answers)).into_response()
        }
        call => axum::Json(one(call).await).into_response(),
    }
}

/// A public endpoint long after: logs, receipts and state of blocks before `oldest` are gone.
pub fn short_memory(oldest: i64) -> impl Fn(&Value) -> Option<Value> + Send + Sync + 'static {
    move |call| {
        let number = |value: &Value| {
            value.as_str().and_then(|text| i64::from_str_radix(text.strip_prefix("0x")?, 16).ok())
        };
        let params = &call["params"];
        let height = match call["method"].as_str()? {
            "eth_getLogs" => number(&params[0]["fromBlock"])?,
            "eth_getBlockReceipts" => number(&params[0])?,
            "eth_call" => number(&params[1])?,
            "Filecoin.ChainGetTipSetAfterHeight" => params[0].as_i64()?,
            _ => return None,
        };
        let message = "bad tipset height: lookbacks of more than 24h0m0s are disallowed";
        (height < oldest).then(|| json!({"error": {"code": 1, "message": message}}))
    }
}
