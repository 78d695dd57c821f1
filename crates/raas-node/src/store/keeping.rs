//! What keeps local bytes alive, derived from the rows that say so: jobs, orders under way, pins, uploads. And what is
//! known of the bytes' health: lost, hashed again.

use raas_core::cid::{Commitment, DataCid};
use raas_core::ids::OwnerId;
use raas_piece::block::identity_bytes;
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use std::collections::BTreeSet;

use super::error::Error;
use super::events::{Happened, log};
use super::open::Store;
use super::schema::{int, parse, uint};
use super::types::StoredPiece;
use super::{pieces, wholes};

/// Whether anything keeps the piece of the row `p`, one reason after the other. Bytes of an order are needed until its
/// provider has them, as in the rule that gives local copies away. An aggregate cannot be bought again without any of its
/// pieces, whoever else has no use for one.
macro_rules! kept {
    () => {
        "(EXISTS (SELECT 1 FROM holding_piece hp JOIN job j ON j.holding = hp.holding
                  WHERE hp.piece = p.commitment AND j.open = 1)
          OR EXISTS (SELECT 1 FROM holding h JOIN job j ON j.holding = h.id WHERE h.cid = p.root AND j.open = 1)
          OR EXISTS (SELECT 1 FROM orders o WHERE o.piece = p.commitment AND o.closed = 0
                     AND o.state_name IN ('planned', 'signed', 'delivered', 'accepted', 'hedged'))
          OR EXISTS (SELECT 1 FROM aggregate_piece a JOIN orders o ON o.within = a.aggregate
                     WHERE a.piece = p.commitment AND o.closed = 0
                     AND o.state_name IN ('planned', 'signed', 'delivered', 'accepted', 'hedged'))
          OR EXISTS (SELECT 1 FROM aggregate_piece a JOIN holding_piece hp ON hp.aggregate = a.aggregate
                     JOIN job j ON j.holding = hp.holding WHERE a.piece = p.commitment AND j.open = 1)
          OR EXISTS (SELECT 1 FROM pin WHERE pin.cid = p.root OR pin.cid = p.commitment)
          OR EXISTS (SELECT 1 FROM pin_within w JOIN pin ON pin.cid = w.cid WHERE w.piece = p.commitment)
          OR EXISTS (SELECT 1 FROM upload u WHERE u.root = p.root
                     AND json_extract(u.state, '$.d.state') NOT IN ('registered', 'refused')))"
    };
}

/// Whether all bytes of the row `pin` are on the disk: in one piece, or in all parts of a whole.
macro_rules! pin_is_local {
    () => {
        "(EXISTS (SELECT 1 FROM piece p WHERE p.root = pin.cid AND p.part = 0 AND p.local = 1)
          OR EXISTS (SELECT 1 FROM piece p WHERE p.commitment = pin.cid AND p.local = 1)
          OR (EXISTS (SELECT 1 FROM pin_within w WHERE w.cid = pin.cid)
              AND NOT EXISTS (SELECT 1 FROM pin_within w LEFT JOIN piece p ON p.commitment = w.piece
                              WHERE w.cid = pin.cid AND COALESCE(p.local, 0) = 0))
          OR EXISTS (SELECT 1 FROM whole w WHERE w.root = pin.cid AND NOT EXISTS (SELECT 1 FROM whole_part wp
                     JOIN piece p ON p.commitment = wp.piece WHERE wp.whole = w.id AND p.local = 0)))"
    };
}

/// Whether there is anything to collect of the row `p`: bytes, or a row that no other refers to.
macro_rules! collectable {
    () => {
        "(p.local = 1 OR NOT (EXISTS (SELECT 1 FROM holding_piece hp WHERE hp.piece = p.commitment)
          OR EXISTS (SELECT 1 FROM aggregate_piece a WHERE a.piece = p.commitment)
          OR EXISTS (SELECT 1 FROM whole_part wp JOIN holding_piece hp ON hp.piece = wp.piece
                     WHERE wp.whole IN (SELECT whole FROM whole_part WHERE piece = p.commitment))))"
    };
}

/// A payload or piece that a user wants kept here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Pin {
    /// Its number, for pages.
    pub seq: u64,
    /// Whose.
    #[schemars(with = "String")]
    pub owner: OwnerId,
    /// What.
    #[schemars(with = "String")]
    pub cid: DataCid,
    /// Whether its bytes are on the disk.
    pub local: bool,
}

/// Why a piece is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "by")]
#[schemars(rename = "KeptBy")]
pub enum Kept {
    /// An open job.
    Job {
        /// Its number.
        id: u64,
    },
    /// An order whose provider does not have the bytes yet.
    Order {
        /// Its number.
        id: u64,
    },
    /// A pin.
    Pin {
        /// Of what.
        cid: String,
    },
    /// An upload that is not answered yet.
    Upload {
        /// Its name.
        id: String,
    },
}

/// A piece that nothing keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Spare {
    /// Which.
    #[schemars(with = "String")]
    pub piece: Commitment,
    /// Bytes of its CAR on the disk; 0 when only a row is left.
    pub bytes: u64,
    /// Since when, seconds since 1970; by the clock of decisions.
    pub since_unix: i64,
}

/// A piece and how its bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelved {
    /// The piece.
    pub stored: StoredPiece,
    /// Why its bytes are gone, where nobody gave them away.
    pub lost: Option<String>,
    /// When they were last hashed again, seconds since 1970.
    pub scrubbed_unix: Option<i64>,
}

/// All local bytes in a few numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Shelves {
    /// Pieces on the disk.
    pub pieces: u64,
    /// Bytes of their CARs.
    pub bytes: u64,
    /// Pieces whose bytes were damaged or went missing and are not back yet.
    pub lost: u64,
    /// Pieces that were not hashed again since they came.
    pub never_scrubbed: u64,
}

impl Store {
    /// Notes that the bytes of a piece are damaged or went missing. Safe to repeat.
    pub async fn lose_local(&self, piece: Commitment, why: &str) -> Result<(), Error> {
        let mut tx = self.write().await?;
        let changed =
            sqlx::query("UPDATE piece SET local = 0, lost = $2 WHERE commitment = $1 AND local = 1")
                .bind(piece.to_string())
                .bind(why)
                .execute(&mut *tx)
                .await?;
        if changed.rows_affected() > 0 {
            let what = Happened::LocalCopy { piece, present: false };
            for holding in pieces::of_piece(&mut tx, piece).await? {
                log(&mut tx, Some(holding), None, &what).await?;
            }
        }
        tx.commit().await?;
        Ok(())
    }

    /// The pieces whose bytes are lost, oldest recorded first.
    pub async fn lost_pieces(&self) -> Result<Vec<Commitment>, Error> {
        let all: Vec<String> =
            sqlx::query_scalar("SELECT commitment FROM piece WHERE lost IS NOT NULL ORDER BY rowid")
                .fetch_all(&mut *self.read().await?)
                .await?;
        all.iter().map(|text| parse("commitment", text)).collect()
    }

    /// Settles that lost bytes are not to come back: nobody wants them here.
    pub async fn give_up_lost(&self, piece: Commitment) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE piece SET lost = NULL WHERE commitment = $1")
            .bind(piece.to_string())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Keeps `cid` for `owner`; false when it was kept already.
    pub async fn pin(&self, owner: &OwnerId, cid: &DataCid) -> Result<bool, Error> {
        let mut tx = self.write().await?;
        let pinned = insert_pin(&mut tx, owner, cid, false).await?;
        tx.commit().await?;
        Ok(pinned)
    }

    /// Keeps it no longer; false when it was not kept.
    pub async fn unpin(&self, owner: &OwnerId, cid: &DataCid) -> Result<bool, Error> {
        let mut tx = self.write().await?;
        let removed = sqlx::query("DELETE FROM pin WHERE owner = $1 AND cid = $2")
            .bind(&owner.0)
            .bind(cid.to_string())
            .execute(&mut *tx)
            .await?;
        sqlx::query("DELETE FROM pin_within WHERE cid = $1 AND cid NOT IN (SELECT cid FROM pin)")
            .bind(cid.to_string())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(removed.rows_affected() > 0)
    }

    /// Notes which pieces hold everything under a block that is pinned: they are kept for it.
    pub async fn set_pin_within(&self, cid: &DataCid, pieces: &BTreeSet<Commitment>) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query("DELETE FROM pin_within WHERE cid = $1").bind(cid.to_string()).execute(&mut *tx).await?;
        for piece in pieces {
            sqlx::query("INSERT INTO pin_within (cid, piece) VALUES ($1, $2)")
                .bind(cid.to_string())
                .bind(piece.to_string())
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Pins in order of their numbers, `limit` after `after`.
    pub async fn pins(&self, owner: Option<&OwnerId>, after: u64, limit: u32) -> Result<Vec<Pin>, Error> {
        let rows = sqlx::query(concat!(
            "SELECT seq, owner, cid, ",
            pin_is_local!(),
            " AS local FROM pin WHERE seq > $1 AND owner = COALESCE($3, owner) ORDER BY seq LIMIT $2"
        ))
        .bind(int("pin", after)?)
        .bind(limit)
        .bind(owner.map(|owner| &owner.0))
        .fetch_all(&mut *self.read().await?)
        .await?;
        let pin = |row: &SqliteRow| {
            Ok(Pin {
                seq: uint("pin", row.try_get("seq")?)?,
                owner: OwnerId(row.try_get("owner")?),
                cid: parse("CID", row.try_get("cid")?)?,
                local: row.try_get("local")?,
            })
        };
        // What a CID carries itself is always here.
        let carried = |pin: Pin| Pin { local: pin.local || identity_bytes(pin.cid.cid()).is_some(), ..pin };
        rows.iter().map(|row| pin(row).map(carried)).collect()
    }

    /// Pinned CIDs of which no bytes are on the disk.
    pub async fn pins_without_bytes(&self) -> Result<Vec<DataCid>, Error> {
        let all: Vec<String> = sqlx::query_scalar(concat!(
            "SELECT DISTINCT cid FROM pin WHERE NOT ",
            pin_is_local!(),
            " ORDER BY cid"
        ))
        .fetch_all(&mut *self.read().await?)
        .await?;
        let all: Vec<DataCid> = all.iter().map(|text| parse("CID", text)).collect::<Result<_, _>>()?;
        Ok(all.into_iter().filter(|cid| identity_bytes(cid.cid()).is_none()).collect())
    }

    /// What keeps a piece.
    pub async fn reasons(&self, piece: Commitment) -> Result<Vec<Kept>, Error> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT 'job', CAST(j.id AS TEXT) FROM piece p JOIN holding_piece hp ON hp.piece = p.commitment
                 JOIN job j ON j.holding = hp.holding WHERE p.commitment = $1 AND j.open = 1
             UNION SELECT 'job', CAST(j.id AS TEXT) FROM piece p JOIN holding h ON h.cid = p.root
                 JOIN job j ON j.holding = h.id WHERE p.commitment = $1 AND j.open = 1
             UNION SELECT 'job', CAST(j.id AS TEXT) FROM aggregate_piece a JOIN holding_piece hp
                 ON hp.aggregate = a.aggregate JOIN job j ON j.holding = hp.holding WHERE a.piece = $1 AND j.open = 1
             UNION SELECT 'order', CAST(o.id AS TEXT) FROM orders o WHERE o.piece = $1 AND o.closed = 0
                 AND o.state_name IN ('planned', 'signed', 'delivered', 'accepted', 'hedged')
             UNION SELECT 'order', CAST(o.id AS TEXT) FROM aggregate_piece a JOIN orders o ON o.within = a.aggregate
                 WHERE a.piece = $1 AND o.closed = 0
                 AND o.state_name IN ('planned', 'signed', 'delivered', 'accepted', 'hedged')
             UNION SELECT 'pin', pin.cid FROM piece p JOIN pin ON pin.cid IN (p.root, p.commitment)
                 WHERE p.commitment = $1
             UNION SELECT 'pin', pin.cid FROM pin_within w JOIN pin ON pin.cid = w.cid WHERE w.piece = $1
             UNION SELECT 'upload', u.id FROM piece p JOIN upload u ON u.root = p.root WHERE p.commitment = $1
                 AND json_extract(u.state, '$.d.state') NOT IN ('registered', 'refused')
             ORDER BY 1, 2",
        )
        .bind(piece.to_string())
        .fetch_all(&mut *self.read().await?)
        .await?;
        let kept = |(by, what): (String, String)| {
            Ok(match by.as_str() {
                "job" => Kept::Job { id: parse("job", &what)? },
                "order" => Kept::Order { id: parse("order", &what)? },
                "pin" => Kept::Pin { cid: what },
                _ => Kept::Upload { id: what },
            })
        };
        rows.into_iter().map(kept).collect()
    }

    /// Marks since when pieces are spare, and those that something keeps again as not; then the spare ones, longest
    /// spare first.
    pub async fn mark_spare(&self, now_unix: i64) -> Result<Vec<Spare>, Error> {
        let mut tx = self.write().await?;
        sqlx::query(concat!(
            "UPDATE piece AS p SET spare_unix = NULL WHERE spare_unix IS NOT NULL AND ",
            kept!()
        ))
        .execute(&mut *tx)
        .await?;
        sqlx::query(concat!(
            "UPDATE piece AS p SET spare_unix = $1 WHERE spare_unix IS NULL AND ",
            collectable!(),
            " AND NOT ",
            kept!()
        ))
        .bind(now_unix)
        .execute(&mut *tx)
        .await?;
        let rows = sqlx::query(concat!(
            "SELECT commitment, car_bytes * local AS bytes, spare_unix FROM piece p WHERE spare_unix IS NOT NULL AND ",
            collectable!(),
            " ORDER BY spare_unix, commitment"
        ))
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        let spare = |row: &SqliteRow| {
            Ok(Spare {
                piece: parse("commitment", row.try_get("commitment")?)?,
                bytes: uint("CAR bytes", row.try_get("bytes")?)?,
                since_unix: row.try_get("spare_unix")?,
            })
        };
        rows.iter().map(spare).collect()
    }

    /// Whether nothing keeps a piece now; false for one that is not known.
    pub async fn is_spare(&self, piece: Commitment) -> Result<bool, Error> {
        let spare: Option<bool> =
            sqlx::query_scalar(concat!("SELECT NOT ", kept!(), " FROM piece p WHERE commitment = $1"))
                .bind(piece.to_string())
                .fetch_optional(&mut *self.read().await?)
                .await?;
        Ok(spare.unwrap_or(false))
    }

    /// Notes that the bytes of a spare piece were deleted, and drops its row unless another refers to it.
    pub async fn forget_piece(&self, piece: Commitment) -> Result<(), Error> {
        let mut tx = self.write().await?;
        let text = piece.to_string();
        sqlx::query("UPDATE piece SET local = 0, lost = NULL, spare_unix = NULL WHERE commitment = $1")
            .bind(&text)
            .execute(&mut *tx)
            .await?;
        wholes::forget(&mut tx, &text).await?;
        sqlx::query(
            "DELETE FROM piece WHERE commitment = $1
             AND NOT EXISTS (SELECT 1 FROM holding_piece WHERE piece = $1)
             AND NOT EXISTS (SELECT 1 FROM order_slot WHERE piece = $1)
             AND NOT EXISTS (SELECT 1 FROM aggregate_piece WHERE piece = $1)
             AND NOT EXISTS (SELECT 1 FROM whole_part WHERE piece = $1)",
        )
        .bind(&text)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// The local piece that was hashed longest ago, if that is before `before_unix`; one that never was comes first.
    pub async fn next_to_scrub(&self, before_unix: i64) -> Result<Option<StoredPiece>, Error> {
        let sql = pieces::piece_sql!(
            "WHERE local = 1 AND (scrubbed_unix IS NULL OR scrubbed_unix < $1)
             ORDER BY scrubbed_unix NULLS FIRST, commitment LIMIT 1"
        );
        let row = sqlx::query(sql).bind(before_unix).fetch_optional(&mut *self.read().await?).await?;
        row.as_ref().map(pieces::decode).transpose()
    }

    /// Notes that the bytes were hashed again and are right.
    pub async fn set_scrubbed(&self, piece: Commitment, now_unix: i64) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE piece SET scrubbed_unix = $2 WHERE commitment = $1")
            .bind(piece.to_string())
            .bind(now_unix)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Pieces in order of their commitments' texts, `limit` after `after`.
    pub async fn shelved(&self, after: &str, limit: u32) -> Result<Vec<Shelved>, Error> {
        let rows = sqlx::query(
            "SELECT commitment, root, size, car_bytes, payload_bytes, local, retrieved_at, lost, scrubbed_unix
             FROM piece WHERE commitment > $1 ORDER BY commitment LIMIT $2",
        )
        .bind(after)
        .bind(limit)
        .fetch_all(&mut *self.read().await?)
        .await?;
        let shelved = |row: &SqliteRow| {
            Ok(Shelved {
                stored: pieces::decode(row)?,
                lost: row.try_get("lost")?,
                scrubbed_unix: row.try_get("scrubbed_unix")?,
            })
        };
        rows.iter().map(shelved).collect()
    }

    /// All local bytes in a few numbers.
    pub async fn shelves(&self) -> Result<Shelves, Error> {
        let (pieces, bytes, lost, never): (i64, i64, i64, i64) = sqlx::query_as(
            "SELECT COALESCE(SUM(local), 0), COALESCE(SUM(local * car_bytes), 0),
                 COUNT(lost), COALESCE(SUM(local AND scrubbed_unix IS NULL), 0) FROM piece",
        )
        .fetch_one(&mut *self.read().await?)
        .await?;
        Ok(Shelves {
            pieces: uint("pieces", pieces)?,
            bytes: uint("CAR bytes", bytes)?,
            lost: uint("pieces", lost)?,
            never_scrubbed: uint("pieces", never)?,
        })
    }
}

/// Keeps `cid` for `owner` inside the caller's transaction, because of an upload without a job or of a wish; false when it
/// was kept so already.
pub(super) async fn insert_pin(
    connection: &mut SqliteConnection,
    owner: &OwnerId,
    cid: &DataCid,
    by_upload: bool,
) -> Result<bool, Error> {
    let inserted = sqlx::query(
        "INSERT INTO pin (owner, cid, by_upload) VALUES ($1, $2, $3)
         ON CONFLICT (cid, owner) DO UPDATE SET by_upload = 0 WHERE by_upload > excluded.by_upload",
    )
    .bind(&owner.0)
    .bind(cid.to_string())
    .bind(by_upload)
    .execute(connection)
    .await?;
    Ok(inserted.rows_affected() > 0)
}

/// A job of `cid` says what is kept, in the place of an upload.
pub(super) async fn job_takes_over(
    connection: &mut SqliteConnection,
    owner: &OwnerId,
    cid: &DataCid,
) -> Result<(), Error> {
    sqlx::query("DELETE FROM pin WHERE owner = $1 AND cid = $2 AND by_upload = 1")
        .bind(&owner.0)
        .bind(cid.to_string())
        .execute(connection)
        .await?;
    Ok(())
}
