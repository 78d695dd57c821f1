//! Jobs, holdings and deals as the API shows them: every time as epoch, every amount as a string.

use crate::api::App;
use crate::api::error::ApiError;
use crate::store::{Job, SeenProposal, StoredOrder};
use crate::world::World;
use raas_core::cid::Commitment;
use raas_core::health::Health;
use raas_core::holding::Holding;
use raas_core::ids::{HoldingId, OrderId};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A job.
#[must_use]
pub fn job(job: &Job) -> Value {
    json!({
        "id": job.id,
        "holding": job.holding,
        "owner": job.owner,
        "cid": job.cid,
        "duties": job.duties,
        "policy": job.policy,
        "source": job.source,
        "contract": job.request.map(|at| at.contract),
        "request": job.request.map(|at| at.request),
        "unserved": job.unserved,
        "state": job.state,
        "superseded": job.superseded,
        "at": { "epoch": job.at, "time": time(job.at_unix) },
    })
}

/// RFC 3339 of a Unix time; `null` when it is out of range.
#[must_use]
pub fn time(unix_seconds: i64) -> Option<String> {
    jiff::Timestamp::from_second(unix_seconds).ok().map(|time| time.to_string())
}

/// An order with its place and its deal.
#[must_use]
pub fn order(stored: &StoredOrder) -> Value {
    let order = &stored.order;
    let on_chain = order.state.on_chain();
    let signed = order.state.signed();
    let term = on_chain.map(|deal| deal.term).or(signed.map(|signed| signed.term));
    json!({
        "order": order.id,
        "slots": stored.slots.iter().map(|slot| slot.index).collect::<Vec<_>>(),
        "cause": order.cause,
        "state": order.state.name(),
        "health": on_chain.map(|deal| deal.health),
        "dealId": on_chain.and_then(|copy| copy.replica.deal()),
        "sector": on_chain.and_then(|deal| deal.sector),
        "storageProvider": order.provider.to_string(),
        "minerId": order.provider.number(),
        "operator": order.operator.to_string(),
        "pieceCid": order.piece.to_string(),
        "pieceSize": order.size,
        "aggregatePieceCid": order.within.map(|within| within.aggregate.to_string()),
        "startEpoch": term.map(|term| term.start),
        "endEpoch": term.map(|term| term.end),
        "pricePerEpoch": order.price_per_epoch,
        "cost": order.cost(),
        "proposalCid": stored.proposal.as_ref().map(|proposal| proposal.signed.proposal_cid.clone()),
        "plannedAt": order.planned_at,
    })
}

/// Orders, each with the whole proposal of its deal as it was first seen on chain, where one was, and with the number of its
/// part where the data lies in several `pieces`.
#[must_use]
pub fn orders(
    orders: &[StoredOrder],
    pieces: &[Commitment],
    seen: &BTreeMap<OrderId, SeenProposal>,
) -> Vec<Value> {
    let with_proposal = |stored: &StoredOrder| {
        let mut shown = order(stored);
        let part = pieces.iter().position(|piece| *piece == stored.order.piece);
        if let Some(part) = part.filter(|_| pieces.len() > 1) {
            shown["part"] = Value::from(part + 1);
        }
        shown["proposal"] = seen.get(&stored.order.id).map_or(Value::Null, proposal);
        shown
    };
    orders.iter().map(with_proposal).collect()
}

/// A proposal as the market had it.
fn proposal(seen: &SeenProposal) -> Value {
    let deal = &seen.on_chain;
    json!({
        "dealId": seen.deal,
        "seenAt": seen.seen_at,
        "pieceCid": deal.piece.to_string(),
        "pieceSize": deal.size,
        "verifiedDeal": deal.verified,
        "client": format!("f0{}", deal.client),
        "provider": deal.provider.to_string(),
        "label": deal.label,
        "startEpoch": deal.start,
        "endEpoch": deal.end,
        "storagePricePerEpoch": deal.price_per_epoch,
        "providerCollateral": deal.provider_collateral,
        "clientCollateral": deal.client_collateral,
    })
}

/// The deals of a holding, oldest first: what is or was published.
pub async fn deals_of<W: World>(app: &App<W>, holding: HoldingId) -> Result<Vec<Value>, ApiError> {
    let orders = app.engine.orders_of_holding(holding).await?;
    Ok(orders.iter().filter(|stored| stored.order.state.on_chain().is_some()).map(order).collect())
}

/// The pieces that hold the data of a holding together, in order; mostly one.
#[must_use]
pub fn pieces(holding: &Holding) -> Vec<Commitment> {
    holding.pieces.iter().map(|slots| slots.piece.commitment).collect()
}

/// How many copies are proven, in words for a person. Of data in several `pieces` there are as many as of the part with the
/// fewest, and each part is told.
#[must_use]
pub fn standing(orders: &[StoredOrder], pieces: &[Commitment], target: u32) -> Value {
    let orders: Vec<&StoredOrder> = orders.iter().collect();
    let mut whole = counted(&orders);
    if pieces.len() > 1 {
        let parts = pieces.iter().zip(1..).map(|(piece, number)| {
            let of_part = orders.iter().filter(|stored| stored.order.piece == *piece).copied();
            let mut part = counted(&of_part.collect::<Vec<_>>());
            part["part"] = Value::from(number);
            part["pieceCid"] = Value::from(piece.to_string());
            part
        });
        let parts: Vec<Value> = parts.collect();
        whole["proven"] = parts.iter().filter_map(|part| part["proven"].as_u64()).min().into();
        whole["parts"] = parts.into();
    }
    whole["target"] = target.into();
    whole
}

fn counted(orders: &[&StoredOrder]) -> Value {
    let count = |wanted: fn(&Health) -> bool| {
        orders
            .iter()
            .filter_map(|stored| stored.order.state.on_chain())
            .filter(|deal| wanted(&deal.health.health))
            .count()
    };
    json!({
        "proven": count(|health| *health == Health::Proven),
        "pending": count(|health| *health == Health::Pending),
        "suspect": count(|health| *health == Health::Suspect),
        "unknown": count(|health| matches!(health, Health::Unknown(_))),
    })
}
