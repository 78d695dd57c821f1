//! Pieces: bytes whose commitment this node computed itself, and which holdings they belong to.

use raas_core::cid::{Commitment, DataCid};
use raas_core::ids::HoldingId;
use raas_core::units::{Epoch, PaddedSize};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use std::collections::BTreeSet;

use super::error::Error;
use super::events::{Happened, log};
use super::open::Store;
use super::orders::padded;
use super::schema::{int, parse, uint};
use super::types::{NewPiece, StepKind, StoredPiece};
use super::{holdings, steps, wholes};

macro_rules! piece_sql {
    ($rest:literal) => {
        concat!(
            "SELECT commitment, root, size, car_bytes, payload_bytes, local, retrieved_at FROM piece ",
            $rest
        )
    };
}
pub(super) use piece_sql;

impl Store {
    /// Records a piece whose bytes are complete and synced on the disk, and gives it to every holding of its
    /// root or of its own piece CID that has no bytes yet; their fetch steps end. Safe to repeat.
    pub async fn record_piece(&self, piece: &NewPiece) -> Result<(), Error> {
        let mut tx = self.write().await?;
        insert(&mut tx, piece, true).await?;
        link_to_holdings(&mut tx, &piece.root, &[piece.commitment]).await?;
        link_to_holdings(&mut tx, &own_cid(piece.commitment)?, &[piece.commitment]).await?;
        tx.commit().await?;
        Ok(())
    }

    /// One piece.
    pub async fn piece(&self, commitment: Commitment) -> Result<Option<StoredPiece>, Error> {
        one(&mut *self.read().await?, commitment).await
    }

    /// The one piece with all of a payload root; a local one first, when the root was packed in more than one way.
    pub async fn piece_of_root(&self, root: &DataCid) -> Result<Option<StoredPiece>, Error> {
        let sql = piece_sql!("WHERE root = $1 AND part = 0 ORDER BY local DESC, commitment LIMIT 1");
        let row = sqlx::query(sql).bind(root.to_string()).fetch_optional(&mut *self.read().await?).await?;
        row.as_ref().map(decode).transpose()
    }

    /// Every piece that is recorded, wherever its bytes are.
    pub async fn recorded_pieces(&self) -> Result<BTreeSet<Commitment>, Error> {
        let all: Vec<String> =
            sqlx::query_scalar("SELECT commitment FROM piece").fetch_all(&mut *self.read().await?).await?;
        all.iter().map(|text| parse("commitment", text)).collect()
    }

    /// All pieces smaller than `size`.
    pub async fn pieces_below(&self, size: PaddedSize) -> Result<Vec<StoredPiece>, Error> {
        let rows = sqlx::query(piece_sql!("WHERE size < $1 ORDER BY commitment"))
            .bind(int("piece size", size.get())?)
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter().map(decode).collect()
    }

    /// All pieces whose CAR is on the disk.
    pub async fn local_pieces(&self) -> Result<Vec<StoredPiece>, Error> {
        let rows = sqlx::query(piece_sql!("INDEXED BY piece_scrubbed WHERE local = 1 ORDER BY commitment"))
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter().map(decode).collect()
    }

    /// Notes that a piece's CAR came to the disk or is gone from it.
    pub async fn set_local(&self, commitment: Commitment, local: bool) -> Result<(), Error> {
        let mut tx = self.write().await?;
        let changed = sqlx::query(
            "UPDATE piece SET local = $2, lost = NULL, scrubbed_unix = NULL WHERE commitment = $1 AND local <> $2",
        )
            .bind(commitment.to_string())
            .bind(local)
            .execute(&mut *tx)
            .await?;
        if changed.rows_affected() > 0 {
            let what = Happened::LocalCopy { piece: commitment, present: local };
            for holding in of_piece(&mut tx, commitment).await? {
                log(&mut tx, Some(holding), None, &what).await?;
            }
        }
        tx.commit().await?;
        Ok(())
    }

    /// Notes that a retrieval of the piece from a provider was verified at `at`.
    pub async fn set_retrieved(&self, commitment: Commitment, at: Epoch) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE piece SET retrieved_at = $2 WHERE commitment = $1")
            .bind(commitment.to_string())
            .bind(at.0)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }
}

/// A piece's own CID, by which it can be registered like a payload.
pub(super) fn own_cid(piece: Commitment) -> Result<DataCid, Error> {
    DataCid::normalise(&piece.piece_cid_v1())
        .map_err(|error| Error::Unreadable { format: "commitment", source: Box::new(error) })
}

/// Adds a piece; one that is known can only become local by it.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    piece: &NewPiece,
    local: bool,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO piece (commitment, root, size, car_bytes, payload_bytes, local)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (commitment) DO UPDATE SET local = MAX(local, excluded.local),
             lost = CASE excluded.local WHEN 1 THEN NULL ELSE lost END,
             scrubbed_unix = CASE local WHEN 1 THEN scrubbed_unix ELSE NULL END",
    )
    .bind(piece.commitment.to_string())
    .bind(piece.root.to_string())
    .bind(int("piece size", piece.size.get())?)
    .bind(int("CAR bytes", piece.car_bytes)?)
    .bind(int("payload bytes", piece.payload_bytes)?)
    .bind(local)
    .execute(connection)
    .await?;
    Ok(())
}

/// Gives `holding` the piece that is known for its CID; whether it has one now.
pub(super) async fn link_known(
    connection: &mut SqliteConnection,
    holding: HoldingId,
    cid: &DataCid,
) -> Result<bool, Error> {
    let known = match cid.commitment() {
        Some(commitment) => {
            one(connection, commitment).await?.map(|known| known.piece.commitment).into_iter().collect()
        }
        None => wholes::of_root(connection, cid).await?,
    };
    if known.is_empty() {
        return Ok(false);
    }
    link(connection, holding, &known).await?;
    Ok(true)
}

/// Gives the pieces of a CID, one or the parts of it, to its holdings, whose fetch steps end.
pub(super) async fn link_to_holdings(
    connection: &mut SqliteConnection,
    cid: &DataCid,
    pieces: &[Commitment],
) -> Result<(), Error> {
    for holding in holdings::of_cid(connection, cid).await? {
        link(connection, holding, pieces).await?;
        steps::remove(connection, &StepKind::Fetch { holding }).await?;
    }
    Ok(())
}

/// A holding that has its bytes already keeps them: a root packed in another way is the same content.
async fn link(
    connection: &mut SqliteConnection,
    holding: HoldingId,
    pieces: &[Commitment],
) -> Result<(), Error> {
    for piece in wholes::link(connection, holding, pieces).await? {
        log(connection, Some(holding), None, &Happened::PieceLinked { piece }).await?;
    }
    Ok(())
}

pub(super) async fn one(
    connection: &mut SqliteConnection,
    commitment: Commitment,
) -> Result<Option<StoredPiece>, Error> {
    let row = sqlx::query(piece_sql!("WHERE commitment = $1"))
        .bind(commitment.to_string())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(decode).transpose()
}

pub(super) async fn of_piece(
    connection: &mut SqliteConnection,
    commitment: Commitment,
) -> Result<Vec<HoldingId>, Error> {
    let ids: Vec<i64> =
        sqlx::query_scalar("SELECT holding FROM holding_piece WHERE piece = $1 ORDER BY holding")
            .bind(commitment.to_string())
            .fetch_all(connection)
            .await?;
    ids.into_iter().map(|id| uint("holding", id).map(HoldingId)).collect()
}

pub(super) fn decode(row: &SqliteRow) -> Result<StoredPiece, Error> {
    Ok(StoredPiece {
        piece: NewPiece {
            root: parse("CID", row.try_get("root")?)?,
            commitment: parse("commitment", row.try_get("commitment")?)?,
            size: padded(row.try_get("size")?)?,
            car_bytes: uint("CAR bytes", row.try_get("car_bytes")?)?,
            payload_bytes: uint("payload bytes", row.try_get("payload_bytes")?)?,
        },
        local: row.try_get("local")?,
        retrieved_at: row.try_get::<Option<i64>, _>("retrieved_at")?.map(Epoch),
    })
}
