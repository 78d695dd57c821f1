//! Getting local bytes back that were lost, and those of pins that never were here.

use super::Error;
use crate::engine::Engine;
use crate::execute::bytes::{note, sources, words};
use crate::failpoint;
use crate::store::NewPiece;
use crate::world::World;
use raas_core::cid::{Commitment, DataCid};
use raas_core::holding::Holding;
use raas_core::ports::{Bytes, Clock, Imported};
use std::collections::BTreeMap;

/// What became of bytes that are wanted here: by CID, `None` where they are back, else why not.
pub type Restored = BTreeMap<String, Option<String>>;

/// Tries once to get back every lost piece that a pin or a policy wants here, and the bytes of pins that have none. A
/// lost piece that nobody wants here is settled.
pub async fn restore<W: World>(engine: &Engine<W>) -> Result<Restored, Error> {
    let mut restored = Restored::new();
    for piece in engine.store().lost_pieces().await? {
        if is_wanted(engine, piece).await? {
            restored.insert(piece.to_string(), from_providers(engine, piece).await?);
        } else {
            engine.store().give_up_lost(piece).await?;
        }
    }
    for cid in engine.store().pins_without_bytes().await? {
        let why = bring(engine, &cid).await?;
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

/// Gets the bytes of a CID here, from providers where its piece is known, else from gateways. `Some` says why not.
pub async fn bring<W: World>(engine: &Engine<W>, cid: &DataCid) -> Result<Option<String>, Error> {
    let store = engine.store();
    let known = match cid.commitment() {
        Some(commitment) => store.piece(commitment).await?,
        None => store.piece_of_root(cid).await?,
    };
    if let Some(known) = known {
        if known.local {
            return Ok(None);
        }
        let why = from_providers(engine, known.piece.commitment).await?;
        if why.is_none() || cid.commitment().is_some() {
            return Ok(why);
        }
    } else if cid.commitment().is_some() {
        return Ok(Some("no such piece was ever here, and gateways know payload CIDs only".to_owned()));
    }
    match failpoint::around("fetch.bytes", engine.world().bytes().import(cid)).await {
        Imported::Packed(packed) => {
            let piece = NewPiece {
                root: cid.clone(),
                commitment: packed.commitment,
                size: packed.size,
                car_bytes: packed.car_bytes,
                payload_bytes: packed.payload_bytes,
            };
            failpoint::around("fetch.record", store.record_piece(&piece)).await?;
            Ok(None)
        }
        Imported::Unavailable(why) => Ok(Some(why)),
        Imported::WrongBytes(why) => Ok(Some(format!("wrong bytes: {why}"))),
    }
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
