//! Calls that are lost, late, refused or sent twice.

use super::{before, chain_of, config, error, is};
use crate::server::{Say, serve, silent};
use crate::support::{Net, control, done, endpoint, pool};
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use raas_clients::filecoin::identify;
use raas_clients::key::Key;
use raas_clients::rpc::{Call, EndpointConfig, Limits, Pool};
use raas_core::endpoint::Standing;
use raas_core::gate::Hold;
use raas_core::ports::{Broadcast, Chain as _, Lane, Look, TxIntent, Wallet as _};
use raas_core::units::AttoFil;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

#[tokio::test]
async fn fault_34_a_send_goes_to_one_endpoint_at_a_time_and_its_words_are_settled() {
    let net = Net::funded().await;
    let sends = Arc::new(AtomicUsize::new(0));
    let mut ends = Vec::new();
    for _ in 0..3 {
        let count = sends.clone();
        ends.push(
            before(&net, move |call| {
                if is(call, "Filecoin.MpoolPush") {
                    count.fetch_add(1, Ordering::SeqCst);
                }
                Say::Pass
            })
            .await,
        );
    }
    let identity = identify(&net.pool).await.expect("a network");
    let wallet = raas_clients::wallet::KeyWallet::new(
        Key::from_bytes(&[7; 32]).expect("a key"),
        pool(&ends, 1),
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
    assert_eq!(sends.load(Ordering::SeqCst), 1, "the first that takes it is the only one that gets it");
    assert_eq!(wallet.broadcast(Lane::Native, &tx).await, Broadcast::AlreadyKnown);
    net.advance(3).await;
    let landed = wallet.included(Lane::Native, &tx.hash).await.expect("an answer").expect("executed");
    assert!(landed.success, "what became of it is seen by its hash");
}

#[tokio::test]
async fn fault_35_a_nonce_from_an_endpoint_that_lags_is_never_taken() {
    let net = Net::funded().await;
    let lagging = before(&net, |call| {
        let nonce = is(call, "eth_getTransactionCount");
        if nonce { Say::Own(json!({"result": "0x0"})) } else { Say::Pass }
    })
    .await;
    let mut honest = net;
    honest.deploy().await;
    let identity = identify(&honest.pool).await.expect("a network");
    let wallet = |ends: &[EndpointConfig]| {
        raas_clients::wallet::KeyWallet::new(
            Key::from_bytes(&[7; 32]).expect("a key"),
            pool(ends, 1),
            raas_clients::wallet::WalletConfig {
                chain_id: identity.chain_id,
                genesis: None,
                contracts: Vec::new(),
                max_gas_cost: AttoFil::fil(1),
            },
        )
    };
    let ends = [lagging, endpoint(&honest.devnet)];
    // A deployment is two transactions: the library and the contract.
    assert_eq!(wallet(&ends).chain_nonce(Lane::Evm).await, Ok(2), "the highest that any tells");
}

#[tokio::test]
async fn fault_36_one_that_never_answers_is_left_alone_and_the_next_is_asked() {
    let net = Net::start().await;
    let limits = Limits { deadline: Duration::from_millis(200), ..Limits::default() };
    let ends = [config(&silent().await), endpoint(&net.devnet)];
    let both = Pool::new(&ends, limits, 1).expect("a pool");
    let chain = chain_of(&both);
    for _ in 0..4 {
        assert!(chain.pin(&Look::default()).await.is_ok());
    }
    let seen = both.seen();
    assert!(
        matches!(&seen[0].standing, Standing::Failing { why } if why.contains("no answer within")),
        "{seen:?}"
    );
    // One that is needed is tried before its time, so that a node with a single endpoint goes on at once.
    let gate = Arc::new(AtomicBool::new(true));
    let closed = gate.clone();
    let flapping = before(&net, move |_| {
        if closed.load(Ordering::SeqCst) { error(-32603, "server busy. please retry") } else { Say::Pass }
    })
    .await;
    let alone = Pool::new(&[flapping], limits, 1).expect("a pool");
    let chain = chain_of(&alone);
    assert_eq!(chain.pin(&Look::default()).await, Err(Hold::NoEndpoint));
    gate.store(false, Ordering::SeqCst);
    assert!(chain.pin(&Look::default()).await.is_ok());
}

#[tokio::test]
async fn fault_37_a_storm_of_429_makes_calls_late_and_not_wrong() {
    // Of each burst the server turns the first ones away unread.
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    let url = serve(Router::new().fallback(move |axum::Json(call): axum::Json<Value>| {
        let turned_away = count.fetch_add(1, Ordering::SeqCst).is_multiple_of(3);
        async move {
            if turned_away {
                return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "0")]).into_response();
            }
            axum::Json(json!({"jsonrpc": "2.0", "id": call["id"], "result": "testnet"})).into_response()
        }
    }))
    .await;
    let limits = Limits { deadline: Duration::from_secs(30), ..Limits::default() };
    let alone = Pool::new(&[config(&url)], limits, 1).expect("a pool");
    for at in 0..4 {
        let answer = alone.read::<String>(Call::new("Filecoin.StateNetworkName", vec![])).await;
        assert_eq!(answer, Ok("testnet".to_owned()), "call {at}");
    }
    let rate = alone.seen()[0].calls_per_second;
    assert!(rate.is_some(), "it is asked more slowly from then on");
    assert!(seen.load(Ordering::SeqCst) >= 5, "some were turned away and sent again");
}

/// Everybody asks at once an endpoint that gives thirty calls a second, as after a restart or on a head on which much falls
/// due: all of them are answered, later, and few are turned away more than once.
#[tokio::test]
async fn fault_37_a_crowd_before_a_limited_endpoint_waits_and_all_of_it_is_answered() {
    const CROWD: usize = 90;
    const RATE: u64 = 30;
    let net = Net::start().await;
    control(&net.pool, "devnet_setEndpoint", json!(["limited", { "callsPerSecond": RATE }])).await;
    let url = format!("{}/limited", net.devnet.rpc_url());
    let limits = Limits { deadline: Duration::from_secs(30), ..Limits::default() };
    let alone = Pool::new(&[config(&url)], limits, 1).expect("a pool");
    let calls = (0..CROWD).map(|_| alone.read::<String>(Call::new("Filecoin.StateNetworkName", vec![])));
    let answers = futures_util::future::join_all(calls).await;
    let failed: Vec<_> = answers.iter().filter(|answer| answer.is_err()).collect();
    assert!(failed.is_empty(), "{} of {CROWD} failed: {:?}", failed.len(), failed.first());
    let listed = control(&net.pool, "devnet_endpoints", json!([false])).await;
    let limited = listed.as_array().expect("endpoints").iter().find(|end| end["name"] == "limited");
    let turned_away = limited.expect("the endpoint")["limited"].as_u64().expect("a count");
    assert!(turned_away > 0 && turned_away <= CROWD as u64, "{turned_away} of {CROWD} were turned away");
    let rate = alone.seen()[0].calls_per_second.expect("it has learned");
    assert!((5..=60).contains(&rate), "asked {rate} a second, of {RATE} that are given");
}
