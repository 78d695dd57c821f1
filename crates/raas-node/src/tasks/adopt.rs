//! Adopt: deals that the contract lists and this node did not order become spare copies, once verified.
//!
//! A listed deal counts only if the chain shows it with a piece that this node computed from the bytes of that
//! very CID; otherwise it is shown as unverified and never acted on.

use super::prune::prune;
use crate::engine::{Engine, Error};
use crate::failpoint;
use crate::settings::ContractAt;
use crate::store::{Adopted, RoundReport, Sighting, SightingState};
use crate::world::World;
use raas_clients::inclusion::within;
use raas_core::cid::DataCid;
use raas_core::health::{HealthRecord, Term};
use raas_core::holding::{Holding, Piece};
use raas_core::ids::{DealId, OrderId, RequestAt};
use raas_core::machine::order::{self, Event};
use raas_core::observation::{DealSeen, NotSeen, OnChainDeal, ProviderOnChain, Round, SectorSeen};
use raas_core::order::{Cause, OnChain, Order, OrderState, Within};
use raas_core::ports::{Chain, Contract, LISTS_AT_ONCE};
use raas_core::units::Epochs;

/// Lists of new holdings read in one pass.
const LISTS_PER_PASS: u32 = 100;
/// Lists read again in one round: a third of a million comes around in 30 days.
const LISTS_PER_ROUND: u32 = 4;
/// A list is read again after so many epochs.
const LISTS_AGAIN: Epochs = Epochs::days(30);

/// Reads the contract's list for holdings not read yet and settles all new sightings. True when something
/// was adopted or settled.
pub async fn adopt<W: World>(engine: &Engine<W>, round: &Round) -> Result<bool, Error> {
    read_views(engine, round).await?;
    let new = engine.store.sightings(SightingState::New).await?;
    if new.is_empty() {
        return Ok(false);
    }
    let ids: Vec<DealId> = new.iter().map(|sighting| sighting.deal).collect();
    let known = engine.store.deals_known(&ids).await?;
    let deals = engine.world.chain().deals(round, &ids).await;
    let mut adopted = Vec::new();
    let mut settled = Vec::new();
    for (sighting, seen) in new.iter().zip(deals) {
        let outcome = if known.contains(&sighting.deal) {
            Some((SightingState::Adopted, None))
        } else {
            let mut holdings = Vec::new();
            for id in engine.store.holdings_of_cid(&sighting.cid).await? {
                holdings.extend(engine.store.holding(id).await?);
            }
            settle(engine, round, sighting, seen, &holdings).await
        };
        if let Some((state, copy)) = outcome {
            adopted.extend(copy);
            settled.push((sighting.cid.clone(), sighting.deal, state));
        }
    }
    if settled.is_empty() {
        return Ok(false);
    }
    let report = RoundReport {
        round: round.clone(),
        hold: None,
        orders: Vec::new(),
        health: Vec::new(),
        views: Vec::new(),
        troubles: Vec::new(),
        adopted,
        sightings: settled,
        breaker: engine.store.breaker().await?,
        events_read_to: engine.store.events_read_to().await?.unwrap_or(round.height),
    };
    failpoint::around("observe.apply", engine.store.apply_round(&report)).await?;
    Ok(true)
}

/// The contracts' lists of deals, read at once for a new holding and in a slow sweep for all; in between completions
/// come by its events.
async fn read_views<W: World>(engine: &Engine<W>, round: &Round) -> Result<(), Error> {
    let all = engine.settings.contracts.iter();
    let contracts: Vec<(&ContractAt, &W::Contract)> =
        all.filter_map(|at| Some((at, engine.world.contract(at.address)?))).collect();
    if contracts.is_empty() {
        return Ok(());
    }
    let mut unread = engine.store.unlisted(LISTS_PER_PASS).await?;
    if engine.is_first_pass_of(round) {
        let before = round.eth_block.before(LISTS_AGAIN);
        unread.extend(engine.store.listed_before(before, LISTS_PER_ROUND).await?);
    }
    for page in unread.chunks(LISTS_AT_ONCE) {
        let cids: Vec<Vec<u8>> = page.iter().map(|holding| holding.cid.cid().to_bytes()).collect();
        // Not told is not none: a holding that a contract does not answer for stays unlisted, and is asked for again.
        let mut told = vec![true; page.len()];
        let mut sightings = Vec::new();
        for (at, contract) in &contracts {
            let lists = contract.deals_of_each(&cids, round.eth_block).await;
            for ((holding, told), list) in page.iter().zip(&mut told).zip(lists) {
                let Ok(list) = list else {
                    *told = false;
                    continue;
                };
                prune(engine, round, at, holding, &list).await?;
                sightings.extend(list.deals.into_iter().map(|(deal, _)| Sighting {
                    cid: holding.cid.clone(),
                    of: None,
                    deal,
                    state: SightingState::New,
                }));
            }
        }
        engine.store.add_sightings(&sightings).await?;
        for (holding, _) in page.iter().zip(told).filter(|(_, told)| *told) {
            engine.store.set_listed(holding.id, round.eth_block).await?;
        }
    }
    Ok(())
}

async fn settle<W: World>(
    engine: &Engine<W>,
    round: &Round,
    sighting: &Sighting,
    seen: DealSeen,
    holdings: &[Holding],
) -> Option<(SightingState, Option<Adopted>)> {
    let DealSeen::Present(deal) = seen else {
        // Gone or denied: nothing to adopt, and nothing that a later round could not tell better.
        return matches!(seen, DealSeen::Gone).then_some((SightingState::Unverified, None));
    };
    let holding = holding_of(&sighting.cid, sighting.of, holdings)?;
    if holding.pieces.is_empty() {
        return None;
    }
    let Some((piece, within)) = piece_of(holding, &deal) else {
        return Some((SightingState::Unverified, None));
    };
    let provider = engine.world.chain().provider(round, deal.provider).await.ok()?;
    let sector = match deal.activated {
        Some(_) => {
            let seen = engine.world.chain().sectors(round, deal.provider, &[deal.sector]).await;
            seen.first().copied().unwrap_or(SectorSeen::NotSeen(NotSeen::NotAsked))
        }
        None => SectorSeen::NotSeen(NotSeen::NotAsked),
    };
    let order = Order { within, ..order_for(sighting.deal, &deal, piece, sector, &provider, round)? };
    Some((SightingState::Adopted, Some(Adopted { holding: holding.id, order })))
}

/// The piece of `holding` that the deal is, or that is alone in it.
fn piece_of(holding: &Holding, deal: &OnChainDeal) -> Option<(Piece, Option<Within>)> {
    let named = (deal.piece, deal.size);
    holding.pieces.iter().map(|slots| slots.piece).find_map(|piece| {
        if (piece.commitment, piece.size) == named {
            return Some((piece, None));
        }
        // Most deals are of another size than the piece's aggregate, which is then not computed.
        let around = if deal.size > piece.size { within(piece.commitment, piece.size) } else { None };
        around.filter(|within| (within.aggregate, within.size) == named).map(|within| (piece, Some(within)))
    })
}

/// The holding of the request that completed the deal; without one, the only holding of the CID.
fn holding_of<'a>(cid: &DataCid, of: Option<RequestAt>, holdings: &'a [Holding]) -> Option<&'a Holding> {
    let mut of_cid = holdings.iter().filter(|holding| holding.cid == *cid);
    match of {
        Some(of) => of_cid.find(|holding| holding.attestations.iter().any(|entry| entry.at == of)),
        None => of_cid.next(),
    }
}

fn order_for(
    id: DealId,
    deal: &OnChainDeal,
    piece: Piece,
    sector: SectorSeen,
    provider: &ProviderOnChain,
    round: &Round,
) -> Option<Order> {
    let term = Term { start: deal.start, end: deal.end };
    let published = OrderState::Published(OnChain {
        deal: id,
        term,
        sector: None,
        health: HealthRecord::pending(round.height),
    });
    let observed =
        Event::Observed { deal: DealSeen::Present(Box::new(deal.clone())), sector, round: round.clone() };
    let (state, _) = order::next(&published, &observed).ok()?;
    Some(Order {
        id: OrderId(0),
        piece: piece.commitment,
        size: piece.size,
        within: None,
        provider: deal.provider,
        operator: provider.operator,
        cause: Cause::Adopt,
        price_per_epoch: deal.price_per_epoch,
        duration: Epochs::new(deal.end.0 - deal.start.0)?,
        planned_at: round.head,
        state,
    })
}
