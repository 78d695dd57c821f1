//! Hashing local bytes again.

use super::{Error, on_disk};
use crate::blocks::{PieceStore, Scrubbed};
use crate::store::Store;
use raas_core::cid::Commitment;
use serde::Serialize;
use std::time::Duration;

/// What a look at every byte of a piece found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "found")]
pub enum Verified {
    /// It is its piece to the last byte.
    Sound,
    /// It is not: its files were put aside, and it is fetched back where a provider has it.
    Damaged {
        /// What is wrong.
        why: String,
    },
    /// It is not on the disk.
    Absent,
}

/// Hashes a piece again, at most so many bytes a second where a pace is given, and notes the outcome.
pub async fn verify(
    store: &Store,
    pieces: &PieceStore,
    piece: Commitment,
    now_unix: i64,
    pace: Option<u64>,
) -> Result<Verified, Error> {
    let on = pieces.clone();
    let Some(mut scrub) = on_disk(move || on.scrub(piece)).await? else {
        // It was here by the store's word, and is not.
        store.lose_local(piece, "its files are missing").await?;
        return Ok(Verified::Absent);
    };
    loop {
        let on = pieces.clone();
        match on_disk(move || on.scrub_on(scrub)).await? {
            Scrubbed::Part(on, bytes) => {
                scrub = on;
                if let Some(pace) = pace {
                    tokio::time::sleep(Duration::from_secs_f64(bytes as f64 / pace.max(1) as f64)).await;
                }
            }
            Scrubbed::Sound => {
                store.set_scrubbed(piece, now_unix).await?;
                return Ok(Verified::Sound);
            }
            Scrubbed::Damaged(why) => {
                store.lose_local(piece, &why).await?;
                return Ok(Verified::Damaged { why });
            }
        }
    }
}

/// Hashes again, at once, every piece at which a reader met what cannot be right.
pub async fn look_into(store: &Store, pieces: &PieceStore, now_unix: i64) -> Result<(), Error> {
    for piece in pieces.take_suspects() {
        let verified = verify(store, pieces, piece, now_unix, None).await?;
        tracing::warn!(%piece, ?verified, "a reader met bytes that cannot be right");
    }
    Ok(())
}
