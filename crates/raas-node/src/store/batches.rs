//! Registrations that go together in one transaction. Those that are carried are closed and name their carrier; when it
//! comes to nothing they are opened again, each by itself.
//!
//! Rows change in one transaction of the store, and only while nothing of the carrier is signed, or once it can never be
//! mined with success: a registration is at every moment in exactly one transaction that can be sent.

use raas_core::ids::{HoldingId, JobId, OwnerId};
use raas_core::ports::{Submission, TxIntent};
use sqlx::SqliteConnection;

use super::error::Error;
use super::events::{Happened, log};
use super::open::Store;
use super::schema::{TX_INTENT, int, uint};
use super::steps;
use super::txs::{self, Purpose, holding_of};
use super::types::{StepKind, TxId};

/// A step that is due before any clock.
const NOW: i64 = 0;

impl Store {
    /// Puts the planned registration `tx` and those planned after it, `max` at most, into one transaction that takes the
    /// place of all. `None` when there is no other: nothing has changed then. One that failed before stays by itself.
    pub async fn merge_submits(&self, tx: TxId, max: usize) -> Result<Option<TxId>, Error> {
        let mut write = self.write().await?;
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT t.id, t.intent FROM tx t JOIN step s ON s.kind = 'send' AND s.subject = t.id
             WHERE t.open = 1 AND t.nonce IS NULL AND t.alone = 0 AND t.job IS NOT NULL AND t.id >= $1
             AND s.attempts = 0 AND s.parked = 0 ORDER BY t.id LIMIT $2",
        )
        .bind(int("transaction", tx.0)?)
        .bind(int("registrations", max as u64)?)
        .fetch_all(&mut *write)
        .await?;
        let mut submissions = Vec::with_capacity(rows.len());
        for (_, intent) in &rows {
            if let TxIntent::Submit { job, cid, target, repair, renew } = TX_INTENT.decode(intent)? {
                submissions.push(Submission { job, cid, target, repair, renew });
            }
        }
        let is_first =
            rows.first().is_some_and(|(id, _)| uint("transaction", *id).is_ok_and(|id| id == tx.0));
        if !is_first || submissions.len() < 2 || submissions.len() != rows.len() {
            return Ok(None);
        }
        let purpose = Purpose { owner: &OwnerId::local(), holding: None };
        let intent = TxIntent::SubmitMany { submissions };
        let carrier = txs::plan(&mut write, &intent, &format!("submits:{}", tx.0), purpose, NOW).await?;
        for (position, (id, _)) in (0_i64..).zip(&rows) {
            sqlx::query(
                "UPDATE tx SET open = 0, carrier = $2, position = $3, version = version + 1 WHERE id = $1",
            )
            .bind(id)
            .bind(int("transaction", carrier.0)?)
            .bind(position)
            .execute(&mut *write)
            .await?;
            let tx = TxId(uint("transaction", *id)?);
            steps::remove(&mut write, &StepKind::Send { tx }).await?;
            let holding = holding_of(&mut write, *id).await?;
            log(&mut write, holding, None, &Happened::TxCarried { tx, by: carrier }).await?;
        }
        write.commit().await?;
        Ok(Some(carrier))
    }

    /// Takes a carrier of which nothing is signed apart: whatever it carries is sent by itself. False when it is signed or
    /// closed by now.
    pub async fn part_submits(&self, carrier: TxId) -> Result<bool, Error> {
        let mut write = self.write().await?;
        let parted = part(&mut write, int("transaction", carrier.0)?).await?;
        write.commit().await?;
        Ok(parted)
    }

    /// The transaction that registers a job on a contract, or did: the one that carries it, if one does.
    pub async fn registration(&self, job: JobId) -> Result<Option<TxId>, Error> {
        let id: Option<i64> = sqlx::query_scalar(
            "SELECT COALESCE(carrier, id) FROM tx WHERE job = $1 ORDER BY id DESC LIMIT 1",
        )
        .bind(int("job", job.0)?)
        .fetch_optional(&mut *self.read().await?)
        .await?;
        id.map(|id| uint("transaction", id).map(TxId)).transpose()
    }
}

/// The same inside the caller's transaction.
async fn part(connection: &mut SqliteConnection, carrier: i64) -> Result<bool, Error> {
    let closed = sqlx::query(
        "UPDATE tx SET open = 0, counts = 0, version = version + 1 WHERE id = $1 AND open = 1 AND nonce IS NULL",
    )
    .bind(carrier)
    .execute(&mut *connection)
    .await?;
    if closed.rows_affected() == 0 {
        return Ok(false);
    }
    let tx = TxId(uint("transaction", carrier)?);
    steps::remove(connection, &StepKind::Send { tx }).await?;
    log(connection, None, None, &Happened::TxClosed { tx }).await?;
    reopen(connection, carrier).await?;
    Ok(true)
}

/// Opens what a closed carrier carried, as far as it is not registered by now. Nothing for any other transaction.
pub(super) async fn reopen(connection: &mut SqliteConnection, carrier: i64) -> Result<(), Error> {
    let opened: Vec<i64> = sqlx::query_scalar(
        "UPDATE tx SET open = 1, carrier = NULL, position = NULL, alone = 1, version = version + 1
         WHERE carrier = $1 AND EXISTS (SELECT 1 FROM job j WHERE j.id = tx.job AND j.request IS NULL)
         RETURNING id",
    )
    .bind(carrier)
    .fetch_all(&mut *connection)
    .await?;
    for id in opened {
        let tx = TxId(uint("transaction", id)?);
        steps::plan(connection, &StepKind::Send { tx }, NOW).await?;
        let holding = holding_of(connection, id).await?;
        log(connection, holding, None, &Happened::TxAlone { tx }).await?;
    }
    Ok(())
}

/// The registration `tx` is made already, by what a store that was put back has forgotten. What would make it again is
/// closed; the others of its carrier still go.
pub(super) async fn registered(
    connection: &mut SqliteConnection,
    tx: i64,
    holding: HoldingId,
) -> Result<(), Error> {
    let carrier: Option<i64> = sqlx::query_scalar("SELECT carrier FROM tx WHERE id = $1")
        .bind(tx)
        .fetch_one(&mut *connection)
        .await?;
    let Some(carrier) = carrier else { return close(connection, tx, Some(holding)).await };
    if part(connection, carrier).await? {
        return close(connection, tx, Some(holding)).await;
    }
    // It is signed: it can only be given up as a whole, once all that it carries is registered.
    let left: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM tx t JOIN job j ON j.id = t.job
         WHERE t.carrier = $1 AND t.id <> $2 AND j.request IS NULL",
    )
    .bind(carrier)
    .bind(tx)
    .fetch_one(&mut *connection)
    .await?;
    if left == 0 { close(connection, carrier, None).await } else { Ok(()) }
}

async fn close(connection: &mut SqliteConnection, id: i64, holding: Option<HoldingId>) -> Result<(), Error> {
    sqlx::query("UPDATE tx SET open = 0, version = version + 1 WHERE id = $1")
        .bind(id)
        .execute(&mut *connection)
        .await?;
    let tx = TxId(uint("transaction", id)?);
    steps::remove(connection, &StepKind::Send { tx }).await?;
    log(connection, holding, None, &Happened::TxClosed { tx }).await
}
