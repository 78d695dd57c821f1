//! Faults of chain endpoints, by their numbers in the list of faults that this project holds itself to, each with
//! what must come of it.

use crate::server::{Decide, Say, proxy, serve, silent};
use crate::support::{Net, PROVIDER, control, done, endpoint, pool, start_devnet};
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use raas_clients::evm::DealStatus;
use raas_clients::filecoin::{LotusChain, identify};
use raas_clients::key::Key;
use raas_clients::rpc::{Call, CallError, EndpointConfig, Limits, Pool, Unknown};
use raas_core::endpoint::{Alarm, Standing, alarms};
use raas_core::gate::{self, Hold};
use raas_core::ids::{DealId, JobId};
use raas_core::observation::{DealSeen, NotSeen, SectorSeen};
use raas_core::ports::{Broadcast, Chain, Contract, Lane, Look, TxIntent, Wallet, Witness};
use raas_core::units::{AttoFil, Epoch};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn config(url: &str) -> EndpointConfig {
    EndpointConfig::new(url.parse().expect("a URL"))
}

fn chain_of(pool: &Pool) -> LotusChain {
    LotusChain::new(pool.clone(), Key::from_bytes(&[7; 32]).expect("a key").native_address())
}

/// A proxy before the devnet of `net`.
async fn before(net: &Net, decide: impl Fn(&Value) -> Say + Send + Sync + 'static) -> EndpointConfig {
    config(&proxy(net.devnet.rpc_url(), Arc::new(decide)).await)
}

fn is(call: &Value, method: &str) -> bool {
    call["method"] == method
}

fn error(code: i64, message: &str) -> Say {
    Say::Own(json!({"error": {"code": code, "message": message}}))
}

async fn true_epoch(net: &Net) -> Epoch {
    Epoch(control(&net.pool, "devnet_now", json!([])).await["height"].as_i64().expect("a height"))
}

async fn look(net: &Net) -> Look {
    Look { expected: Some(true_epoch(net).await), last: None }
}

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

    // Of another network: nothing is asked of it, and nothing remains.
    let stranger = start_devnet(2).await;
    let foreign = pool(&[endpoint(&stranger)], 1);
    foreign.expect_network(&identify(&net.pool).await.expect("a network"));
    let chain = chain_of(&foreign);
    assert!(matches!(chain.deals(&round, &[deal]).await.as_slice(), [DealSeen::NotSeen(_)]));
    assert_eq!(chain.pin(&Look::default()).await, Err(Hold::OtherNetwork));
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

/// A contract with one request and one completion.
async fn followed(net: &mut Net) -> (DealStatus, Epoch) {
    let from = net.round().await.head;
    let contract = net.deploy().await;
    let submit = TxIntent::Submit { job: JobId(1), cid: vec![1], target: 1, repair: 2_880, renew: 2_880 };
    assert!(net.execute(&submit).await.success);
    net.advance(30).await;
    (contract, from)
}

fn no_logs(call: &Value) -> Say {
    if is(call, "eth_getLogs") { Say::Own(json!({"result": []})) } else { Say::Pass }
}

fn no_logs_and_no_receipts(call: &Value) -> Say {
    if is(call, "eth_getBlockReceipts") { Say::Own(json!({"result": []})) } else { no_logs(call) }
}

fn no_logs_and_no_state(call: &Value) -> Say {
    if is(call, "Filecoin.StateGetActor") { error(-32601, "method not found") } else { no_logs(call) }
}

fn nothing_to_check_by(call: &Value) -> Say {
    if is(call, "eth_getBlockReceipts") {
        error(-32601, "method not found")
    } else {
        no_logs_and_no_state(call)
    }
}

#[tokio::test]
async fn fault_05_empty_logs_for_a_block_with_logs_are_found_out() {
    let mut net = Net::funded().await;
    let (contract, from) = followed(&mut net).await;
    let round = net.round().await;
    let to = round.eth_block;
    let whole = contract.window(&round, from, to).await.expect("a window");
    assert_eq!((whole.requests.len(), whole.witness), (1, Witness::State));
    let at = |pool: &Pool| DealStatus::new(pool.clone(), contract.address());

    // Alone: the state says that something happened, the receipts say what.
    let alone = before(&net, no_logs).await;
    let window = at(&pool(std::slice::from_ref(&alone), 1)).window(&round, from, to).await.expect("a window");
    assert_eq!(window, whole);
    // Without state, the receipts of every block.
    let stateless = before(&net, no_logs_and_no_state).await;
    let window = at(&pool(&[stateless], 1)).window(&round, from, to).await.expect("a window");
    assert_eq!((window.requests, window.witness), (whole.requests.clone(), Witness::Receipts));
    // Without both nothing vouches for it, so that the cursor stays.
    let bare = before(&net, nothing_to_check_by).await;
    let window = at(&pool(&[bare], 1)).window(&round, from, to).await.expect("a window");
    assert_eq!((window.requests.len(), window.witness), (0, Witness::None));
    // With receipts that hide it too, the change is told, and the count finds the request.
    let liar = before(&net, no_logs_and_no_receipts).await;
    let window = at(&pool(&[liar], 1)).window(&round, from, to).await.expect("a window");
    assert_eq!(window.unexplained.len(), 2, "the deployment and the request: {window:?}");
    assert_eq!((window.requests.len(), window.request_count), (0, Some(1)));

    // Beside an honest one: what one tells and the other's receipts have counts twice.
    let ends = [alone, endpoint(&net.devnet)];
    for wanted in [1, 2] {
        let window = at(&pool(&ends, wanted)).window(&round, from, to).await.expect("a window");
        assert_eq!((&window.requests, window.witness), (&whole.requests, Witness::Endpoints(2)), "{wanted}");
    }
    // One that hides its receipts too is not outvoted where both are wanted: nothing is concluded.
    let ends = [before(&net, no_logs_and_no_receipts).await, endpoint(&net.devnet)];
    let window = at(&pool(&ends, 2)).window(&round, from, to).await;
    assert_eq!(window, Err(NotSeen::Contradiction));
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

/// Logs of more than 300 blocks are too many, and the last log of each answer is left out without a word.
fn truncating(call: &Value) -> Say {
    fn all_but_one(result: Value) -> Value {
        let Value::Array(mut logs) = result else { return result };
        logs.pop();
        Value::Array(logs)
    }
    if !is(call, "eth_getLogs") {
        return Say::Pass;
    }
    let number = |value: &Value| {
        value
            .as_str()
            .and_then(|text| i64::from_str_radix(text.trim_start_matches("0x"), 16).ok())
            .unwrap_or(0)
    };
    let filter = &call["params"][0];
    if number(&filter["toBlock"]) - number(&filter["fromBlock"]) > 300 {
        return error(-32005, "block range exceeds maximum of 300 (got more)");
    }
    Say::Changed(all_but_one)
}

#[tokio::test]
async fn fault_38_a_narrow_or_truncating_endpoint_leaves_nothing_out() {
    let mut net = Net::funded().await;
    let (contract, from) = followed(&mut net).await;
    for cid in [2, 3] {
        let submit =
            TxIntent::Submit { job: JobId(1), cid: vec![cid], target: 1, repair: 2_880, renew: 2_880 };
        assert!(net.execute(&submit).await.success);
        net.advance(700).await;
    }
    let round = net.round().await;
    let whole = contract.window(&round, from, round.eth_block).await.expect("a window");
    assert_eq!(whole.requests.len(), 3);
    let end = before(&net, truncating).await;
    let narrow = DealStatus::new(pool(&[end], 1), contract.address());
    let window = narrow.window(&round, from, round.eth_block).await.expect("a window");
    assert_eq!((&window.requests, window.request_count), (&whole.requests, Some(3)));
    // One that finds every range too wide holds up nobody.
    let never = before(&net, |call| {
        if is(call, "eth_getLogs") {
            error(-32005, "block range exceeds maximum of 0 (got 1)")
        } else {
            Say::Pass
        }
    })
    .await;
    let both = DealStatus::new(pool(&[never, endpoint(&net.devnet)], 1), contract.address());
    let window = both.window(&round, from, round.eth_block).await.expect("a window");
    assert_eq!((window.requests, window.witness), (whole.requests, Witness::State));
}

#[tokio::test]
async fn fault_39_null_rounds_at_the_edges_of_a_range_are_passed_over() {
    let mut net = Net::funded().await;
    let (contract, from) = followed(&mut net).await;
    control(&net.pool, "devnet_nullRounds", json!([4])).await;
    net.advance(60).await;
    let round = net.round().await;
    let whole = contract.window(&round, from, round.eth_block).await.expect("a window");
    assert_eq!(whole.requests.len(), 1);
    // Every edge, the four null heights among them: no window fails and none loses or doubles a request.
    let mut met = 0;
    for edge in from.0..round.eth_block.0 {
        let edge = Epoch(edge);
        let (low, high) = (
            contract.window(&round, from, edge).await.expect("up to the edge"),
            contract.window(&round, Epoch(edge.0 + 1), round.eth_block).await.expect("from the edge"),
        );
        assert_eq!(low.requests.len() + high.requests.len(), 1, "{edge}");
        met += low.requests.len();
    }
    assert!(met > 0);
}

#[tokio::test]
async fn fault_40_a_head_that_falls_is_followed_and_finality_that_changes_is_held() {
    let net = Net::start().await;
    let first = net.round().await;
    net.advance(40).await;
    let second = net.round().await;
    let at = |round: &raas_core::observation::Round| Some((round.tipset.clone(), round.height));
    // On: what is final now holds what was.
    let on = Look { expected: None, last: at(&first) };
    assert_eq!(net.chain.pin(&on).await.expect("a pin").round, second);
    // Back: the same chain, not as far.
    let later = Net::start().await;
    later.advance(80).await;
    let beyond = later.round().await;
    let back = Look { expected: None, last: at(&beyond) };
    let behind = Hold::Behind { finalized: second.height, seen: beyond.height };
    assert_eq!(net.chain.pin(&back).await, Err(behind));
    // The head fell by two, and finality with it: what was final stays so.
    control(&net.pool, "devnet_reorg", json!([4, { "missing": 2 }])).await;
    let fell = Look { expected: None, last: at(&second) };
    let stays = net.chain.pin(&fell).await.expect("a pin").round;
    assert_eq!((&stays.tipset, stays.eth_block), (&second.tipset, second.eth_block));
    assert!(stays.head < second.head);
    net.advance(3).await;
    let second = net.round().await;
    // Another tipset at a height that was final: nothing goes on until an admin looked.
    let lost = ("bafy2bzacednothere".to_owned(), first.height);
    let rewritten = Look { expected: None, last: Some(lost) };
    assert_eq!(net.chain.pin(&rewritten).await, Err(Hold::Rewritten { height: first.height }));
    let same = Look { expected: None, last: Some(("bafy2bzacednothere".to_owned(), second.height)) };
    assert_eq!(net.chain.pin(&same).await, Err(Hold::Rewritten { height: second.height }), "fault 11, too");
}

#[tokio::test]
async fn fault_41_a_chain_that_stands_still_is_told_from_an_endpoint_that_does() {
    let net = Net::start().await;
    let head = net.round().await.head;
    let ends = [before(&net, |_| Say::Pass).await, endpoint(&net.devnet)];
    control(&net.pool, "devnet_nullRounds", json!([840])).await;
    net.advance(840).await;
    let look = look(&net).await;
    let expected = look.expected.expect("set");
    let both = chain_of(&pool(&ends, 2));
    assert_eq!(both.pin(&look).await, Err(Hold::ChainStalled { head, expected }));
    let alone = net.chain.pin(&look).await;
    assert_eq!(alone, Err(Hold::HeadOld { head, expected }), "one alone cannot know");
    net.advance(1).await;
    let on = both.pin(&self::look(&net).await).await.expect("it goes on by itself");
    assert!(on.round.head > head);
    // The clock of faults is the finalized height, which stood still too.
    assert!(on.round.height <= head);
}

#[tokio::test]
async fn fault_41_finality_that_stands_still_is_said_and_then_holds() {
    let net = Net::start().await;
    let stuck: Value =
        net.pool.read(Call::new("Filecoin.ChainGetFinalizedTipSet", vec![])).await.expect("a tipset");
    let height = Epoch(stuck["Height"].as_i64().expect("a height"));
    let end = before(&net, move |call| match call["method"].as_str() {
        Some("Filecoin.ChainGetFinalizedTipSet") => Say::Own(json!({"result": stuck})),
        Some("eth_getBlockByNumber") => error(1, "no such tag here"),
        _ => Say::Pass,
    })
    .await;
    let chain = chain_of(&pool(&[end], 1));
    net.advance(100).await;
    let pin = chain.pin(&look(&net).await).await.expect("a pin");
    let judged = |pin: &raas_core::ports::Pin, now| {
        gate::judge(pin.round.head, pin.round.height, now, pin.round.agreed, pin.wanted)
    };
    assert_eq!(judged(&pin, true_epoch(&net).await), None, "slow is no reason to stop");
    let alarm = alarms(&chain.endpoints(), 2);
    assert!(
        alarm.iter().any(|alarm| matches!(alarm, Alarm::FinalityLags { epochs, .. } if *epochs > 60)),
        "{alarm:?}"
    );
    net.advance(1_000).await;
    let pin = chain.pin(&look(&net).await).await.expect("a pin");
    let head = pin.round.head;
    assert_eq!(judged(&pin, true_epoch(&net).await), Some(Hold::FinalityStalled { finalized: height, head }));
}

#[tokio::test]
async fn fault_42_an_upgrade_epoch_is_a_state_of_its_own_and_passes() {
    let net = Net::funded().await;
    let (_, deal, _) = net.active_deal().await;
    let round = net.round().await;
    let upgrading = Arc::new(AtomicBool::new(true));
    let forks = upgrading.clone();
    let end = before(&net, move |call| {
        let explicit = is(call, "Filecoin.StateCall") || is(call, "Filecoin.StateMarketStorageDeal");
        if explicit && forks.load(Ordering::SeqCst) {
            let text =
                "required historical state unavailable: refusing explicit call due to state fork at epoch 7";
            return error(-32002, text);
        }
        Say::Pass
    })
    .await;
    let chain = chain_of(&pool(&[end], 1));
    assert_eq!(chain.pin(&Look::default()).await, Err(Hold::Upgrade { epoch: round.height }));
    assert_eq!(
        chain.deals(&round, &[deal]).await,
        [DealSeen::NotSeen(NotSeen::MissingState)],
        "never a loss"
    );
    net.advance(1).await;
    upgrading.store(false, Ordering::SeqCst);
    let next = chain.pin(&Look::default()).await.expect("the next tipset will do");
    assert!(next.round.height > round.height);
    assert!(matches!(chain.deals(&next.round, &[deal]).await.as_slice(), [DealSeen::Present(_)]));
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
