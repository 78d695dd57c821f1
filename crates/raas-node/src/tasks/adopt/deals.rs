//! Deals of f05 that a contract lists, or that completed a request.

use super::copy::{order_of, piece_of, store};
use crate::engine::{Engine, Error};
use crate::store::{Adopted, SeenProposal, Sighting, SightingState};
use crate::world::World;
use raas_core::cid::DataCid;
use raas_core::health::{HealthRecord, Term};
use raas_core::holding::Holding;
use raas_core::ids::{DealId, RequestAt};
use raas_core::machine::order::{self, Event};
use raas_core::observation::{DealSeen, NotSeen, OnChainDeal, Round, SectorSeen};
use raas_core::order::{OnChain, OrderState, ReplicaRef};
use raas_core::ports::Chain;

/// Settles deals that are listed or completed and not known yet.
pub(super) async fn settle<W: World>(engine: &Engine<W>, round: &Round) -> Result<bool, Error> {
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
            let holdings = engine.store.holdings_of_cid(&sighting.cid).await?;
            let holdings = engine.store.holdings_by_id(&holdings).await?;
            settle_one(engine, round, sighting, seen, &holdings).await
        };
        if let Some((state, copy)) = outcome {
            adopted.extend(copy);
            settled.push((sighting.cid.clone(), sighting.deal, state));
        }
    }
    if settled.is_empty() {
        return Ok(false);
    }
    store(engine, round, adopted, settled, Vec::new()).await?;
    Ok(true)
}

async fn settle_one<W: World>(
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
    let Some(piece) = piece_of(holding, deal.piece, deal.size) else {
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
    let (price, on_chain) = (deal.price_per_epoch, deal.as_ref().clone());
    let state = state_of(sighting.deal, deal, sector, round)?;
    let order = order_of(piece, &provider, state, price, round)?;
    let proposal = Some(SeenProposal { deal: sighting.deal, seen_at: round.height, on_chain });
    Some((SightingState::Adopted, Some(Adopted { holding: holding.id, order, proposal })))
}

/// The holding of the request that completed the deal; without one, the only holding of the CID.
fn holding_of<'a>(cid: &DataCid, of: Option<RequestAt>, holdings: &'a [Holding]) -> Option<&'a Holding> {
    let mut of_cid = holdings.iter().filter(|holding| holding.cid == *cid);
    match of {
        Some(of) => of_cid.find(|holding| holding.attestations.iter().any(|entry| entry.at == of)),
        None => of_cid.next(),
    }
}

/// The state of an order for a deal that is seen for the first time.
fn state_of(id: DealId, deal: Box<OnChainDeal>, sector: SectorSeen, round: &Round) -> Option<OrderState> {
    let published = OrderState::Published(OnChain {
        replica: ReplicaRef::Deal(id),
        term: Term { start: deal.start, end: deal.end },
        sector: None,
        health: HealthRecord::pending(round.height),
    });
    let observed = Event::Observed { deal: DealSeen::Present(deal), sector, round: round.clone() };
    order::next(&published, &observed).ok().map(|(state, _)| state)
}
