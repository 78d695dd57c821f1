//! The store in numbers, for metrics: one snapshot, from indexes, with as many rows as there are kinds of things.

use raas_core::units::{Epoch, Epochs};
use sqlx::SqliteConnection;
use std::collections::BTreeMap;

use super::error::Error;
use super::open::Store;
use super::schema::uint;

/// The store in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Jobs that ask for something, and stopped ones.
    pub jobs_open: u64,
    /// All jobs.
    pub jobs: u64,
    /// Copies on chain by what was seen of them last: `pending`, `proven`, `suspect`, `unknown`.
    pub replicas: BTreeMap<&'static str, u64>,
    /// The first end of a term among the active ones.
    pub first_end: Option<Epoch>,
    /// Active copies whose term ends within the renewal window and that have no successor on its way.
    pub renewals_due: u64,
    /// Orders that are not on chain yet, by state.
    pub orders_under_way: BTreeMap<String, u64>,
    /// Orders ever made, by cause.
    pub orders: BTreeMap<String, u64>,
    /// Steps by kind: how many, and the earliest due, seconds since 1970.
    pub steps: BTreeMap<String, (u64, i64)>,
    /// Steps that are set aside until somebody says so.
    pub steps_parked: u64,
    /// Open transactions by account: how many, the head when the oldest was signed, forms beyond the first.
    pub transactions: BTreeMap<String, OpenTransactions>,
    /// Open incidents by kind.
    pub incidents: BTreeMap<String, u64>,
}

/// Transactions that are not settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenTransactions {
    /// How many.
    pub open: u64,
    /// Head when the oldest was signed first; `None` while none is signed.
    pub oldest_signed: Option<Epoch>,
    /// Signed forms beyond the first of each: replacements with more gas.
    pub bumps: u64,
}

impl Store {
    /// Everything counted now; renewals are due that end by `head` and `window`.
    pub async fn figures(&self, head: Epoch, window: Epochs) -> Result<Figures, Error> {
        let connection = &mut *self.snapshot().await?;
        let (jobs, jobs_open): (i64, i64) =
            sqlx::query_as("SELECT (SELECT COUNT(*) FROM job), (SELECT COUNT(*) FROM job WHERE open = 1)")
                .fetch_one(&mut *connection)
                .await?;
        let marks: Vec<(i64, i64, Option<i64>)> = sqlx::query_as(
            "SELECT mark, COUNT(*), MIN(CASE WHEN mark > 1 THEN term_end END) FROM orders WHERE mark > 0 GROUP BY mark",
        )
        .fetch_all(&mut *connection)
        .await?;
        let mut figures = Figures {
            jobs: uint("jobs", jobs)?,
            jobs_open: uint("jobs", jobs_open)?,
            first_end: marks.iter().filter_map(|(_, _, end)| *end).min().map(Epoch),
            ..Figures::default()
        };
        for (name, mark) in [("pending", 1), ("proven", 2), ("suspect", 3), ("unknown", 4)] {
            let count = marks.iter().find(|(of, ..)| *of == mark).map_or(0, |(_, count, _)| *count);
            figures.replicas.insert(name, uint("replicas", count)?);
        }
        let due: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM orders o WHERE o.mark > 1 AND o.term_end > $1 AND o.term_end <= $2
             AND EXISTS (SELECT 1 FROM order_slot s WHERE s.order_id = o.id AND NOT EXISTS (SELECT 1 FROM order_slot n
                 WHERE n.holding = s.holding AND n.piece = s.piece AND n.slot = s.slot AND n.generation > s.generation
                 AND n.phase IN ('occupying', 'active')))",
        )
        .bind(head.0)
        .bind(head.after(window).0)
        .fetch_one(&mut *connection)
        .await?;
        figures.renewals_due = uint("replicas", due)?;
        figures.orders_under_way = counted(
            connection,
            "SELECT state_name, COUNT(*) FROM orders WHERE closed = 0 AND mark = 0 GROUP BY state_name",
        )
        .await?;
        figures.orders = counted(
            connection,
            "SELECT json_extract(cause, '$.d.cause'), COUNT(*) FROM orders WHERE adopted = 0 GROUP BY 1",
        )
        .await?;
        figures.incidents =
            counted(connection, "SELECT kind, COUNT(*) FROM incident WHERE closed_at IS NULL GROUP BY kind")
                .await?;
        let steps: Vec<(String, i64, i64, i64)> =
            sqlx::query_as("SELECT kind, COUNT(*), MIN(due), SUM(parked) FROM step GROUP BY kind")
                .fetch_all(&mut *connection)
                .await?;
        for (kind, count, due, parked) in steps {
            figures.steps.insert(kind, (uint("steps", count)?, due));
            figures.steps_parked += uint("steps", parked)?;
        }
        let transactions: Vec<(String, i64, Option<i64>, i64)> = sqlx::query_as(
            "SELECT t.lane, COUNT(*), MIN((SELECT MIN(s.at) FROM tx_signed s WHERE s.tx = t.id)),
             SUM(MAX((SELECT COUNT(*) FROM tx_signed s WHERE s.tx = t.id) - 1, 0))
             FROM tx t WHERE t.open = 1 GROUP BY t.lane",
        )
        .fetch_all(&mut *connection)
        .await?;
        for (lane, open, oldest, bumps) in transactions {
            let of = OpenTransactions {
                open: uint("transactions", open)?,
                oldest_signed: oldest.map(Epoch),
                bumps: uint("transactions", bumps)?,
            };
            figures.transactions.insert(lane, of);
        }
        Ok(figures)
    }
}

async fn counted(
    connection: &mut SqliteConnection,
    sql: &'static str,
) -> Result<BTreeMap<String, u64>, Error> {
    let rows: Vec<(String, i64)> = sqlx::query_as(sql).fetch_all(connection).await?;
    rows.into_iter().map(|(name, count)| Ok((name, uint("rows", count)?))).collect()
}
