//! What a node does when its endpoints are away, foreign, poor or without memory.

use crate::harness::{Foreign, Proxy, Scene, Setting, causes, short_memory, small, start_with};
use raas_node::config::EndpointSetting;
use raas_node::node::doctor::{Code, Examine, examine};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::net::TcpListener;

const DAY: i64 = 2_880;

/// A scene whose node reaches its devnet through a proxy.
async fn behind_proxy() -> (Scene, Proxy) {
    let mut scene = Setting::new().devnet_only().await;
    let proxy = Proxy::before(&scene.devnet.rpc_url()).await;
    scene.config.network = Some(proxy.url());
    (scene, proxy)
}

/// Methods of a public gateway, as Lotus's gateway has them; all of `eth_*` besides.
const GATEWAY: &[&str] = &[
    "ChainHead",
    "ChainGetTipSet",
    "ChainGetTipSetByHeight",
    "ChainGetTipSetAfterHeight",
    "ChainGetFinalizedTipSet",
    "ChainGetBlock",
    "ChainGetParentMessages",
    "ChainGetParentReceipts",
    "ChainGetMessagesInTipset",
    "ChainGetEvents",
    "ChainReadObj",
    "ChainHasObj",
    "ChainGetPath",
    "ChainGetGenesis",
    "StateMarketStorageDeal",
    "StateMarketBalance",
    "StateMinerInfo",
    "StateMinerPower",
    "StateMinerDeadlines",
    "StateMinerProvingDeadline",
    "StateMinerSectorCount",
    "StateSectorGetInfo",
    "StateCall",
    "StateReplay",
    "StateReadState",
    "StateGetActor",
    "StateLookupID",
    "StateAccountKey",
    "StateListMiners",
    "StateGetAllocation",
    "StateGetAllocations",
    "StateGetAllocationForPendingDeal",
    "StateGetClaim",
    "StateGetClaims",
    "StateVerifiedClientStatus",
    "StateGetNetworkParams",
    "StateNetworkVersion",
    "StateNetworkName",
    "StateSearchMsg",
    "StateWaitMsg",
    "StateDealProviderCollateralBounds",
    "StateDecodeParams",
    "GasEstimateMessageGas",
    "GasEstimateGasPremium",
    "MpoolPush",
    "MpoolGetNonce",
    "MpoolPending",
    "WalletBalance",
    "GetActorEventsRaw",
    "F3GetCertificate",
    "F3GetLatestCertificate",
    "F3GetPowerTableByInstance",
    "Version",
    "Discover",
];

fn gateway(call: &Value) -> Option<Value> {
    let method = call["method"].as_str().unwrap_or_default();
    let offered = match method.strip_prefix("Filecoin.") {
        Some(name) => GATEWAY.contains(&name),
        None => method.starts_with("eth_") || method.starts_with("net_") || method.starts_with("web3_"),
    };
    (!offered).then(|| json!({"error": {"code": -32601, "message": format!("method '{method}' not found")}}))
}

/// The devnet's own gateway profile, with a gateway's memory and limits, behind a proxy that knows its list by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_public_gateway_alone_is_enough() {
    let mut scene = Setting::new().devnet_only().await;
    scene.rpc("devnet_setEndpoint", json!(["gateway", { "profile": "gateway" }])).await;
    let proxy = Proxy::before(&format!("{}/gateway", scene.devnet.rpc_url())).await;
    scene.config.network = Some(proxy.url());
    proxy.decide(gateway);
    scene.start_node().await;
    // A request on the contract, found, served and attested.
    let (cid, piece) = scene.upload_only(small(90)).await;
    let user = Foreign::arrive(&scene, 9).await;
    user.submit(&scene.contract(), &cid, 3, DAY, 86_400).await;
    scene.until_proven(&cid, &piece, 3).await;
    scene.until_idle().await;
    let attested = scene.ledger().await.completions(&scene.contract());
    assert_eq!(attested.len(), 3, "{attested:?}");
    // A fault is seen and repaired after its time; a loss at once, by two witnesses.
    let deals = scene.ledger().await.deals(&piece);
    let (faulty, lost) = match deals.values().collect::<Vec<_>>().as_slice() {
        [one, two, ..] => ((one.provider, one.sector), (two.provider, two.sector)),
        other => panic!("three deals: {other:?}"),
    };
    scene.rpc("devnet_fault", json!([faulty.0, [faulty.1]])).await;
    scene
        .until("the fault is seen", 3 * DAY, async || scene.standing(&cid).await["suspect"] == json!(1))
        .await;
    scene.rpc("devnet_terminate", json!([lost.0, [lost.1]])).await;
    scene.until("the loss is repaired", 10 * DAY, async || scene.ledger().await.proven(&piece) >= 2).await;
    scene.until_proven(&cid, &piece, 3).await;
    let node = scene.get("/v1/node").await.expect(200);
    let missing = node["endpoints"][0]["not_offered"].as_array().expect("methods").clone();
    assert!(missing.contains(&json!("Filecoin.StateMinerFaults")), "{missing:?}");
    // What is asked for beyond the list is a probe, or has a way around it.
    let refused: BTreeSet<String> =
        proxy.asked().into_iter().filter(|method| gateway(&json!({ "method": method })).is_some()).collect();
    let refused: Vec<&str> =
        refused.iter().map(String::as_str).filter(|method| !method.starts_with("devnet_")).collect();
    let known =
        ["Filecoin.StateMinerFaults", "Filecoin.StateMinerPartitions", "Filecoin.StateSectorExpiration"];
    assert!(refused.iter().all(|method| known.contains(method)), "{refused:?}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_starts_without_an_endpoint_waits_and_says_so() {
    let (mut scene, proxy) = behind_proxy().await;
    proxy.set_open(false);
    // A port of the test's choice, so that it can be asked before the node is there.
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = free.local_addr().expect("bound");
    drop(free);
    scene.config.listen.admin = address;
    let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
    let config = scene.config.clone();
    let starting = tokio::spawn(async move { start_with(&config).await });
    let get = async |path: &str| -> Option<(u16, Value)> {
        let answer = http.get(format!("http://{address}{path}")).send().await.ok()?;
        Some((answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null)))
    };
    loop {
        if let Some((503, body)) = get("/readyz").await
            && body["waits"].as_str().is_some_and(|why| why.contains("endpoint"))
        {
            assert_eq!(body["hold"], json!({ "hold": "no_endpoint" }));
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(get("/livez").await.map(|(status, _)| status), Some(200), "it lives");
    let (status, why) = get("/v1/holdings/x/why").await.expect("an answer");
    assert_eq!(status, 503);
    assert!(why["detail"].as_str().is_some_and(|text| text.contains("waits for a chain endpoint")), "{why}");
    assert!(!starting.is_finished());
    proxy.set_open(true);
    let node = starting.await.expect("no panic").unwrap_or_else(|error| panic!("{}", causes(&error)));
    node.app.engine.quiesce().await.expect("at rest");
    let (status, ready) = get("/readyz").await.expect("an answer");
    assert_eq!((status, &ready["ready"]), (200, &json!(true)));
    // Once it knows its network, the same again at a restart.
    node.shutdown().await;
    proxy.set_open(false);
    let config = scene.config.clone();
    let again = tokio::spawn(async move { start_with(&config).await });
    while get("/readyz").await.is_none_or(|(status, _)| status != 503) {
        tokio::task::yield_now().await;
    }
    proxy.set_open(true);
    again.await.expect("no panic").unwrap_or_else(|error| panic!("{}", causes(&error))).shutdown().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_knows_its_network_starts_without_an_endpoint_and_serves_its_data() {
    let mut scene = Setting::new().devnet_only().await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let away = format!("http://{}/rpc/v1", nobody.local_addr().expect("bound"));
    drop(nobody);
    scene.config.network = Some("calibration".to_owned());
    scene.config.chain.endpoints = vec![EndpointSetting::Url(away)];
    scene.config.deals.providers = vec!["f01000".to_owned()];
    scene.start_node().await;
    scene.quiesce().await;
    let (cid, _) = scene.upload(small(94)).await;
    scene.quiesce().await;
    assert_eq!(scene.get("/readyz").await.status, 503);
    let why = scene.why(&cid).await;
    assert_eq!(why["hold"], json!({ "hold": "no_endpoint" }), "{why}");
    let alarms = why["alarms"].to_string();
    assert!(alarms.contains("failing") && alarms.contains("one_voice"), "{alarms}");
    let raw = scene.ask(reqwest::Method::GET, &format!("/ipfs/{cid}?format=raw"), &[]).await;
    assert_eq!(raw.status(), 200, "what is here is served");
    // The same endpoint, when it comes, must be of this very network: the devnet is not.
    let proxy = Proxy::before(&scene.devnet.rpc_url()).await;
    scene.stop_node().await;
    scene.config.chain.endpoints = vec![EndpointSetting::Url(proxy.url())];
    let Err(error) = start_with(&scene.config).await else { panic!("it started") };
    assert!(causes(&error).contains("314159"), "{}", causes(&error));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_27_a_node_refuses_endpoints_of_another_network() {
    let (mut scene, proxy) = behind_proxy().await;
    let other = Setting::new().seed(2).devnet_only().await;
    // Two endpoints of two networks.
    let mut mixed = scene.config.clone();
    mixed.chain.endpoints =
        [scene.devnet.rpc_url(), other.devnet.rpc_url()].map(EndpointSetting::Url).to_vec();
    let Err(error) = start_with(&mixed).await else { panic!("it started") };
    assert!(causes(&error).contains("different networks"), "{}", causes(&error));
    // A named network and an endpoint of another.
    let mut named = scene.config.clone();
    named.network = Some("calibration".to_owned());
    named.chain.endpoints = vec![EndpointSetting::Url(scene.devnet.rpc_url())];
    let Err(error) = start_with(&named).await else { panic!("it started") };
    let words = causes(&error);
    assert!(words.contains("31415926") && words.contains("314159"), "{words}");
    // A store of the one and an endpoint that now serves the other.
    scene.start_node().await;
    scene.stop_node().await;
    proxy.move_to(&other.devnet.rpc_url());
    let Err(error) = start_with(&scene.config).await else { panic!("it started") };
    assert!(causes(&error).contains("genesis") || causes(&error).contains("network"), "{}", causes(&error));
    // And while it runs: it holds, and signs nothing.
    proxy.move_to(&scene.devnet.rpc_url());
    scene.start_node().await;
    scene.kept(91).await;
    let acts = scene.ledger().await.acts();
    proxy.set_open(false);
    scene.quiesce().await;
    proxy.move_to(&other.devnet.rpc_url());
    proxy.set_open(true);
    scene.advance(30).await;
    other.advance(30).await;
    scene.quiesce().await;
    let node = scene.get("/v1/node").await.expect(200);
    assert_eq!(node["hold"]["hold"], "other_network", "{node}");
    assert!(node["alarms"].to_string().contains("other_network"), "{node}");
    assert_eq!(scene.ledger().await.acts(), acts);
    assert_eq!(other.ledger().await.acts(), 0, "nothing was sent to the other");
    proxy.move_to(&scene.devnet.rpc_url());
    scene.end().await;
    other.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_11_logs_that_nobody_keeps_are_made_up_for_by_the_contracts_views() {
    let (mut scene, proxy) = behind_proxy().await;
    scene.start_node().await;
    let (cid, piece) = scene.upload_only(small(92)).await;
    let user = Foreign::arrive(&scene, 9).await;
    scene.quiesce().await;
    let contract = scene.contract();
    scene.stop_node().await;
    user.submit(&contract, &cid, 3, DAY, 86_400).await;
    scene.advance(3 * DAY).await;
    proxy.decide(short_memory(scene.now().await - DAY));
    scene.start_node().await;
    scene.quiesce().await;
    let jobs = scene.get("/v1/jobs").await.expect(200);
    assert_eq!(jobs["jobs"].as_array().map(Vec::len), Some(1), "{jobs}");
    assert_eq!(scene.get("/v1/node").await.expect(200)["contract_waits"], Value::Null);
    scene.until_proven(&cid, &piece, 3).await;
    scene.until_idle().await;
    let attested = scene.ledger().await.completions(&contract);
    assert_eq!(attested.iter().filter(|(request, _)| *request == 1).count(), 3, "{attested:?}");
    scene.end().await;
}

/// As [`short_memory`], before a contract without views of its own.
fn short_memory_of_a_reference(oldest: i64) -> impl Fn(&Value) -> Option<Value> + Send + Sync + 'static {
    let forgets = short_memory(oldest);
    move |call| {
        let data = call["params"][0]["data"].as_str().unwrap_or_default();
        let is_view = |signature: &str| {
            let hash = alloy_primitives::keccak256(signature);
            data.starts_with(&format!("0x{}", hex::encode(hash.get(..4).expect("32 bytes"))))
        };
        if call["method"] == "eth_call" && (is_view("requestCount()") || is_view("getRequest(uint256)")) {
            return Some(json!({"error": {"code": 3, "message": "message execution failed", "data": "0x"}}));
        }
        forgets(call)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_11_a_gap_of_a_contract_without_views_is_said_until_an_admin_decides() {
    let (mut scene, proxy) = behind_proxy().await;
    scene.start_node().await;
    let (cid, piece) = scene.upload_only(small(93)).await;
    let user = Foreign::arrive(&scene, 9).await;
    scene.quiesce().await;
    let contract = scene.contract();
    let deployed = scene.now().await;
    scene.stop_node().await;
    scene.advance(3 * DAY).await;
    proxy.decide(short_memory_of_a_reference(scene.now().await - DAY));
    scene.config.contract.address = Some(contract.clone());
    scene.config.contract.from_block = Some(deployed);
    scene.start_node().await;
    scene.quiesce().await;
    let node = scene.get("/v1/node").await.expect(200);
    assert_eq!(node["contract_state"]["state"], "gap", "{node}");
    assert!(node["contract_waits"].as_str().is_some_and(|why| why.contains("skip_to_block")), "{node}");
    // The doctor says so, too: of the contract by its own look, and of the node that is stuck there.
    let wanted = Examine { node: Some(scene.admin()), ..Examine::default() };
    let findings = examine(&scene.config, &wanted).await.expect("findings");
    for code in [Code::HistoryGone, Code::EventsStuck] {
        let found = findings.iter().find(|found| found.code == code);
        assert!(found.is_some_and(|found| found.fix.contains("skip_to_block")), "{code:?}: {findings:#?}");
    }
    scene.stop_node().await;
    scene.config.contract.skip_to_block = Some(scene.now().await - 60);
    scene.start_node().await;
    scene.quiesce().await;
    user.submit(&contract, &cid, 1, DAY, 86_400).await;
    scene.until_proven(&cid, &piece, 1).await;
    scene.until_idle().await;
    scene.end().await;
}
