//! The transaction of a rewind.

use raas_core::ids::{DealId, OrderId};
use raas_core::machine::{rewind, sender};
use raas_core::observation::Round;
use raas_core::order::OrderState;
use raas_core::ports::Now;
use raas_core::units::Epoch;
use serde::Serialize;
use sqlx::SqliteConnection;

use super::contract::{ContractRewind, ContractRewound, rewind_contract};
use crate::store::error::Error;
use crate::store::events::{Happened, log};
use crate::store::open::Store;
use crate::store::orders;
use crate::store::rounds;
use crate::store::schema::{TX_STATE, uint};
use crate::store::steps;
use crate::store::trail;
use crate::store::txs::holding_of;
use crate::store::types::{StepKind, TxId};

/// A step that is due before any clock.
const NOW: i64 = 0;

/// What an admin had read again.
#[derive(Debug)]
pub struct Rewind<'a> {
    /// The first height that is another one than it was.
    pub from: Epoch,
    /// The tipset that was final and is gone, key and height.
    pub gone: (String, Epoch),
    /// The round that is pinned now.
    pub round: &'a Round,
    /// When.
    pub now: Now,
    /// Each contract's events from `from` on, as they are now.
    pub contracts: Vec<ContractRewind<'a>>,
    /// The states of the orders that the rewrite concerns.
    pub orders: Vec<(OrderId, OrderState)>,
    /// The first deal id that was given at `from` or above: from there on deals are looked at anew.
    pub deals_from: Option<DealId>,
}

/// What a rewind changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rewound {
    /// Its number; the one it would have had where it was only shown.
    pub rewind: u64,
    /// By contract.
    pub contracts: Vec<ContractRewound>,
    /// Orders whose state is another one.
    pub orders: Vec<OrderRewound>,
    /// Transactions that were final and are looked for, and sent, again.
    pub transactions: Vec<TxId>,
}

/// An order before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OrderRewound {
    /// Which.
    pub order: OrderId,
    /// Its state's name before.
    pub from: &'static str,
    /// Its state's name now.
    pub to: &'static str,
}

impl Store {
    /// Carries a rewind out, or, without `keep`, tells what it would change and changes nothing.
    pub async fn rewind(&self, rewind: &Rewind<'_>, keep: bool) -> Result<Rewound, Error> {
        let mut tx = self.write().await?;
        let id = insert(&mut tx, rewind).await?;
        let mut done = Rewound { rewind: uint("rewind", id)?, ..Rewound::default() };
        for contract in &rewind.contracts {
            done.contracts.push(rewind_contract(&mut tx, id, rewind, contract).await?);
        }
        for (order, state) in &rewind.orders {
            done.orders.extend(turn(&mut tx, *order, state).await?);
        }
        done.transactions = reopen(&mut tx, rewind.from).await?;
        forget(&mut tx, rewind).await?;
        let what = Happened::HistoryRewound { from: rewind.from, rewind: done.rewind };
        log(&mut tx, None, Some(rewind.now.epoch), &what).await?;
        if keep {
            tx.commit().await?
        } else {
            tx.rollback().await?
        }
        Ok(done)
    }
}

async fn insert(connection: &mut SqliteConnection, rewind: &Rewind<'_>) -> Result<i64, Error> {
    Ok(sqlx::query_scalar(
        "INSERT INTO rewind (from_height, gone_tipset, gone_height, tipset, height, at, at_unix)
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
    )
    .bind(rewind.from.0)
    .bind(&rewind.gone.0)
    .bind(rewind.gone.1.0)
    .bind(&rewind.round.tipset)
    .bind(rewind.round.height.0)
    .bind(rewind.now.epoch.0)
    .bind(rewind.now.unix_seconds)
    .fetch_one(connection)
    .await?)
}

async fn turn(
    connection: &mut SqliteConnection,
    order: OrderId,
    state: &OrderState,
) -> Result<Option<OrderRewound>, Error> {
    let Some(before) = orders::rewrite_state(connection, order, state).await? else { return Ok(None) };
    Ok(Some(OrderRewound { order, from: before.name(), to: state.name() }))
}

/// Transactions of tipsets that are gone go on with the bytes they have. One that failed and whose purpose another one
/// serves by now stays closed: should it be mined with success after all, its events tell.
async fn reopen(connection: &mut SqliteConnection, from: Epoch) -> Result<Vec<TxId>, Error> {
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "SELECT t.id, t.state FROM tx t WHERE t.open = 0 AND t.carrier IS NULL
         AND json_extract(t.state, '$.d.receipt.block') >= $1
         AND NOT EXISTS (SELECT 1 FROM tx o WHERE o.key = t.key AND o.open = 1) ORDER BY t.id",
    )
    .bind(from.0)
    .fetch_all(&mut *connection)
    .await?;
    let mut reopened = Vec::new();
    for (id, state) in rows {
        let state: sender::State = TX_STATE.decode(&state)?;
        let Some(state) = rewind::transaction(&state, from) else { continue };
        // Of two that failed under one key the later one goes on.
        let taken = sqlx::query(
            "UPDATE tx SET open = 1, counts = 1, state = $2, version = version + 1
             WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM tx o WHERE o.key = tx.key AND o.id > tx.id)",
        )
        .bind(id)
        .bind(TX_STATE.encode(&state)?)
        .execute(&mut *connection)
        .await?;
        if taken.rows_affected() == 0 {
            continue;
        }
        let tx = TxId(uint("transaction", id)?);
        steps::plan(connection, &StepKind::Send { tx }, NOW).await?;
        let holding = holding_of(connection, id).await?;
        log(connection, holding, None, &Happened::TxReopened { tx }).await?;
        reopened.push(tx);
    }
    Ok(reopened)
}

/// What else was read at heights that are gone is read anew; every holding is planned again.
async fn forget(connection: &mut SqliteConnection, rewind: &Rewind<'_>) -> Result<(), Error> {
    let from = rewind.from.0;
    rounds::go_back(connection, rewind.round, Epoch(from - 1), rewind.deals_from).await?;
    trail::leave(connection, rewind.from, rewind.round).await?;
    for sql in [
        "DELETE FROM provider_view WHERE MAX(COALESCE(json_extract(view, '$.d.faults_at'), 0),
         COALESCE(json_extract(view, '$.d.lives_at'), 0), COALESCE(json_extract(view, '$.d.unseen.at'), 0)) >= $1",
        "UPDATE provider SET claims_at = NULL WHERE claims_at >= $1",
        "UPDATE holding SET listed_at = NULL WHERE listed_at >= $1",
    ] {
        sqlx::query(sql).bind(from).execute(&mut *connection).await?;
    }
    for sql in [
        // What could not be verified may be there now, and a copy that was given up is to be looked for again.
        "UPDATE sighting SET state = 'new' WHERE state = 'unverified' OR (state = 'adopted'
         AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.deal = sighting.deal))",
        "UPDATE told SET state = 'new', tried_at = NULL WHERE state = 'unverified' OR (state = 'adopted'
         AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.provider = told.provider AND o.sector = told.sector
                         AND o.piece = told.piece AND o.closed = 0))",
        "DELETE FROM dirty",
        "INSERT INTO dirty (holding) SELECT id FROM holding ORDER BY id",
    ] {
        sqlx::query(sql).execute(&mut *connection).await?;
    }
    Ok(())
}
