//! DAGs over the limit of a piece: the linked CARs that hold one together, in their order.

use raas_core::cid::{Commitment, DataCid};
use raas_core::ids::HoldingId;
use sqlx::SqliteConnection;

use super::error::Error;
use super::open::Store;
use super::pieces;
use super::schema::{int, parse};
use super::types::{NewPiece, StoredPiece};

impl Store {
    /// Records the pieces of one root whose bytes are complete and synced on the disk: one that holds all of it, or the
    /// parts that do so together, in their order. All or nothing, and safe to repeat.
    pub async fn record_pieces(&self, parts: &[NewPiece]) -> Result<(), Error> {
        let [first, _, ..] = parts else {
            return match parts.first() {
                Some(only) => self.record_piece(only).await,
                None => Ok(()),
            };
        };
        let mut tx = self.write().await?;
        for part in parts {
            pieces::insert(&mut tx, part, true).await?;
            sqlx::query("UPDATE piece SET part = 1 WHERE commitment = $1")
                .bind(part.commitment.to_string())
                .execute(&mut *tx)
                .await?;
        }
        let commitments: Vec<Commitment> = parts.iter().map(|part| part.commitment).collect();
        if !all(&mut tx, &first.root).await?.iter().any(|(_, known)| *known == commitments) {
            insert(&mut tx, &first.root, &commitments).await?;
        }
        pieces::link_to_holdings(&mut tx, &first.root, &commitments).await?;
        for part in commitments {
            pieces::link_to_holdings(&mut tx, &pieces::own_cid(part)?, &[part]).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// The pieces that hold everything under a root: one, or the parts of one whole in their order. Such as are on the disk
    /// come before others; empty where nothing is known.
    pub async fn pieces_of_root(&self, root: &DataCid) -> Result<Vec<StoredPiece>, Error> {
        let mut connection = self.snapshot().await?;
        let mut found = Vec::new();
        for commitment in of_root(&mut connection, root).await? {
            found.extend(pieces::one(&mut connection, commitment).await?);
        }
        Ok(found)
    }

    /// Whether a piece holds only a part of what is under its root.
    pub async fn is_part(&self, piece: Commitment) -> Result<bool, Error> {
        let part: Option<bool> = sqlx::query_scalar("SELECT part FROM piece WHERE commitment = $1")
            .bind(piece.to_string())
            .fetch_optional(&mut *self.read().await?)
            .await?;
        Ok(part.unwrap_or(false))
    }
}

/// See [`Store::pieces_of_root`].
pub(super) async fn of_root(
    connection: &mut SqliteConnection,
    root: &DataCid,
) -> Result<Vec<Commitment>, Error> {
    let single: Option<(String, bool)> = sqlx::query_as(
        "SELECT commitment, local FROM piece WHERE root = $1 AND part = 0 ORDER BY local DESC, commitment LIMIT 1",
    )
    .bind(root.to_string())
    .fetch_optional(&mut *connection)
    .await?;
    let single = single.map(|(text, local)| parse("commitment", &text).map(|piece| (piece, local)));
    let single: Option<(Commitment, bool)> = single.transpose()?;
    if let Some((piece, true)) = single {
        return Ok(vec![piece]);
    }
    let mut wholes = all(connection, root).await?;
    if let Some(local) = wholes.iter().position(|(is_local, _)| *is_local) {
        return Ok(wholes.swap_remove(local).1);
    }
    if let Some((piece, _)) = single {
        return Ok(vec![piece]);
    }
    Ok(wholes.into_iter().next().map(|(_, parts)| parts).unwrap_or_default())
}

/// All wholes of a root, oldest first: whether all parts are on the disk, and the parts.
async fn all(
    connection: &mut SqliteConnection,
    root: &DataCid,
) -> Result<Vec<(bool, Vec<Commitment>)>, Error> {
    let rows: Vec<(i64, String, bool)> = sqlx::query_as(
        "SELECT w.id, p.commitment, p.local FROM whole w JOIN whole_part wp ON wp.whole = w.id
         JOIN piece p ON p.commitment = wp.piece WHERE w.root = $1 ORDER BY w.id, wp.number",
    )
    .bind(root.to_string())
    .fetch_all(connection)
    .await?;
    let mut wholes: Vec<(i64, bool, Vec<Commitment>)> = Vec::new();
    for (id, piece, local) in rows {
        let piece = parse("commitment", &piece)?;
        match wholes.last_mut().filter(|(last, ..)| *last == id) {
            Some((_, all_local, parts)) => {
                *all_local &= local;
                parts.push(piece);
            }
            None => wholes.push((id, local, vec![piece])),
        }
    }
    Ok(wholes.into_iter().map(|(_, local, parts)| (local, parts)).collect())
}

async fn insert(
    connection: &mut SqliteConnection,
    root: &DataCid,
    parts: &[Commitment],
) -> Result<(), Error> {
    let whole: i64 = sqlx::query_scalar("INSERT INTO whole (root) VALUES ($1) RETURNING id")
        .bind(root.to_string())
        .fetch_one(&mut *connection)
        .await?;
    for (number, part) in (0_i64..).zip(parts) {
        sqlx::query("INSERT INTO whole_part (whole, number, piece) VALUES ($1, $2, $3)")
            .bind(whole)
            .bind(number)
            .bind(part.to_string())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Forgets every whole that no holding has and one of whose parts is to go: it is whole no more.
pub(super) async fn forget(connection: &mut SqliteConnection, piece: &str) -> Result<(), Error> {
    let gone: Vec<i64> = sqlx::query_scalar(
        "SELECT whole FROM whole_part g WHERE piece = $1 AND NOT EXISTS (SELECT 1 FROM whole_part wp
             JOIN holding_piece hp ON hp.piece = wp.piece WHERE wp.whole = g.whole)",
    )
    .bind(piece)
    .fetch_all(&mut *connection)
    .await?;
    for whole in gone {
        sqlx::query("DELETE FROM whole_part WHERE whole = $1").bind(whole).execute(&mut *connection).await?;
        sqlx::query("DELETE FROM whole WHERE id = $1").bind(whole).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Forgets the wholes of a root that no holding has and no pin keeps, before their pieces go.
pub(super) async fn forget_of_root(connection: &mut SqliteConnection, root: &DataCid) -> Result<(), Error> {
    let parts: Vec<String> = sqlx::query_scalar(
        "SELECT commitment FROM piece WHERE root = $1 AND part = 1
         AND NOT EXISTS (SELECT 1 FROM pin WHERE pin.cid = $1)",
    )
    .bind(root.to_string())
    .fetch_all(&mut *connection)
    .await?;
    for part in parts {
        forget(connection, &part).await?;
    }
    Ok(())
}

/// Gives a holding that has no bytes yet these, which are all there is under its CID.
pub(super) async fn link(
    connection: &mut SqliteConnection,
    holding: HoldingId,
    parts: &[Commitment],
) -> Result<Vec<Commitment>, Error> {
    let has: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM holding_piece WHERE holding = $1")
        .bind(int("holding", holding.0)?)
        .fetch_one(&mut *connection)
        .await?;
    if has > 0 {
        return Ok(Vec::new());
    }
    for part in parts {
        sqlx::query("INSERT INTO holding_piece (holding, piece) VALUES ($1, $2)")
            .bind(int("holding", holding.0)?)
            .bind(part.to_string())
            .execute(&mut *connection)
            .await?;
    }
    Ok(parts.to_vec())
}
