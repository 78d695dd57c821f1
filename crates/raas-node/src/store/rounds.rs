//! Rounds: what one observation changed, all or nothing.

use raas_core::fleet::Breaker;
use raas_core::gate::Hold;
use raas_core::ids::{DealId, OrderId, ProviderId};
use raas_core::observation::{ProviderView, Round};
use raas_core::order::ReplicaRef;
use raas_core::units::Epoch;
use serde::de::DeserializeOwned;
use sqlx::SqliteConnection;

use super::error::Error;
use super::events::{Happened, log};
use super::incidents::{self, Incident};
use super::open::Store;
use super::schema::{BREAKER, Format, ROUND, VIEW, int, parse};
use super::types::{Adopted, RoundReport};
use super::{orders, replicas, seen_proposals, sightings, told, trail};

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
        trail::extend(&mut tx, &report.round).await?;
        put(&mut tx, HEAD, report.round.head.0.to_string()).await?;
        put(&mut tx, BREAKER_KEY, BREAKER.encode(&report.breaker)?).await?;
        put(&mut tx, EVENTS_READ_TO, report.events_read_to.0.to_string()).await?;
        if let Some(deal) = report.deals_read_to {
            put(&mut tx, DEALS_READ_TO, deal.to_string()).await?;
        }
        if before.and_then(|(_, hold)| hold) != report.hold {
            log(&mut tx, None, None, &Happened::HoldChanged { hold: report.hold }).await?;
        }
        // Those that are gone free their places for what came after them.
        let mut skipped = replicas::write(&mut tx, report).await?;
        for (order, version, state) in &report.orders {
            if orders::write_state(&mut tx, *order, *version, state).await?.is_none() {
                skipped.push(*order);
            }
        }
        put_views(&mut tx, &report.views).await?;
        let incidents = incidents::note(&mut tx, &report.troubles, report.round.height).await?;
        for adopted in &report.adopted {
            adopt(&mut tx, adopted).await?;
        }
        for (order, seen) in &report.proposals {
            seen_proposals::keep(&mut tx, *order, seen).await?;
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

/// Makes an order of a copy found, unless its deal stands for one already. It takes no place: the rules put
/// it into an empty one.
async fn adopt(connection: &mut SqliteConnection, adopted: &Adopted) -> Result<(), Error> {
    let deal = orders::deal_of(&adopted.order.state);
    if is_known(connection, adopted).await? {
        return Ok(());
    }
    let order = orders::insert(connection, adopted.holding, &adopted.order).await?;
    if let Some(seen) = &adopted.proposal {
        seen_proposals::keep(connection, order, seen).await?;
    }
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

/// Puts the node to `round`, the first one after history was rewritten: what was read beyond `read_to`, and of deals from
/// `deals_from` on, is read again.
pub(super) async fn go_back(
    connection: &mut SqliteConnection,
    round: &Round,
    read_to: Epoch,
    deals_from: Option<DealId>,
) -> Result<(), Error> {
    let hold: Option<Hold> = None;
    put(connection, LAST_ROUND, ROUND.encode(&(round, hold))?).await?;
    put(connection, HEAD, round.head.0.to_string()).await?;
    if let Some(text) = get_text(connection, EVENTS_READ_TO).await? {
        let events: i64 = parse("epoch", &text)?;
        put(connection, EVENTS_READ_TO, events.min(read_to.0).to_string()).await?;
    }
    if let (Some(text), Some(from)) = (get_text(connection, DEALS_READ_TO).await?, deals_from) {
        let deal: u64 = parse("deal", &text)?;
        put(connection, DEALS_READ_TO, deal.min(from.0).to_string()).await?;
    }
    Ok(())
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

/// Replaces what the last looks at some providers found, in one statement.
async fn put_views(
    connection: &mut SqliteConnection,
    views: &[(ProviderId, ProviderView)],
) -> Result<(), Error> {
    if views.is_empty() {
        return Ok(());
    }
    let rows: Result<Vec<(i64, String)>, Error> = views
        .iter()
        .map(|(provider, view)| Ok((int("provider", provider.number())?, VIEW.encode(view)?)))
        .collect();
    // `WHERE true` keeps the parser from reading ON as a join's.
    sqlx::query(
        "INSERT INTO provider_view (provider, view)
         SELECT n.value ->> 0, n.value ->> 1 FROM json_each($1) n WHERE true
         ON CONFLICT (provider) DO UPDATE SET view = excluded.view",
    )
    .bind(serde_json::to_string(&rows?).unwrap_or_default())
    .execute(connection)
    .await?;
    Ok(())
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
