//! `StateMarket*` and f05 by `StateCall`.

use super::{RpcError, accounts, encode, params::Params, view::View};
use crate::world::{Phase, collateral_bounds};
use raas_core::{ids::DealId, units::PaddedSize};
use serde_json::{Value, json};

/// `StateMarketStorageDeal [id, key]`
pub(super) fn storage_deal(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let id: u64 = params.get(0)?;
    let at = view.state(params, 1)?;
    if view.lens.forgets_deals().is_some() {
        return Err(not_found(id));
    }
    let (deal, phase) = view.world.market().deal(DealId(id), at).map_err(|_| not_found(id))?;
    Ok(json!({ "Proposal": encode::proposal(&deal.proposal), "State": state(phase) }))
}

fn not_found(id: u64) -> RpcError {
    RpcError::other(format!(
        "deal {id} not found - deal may not have completed sealing before deal proposal start epoch, or deal may \
         have been slashed"
    ))
}

/// Activation is `SectorStartEpoch`, never the sector number; a slash epoch is not set by anything any more.
fn state(phase: Phase) -> Value {
    let (sector, start, updated) = match phase {
        Phase::Active { sector, since, settled } => (sector.0, since, settled.unwrap_or(-1)),
        Phase::Published | Phase::Removed => (0, -1, -1),
    };
    json!({ "SectorNumber": sector, "SectorStartEpoch": start, "LastUpdatedEpoch": updated, "SlashEpoch": -1 })
}

/// `StateMarketBalance [address, key]`
pub(super) fn balance(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let at = view.state(params, 1)?;
    let account = view.actor(&params.address(0)?, at)?;
    let balance = view.world.market().balance(account, at);
    Ok(json!({ "Escrow": balance.escrow, "Locked": balance.locked }))
}

/// `StateDealProviderCollateralBounds [size, verified, key]`
pub(super) fn bounds(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let size: u64 = params.get(0)?;
    let _verified: bool = params.get(1)?;
    view.height_at(params, 2)?;
    let size = PaddedSize::new(size).map_err(|error| RpcError::other(error.to_string()))?;
    let (least, most) = collateral_bounds(size.get());
    Ok(json!({ "Min": least, "Max": most }))
}

/// `StateReadState [address, key]`: of f05 what callers look for, its next deal id; of miners everything.
pub(super) fn read_state(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let height = view.height_at(params, 1)?;
    let at = crate::world::StateAt::before(height);
    let id = view.actor(&params.address(0)?, at)?;
    let wallet = view.world.actors.wallet(id, at).unwrap_or_default();
    let parent = view.world.chain().parent(height);
    let object = |what| encode::link(&view.world.chain().object_cid(what, parent));
    let state = if let Some(miner) = accounts::miner_head(view, id, at) {
        json!({
            "Info": encode::link(&miner.info),
            "PreCommitDeposits": "0",
            "LockedFunds": "0",
            "VestingFunds": null,
            "FeeDebt": "0",
            "InitialPledge": "0",
            "PreCommittedSectors": encode::link(&miner.precommitted),
            "PreCommittedSectorsCleanUp": encode::link(&miner.precommit_cleanup),
            "AllocatedSectors": encode::link(&miner.allocated),
            "Sectors": encode::link(&miner.sectors),
            "ProvingPeriodStart": miner.period_start,
            "CurrentDeadline": miner.current_deadline,
            "Deadlines": encode::link(&miner.deadlines),
            "EarlyTerminations": [0],
            "DeadlineCronActive": true,
        })
    } else if id == crate::world::MARKET {
        json!({
            "Proposals": object("f05 proposals"),
            "States": object("f05 states"),
            "PendingProposals": object("f05 pending"),
            "EscrowTable": object("f05 escrow"),
            "LockedTable": object("f05 locked"),
            "NextID": view.world.market().next_id(at).0,
            "DealOpsByEpoch": object("f05 operations"),
            "LastCron": parent,
        })
    } else {
        Value::Null
    };
    Ok(json!({
        "Balance": wallet.balance,
        "Code": encode::link(&accounts::code(view, id)),
        "State": state,
    }))
}
