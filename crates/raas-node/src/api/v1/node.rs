//! The node itself: what it is, whether it is well, when it wakes, and the breaker's release.

use crate::api::App;
use crate::api::error::ApiError;
use crate::api::extract::Query;
use crate::api::jobs::time;
use crate::world::World;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use raas_core::cid::DataCid;
use raas_core::ids::ProviderId;
use raas_core::ports::{Chain, Clock};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// What this node is and what it last saw.
pub async fn node<W: World>(State(app): State<Arc<App<W>>>) -> Result<Json<Value>, ApiError> {
    let status = app.engine.status();
    let settings = app.engine.settings();
    let chain = app.engine.world().chain();
    let endpoints = chain.endpoints();
    let mut contracts = Vec::with_capacity(settings.contracts.len());
    for at in &settings.contracts {
        contracts.push(json!({
            "address": at.address,
            "abi": at.abi.name(),
            "from_block": at.from_block,
            "completes": at.completes(),
            "waits": status.follow.get(&at.address).map(ToString::to_string),
            "read_to": app.engine.followed_to(at).await?,
        }));
    }
    Ok(Json(json!({
        "network": app.network,
        "devnet": app.devnet,
        "version": env!("CARGO_PKG_VERSION"),
        "round": status.round,
        "hold": status.hold,
        "contract_waits": status.contract_waits(),
        "contract_state": status.follow.values().next(),
        "endpoints": endpoints,
        "agree": chain.wanted(),
        "alarms": super::wallet::with_ours(&app, &app.alarms()).await?,
        "now": status.now.map(|now| json!({ "epoch": now.epoch, "time": time(now.unix_seconds) })),
        "contract": settings.contracts.first().map(|contract| contract.address),
        "contracts": contracts,
        "providers": settings.providers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "public_url": settings.public_url,
        "listener": app.listener,
        "breaker": app.engine.store().breaker().await?,
        "default_policy": settings.default_policy,
    })))
}

/// How to come to rest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quiesce {
    /// Plan every holding, whatever touched it.
    #[serde(default)]
    all: bool,
}

/// Runs the loop until nothing changes at this head, then tells when something is due.
pub async fn quiesce<W: World>(
    State(app): State<Arc<App<W>>>,
    Query(quiesce): Query<Quiesce>,
) -> Result<Json<Value>, ApiError> {
    if quiesce.all {
        app.engine.plan_all().await;
    }
    let wake = app.engine.quiesce().await?;
    let status = app.engine.status();
    Ok(Json(json!({
        "network": app.network,
        "next_wake": wake.epoch,
        "on_round": wake.on_round,
        "head": status.round.as_ref().map(|round| round.head),
        "finalized": status.round.as_ref().map(|round| round.height),
        "hold": status.hold,
    })))
}

/// Whose breaker to release; none means the fleet's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    provider: Option<u64>,
}

/// Lets suspects be repaired again, slowly at first.
pub async fn release<W: World>(
    State(app): State<Arc<App<W>>>,
    Query(release): Query<Release>,
) -> Result<Json<Value>, ApiError> {
    let now = app.engine.world().clock().now().await;
    let store = app.engine.store();
    let provider = release.provider.map(ProviderId::new);
    let breaker = raas_core::breaker::release(&store.breaker().await?, provider, now.epoch);
    store.set_breaker(&breaker).await?;
    app.wake.notify_one();
    Ok(Json(json!({ "network": app.network, "breaker": breaker })))
}

/// Whose steps to retry; none means all.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    cid: Option<String>,
}

/// Tries everything that is put off or set aside again now.
pub async fn retry<W: World>(
    State(app): State<Arc<App<W>>>,
    Query(retry): Query<Retry>,
) -> Result<Json<Value>, ApiError> {
    let store = app.engine.store();
    let retried = match retry.cid {
        None => store.retry_now(None).await?,
        Some(cid) => {
            let cid: DataCid = cid.parse().map_err(|error| ApiError::field("cid", format!("{error}")))?;
            let holdings = store.holdings_of_cid(&cid).await?;
            if holdings.is_empty() {
                return Err(ApiError::NotFound(format!("nobody registered {cid}")));
            }
            let mut retried = 0;
            for holding in holdings {
                retried += store.retry_now(Some(holding)).await?;
            }
            retried
        }
    };
    app.wake.notify_one();
    Ok(Json(json!({ "network": app.network, "retried": retried })))
}

/// The process answers.
pub async fn livez() -> &'static str {
    "ok"
}

/// The loop runs and sees the chain.
pub async fn readyz<W: World>(State(app): State<Arc<App<W>>>) -> (StatusCode, Json<Value>) {
    let status = app.engine.status();
    let ready = status.round.is_some() && status.hold.is_none();
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(json!({ "network": app.network, "ready": ready, "hold": status.hold })))
}
