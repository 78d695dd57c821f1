//! Adopt: copies that this node did not order become spare ones, once verified.
//!
//! What a contract lists, what it was told of, and what the registry has a claim for counts only if the chain shows it with
//! a piece that this node computed from the bytes of that very CID; otherwise it is shown as unverified and never acted on.

mod copy;
mod deals;
mod direct;
mod lists;

use crate::engine::{Engine, Error};
use crate::world::World;
use raas_core::observation::Round;

/// Reads the contract's list for holdings not read yet and settles all new sightings. True when something
/// was adopted or settled.
pub async fn adopt<W: World>(engine: &Engine<W>, round: &Round) -> Result<bool, Error> {
    lists::read(engine, round).await?;
    let deals = deals::settle(engine, round).await?;
    let pieces = direct::adopt(engine, round).await?;
    Ok(deals || pieces)
}
