//! The log of what happened, written in the transactions that made it happen. Append only.

use raas_core::cid::{Commitment, DataCid};
use raas_core::gate::Hold;
use raas_core::health::Health;
use raas_core::ids::{DealId, HoldingId, JobId, OrderId, ProviderId, RequestId};
use raas_core::order::{Cause, SlotRef};
use raas_core::plan::{Priority, Reason};
use raas_core::ports::{Lane, TxIntent};
use raas_core::units::{AttoFil, Epoch};
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;

use super::error::Error;
use super::open::Store;
use super::schema::{EVENT, int, uint};
use super::types::TxId;

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoreEvent {
    /// Whose; `None` for what concerns the whole node.
    pub holding: Option<HoldingId>,
    /// The head: as the caller gave it, else that of the last round. `None` before the first round.
    pub at: Option<Epoch>,
    /// What.
    #[serde(flatten)]
    pub what: Happened,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Happened {
    /// A job counts from here on.
    JobRegistered {
        /// Which.
        job: JobId,
        /// For what.
        cid: DataCid,
    },
    /// A job counts no more.
    JobStopped {
        /// Which.
        job: JobId,
    },
    /// A job counts again: what stopped it is on no chain any more.
    JobReopened {
        /// Which.
        job: JobId,
    },
    /// A job's owner changed its policy on the contract.
    JobChanged {
        /// Which.
        job: JobId,
    },
    /// A contract request was found to be a job's own registration.
    RequestBound {
        /// Which job.
        job: JobId,
        /// Its request.
        request: RequestId,
    },
    /// The bytes of a holding are known.
    PieceLinked {
        /// Which piece.
        piece: Commitment,
    },
    /// A small piece was put together with others: one order buys them all.
    PiecePacked {
        /// Which piece.
        piece: Commitment,
        /// The aggregate it lies in.
        aggregate: Commitment,
    },
    /// An order was made, before anything left the node.
    OrderPlanned {
        /// Which.
        order: OrderId,
        /// For which places.
        slots: Vec<SlotRef>,
        /// Where.
        provider: ProviderId,
        /// Which of the R's.
        cause: Cause,
        /// Why.
        reason: Reason,
        /// How urgent.
        priority: Priority,
        /// Price of the whole term.
        cost: AttoFil,
    },
    /// A deal of somebody else became a copy of this holding.
    OrderAdopted {
        /// As which order.
        order: OrderId,
        /// The deal.
        deal: Option<DealId>,
        /// Where.
        provider: ProviderId,
    },
    /// An order's state or its replica's health changed.
    OrderChanged {
        /// Which.
        order: OrderId,
        /// State before.
        from: String,
        /// State now.
        to: String,
        /// Its deal, once there is one.
        deal: Option<DealId>,
        /// The replica's health, once there is one.
        health: Option<Health>,
    },
    /// Many replicas of one provider changed alike in one round.
    ReplicasChanged {
        /// Whose.
        provider: ProviderId,
        /// Their health before.
        from: Health,
        /// Their health now.
        to: Health,
        /// How many.
        replicas: u32,
    },
    /// A copy left its place, since there is a newer one.
    OrderToSpare {
        /// Which.
        order: OrderId,
    },
    /// A spare copy took a place.
    SlotFilled {
        /// Which order.
        order: OrderId,
        /// Which place.
        slot: SlotRef,
    },
    /// A deal was refused for an order, since it stands for another one already.
    DealRefused {
        /// For which order.
        order: OrderId,
        /// The deal.
        deal: DealId,
    },
    /// A transaction is to be sent.
    TxPlanned {
        /// Which.
        tx: TxId,
        /// What it does.
        intent: TxIntent,
    },
    /// A transaction has a further signed form.
    TxSigned {
        /// Which.
        tx: TxId,
        /// Its nonce.
        nonce: u64,
        /// Its hash.
        hash: String,
    },
    /// A transaction can change no more.
    TxClosed {
        /// Which.
        tx: TxId,
    },
    /// A transaction was final on a history that is gone: it is looked for, and sent, again.
    TxReopened {
        /// Which.
        tx: TxId,
    },
    /// A registration goes together with others.
    TxCarried {
        /// Which.
        tx: TxId,
        /// The transaction that carries it.
        by: TxId,
    },
    /// What carried a registration came to nothing: it is sent by itself.
    TxAlone {
        /// Which.
        tx: TxId,
    },
    /// An account sends nothing any more until it is released.
    LaneHalted {
        /// Which.
        lane: Lane,
        /// Why.
        why: String,
    },
    /// The admin released an account, or a restored store caught up with the chain.
    LaneReleased {
        /// Which.
        lane: Lane,
        /// The nonce it goes on from.
        next: u64,
    },
    /// A local copy is to be deleted.
    EvictPlanned {
        /// Of which piece.
        piece: Commitment,
        /// Why.
        reason: Reason,
    },
    /// The local copy of a piece came or went.
    LocalCopy {
        /// Which piece.
        piece: Commitment,
        /// Whether it is there now.
        present: bool,
    },
    /// The gate closed, opened, or is closed for another reason.
    HoldChanged {
        /// Why nothing may be started; `None` when it is open.
        hold: Option<Hold>,
    },
    /// History that was final is another one, and an admin had it read again.
    HistoryRewound {
        /// The first height that is another one.
        from: Epoch,
        /// The rewind's number.
        rewind: u64,
    },
    /// The admin set the storm breaker.
    BreakerSet,
    /// A step waits for somebody to say "retry now".
    StepParked {
        /// Which kind.
        step: String,
        /// Of what.
        subject: u64,
        /// Why.
        why: String,
    },
}

/// Appends `what`. Without `at`, the head of the last round is noted.
pub(super) async fn log(
    connection: &mut SqliteConnection,
    holding: Option<HoldingId>,
    at: Option<Epoch>,
    what: &Happened,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO event (holding, at, body) VALUES ($1,
         COALESCE($2, (SELECT CAST(value AS INTEGER) FROM node_state WHERE key = 'head')), $3)",
    )
    .bind(holding.map(|holding| int("holding", holding.0)).transpose()?)
    .bind(at.map(|at| at.0))
    .bind(EVENT.encode(what)?)
    .execute(connection)
    .await?;
    Ok(())
}

/// Appends a line for each of `lines`, at the head of the last round.
pub(super) async fn log_all(
    connection: &mut SqliteConnection,
    lines: &[(HoldingId, Happened)],
) -> Result<(), Error> {
    let mut rows = Vec::with_capacity(lines.len());
    for (holding, what) in lines {
        rows.push(serde_json::json!([holding.0, EVENT.encode(what)?]));
    }
    sqlx::query(
        "INSERT INTO event (holding, at, body)
         SELECT n.value ->> 0, (SELECT CAST(value AS INTEGER) FROM node_state WHERE key = 'head'), n.value ->> 1
         FROM json_each($1) n",
    )
    .bind(serde_json::Value::Array(rows).to_string())
    .execute(connection)
    .await?;
    Ok(())
}

type Row = (i64, Option<i64>, Option<i64>, String);

impl Store {
    /// At most `limit` events after number `after`, oldest first, each with its number.
    pub async fn events(&self, after: i64, limit: u32) -> Result<Vec<(i64, StoreEvent)>, Error> {
        let rows: Vec<Row> =
            sqlx::query_as("SELECT seq, holding, at, body FROM event WHERE seq > $1 ORDER BY seq LIMIT $2")
                .bind(after)
                .bind(limit)
                .fetch_all(&mut *self.read().await?)
                .await?;
        rows.into_iter().map(event).collect()
    }

    /// The last `limit` events of one holding, oldest first.
    pub async fn events_of_holding(
        &self,
        holding: HoldingId,
        limit: u32,
    ) -> Result<Vec<(i64, StoreEvent)>, Error> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT seq, holding, at, body FROM event WHERE holding = $1 ORDER BY seq DESC LIMIT $2",
        )
        .bind(int("holding", holding.0)?)
        .bind(limit)
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.into_iter().rev().map(event).collect()
    }
}

fn event((seq, holding, at, body): Row) -> Result<(i64, StoreEvent), Error> {
    let holding = holding.map(|id| uint("holding", id).map(HoldingId)).transpose()?;
    Ok((seq, StoreEvent { holding, at: at.map(Epoch), what: EVENT.decode(&body)? }))
}
