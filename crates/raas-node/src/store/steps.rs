//! Steps: durable work. A row exists as long as there is something to do.
//!
//! A step is claimed with this start's fence, done outside of any transaction, and finished. A claim of an
//! older start is void: its process is gone, the step is handed out again and its crash counted. Whatever was claimed
//! beside the one that killed the process is counted too; who dies in it once more runs alone
//! ([0031](../../../../docs/adr/0031-a-step-that-kills-runs-alone.md)).

use raas_core::cid::Commitment;
use raas_core::ids::{HoldingId, OrderId, StepId};
use raas_core::retry::{ALONE_FROM, CRASHES_MAX};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::error::Error;
use super::events::{Happened, log};
use super::open::Store;
use super::schema::{int, parse, small, uint};
use super::txs;
use super::types::{Step, StepKind, StepOutcome, TxId};

/// A step that is due before any clock.
const NOW: i64 = 0;

macro_rules! step_sql {
    ($($rest:expr),+) => {
        concat!("SELECT id, kind, subject, piece, attempts, crashes, claimed, why FROM step ", $($rest),+)
    };
}

/// The steps for one holding, which is `$1`.
macro_rules! of_holding {
    () => {
        "((kind = 'deliver' AND subject IN (SELECT id FROM orders WHERE holding = $1
              UNION SELECT order_id FROM order_slot WHERE holding = $1))
          OR (kind = 'send' AND subject IN (SELECT COALESCE(carrier, id) FROM tx WHERE holding = $1))
          OR (kind NOT IN ('deliver', 'send') AND subject = $1))"
    };
}

impl Store {
    /// Claims at most `limit` due steps, the longest due first; one by itself while there is one whose worker died
    /// [`ALONE_FROM`] times. A step claimed by this start is not handed out again before it is finished.
    pub async fn claim_due(&self, now_unix: i64, limit: u32) -> Result<Vec<Step>, Error> {
        let mut tx = self.write().await?;
        let alone = sqlx::query(step_sql!(
            "WHERE parked = 0 AND due <= $1 AND (claimed IS NULL OR claimed < $2)
             AND crashes + (claimed IS NOT NULL) >= $3 ORDER BY due, id LIMIT 1"
        ))
        .bind(now_unix)
        .bind(self.fence())
        .bind(i64::from(ALONE_FROM))
        .fetch_all(&mut *tx)
        .await?;
        let rows = if alone.is_empty() {
            sqlx::query(step_sql!(
                "WHERE parked = 0 AND due <= $1 AND (claimed IS NULL OR claimed < $2) ORDER BY due, id LIMIT $3"
            ))
            .bind(now_unix)
            .bind(self.fence())
            .bind(limit)
            .fetch_all(&mut *tx)
            .await?
        } else {
            alone
        };
        let mut claimed = Vec::with_capacity(rows.len());
        for row in &rows {
            let mut step = decode(row)?;
            // Whoever claimed it before never finished it.
            step.crashes = step.crashes.saturating_add(u32::from(step.died));
            sqlx::query("UPDATE step SET claimed = $2, crashes = $3, woken = 0 WHERE id = $1")
                .bind(int("step", step.id.0)?)
                .bind(self.fence())
                .bind(i64::from(step.crashes))
                .execute(&mut *tx)
                .await?;
            claimed.push(step);
        }
        tx.commit().await?;
        Ok(claimed)
    }

    /// Gives back what this start claimed and did not finish, since its pass failed: no step runs now.
    pub async fn give_back_steps(&self) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE step SET claimed = NULL WHERE claimed = $1")
            .bind(self.fence())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Records how a claimed step ended. A step that was woken while it ran is due again at once, whatever the
    /// outcome. A step that is gone by now needs nothing.
    pub async fn finish_step(&self, step: StepId, outcome: &StepOutcome) -> Result<(), Error> {
        let mut tx = self.write().await?;
        let id = int("step", step.0)?;
        let row = sqlx::query("SELECT kind, subject, piece, woken FROM step WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut *tx)
            .await?;
        let Some(row) = row else { return Ok(()) };
        let woken: bool = row.try_get("woken")?;
        let set_aside = matches!(outcome, StepOutcome::SetAside { .. });
        let (due, failed, parked, why) = match outcome {
            StepOutcome::Done if woken => (NOW, false, false, None),
            StepOutcome::Done => {
                sqlx::query("DELETE FROM step WHERE id = $1").bind(id).execute(&mut *tx).await?;
                tx.commit().await?;
                return Ok(());
            }
            StepOutcome::Again { at_unix, why, failed } => {
                (if woken { NOW } else { *at_unix }, *failed, false, Some(why))
            }
            StepOutcome::SetAside { at_unix, why } => (*at_unix, true, false, Some(why)),
            StepOutcome::Parked { why } => (NOW, true, !woken, Some(why)),
        };
        sqlx::query(
            "UPDATE step SET claimed = NULL, woken = 0, crashes = CASE WHEN $6 THEN crashes ELSE 0 END, due = $2,
             attempts = attempts + $3, parked = $4, why = $5 WHERE id = $1",
        )
        .bind(id)
        .bind(due)
        .bind(i64::from(failed))
        .bind(parked)
        .bind(why)
        .bind(set_aside)
        .execute(&mut *tx)
        .await?;
        if parked || set_aside {
            let kind: String = row.try_get("kind")?;
            let subject = uint("step subject", row.try_get("subject")?)?;
            let why = why.cloned().unwrap_or_default();
            let holding = holding_of(&mut tx, &kind, subject).await?;
            log(&mut tx, holding, None, &Happened::StepParked { step: kind, subject, why }).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Makes a step due now, parked or not; makes it if there is none. A step that runs now runs once more.
    pub async fn wake_step(&self, kind: &StepKind) -> Result<(), Error> {
        let mut tx = self.write().await?;
        plan(&mut tx, kind, NOW).await?;
        let (name, subject, piece) = identity(kind)?;
        sqlx::query(
            "UPDATE step SET due = $4, parked = 0,
             woken = CASE WHEN claimed IS NOT NULL THEN 1 ELSE 0 END
             WHERE kind = $1 AND subject = $2 AND piece = $3",
        )
        .bind(name)
        .bind(subject)
        .bind(piece)
        .bind(NOW)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// When the next step is due that nobody works on: seconds since 1970, 0 for "at once".
    pub async fn next_due(&self) -> Result<Option<i64>, Error> {
        Ok(sqlx::query_scalar(
            "SELECT MIN(due) FROM step WHERE parked = 0 AND (claimed IS NULL OR claimed < $1)",
        )
        .bind(self.fence())
        .fetch_one(&mut *self.read().await?)
        .await?)
    }

    /// Steps that are set aside or wait for somebody to say "retry now", each with why.
    pub async fn parked(&self) -> Result<Vec<(Step, String)>, Error> {
        let rows = sqlx::query(step_sql!("WHERE parked = 1 OR crashes >= $1 ORDER BY id"))
            .bind(i64::from(CRASHES_MAX))
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter()
            .map(|row| Ok((decode(row)?, row.try_get::<Option<String>, _>("why")?.unwrap_or_default())))
            .collect()
    }

    /// Makes every step that is put off or parked due now: those of one holding, or all. How many.
    pub async fn retry_now(&self, holding: Option<HoldingId>) -> Result<u64, Error> {
        let holding = holding.map(|holding| int("holding", holding.0)).transpose()?;
        let mut tx = self.write().await?;
        let woken = sqlx::query(concat!(
            "UPDATE step SET due = 0, parked = 0, woken = CASE WHEN claimed IS NOT NULL THEN 1 ELSE 0 END
             WHERE (why IS NOT NULL OR parked = 1) AND ($1 IS NULL OR ",
            of_holding!(),
            ")"
        ))
        .bind(holding)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(woken.rows_affected())
    }

    /// What of a holding is put off, each with why.
    pub async fn delays_of_holding(&self, holding: HoldingId) -> Result<Vec<(Step, String)>, Error> {
        let rows = sqlx::query(step_sql!("WHERE why IS NOT NULL AND ", of_holding!(), " ORDER BY id"))
            .bind(int("holding", holding.0)?)
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter().map(|row| Ok((decode(row)?, row.try_get("why")?))).collect()
    }

    /// Every step with the reason of its last delay, for "why" and the dashboard.
    pub async fn steps(&self, limit: u32) -> Result<Vec<(Step, Option<String>)>, Error> {
        let rows = sqlx::query(step_sql!("ORDER BY id LIMIT $1"))
            .bind(limit)
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter().map(|row| Ok((decode(row)?, row.try_get("why")?))).collect()
    }
}

/// Plans a step unless there is one; its id and whether it is new.
pub(super) async fn plan(
    connection: &mut SqliteConnection,
    kind: &StepKind,
    due_unix: i64,
) -> Result<(StepId, bool), Error> {
    let (name, subject, piece) = identity(kind)?;
    let made: Option<i64> = sqlx::query_scalar(
        "INSERT INTO step (kind, subject, piece, due, attempts, crashes, woken, parked)
         VALUES ($1, $2, $3, $4, 0, 0, 0, 0) ON CONFLICT (kind, subject, piece) DO NOTHING RETURNING id",
    )
    .bind(name)
    .bind(subject)
    .bind(&piece)
    .bind(due_unix)
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(id) = made {
        return Ok((StepId(uint("step", id)?), true));
    }
    let id: i64 = sqlx::query_scalar("SELECT id FROM step WHERE kind = $1 AND subject = $2 AND piece = $3")
        .bind(name)
        .bind(subject)
        .bind(piece)
        .fetch_one(connection)
        .await?;
    Ok((StepId(uint("step", id)?), false))
}

/// Whose step it is.
async fn holding_of(
    connection: &mut SqliteConnection,
    kind: &str,
    subject: u64,
) -> Result<Option<HoldingId>, Error> {
    match kind {
        "send" => txs::holding_of(connection, int("step subject", subject)?).await,
        "deliver" => {
            let id: Option<i64> = sqlx::query_scalar("SELECT holding FROM orders WHERE id = $1")
                .bind(int("step subject", subject)?)
                .fetch_optional(connection)
                .await?;
            id.map(|id| uint("holding", id).map(HoldingId)).transpose()
        }
        _ => Ok(Some(HoldingId(subject))),
    }
}

/// Ends a step, claimed or not.
pub(super) async fn remove(connection: &mut SqliteConnection, kind: &StepKind) -> Result<(), Error> {
    let (name, subject, piece) = identity(kind)?;
    sqlx::query("DELETE FROM step WHERE kind = $1 AND subject = $2 AND piece = $3")
        .bind(name)
        .bind(subject)
        .bind(piece)
        .execute(connection)
        .await?;
    Ok(())
}

fn identity(kind: &StepKind) -> Result<(&'static str, i64, String), Error> {
    let plain = |name, id| Ok((name, int("step subject", id)?, String::new()));
    let with_piece = |name, holding: HoldingId, piece: Commitment| {
        Ok((name, int("step subject", holding.0)?, piece.to_string()))
    };
    match kind {
        StepKind::Deliver { order } => plain("deliver", order.0),
        StepKind::Send { tx } => plain("send", tx.0),
        StepKind::Fetch { holding } => plain("fetch", holding.0),
        StepKind::Evict { holding, piece } => with_piece("evict", *holding, *piece),
        StepKind::Probe { holding, piece } => with_piece("probe", *holding, *piece),
    }
}

fn piece(row: &SqliteRow) -> Result<Commitment, Error> {
    parse("commitment", row.try_get("piece")?)
}

fn decode(row: &SqliteRow) -> Result<Step, Error> {
    let subject = uint("step subject", row.try_get("subject")?)?;
    let kind = match row.try_get("kind")? {
        "deliver" => StepKind::Deliver { order: OrderId(subject) },
        "send" => StepKind::Send { tx: TxId(subject) },
        "fetch" => StepKind::Fetch { holding: HoldingId(subject) },
        "evict" => StepKind::Evict { holding: HoldingId(subject), piece: piece(row)? },
        "probe" => StepKind::Probe { holding: HoldingId(subject), piece: piece(row)? },
        other => {
            return Err(Error::Unreadable { format: "step kind", source: other.to_owned().into() });
        }
    };
    Ok(Step {
        id: StepId(uint("step", row.try_get("id")?)?),
        kind,
        attempts: small("attempts", row.try_get("attempts")?)?,
        crashes: small("crashes", row.try_get("crashes")?)?,
        died: row.try_get::<Option<i64>, _>("claimed")?.is_some(),
    })
}
