//! What a process that died left behind: put in order before the next one begins.

use crate::blocks::PieceStore;
use crate::store::{self, Store};
use raas_core::cid::Commitment;
use std::collections::BTreeSet;
use std::io;

/// Drops what an earlier process left on the disk and nobody owns: uploads that it did not answer, and files that it had
/// not recorded. The inner error is the disk's.
pub async fn clean(store: &Store, pieces: &PieceStore) -> Result<io::Result<()>, store::Error> {
    let uploads = store.abandon_uploads().await?;
    let recorded = store.recorded_pieces().await?;
    let files = match pieces.sweep(|piece| recorded.contains(&piece)) {
        Ok(files) => files,
        Err(error) => return Ok(Err(error)),
    };
    if uploads + files > 0 {
        tracing::warn!(uploads, files, "dropped what an earlier process left unfinished");
    }
    Ok(Ok(()))
}

/// A process that died between a fetch and its note left bytes that count as given away. They are noted now, so that
/// the rules can give them away once more.
pub async fn note_strays(store: &Store, kept: Vec<Commitment>) -> Result<(), store::Error> {
    let noted: BTreeSet<Commitment> =
        store.local_pieces().await?.iter().map(|stored| stored.piece.commitment).collect();
    for stray in kept.into_iter().filter(|piece| !noted.contains(piece)) {
        store.set_local(stray, true).await?;
    }
    Ok(())
}
