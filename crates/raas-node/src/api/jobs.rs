//! Jobs, holdings and deals as the API shows them: every time as epoch, every amount as a string.

use crate::api::App;
use crate::api::error::ApiError;
use crate::store::{Job, JobState, SeenProposal, StoredOrder};
use crate::world::World;
use raas_core::cid::Commitment;
use raas_core::health::Health;
use raas_core::holding::Holding;
use raas_core::ids::{HoldingId, OrderId};
use raas_core::policy::{Duties, Policy};
use raas_core::units::AttoFil;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A moment on both clocks.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Moment {
    /// Chain epoch, 30 s each.
    pub epoch: i64,
    /// RFC 3339.
    pub time: Option<String>,
}

/// A job.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Job")]
pub struct ShownJob {
    /// Its number.
    pub id: u64,
    /// The holding it counts for: all jobs of one owner for one CID share it.
    pub holding: u64,
    /// Whose.
    pub owner: String,
    /// Of what.
    pub cid: String,
    /// Which of the three R's are asked for.
    #[schemars(with = "DutiesShape")]
    pub duties: Duties,
    /// How.
    #[schemars(with = "PolicyShape")]
    pub policy: Policy,
    /// From where: the API, an upload, or a request on a contract.
    pub source: Value,
    /// Its contract, where it is registered on one.
    pub contract: Option<String>,
    /// Its request there.
    pub request: Option<u64>,
    /// Why nothing is done for it although it is open, if so.
    pub unserved: Option<Value>,
    /// `open` counts; for a stopped one nothing more is spent.
    #[schemars(with = "String")]
    pub state: JobState,
    /// The rewind after which its request is on no chain any more.
    pub superseded: Option<u64>,
    /// When it was registered.
    pub at: Moment,
}

/// Which of the three R's are asked for.
#[derive(JsonSchema)]
#[schemars(rename = "Duties")]
#[expect(dead_code, reason = "the shape of `Duties`")]
pub struct DutiesShape {
    /// Order copies until the target is reached.
    replicate: bool,
    /// Order a successor before a copy's term ends.
    renew: bool,
    /// Order a successor for a copy that is lost or suspect for too long.
    repair: bool,
}

/// What is wanted for a CID. Durations are in epochs of 30 s.
#[derive(JsonSchema)]
#[schemars(rename = "Policy")]
#[expect(dead_code, reason = "the shape of `Policy`")]
pub struct PolicyShape {
    /// Below `min` proven copies is urgent, `target` is aimed at, `max` is never exceeded.
    replicas: ReplicasShape,
    /// A copy is renewed when no more than this is left of its term.
    renew_before: i64,
    /// A suspect copy is repaired when it has been faulty for this long.
    repair_after: i64,
    /// Term of new deals.
    duration: i64,
    /// From signing to a deal's start epoch.
    start_delay: i64,
    /// From this epoch on nothing is renewed or repaired any more.
    ends_at: Option<i64>,
    /// Where copies may go, and the highest price per GiB and epoch in attoFIL.
    placement: PlacementShape,
    /// The node's own copy: `always`, `never`, or until so many copies are proven.
    keep_local: Value,
}

#[derive(JsonSchema)]
#[schemars(rename = "Replicas")]
#[expect(dead_code, reason = "the shape of `Replicas`")]
struct ReplicasShape {
    min: u32,
    target: u32,
    max: u32,
}

#[derive(JsonSchema)]
#[schemars(rename = "Placement")]
#[expect(dead_code, reason = "the shape of `Placement`")]
struct PlacementShape {
    allow: Vec<u64>,
    deny: Vec<u64>,
    price_max: String,
}

/// A job as it is shown.
#[must_use]
pub fn job(job: &Job) -> ShownJob {
    ShownJob {
        id: job.id.0,
        holding: job.holding.0,
        owner: job.owner.0.clone(),
        cid: job.cid.to_string(),
        duties: job.duties,
        policy: job.policy.clone(),
        source: json!(job.source),
        contract: job.request.map(|at| at.contract.to_string()),
        request: job.request.map(|at| at.request.0),
        unserved: job.unserved.as_ref().map(|unserved| json!(unserved)),
        state: job.state,
        superseded: job.superseded,
        at: Moment { epoch: job.at.0, time: time(job.at_unix) },
    }
}

/// RFC 3339 of a Unix time; `null` when it is out of range.
#[must_use]
pub fn time(unix_seconds: i64) -> Option<String> {
    jiff::Timestamp::from_second(unix_seconds).ok().map(|time| time.to_string())
}

/// An order with its place and its deal.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Order")]
pub struct ShownOrder {
    /// Its number.
    pub order: u64,
    /// The slots that it fills; none when it is a spare.
    pub slots: Vec<u32>,
    /// The part of the data that it holds, where that lies in several pieces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<u32>,
    /// Why it was made.
    pub cause: Value,
    /// Where it is in its life: `planned`, `signed`, `delivered`, `accepted`, `published`, `active`, …
    pub state: String,
    /// How its copy is, once it is on chain.
    pub health: Option<Value>,
    /// Its deal at the market.
    pub deal_id: Option<u64>,
    /// The sector that holds it.
    pub sector: Option<u64>,
    /// `f0…` of the provider.
    pub storage_provider: String,
    /// The provider's number.
    pub miner_id: u64,
    /// `f0…` of who runs the provider.
    pub operator: String,
    /// Piece CID of what is stored.
    pub piece_cid: String,
    /// Padded bytes of the piece.
    pub piece_size: u64,
    /// The aggregate that holds the piece, where it is in one.
    pub aggregate_piece_cid: Option<String>,
    /// First epoch of its term.
    pub start_epoch: Option<i64>,
    /// Last epoch of its term.
    pub end_epoch: Option<i64>,
    /// attoFIL.
    #[schemars(with = "String")]
    pub price_per_epoch: AttoFil,
    /// attoFIL for the whole term.
    #[schemars(with = "String")]
    pub cost: AttoFil,
    /// CID of the signed proposal.
    pub proposal_cid: Option<String>,
    /// Epoch at which it was planned.
    pub planned_at: i64,
    /// The whole proposal as the market had it when it was first seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Option<Proposal>>,
}

/// An order as it is shown.
#[must_use]
pub fn order(stored: &StoredOrder) -> ShownOrder {
    let order = &stored.order;
    let on_chain = order.state.on_chain();
    let signed = order.state.signed();
    let term = on_chain.map(|deal| deal.term).or(signed.map(|signed| signed.term));
    ShownOrder {
        order: order.id.0,
        slots: stored.slots.iter().map(|slot| slot.index).collect(),
        part: None,
        cause: json!(order.cause),
        state: order.state.name().to_owned(),
        health: on_chain.map(|deal| json!(deal.health)),
        deal_id: on_chain.and_then(|copy| copy.replica.deal()).map(|deal| deal.0),
        sector: on_chain.and_then(|deal| deal.sector).map(|sector| sector.0),
        storage_provider: order.provider.to_string(),
        miner_id: order.provider.number(),
        operator: order.operator.to_string(),
        piece_cid: order.piece.to_string(),
        piece_size: order.size.get(),
        aggregate_piece_cid: order.within.map(|within| within.aggregate.to_string()),
        start_epoch: term.map(|term| term.start.0),
        end_epoch: term.map(|term| term.end.0),
        price_per_epoch: order.price_per_epoch,
        cost: order.cost(),
        proposal_cid: stored.proposal.as_ref().map(|proposal| proposal.signed.proposal_cid.clone()),
        planned_at: order.planned_at.0,
        proposal: None,
    }
}

/// Orders, each with the whole proposal of its deal as it was first seen on chain, where one was, and with the number of its
/// part where the data lies in several `pieces`.
#[must_use]
pub fn orders(
    orders: &[StoredOrder],
    pieces: &[Commitment],
    seen: &BTreeMap<OrderId, SeenProposal>,
) -> Vec<ShownOrder> {
    let with_proposal = |stored: &StoredOrder| {
        let part = (1..).zip(pieces).find(|(_, piece)| **piece == stored.order.piece);
        ShownOrder {
            part: part.map(|(number, _)| number).filter(|_| pieces.len() > 1),
            proposal: Some(seen.get(&stored.order.id).map(proposal)),
            ..order(stored)
        }
    };
    orders.iter().map(with_proposal).collect()
}

/// A proposal as the market had it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Proposal {
    deal_id: u64,
    /// Epoch at which it was first seen.
    seen_at: i64,
    piece_cid: String,
    piece_size: u64,
    verified_deal: bool,
    client: String,
    provider: String,
    label: Value,
    start_epoch: i64,
    end_epoch: i64,
    #[schemars(with = "String")]
    storage_price_per_epoch: AttoFil,
    #[schemars(with = "String")]
    provider_collateral: AttoFil,
    #[schemars(with = "String")]
    client_collateral: AttoFil,
}

fn proposal(seen: &SeenProposal) -> Proposal {
    let deal = &seen.on_chain;
    Proposal {
        deal_id: seen.deal.0,
        seen_at: seen.seen_at.0,
        piece_cid: deal.piece.to_string(),
        piece_size: deal.size.get(),
        verified_deal: deal.verified,
        client: format!("f0{}", deal.client),
        provider: deal.provider.to_string(),
        label: json!(deal.label),
        start_epoch: deal.start.0,
        end_epoch: deal.end.0,
        storage_price_per_epoch: deal.price_per_epoch,
        provider_collateral: deal.provider_collateral,
        client_collateral: deal.client_collateral,
    }
}

/// The deals of a holding, oldest first: what is or was published.
pub async fn deals_of<W: World>(app: &App<W>, holding: HoldingId) -> Result<Vec<ShownOrder>, ApiError> {
    let orders = app.engine.orders_of_holding(holding).await?;
    Ok(orders.iter().filter(|stored| stored.order.state.on_chain().is_some()).map(order).collect())
}

/// The pieces that hold the data of a holding together, in order; mostly one.
#[must_use]
pub fn pieces(holding: &Holding) -> Vec<Commitment> {
    holding.pieces.iter().map(|slots| slots.piece.commitment).collect()
}

/// How many copies there are.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct Copies {
    /// Proven on chain.
    pub proven: u64,
    /// Published, not active yet.
    pub pending: u64,
    /// Faulty.
    pub suspect: u64,
    /// Out of sight.
    pub unknown: u64,
}

/// How many copies there are of the data, and how many are wanted.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Standing {
    /// Of data in several parts, as many are proven as of the part with the fewest.
    #[serde(flatten)]
    pub copies: Copies,
    /// Copies wanted.
    pub target: u32,
    /// Each part, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts: Option<Vec<PartStanding>>,
}

/// How many copies there are of one part.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PartStanding {
    /// Its number, from 1.
    pub part: u32,
    /// Its piece.
    #[serde(rename = "pieceCid")]
    pub piece_cid: String,
    /// Its copies.
    #[serde(flatten)]
    pub copies: Copies,
}

/// How many copies are proven, in words for a person. Of data in several `pieces` there are as many as of the part with the
/// fewest, and each part is told.
#[must_use]
pub fn standing(orders: &[StoredOrder], pieces: &[Commitment], target: u32) -> Standing {
    let orders: Vec<&StoredOrder> = orders.iter().collect();
    let mut copies = counted(&orders);
    let mut parts = None;
    if pieces.len() > 1 {
        let of_parts = pieces.iter().zip(1..).map(|(piece, part)| {
            let of_part = orders.iter().filter(|stored| stored.order.piece == *piece).copied();
            let copies = counted(&of_part.collect::<Vec<_>>());
            PartStanding { part, piece_cid: piece.to_string(), copies }
        });
        let of_parts: Vec<PartStanding> = of_parts.collect();
        copies.proven = of_parts.iter().map(|part| part.copies.proven).min().unwrap_or_default();
        parts = Some(of_parts);
    }
    Standing { copies, target, parts }
}

fn counted(orders: &[&StoredOrder]) -> Copies {
    let count = |wanted: fn(&Health) -> bool| {
        let on_chain = orders.iter().filter_map(|stored| stored.order.state.on_chain());
        on_chain.filter(|deal| wanted(&deal.health.health)).count() as u64
    };
    Copies {
        proven: count(|health| *health == Health::Proven),
        pending: count(|health| *health == Health::Pending),
        suspect: count(|health| *health == Health::Suspect),
        unknown: count(|health| matches!(health, Health::Unknown(_))),
    }
}
