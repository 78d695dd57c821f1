//! What single answers are believed.

use super::{before, chain_of, config, error, is, true_epoch};
use crate::server::{Decide, Say, proxy, serve};
use crate::support::{Net, PROVIDER, control, done, endpoint, pool, start_devnet};
use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use raas_clients::filecoin::identify;
use raas_clients::key::Key;
use raas_clients::rpc::{Call, CallError, Unknown};
use raas_core::endpoint::{Alarm, Standing, alarms};
use raas_core::gate::{self, Hold};
use raas_core::ids::DealId;
use raas_core::observation::{DealSeen, NotSeen, ProviderSeen, SectorSeen};
use raas_core::ports::{Broadcast, Chain as _, DealChange, Lane, Look, TxIntent, Wallet as _};
use raas_core::units::{AttoFil, Epoch};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

#[tokio::test]
async fn fault_03_deals_that_a_pruned_or_foreign_endpoint_lacks_are_unknown() {
    let net = Net::funded().await;
    let (_, deal, sector) = net.active_deal().await;
    let round = net.round().await;
    let pruned = before(&net, |call| {
        let state = call["method"].as_str().is_some_and(|method| method.starts_with("Filecoin.State"));
        if state {
            error(1, "failed to load state tree: ipld: could not find bafy2bzaced")
        } else {
            Say::Pass
        }
    })
    .await;
    let chain = chain_of(&pool(&[pruned], 1));
    assert_eq!(chain.deals(&round, &[deal]).await, [DealSeen::NotSeen(NotSeen::MissingState)]);
    assert!(matches!(chain.sectors(&round, PROVIDER, &[sector]).await[..], [SectorSeen::NotSeen(_)]));
    assert!(matches!(chain.provider_seen(&round, PROVIDER, &[sector], &[]).await, ProviderSeen::NotSeen(_)));
    // The alarm comes before anything is asked of it: it was found out when its network was.
    let short = before(&net, |call| {
        let method = call["method"].as_str().unwrap_or_default();
        let of_network = method.starts_with("Filecoin.StateNetwork") || method.contains("NetworkParams");
        if method.starts_with("Filecoin.State") && !of_network {
            error(1, "failed to load state tree: ipld: could not find bafy2bzaced")
        } else {
            Say::Pass
        }
    })
    .await;
    let known = pool(&[short], 1);
    known.expect_network(&identify(&net.pool).await.expect("a network"));
    let chain = chain_of(&known);
    chain.pin(&Look::default()).await.expect("its heads are right");
    let raised = alarms(&chain.endpoints(), 2);
    assert!(raised.iter().any(|alarm| matches!(alarm, Alarm::StateShort { .. })), "{raised:?}");

    // Of another network: nothing is asked of it, and nothing remains.
    let stranger = start_devnet(2).await;
    let foreign = pool(&[endpoint(&stranger)], 1);
    foreign.expect_network(&identify(&net.pool).await.expect("a network"));
    let chain = chain_of(&foreign);
    assert!(matches!(chain.deals(&round, &[deal]).await.as_slice(), [DealSeen::NotSeen(_)]));
    assert_eq!(chain.pin(&Look::default()).await, Err(Hold::OtherNetwork));
    let raised = alarms(&chain.endpoints(), 2);
    assert!(raised.iter().any(|alarm| matches!(alarm, Alarm::OtherNetwork { .. })), "{raised:?}");
}

#[tokio::test]
async fn fault_04_an_endpoint_that_is_days_behind_has_no_voice() {
    let net = Net::start().await;
    let old = net.round().await.head;
    let stands = Arc::new(Mutex::new(None::<Value>));
    let memory = stands.clone();
    let upstream = net.devnet.rpc_url();
    let frozen: Value = net.pool.read(Call::new("Filecoin.ChainHead", vec![])).await.expect("a head");
    *memory.lock().expect("free") = Some(frozen);
    let behind = config(
        &proxy(
            upstream,
            Arc::new(move |call: &Value| {
                match (is(call, "Filecoin.ChainHead"), &*stands.lock().expect("free")) {
                    (true, Some(head)) => Say::Own(json!({"result": head})),
                    _ => Say::Pass,
                }
            }) as Decide,
        )
        .await,
    );
    net.advance(3 * 2_880).await;
    let expected = true_epoch(&net).await;
    let look = Look { expected: Some(expected), last: None };

    let alone = chain_of(&pool(std::slice::from_ref(&behind), 1));
    assert_eq!(alone.pin(&look).await, Err(Hold::HeadOld { head: old, expected }));
    let seen = alone.endpoints();
    assert_eq!(seen[0].standing, Standing::Off { head: old, expected });
    assert!(alarms(&seen, 1).iter().any(|alarm| matches!(alarm, Alarm::HeadOff { .. })));

    let ends = [behind, endpoint(&net.devnet)];
    let one = chain_of(&pool(&ends, 1)).pin(&look).await.expect("a pin");
    assert_eq!((one.round.head, one.round.agreed), (expected, 1), "the good one is believed");
    let two = chain_of(&pool(&ends, 2)).pin(&look).await.expect("a pin");
    let hold = gate::judge(two.round.head, two.round.height, expected, two.round.agreed, two.wanted);
    assert_eq!(hold, Some(Hold::Disagreement { agreed: 1, wanted: 2 }), "no quorum");
}

#[tokio::test]
async fn fault_06_the_words_deal_not_found_alone_are_no_loss() {
    let net = Net::funded().await;
    let (_, deal, _) = net.active_deal().await;
    let round = net.round().await;
    let words = before(&net, |call| {
        if is(call, "Filecoin.StateMarketStorageDeal") {
            let text = "not found - deal may not have completed sealing before deal proposal start epoch, or deal \
                        may have been slashed";
            return error(1, &format!("deal {} {text}", call["params"][0]));
        }
        Say::Pass
    })
    .await;
    // The actor's own exit code at the same tipset says that the deal is there.
    let seen = chain_of(&pool(&[words], 1)).deals(&round, &[deal]).await;
    assert_eq!(seen, [DealSeen::NotSeen(NotSeen::Contradiction)]);
}

/// A deal that is really gone is told so three times, and not before its end is final.
#[tokio::test]
async fn fault_06_a_termination_is_a_loss_by_event_exit_code_and_sector_once_it_is_final() {
    let net = Net::funded().await;
    let (_, deal, sector) = net.active_deal().await;
    control(&net.pool, "devnet_terminate", json!([PROVIDER, [sector]])).await;
    net.advance(2).await;
    let head = true_epoch(&net).await;
    let told = async |to: Epoch| {
        let events = net.chain.deal_events(Epoch(head.0 - 10), to).await.expect("events");
        events
            .told
            .iter()
            .filter(|event| event.deal == deal && event.change == DealChange::Terminated)
            .count()
    };
    // At the head the words are "not found" already; what is final still has it, and so nothing is concluded.
    let words: Result<Value, CallError> =
        net.pool.read(Call::new("Filecoin.StateMarketStorageDeal", vec![json!(deal.0), Value::Null])).await;
    assert!(words.is_err(), "{words:?}");
    let round = net.round().await;
    assert!(matches!(net.chain.deals(&round, &[deal]).await.as_slice(), [DealSeen::Present(_)]));
    assert_eq!(net.chain.sectors(&round, PROVIDER, &[sector]).await, [SectorSeen::Live]);
    // Final: the event names the deal, its market knows it no more, and its miner holds the sector no more.
    net.advance(60).await;
    let round = net.round().await;
    assert_eq!(told(round.height).await, 1);
    assert_eq!(net.chain.deals(&round, &[deal]).await, [DealSeen::Gone]);
    assert_eq!(net.chain.removed(&round, &[deal]).await, [DealSeen::Gone]);
    assert_eq!(net.chain.sectors(&round, PROVIDER, &[sector]).await, [SectorSeen::Dead]);
}

#[tokio::test]
async fn fault_27_an_endpoint_of_another_network_is_asked_nothing_and_sent_nothing() {
    let net = Net::funded().await;
    let stranger = start_devnet(2).await;
    let calls = Arc::new(Mutex::new(Vec::<String>::new()));
    let noted = calls.clone();
    let watched = proxy(
        stranger.rpc_url(),
        Arc::new(move |call: &Value| {
            noted.lock().expect("free").push(call["method"].as_str().unwrap_or_default().to_owned());
            Say::Pass
        }) as Decide,
    )
    .await;
    let both = pool(&[config(&watched), endpoint(&net.devnet)], 1);
    let identity = identify(&net.pool).await.expect("a network");
    both.expect_network(&identity);
    let wallet = raas_clients::wallet::KeyWallet::new(
        Key::from_bytes(&[7; 32]).expect("a key"),
        both.clone(),
        raas_clients::wallet::WalletConfig {
            chain_id: identity.chain_id,
            genesis: None,
            contracts: Vec::new(),
            max_gas_cost: AttoFil::fil(1),
        },
    );
    let nonce = wallet.chain_nonce(Lane::Native).await.expect("a nonce");
    let tx = done(wallet.prepare(&TxIntent::AddBalance { amount: AttoFil::fil(1) }, nonce, None).await);
    assert_eq!(wallet.broadcast(Lane::Native, &tx).await, Broadcast::Taken);
    let pin = chain_of(&both).pin(&Look::default()).await.expect("a pin");
    assert_eq!((pin.round.agreed, pin.round.asked), (1, 2));
    let asked = calls.lock().expect("free").clone();
    let about_itself = [
        "Filecoin.StateNetworkName",
        "eth_chainId",
        "Filecoin.ChainGetGenesis",
        "Filecoin.StateGetNetworkParams",
    ];
    assert!(asked.iter().all(|method| about_itself.contains(&method.as_str())), "{asked:?}");
    let seen = chain_of(&both).endpoints();
    assert!(alarms(&seen, 1).iter().any(|alarm| matches!(alarm, Alarm::OtherNetwork { .. })), "{seen:?}");
}

#[tokio::test]
async fn fault_27_an_endpoint_that_comes_back_as_another_network_is_found_out() {
    let net = Net::start().await;
    let stranger = start_devnet(2).await;
    // The address answers for one network, fails, and answers for the other, as after a change of its machine.
    let (down, swapped) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let state = (down.clone(), swapped.clone(), net.devnet.rpc_url(), stranger.rpc_url());
    let url = serve(Router::new().fallback(move |body: axum::body::Bytes| {
        let (client, (down, swapped, first, second)) = (client.clone(), state.clone());
        async move {
            if down.load(Ordering::SeqCst) {
                return StatusCode::BAD_GATEWAY.into_response();
            }
            let upstream = if swapped.load(Ordering::SeqCst) { second } else { first };
            let answer =
                client.post(&upstream).body(body).header("content-type", "application/json").send().await;
            answer.expect("an answer").bytes().await.expect("a body").into_response()
        }
    }))
    .await;
    let alone = pool(&[config(&url)], 1);
    alone.expect_network(&identify(&net.pool).await.expect("a network"));
    let chain = chain_of(&alone);
    assert!(chain.pin(&Look::default()).await.is_ok());
    down.store(true, Ordering::SeqCst);
    assert_eq!(chain.pin(&Look::default()).await, Err(Hold::NoEndpoint));
    swapped.store(true, Ordering::SeqCst);
    down.store(false, Ordering::SeqCst);
    assert_eq!(chain.pin(&Look::default()).await, Err(Hold::OtherNetwork));
}

#[tokio::test]
async fn fault_59_the_whole_market_is_never_asked_for() {
    // Nowhere in what is built: the method answers with tens of gigabytes.
    fn sources(folder: &std::path::Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(&path).expect("text");
                if text.contains("StateMarketDeals") || text.contains("StateMarketParticipants") {
                    found.push(path.display().to_string());
                }
            }
        }
    }
    let mut found = Vec::new();
    for name in ["raas-clients/src", "raas-node/src"] {
        sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name), &mut found);
    }
    assert_eq!(found, Vec::<String>::new());
    // Nor by another name: what is asked while deals are looked for and read is what public endpoints offer.
    let net = Net::funded().await;
    let asked = Arc::new(Mutex::new(std::collections::BTreeSet::<String>::new()));
    let noted = asked.clone();
    let end = before(&net, move |call| {
        noted.lock().expect("free").insert(call["method"].as_str().unwrap_or_default().to_owned());
        Say::Pass
    })
    .await;
    let chain = chain_of(&pool(&[end], 1));
    let round = chain.pin(&Look::default()).await.expect("a pin").round;
    chain.deals(&round, &[DealId(1), DealId(1_000_000)]).await;
    chain.next_deal(&round).await.expect("an id");
    assert!(!asked.lock().expect("free").iter().any(|method| method.contains("MarketDeals")));
    assert!(matches!(
        pool(&[endpoint(&net.devnet)], 1).read::<Value>(Call::new("Filecoin.StateNoSuch", vec![])).await,
        Err(CallError::Unknown(Unknown::NotOffered(_)))
    ));
}
