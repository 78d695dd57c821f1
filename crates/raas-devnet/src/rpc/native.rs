//! `Filecoin.*`: from a method's name to its answer. The visible list of what this network serves.

use super::{
    RpcError, accounts, chain, claims, events, market, messages, miner, params::Params, parents, view::View,
};
use crate::world::World;
use serde_json::{Value, json};

/// Answers a native method as an endpoint does whose head and memory are those of `view`.
pub(super) fn answer(view: View<'_>, method: &str, params: &Value) -> Result<Value, RpcError> {
    let take = |count| Params::new(method, params, count);
    let Some(name) = method.strip_prefix("Filecoin.") else { return Err(RpcError::unknown_method(method)) };
    match name {
        "ChainHead" => take(0).and_then(|_| chain::head(view)),
        "ChainGetFinalizedTipSet" => take(0).and_then(|_| chain::finalized(view)),
        "ChainGetGenesis" => take(0).and_then(|_| chain::genesis(view)),
        "ChainReadObj" => chain::read_object(view, take(1)?),
        "ChainHasObj" => chain::has_object(view, take(1)?),
        "ChainGetTipSet" => chain::by_key(view, take(1)?),
        "ChainGetBlock" => chain::block(view, take(1)?),
        "ChainGetMessagesInTipset" => parents::included(view, take(1)?),
        "ChainGetPath" => chain::path(view, take(2)?),
        "ChainGetEvents" => chain::events_of_root(take(1)?),
        "Discover" => take(0).map(|_| chain::discover(super::gateway::NATIVE)),
        "ChainGetParentMessages" => parents::messages(view, take(1)?),
        "ChainGetParentReceipts" => parents::receipts(view, take(1)?),
        "ChainGetTipSetByHeight" => chain::by_height(view, take(2)?),
        "ChainGetTipSetAfterHeight" => chain::after_height(view, take(2)?),
        "ChainNotify" | "SubscribeActorEventsRaw" => Err(chain::needs_socket(method)),
        "Version" => take(0).map(|_| chain::version(view)),

        "StateNetworkName" => take(0).map(|_| accounts::network_name(view)),
        "StateNetworkVersion" => accounts::network_version(view, take(1)?),
        "StateGetNetworkParams" => take(0).map(|_| accounts::network_params(view)),
        "StateLookupID" => accounts::lookup_id(view, take(2)?),
        "StateAccountKey" => accounts::account_key(view, take(2)?),
        "StateGetActor" => accounts::actor(view, take(2)?),
        "WalletBalance" => accounts::balance(view, take(1)?),
        "EthAddressToFilecoinAddress" => accounts::from_eth(take(1)?),
        "FilecoinAddressToEthAddress" => accounts::to_eth(view, Params::between(method, params, 1, 2)?),

        "StateMarketStorageDeal" => market::storage_deal(view, take(2)?),
        "StateMarketBalance" => market::balance(view, take(2)?),
        "StateDealProviderCollateralBounds" => market::bounds(view, take(3)?),
        "StateReadState" => market::read_state(view, take(2)?),

        "StateListMiners" => miner::list(view, take(1)?),
        "StateMinerInfo" => miner::info(view, take(2)?),
        "StateMinerPower" => miner::power(view, take(2)?),
        "StateMinerSectorCount" => miner::sector_count(view, take(2)?),
        "StateMinerFaults" => miner::faults(view, take(2)?),
        "StateMinerRecoveries" => miner::recoveries(view, take(2)?),
        "StateMinerProvingDeadline" => miner::proving_deadline(view, take(2)?),
        "StateMinerDeadlines" => miner::deadlines(view, take(2)?),
        "StateMinerPartitions" => miner::partitions(view, take(3)?),
        "StateMinerSectors" => miner::sectors(view, take(3)?, false),
        "StateMinerActiveSectors" => miner::sectors(view, take(2)?, true),
        "StateSectorGetInfo" => miner::sector_info(view, take(3)?),
        "StateSectorExpiration" => miner::sector_expiration(view, take(3)?),
        "StateSectorPartition" => miner::sector_partition(view, take(3)?),
        "StateAllMinerFaults" => Err(RpcError::other("fixme")),

        "StateCall" => messages::state_call(view, take(2)?),
        "StateReplay" => messages::replay(view, take(2)?),
        "StateSearchMsg" => messages::search(view, take(4)?),
        "MpoolGetNonce" => messages::nonce(view, take(1)?),
        "MpoolPending" => messages::pending(view, take(1)?),
        "GasEstimateGasPremium" => messages::premium(view, take(4)?),
        "GasEstimateMessageGas" => messages::estimate(view, take(3)?),
        "GetActorEventsRaw" => events::get(view, take(1)?),

        "StateGetClaim" => claims::one(view, take(3)?),
        "StateGetClaims" => claims::of_provider(view, take(2)?),
        "StateGetAllClaims" => claims::all(view, take(1)?),
        // DataCap comes with the claims here: no allocation ever waits.
        "StateVerifiedClientStatus" => take(2).map(|_| Value::Null),
        "StateGetAllocation" => take(3).map(|_| Value::Null),
        "StateGetAllocationForPendingDeal" => take(2).map(|_| Value::Null),
        "StateGetAllocations" => take(2).map(|_| json!({})),
        // Finality here is a fixed lag, not certificates.
        "F3GetLatestCertificate" => take(0).and_then(|_| Err(RpcError::coded(4, "f3 is disabled"))),
        "F3GetPowerTableByInstance" => take(1).and_then(|_| Err(RpcError::coded(4, "f3 is disabled"))),
        "F3GetCertificate" => take(1).and_then(|_| Err(RpcError::coded(4, "f3 is disabled"))),
        _ => Err(RpcError::unknown_method(method)),
    }
}

/// Answers a native method that changes something; `None` for the others.
pub(super) fn act(world: &mut World, method: &str, params: &Value) -> Option<Result<Value, RpcError>> {
    match method {
        "Filecoin.MpoolPush" => {
            Some(Params::new(method, params, 1).and_then(|params| messages::push(world, params)))
        }
        _ => None,
    }
}
