//! `StateMiner*` and `StateSector*`.

use super::{RpcError, encode, params::Params, view::View};
use crate::{
    codec::Bitfield,
    world::{
        CHALLENGE_WINDOW, DEADLINES, FAULT_DECLARATION_CUTOFF, Miner, PARTITION_SECTORS, PROVING_PERIOD,
        SECTOR_SIZE, Sector, SectorPhase, StateAt,
    },
};
use raas_core::ids::SectorNumber;
use serde_json::{Value, json};
use std::borrow::Cow;

/// How long before a window opens its challenge is drawn.
const CHALLENGE_LOOKBACK: i64 = 20;
/// Registered proofs of 32 GiB sectors.
const SEAL_PROOF: i64 = 8;
const WINDOW_PROOF: i64 = 13;

/// `StateMinerInfo [address, key]`
pub(super) fn info(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let at = view.state(params, 1)?;
    let (_, miner) = view.miner(&params.address(0)?, at)?;
    let owner = encode::id_address(miner.config.operator);
    let addresses: Vec<String> = miner.multiaddrs.iter().map(|bytes| encode::base64(bytes)).collect();
    Ok(json!({
        "Owner": owner,
        "Worker": encode::id_address(miner.config.worker),
        "NewWorker": "<empty>",
        "ControlAddresses": null,
        "WorkerChangeEpoch": -1,
        "PeerId": miner.peer_id(),
        "Multiaddrs": if addresses.is_empty() { Value::Null } else { json!(addresses) },
        "WindowPoStProofType": WINDOW_PROOF,
        "SectorSize": SECTOR_SIZE,
        "WindowPoStPartitionSectors": PARTITION_SECTORS,
        "ConsensusFaultElapsed": -1,
        "PendingOwnerAddress": null,
        "Beneficiary": owner,
        "BeneficiaryTerm": { "Quota": "0", "UsedQuota": "0", "Expiration": 0 },
        "PendingBeneficiaryTerm": null,
    }))
}

/// `StateListMiners [key]`
pub(super) fn list(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    view.height_at(params, 0)?;
    Ok(view.world.miners().map(|(provider, _)| encode::id_address(provider.0)).collect())
}

/// `StateMinerSectorCount [address, key]`
pub(super) fn sector_count(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let at = view.state(params, 1)?;
    let counts = view.miner(&params.address(0)?, at)?.1.counts(at);
    Ok(json!({ "Live": counts.live, "Active": counts.active, "Faulty": counts.faulty }))
}

/// `StateMinerPower [address, key]`
pub(super) fn power(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let at = view.state(params, 1)?;
    let own = raw_power(view.miner(&params.address(0)?, at)?.1, at);
    let total: u128 = view.world.miners().map(|(_, miner)| raw_power(miner, at)).sum();
    let claim =
        |bytes: u128| json!({ "RawBytePower": bytes.to_string(), "QualityAdjPower": bytes.to_string() });
    Ok(json!({ "MinerPower": claim(own), "TotalPower": claim(total), "HasMinPower": own > 0 }))
}

fn raw_power(miner: &Miner, at: StateAt) -> u128 {
    u128::from(miner.counts(at).active) * u128::from(SECTOR_SIZE)
}

/// `StateMinerFaults [address, key]`: recovering sectors are in it, terminated ones are not.
pub(super) fn faults(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    bitfield(view, params, |phase| phase.faulty_since().is_some())
}

/// `StateMinerRecoveries [address, key]`
pub(super) fn recoveries(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    bitfield(view, params, |phase| matches!(phase, SectorPhase::Recovering { .. }))
}

fn bitfield(view: View<'_>, params: Params<'_>, wanted: fn(SectorPhase) -> bool) -> Result<Value, RpcError> {
    let at = view.state(params, 1)?;
    let (_, miner) = view.miner(&params.address(0)?, at)?;
    if miner.counts(at).faulty == 0 {
        return Ok(runs(std::iter::empty()));
    }
    let sectors = miner.sectors(at).filter(|(_, phase)| wanted(*phase));
    Ok(runs(sectors.map(|(sector, _)| sector.number)))
}

fn runs(sectors: impl Iterator<Item = SectorNumber>) -> Value {
    json!(sectors.map(|number| number.0).collect::<Bitfield>().runs())
}

/// What `[address, sector, key]` names.
struct Named<'a> {
    miner: &'a Miner,
    number: u64,
    found: Option<(Cow<'a, Sector>, SectorPhase)>,
}

fn sector<'a>(view: &View<'a>, params: Params<'_>) -> Result<Named<'a>, RpcError> {
    let at = view.state(params, 2)?;
    let (_, miner) = view.miner(&params.address(0)?, at)?;
    let number: u64 = params.get(1)?;
    Ok(Named { miner, number, found: miner.sector(SectorNumber(number), at) })
}

/// `StateSectorGetInfo [address, sector, key]`: also of terminated sectors, which stay listed.
pub(super) fn sector_info(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let Some((sector, _)) = sector(&view, params)?.found else { return Ok(Value::Null) };
    Ok(show(view, &sector))
}

fn show(view: View<'_>, sector: &Sector) -> Value {
    let sealed = view.world.chain().object_cid("sealed", sector.activation);
    json!({
        "SectorNumber": sector.number,
        "SealProof": SEAL_PROOF,
        "SealedCID": encode::link(&sealed),
        "Activation": sector.activation,
        "Expiration": sector.expiration,
        "DealWeight": "0",
        "VerifiedDealWeight": "0",
        "InitialPledge": "0",
        "ExpectedDayReward": null,
        "ExpectedStoragePledge": null,
        "PowerBaseEpoch": sector.activation,
        "ReplacedDayReward": null,
        "SectorKeyCID": null,
        "Flags": 1,
        "DailyFee": "0",
    })
}

/// `StateSectorExpiration [address, sector, key]`: `Early` is 42 days after the fault, unless the sector's own
/// end comes first.
pub(super) fn sector_expiration(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let Named { miner, number, found } = sector(&view, params)?;
    let Some((sector, phase)) = found.filter(|(_, phase)| phase.is_live()) else {
        return Err(RpcError::other(format!("failed to find sector {number}")));
    };
    let early = phase.faulty_since().and_then(|since| Miner::early_expiration(&*sector, since));
    let on_time = if early.is_some() { 0 } else { miner.on_time_expiration(&sector) };
    Ok(json!({ "OnTime": on_time, "Early": early.unwrap_or(0) }))
}

/// `StateSectorPartition [address, sector, key]`
pub(super) fn sector_partition(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let Named { number, found, .. } = sector(&view, params)?;
    let Some((sector, _)) = found else {
        return Err(RpcError::other(format!("sector {number} not found in any partition")));
    };
    Ok(json!({ "Deadline": sector.deadline, "Partition": sector.partition }))
}

/// `StateMinerProvingDeadline [address, key]`
pub(super) fn proving_deadline(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let height = view.height_at(params, 1)?;
    let (_, miner) = view.miner(&params.address(0)?, StateAt::before(height))?;
    let start = miner.period_start(height);
    let index = (height - start) / CHALLENGE_WINDOW;
    let open = start + index * CHALLENGE_WINDOW;
    Ok(json!({
        "CurrentEpoch": height,
        "PeriodStart": start,
        "Index": index,
        "Open": open,
        "Close": open + CHALLENGE_WINDOW,
        "Challenge": open - CHALLENGE_LOOKBACK,
        "FaultCutoff": open - FAULT_DECLARATION_CUTOFF,
        "WPoStPeriodDeadlines": DEADLINES,
        "WPoStProvingPeriod": PROVING_PERIOD,
        "WPoStChallengeWindow": CHALLENGE_WINDOW,
        "WPoStChallengeLookback": CHALLENGE_LOOKBACK,
        "FaultDeclarationCutoff": FAULT_DECLARATION_CUTOFF,
    }))
}

/// `StateMinerDeadlines [address, key]`: in the deadline that is open, the partitions proven so far.
pub(super) fn deadlines(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let at = view.state(params, 1)?;
    let (_, miner) = view.miner(&params.address(0)?, at)?;
    let deadline = |index| {
        let posted: Bitfield = crate::ipld::posted(miner, index, at).into_iter().collect();
        json!({ "PostSubmissions": posted.runs(), "DisputableProofCount": 0, "DailyFee": "0" })
    };
    Ok((0..48).map(deadline).collect())
}

/// `StateMinerPartitions [address, deadline, key]`
pub(super) fn partitions(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let at = view.state(params, 2)?;
    let (_, miner) = view.miner(&params.address(0)?, at)?;
    let deadline: i64 = params.get(1)?;
    if !(0..DEADLINES).contains(&deadline) {
        return Err(RpcError::other(format!("invalid deadline index {deadline}")));
    }
    let deadline = usize::try_from(deadline).unwrap_or(0);
    let partitions = (0..miner.partition_count(deadline)).map(|index| miner.partition(deadline, index, at));
    Ok(partitions.filter(|all| !all.is_empty()).map(|all| partition(&all)).collect())
}

fn partition(all: &[(SectorNumber, SectorPhase)]) -> Value {
    let set = |wanted: fn(SectorPhase) -> bool| {
        runs(all.iter().filter(|(_, phase)| wanted(*phase)).map(|(number, _)| *number))
    };
    json!({
        "AllSectors": set(|_| true),
        "FaultySectors": set(|phase| phase.faulty_since().is_some()),
        "RecoveringSectors": set(|phase| matches!(phase, SectorPhase::Recovering { .. })),
        "LiveSectors": set(SectorPhase::is_live),
        "ActiveSectors": set(|phase| phase == SectorPhase::Active),
    })
}

/// `StateMinerSectors [address, bitfield|null, key]` and `StateMinerActiveSectors [address, key]`.
pub(super) fn sectors(view: View<'_>, params: Params<'_>, active: bool) -> Result<Value, RpcError> {
    let at = view.state(params, if active { 1 } else { 2 })?;
    let (_, miner) = view.miner(&params.address(0)?, at)?;
    let wanted: Option<Vec<u64>> = if active { None } else { params.get(1)? };
    let wanted = wanted.map(|runs| Bitfield::from_runs(&runs));
    let wanted = wanted.transpose().map_err(|error| RpcError::other(error.to_string()))?;
    let mut listed: Vec<(SectorNumber, SectorPhase)> = (0_usize..48)
        .flat_map(|deadline| (0..miner.partition_count(deadline)).map(move |index| (deadline, index)))
        .flat_map(|(deadline, index)| miner.partition(deadline, index, at))
        .filter(|(_, phase)| !active || *phase == SectorPhase::Active)
        .filter(|(number, _)| wanted.as_ref().is_none_or(|wanted| wanted.contains(number.0)))
        .collect();
    listed.sort_unstable_by_key(|(number, _)| *number);
    let found = listed.into_iter().filter_map(|(number, _)| miner.sector(number, at));
    Ok(found.map(|(sector, _)| show(view, &sector)).collect())
}
