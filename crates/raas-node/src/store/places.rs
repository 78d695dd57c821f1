//! The places of a holding and the orders in them: who may enter, who leaves, what the rules see.

use raas_core::cid::Commitment;
use raas_core::ids::{HoldingId, OrderId};
use raas_core::order::{OrderState, SlotRef};
use sqlx::SqliteConnection;

use super::error::Error;
use super::schema::{int, small, uint};
use super::watch::json_list;

/// What is in one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Occupancy {
    /// Orders on their way: none or one.
    pub(super) occupying: i64,
    /// Active replicas: at most two.
    pub(super) active: i64,
}

impl Occupancy {
    /// Whether it holds or awaits a copy.
    pub(super) const fn is_taken(self) -> bool {
        self.occupying > 0 || self.active > 0
    }
}

/// The phase of a place's generation, by its order's state.
const fn phase(state: &OrderState) -> &'static str {
    if state.is_closed() {
        "closed"
    } else if state.occupies() {
        "occupying"
    } else if state.is_active() {
        "active"
    } else {
        "watched"
    }
}

pub(super) async fn occupancy(
    connection: &mut SqliteConnection,
    slot: SlotRef,
    piece: Commitment,
) -> Result<Occupancy, Error> {
    let (occupying, active): (i64, i64) = sqlx::query_as(
        "SELECT COUNT(CASE WHEN phase = 'occupying' THEN 1 END), COUNT(CASE WHEN phase = 'active' THEN 1 END)
         FROM order_slot WHERE holding = $1 AND piece = $2 AND slot = $3",
    )
    .bind(int("holding", slot.holding.0)?)
    .bind(piece.to_string())
    .bind(i64::from(slot.index))
    .fetch_one(connection)
    .await?;
    Ok(Occupancy { occupying, active })
}

/// How many places of one piece hold or await a copy.
pub(super) async fn taken(
    connection: &mut SqliteConnection,
    holding: HoldingId,
    piece: Commitment,
) -> Result<u32, Error> {
    let count: i64 = sqlx::query_scalar(
        "SELECT COUNT(DISTINCT slot) FROM order_slot
         WHERE holding = $1 AND piece = $2 AND phase IN ('occupying', 'active')",
    )
    .bind(int("holding", holding.0)?)
    .bind(piece.to_string())
    .fetch_one(connection)
    .await?;
    small("occupied slots", count)
}

/// Puts `order` into `slot` as its newest generation.
pub(super) async fn enter(
    connection: &mut SqliteConnection,
    order: OrderId,
    slot: SlotRef,
    piece: Commitment,
    state: &OrderState,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO order_slot (order_id, holding, piece, slot, generation, phase, kept)
         VALUES ($1, $2, $3, $4, (SELECT COALESCE(MAX(generation), -1) + 1 FROM order_slot
         WHERE holding = $2 AND piece = $3 AND slot = $4), $5, 1)",
    )
    .bind(int("order", order.0)?)
    .bind(int("holding", slot.holding.0)?)
    .bind(piece.to_string())
    .bind(i64::from(slot.index))
    .bind(phase(state))
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes `order` out of all its places; whether it was in any.
pub(super) async fn leave(connection: &mut SqliteConnection, order: OrderId) -> Result<bool, Error> {
    let left = sqlx::query("DELETE FROM order_slot WHERE order_id = $1")
        .bind(int("order", order.0)?)
        .execute(connection)
        .await?;
    Ok(left.rows_affected() > 0)
}

/// The places `order` is in.
pub(super) async fn of_order(
    connection: &mut SqliteConnection,
    order: OrderId,
) -> Result<Vec<SlotRef>, Error> {
    let rows: Vec<(i64, i64)> =
        sqlx::query_as("SELECT holding, slot FROM order_slot WHERE order_id = $1 ORDER BY holding, slot")
            .bind(int("order", order.0)?)
            .fetch_all(connection)
            .await?;
    rows.into_iter().map(slot_ref).collect()
}

/// Whether `order` is an active replica in `slot`.
pub(super) async fn is_active_in(
    connection: &mut SqliteConnection,
    order: OrderId,
    slot: SlotRef,
) -> Result<bool, Error> {
    let count: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM order_slot
         WHERE order_id = $1 AND holding = $2 AND slot = $3 AND phase = 'active'",
    )
    .bind(int("order", order.0)?)
    .bind(int("holding", slot.holding.0)?)
    .bind(i64::from(slot.index))
    .fetch_one(connection)
    .await?;
    Ok(count > 0)
}

pub(super) fn slot_ref((holding, slot): (i64, i64)) -> Result<SlotRef, Error> {
    Ok(SlotRef { holding: HoldingId(uint("holding", holding)?), index: small("slot", slot)? })
}

/// Carries an order's new state into its places. Of closed generations only the last of a place, the last that was
/// lost or ended, and the last of those that had been active stay in sight of the rules.
pub(super) async fn follow(
    connection: &mut SqliteConnection,
    order: OrderId,
    state: &OrderState,
) -> Result<(), Error> {
    if state.is_closed() {
        return close(connection, &json_list(&[order.0])).await;
    }
    sqlx::query("UPDATE order_slot SET phase = $2 WHERE order_id = $1")
        .bind(int("order", order.0)?)
        .bind(phase(state))
        .execute(connection)
        .await?;
    Ok(())
}

/// Closes the places' generations of `orders`, a JSON list.
pub(super) async fn close(connection: &mut SqliteConnection, orders: &str) -> Result<(), Error> {
    sqlx::query("UPDATE order_slot SET phase = 'closed' WHERE order_id IN (SELECT value FROM json_each($1))")
        .bind(orders)
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "UPDATE order_slot SET kept = (generation IN (
             SELECT MAX(l.generation) FROM order_slot l WHERE l.holding = order_slot.holding
             AND l.piece = order_slot.piece AND l.slot = order_slot.slot AND l.phase = 'closed'
             UNION ALL SELECT COALESCE(MAX(g.generation), -1) FROM order_slot g
             JOIN orders o ON o.id = g.order_id AND o.state_name IN ('lost', 'ended')
             WHERE g.holding = order_slot.holding AND g.piece = order_slot.piece
             AND g.slot = order_slot.slot
             UNION ALL SELECT COALESCE(MAX(a.generation), -1) FROM order_slot a
             JOIN orders o ON o.id = a.order_id AND (o.state_name = 'ended'
                 OR (o.state_name = 'lost' AND json_extract(o.state, '$.d.reason') = 'terminated'))
             WHERE a.holding = order_slot.holding AND a.piece = order_slot.piece
             AND a.slot = order_slot.slot))
         WHERE phase = 'closed' AND (holding, piece, slot) IN (
             SELECT m.holding, m.piece, m.slot FROM order_slot m WHERE m.order_id IN (SELECT value FROM json_each($1)))",
    )
    .bind(orders)
    .execute(connection)
    .await?;
    Ok(())
}

/// Brings an order that is not closed any more back into the rules' sight.
pub(super) async fn show(connection: &mut SqliteConnection, order: OrderId) -> Result<(), Error> {
    sqlx::query("UPDATE order_slot SET kept = 1 WHERE order_id = $1")
        .bind(int("order", order.0)?)
        .execute(connection)
        .await?;
    Ok(())
}

/// Whether a place of `order` is taken by another one that is on its way, by an active replica that came after
/// it, or by two active ones: then `order`, which was given up on and turns out to be published after all, has
/// no place there any more.
pub(super) async fn is_superseded(connection: &mut SqliteConnection, order: OrderId) -> Result<bool, Error> {
    let full: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM order_slot m WHERE m.order_id = $1 AND (
             EXISTS (SELECT 1 FROM order_slot x WHERE x.holding = m.holding AND x.piece = m.piece
                     AND x.slot = m.slot AND x.order_id <> m.order_id AND (x.phase = 'occupying'
                     OR (x.phase = 'active' AND x.generation > m.generation)))
             OR (SELECT COUNT(*) FROM order_slot x WHERE x.holding = m.holding AND x.piece = m.piece
                 AND x.slot = m.slot AND x.order_id <> m.order_id AND x.phase = 'active') >= 2)",
    )
    .bind(int("order", order.0)?)
    .fetch_one(connection)
    .await?;
    Ok(full > 0)
}
