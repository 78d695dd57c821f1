//! Bytes: gets pieces back from providers, imports payloads, shows that providers serve, deletes local copies.
//!
//! Nothing is kept or served that was not verified against its commitment or CID by the port.

use super::again;
use crate::engine::{Engine, Error};
use crate::failpoint;
use crate::store::{Attempt, NewPiece, StepOutcome, StoredOrder};
use crate::world::World;
use raas_clients::inclusion;
use raas_core::cid::Commitment;
use raas_core::health::Health;
use raas_core::holding::{Holding, PieceSlots};
use raas_core::ids::{HoldingId, ProviderId};
use raas_core::observation::{DealSeen, Round, SectorSeen, TermSeen};
use raas_core::order::ReplicaRef;
use raas_core::ports::{Bytes, Chain, Effect, Enclosed, Fetched, Imported, Now, PieceSource};
use raas_core::retry::Class;
use std::collections::BTreeSet;

/// What `stored` buys on the local disk, fetched from providers if need be: its piece, or all of its aggregate. `Some` says
/// why not.
pub async fn ensure_local<W: World>(
    engine: &Engine<W>,
    round: &Round,
    now: Now,
    stored: &StoredOrder,
) -> Result<Option<String>, Error> {
    let aggregate = match stored.order.within {
        Some(within) => engine.store.aggregate(within.aggregate).await?,
        None => None,
    };
    let Some(aggregate) = aggregate else {
        return ensure_piece(engine, round, now, stored.holding, stored.order.piece).await;
    };
    for piece in aggregate.pieces {
        if let Some(why) = ensure_piece(engine, round, now, stored.holding, piece.commitment).await? {
            return Ok(Some(format!("{} of the aggregate: {why}", piece.commitment)));
        }
    }
    Ok(None)
}

async fn ensure_piece<W: World>(
    engine: &Engine<W>,
    round: &Round,
    now: Now,
    holding: HoldingId,
    piece: Commitment,
) -> Result<Option<String>, Error> {
    if engine.world.bytes().has(piece).await {
        // A reader may have fetched it for one answer: from now on it is kept.
        if engine.store.piece(piece).await?.is_some_and(|known| !known.local) {
            failpoint::around("deliver.local", engine.store.set_local(piece, true)).await?;
        }
        // Unless that reader removed it before this was noted.
        if engine.world.bytes().has(piece).await {
            return Ok(None);
        }
    }
    let mut tried = Vec::new();
    for source in sources(engine, round, piece).await? {
        let provider = source.provider.provider;
        let fetched = failpoint::around("deliver.fetch", engine.world.bytes().fetch(&source)).await;
        if note(engine, round, now, Some(holding), provider, "fetch", &fetched).await? {
            failpoint::around("deliver.local", engine.store.set_local(piece, true)).await?;
            failpoint::around("deliver.local", engine.store.set_retrieved(piece, round.height)).await?;
            return Ok(None);
        }
        tried.push(format!("{provider}: {}", words(&fetched)));
    }
    Ok(Some(match tried.len() {
        0 => "the bytes are not here and no provider holds a proven copy".to_owned(),
        _ => format!("no source gave the bytes: {}", tried.join("; ")),
    }))
}

/// Providers with a copy of `piece`, proven ones first, and last of all those that failed lately, as by wrong bytes.
pub async fn sources<W: World>(
    engine: &Engine<W>,
    round: &Round,
    piece: Commitment,
) -> Result<Vec<PieceSource>, Error> {
    let Some(known) = engine.store.piece(piece).await? else { return Ok(Vec::new()) };
    let NewPiece { size, car_bytes, .. } = known.piece;
    let is_part = engine.store.is_part(piece).await?;
    let failed: BTreeSet<ProviderId> = engine
        .store
        .providers()
        .await?
        .into_iter()
        .filter(|provider| provider.backs_off_until.is_some_and(|until| round.head < until))
        .map(|provider| provider.on_chain.provider)
        .collect();
    let mut copies: Vec<(bool, u8, ProviderId, Option<Commitment>)> = engine
        .store
        .orders_of_piece(piece)
        .await?
        .iter()
        .filter(|stored| stored.order.state.is_active())
        .filter_map(|stored| {
            let rank = match stored.order.state.on_chain()?.health.health {
                Health::Proven => 0,
                Health::Suspect => 1,
                _ => 2,
            };
            let within = stored.order.within.map(|within| within.aggregate);
            let provider = stored.order.provider;
            Some((failed.contains(&provider), rank, provider, within))
        })
        .collect();
    copies.sort_unstable();
    copies.dedup_by_key(|(_, _, provider, _)| *provider);
    let mut sources = Vec::new();
    for (_, _, provider, aggregate) in copies {
        if let Ok(provider) = engine.world.chain().provider(round, provider).await {
            let within = match aggregate {
                // Alone it lies at the beginning, and no proof is stored.
                Some(aggregate) => {
                    let proof = engine.store.inclusion(aggregate, piece).await?;
                    let start = proof.map_or(Some(0), |proof| inclusion::start(&proof, size));
                    let unreadable = || Error::Unreadable {
                        what: "proof of inclusion",
                        why: format!("of {piece} in {aggregate}"),
                    };
                    Some(Enclosed { aggregate, start: start.ok_or_else(unreadable)?, car_bytes })
                }
                None => None,
            };
            sources.push(PieceSource { provider, piece, within, is_part });
        }
    }
    Ok(sources)
}

/// Records what a source gave, and marks a provider whose bytes are wrong. True when they are good.
pub async fn note<W: World>(
    engine: &Engine<W>,
    round: &Round,
    now: Now,
    holding: Option<HoldingId>,
    provider: ProviderId,
    what: &str,
    fetched: &Fetched,
) -> Result<bool, Error> {
    let outcome = match fetched {
        Fetched::Verified => "done",
        Fetched::WrongBytes(_) => "wrong_bytes",
        Fetched::Unavailable(_) => "failed",
    };
    engine
        .store
        .add_attempt(&Attempt {
            holding,
            order: None,
            provider: Some(provider),
            what: what.to_owned(),
            outcome: outcome.to_owned(),
            detail: words(fetched),
            at: now.epoch,
            at_unix: now.unix_seconds,
        })
        .await?;
    if let Fetched::WrongBytes(why) = fetched {
        engine.note_wrong_bytes(provider, why, round).await?;
    }
    Ok(matches!(fetched, Fetched::Verified))
}

/// What a source gave, in words.
#[must_use]
pub fn words(fetched: &Fetched) -> String {
    match fetched {
        Fetched::Verified => "verified".to_owned(),
        Fetched::WrongBytes(why) => format!("wrong bytes: {why}"),
        Fetched::Unavailable(why) => why.clone(),
    }
}

/// Finds one provider that serves the piece, verified to the last byte.
pub async fn probe<W: World>(
    engine: &Engine<W>,
    round: &Round,
    now: Now,
    holding: HoldingId,
    piece: Commitment,
    attempts: u32,
) -> Result<StepOutcome, Error> {
    for source in sources(engine, round, piece).await? {
        let provider = source.provider.provider;
        let fetched = failpoint::around("probe.verify", engine.world.bytes().verify(&source)).await;
        if note(engine, round, now, Some(holding), provider, "verify", &fetched).await? {
            failpoint::around("probe.record", engine.store.set_retrieved(piece, round.height)).await?;
            return Ok(StepOutcome::Done);
        }
    }
    Ok(again(now, Class::Provider, attempts, &piece.0, "no provider served the piece"))
}

/// Deletes the local copy. The rules have checked for this holding that others are proven and served; here it is
/// checked that no other holding of the same bytes still needs them.
pub async fn evict<W: World>(
    engine: &Engine<W>,
    round: &Round,
    now: Now,
    holding: HoldingId,
    piece: Commitment,
    attempts: u32,
) -> Result<StepOutcome, Error> {
    let held = engine.store.holding(holding).await?;
    let lets_go =
        held.is_none_or(|held| held.policy.keep_local.evict_at(held.policy.replicas.target).is_some());
    if !lets_go {
        // The policy changed, or a pin came.
        return Ok(StepOutcome::Done);
    }
    let needed_elsewhere = engine.store.holdings_of_piece(piece).await?.iter().any(|other| {
        other.id != holding && other.open && other.pieces.iter().any(|slots| keeps(other, slots, piece))
    });
    if needed_elsewhere {
        return Ok(StepOutcome::Done);
    }
    if !are_still_proven(engine, round, holding, piece).await? {
        let why = "fewer copies than the policy asks for are proven when each is looked at";
        return Ok(again(now, Class::Provider, attempts, &piece.0, why));
    }
    match failpoint::around("evict.delete", engine.world.bytes().evict(piece)).await {
        Effect::Done(()) => {
            failpoint::around("evict.record", engine.store.set_local(piece, false)).await?;
            Ok(StepOutcome::Done)
        }
        Effect::Failed(why) | Effect::Uncertain(why) => {
            Ok(again(now, Class::Transient, attempts, &piece.0, why))
        }
    }
}

/// The rules saw the copies as of the last looks at their providers. Before the local one goes, each is read singly.
async fn are_still_proven<W: World>(
    engine: &Engine<W>,
    round: &Round,
    holding: HoldingId,
    piece: Commitment,
) -> Result<bool, Error> {
    let Some(held) = engine.store.holding(holding).await? else { return Ok(true) };
    let policy = &held.policy;
    let Some(needed) = policy.keep_local.evict_at(policy.replicas.target) else { return Ok(false) };
    let copies = held.pieces.iter().filter(|slots| slots.piece.commitment == piece);
    let copies = copies.flat_map(PieceSlots::orders).filter(|order| order.state.is_active());
    let chain = engine.world.chain();
    let mut proven = BTreeSet::new();
    for order in copies {
        let Some(on_chain) = order.state.on_chain() else { continue };
        let (sector, end) = match on_chain.replica {
            ReplicaRef::Deal(deal) => match chain.deals(round, &[deal]).await.pop() {
                Some(DealSeen::Present(deal)) if deal.activated.is_some() => (deal.sector, deal.end),
                _ => continue,
            },
            ReplicaRef::Sector { sector } => {
                match chain.terms(round, &[(order.provider, sector)]).await.pop() {
                    Some(TermSeen::Listed(term)) => (sector, term.end),
                    _ => continue,
                }
            }
        };
        let seen = chain.sectors(round, order.provider, &[sector]).await.pop();
        if round.height < end && seen == Some(SectorSeen::Live) {
            proven.insert(order.operator);
        }
    }
    Ok(proven.len() >= needed.max(1) as usize)
}

/// Whether `slots` of another holding are of `piece` and its own policy does not let the local copy go now.
fn keeps(other: &Holding, slots: &PieceSlots, piece: Commitment) -> bool {
    let policy = &other.policy;
    slots.piece.commitment == piece
        && policy.keep_local.evict_at(policy.replicas.target).is_none_or(|needed| slots.proven() < needed)
}

/// Finds the bytes of a holding that has none.
pub async fn import<W: World>(
    engine: &Engine<W>,
    now: Now,
    holding: HoldingId,
    attempts: u32,
) -> Result<StepOutcome, Error> {
    let Some(held) = engine.store.holding(holding).await? else { return Ok(StepOutcome::Done) };
    if !held.pieces.is_empty() || !held.open {
        return Ok(StepOutcome::Done);
    }
    let (key, piece_max) = (holding.0.to_be_bytes(), engine.piece_max().await?);
    match failpoint::around("fetch.bytes", engine.world.bytes().import(&held.cid, piece_max)).await {
        Imported::Packed(packed) => {
            let pieces: Vec<NewPiece> =
                packed.into_iter().map(|part| NewPiece::of(&held.cid, part)).collect();
            failpoint::around("fetch.record", engine.store.record_pieces(&pieces)).await?;
            Ok(StepOutcome::Done)
        }
        Imported::Unavailable(why) => Ok(again(now, Class::Terminal, attempts, &key, why)),
        Imported::WrongBytes(why) => {
            Ok(again(now, Class::Terminal, attempts, &key, format!("wrong bytes: {why}")))
        }
    }
}
