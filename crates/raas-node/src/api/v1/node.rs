//! The node itself: what it is, whether it is well, when it wakes, and the breaker's release.

use crate::api::App;
use crate::api::caller::Caller;
use crate::api::error::ApiError;
use crate::api::extract::Query;
use crate::api::jobs::{Moment, PolicyShape, time};
use crate::world::World;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use raas_core::cid::DataCid;
use raas_core::endpoint::{EndpointSeen, Standing};
use raas_core::ids::ProviderId;
use raas_core::policy::Policy;
use raas_core::ports::{Chain, Clock};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

/// What this node is and what it last saw.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Node")]
pub struct Shown {
    network: String,
    /// Whether nothing on it has value.
    devnet: bool,
    version: &'static str,
    /// The last round: the tipset that everything was looked at in.
    round: Option<Value>,
    /// Why nothing is started, if so.
    hold: Option<Value>,
    contract_waits: Option<String>,
    contract_state: Option<Value>,
    /// Each endpoint as it was last seen, for an admin.
    endpoints: Vec<Value>,
    /// How many endpoints must agree.
    agree: Value,
    /// What needs the admin, for an admin.
    alarms: Vec<Value>,
    now: Option<Moment>,
    /// The contract that jobs are registered on.
    contract: Option<String>,
    contracts: Vec<Followed>,
    /// Providers in use.
    providers: Vec<String>,
    /// Where providers fetch pieces.
    public_url: String,
    /// How the data listener names itself since this start.
    listener: String,
    /// The storm breaker.
    breaker: Value,
    #[schemars(with = "PolicyShape")]
    default_policy: Policy,
}

/// A contract that is followed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Followed {
    address: String,
    abi: &'static str,
    from_block: Value,
    completes: Value,
    /// Why its events are not read further, if so.
    waits: Option<String>,
    /// The last block up to which they were read.
    read_to: Option<i64>,
}

/// What this node is and what it last saw.
pub async fn node<W: World>(State(app): State<Arc<App<W>>>, caller: Caller) -> Result<Json<Shown>, ApiError> {
    let status = app.engine.status();
    let settings = app.engine.settings();
    let chain = app.engine.world().chain();
    let endpoints = chain.endpoints();
    let mut contracts = Vec::with_capacity(settings.contracts.len());
    for at in &settings.contracts {
        contracts.push(Followed {
            address: at.address.to_string(),
            abi: at.abi.name(),
            from_block: json!(at.from_block),
            completes: json!(at.completes()),
            waits: status.follow.get(&at.address).map(ToString::to_string),
            read_to: app.engine.followed_to(at).await?.map(|block| block.0),
        });
    }
    Ok(Json(Shown {
        network: app.network.clone(),
        devnet: app.devnet,
        version: env!("CARGO_PKG_VERSION"),
        contract_waits: status.contract_waits(),
        contract_state: status.follow.values().next().map(|stuck| json!(stuck)),
        endpoints: match caller.only() {
            None => endpoints.iter().map(|endpoint| json!(endpoint)).collect(),
            Some(_) => Vec::new(),
        },
        agree: json!(chain.wanted()),
        alarms: super::wallet::told_to(&caller, &app).await?,
        now: status.now.map(|now| Moment { epoch: now.epoch.0, time: time(now.unix_seconds) }),
        round: status.round.map(|round| json!(round)),
        hold: status.hold.map(|hold| json!(hold)),
        contract: settings.contracts.first().map(|contract| contract.address.to_string()),
        contracts,
        providers: settings.providers.iter().map(ToString::to_string).collect(),
        public_url: settings.public_url.clone(),
        listener: app.listener.clone(),
        breaker: json!(app.engine.store().breaker().await?),
        default_policy: settings.default_policy.clone(),
    }))
}

/// How to come to rest.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quiesce {
    /// Plan every holding, whatever touched it.
    #[serde(default)]
    all: bool,
}

/// A node at rest.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AtRest {
    network: String,
    /// The epoch at which something is due next; `null` where only an event can wake it.
    next_wake: Option<i64>,
    /// Whether something waits for the next round.
    on_round: bool,
    head: Option<i64>,
    finalized: Option<i64>,
    hold: Option<Value>,
}

/// Runs the loop until nothing changes at this head, then tells when something is due.
pub async fn quiesce<W: World>(
    State(app): State<Arc<App<W>>>,
    Query(quiesce): Query<Quiesce>,
) -> Result<Json<AtRest>, ApiError> {
    if quiesce.all {
        app.engine.plan_all().await;
    }
    let wake = app.engine.quiesce().await?;
    let status = app.engine.status();
    Ok(Json(AtRest {
        network: app.network.clone(),
        next_wake: wake.epoch.map(|epoch| epoch.0),
        on_round: wake.on_round,
        head: status.round.as_ref().map(|round| round.head.0),
        finalized: status.round.as_ref().map(|round| round.height.0),
        hold: status.hold.map(|hold| json!(hold)),
    }))
}

/// Whose breaker to release; none means the fleet's.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Number of a provider; without it the fleet's breaker is released.
    provider: Option<u64>,
}

/// The breaker after its release.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Released {
    network: String,
    breaker: Value,
}

/// Lets suspects be repaired again, slowly at first.
pub async fn release<W: World>(
    State(app): State<Arc<App<W>>>,
    Query(release): Query<Release>,
) -> Result<Json<Released>, ApiError> {
    let now = app.engine.world().clock().now().await;
    let store = app.engine.store();
    let provider = release.provider.map(ProviderId::new);
    let breaker = raas_core::breaker::release(&store.breaker().await?, provider, now.epoch);
    store.set_breaker(&breaker).await?;
    app.wake.notify_one();
    Ok(Json(Released { network: app.network.clone(), breaker: json!(breaker) }))
}

/// Whose steps to retry; none means all.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Only steps for this CID.
    cid: Option<String>,
}

/// How many steps are tried again.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Retried {
    network: String,
    retried: u64,
}

/// Tries everything that is put off or set aside again now.
pub async fn retry<W: World>(
    State(app): State<Arc<App<W>>>,
    Query(retry): Query<Retry>,
) -> Result<Json<Retried>, ApiError> {
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
    Ok(Json(Retried { network: app.network.clone(), retried }))
}

/// The process answers.
pub async fn livez() -> &'static str {
    "ok"
}

/// Whether the node can do its work.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Readiness {
    network: String,
    ready: bool,
    /// Why nothing is started, if so.
    hold: Option<Value>,
    /// Each check, where they are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Vec<Check>>,
}

/// One thing that was looked at.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ReadinessCheck")]
pub struct Check {
    /// What was looked at: `store`, `chain`, `gate`, `endpoints`, `contracts`, `disk`.
    check: &'static str,
    ok: bool,
    /// Whether the node is ready only with it.
    required: bool,
    /// What is wrong, if anything.
    why: Option<String>,
}

/// How much to tell.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verbose {
    /// Tell each check: `?verbose`.
    verbose: Option<String>,
}

/// The store answers, the loop runs and sees the chain. A chain that is away is no reason to end the process: `/livez`
/// heeds none of this.
pub async fn readyz<W: World>(
    State(app): State<Arc<App<W>>>,
    Query(Verbose { verbose }): Query<Verbose>,
) -> (StatusCode, Json<Readiness>) {
    let hold = app.engine.status().hold;
    let checks = checks(&app).await;
    let ready = checks.iter().all(|check| check.ok || !check.required);
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let readiness = Readiness {
        network: app.network.clone(),
        ready,
        hold: hold.map(|hold| json!(hold)),
        checks: verbose.map(|_| checks),
    };
    (code, Json(readiness))
}

async fn checks<W: World>(app: &App<W>) -> Vec<Check> {
    let status = app.engine.status();
    let good = |seen: &EndpointSeen| seen.standing == Standing::Good;
    let none_good = !app.engine.world().chain().endpoints().iter().any(good);
    let room = app.pieces.room();
    let disk = match room.free_bytes() {
        Ok(free) if free > room.reserve_bytes() => None,
        Ok(free) => Some(format!("{free} bytes are free, {} are to stay so", room.reserve_bytes())),
        Err(_) => Some("the free space cannot be told".to_owned()),
    };
    let store = app.engine.store().has_keys().await.err();
    let looked = [
        ("store", true, store.map(|_| "it does not answer; the log says why".to_owned())),
        ("chain", true, status.round.is_none().then(|| "no round was seen yet".to_owned())),
        ("gate", true, status.hold.map(|hold| hold.to_string())),
        ("endpoints", false, none_good.then(|| "none answers and keeps up".to_owned())),
        ("contracts", false, status.contract_waits()),
        ("disk", false, disk),
    ];
    looked.map(|(check, required, why)| Check { check, ok: why.is_none(), required, why }).into()
}
