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
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Incidents shown.
const INCIDENTS_SHOWN: u32 = 1_000;
/// CIDs shown of one.
const CIDS_SHOWN: u32 = 100;

/// Providers' troubles, open ones first.
pub async fn list<W: World>(State(app): State<Arc<App<W>>>) -> Result<Json<Value>, ApiError> {
    let incidents = app.engine.store().incidents(INCIDENTS_SHOWN).await?;
    Ok(Json(json!({ "network": app.network, "incidents": incidents })))
}

/// One of them, whether the breaker holds its provider's suspects, and the first CIDs that it concerns now. Of a loss
/// those are not kept: each of them is repaired, and its plan says so.
pub async fn show<W: World>(
    State(app): State<Arc<App<W>>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
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
    Ok(Json(json!({
        "network": app.network,
        "incident": incident,
        "breaker": breaker.providers.get(&incident.provider),
        "cids": cids,
        "cids_shown_at_most": CIDS_SHOWN,
    })))
}

/// The incidents that copies of a holding are part of, each with those copies' orders.
pub(super) async fn of_holding<W: World>(
    app: &App<W>,
    orders: &[StoredOrder],
) -> Result<Vec<Value>, ApiError> {
    let mut part: BTreeMap<ProviderId, Vec<(TroubleKind, OrderId)>> = BTreeMap::new();
    for (provider, kind, order) in troubled(orders) {
        part.entry(provider).or_default().push((kind, order));
    }
    let mut shown = Vec::new();
    for (provider, of) in part {
        let incidents: Vec<Incident> = app.engine.store().incidents_of(provider).await?;
        for incident in incidents {
            let orders: Vec<OrderId> =
                of.iter().filter(|(kind, _)| *kind == incident.kind).map(|(_, order)| *order).collect();
            if !orders.is_empty() {
                shown.push(json!({ "incident": incident, "orders": orders }));
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
