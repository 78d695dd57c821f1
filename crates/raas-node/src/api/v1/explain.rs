//! Plan and why of one CID: exactly what the rules last decided, with the evidence they decided on.

use super::{incidents, proofs};
use crate::api::App;
use crate::api::error::ApiError;
use crate::api::extract::Path;
use crate::api::jobs::{orders as orders_json, pieces, standing};
use crate::store::StepKind;
use crate::world::World;
use axum::Json;
use axum::extract::State;
use raas_core::cid::DataCid;
use raas_core::holding::Holding;
use raas_core::ids::HoldingId;
use serde_json::{Value, json};
use std::sync::Arc;

/// Attempts shown per holding.
const ATTEMPTS_SHOWN: u32 = 50;

/// What the last round decided for each holding of the CID.
pub async fn plan<W: World>(
    State(app): State<Arc<App<W>>>,
    Path(cid): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let cid = parse(&cid)?;
    let mut parts = Vec::new();
    for holding in holdings(&app, &cid).await? {
        let plan = app.engine.explain(&holding).await?;
        let orders = app.engine.orders_of_holding(holding.id).await?;
        parts.push(json!({
            "holding": holding.id,
            "owner": holding.owner,
            "standing": standing(&orders, &pieces(&holding), holding.policy.replicas.target),
            "incidents": incidents::of_holding(&app, &orders).await?,
            "aggregates": proofs::places(app.engine.store(), &holding).await?,
            "actions": plan.actions,
            "waits": plan.waits,
            "delays": delays(&app, holding.id).await?,
        }));
    }
    let status = app.engine.status();
    Ok(Json(json!({
        "network": app.network,
        "cid": cid,
        "round": status.round,
        "hold": status.hold,
        "holdings": parts,
    })))
}

/// The plan with everything it rests on: standing, every order, every attempt, the round, the contract.
pub async fn why<W: World>(
    State(app): State<Arc<App<W>>>,
    Path(cid): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let cid = parse(&cid)?;
    let store = app.engine.store();
    let status = app.engine.status();
    let mut parts = Vec::new();
    for holding in holdings(&app, &cid).await? {
        let orders = app.engine.orders_of_holding(holding.id).await?;
        let plan = app.engine.explain(&holding).await?;
        parts.push(json!({
            "holding": holding.id,
            "owner": holding.owner,
            "duties": holding.duties,
            "policy": holding.policy,
            "pieces": holding.pieces.iter().map(|slots| slots.piece).collect::<Vec<_>>(),
            "standing": standing(&orders, &pieces(&holding), holding.policy.replicas.target),
            "incidents": incidents::of_holding(&app, &orders).await?,
            "aggregates": proofs::places(app.engine.store(), &holding).await?,
            "actions": plan.actions,
            "waits": plan.waits,
            "delays": delays(&app, holding.id).await?,
            "orders": orders_json(&orders, &pieces(&holding), &store.seen_proposals(holding.id).await?),
            "attempts": store.attempts_of_holding(holding.id, ATTEMPTS_SHOWN).await?,
        }));
    }
    let deals = store.sightings_of_cid(&cid).await?;
    let deals = deals.iter().map(|sighting| {
        json!({
            "deal": sighting.deal,
            "contract": sighting.of.map(|of| of.contract),
            "request": sighting.of.map(|of| of.request),
            "state": sighting.state,
        })
    });
    let told = store.told_of_cid(&cid).await?;
    let told = told.iter().map(|told| {
        json!({
            // Beyond what a JSON number holds everywhere.
            "deal": told.deal.to_string(),
            "storageProvider": told.provider.to_string(),
            "sector": told.sector,
            "contract": told.of.contract,
            "request": told.of.request,
            "state": told.state,
        })
    });
    let sightings: Vec<Value> = deals.chain(told).collect();
    Ok(Json(json!({
        "network": app.network,
        "cid": cid,
        "round": status.round,
        "hold": status.hold,
        "contract_waits": status.contract_waits(),
        "alarms": super::wallet::with_ours(&app, &app.alarms()).await?,
        "seen_on_contract": sightings,
        "holdings": parts,
    })))
}

/// What is put off and why: the step, its order or transaction, how often it failed.
async fn delays<W: World>(app: &App<W>, holding: HoldingId) -> Result<Vec<Value>, ApiError> {
    let delays = app.engine.store().delays_of_holding(holding).await?;
    let shown = delays.into_iter().map(|(step, why)| {
        let (what, order, tx) = match step.kind {
            StepKind::Deliver { order } => ("deliver", Some(order), None),
            StepKind::Send { tx } => ("send", None, Some(tx)),
            StepKind::Fetch { .. } => ("fetch", None, None),
            StepKind::Evict { .. } => ("evict", None, None),
            StepKind::Probe { .. } => ("probe", None, None),
        };
        json!({ "step": what, "order": order, "transaction": tx, "failed": step.attempts, "why": why })
    });
    Ok(shown.collect())
}

fn parse(text: &str) -> Result<DataCid, ApiError> {
    text.parse().map_err(|error| ApiError::field("cid", format!("{error}")))
}

async fn holdings<W: World>(app: &App<W>, cid: &DataCid) -> Result<Vec<Holding>, ApiError> {
    let mut found = Vec::new();
    for id in app.engine.store().holdings_of_cid(cid).await? {
        found.extend(app.engine.store().holding(id).await?);
    }
    if found.is_empty() {
        return Err(ApiError::NotFound(format!(
            "nobody registered {cid}; `raas job register` or POST /v1/jobs does"
        )));
    }
    Ok(found)
}
