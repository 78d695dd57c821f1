//! Addresses, accounts, balances, and what the network says of itself.

use super::{RpcError, encode, params::Params, view::View};
use crate::{codec::Address, fevm::ActorCalls as _, ipld::MinerHead, world::StateAt};
use alloy_primitives::U256;
use cid::Cid;
use raas_core::ids::ActorId;
use serde_json::{Value, json};

/// Registered error: the actor does not exist.
const ACTOR_NOT_FOUND: i64 = 11;

/// `StateLookupID [address, key]`
pub(super) fn lookup_id(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let at = view.state(params, 1)?;
    let id = view
        .world
        .actors
        .lookup(&params.address(0)?, at)
        .ok_or_else(|| RpcError::coded(ACTOR_NOT_FOUND, "actor not found"))?;
    Ok(json!(encode::id_address(id)))
}

/// `StateAccountKey [address, key]`
pub(super) fn account_key(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let at = view.state(params, 1)?;
    let id = view.actor(&params.address(0)?, at)?;
    match view.world.actors.robust(id) {
        Some(key) => Ok(json!(encode::address(key))),
        None => Err(RpcError::other(format!(
            "failed to get account actor state for {}: not an account actor",
            encode::id_address(id)
        ))),
    }
}

/// `WalletBalance [address]`: zero for an address without an actor.
pub(super) fn balance(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let at = StateAt::before(view.head);
    let id = view.world.actors.lookup(&params.address(0)?, at);
    Ok(json!(id.map_or(U256::ZERO, |id| balance_of(view, id, at)).to_string()))
}

/// `StateGetActor [address, key]`
pub(super) fn actor(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let at = view.state(params, 1)?;
    let id = view.actor(&params.address(0)?, at)?;
    let robust = view.world.actors.robust(id);
    let delegated = robust.filter(|robust| matches!(robust, Address::Delegated { .. }));
    let nonce = match delegated.and_then(Address::to_eth) {
        Some(eth) => view.world.fevm.account(&eth.into(), at).map_or(0, |account| account.nonce),
        None => view.world.actors.wallet(id, at).unwrap_or_default().nonce,
    };
    Ok(json!({
        "Code": encode::link(&code(view, id)),
        "Head": encode::link(&head(view, id, at)),
        "Nonce": nonce,
        "Balance": balance_of(view, id, at).to_string(),
        "DelegatedAddress": delegated.map(encode::address),
    }))
}

/// The root of an actor's state.
fn head(view: View<'_>, id: ActorId, at: StateAt) -> Cid {
    match miner_head(view, id, at) {
        Some(miner) => miner.head,
        None => {
            // A contract's state root moves with its state alone; that of others is not told apart from time.
            let robust = view.world.actors.robust(id);
            let eth =
                robust.filter(|robust| matches!(robust, Address::Delegated { .. })).and_then(Address::to_eth);
            let version = eth.and_then(|eth| view.world.fevm.changed(&eth.into(), at)).unwrap_or(at.0);
            view.world.chain().object_cid(&format!("actor {id}"), version)
        }
    }
}

/// A miner's state as blocks.
pub(super) fn miner_head(view: View<'_>, id: ActorId, at: StateAt) -> Option<MinerHead> {
    let provider = raas_core::ids::ProviderId(id);
    let miner = view.world.miner(provider)?;
    Some(view.world.ipld.miner(provider, miner, at, view.world.chain().branch(at.0)))
}

/// The CID of an actor's code.
pub(super) fn code(view: View<'_>, id: ActorId) -> Cid {
    view.world.chain().object_cid(kind(view, id), 0)
}

fn kind(view: View<'_>, id: ActorId) -> &'static str {
    match view.world.actors.robust(id) {
        Some(Address::Delegated { .. }) => "code evm",
        Some(_) => "code account",
        None if view.world.miner(raas_core::ids::ProviderId(id)).is_some() => "code miner",
        None => "code system",
    }
}

fn balance_of(view: View<'_>, id: ActorId, at: StateAt) -> U256 {
    let eth = view.world.actors.robust(id).filter(|robust| matches!(robust, Address::Delegated { .. }));
    match eth.and_then(Address::to_eth) {
        Some(eth) => view.world.fevm.account(&eth.into(), at).map_or(U256::ZERO, |account| account.balance),
        None => view.world.actors_at(at).native_balance(id).unwrap_or_default(),
    }
}

/// `StateNetworkName []`
pub(super) fn network_name(view: View<'_>) -> Value {
    json!(view.lens.network_name(&view.world.config().network_name))
}

/// `StateNetworkVersion [key]`
pub(super) fn network_version(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let height = view.height_at(params, 0)?;
    let frozen = view.world.is_frozen(StateAt(height));
    Ok(json!(if frozen { 29 } else { view.world.config().network_version }))
}

/// `StateGetNetworkParams []`
pub(super) fn network_params(view: View<'_>) -> Value {
    let config = view.world.config();
    // The upgrade to the configured version lies before everything this world shows.
    let solstice = view.world.solstice().unwrap_or(999_999_999_999_i64);
    json!({
        "NetworkName": view.lens.network_name(&config.network_name),
        "BlockDelaySecs": config.block_delay_secs,
        "ConsensusMinerMinPower": "1",
        "PreCommitChallengeDelay": 0,
        "ForkUpgradeParams": { "UpgradeFireHorseHeight": -2, "UpgradeSolsticeHeight": solstice },
        "Eip155ChainID": view.lens.chain_id(config.chain_id),
        "GenesisTimestamp": view.world.chain().timestamp(0),
    })
}

/// `EthAddressToFilecoinAddress [0x..]`
pub(super) fn from_eth(params: Params<'_>) -> Result<Value, RpcError> {
    Ok(json!(encode::address(&params.address(0)?)))
}

/// `FilecoinAddressToEthAddress [address, block|absent]`
pub(super) fn to_eth(view: View<'_>, params: Params<'_>) -> Result<Value, RpcError> {
    let address = params.address(0)?;
    let at = StateAt::before(view.head);
    let eth = match address.to_eth() {
        Some(eth) => eth,
        None => Address::Id(view.actor(&address, at)?).to_eth().unwrap_or_default(),
    };
    Ok(json!(format!("0x{}", hex::encode(eth))))
}
