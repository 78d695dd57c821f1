//! Rounds: what one observation changed, all or nothing.

use raas_core::fleet::Breaker;
use raas_core::gate::Hold;
use raas_core::ids::{DealId, OrderId, ProviderId};
use raas_core::observation::Round;
use raas_core::order::{OrderState, ReplicaRef};
use raas_core::units::Epoch;
use serde::de::DeserializeOwned;
use sqlx::SqliteConnection;
use std::collections::{BTreeMap, BTreeSet};

use super::error::Error;
use super::events::{Happened, log};
use super::incidents::{self, Incident};
use super::open::Store;
use super::schema::{BREAKER, Format, ORDER_STATE, ROUND, VIEW, int, parse};
use super::types::{Adopted, HealthChange, RoundReport};
use super::watch::Narrow;
use super::{orders, sightings, told};

/// What storing a round did besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Orders that were left as they are.
    pub skipped: Vec<OrderId>,
    /// Incidents that it opened or closed.
    pub incidents: Vec<Incident>,
}

const LAST_ROUND: &str = "round";
const BREAKER_KEY: &str = "breaker";
const EVENTS_READ_TO: &str = "events_read_to";
const DEALS_READ_TO: &str = "deals_read_to";
/// The head of the last round, for the log's times.
const HEAD: &str = "head";

impl Store {
    /// Stores a round. Orders whose version is stale by now (or that are closed, or whose deal stands for
    /// another order) are skipped and returned; the next round looks at them again. All else is one
    /// transaction.
    pub async fn apply_round(&self, report: &RoundReport) -> Result<Applied, Error> {
        let mut tx = self.write().await?;
        let before: Option<(Round, Option<Hold>)> = get(&mut tx, LAST_ROUND, &ROUND).await?;
        let last = (&report.round, &report.hold);
        put(&mut tx, LAST_ROUND, ROUND.encode(&last)?).await?;
        put(&mut tx, HEAD, report.round.head.0.to_string()).await?;
        put(&mut tx, BREAKER_KEY, BREAKER.encode(&report.breaker)?).await?;
        put(&mut tx, EVENTS_READ_TO, report.events_read_to.0.to_string()).await?;
        if let Some(deal) = report.deals_read_to {
            put(&mut tx, DEALS_READ_TO, deal.to_string()).await?;
        }
        if before.and_then(|(_, hold)| hold) != report.hold {
            log(&mut tx, None, None, &Happened::HoldChanged { hold: report.hold }).await?;
        }
        let mut skipped = Vec::new();
        for (order, version, state) in &report.orders {
            if orders::write_state(&mut tx, *order, *version, state).await?.is_none() {
                skipped.push(*order);
            }
        }
        skipped.extend(health(&mut tx, &report.health).await?);
        for (provider, view) in &report.views {
            sqlx::query(
                "INSERT INTO provider_view (provider, view) VALUES ($1, $2)
                 ON CONFLICT (provider) DO UPDATE SET view = excluded.view",
            )
            .bind(int("provider", provider.number())?)
            .bind(VIEW.encode(view)?)
            .execute(&mut *tx)
            .await?;
        }
        let incidents = incidents::note(&mut tx, &report.troubles, report.round.height).await?;
        for adopted in &report.adopted {
            adopt(&mut tx, adopted).await?;
        }
        for (cid, deal, state) in &report.sightings {
            sightings::set_state(&mut tx, cid, *deal, *state).await?;
        }
        for (contract, deal, state) in &report.told {
            told::set_state(&mut tx, *contract, *deal, *state).await?;
        }
        tx.commit().await?;
        Ok(Applied { skipped, incidents })
    }

    /// The last round, and why nothing could be started in it.
    pub async fn last_round(&self) -> Result<Option<(Round, Option<Hold>)>, Error> {
        get(&mut *self.read().await?, LAST_ROUND, &ROUND).await
    }

    /// The storm breaker's memory.
    pub async fn breaker(&self) -> Result<Breaker, Error> {
        Ok(get(&mut *self.read().await?, BREAKER_KEY, &BREAKER).await?.unwrap_or_default())
    }

    /// Sets the breaker by the admin's hand.
    pub async fn set_breaker(&self, breaker: &Breaker) -> Result<(), Error> {
        let mut tx = self.write().await?;
        put(&mut tx, BREAKER_KEY, BREAKER.encode(breaker)?).await?;
        log(&mut tx, None, None, &Happened::BreakerSet).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Below which id every deal was told by an event or looked at.
    pub async fn deals_read_to(&self) -> Result<Option<DealId>, Error> {
        let text = get_text(&mut *self.read().await?, DEALS_READ_TO).await?;
        text.map(|text| parse("deal", &text).map(DealId)).transpose()
    }

    /// Up to which finalized height the market's deal events were read.
    pub async fn events_read_to(&self) -> Result<Option<Epoch>, Error> {
        let text = get_text(&mut *self.read().await?, EVENTS_READ_TO).await?;
        text.map(|text| parse("epoch", &text).map(Epoch)).transpose()
    }
}

/// Replicas of one provider whose health changes alike: beyond so many they are one line of the log.
const TOLD_SINGLY: usize = 8;
/// Rows written by one statement.
const ROWS: usize = 1_000;

/// Writes the health of active replicas, many in one statement. Those whose version is stale are returned.
async fn health(connection: &mut SqliteConnection, changes: &[HealthChange]) -> Result<Vec<OrderId>, Error> {
    let mut skipped = Vec::new();
    let mut alike: BTreeMap<(ProviderId, String, String), Vec<&HealthChange>> = BTreeMap::new();
    for page in changes.chunks(ROWS) {
        let mut rows = Vec::with_capacity(page.len());
        for change in page {
            let state = OrderState::Active(change.on_chain);
            let narrow = Narrow::of(&state)?;
            rows.push(serde_json::json!([
                change.order.0,
                change.version,
                ORDER_STATE.encode(&state)?,
                narrow.mark,
                narrow.fault_since,
                narrow.fault_first,
                narrow.sector,
                narrow.term_end,
            ]));
        }
        let written: Vec<i64> = sqlx::query_scalar(
            "UPDATE orders SET version = version + 1, state = n.value ->> 2, mark = n.value ->> 3,
             fault_since = n.value ->> 4, fault_first = n.value ->> 5, sector = n.value ->> 6, term_end = n.value ->> 7
             FROM json_each($1) n WHERE orders.id = n.value ->> 0 AND orders.version = n.value ->> 1
             AND orders.state_name = 'active' RETURNING orders.id",
        )
        .bind(serde_json::Value::Array(rows).to_string())
        .fetch_all(&mut *connection)
        .await?;
        let written: BTreeSet<i64> = written.into_iter().collect();
        for change in page {
            if !written.contains(&int("order", change.order.0)?) {
                skipped.push(change.order);
                continue;
            }
            let (from, to) = (format!("{:?}", change.from), format!("{:?}", change.on_chain.health.health));
            if from != to {
                alike.entry((change.provider, from, to)).or_default().push(change);
            }
        }
    }
    for ((provider, ..), alike) in alike {
        tell(connection, provider, &alike).await?;
    }
    Ok(skipped)
}

/// One line for each, or one for all.
async fn tell(
    connection: &mut SqliteConnection,
    provider: ProviderId,
    alike: &[&HealthChange],
) -> Result<(), Error> {
    let active = || "active".to_owned();
    if alike.len() <= TOLD_SINGLY {
        for change in alike {
            let what = Happened::OrderChanged {
                order: change.order,
                from: active(),
                to: active(),
                deal: change.on_chain.replica.deal(),
                health: Some(change.on_chain.health.health),
            };
            log(connection, Some(change.holding), None, &what).await?;
        }
        return Ok(());
    }
    let Some(first) = alike.first() else { return Ok(()) };
    let what = Happened::ReplicasChanged {
        provider,
        from: first.from,
        to: first.on_chain.health.health,
        replicas: u32::try_from(alike.len()).unwrap_or(u32::MAX),
    };
    log(connection, None, None, &what).await
}

/// Makes an order of a copy found, unless its deal stands for one already. It takes no place: the rules put
/// it into an empty one.
async fn adopt(connection: &mut SqliteConnection, adopted: &Adopted) -> Result<(), Error> {
    let deal = orders::deal_of(&adopted.order.state);
    if is_known(connection, adopted).await? {
        return Ok(());
    }
    let order = orders::insert(connection, adopted.holding, &adopted.order).await?;
    let what = Happened::OrderAdopted { order, deal, provider: adopted.order.provider };
    log(connection, Some(adopted.holding), None, &what).await
}

/// Whether the copy behind an order is one already.
async fn is_known(connection: &mut SqliteConnection, adopted: &Adopted) -> Result<bool, Error> {
    let order = &adopted.order;
    let query = match order.state.on_chain().map(|on_chain| on_chain.replica) {
        None => return Ok(false),
        Some(ReplicaRef::Deal(deal)) => {
            sqlx::query_scalar("SELECT COUNT(*) FROM orders WHERE deal = $1").bind(int("deal", deal.0)?)
        }
        Some(ReplicaRef::Sector { sector }) => sqlx::query_scalar(
            "SELECT COUNT(*) FROM orders WHERE sector = $1 AND provider = $2 AND piece = $3
             AND holding = $4 AND closed = 0",
        )
        .bind(int("sector", sector.0)?)
        .bind(int("provider", order.provider.number())?)
        .bind(order.piece.to_string())
        .bind(int("holding", adopted.holding.0)?),
    };
    let count: i64 = query.fetch_one(connection).await?;
    Ok(count > 0)
}

async fn get_text(connection: &mut SqliteConnection, key: &'static str) -> Result<Option<String>, Error> {
    Ok(sqlx::query_scalar("SELECT value FROM node_state WHERE key = $1")
        .bind(key)
        .fetch_optional(connection)
        .await?)
}

/// One of the node's single values.
pub(super) async fn get<T: DeserializeOwned>(
    connection: &mut SqliteConnection,
    key: &'static str,
    format: &Format,
) -> Result<Option<T>, Error> {
    format.decode_option(get_text(connection, key).await?.as_deref())
}

/// Replaces one of the node's single values.
pub(super) async fn put(
    connection: &mut SqliteConnection,
    key: &'static str,
    value: String,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO node_state (key, value) VALUES ($1, $2)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    )
    .bind(key)
    .bind(value)
    .execute(connection)
    .await?;
    Ok(())
}
