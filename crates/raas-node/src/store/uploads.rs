//! Uploads under way or done. The state is the upload machine's.

use raas_core::ids::{JobId, OwnerId};
use raas_core::machine::upload::{Refusal, State};
use serde::Deserialize;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use std::collections::BTreeSet;

use super::error::Error;
use super::open::Store;
use super::schema::{UPLOAD_STATE, int, parse, uint};
use super::types::Upload;
use super::{keeping, wholes};

macro_rules! upload_sql {
    ($rest:literal) => {
        concat!("SELECT id, owner, state, root, job FROM upload ", $rest)
    };
}

impl Store {
    /// Stores an upload, or what became of it. One that ends without a job leaves a pin: its bytes are to be kept
    /// until a job of theirs says otherwise.
    pub async fn put_upload(&self, upload: &Upload) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query(
            "INSERT INTO upload (id, owner, state, root, job) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (id) DO UPDATE SET state = excluded.state, root = excluded.root, job = excluded.job",
        )
        .bind(&upload.id)
        .bind(&upload.owner.0)
        .bind(UPLOAD_STATE.encode(&upload.state)?)
        .bind(upload.root.as_ref().map(ToString::to_string))
        .bind(upload.job.map(|job| int("job", job.0)).transpose()?)
        .execute(&mut *tx)
        .await?;
        if let (Some(root), None) = (&upload.root, upload.job)
            && matches!(State::deserialize(&upload.state), Ok(State::Registered { .. }))
        {
            keeping::insert_pin(&mut tx, &upload.owner, root, true).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Gives up uploads that an earlier process began and did not end, since whoever sent them got no answer, and
    /// forgets their pieces unless a holding has them or an upload that ended brought the same. Their bytes can go
    /// then. How many there were.
    pub async fn abandon_uploads(&self) -> Result<usize, Error> {
        let mut tx = self.write().await?;
        let rows = sqlx::query(upload_sql!("ORDER BY seq")).fetch_all(&mut *tx).await?;
        let (mut unended, mut ended_roots) = (Vec::new(), BTreeSet::new());
        for row in &rows {
            let upload = decode(row)?;
            match State::deserialize(&upload.state) {
                Ok(State::Registered { .. }) => ended_roots.extend(upload.root),
                Ok(State::Refused { .. }) | Err(_) => {}
                Ok(_) => unended.push(upload),
            }
        }
        for upload in &unended {
            if let Some(root) = upload.root.as_ref().filter(|root| !ended_roots.contains(root)) {
                wholes::forget_of_root(&mut tx, root).await?;
                sqlx::query(
                    "DELETE FROM piece WHERE root = $1
                     AND NOT EXISTS (SELECT 1 FROM whole_part wp WHERE wp.piece = piece.commitment)
                     AND NOT EXISTS (SELECT 1 FROM pin_within w JOIN pin ON pin.cid = w.cid
                                     WHERE w.piece = piece.commitment)
                     AND NOT EXISTS (SELECT 1 FROM holding_piece h WHERE h.piece = piece.commitment)
                     AND NOT EXISTS (SELECT 1 FROM pin WHERE pin.cid IN (piece.root, piece.commitment))
                     AND NOT EXISTS (SELECT 1 FROM aggregate_piece a WHERE a.piece = piece.commitment)",
                )
                .bind(root.to_string())
                .execute(&mut *tx)
                .await?;
            }
            sqlx::query("UPDATE upload SET state = $2 WHERE id = $1")
                .bind(&upload.id)
                .bind(UPLOAD_STATE.encode(&State::Refused { reason: Refusal::Truncated })?)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(unended.len())
    }

    /// One upload.
    pub async fn upload(&self, id: &str) -> Result<Option<Upload>, Error> {
        let row = sqlx::query(upload_sql!("WHERE id = $1"))
            .bind(id)
            .fetch_optional(&mut *self.read().await?)
            .await?;
        row.as_ref().map(decode).transpose()
    }

    /// The last `limit` uploads, newest first.
    pub async fn uploads(&self, limit: u32) -> Result<Vec<Upload>, Error> {
        let rows = sqlx::query(upload_sql!("ORDER BY seq DESC LIMIT $1"))
            .bind(limit)
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter().map(decode).collect()
    }
}

fn decode(row: &SqliteRow) -> Result<Upload, Error> {
    let root: Option<&str> = row.try_get("root")?;
    let job: Option<i64> = row.try_get("job")?;
    Ok(Upload {
        id: row.try_get("id")?,
        owner: OwnerId(row.try_get("owner")?),
        state: UPLOAD_STATE.decode(row.try_get("state")?)?,
        root: root.map(|root| parse("CID", root)).transpose()?,
        job: job.map(|job| uint("job", job).map(JobId)).transpose()?,
    })
}
