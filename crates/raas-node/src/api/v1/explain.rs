//! Plan and why of one CID: exactly what the rules last decided, with the evidence they decided on.

use crate::api::App;
use crate::api::error::ApiError;
use crate::api::jobs::{order, standing};
use crate::world::World;
use axum::Json;
use axum::extract::{Path, State};
use raas_core::cid::DataCid;
use raas_core::holding::Holding;
use raas_core::ids::HoldingId;
use raas_core::plan::{Action, Plan};
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
    let stored = app.engine.store().last_plan().await?;
    let holdings = holdings(&app, &cid).await?;
    let parts: Vec<Value> = holdings
        .iter()
        .map(|holding| match &stored {
            Some(stored) => json!({
                "holding": holding.id,
                "owner": holding.owner,
                "actions": actions(&stored.plan, holding),
                "waits": waits(&stored.plan, holding.id),
            }),
            None => json!({ "holding": holding.id, "owner": holding.owner, "actions": [], "waits": [] }),
        })
        .collect();
    Ok(Json(json!({
        "network": app.network,
        "cid": cid,
        "round": stored.map(|stored| stored.round),
        "hold": app.engine.status().hold,
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
    let stored = store.last_plan().await?;
    let status = app.engine.status();
    let mut parts = Vec::new();
    for holding in holdings(&app, &cid).await? {
        let orders = store.orders_of_holding(holding.id).await?;
        let plan = stored.as_ref().map(|stored| &stored.plan);
        parts.push(json!({
            "holding": holding.id,
            "owner": holding.owner,
            "duties": holding.duties,
            "policy": holding.policy,
            "pieces": holding.pieces.iter().map(|slots| slots.piece).collect::<Vec<_>>(),
            "standing": standing(&orders, holding.policy.replicas.target),
            "actions": plan.map(|plan| actions(plan, &holding)),
            "waits": plan.map(|plan| waits(plan, holding.id)),
            "orders": orders.iter().map(order).collect::<Vec<_>>(),
            "attempts": store.attempts_of_holding(holding.id, ATTEMPTS_SHOWN).await?,
        }));
    }
    let sightings: Vec<Value> = store
        .sightings_of_cid(&cid)
        .await?
        .iter()
        .map(
            |sighting| json!({ "deal": sighting.deal, "request": sighting.request, "state": sighting.state }),
        )
        .collect();
    Ok(Json(json!({
        "network": app.network,
        "cid": cid,
        "round": status.round,
        "hold": status.hold,
        "contract_waits": status.follow.as_ref().map(ToString::to_string),
        "alarms": app.alarms(),
        "seen_on_contract": sightings,
        "holdings": parts,
    })))
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
        return Err(ApiError::NotFound(format!("nobody registered {cid}; POST /v1/jobs registers it")));
    }
    Ok(found)
}

fn actions<'a>(plan: &'a Plan, holding: &Holding) -> Vec<&'a Action> {
    plan.actions
        .iter()
        .filter(|action| match action {
            Action::Order { slots, .. } => slots.iter().any(|slot| slot.holding == holding.id),
            Action::Fill { slot, .. } => slot.holding == holding.id,
            Action::Attest { holding: whose, .. }
            | Action::Evict { holding: whose, .. }
            | Action::Cancel { holding: whose, .. } => *whose == holding.id,
        })
        .collect()
}

fn waits(plan: &Plan, holding: HoldingId) -> Vec<&raas_core::plan::Wait> {
    plan.waits.iter().filter(|wait| wait.holding.is_none_or(|whose| whose == holding)).collect()
}
