//! Getting local bytes back that were lost, and those of pins that never were here.

use super::{Error, on_disk};
use crate::blocks::PieceStore;
use crate::engine::Engine;
use crate::execute::bytes::{note, sources, words};
use crate::failpoint;
use crate::store::{NewPiece, StoredPiece};
use crate::world::World;
use raas_core::cid::{Commitment, DataCid};
use raas_core::holding::Holding;
use raas_core::ports::{Bytes, Clock, Imported};
use raas_piece::block::identity_bytes;
use std::collections::BTreeMap;

/// What became of bytes that are wanted here: by CID, `None` where they are back, else why not.
pub type Restored = BTreeMap<String, Option<String>>;

/// Tries once to get back every lost piece that a pin or a policy wants here, and the bytes of pins that have none. A
/// lost piece that nobody wants here is settled.
pub async fn restore<W: World>(engine: &Engine<W>, pieces: &PieceStore) -> Result<Restored, Error> {
    let mut restored = Restored::new();
    for piece in engine.store().lost_pieces().await? {
        if is_wanted(engine, piece).await? {
            restored.insert(piece.to_string(), from_providers(engine, piece).await?);
        } else {
            engine.store().give_up_lost(piece).await?;
        }
    }
    for cid in engine.store().pins_without_bytes().await? {
        let why = bring(engine, pieces, &cid).await?;
        restored.insert(cid.to_string(), why);
    }
    for (what, why) in &restored {
        match why {
            None => tracing::info!(what, "local bytes are back"),
            Some(why) => tracing::warn!(what, why, "local bytes are wanted and not here"),
        }
    }
    Ok(restored)
}

/// Whether a pin, or a policy that does not let the local copy go, wants the bytes here.
async fn is_wanted<W: World>(engine: &Engine<W>, piece: Commitment) -> Result<bool, Error> {
    let store = engine.store();
    let is_pinned =
        store.reasons(piece).await?.iter().any(|kept| matches!(kept, crate::store::Kept::Pin { .. }));
    let keeps = |holding: &Holding| {
        let policy = &holding.policy;
        holding.open && policy.keep_local.evict_at(policy.replicas.target).is_none()
    };
    Ok(is_pinned || store.holdings_of_piece(piece).await?.iter().any(keeps))
}

/// Gets the bytes of a pinned CID here, unless they are: from providers where its piece is known, else from gateways. `Some` says
/// why not.
pub async fn bring<W: World>(
    engine: &Engine<W>,
    pieces: &PieceStore,
    cid: &DataCid,
) -> Result<Option<String>, Error> {
    let store = engine.store();
    if identity_bytes(cid.cid()).is_some() {
        return Ok(None);
    }
    let known = match cid.commitment() {
        Some(commitment) => store.piece(commitment).await?.into_iter().collect(),
        None => store.pieces_of_root(cid).await?,
    };
    if !known.is_empty() {
        let why = all_from_providers(engine, &known).await?;
        if why.is_none() || cid.commitment().is_some() {
            return Ok(why);
        }
    } else if cid.commitment().is_some() {
        return Ok(Some("no such piece was ever here, and gateways know payload CIDs only".to_owned()));
    } else {
        let (on, root) = (pieces.clone(), *cid.cid());
        // No root of a piece, but it may be any block of one, with all that is below it.
        if let Some(within) = on_disk(move || on.pieces_under(root)).await? {
            store.set_pin_within(cid, &within).await?;
            return Ok(None);
        }
    }
    let piece_max = engine.piece_max().await?;
    match failpoint::around("fetch.bytes", engine.world().bytes().import(cid, piece_max)).await {
        Imported::Packed(packed) => {
            let pieces: Vec<NewPiece> = packed.into_iter().map(|part| NewPiece::of(cid, part)).collect();
            failpoint::around("fetch.record", store.record_pieces(&pieces)).await?;
            Ok(None)
        }
        Imported::Unavailable(why) => Ok(Some(why)),
        Imported::WrongBytes(why) => Ok(Some(format!("wrong bytes: {why}"))),
    }
}

/// Gets back every one of these that is not here. `Some` says why the first that does not come does not.
async fn all_from_providers<W: World>(
    engine: &Engine<W>,
    known: &[StoredPiece],
) -> Result<Option<String>, Error> {
    for known in known.iter().filter(|known| !known.local) {
        if let Some(why) = from_providers(engine, known.piece.commitment).await? {
            return Ok(Some(why));
        }
    }
    Ok(None)
}

/// Gets a piece back from whoever holds a copy. `Some` says why not.
async fn from_providers<W: World>(engine: &Engine<W>, piece: Commitment) -> Result<Option<String>, Error> {
    let Some(round) = engine.status().round else {
        return Ok(Some("the chain was not seen yet".to_owned()));
    };
    let now = engine.world().clock().now().await;
    let mut tried = Vec::new();
    for source in sources(engine, &round, piece).await? {
        let provider = source.provider.provider;
        let fetched = failpoint::around("serve.fetch", engine.world().bytes().fetch(&source)).await;
        if note(engine, &round, now, None, provider, "fetch", &fetched).await? {
            failpoint::around("deliver.local", engine.store().set_local(piece, true)).await?;
            failpoint::around("serve.record", engine.store().set_retrieved(piece, round.height)).await?;
            return Ok(None);
        }
        tried.push(format!("{provider}: {}", words(&fetched)));
    }
    Ok(Some(match tried.len() {
        0 => "no provider holds a proven copy".to_owned(),
        _ => format!("no provider gave the bytes: {}", tried.join("; ")),
    }))
}
