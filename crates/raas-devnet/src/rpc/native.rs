//! `Filecoin.*`: from a method's name to its answer. The visible list of what this network serves.

use super::{
    RpcError, accounts, chain, decode, events, market, messages, miner, params::Params, parents, registry,
    view::View,
};
use crate::world::World;
use serde_json::Value;

/// A native method.
struct Method {
    name: &'static str,
    /// The fewest and the most parameters.
    params: (usize, usize),
    answer: fn(View<'_>, Params<'_>) -> Result<Value, RpcError>,
}

const fn of(
    name: &'static str,
    count: usize,
    answer: fn(View<'_>, Params<'_>) -> Result<Value, RpcError>,
) -> Method {
    Method { name, params: (count, count), answer }
}

/// Finality here is a fixed lag, not certificates.
const fn without_f3(name: &'static str, count: usize) -> Method {
    of(name, count, |_, _| Err(RpcError::coded(4, "f3 is disabled")))
}

const METHODS: &[Method] = &[
    of("ChainHead", 0, |view, _| chain::head(view)),
    of("ChainGetFinalizedTipSet", 0, |view, _| chain::finalized(view)),
    of("ChainGetGenesis", 0, |view, _| chain::genesis(view)),
    of("ChainReadObj", 1, chain::read_object),
    of("ChainHasObj", 1, chain::has_object),
    of("ChainGetTipSet", 1, chain::by_key),
    of("ChainGetBlock", 1, chain::block),
    of("ChainGetMessagesInTipset", 1, parents::included),
    of("ChainGetPath", 2, chain::path),
    of("ChainGetEvents", 1, |_, params| chain::events_of_root(params)),
    of("ChainGetParentMessages", 1, parents::messages),
    of("ChainGetParentReceipts", 1, parents::receipts),
    of("ChainGetTipSetByHeight", 2, chain::by_height),
    of("ChainGetTipSetAfterHeight", 2, chain::after_height),
    of("ChainNotify", 0, |_, _| Err(chain::needs_socket("Filecoin.ChainNotify"))),
    of("Discover", 0, |view, _| Ok(chain::discover(view))),
    of("Version", 0, |view, _| Ok(chain::version(view))),
    of("StateNetworkName", 0, |view, _| Ok(accounts::network_name(view))),
    of("StateNetworkVersion", 1, accounts::network_version),
    of("StateGetNetworkParams", 0, |view, _| Ok(accounts::network_params(view))),
    of("StateLookupID", 2, accounts::lookup_id),
    of("StateAccountKey", 2, accounts::account_key),
    of("StateGetActor", 2, accounts::actor),
    of("WalletBalance", 1, accounts::balance),
    of("EthAddressToFilecoinAddress", 1, |_, params| accounts::from_eth(params)),
    Method { name: "FilecoinAddressToEthAddress", params: (1, 2), answer: accounts::to_eth },
    of("StateMarketStorageDeal", 2, market::storage_deal),
    of("StateMarketBalance", 2, market::balance),
    of("StateDealProviderCollateralBounds", 3, market::bounds),
    of("StateReadState", 2, market::read_state),
    of("StateListMiners", 1, miner::list),
    of("StateMinerInfo", 2, miner::info),
    of("StateMinerPower", 2, miner::power),
    of("StateMinerSectorCount", 2, miner::sector_count),
    of("StateMinerFaults", 2, miner::faults),
    of("StateMinerRecoveries", 2, miner::recoveries),
    of("StateMinerProvingDeadline", 2, miner::proving_deadline),
    of("StateMinerDeadlines", 2, miner::deadlines),
    of("StateMinerPartitions", 3, miner::partitions),
    of("StateMinerSectors", 3, |view, params| miner::sectors(view, params, false)),
    of("StateMinerActiveSectors", 2, |view, params| miner::sectors(view, params, true)),
    of("StateSectorGetInfo", 3, miner::sector_info),
    of("StateSectorExpiration", 3, miner::sector_expiration),
    of("StateSectorPartition", 3, miner::sector_partition),
    of("StateAllMinerFaults", 1, |_, _| Err(RpcError::other("fixme"))),
    of("StateCall", 2, messages::state_call),
    of("StateReplay", 2, messages::replay),
    of("StateSearchMsg", 4, messages::search),
    of("StateWaitMsg", 4, |view, params| {
        let found = messages::waited(view, params)?;
        found.ok_or_else(|| RpcError::other("the message is not there yet, and only a server can wait"))
    }),
    of("StateDecodeParams", 4, decode::params),
    of("MpoolGetNonce", 1, messages::nonce),
    of("MpoolPending", 1, messages::pending),
    of("GasEstimateGasPremium", 4, messages::premium),
    of("GasEstimateMessageGas", 3, messages::estimate),
    of("GetActorEventsRaw", 1, events::get),
    of("SubscribeActorEventsRaw", 1, |_, _| Err(chain::needs_socket("Filecoin.SubscribeActorEventsRaw"))),
    of("StateGetClaim", 3, registry::claim),
    of("StateGetClaims", 2, registry::claims),
    of("StateGetAllClaims", 1, registry::all_claims),
    of("StateGetAllocation", 3, registry::allocation),
    of("StateGetAllocations", 2, registry::allocations),
    of("StateGetAllAllocations", 1, registry::all_allocations),
    of("StateGetAllocationForPendingDeal", 2, registry::of_pending_deal),
    of("StateVerifiedClientStatus", 2, registry::datacap),
    without_f3("F3GetLatestCertificate", 0),
    without_f3("F3GetPowerTableByInstance", 1),
    without_f3("F3GetCertificate", 1),
];

/// The one native method that changes something.
const PUSH: &str = "MpoolPush";

/// The names of all native methods, without their prefix.
pub fn methods() -> impl Iterator<Item = &'static str> {
    METHODS.iter().map(|method| method.name).chain([PUSH])
}

/// Answers a native method as an endpoint does whose head and memory are those of `view`.
pub(super) fn answer(view: View<'_>, method: &str, params: &Value) -> Result<Value, RpcError> {
    let unknown = || RpcError::unknown_method(method);
    let name = method.strip_prefix("Filecoin.").ok_or_else(unknown)?;
    let served = METHODS.iter().find(|served| served.name == name).ok_or_else(unknown)?;
    let (least, most) = served.params;
    (served.answer)(view, Params::between(method, params, least, most)?)
}

/// Answers a native method that changes something; `None` for the others.
pub(super) fn act(world: &mut World, method: &str, params: &Value) -> Option<Result<Value, RpcError>> {
    let pushes = method.strip_prefix("Filecoin.") == Some(PUSH);
    pushes.then(|| Params::new(method, params, 1).and_then(|params| messages::push(world, params)))
}

/// The method that answers late: `None` while it has to wait.
pub(super) fn wait(view: View<'_>, params: &Value) -> Result<Option<Value>, RpcError> {
    messages::waited(view, Params::new(WAIT, params, 4)?)
}

/// See [`wait`].
pub(super) const WAIT: &str = "Filecoin.StateWaitMsg";
