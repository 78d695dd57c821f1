//! What every way of finding a copy ends in: the piece it is of, and the round's report.

use crate::engine::{Engine, Error};
use crate::failpoint;
use crate::store::{Adopted, RoundReport, SightingState};
use crate::world::World;
use raas_clients::inclusion::within;
use raas_core::cid::{Commitment, DataCid};
use raas_core::holding::{Holding, Piece};
use raas_core::ids::{ContractAddress, DealId};
use raas_core::observation::Round;
use raas_core::order::Within;
use raas_core::units::PaddedSize;

/// Stores copies found, and what became of what was said of them.
pub(super) async fn store<W: World>(
    engine: &Engine<W>,
    round: &Round,
    adopted: Vec<Adopted>,
    sightings: Vec<(DataCid, DealId, SightingState)>,
    told: Vec<(ContractAddress, DealId, SightingState)>,
) -> Result<(), Error> {
    let report = RoundReport {
        round: round.clone(),
        hold: None,
        orders: Vec::new(),
        health: Vec::new(),
        views: Vec::new(),
        troubles: Vec::new(),
        adopted,
        sightings,
        told,
        breaker: engine.store.breaker().await?,
        deals_read_to: None,
        events_read_to: engine.store.events_read_to().await?.unwrap_or(round.height),
    };
    failpoint::around("observe.apply", engine.store.apply_round(&report)).await?;
    Ok(())
}

/// The piece of `holding` that what is stored is, or that is alone in it.
pub(super) fn piece_of(
    holding: &Holding,
    stored: Commitment,
    size: PaddedSize,
) -> Option<(Piece, Option<Within>)> {
    let named = (stored, size);
    holding.pieces.iter().map(|slots| slots.piece).find_map(|piece| {
        if (piece.commitment, piece.size) == named {
            return Some((piece, None));
        }
        // Most are of another size than the piece's aggregate, which is then not computed.
        let around = if size > piece.size { within(piece.commitment, piece.size) } else { None };
        around.filter(|within| (within.aggregate, within.size) == named).map(|within| (piece, Some(within)))
    })
}
