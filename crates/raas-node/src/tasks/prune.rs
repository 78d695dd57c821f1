//! Prune: when a contract's list of a CID is long, what is over on it is taken off, so that the next deal can be shown.

use crate::engine::{Engine, Error};
use crate::failpoint;
use crate::settings::ContractAt;
use crate::world::World;
use raas_clients::evm::AbiKind;
use raas_core::holding::Holding;
use raas_core::ids::DealId;
use raas_core::observation::{Round, SectorSeen};
use raas_core::ports::{Chain, DealList, TxIntent};
use raas_core::prune;

/// Which of the contract's own deals are in dead sectors: it asks their miners before it takes them off.
async fn dead<W: World>(
    engine: &Engine<W>,
    round: &Round,
    at: &ContractAt,
    list: &DealList,
) -> Result<Vec<DealId>, Error> {
    let told: Vec<DealId> = list.told.iter().map(|(deal, _)| *deal).collect();
    let mut dead = Vec::new();
    for (deal, provider, sector) in engine.store.places_told(at.address, &told).await? {
        if engine.world.chain().sectors(round, provider, &[sector]).await == [SectorSeen::Dead] {
            dead.push(deal);
        }
    }
    Ok(dead)
}

/// Plans the transaction that prunes `list`, the list of the holding's CID at `at`, if there is anything to prune. While
/// one is open no second one is planned; one that the contract refuses is dropped, and the list read again when it is
/// found full.
pub(super) async fn prune<W: World>(
    engine: &Engine<W>,
    round: &Round,
    at: &ContractAt,
    holding: &Holding,
    list: &DealList,
) -> Result<(), Error> {
    // Other generations have no such function.
    if at.abi != AbiKind::Raas || !prune::is_long(list.length) {
        return Ok(());
    }
    let listed: Vec<DealId> = list.deals.iter().map(|(deal, _)| *deal).collect();
    let seen = engine.world.chain().deals(round, &listed).await;
    let mut deals = prune::over(round.height, listed.into_iter().zip(&seen));
    deals.extend(dead(engine, round, at, list).await?);
    if deals.is_empty() {
        return Ok(());
    }
    let cid = holding.cid.cid().to_bytes();
    let key = format!("prune:{}:{}", at.address, holding.cid);
    tracing::info!(cid = %holding.cid, contract = %at.address, listed = list.length, over = deals.len(), "a list is pruned");
    let intent = TxIntent::Prune { contract: at.address, cid, deals };
    failpoint::around("plan.commit", engine.store.plan_tx_for(holding, &intent, &key)).await?;
    Ok(())
}
