//! Direct: pieces in sectors that no deal is about become copies, once verified. A contract that is followed was told of
//! them by their miner actor, or the verified registry has a claim.
//!
//! Either says that the piece was proven in that sector, so both count only for a piece that this node computed, and only
//! while the miner lists the sector and it lives: a claim outlives its sector.

use super::copy::{order_of, piece_of, store};
use crate::engine::{Engine, Error};
use crate::store::{Adopted, CopyIn, SightingState, ToldPiece};
use crate::world::World;
use raas_core::cid::Commitment;
use raas_core::health::HealthRecord;
use raas_core::holding::Holding;
use raas_core::ids::{ProviderId, SectorNumber};
use raas_core::machine::order::{self, Event};
use raas_core::observation::{NotSeen, Round, SectorSeen, TermSeen};
use raas_core::order::{OnChain, OrderState, ReplicaRef};
use raas_core::ports::Chain;
use raas_core::units::{AttoFil, Epochs, PaddedSize};

/// Told pieces settled in one pass.
const TOLD_PER_PASS: u32 = 200;
/// A provider's claims are read again after so long.
const CLAIMS_AGAIN: Epochs = Epochs::days(1);

/// A piece that is said to be in a sector.
#[derive(Clone, Copy, Debug)]
struct Found {
    provider: ProviderId,
    sector: SectorNumber,
    piece: Commitment,
    size: PaddedSize,
}

/// What is to be made of one.
enum Settled {
    /// A copy, or known as one.
    Copy(Option<Box<Adopted>>),
    /// Not a piece of the holding, or not there any more.
    Nothing,
    /// Nobody can say now.
    Later,
}

/// Settles what contracts were told of, and claims that are due. True when a copy was adopted or something settled.
pub(super) async fn adopt<W: World>(engine: &Engine<W>, round: &Round) -> Result<bool, Error> {
    let told = settle_told(engine, round).await?;
    let claimed = engine.is_first_pass_of(round) && read_claims(engine, round).await?;
    Ok(told || claimed)
}

async fn settle_told<W: World>(engine: &Engine<W>, round: &Round) -> Result<bool, Error> {
    let (mut copies, mut states, mut tried) = (Vec::new(), Vec::new(), Vec::new());
    for told in engine.store.told_unsettled(TOLD_PER_PASS).await? {
        let ToldPiece { provider, sector, piece, size, .. } = told;
        let found = Found { provider, sector, piece, size };
        let holdings = engine.store.holdings_of_cid(&told.cid).await?;
        let mut state = Some(SightingState::Unverified);
        for holding in engine.store.holdings_by_id(&holdings).await? {
            // Whoever asked the contract for the CID has the copy; a request whose job is stopped wants none counted.
            if !holding.attestations.iter().any(|entry| entry.at.contract == told.of.contract) {
                continue;
            }
            match settle(engine, round, found, &holding).await? {
                Settled::Copy(copy) => {
                    copies.extend(copy.map(|copy| *copy));
                    state = state.map(|_| SightingState::Adopted);
                }
                Settled::Nothing => {}
                Settled::Later => state = None,
            }
        }
        match state {
            Some(state) => states.push((told.of.contract, told.deal, state)),
            None => tried.push((told.of.contract, told.deal)),
        }
    }
    if !tried.is_empty() {
        engine.store.note_tried(&tried, round.height).await?;
    }
    if states.is_empty() {
        return Ok(false);
    }
    store(engine, round, copies, Vec::new(), states).await?;
    Ok(true)
}

/// Claims of the one provider that was not looked at for the longest: an answer can be megabytes.
async fn read_claims<W: World>(engine: &Engine<W>, round: &Round) -> Result<bool, Error> {
    let unread = engine.store.claims_unread_since(round.height.before(CLAIMS_AGAIN)).await?;
    let ours = |provider: &ProviderId| engine.settings.providers.contains(provider);
    let Some(provider) = unread.into_iter().find(ours) else { return Ok(false) };
    let pieces = engine.store.open_pieces().await?;
    if pieces.is_empty() {
        return Ok(false);
    }
    // Whoever does not answer must not keep the others waiting.
    let claims = engine.world.chain().claims(round, provider, &pieces).await.unwrap_or_else(|why| {
        tracing::debug!(%provider, ?why, "claims could not be read");
        Vec::new()
    });
    let mut copies = Vec::new();
    for claim in claims {
        let found = Found { provider, sector: claim.sector, piece: claim.piece, size: claim.size };
        let holdings = engine.store.holdings_of_piece(claim.piece).await?;
        for holding in holdings.iter().filter(|holding| holding.open) {
            if let Settled::Copy(copy) = settle(engine, round, found, holding).await? {
                copies.extend(copy.map(|copy| *copy));
            }
        }
    }
    let any = !copies.is_empty();
    if any {
        store(engine, round, copies, Vec::new(), Vec::new()).await?;
    }
    engine.store.set_claims_read(provider, round.height).await?;
    Ok(any)
}

async fn settle<W: World>(
    engine: &Engine<W>,
    round: &Round,
    found: Found,
    holding: &Holding,
) -> Result<Settled, Error> {
    if holding.pieces.is_empty() {
        return Ok(Settled::Later);
    }
    let Found { provider, sector, .. } = found;
    let Some(piece) = piece_of(holding, found.piece, found.size) else { return Ok(Settled::Nothing) };
    match engine.store.copy_in(holding.id, provider, sector, piece.0.commitment).await? {
        CopyIn::Known => return Ok(Settled::Copy(None)),
        CopyIn::Unsettled => return Ok(Settled::Later),
        CopyIn::Unknown => {}
    }
    let chain = engine.world.chain();
    let listed = chain.terms(round, &[(provider, sector)]).await.pop();
    let term = match listed {
        Some(TermSeen::Listed(term)) => term,
        Some(TermSeen::Gone) => return Ok(Settled::Nothing),
        Some(TermSeen::NotSeen(_)) | None => return Ok(Settled::Later),
    };
    let seen = chain.sectors(round, provider, &[sector]).await.pop();
    let seen = seen.unwrap_or(SectorSeen::NotSeen(NotSeen::NotAsked));
    if seen == SectorSeen::Dead {
        return Ok(Settled::Nothing);
    }
    let Ok(on_chain) = chain.provider(round, provider).await else { return Ok(Settled::Later) };
    let health = HealthRecord::pending(round.height);
    let replica = ReplicaRef::Sector { sector };
    let before = OrderState::Published(OnChain { replica, term, sector: Some(sector), health });
    let event = Event::Listed { term: TermSeen::Listed(term), sector: seen, height: round.height };
    let active = order::next(&before, &event).ok().map(|(state, _)| state).filter(OrderState::is_active);
    let order = active.and_then(|state| order_of(piece, &on_chain, state, AttoFil::ZERO, round));
    Ok(match order {
        Some(order) => Settled::Copy(Some(Box::new(Adopted { holding: holding.id, order, proposal: None }))),
        None if round.height >= term.end => Settled::Nothing,
        None => Settled::Later,
    })
}
