//! Collecting local bytes that nothing keeps.

use super::{Error, on_disk};
use crate::blocks::PieceStore;
use crate::failpoint;
use crate::store::{Spare, Store};
use serde::Serialize;

/// What was collected, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// The pieces, longest spare first.
    pub pieces: Vec<Spare>,
    /// Bytes of their CARs.
    pub bytes: u64,
    /// Pieces that nothing keeps, but not for long enough.
    pub too_new: u64,
}

/// Deletes the bytes of every piece that nothing has kept for `grace_seconds`. A dry run only tells. Killed at any point
/// it has deleted bytes that nothing kept, and the next start notes them as gone.
pub async fn collect(
    store: &Store,
    pieces: &PieceStore,
    now_unix: i64,
    grace_seconds: i64,
    dry_run: bool,
) -> Result<Collected, Error> {
    let mut collected = Collected::default();
    for spare in store.mark_spare(now_unix).await? {
        if spare.since_unix.saturating_add(grace_seconds) > now_unix {
            collected.too_new += 1;
            continue;
        }
        if dry_run || delete(store, pieces, spare).await? {
            collected.bytes += spare.bytes;
            collected.pieces.push(spare);
        }
    }
    if !dry_run && !collected.pieces.is_empty() {
        let (pieces, bytes) = (collected.pieces.len(), collected.bytes);
        tracing::info!(pieces, bytes, "local bytes that nothing kept were deleted");
    }
    Ok(collected)
}

/// Deletes one piece; false when something keeps it by now. The claim comes before the question, so that bytes that
/// arrive in between are recorded before they are asked about.
async fn delete(store: &Store, pieces: &PieceStore, spare: Spare) -> Result<bool, Error> {
    let Some(claim) = pieces.claim(spare.piece) else { return Ok(false) };
    if !store.is_spare(spare.piece).await? {
        return Ok(false);
    }
    let on = pieces.clone();
    let claim =
        failpoint::around("gc.delete", on_disk(move || on.remove_claimed(&claim).map(|()| claim))).await?;
    store.forget_piece(spare.piece).await?;
    drop(claim);
    Ok(true)
}
