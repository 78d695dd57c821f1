//! A store that was put back from a backup: the node only looks until what it lacks has shown or cannot happen.
//!
//! What was signed after the backup can be published until its start epoch. Until the last of these is behind the
//! finalized tipset nothing is bought or sent; deals of the node's own account that the store does not know are
//! looked for and adopted where their piece is known. Then the accounts go on from the chain's nonces.

use crate::engine::{Engine, Error};
use crate::store::{NewPiece, Restored, Sighting, SightingState};
use crate::world::World;
use raas_clients::inclusion::within;
use raas_core::cid::DataCid;
use raas_core::gate::Hold;
use raas_core::observation::{DealSeen, OnChainDeal, Round};
use raas_core::ports::{Chain, DealChange, DealEvent, DealEvents, Lane, Now, Wallet};
use raas_core::units::{Epoch, Epochs};

/// Where nothing is known of the backup's age, deals are looked for in so many days.
const SEARCH_DAYS: u32 = 30;

/// Notes that the store is an older copy, before a round of now goes over what it knows.
pub async fn notice<W: World>(engine: &Engine<W>, now: Now) -> Result<(), Error> {
    let store = &engine.store;
    if !store.is_older_copy() || store.restored().await?.is_some() {
        return Ok(());
    }
    let mut delay = engine.settings.default_policy.start_delay;
    for holding in store.holdings().await? {
        delay = delay.max(holding.policy.start_delay);
    }
    let read_to = match store.events_read_to().await? {
        Some(read_to) => read_to,
        None => now.epoch.before(Epochs::days(SEARCH_DAYS)),
    };
    let restored = Restored { read_to, until: now.epoch.after(delay) };
    store.begin_restored(restored, &engine.world.wallet().address(Lane::Evm)).await?;
    tracing::error!(
        until = restored.until.0,
        "the store was put back from a backup: the node only looks until nothing signed meanwhile can be published"
    );
    Ok(())
}

/// Why nothing may be started, while the store is behind; `None` for any other store.
pub async fn look<W: World>(engine: &Engine<W>, round: &Round) -> Result<Option<Hold>, Error> {
    let store = &engine.store;
    let Some(restored) = store.restored().await? else { return Ok(None) };
    let read_all = find_deals(engine, round, restored).await?;
    // What was found is adopted first.
    let settled = store.sightings(SightingState::New).await?.is_empty();
    if round.height > restored.until && read_all && settled && accept_nonces(engine).await? {
        store.end_restored().await?;
        tracing::warn!("the restored store has caught up with the chain; the node acts again");
        return Ok(None);
    }
    Ok(Some(Hold::Restored { until: restored.until }))
}

/// Deals of our account published since the backup, as sightings of the payload they hold. False when the chain could
/// not be read up to the round.
async fn find_deals<W: World>(engine: &Engine<W>, round: &Round, restored: Restored) -> Result<bool, Error> {
    let chain = engine.world.chain();
    let to = Epoch(round.height.0 - 1);
    if to <= restored.read_to {
        return Ok(true);
    }
    let client = match chain.client_id().await {
        Ok(Some(client)) => client,
        Ok(None) => return Ok(true),
        Err(_) => return Ok(false),
    };
    let one = Epochs::new(1).unwrap_or(Epochs::ZERO);
    let Ok(DealEvents { told, left_out }) = chain.deal_events(restored.read_to.after(one), to).await else {
        return Ok(false);
    };
    if !left_out.is_empty() {
        return Ok(false);
    }
    let ours = |event: &&DealEvent| event.change == DealChange::Published && event.client == client;
    let ids: Vec<_> = told.iter().filter(ours).map(|event| event.deal).collect();
    let mut sightings = Vec::new();
    for (deal, seen) in ids.iter().zip(chain.deals(round, &ids).await) {
        let on_chain = match seen {
            DealSeen::Present(on_chain) => on_chain,
            DealSeen::Gone => continue,
            DealSeen::NeverAllocated | DealSeen::NotSeen(_) => return Ok(false),
        };
        if let Some(cid) = root_of(engine, &on_chain).await? {
            sightings.push(Sighting { cid, of: None, deal: *deal, state: SightingState::New });
        }
    }
    engine.store.add_sightings(&sightings).await?;
    engine.store.set_restored(Restored { read_to: to, ..restored }).await?;
    Ok(true)
}

/// The payload of a deal's piece, or of the piece that is alone in it, or of one that was packed with others: its copy is
/// theirs, too.
async fn root_of<W: World>(engine: &Engine<W>, deal: &OnChainDeal) -> Result<Option<DataCid>, Error> {
    if let Some(stored) = engine.store.piece(deal.piece).await? {
        return Ok(Some(stored.piece.root));
    }
    if let Some(cid) = engine.store.cid_packed_in(deal.piece).await? {
        return Ok(Some(cid));
    }
    let smaller = engine.store.pieces_below(deal.size).await?;
    let around = |piece: &NewPiece| {
        within(piece.commitment, piece.size)
            .is_some_and(|within| (within.aggregate, within.size) == (deal.piece, deal.size))
    };
    Ok(smaller.into_iter().map(|stored| stored.piece).find(around).map(|piece| piece.root))
}

/// What used the accounts' nonces meanwhile was this node. False when they cannot be read.
async fn accept_nonces<W: World>(engine: &Engine<W>) -> Result<bool, Error> {
    for lane in [Lane::Native, Lane::Evm] {
        let Ok(nonces) = engine.world.wallet().nonces(lane).await else { return Ok(false) };
        if engine.store.floor(lane).await?.next() < nonces.finalized {
            engine.store.release_lane(lane, nonces.finalized).await?;
        }
    }
    Ok(true)
}
