//! Plan and why of one CID: exactly what the rules last decided, with the evidence they decided on.

use super::{incidents, proofs};
use crate::api::App;
use crate::api::caller::Caller;
use crate::api::error::ApiError;
use crate::api::extract::Path;
use crate::api::jobs::{
    DutiesShape, PolicyShape, ShownOrder, Standing, orders as shown_orders, pieces, standing,
};
use crate::store::{StepKind, StoredOrder};
use crate::world::World;
use axum::Json;
use axum::extract::State;
use raas_core::cid::DataCid;
use raas_core::holding::Holding;
use raas_core::ids::HoldingId;
use raas_core::policy::{Duties, Policy};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Attempts shown per holding.
const ATTEMPTS_SHOWN: u32 = 50;

/// What the last round decided for a CID.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Plan")]
pub struct Planned {
    network: String,
    cid: String,
    /// The round it was decided in.
    round: Option<Value>,
    /// Why nothing is started, if so.
    hold: Option<Value>,
    holdings: Vec<PlannedHolding>,
}

/// What was decided for one owner's holding.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PlannedHolding")]
pub struct PlannedHolding {
    holding: u64,
    owner: String,
    standing: Standing,
    /// Providers' troubles that it is part of.
    incidents: Vec<incidents::Concerned>,
    /// Where its pieces lie in the aggregates that its copies are bought in.
    aggregates: Vec<Value>,
    /// What is done now.
    actions: Vec<Value>,
    /// What is waited for, and what wakes it.
    waits: Vec<Value>,
    /// What is put off after a failure.
    delays: Vec<Delay>,
}

/// What the last round decided for each holding of the CID.
pub async fn plan<W: World>(
    State(app): State<Arc<App<W>>>,
    caller: Caller,
    Path(cid): Path<String>,
) -> Result<Json<Planned>, ApiError> {
    let cid = parse(&cid)?;
    let mut parts = Vec::new();
    for holding in holdings(&app, &caller, &cid).await? {
        let orders = app.engine.orders_of_holding(holding.id).await?;
        parts.push(planned(&app, &holding, &orders).await?);
    }
    let status = app.engine.status();
    Ok(Json(Planned {
        network: app.network.clone(),
        cid: cid.to_string(),
        round: status.round.map(|round| json!(round)),
        hold: status.hold.map(|hold| json!(hold)),
        holdings: parts,
    }))
}

async fn planned<W: World>(
    app: &App<W>,
    holding: &Holding,
    orders: &[StoredOrder],
) -> Result<PlannedHolding, ApiError> {
    let plan = app.engine.explain(holding).await?;
    Ok(PlannedHolding {
        holding: holding.id.0,
        owner: holding.owner.0.clone(),
        standing: standing(orders, &pieces(holding), holding.policy.replicas.target),
        incidents: incidents::of_holding(app, orders).await?,
        aggregates: proofs::places(app.engine.store(), holding).await?,
        actions: plan.actions.iter().map(|action| json!(action)).collect(),
        waits: plan.waits.iter().map(|wait| json!(wait)).collect(),
        delays: delays(app, holding.id).await?,
    })
}

/// The plan with everything it rests on.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Why")]
pub struct Explained {
    network: String,
    cid: String,
    round: Option<Value>,
    hold: Option<Value>,
    /// Why events of contracts are not read further, if so.
    contract_waits: Option<String>,
    /// What needs the admin, for an admin.
    alarms: Vec<Value>,
    /// Deals and copies that contracts list for the CID.
    seen_on_contract: Vec<SeenOnContract>,
    holdings: Vec<ExplainedHolding>,
}

/// One owner's holding with its evidence.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ExplainedHolding")]
pub struct ExplainedHolding {
    #[serde(flatten)]
    planned: PlannedHolding,
    #[schemars(with = "DutiesShape")]
    duties: Duties,
    #[schemars(with = "PolicyShape")]
    policy: Policy,
    /// The pieces that hold its data.
    pieces: Vec<Value>,
    orders: Vec<ShownOrder>,
    /// The newest tries of every effect, newest first.
    attempts: Vec<Value>,
}

/// A deal or copy that a contract lists.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SeenOnContract {
    /// The deal's number; text where it is beyond what a JSON number holds everywhere.
    deal: Value,
    #[serde(rename = "storageProvider", skip_serializing_if = "Option::is_none")]
    storage_provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sector: Option<u64>,
    contract: Option<String>,
    request: Option<u64>,
    state: Value,
}

/// The plan with everything it rests on: standing, every order, every attempt, the round, the contract.
pub async fn why<W: World>(
    State(app): State<Arc<App<W>>>,
    caller: Caller,
    Path(cid): Path<String>,
) -> Result<Json<Explained>, ApiError> {
    let cid = parse(&cid)?;
    let store = app.engine.store();
    let status = app.engine.status();
    let mut parts = Vec::new();
    for holding in holdings(&app, &caller, &cid).await? {
        let orders = app.engine.orders_of_holding(holding.id).await?;
        let attempts = store.attempts_of_holding(holding.id, ATTEMPTS_SHOWN).await?;
        parts.push(ExplainedHolding {
            planned: planned(&app, &holding, &orders).await?,
            duties: holding.duties,
            pieces: holding.pieces.iter().map(|slots| json!(slots.piece)).collect(),
            orders: shown_orders(&orders, &pieces(&holding), &store.seen_proposals(holding.id).await?),
            attempts: attempts.iter().map(|attempt| json!(attempt)).collect(),
            policy: holding.policy,
        });
    }
    Ok(Json(Explained {
        network: app.network.clone(),
        contract_waits: status.contract_waits(),
        round: status.round.map(|round| json!(round)),
        hold: status.hold.map(|hold| json!(hold)),
        alarms: super::wallet::told_to(&caller, &app).await?,
        seen_on_contract: seen_on_contract(&app, &cid).await?,
        cid: cid.to_string(),
        holdings: parts,
    }))
}

async fn seen_on_contract<W: World>(app: &App<W>, cid: &DataCid) -> Result<Vec<SeenOnContract>, ApiError> {
    let store = app.engine.store();
    let deals = store.sightings_of_cid(cid).await?;
    let deals = deals.iter().map(|sighting| SeenOnContract {
        deal: json!(sighting.deal),
        storage_provider: None,
        sector: None,
        contract: sighting.of.map(|of| of.contract.to_string()),
        request: sighting.of.map(|of| of.request.0),
        state: json!(sighting.state),
    });
    let told = store.told_of_cid(cid).await?;
    let told = told.iter().map(|told| SeenOnContract {
        // Beyond what a JSON number holds everywhere.
        deal: told.deal.to_string().into(),
        storage_provider: Some(told.provider.to_string()),
        sector: Some(told.sector.0),
        contract: Some(told.of.contract.to_string()),
        request: Some(told.of.request.0),
        state: json!(told.state),
    });
    Ok(deals.chain(told).collect())
}

/// A step that is put off.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Delay {
    /// `deliver`, `send`, `fetch`, `evict` or `probe`.
    step: &'static str,
    order: Option<u64>,
    transaction: Option<u64>,
    /// How often it failed.
    failed: u32,
    why: String,
}

/// What is put off and why: the step, its order or transaction, how often it failed.
async fn delays<W: World>(app: &App<W>, holding: HoldingId) -> Result<Vec<Delay>, ApiError> {
    let delays = app.engine.store().delays_of_holding(holding).await?;
    let shown = delays.into_iter().map(|(step, why)| {
        let (what, order, transaction) = match step.kind {
            StepKind::Deliver { order } => ("deliver", Some(order.0), None),
            StepKind::Send { tx } => ("send", None, Some(tx.0)),
            StepKind::Fetch { .. } => ("fetch", None, None),
            StepKind::Evict { .. } => ("evict", None, None),
            StepKind::Probe { .. } => ("probe", None, None),
        };
        Delay { step: what, order, transaction, failed: step.attempts, why }
    });
    Ok(shown.collect())
}

fn parse(text: &str) -> Result<DataCid, ApiError> {
    text.parse().map_err(|error| ApiError::field("cid", format!("{error}")))
}

async fn holdings<W: World>(app: &App<W>, caller: &Caller, cid: &DataCid) -> Result<Vec<Holding>, ApiError> {
    let mut found = Vec::new();
    for id in app.engine.store().holdings_of_cid(cid).await? {
        let holding = app.engine.store().holding(id).await?;
        found.extend(holding.filter(|holding| caller.sees(&holding.owner)));
    }
    if found.is_empty() {
        return Err(ApiError::NotFound(format!(
            "nobody registered {cid}; `raas job register` or POST /v1/jobs does"
        )));
    }
    Ok(found)
}
