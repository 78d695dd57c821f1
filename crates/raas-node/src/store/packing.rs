//! Packing: small pieces of many holdings become an aggregate, which their copies are bought in from then on. Each has its
//! proof of inclusion in the same transaction.

use raas_clients::inclusion;
use raas_core::cid::{Commitment, DataCid};
use raas_core::ids::{HoldingId, OrderId};
use raas_core::pack::Member;
use raas_core::policy::Policy;
use raas_core::units::{Epoch, Epochs, PaddedSize};
use sqlx::{Connection, SqliteConnection};

use super::error::Error;
use super::events::{Happened, log};
use super::open::Store;
use super::orders::padded;
use super::schema::{POLICY, int, parse};
use super::types::{Committed, Refusal};

impl Store {
    /// The proof, in CBOR, that a piece is in an aggregate that this node packed; `None` where none is stored. Of a piece that
    /// lies there more than once, that of its first place.
    pub async fn inclusion(
        &self,
        aggregate: Commitment,
        piece: Commitment,
    ) -> Result<Option<Vec<u8>>, Error> {
        proof(&mut *self.read().await?, aggregate, piece).await
    }

    /// Which aggregates a piece lies in, with their sizes.
    pub async fn aggregates_of(&self, piece: Commitment) -> Result<Vec<(Commitment, PaddedSize)>, Error> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT DISTINCT a.commitment, a.size FROM aggregate_piece p JOIN aggregate a ON a.commitment = p.aggregate
             WHERE p.piece = $1 ORDER BY a.commitment",
        )
        .bind(piece.to_string())
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.into_iter().map(|(text, size)| Ok((parse("commitment", &text)?, padded(size)?))).collect()
    }

    /// The shortest start delay among the open jobs that an order is for; `None` where none is open.
    pub async fn start_delay(&self, order: OrderId) -> Result<Option<Epochs>, Error> {
        let policies: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT policy FROM job WHERE open = 1 AND policy_known = 1
             AND holding IN (SELECT holding FROM order_slot WHERE order_id = $1)",
        )
        .bind(int("order", order.0)?)
        .fetch_all(&mut *self.read().await?)
        .await?;
        let mut shortest: Option<Epochs> = None;
        for policy in policies {
            let delay = POLICY.decode::<Policy>(&policy)?.start_delay;
            shortest = Some(shortest.map_or(delay, |known| known.min(delay)));
        }
        Ok(shortest)
    }

    /// The CID of a holding whose copies are bought in `aggregate`: its deals are found under that name.
    pub async fn cid_packed_in(&self, aggregate: Commitment) -> Result<Option<DataCid>, Error> {
        let cid: Option<String> = sqlx::query_scalar(
            "SELECT h.cid FROM holding_piece hp JOIN holding h ON h.id = hp.holding WHERE hp.aggregate = $1
             ORDER BY h.id LIMIT 1",
        )
        .bind(aggregate.to_string())
        .fetch_optional(&mut *self.read().await?)
        .await?;
        cid.map(|cid| parse("CID", &cid)).transpose()
    }
}

/// As [`Store::inclusion`].
pub(super) async fn proof(
    connection: &mut SqliteConnection,
    aggregate: Commitment,
    piece: Commitment,
) -> Result<Option<Vec<u8>>, Error> {
    let proof: Option<Option<Vec<u8>>> = sqlx::query_scalar(
        "SELECT proof FROM aggregate_piece WHERE aggregate = $1 AND piece = $2 ORDER BY position LIMIT 1",
    )
    .bind(aggregate.to_string())
    .bind(piece.to_string())
    .fetch_optional(connection)
    .await?;
    Ok(proof.flatten())
}

/// Whether the copies of a holding's piece are bought in `aggregate`.
pub(super) async fn is_packed(
    connection: &mut SqliteConnection,
    (holding, piece): (HoldingId, Commitment),
    aggregate: Commitment,
) -> Result<bool, Error> {
    let count: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM holding_piece WHERE holding = $1 AND piece = $2 AND aggregate = $3",
    )
    .bind(int("holding", holding.0)?)
    .bind(piece.to_string())
    .bind(aggregate.to_string())
    .fetch_one(connection)
    .await?;
    Ok(count > 0)
}

/// Packs `members`, which are in their order, equal pieces side by side.
pub(super) async fn pack(
    connection: &mut SqliteConnection,
    size: PaddedSize,
    members: &[Member],
    at: Epoch,
) -> Result<Committed, Error> {
    for member in members {
        let packed: Option<Option<String>> =
            sqlx::query_scalar("SELECT aggregate FROM holding_piece WHERE holding = $1 AND piece = $2")
                .bind(int("holding", member.holding.0)?)
                .bind(member.piece.to_string())
                .fetch_optional(&mut *connection)
                .await?;
        match packed {
            Some(None) => {}
            Some(Some(_)) => return Ok(Committed::Refused(Refusal::Already)),
            None => return Ok(Committed::Refused(Refusal::Changed)),
        }
    }
    let mut pieces: Vec<(Commitment, PaddedSize)> =
        members.iter().map(|member| (member.piece, member.size)).collect();
    pieces.dedup();
    let made = match inclusion::packed(size, &pieces) {
        Ok(made) => made,
        Err(error) => {
            tracing::error!(%error, "pieces that were to be packed do not fit together");
            return Ok(Committed::Refused(Refusal::Changed));
        }
    };
    let aggregate = Commitment(*made.piece().commitment().as_bytes());
    let mut savepoint = connection.begin().await?;
    sqlx::query("INSERT INTO aggregate (commitment, size) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(aggregate.to_string())
        .bind(int("aggregate size", size.get())?)
        .execute(&mut *savepoint)
        .await?;
    for ((position, (piece, _)), proof) in (0_i64..).zip(&pieces).zip(made.proofs()) {
        // The same pieces in the same order may have been put together before, without proofs.
        sqlx::query(
            "INSERT INTO aggregate_piece (aggregate, position, piece, proof) VALUES ($1, $2, $3, $4)
             ON CONFLICT DO UPDATE SET proof = excluded.proof",
        )
        .bind(aggregate.to_string())
        .bind(position)
        .bind(piece.to_string())
        .bind(proof.to_cbor())
        .execute(&mut *savepoint)
        .await?;
    }
    for member in members {
        sqlx::query("UPDATE holding_piece SET aggregate = $3 WHERE holding = $1 AND piece = $2")
            .bind(int("holding", member.holding.0)?)
            .bind(member.piece.to_string())
            .bind(aggregate.to_string())
            .execute(&mut *savepoint)
            .await?;
        let packed = Happened::PiecePacked { piece: member.piece, aggregate };
        log(&mut savepoint, Some(member.holding), Some(at), &packed).await?;
    }
    savepoint.commit().await?;
    Ok(Committed::Packed(aggregate))
}
