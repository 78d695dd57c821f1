//! Incidents: one for one provider's trouble, however many replicas it concerns, and which of them a holding is part of.

use crate::api::App;
use crate::api::error::ApiError;
use crate::api::extract::Path;
use crate::store::{Incident, StoredOrder, TroubleKind};
use crate::world::World;
use axum::Json;
use axum::extract::State;
use raas_core::health::{Health, LossReason};
use raas_core::ids::{OrderId, ProviderId};
use raas_core::order::OrderState;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Incidents shown.
const INCIDENTS_SHOWN: u32 = 1_000;
/// CIDs shown of one.
const CIDS_SHOWN: u32 = 100;

/// Providers' troubles.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "IncidentList")]
pub struct All {
    network: String,
    incidents: Vec<Incident>,
}

/// Providers' troubles, open ones first.
pub async fn list<W: World>(State(app): State<Arc<App<W>>>) -> Result<Json<All>, ApiError> {
    let incidents = app.engine.store().incidents(INCIDENTS_SHOWN).await?;
    Ok(Json(All { network: app.network.clone(), incidents }))
}

/// One trouble.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "IncidentShown")]
pub struct One {
    network: String,
    incident: Incident,
    /// Since when the breaker holds the provider's suspects, if it does.
    breaker: Option<Value>,
    /// The first CIDs that it concerns now; `null` where they are not kept.
    cids: Option<Vec<String>>,
    cids_shown_at_most: u32,
}

/// An incident that copies of a holding are part of.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Concerned {
    incident: Incident,
    /// The copies' orders.
    orders: Vec<u64>,
}

/// One of them, whether the breaker holds its provider's suspects, and the first CIDs that it concerns now. Of a loss
/// those are not kept: each of them is repaired, and its plan says so.
pub async fn show<W: World>(
    State(app): State<Arc<App<W>>>,
    Path(id): Path<String>,
) -> Result<Json<One>, ApiError> {
    let store = app.engine.store();
    let number = id.parse().map_err(|_| ApiError::field("id", format!("{id:?} is no incident's number")))?;
    let incident = store.incident(number).await?;
    let incident = incident.ok_or_else(|| {
        ApiError::NotFound(format!("there is no incident {number}; GET /v1/incidents lists them"))
    })?;
    let is_open = incident.closed_at.is_none();
    let cids = match incident.kind {
        TroubleKind::Lost => None,
        _ if !is_open => None,
        kind => Some(store.cids_at(incident.provider, kind == TroubleKind::Faulty, CIDS_SHOWN).await?),
    };
    let breaker = store.breaker().await?;
    Ok(Json(One {
        network: app.network.clone(),
        breaker: breaker.providers.get(&incident.provider).map(|trip| json!(trip)),
        incident,
        cids: cids.map(|cids| cids.iter().map(ToString::to_string).collect()),
        cids_shown_at_most: CIDS_SHOWN,
    }))
}

/// The incidents that copies of a holding are part of, each with those copies' orders.
pub(super) async fn of_holding<W: World>(
    app: &App<W>,
    orders: &[StoredOrder],
) -> Result<Vec<Concerned>, ApiError> {
    let mut part: BTreeMap<ProviderId, Vec<(TroubleKind, OrderId)>> = BTreeMap::new();
    for (provider, kind, order) in troubled(orders) {
        part.entry(provider).or_default().push((kind, order));
    }
    let mut shown = Vec::new();
    for (provider, of) in part {
        let incidents: Vec<Incident> = app.engine.store().incidents_of(provider).await?;
        for incident in incidents {
            let orders: Vec<u64> =
                of.iter().filter(|(kind, _)| *kind == incident.kind).map(|(_, order)| order.0).collect();
            if !orders.is_empty() {
                shown.push(Concerned { incident, orders });
            }
        }
    }
    Ok(shown)
}

/// Copies that are in trouble: a lost one for as long as nothing proven stands in one of its places.
fn troubled(orders: &[StoredOrder]) -> Vec<(ProviderId, TroubleKind, OrderId)> {
    let is_proven = |stored: &&StoredOrder| match &stored.order.state {
        OrderState::Active(on_chain) => on_chain.health.health == Health::Proven,
        _ => false,
    };
    let kept: BTreeSet<_> = orders
        .iter()
        .filter(is_proven)
        .flat_map(|stored| stored.slots.iter().map(|slot| (slot.holding, stored.order.piece, slot.index)))
        .collect();
    let kind_of = |stored: &StoredOrder| match &stored.order.state {
        OrderState::Active(on_chain) => match on_chain.health.health {
            Health::Suspect => Some(TroubleKind::Faulty),
            Health::Unknown(_) => Some(TroubleKind::Unseen),
            _ => None,
        },
        OrderState::Lost { reason: LossReason::Terminated, .. } => {
            let place = |slot: &raas_core::order::SlotRef| (slot.holding, stored.order.piece, slot.index);
            stored.slots.iter().any(|slot| !kept.contains(&place(slot))).then_some(TroubleKind::Lost)
        }
        _ => None,
    };
    orders
        .iter()
        .filter_map(|stored| Some((stored.order.provider, kind_of(stored)?, stored.order.id)))
        .collect()
}
