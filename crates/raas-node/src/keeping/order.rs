//! At start: the disk is what the store says, or the store is told.

use super::{Error, on_disk};
use crate::blocks::{Damage, PieceStore};
use crate::store::Store;
use raas_core::cid::Commitment;
use std::collections::BTreeMap;

/// Mends what is damaged, puts aside what cannot be mended, and notes what is gone. Nothing is hashed unless it is
/// damaged. What was found damaged.
pub async fn put_in_order(store: &Store, pieces: &PieceStore) -> Result<Vec<Damage>, Error> {
    let recorded: BTreeMap<Commitment, u64> = store
        .local_pieces()
        .await?
        .into_iter()
        .map(|stored| (stored.piece.commitment, stored.piece.car_bytes))
        .collect();
    let (on, wanted) = (pieces.clone(), recorded.clone());
    let damages = on_disk(move || on.repair(&wanted)).await?;
    for piece in recorded.into_keys().filter(|piece| !pieces.has(*piece)) {
        let damage = damages.iter().find(|damage| damage.piece == piece);
        let why = damage.map_or("its files are missing", |damage| damage.why.as_str());
        tracing::warn!(%piece, why, "a local copy is not here any more");
        store.lose_local(piece, why).await?;
    }
    Ok(damages)
}

/// Notes what was found damaged where it was opened, and put aside.
pub async fn note_aside(store: &Store, pieces: &PieceStore) -> Result<(), Error> {
    for (piece, why) in pieces.take_aside() {
        store.lose_local(piece, &why).await?;
    }
    Ok(())
}
