//! Intents: what a plan decided, checked once more against the store and written before any effect.
//!
//! The plan was made from a snapshot. Between snapshot and commit a deal may have been found, a job stopped,
//! money spent: whatever does not hold any more is refused, and the next plan decides again.

use raas_core::cid::Commitment;
use raas_core::holding::Completes;
use raas_core::ids::{DealId, HoldingId, OrderId, RequestAt};
use raas_core::machine::order::{self, Event};
use raas_core::order::{Cause, Order, OrderState, SlotRef};
use raas_core::plan::{Action, Reason};
use raas_core::ports::TxIntent;
use raas_core::spend::{DAY, Limits, Spending};
use raas_core::units::{AttoFil, Epoch};
use sqlx::{Connection, Row, SqliteConnection};
use std::collections::{BTreeMap, BTreeSet};

use super::budget::Ledger;
use super::error::Error;
use super::events::{Happened, log};
use super::open::Store;
use super::orders::{decode_order, order_columns};
use super::schema::{ORDER_STATE, deal_int, int};
use super::types::{Committed, Refusal, StepKind};
use super::{deployments, holdings, orders, packing, places, steps, told, txs};

/// Old and successor: a place never holds more replicas.
const LIVE_GENERATIONS_MAX: i64 = 2;

/// What is the same for all actions of one commit.
struct Commit {
    at: Epoch,
    at_unix: i64,
    /// What is left for further orders of this commit.
    available: AttoFil,
    limits: Limits,
    spent: Ledger,
}

impl Store {
    /// Commits a plan's actions in their order, each with its step, in one transaction; what became of each,
    /// in the same order. `spending` is what new orders may cost together, and the limits that are checked here
    /// against everything stored.
    pub async fn commit_intents(
        &self,
        actions: &[Action],
        at: Epoch,
        at_unix: i64,
        spending: impl Into<Spending>,
    ) -> Result<Vec<Committed>, Error> {
        let mut tx = self.write().await?;
        let Spending { available, limits } = spending.into();
        let spent = Ledger::new(limits, at.before(DAY));
        let mut commit = Commit { at, at_unix, available, limits, spent };
        let mut results = Vec::with_capacity(actions.len());
        for action in actions {
            results.push(commit.one(&mut tx, action).await?);
        }
        tx.commit().await?;
        Ok(results)
    }
}

impl Commit {
    async fn one(&mut self, connection: &mut SqliteConnection, action: &Action) -> Result<Committed, Error> {
        match action {
            Action::Order { .. } => {
                // A refusal leaves nothing of what making room for the order has changed.
                let mut savepoint = connection.begin().await?;
                let done = self.order(&mut savepoint, action).await?;
                match done {
                    Committed::Ordered(_) => savepoint.commit().await?,
                    _ => savepoint.rollback().await?,
                }
                Ok(done)
            }
            Action::Pack { size, members } => packing::pack(connection, *size, members, self.at).await,
            Action::Fill { slot, spare } => self.fill(connection, *slot, *spare).await,
            Action::Attest { holding, at, order, deal } => {
                self.attest(connection, *holding, *at, *order, *deal).await
            }
            Action::Evict { holding, piece, reason } => {
                self.evict(connection, *holding, *piece, reason).await
            }
            Action::Cancel { order, .. } => cancel(connection, *order).await,
        }
    }

    async fn order(
        &mut self,
        connection: &mut SqliteConnection,
        action: &Action,
    ) -> Result<Committed, Error> {
        let Action::Order {
            slots,
            pieces,
            cause,
            piece,
            size,
            within,
            provider,
            operator,
            price_per_epoch,
            duration,
            start_delay: _,
            reason,
            priority,
        } = action
        else {
            return Ok(Committed::Refused(Refusal::Changed));
        };
        let mut order = Order {
            id: OrderId(0),
            piece: *piece,
            size: *size,
            within: *within,
            provider: *provider,
            operator: *operator,
            cause: *cause,
            price_per_epoch: *price_per_epoch,
            duration: *duration,
            planned_at: self.at,
            state: OrderState::Planned,
        };
        let Some(first) = slots.first() else { return Ok(Committed::Refused(Refusal::Changed)) };
        if let Cause::Hedge { silent, .. } = cause
            && !stand_aside(connection, *silent).await?
        {
            return Ok(Committed::Refused(Refusal::Changed));
        }
        let of_place = |(at, slot): (usize, &SlotRef)| (*slot, pieces.get(at).copied().unwrap_or(*piece));
        let filled: Vec<(SlotRef, Commitment)> = slots.iter().enumerate().map(of_place).collect();
        if let Some(refusal) = refuse_order(connection, &filled, !pieces.is_empty(), &order).await? {
            return Ok(Committed::Refused(refusal));
        }
        let cost = order.cost();
        let spent = self.spent.spent(connection, first.holding).await?;
        let (limit, available) = self.limits.tightest(&spent, self.available);
        if cost > available {
            return Ok(Committed::Refused(Refusal::Budget { needed: cost, available, limit }));
        }
        self.available = self.available.minus(cost);
        self.spent.add(connection, first.holding, cost).await?;
        order.id = orders::insert(connection, first.holding, &order).await?;
        for (slot, piece) in filled {
            places::enter(connection, order.id, slot, piece, &order.state).await?;
        }
        steps::plan(connection, &StepKind::Deliver { order: order.id }, self.at_unix).await?;
        let planned = Happened::OrderPlanned {
            order: order.id,
            slots: slots.clone(),
            provider: *provider,
            cause: *cause,
            reason: reason.clone(),
            priority: *priority,
            cost,
        };
        log(connection, Some(first.holding), Some(self.at), &planned).await?;
        Ok(Committed::Ordered(order.id))
    }

    async fn fill(
        &self,
        connection: &mut SqliteConnection,
        slot: SlotRef,
        spare: OrderId,
    ) -> Result<Committed, Error> {
        let row = sqlx::query(concat!(
            "SELECT ",
            order_columns!("COALESCE(hp.piece, o.piece)", "COALESCE(p.size, o.size)"),
            " FROM orders o LEFT JOIN holding_piece hp ON hp.holding = $2 AND hp.aggregate = o.within
             LEFT JOIN piece p ON p.commitment = hp.piece
             WHERE o.id = $1 AND (o.holding = $2 OR hp.piece IS NOT NULL) AND o.closed = 0"
        ))
        .bind(int("order", spare.0)?)
        .bind(int("holding", slot.holding.0)?)
        .fetch_optional(&mut *connection)
        .await?;
        let Some(order) = row.as_ref().map(decode_order).transpose()? else {
            return Ok(Committed::Refused(Refusal::Changed));
        };
        let places = places::of_order(connection, spare).await?;
        if places.contains(&slot) {
            return Ok(Committed::Refused(Refusal::Already));
        }
        if places.iter().any(|place| place.holding == slot.holding) {
            return Ok(Committed::Refused(Refusal::Changed));
        }
        let place = places::occupancy(connection, slot, order.piece).await?;
        let succeeds = match order.cause.succeeds() {
            Some(of) => places::is_active_in(connection, of, slot).await?,
            None => false,
        };
        if place.occupying > 0 || place.active >= LIVE_GENERATIONS_MAX || (place.is_taken() && !succeeds) {
            return Ok(Committed::Refused(Refusal::SlotTaken));
        }
        places::enter(connection, spare, slot, order.piece, &order.state).await?;
        let filled = Happened::SlotFilled { order: spare, slot };
        log(connection, Some(slot.holding), Some(self.at), &filled).await?;
        Ok(Committed::Filled)
    }

    async fn attest(
        &self,
        connection: &mut SqliteConnection,
        holding: HoldingId,
        at: RequestAt,
        order: OrderId,
        deal: DealId,
    ) -> Result<Committed, Error> {
        let row = sqlx::query(concat!(
            "SELECT j.owner, d.completes, ",
            order_columns!("COALESCE(hp.piece, o.piece)", "COALESCE(p.size, o.size)"),
            " FROM job j JOIN orders o ON o.id = $3 AND (o.deal = $4 OR o.deal IS NULL AND EXISTS (SELECT 1 FROM told t
               WHERE t.contract = $5 AND t.deal = $4 AND t.provider = o.provider AND t.sector = o.sector
               AND t.piece = COALESCE(o.within, o.piece) AND t.size = COALESCE(o.within_size, o.size)))
             JOIN deployment d ON d.contract = j.contract
             LEFT JOIN holding_piece hp ON hp.holding = j.holding AND hp.aggregate = o.within
             LEFT JOIN piece p ON p.commitment = hp.piece
             WHERE j.holding = $1 AND j.contract = $5 AND j.request = $2 AND j.open = 1"
        ))
        .bind(int("holding", holding.0)?)
        .bind(int("request", at.request.0)?)
        .bind(int("order", order.0)?)
        .bind(deal_int(deal))
        .bind(at.contract.to_string())
        .fetch_optional(&mut *connection)
        .await?;
        let Some(row) = row else { return Ok(Committed::Refused(Refusal::Changed)) };
        let bought = decode_order(&row)?;
        let completes = deployments::completes(row.try_get("completes")?)?;
        if completes != Some(Completes::Direct) && bought.within.is_none() {
            return Ok(Committed::Refused(Refusal::Changed));
        }
        if txs::is_attested(connection, at, deal).await? {
            return Ok(Committed::Refused(Refusal::Already));
        }
        let Order { provider, piece, size, within, .. } = bought;
        let RequestAt { contract, request } = at;
        let market = told::market_of(connection, contract, deal).await?;
        let proof = match within {
            Some(within) => packing::proof(connection, within.aggregate, piece).await?.unwrap_or_default(),
            None => Vec::new(),
        };
        let contract_named = Some(contract);
        let intent = TxIntent::Complete {
            contract: contract_named,
            request,
            market,
            deal,
            provider,
            piece,
            size,
            within,
            proof,
        };
        let key = format!("complete:{contract}:{request}:{deal}");
        let owner = raas_core::ids::OwnerId(row.try_get("owner")?);
        let purpose = txs::Purpose { owner: &owner, holding: Some(holding) };
        let tx = txs::plan(connection, &intent, &key, purpose, self.at_unix).await?;
        Ok(Committed::AttestPlanned(tx))
    }

    async fn evict(
        &self,
        connection: &mut SqliteConnection,
        holding: HoldingId,
        piece: Commitment,
        reason: &Reason,
    ) -> Result<Committed, Error> {
        let local: Option<bool> = sqlx::query_scalar(
            "SELECT p.local FROM piece p JOIN holding_piece hp ON hp.piece = p.commitment
             WHERE hp.holding = $1 AND p.commitment = $2",
        )
        .bind(int("holding", holding.0)?)
        .bind(piece.to_string())
        .fetch_optional(&mut *connection)
        .await?;
        match local {
            None => return Ok(Committed::Refused(Refusal::Changed)),
            Some(false) => return Ok(Committed::Refused(Refusal::Already)),
            Some(true) => {}
        }
        let step = StepKind::Evict { holding, piece };
        let (step, new) = steps::plan(connection, &step, self.at_unix).await?;
        if !new {
            return Ok(Committed::Refused(Refusal::Already));
        }
        let planned = Happened::EvictPlanned { piece, reason: reason.clone() };
        log(connection, Some(holding), Some(self.at), &planned).await?;
        Ok(Committed::EvictPlanned(step))
    }
}

/// Why `order` may not be made for `slots` any more.
async fn refuse_order(
    connection: &mut SqliteConnection,
    filled: &[(SlotRef, Commitment)],
    packed: bool,
    order: &Order,
) -> Result<Option<Refusal>, Error> {
    if is_overtaken(connection, order).await? {
        return Ok(Some(Refusal::Changed));
    }
    let mut pieces: BTreeMap<(HoldingId, Commitment), BTreeSet<SlotRef>> = BTreeMap::new();
    for (slot, piece) in filled {
        pieces.entry((slot.holding, *piece)).or_default().insert(*slot);
    }
    for ((holding, piece), own) in pieces {
        let is_there = match order.within.filter(|_| packed) {
            Some(within) => packing::is_packed(connection, (holding, piece), within.aggregate).await?,
            None => has_piece(connection, holding, piece).await?,
        };
        if !is_there {
            return Ok(Some(Refusal::Changed));
        }
        let Some(policy) = holdings::policy(connection, holding).await? else {
            return Ok(Some(Refusal::Changed));
        };
        let mut taken = places::taken(connection, holding, piece).await?;
        for slot in own {
            let place = places::occupancy(connection, slot, piece).await?;
            if place.occupying > 0 || place.active >= LIVE_GENERATIONS_MAX {
                return Ok(Some(Refusal::SlotTaken));
            }
            taken = taken.saturating_add(u32::from(!place.is_taken()));
        }
        if taken > policy.replicas.max {
            return Ok(Some(Refusal::SlotTaken));
        }
    }
    Ok(None)
}

/// Whether the generation that `order` is to succeed is not what the plan saw: a renewal needs it active, a
/// repair active or lost.
async fn is_overtaken(connection: &mut SqliteConnection, order: &Order) -> Result<bool, Error> {
    let (of, states): (OrderId, &[&str]) = match order.cause {
        Cause::Replicate => return Ok(false),
        Cause::Renew { of } | Cause::Hedge { of, .. } => (of, &["active"]),
        Cause::Repair { of } => (of, &["active", "lost"]),
        // Copies are adopted by rounds, never bought.
        Cause::Adopt => return Ok(true),
    };
    let state: Option<String> = sqlx::query_scalar("SELECT state_name FROM orders WHERE id = $1")
        .bind(int("order", of.0)?)
        .fetch_optional(connection)
        .await?;
    Ok(!state.is_some_and(|state| states.contains(&state.as_str())))
}

async fn has_piece(
    connection: &mut SqliteConnection,
    holding: HoldingId,
    piece: Commitment,
) -> Result<bool, Error> {
    let count: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM holding_piece WHERE holding = $1 AND piece = $2")
            .bind(int("holding", holding.0)?)
            .bind(piece.to_string())
            .fetch_one(connection)
            .await?;
    Ok(count > 0)
}

/// The accepted order `silent` leaves its place to the one that hedges it, and is watched. False when it is
/// not accepted any more: it is published by now, or over.
async fn stand_aside(connection: &mut SqliteConnection, silent: OrderId) -> Result<bool, Error> {
    let row: Option<(i64, String)> = sqlx::query_as("SELECT version, state FROM orders WHERE id = $1")
        .bind(int("order", silent.0)?)
        .fetch_optional(&mut *connection)
        .await?;
    let Some((version, state)) = row else { return Ok(false) };
    let Ok((state, _)) = order::next(&ORDER_STATE.decode(&state)?, &Event::Hedged) else { return Ok(false) };
    Ok(orders::write_state(connection, silent, version, &state).await?.is_some())
}

/// Gives up an order of which nothing has left the node.
async fn cancel(connection: &mut SqliteConnection, order: OrderId) -> Result<Committed, Error> {
    let version: Option<i64> =
        sqlx::query_scalar("SELECT version FROM orders WHERE id = $1 AND state_name = 'planned'")
            .bind(int("order", order.0)?)
            .fetch_optional(&mut *connection)
            .await?;
    let Some(version) = version else { return Ok(Committed::Refused(Refusal::Changed)) };
    orders::write_state(connection, order, version, &OrderState::Cancelled).await?;
    steps::remove(connection, &StepKind::Deliver { order }).await?;
    Ok(Committed::Cancelled)
}
