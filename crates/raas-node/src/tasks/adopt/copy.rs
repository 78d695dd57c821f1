//! What every way of finding a copy ends in: the piece it is of, and the round's report.

use crate::engine::{Engine, Error};
use crate::failpoint;
use crate::store::{Adopted, RoundReport, SightingState};
use crate::world::World;
use raas_clients::inclusion::within;
use raas_core::cid::{Commitment, DataCid};
use raas_core::holding::{Holding, Piece};
use raas_core::ids::{ContractAddress, DealId, OrderId};
use raas_core::observation::{ProviderOnChain, Round};
use raas_core::order::{Cause, Order, OrderState, Within};
use raas_core::units::{AttoFil, Epochs, PaddedSize};
use std::collections::{BTreeMap, BTreeSet};

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
        replicas: Vec::new(),
        turning: BTreeMap::new(),
        turned_before: BTreeSet::new(),
        views: Vec::new(),
        troubles: Vec::new(),
        adopted,
        sightings,
        told,
        breaker: engine.store.breaker().await?,
        deals_read_to: None,
        proposals: Vec::new(),
        events_read_to: engine.store.events_read_to().await?.unwrap_or(round.height),
    };
    failpoint::around("observe.apply", engine.store.apply_round(&report)).await?;
    Ok(())
}

/// The order that stands for a copy of a piece that was found in `state`; `None` for one without a term.
pub(super) fn order_of(
    (piece, within): (Piece, Option<Within>),
    at: &ProviderOnChain,
    state: OrderState,
    price_per_epoch: AttoFil,
    round: &Round,
) -> Option<Order> {
    let term = state.on_chain()?.term;
    Some(Order {
        id: OrderId(0),
        piece: piece.commitment,
        size: piece.size,
        within,
        provider: at.provider,
        operator: at.operator,
        cause: Cause::Adopt,
        price_per_epoch,
        duration: Epochs::new(term.end.0 - term.start.0)?,
        planned_at: round.head,
        state,
    })
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
        if let Some(packed) = piece.packed.filter(|packed| (packed.aggregate, packed.size) == named) {
            return Some((piece, Some(packed)));
        }
        // Most are of another size than the piece's aggregate, which is then not computed.
        let around = if size > piece.size { within(piece.commitment, piece.size) } else { None };
        around.filter(|within| (within.aggregate, within.size) == named).map(|within| (piece, Some(within)))
    })
}
