//! Orders: purchases with their states, places and the bytes of money.
//!
//! Every write names the version it read; a stale one changes nothing and says so. A closed order never
//! changes again, but by a rewind. The proposal is stored in the transaction that makes the order `Signed`, before its
//! bytes leave the node.

use raas_core::cid::Commitment;
use raas_core::health::Term;
use raas_core::ids::{ActorId, DealId, HoldingId, OperatorId, OrderId, ProviderId};
use raas_core::order::{Cause, Order, OrderState, Signed, Within};
use raas_core::units::{Epoch, Epochs, PaddedSize};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use std::collections::BTreeMap;

use super::error::{Error, is_unique_violation};
use super::events::{Happened, log};
use super::open::Store;
use super::schema::{CAUSE, ORDER_STATE, Repeated, int, parse, small, uint};
use super::types::{Attempt, StoredOrder, StoredProposal};
use super::watch::{Narrow, json_list};
use super::{attempts, leads, places};

/// The columns that [`decode_order`] reads, of `orders o`. An order for an aggregate names one piece of it; seen from a holding,
/// it is of the piece that lies there for it.
macro_rules! order_columns {
    () => {
        order_columns!("o.piece", "o.size")
    };
    ($piece:literal, $size:literal) => {
        concat!(
            "o.id AS order_id, ",
            $piece,
            " AS piece, ",
            $size,
            " AS size, o.provider, o.operator, o.cause, o.price_per_epoch, o.duration, o.planned_at, o.state, o.within,
             o.within_size"
        )
    };
}
pub(super) use order_columns;

macro_rules! stored_orders {
    ($where:literal) => {
        [
            concat!("SELECT o.version, o.holding, ", order_columns!(), " FROM orders o WHERE ", $where, " ORDER BY o.id"),
            concat!(
                // CROSS keeps SQLite to this order: it would rather go over all places than sort those of a few orders.
                "SELECT s.order_id, s.holding, s.slot FROM orders o CROSS JOIN order_slot s ON s.order_id = o.id WHERE ",
                $where,
                " ORDER BY s.holding, s.slot"
            ),
            // The newest attempt of each order comes last.
            concat!(
                "SELECT p.order_id, p.attempt, p.proposal_cid, p.start_epoch, p.end_epoch, p.uuid, p.bytes,
                 p.secret, p.next_deal FROM proposal p JOIN orders o ON o.id = p.order_id WHERE ",
                $where,
                " ORDER BY p.order_id, p.attempt"
            ),
        ]
    };
}

impl Store {
    /// All orders that are not closed, by id.
    pub async fn open_orders(&self) -> Result<Vec<StoredOrder>, Error> {
        load(&mut *self.snapshot().await?, stored_orders!("o.closed = 0"), None).await
    }

    /// One order.
    pub async fn order(&self, order: OrderId) -> Result<Option<StoredOrder>, Error> {
        let id = Key::Number(int("order", order.0)?);
        Ok(load(&mut *self.snapshot().await?, stored_orders!("o.id = $1"), Some(id)).await?.pop())
    }

    /// The orders of which something can still be published or cancelled: everything that reserves escrow. By id.
    pub async fn unsettled_orders(&self) -> Result<Vec<StoredOrder>, Error> {
        load(&mut *self.snapshot().await?, stored_orders!("o.reserves = 1"), None).await
    }

    /// The open orders for a piece or an aggregate with it, by id.
    pub async fn orders_of_piece(&self, piece: Commitment) -> Result<Vec<StoredOrder>, Error> {
        let sql = stored_orders!(
            "o.closed = 0 AND o.id IN (SELECT id FROM orders WHERE piece = $1 AND closed = 0
             UNION SELECT w.id FROM aggregate_piece a JOIN orders w ON w.within = a.aggregate WHERE a.piece = $1)"
        );
        load(&mut *self.snapshot().await?, sql, Some(Key::Text(piece.to_string()))).await
    }

    /// The given orders that are not closed, by id.
    pub async fn orders_by_id(&self, orders: &[OrderId]) -> Result<Vec<StoredOrder>, Error> {
        let ids: Vec<u64> = orders.iter().map(|order| order.0).collect();
        let sql = stored_orders!("o.id IN (SELECT value FROM json_each($1)) AND o.closed = 0");
        load(&mut *self.snapshot().await?, sql, Some(Key::Text(json_list(&ids)))).await
    }

    /// The orders that say something of heights from `from` on, closed ones too: whose deals are at or above `first_deal`,
    /// that were last read at such a height, or that expired and could have been published at one.
    pub async fn orders_since(&self, first_deal: DealId, from: Epoch) -> Result<Vec<StoredOrder>, Error> {
        let mut tx = self.snapshot().await?;
        let ids: Vec<i64> = sqlx::query_scalar(
            "SELECT o.id FROM orders o WHERE o.deal >= $1
             OR (o.state_name IN ('published', 'active', 'ended')
                 AND json_extract(o.state, '$.d.health.at') >= $2)
             OR (o.state_name = 'lost' AND json_extract(o.state, '$.d.on_chain.health.at') >= $2)
             OR (o.state_name = 'expired'
                 AND EXISTS (SELECT 1 FROM proposal p WHERE p.order_id = o.id AND p.start_epoch >= $2))",
        )
        .bind(int("deal", first_deal.0)?)
        .bind(from.0)
        .fetch_all(&mut *tx)
        .await?;
        let sql = stored_orders!("o.id IN (SELECT value FROM json_each($1))");
        load(&mut tx, sql, Some(Key::Text(serde_json::json!(ids).to_string()))).await
    }

    /// How many orders are on their way to each provider and not seen published.
    pub async fn under_way(&self) -> Result<BTreeMap<ProviderId, u32>, Error> {
        let rows: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT provider, COUNT(*) FROM orders WHERE reserves = 1 AND state_name NOT IN ('rejected_watched', 'hedged')
             GROUP BY provider",
        )
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.into_iter()
            .map(|(provider, count)| {
                Ok((ProviderId::new(uint("provider", provider)?), small("orders", count)?))
            })
            .collect()
    }

    /// Repairs planned at or after each of the two epochs that are not closed.
    pub async fn repairs_since(&self, epochs: [Epoch; 2]) -> Result<[u32; 2], Error> {
        let earliest = epochs[0].min(epochs[1]);
        let rows: Vec<(i64, String)> =
            sqlx::query_as("SELECT planned_at, cause FROM orders WHERE planned_at >= $1 AND closed = 0")
                .bind(earliest.0)
                .fetch_all(&mut *self.read().await?)
                .await?;
        let mut counts = [0_u32; 2];
        for (planned_at, cause) in rows {
            if matches!(CAUSE.decode(&cause)?, Cause::Repair { .. }) {
                for (count, since) in counts.iter_mut().zip(epochs) {
                    *count += u32::from(planned_at >= since.0);
                }
            }
        }
        Ok(counts)
    }

    /// Every order ever made for a holding, by id, with its own piece and places where others share the order.
    pub async fn orders_of_holding(&self, holding: HoldingId) -> Result<Vec<StoredOrder>, Error> {
        let id = int("holding", holding.0)?;
        let mut tx = self.snapshot().await?;
        let sql = stored_orders!(
            "o.id IN (SELECT id FROM orders WHERE holding = $1 UNION SELECT order_id FROM order_slot WHERE holding = $1
             UNION SELECT w.id FROM holding_piece hp JOIN orders w ON w.within = hp.aggregate WHERE hp.holding = $1)"
        );
        let mut orders = load(&mut tx, sql, Some(Key::Number(id))).await?;
        let packed: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT hp.aggregate, p.commitment, p.size FROM holding_piece hp JOIN piece p ON p.commitment = hp.piece
             WHERE hp.holding = $1 AND hp.aggregate IS NOT NULL",
        )
        .bind(id)
        .fetch_all(&mut *tx)
        .await?;
        for (aggregate, piece, size) in packed {
            let (aggregate, piece) = (parse("commitment", &aggregate)?, parse("commitment", &piece)?);
            let of_it = |stored: &&mut StoredOrder| {
                stored.order.within.is_some_and(|within| within.aggregate == aggregate)
            };
            for stored in orders.iter_mut().filter(of_it) {
                (stored.order.piece, stored.order.size) = (piece, padded(size)?);
            }
        }
        for stored in &mut orders {
            stored.slots.retain(|slot| slot.holding == holding);
        }
        Ok(orders)
    }

    /// Stores the signed proposal and makes the order `Signed`. The new version; `None` when `version` is not
    /// the stored one any more (the order was cancelled, say), and then nothing may leave the node.
    pub async fn sign_order(
        &self,
        order: OrderId,
        version: i64,
        proposal: &StoredProposal,
    ) -> Result<Option<i64>, Error> {
        let mut tx = self.write().await?;
        let state = OrderState::Signed(proposal.signed.clone());
        let Some(version) = write_state(&mut tx, order, version, &state).await? else { return Ok(None) };
        insert_proposal(&mut tx, order, proposal).await?;
        tx.commit().await?;
        Ok(Some(version))
    }

    /// Writes a new state, and the attempt that led to it. The new version; `None` when `version` is not the
    /// stored one any more, or the order is closed. The attempt is kept in any case: it happened.
    pub async fn set_order(
        &self,
        order: OrderId,
        version: i64,
        state: &OrderState,
        attempt: Option<&Attempt>,
    ) -> Result<Option<i64>, Error> {
        let mut tx = self.write().await?;
        let version = write_state(&mut tx, order, version, state).await?;
        if let Some(attempt) = attempt {
            attempts::insert(&mut tx, attempt).await?;
        }
        tx.commit().await?;
        Ok(version)
    }

    /// The order whose bytes a deal's secret opens.
    pub async fn order_by_secret(&self, secret: &str) -> Result<Option<Order>, Error> {
        let row = sqlx::query(concat!(
            "SELECT ",
            order_columns!(),
            " FROM proposal p JOIN orders o ON o.id = p.order_id WHERE p.secret = $1"
        ))
        .bind(secret)
        .fetch_optional(&mut *self.read().await?)
        .await?;
        row.as_ref().map(decode_order).transpose()
    }

    /// Every deal from `first` on that is or was an order, closed ones included.
    pub async fn deal_ids(&self, first: DealId) -> Result<std::collections::BTreeSet<DealId>, Error> {
        let rows: Vec<(i64,)> = sqlx::query_as("SELECT deal FROM orders WHERE deal >= $1")
            .bind(int("deal", first.0)?)
            .fetch_all(&mut *self.read().await?)
            .await?;
        Ok(rows.into_iter().filter_map(|(deal,)| u64::try_from(deal).ok()).map(DealId).collect())
    }

    /// Deals whose term was seen over, newest first: the market may still hold what they locked.
    pub async fn ended_deals(&self, limit: u32) -> Result<Vec<DealId>, Error> {
        let rows: Vec<(i64,)> = sqlx::query_as(
            "SELECT deal FROM orders WHERE state_name = 'ended' AND deal IS NOT NULL ORDER BY id DESC LIMIT $1",
        )
        .bind(limit)
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.into_iter().map(|(deal,)| uint("deal", deal).map(DealId)).collect()
    }

    /// Which of `deals` stand for an order here that is not closed.
    pub async fn deals_known(&self, deals: &[DealId]) -> Result<std::collections::BTreeSet<DealId>, Error> {
        let ids: Vec<u64> = deals.iter().map(|deal| deal.0).collect();
        let rows: Vec<i64> = sqlx::query_scalar(
            "SELECT deal FROM orders WHERE deal IN (SELECT value FROM json_each($1)) AND closed = 0",
        )
        .bind(json_list(&ids))
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.into_iter().map(|deal| Ok(DealId(uint("deal", deal)?))).collect()
    }
}

/// Stores a new order; its id is given by the store, whatever `order.id` says.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    holding: HoldingId,
    order: &Order,
) -> Result<OrderId, Error> {
    let adopted = order.cause == Cause::Adopt;
    let deal = deal_column(&order.state)?;
    let narrow = Narrow::of(&order.state)?;
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO orders (version, holding, piece, size, provider, operator, cause, adopted,
         price_per_epoch, duration, cost, planned_at, state_name, state, closed, reserves, deal, mark, sector,
         term_start, term_end, fault_since, fault_first, within, within_size, active_at)
         VALUES (1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
         $21, $22, $23, $24, $25) RETURNING id",
    )
    .bind(int("holding", holding.0)?)
    .bind(order.piece.to_string())
    .bind(int("piece size", order.size.get())?)
    .bind(int("provider", order.provider.number())?)
    .bind(int("operator", order.operator.0.0)?)
    .bind(CAUSE.encode(&order.cause)?)
    .bind(adopted)
    .bind(order.price_per_epoch.to_string())
    .bind(order.duration.get())
    .bind(order.cost().to_string())
    .bind(order.planned_at.0)
    .bind(order.state.name())
    .bind(ORDER_STATE.encode(&order.state)?)
    .bind(order.state.is_closed())
    .bind(order.state.reserves_escrow())
    .bind(deal)
    .bind(narrow.mark)
    .bind(narrow.sector)
    .bind(narrow.term_start)
    .bind(narrow.term_end)
    .bind(narrow.fault_since)
    .bind(narrow.fault_first)
    .bind(order.within.map(|within| within.aggregate.to_string()))
    .bind(order.within.map(|within| int("aggregate size", within.size.get())).transpose()?)
    .bind(leads::active_at(&order.state).filter(|_| !adopted))
    .fetch_one(connection)
    .await?;
    Ok(OrderId(uint("order", id)?))
}

/// Brings an order, also a closed one, to the state that it has on a history that was read again; a copy that was never
/// there leaves its places. The state before; `None` when it is the same.
pub(super) async fn rewrite_state(
    connection: &mut SqliteConnection,
    order: OrderId,
    state: &OrderState,
) -> Result<Option<OrderState>, Error> {
    let id = int("order", order.0)?;
    let (holding, before): (i64, String) = sqlx::query_as("SELECT holding, state FROM orders WHERE id = $1")
        .bind(id)
        .fetch_one(&mut *connection)
        .await?;
    let holding = HoldingId(uint("holding", holding)?);
    let before: OrderState = ORDER_STATE.decode(&before)?;
    if before == *state {
        return Ok(None);
    }
    let comes_in = (state.occupies() && !before.occupies()) || (state.is_active() && !before.is_active());
    if *state == OrderState::Cancelled || (comes_in && places::is_superseded(connection, order).await?) {
        to_spares(connection, order).await?;
    }
    update(connection, id, state).await?;
    places::follow(connection, order, state).await?;
    if !state.is_closed() {
        places::show(connection, order).await?;
    }
    let changed = Happened::OrderChanged {
        order,
        from: before.name().to_owned(),
        to: state.name().to_owned(),
        deal: deal_of(state),
        health: state.on_chain().map(|on_chain| on_chain.health.health),
    };
    log(connection, Some(holding), None, &changed).await?;
    Ok(Some(before))
}

/// Brings an order to `state`, and its places with it. The new version; `None` when `version` is stale, the
/// order is closed, or its deal stands for another order already.
pub(super) async fn write_state(
    connection: &mut SqliteConnection,
    order: OrderId,
    version: i64,
    state: &OrderState,
) -> Result<Option<i64>, Error> {
    let id = int("order", order.0)?;
    let row: Option<(i64, String, bool)> = sqlx::query_as(
        "SELECT holding, state, adopted FROM orders WHERE id = $1 AND version = $2 AND closed = 0",
    )
    .bind(id)
    .bind(version)
    .fetch_optional(&mut *connection)
    .await?;
    let Some((holding, before, adopted)) = row else { return Ok(None) };
    let holding = HoldingId(uint("holding", holding)?);
    let before: OrderState = ORDER_STATE.decode(&before)?;
    if let Some(deal) = deal_of(state)
        && !claim_deal(connection, order, adopted, deal).await?
    {
        let refused = Happened::DealRefused { order, deal };
        log(connection, Some(holding), None, &refused).await?;
        return Ok(None);
    }
    let comes_back = (state.occupies() || state.is_active()) && !(before.occupies() || before.is_active());
    if comes_back && places::is_superseded(connection, order).await? {
        to_spares(connection, order).await?;
    }
    update(connection, id, state).await?;
    places::follow(connection, order, state).await?;
    let health = |state: &OrderState| state.on_chain().map(|on_chain| on_chain.health.health);
    if before.name() != state.name() || health(&before) != health(state) {
        let changed = Happened::OrderChanged {
            order,
            from: before.name().to_owned(),
            to: state.name().to_owned(),
            deal: deal_of(state),
            health: health(state),
        };
        log(connection, Some(holding), None, &changed).await?;
    }
    Ok(Some(version + 1))
}

async fn update(connection: &mut SqliteConnection, id: i64, state: &OrderState) -> Result<(), Error> {
    let deal = deal_column(state)?;
    let narrow = Narrow::of(state)?;
    sqlx::query(
        "UPDATE orders SET version = version + 1, state_name = $2, state = $3, closed = $4, reserves = $5,
         deal = $6, mark = $7, sector = $8, term_start = $9, term_end = $10, fault_since = $11,
         fault_first = $12,
         active_at = CASE WHEN adopted = 0 AND state_name <> 'active' THEN $13 ELSE active_at END WHERE id = $1",
    )
    .bind(id)
    .bind(state.name())
    .bind(ORDER_STATE.encode(state)?)
    .bind(state.is_closed())
    .bind(state.reserves_escrow())
    .bind(deal)
    .bind(narrow.mark)
    .bind(narrow.sector)
    .bind(narrow.term_start)
    .bind(narrow.term_end)
    .bind(narrow.fault_since)
    .bind(narrow.fault_first)
    .bind(leads::active_at(state))
    .execute(connection)
    .await?;
    Ok(())
}

/// The deal of f05 behind an order, if there is or was one.
pub(super) fn deal_of(state: &OrderState) -> Option<DealId> {
    state.on_chain().and_then(|on_chain| on_chain.replica.deal())
}

fn deal_column(state: &OrderState) -> Result<Option<i64>, Error> {
    deal_of(state).map(|deal| int("deal", deal.0)).transpose()
}

/// Whether `order` may stand for `deal`. An adopted copy gives way to an order of ours: the deal was ours, and
/// was only seen on the contract first.
async fn claim_deal(
    connection: &mut SqliteConnection,
    order: OrderId,
    adopted: bool,
    deal: DealId,
) -> Result<bool, Error> {
    let other: Option<(i64, i64, bool)> =
        sqlx::query_as("SELECT id, version, adopted FROM orders WHERE deal = $1 AND id <> $2")
            .bind(int("deal", deal.0)?)
            .bind(int("order", order.0)?)
            .fetch_optional(&mut *connection)
            .await?;
    match other {
        None => Ok(true),
        Some((id, _, true)) if !adopted => {
            let copy = OrderId(uint("order", id)?);
            places::leave(connection, copy).await?;
            update(connection, id, &OrderState::Cancelled).await?;
            Ok(true)
        }
        Some(_) => Ok(false),
    }
}

/// Takes an order out of its places.
async fn to_spares(connection: &mut SqliteConnection, order: OrderId) -> Result<(), Error> {
    let places = places::of_order(connection, order).await?;
    if places::leave(connection, order).await? {
        let holding = places.first().map(|slot| slot.holding);
        log(connection, holding, None, &Happened::OrderToSpare { order }).await?;
    }
    Ok(())
}

async fn insert_proposal(
    connection: &mut SqliteConnection,
    order: OrderId,
    proposal: &StoredProposal,
) -> Result<(), Error> {
    let inserted = sqlx::query(
        "INSERT INTO proposal (order_id, attempt, proposal_cid, start_epoch, end_epoch, uuid, bytes, secret,
         next_deal) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(int("order", order.0)?)
    .bind(i64::from(proposal.signed.attempt))
    .bind(&proposal.signed.proposal_cid)
    .bind(proposal.signed.term.start.0)
    .bind(proposal.signed.term.end.0)
    .bind(proposal.uuid.as_slice())
    .bind(proposal.bytes.as_slice())
    .bind(&proposal.secret)
    .bind(int("deal", proposal.next_deal.0)?)
    .execute(connection)
    .await;
    match inserted {
        Ok(_) => Ok(()),
        Err(error) if is_unique_violation(&error) => {
            let of_cid =
                error.as_database_error().is_some_and(|error| error.message().contains("proposal_cid"));
            let reused = if of_cid { Error::ProposalReused } else { Error::IdentityReused };
            Err(reused(proposal.signed.proposal_cid.clone()))
        }
        Err(error) => Err(error.into()),
    }
}

/// What a query for orders is bound to.
#[derive(Clone)]
enum Key {
    Number(i64),
    Text(String),
}

async fn load(
    connection: &mut SqliteConnection,
    [orders, slots, proposals]: [&'static str; 3],
    id: Option<Key>,
) -> Result<Vec<StoredOrder>, Error> {
    let mut found: BTreeMap<i64, StoredOrder> = BTreeMap::new();
    let mut causes = Repeated::of(&CAUSE);
    for row in fetch(connection, orders, id.clone()).await? {
        let stored = StoredOrder {
            order: decode_next(&row, &mut causes)?,
            version: row.try_get("version")?,
            holding: HoldingId(uint("holding", row.try_get("holding")?)?),
            slots: Vec::new(),
            proposal: None,
        };
        found.insert(row.try_get("order_id")?, stored);
    }
    if found.is_empty() {
        return Ok(Vec::new());
    }
    for row in fetch(connection, slots, id.clone()).await? {
        if let Some(order) = found.get_mut(&row.try_get("order_id")?) {
            order.slots.push(places::slot_ref((row.try_get("holding")?, row.try_get("slot")?))?);
        }
    }
    for row in fetch(connection, proposals, id).await? {
        if let Some(order) = found.get_mut(&row.try_get("order_id")?) {
            order.proposal = Some(decode_proposal(&row)?);
        }
    }
    Ok(found.into_values().collect())
}

async fn fetch(
    connection: &mut SqliteConnection,
    sql: &'static str,
    id: Option<Key>,
) -> Result<Vec<SqliteRow>, Error> {
    let query = sqlx::query(sql);
    let query = match id {
        Some(Key::Number(id)) => query.bind(id),
        Some(Key::Text(text)) => query.bind(text),
        None => query,
    };
    Ok(query.fetch_all(connection).await?)
}

pub(super) fn decode_order(row: &SqliteRow) -> Result<Order, Error> {
    decode_next(row, &mut Repeated::of(&CAUSE))
}

/// One of many rows.
pub(super) fn decode_next(row: &SqliteRow, causes: &mut Repeated<Cause>) -> Result<Order, Error> {
    let size: i64 = row.try_get("size")?;
    let duration: i64 = row.try_get("duration")?;
    Ok(Order {
        id: OrderId(uint("order", row.try_get("order_id")?)?),
        piece: parse("commitment", row.try_get("piece")?)?,
        size: padded(size)?,
        within: within(row)?,
        provider: ProviderId::new(uint("provider", row.try_get("provider")?)?),
        operator: OperatorId(ActorId(uint("operator", row.try_get("operator")?)?)),
        cause: causes.decode(row.try_get("cause")?)?,
        price_per_epoch: parse("price", row.try_get("price_per_epoch")?)?,
        duration: Epochs::new(duration)
            .ok_or_else(|| Error::OutOfRange { what: "duration", value: duration.to_string() })?,
        planned_at: Epoch(row.try_get("planned_at")?),
        state: ORDER_STATE.decode(row.try_get("state")?)?,
    })
}

fn within(row: &SqliteRow) -> Result<Option<Within>, Error> {
    let aggregate: Option<String> = row.try_get("within")?;
    let size: Option<i64> = row.try_get("within_size")?;
    let (Some(aggregate), Some(size)) = (aggregate, size) else { return Ok(None) };
    Ok(Some(Within { aggregate: parse("commitment", &aggregate)?, size: padded(size)? }))
}

pub(super) fn padded(size: i64) -> Result<PaddedSize, Error> {
    PaddedSize::new(uint("piece size", size)?)
        .map_err(|error| Error::Unreadable { format: "piece size", source: Box::new(error) })
}

fn decode_proposal(row: &SqliteRow) -> Result<StoredProposal, Error> {
    let uuid: Vec<u8> = row.try_get("uuid")?;
    Ok(StoredProposal {
        signed: Signed {
            attempt: small("attempt", row.try_get("attempt")?)?,
            proposal_cid: row.try_get("proposal_cid")?,
            term: Term { start: Epoch(row.try_get("start_epoch")?), end: Epoch(row.try_get("end_epoch")?) },
        },
        uuid: uuid
            .try_into()
            .map_err(|_| Error::Unreadable { format: "deal UUID", source: "16 bytes are needed".into() })?,
        bytes: row.try_get("bytes")?,
        secret: row.try_get("secret")?,
        next_deal: DealId(uint("deal", row.try_get("next_deal")?)?),
    })
}
