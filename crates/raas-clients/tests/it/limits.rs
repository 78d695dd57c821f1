//! How far back and how wide an endpoint answers: measured when it is met, learned from its refusals, and kept to.

use crate::server::{Decide, Say, proxy};
use crate::support::{Net, PROVIDER, control, pool};
use raas_clients::evm::DealStatus;
use raas_clients::filecoin::{LotusChain, identify};
use raas_clients::key::Key;
use raas_clients::rpc::{EndpointConfig, Pool};
use raas_core::observation::{DealSeen, SectorSeen};
use raas_core::ports::{Chain as _, Contract as _, Look, Witness};
use raas_core::units::Epoch;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// The devnet's endpoint `name`, which behaves so.
async fn named(net: &Net, name: &str, behaviour: Value) -> EndpointConfig {
    control(&net.pool, "devnet_setEndpoint", json!([name, behaviour])).await;
    EndpointConfig::new(format!("{}/{name}", net.devnet.rpc_url()).parse().expect("a URL"))
}

/// How often `method` was called at endpoint `name`.
async fn calls(net: &Net, name: &str, method: &str) -> u64 {
    let listed = control(&net.pool, "devnet_endpoints", json!([false])).await;
    let mut listed = listed.as_array().expect("endpoints").iter();
    let found = listed.find(|endpoint| endpoint["name"] == name).expect("the endpoint");
    found["calls"][method].as_u64().unwrap_or(0)
}

async fn chain_of(net: &Net, pool: &Pool) -> LotusChain {
    pool.expect_network(&identify(&net.pool).await.expect("a network"));
    LotusChain::new(pool.clone(), Key::from_bytes(&[7; 32]).expect("a key").native_address())
}

#[tokio::test]
async fn depth_and_width_are_measured_at_start_and_again_when_an_endpoint_is_back() {
    let net = Net::start().await;
    net.advance(5_000).await;
    let small = named(&net, "small", json!({ "lookback": 1_234, "logRange": 700 })).await;
    let pool = pool(&[small], 1);
    let chain = chain_of(&net, &pool).await;
    chain.pin(&Look::default()).await.expect("a pin");
    let [seen] = chain.endpoints().try_into().expect("one");
    assert!(seen.state_epochs.is_some_and(|epochs| (1_170..=1_234).contains(&epochs)), "{seen:?}");
    assert_eq!(seen.log_blocks, Some(700));
    // It goes away, and what comes back is another one.
    named(&net, "small", json!({ "faults": [{ "mode": "down" }] })).await;
    for _ in 0..10 {
        assert!(chain.pin(&Look::default()).await.is_err());
    }
    named(&net, "small", json!({ "lookback": 2_000, "logRange": 90 })).await;
    net.advance(1).await;
    chain.pin(&Look::default()).await.expect("a pin");
    let [seen] = chain.endpoints().try_into().expect("one");
    assert!(seen.state_epochs.is_some_and(|epochs| (1_990..=2_000).contains(&epochs)), "{seen:?}");
    assert_eq!(seen.log_blocks, Some(90));
    // A gateway's day, and all that it lacks.
    let gateway = named(&net, "gateway", json!({ "profile": "gateway" })).await;
    let chain = chain_of(&net, &crate::support::pool(&[gateway], 1)).await;
    chain.pin(&Look::default()).await.expect("a pin");
    let [seen] = chain.endpoints().try_into().expect("one");
    assert!(seen.state_epochs.is_some_and(|epochs| (2_800..=2_880).contains(&epochs)), "{seen:?}");
    assert!(seen.not_offered.iter().any(|method| method == "Filecoin.StateMinerFaults"), "{seen:?}");
}

#[tokio::test]
async fn state_that_an_endpoint_does_not_keep_is_read_elsewhere_at_once() {
    let net = Net::funded().await;
    let (_, deal, _) = net.active_deal().await;
    let old = net.round().await;
    net.advance(2_000).await;
    let pruned = named(&net, "pruned", json!({ "lookback": 950 })).await;
    let full = named(&net, "full", json!({})).await;
    let chain = chain_of(&net, &pool(&[pruned.clone(), full.clone()], 1)).await;
    chain.pin(&Look::default()).await.expect("a pin");
    assert!(matches!(chain.deals(&old, &[deal]).await.as_slice(), [DealSeen::Present(_)]));
    const METHOD: &str = "Filecoin.StateMarketStorageDeal";
    // The probe asks each method once, without parameters.
    assert_eq!(calls(&net, "pruned", METHOD).await, 1, "it is not asked for what it does not keep");
    assert_eq!(calls(&net, "full", METHOD).await, 2);
    let now = net.round().await;
    assert!(matches!(chain.deals(&now, &[deal]).await.as_slice(), [DealSeen::Present(_)]));
    assert_eq!(calls(&net, "pruned", METHOD).await, 2, "what it keeps it is asked for, as before");
    // Where nobody has measured, a refusal is learned from.
    let unmeasured =
        LotusChain::new(pool(&[pruned, full], 1), Key::from_bytes(&[7; 32]).expect("a key").native_address());
    unmeasured.pin(&Look::default()).await.expect("a pin");
    for _ in 0..3 {
        assert!(matches!(unmeasured.deals(&old, &[deal]).await.as_slice(), [DealSeen::Present(_)]));
    }
    assert_eq!(calls(&net, "pruned", METHOD).await, 3, "once, to find that out");
}

#[tokio::test]
async fn no_endpoint_is_asked_for_more_logs_than_it_gives() {
    let mut net = Net::funded().await;
    let address = net.deploy().await.address();
    net.advance(3_000).await;
    let round = net.round().await;
    let (from, to) = (Epoch(round.eth_block.0 - 1_999), round.eth_block);
    let small = named(&net, "small", json!({ "logRange": 700 })).await;
    // Measured before.
    let measured = pool(std::slice::from_ref(&small), 1);
    chain_of(&net, &measured).await.pin(&Look::default()).await.expect("a pin");
    let before = calls(&net, "small", "eth_getLogs").await;
    let window = DealStatus::new(measured, address).window(&round, from, to).await.expect("a window");
    assert_eq!(window.witness, Witness::State);
    assert_eq!(calls(&net, "small", "eth_getLogs").await - before, 3, "three of at most 700 blocks");
    // Learned by the first refusal, and kept to from then on.
    let contract = DealStatus::new(pool(&[small], 1), address);
    let before = calls(&net, "small", "eth_getLogs").await;
    contract.window(&round, from, to).await.expect("a window");
    assert_eq!(calls(&net, "small", "eth_getLogs").await - before, 4);
    contract.window(&round, from, to).await.expect("a window");
    assert_eq!(calls(&net, "small", "eth_getLogs").await - before, 7);
}

/// The methods of the miner actor that were called through `StateCall`.
type Asked = Arc<Mutex<Vec<u64>>>;

/// FIP-0112: Generate looks through a whole miner, Validate is cheap.
#[tokio::test]
async fn where_a_sector_is_is_learned_once_and_again_when_it_is_not_there_any_more() {
    const GENERATE: u64 = 1_321_604_665;
    const VALIDATE: u64 = 3_092_458_564;
    let net = Net::funded().await;
    let (_, _, sector) = net.active_deal().await;
    let (asked, moved) = (Asked::default(), Arc::new(AtomicBool::new(false)));
    let (noted, away) = (Arc::clone(&asked), Arc::clone(&moved));
    let watched = proxy(
        net.devnet.rpc_url(),
        Arc::new(move |call: &Value| {
            let method = call["params"][0]["Method"].as_u64();
            if call["method"] != "Filecoin.StateCall" || !matches!(method, Some(GENERATE | VALIDATE)) {
                return Say::Pass;
            }
            noted.lock().expect("free").extend(method);
            // Compaction has moved the sector.
            if method == Some(VALIDATE) && away.swap(false, Ordering::SeqCst) {
                return Say::Own(json!({ "result": { "MsgRct": { "ExitCode": 17, "Return": null } } }));
            }
            Say::Pass
        }) as Decide,
    )
    .await;
    let one = pool(&[EndpointConfig::new(watched.parse().expect("a URL"))], 1);
    let chain = LotusChain::new(one, Key::from_bytes(&[7; 32]).expect("a key").native_address());
    let look = async || {
        let round = net.round().await;
        let seen = chain.sectors(&round, PROVIDER, &[sector]).await.pop().expect("an answer");
        (seen, std::mem::take(&mut *asked.lock().expect("free")))
    };
    assert_eq!(look().await, (SectorSeen::Live, vec![GENERATE]));
    assert_eq!(look().await, (SectorSeen::Live, vec![VALIDATE]), "it is where it was");
    moved.store(true, Ordering::SeqCst);
    assert_eq!(look().await, (SectorSeen::Live, vec![VALIDATE, GENERATE]), "it is elsewhere");
    assert_eq!(look().await, (SectorSeen::Live, vec![VALIDATE]));
    control(&net.pool, "devnet_fault", json!([PROVIDER.number(), [sector.0]])).await;
    net.advance(2_920).await;
    let (seen, methods) = look().await;
    assert!(matches!(seen, SectorSeen::Faulty { .. }), "{seen:?}");
    assert_eq!(methods, [VALIDATE, GENERATE], "another status is not taken from what is kept");
    let (seen, methods) = look().await;
    assert!(matches!(seen, SectorSeen::Faulty { .. }), "{seen:?}");
    assert_eq!(methods, [VALIDATE], "its status as it was is");
    control(&net.pool, "devnet_terminate", json!([PROVIDER.number(), [sector.0]])).await;
    net.advance(40).await;
    assert_eq!(look().await.0, SectorSeen::Dead);
    assert_eq!(look().await, (SectorSeen::Dead, vec![GENERATE]), "that it is dead is asked for each time");
}
