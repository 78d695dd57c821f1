//! Faults of chain endpoints, by their numbers in the list of faults that this project holds itself to, each with
//! what must come of it.

mod answers;
mod calls;
mod finality;
mod logs;

use crate::server::{Say, proxy};
use crate::support::{Net, control};
use raas_clients::filecoin::LotusChain;
use raas_clients::key::Key;
use raas_clients::rpc::{EndpointConfig, Pool};
use raas_core::ports::Look;
use raas_core::units::Epoch;
use serde_json::{Value, json};
use std::sync::Arc;

fn config(url: &str) -> EndpointConfig {
    EndpointConfig::new(url.parse().expect("a URL"))
}

fn chain_of(pool: &Pool) -> LotusChain {
    LotusChain::new(pool.clone(), Key::from_bytes(&[7; 32]).expect("a key").native_address())
}

/// A proxy before the devnet of `net`.
async fn before(net: &Net, decide: impl Fn(&Value) -> Say + Send + Sync + 'static) -> EndpointConfig {
    config(&proxy(net.devnet.rpc_url(), Arc::new(decide)).await)
}

fn is(call: &Value, method: &str) -> bool {
    call["method"] == method
}

fn error(code: i64, message: &str) -> Say {
    Say::Own(json!({"error": {"code": code, "message": message}}))
}

async fn true_epoch(net: &Net) -> Epoch {
    Epoch(control(&net.pool, "devnet_now", json!([])).await["height"].as_i64().expect("a height"))
}

async fn look(net: &Net) -> Look {
    Look { expected: Some(true_epoch(net).await), last: None }
}
