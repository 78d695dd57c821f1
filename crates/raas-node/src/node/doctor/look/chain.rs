//! Endpoints, time, and the pin.

use super::patient::Patient;
use crate::node::doctor::looked::{Address, Clock, Contracts, Endpoint, Pinned, Silence, Voices};
use alloy_primitives::Address as EthAddress;
use futures_util::future::join_all;
use raas_clients::address::Address as FilecoinAddress;
use raas_clients::clock::{DevnetClock, WallClock};
use raas_clients::evm::logs_seen;
use raas_clients::filecoin::{Identity, LotusChain, identify_one};
use raas_clients::rpc::EndpointConfig;
use raas_core::ids::ActorId;
use raas_core::observation::Round;
use raas_core::ports::{Chain, Clock as _, Look, Now};
use raas_core::units::Epoch;

/// Each endpoint: which network it serves.
pub(super) async fn voices(patient: &Patient<'_>) -> Voices {
    let names: Vec<String> = patient.pool.names().map(str::to_owned).collect();
    let told = join_all((0..names.len()).map(|at| async move {
        let since = tokio::time::Instant::now();
        (identify_one(&patient.pool, at).await, since.elapsed())
    }))
    .await;
    let endpoints = names.into_iter().zip(told).map(|(name, (identity, took))| Endpoint {
        name,
        identity: identity.map_err(Silence::from),
        seen: None,
        socket: None,
        logs: None,
        took,
    });
    Voices {
        agree: patient.config.chain.agree,
        chain_id: patient.network.chain_id(),
        known: patient.network.identity(),
        addresses: patient.settings.iter().filter_map(|setting| address(setting.url())).collect(),
        endpoints: endpoints.collect(),
    }
}

fn address(url: &str) -> Option<Address> {
    let url = url::Url::parse(url).ok()?;
    let host = url.host_str()?.to_owned();
    let is_loopback = match url.host()? {
        url::Host::Domain(name) => name == "localhost",
        url::Host::Ipv4(ip) => ip.is_loopback(),
        url::Host::Ipv6(ip) => ip.is_loopback(),
    };
    Some(Address { host, plain: matches!(url.scheme(), "http" | "ws"), here: is_loopback })
}

/// The time by which everything is judged.
pub(super) async fn clock(patient: &Patient<'_>, identity: &Identity) -> (Now, Clock) {
    if patient.devnet
        && let Some(now) = devnet_time(patient).await
    {
        return (now, Clock::Devnet);
    }
    let now = WallClock::new(identity.genesis_unix, identity.block_delay_secs).now().await;
    let heads = patient.pool.heads_now().await.into_iter().map(Epoch).collect();
    (now, Clock::Wall { epoch: now.epoch, epoch_seconds: identity.block_delay_secs, heads })
}

/// The first endpoint tells a devnet's time.
async fn devnet_time(patient: &Patient<'_>) -> Option<Now> {
    let first = url::Url::parse(patient.settings.first()?.url()).ok()?;
    let clock = DevnetClock::connect(EndpointConfig::new(first)).await.ok()?;
    Some(clock.now().await)
}

/// The round that can be pinned now; what each endpoint showed on the way is put beside it.
pub(super) async fn pin(patient: &Patient<'_>, now: Now, voices: &mut Voices) -> Pinned {
    let chain = chain(patient);
    let pin = chain.pin(&Look { expected: Some(now.epoch), last: None }).await;
    for seen in chain.endpoints() {
        let same = voices.endpoints.iter_mut().find(|endpoint| endpoint.name == seen.name);
        if let Some(endpoint) = same {
            endpoint.seen = Some(seen);
        }
    }
    for (name, error) in patient.pool.try_sockets().await {
        if let Some(endpoint) = voices.endpoints.iter_mut().find(|endpoint| endpoint.name == name) {
            endpoint.socket = Some(error.map_or(Ok(()), Err));
        }
    }
    Pinned { expected: now.epoch, pin }
}

/// Whether each endpoint's log queries tell all that it has, for the contracts that are there and in general.
pub(super) async fn logs(patient: &Patient<'_>, round: &Round, contracts: &Contracts, voices: &mut Voices) {
    let there = contracts.list.iter().filter(|contract| matches!(contract.code, Ok(Some(_))));
    let addresses: Vec<EthAddress> = there.filter_map(|contract| contract.address.parse().ok()).collect();
    let seen = logs_seen(&patient.pool, round, &addresses).await;
    for (endpoint, seen) in voices.endpoints.iter_mut().zip(seen) {
        // Why one could not be looked at is told of its methods, its lookback or its silence.
        endpoint.logs = seen.ok();
    }
}

/// The chain, of nobody's wallet.
pub(super) fn chain(patient: &Patient<'_>) -> LotusChain {
    LotusChain::new(patient.pool.clone(), FilecoinAddress::Id(ActorId(0)))
}
