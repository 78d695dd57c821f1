//! Aggregates of client pieces: what lies in them, in which order. Their bytes are those of the pieces.

use raas_core::cid::Commitment;
use raas_core::units::PaddedSize;
use sqlx::Row;

use super::error::Error;
use super::open::Store;
use super::orders::padded;
use super::schema::{int, parse, uint};

/// An aggregate as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAggregate {
    /// Its padded size.
    pub size: PaddedSize,
    /// Its pieces in their order.
    pub pieces: Vec<PieceIn>,
}

/// A piece in an aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PieceIn {
    /// The commitment.
    pub commitment: Commitment,
    /// Padded size.
    pub size: PaddedSize,
    /// Bytes of the CAR.
    pub car_bytes: u64,
}

impl Store {
    /// Stores an aggregate whose commitment the caller computed from these pieces in this order. Safe to repeat: an
    /// aggregate never changes. False, and nothing is stored, when a piece of it is not recorded.
    pub async fn put_aggregate(
        &self,
        commitment: Commitment,
        size: PaddedSize,
        pieces: &[Commitment],
    ) -> Result<bool, Error> {
        let mut tx = self.write().await?;
        let new =
            sqlx::query("INSERT INTO aggregate (commitment, size) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                .bind(commitment.to_string())
                .bind(int("aggregate size", size.get())?)
                .execute(&mut *tx)
                .await?;
        if new.rows_affected() == 0 {
            return Ok(true);
        }
        for (position, piece) in (0_i64..).zip(pieces) {
            let added = sqlx::query(
                "INSERT INTO aggregate_piece (aggregate, position, piece)
                 SELECT $1, $2, commitment FROM piece WHERE commitment = $3",
            )
            .bind(commitment.to_string())
            .bind(position)
            .bind(piece.to_string())
            .execute(&mut *tx)
            .await?;
            if added.rows_affected() == 0 {
                return Ok(false);
            }
        }
        tx.commit().await?;
        Ok(true)
    }

    /// One aggregate.
    pub async fn aggregate(&self, commitment: Commitment) -> Result<Option<StoredAggregate>, Error> {
        let mut tx = self.snapshot().await?;
        let size: Option<i64> = sqlx::query_scalar("SELECT size FROM aggregate WHERE commitment = $1")
            .bind(commitment.to_string())
            .fetch_optional(&mut *tx)
            .await?;
        let Some(size) = size else { return Ok(None) };
        let rows = sqlx::query(
            "SELECT p.commitment, p.size, p.car_bytes FROM aggregate_piece a JOIN piece p ON p.commitment = a.piece
             WHERE a.aggregate = $1 ORDER BY a.position",
        )
        .bind(commitment.to_string())
        .fetch_all(&mut *tx)
        .await?;
        let mut pieces = Vec::with_capacity(rows.len());
        for row in &rows {
            pieces.push(PieceIn {
                commitment: parse("commitment", row.try_get("commitment")?)?,
                size: padded(row.try_get("size")?)?,
                car_bytes: uint("CAR bytes", row.try_get("car_bytes")?)?,
            });
        }
        Ok(Some(StoredAggregate { size: padded(size)?, pieces }))
    }
}
