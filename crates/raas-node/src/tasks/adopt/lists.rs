//! Lists: which deals the contracts have for each CID.

use crate::engine::{Engine, Error};
use crate::settings::ContractAt;
use crate::store::{Sighting, SightingState};
use crate::tasks::prune::prune;
use crate::world::World;
use raas_core::observation::Round;
use raas_core::ports::{Contract, LISTS_AT_ONCE};
use raas_core::units::Epochs;

/// Lists of new holdings read in one pass.
const LISTS_PER_PASS: u32 = 100;
/// Lists read again in one round: a third of a million comes around in 30 days.
const LISTS_PER_ROUND: u32 = 4;
/// A list is read again after so many epochs.
const LISTS_AGAIN: Epochs = Epochs::days(30);

/// The contracts' lists of deals, read at once for a new holding and in a slow sweep for all; in between completions
/// come by its events.
pub(super) async fn read<W: World>(engine: &Engine<W>, round: &Round) -> Result<(), Error> {
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
