//! Several endpoints over one chain, of which some lie, lag, turn away or speak over a WebSocket.

use crate::harness::{Foreign, Scene, Setting, causes, small, start_with};
use raas_node::config::EndpointSetting;
use raas_node::node::doctor::{Area, Examine, Finding, Level, examine};
use serde_json::{Value, json};

const DAY: i64 = 2_880;

/// The URL of the devnet's endpoint `name`, after it was told to behave so.
async fn endpoint(scene: &Scene, name: &str, behaviour: Value) -> EndpointSetting {
    scene.rpc("devnet_setEndpoint", json!([name, behaviour])).await;
    EndpointSetting::Url(format!("{}/{name}", scene.devnet.rpc_url()))
}

fn main_endpoint(scene: &Scene) -> EndpointSetting {
    EndpointSetting::Url(scene.devnet.rpc_url())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_three_are_enough_when_one_lags_and_another_hides_logs() {
    let mut scene = Setting::new().devnet_only().await;
    let liar =
        endpoint(&scene, "liar", json!({ "faults": [{ "mode": "emptyLogs", "method": "eth_getLogs" }] }))
            .await;
    let late = endpoint(&scene, "late", json!({ "behind": 300 })).await;
    scene.config.chain.endpoints = vec![late, liar, main_endpoint(&scene)];
    scene.config.chain.agree = 2;
    scene.start_node().await;
    let (cid, piece) = scene.upload_only(small(100)).await;
    let user = Foreign::arrive(&scene, 9).await;
    user.submit(&scene.contract(), &cid, 3, DAY, 86_400).await;
    scene.until_proven(&cid, &piece, 3).await;
    scene.until_idle().await;
    let attested = scene.ledger().await.completions(&scene.contract());
    assert_eq!(attested.len(), 3, "{attested:?}");
    let node = scene.get("/v1/node").await.expect(200);
    assert_eq!((&node["round"]["agreed"], &node["round"]["asked"]), (&json!(2), &json!(3)), "{node}");
    assert_eq!(node["endpoints"][0]["standing"], "off", "{node}");
    assert!(node["alarms"].to_string().contains("head_off"), "{node}");
    // One of the two goes: no quorum, which is said; when it is back all goes on.
    scene.rpc("devnet_setEndpoint", json!(["liar", { "faults": [{ "mode": "down" }] }])).await;
    scene.advance(30).await;
    scene.quiesce().await;
    let node = scene.get("/v1/node").await.expect(200);
    assert_eq!(node["hold"], json!({ "hold": "disagreement", "agreed": 1, "wanted": 2 }), "{node}");
    scene.rpc("devnet_setEndpoint", json!(["liar", {}])).await;
    scene.advance(30).await;
    scene.quiesce().await;
    assert_eq!(scene.get("/v1/node").await.expect(200)["hold"], Value::Null);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_alone_carries_a_node() {
    let mut scene = Setting::new().devnet_only().await;
    scene.config.network = Some(scene.devnet.rpc_url().replacen("http", "ws", 1));
    scene.start_node().await;
    scene.kept(101).await;
    let node = scene.get("/v1/node").await.expect(200);
    assert_eq!(node["endpoints"][0]["socket"], true, "{node}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_27_an_endpoint_of_another_network_among_others_is_refused_at_start() {
    let mut scene = Setting::new().devnet_only().await;
    let foreign = endpoint(&scene, "foreign", json!({ "network": 7 })).await;
    scene.config.chain.endpoints = vec![main_endpoint(&scene), foreign];
    let Err(error) = start_with(&scene.config).await else { panic!("it started") };
    assert!(causes(&error).contains("different networks"), "{}", causes(&error));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_36_an_endpoint_that_hangs_delays_nothing_but_its_first_calls() {
    let mut scene = Setting::new().devnet_only().await;
    let hanging = endpoint(&scene, "hanging", json!({})).await;
    scene.config.chain.endpoints = vec![hanging, main_endpoint(&scene)];
    scene.config.chain.deadline_ms = 300;
    scene.start_node().await;
    scene.rpc("devnet_setEndpoint", json!(["hanging", { "faults": [{ "mode": "hang" }] }])).await;
    scene.kept(102).await;
    let node = scene.get("/v1/node").await.expect(200);
    assert_eq!(node["endpoints"][0]["standing"], "failing", "{node}");
    assert_eq!(node["hold"], Value::Null);
    scene.end().await;
}

/// The pass waits for the market's events; a job that is registered meanwhile has its orders before they come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_comes_while_a_round_is_read_is_planned_by_the_round_before() {
    let mut scene = Setting::new().devnet_only().await;
    let hanging = endpoint(&scene, "hanging", json!({})).await;
    scene.config.chain.endpoints = vec![hanging];
    scene.config.chain.deadline_ms = 6_000;
    scene.start_node().await;
    scene.kept(107).await;
    let hangs = json!({ "mode": "hang", "method": "Filecoin.GetActorEventsRaw" });
    scene.rpc("devnet_setEndpoint", json!(["hanging", { "faults": [hangs] }])).await;
    scene.advance(1).await;
    let round = scene.get("/v1/node").await.expect(200)["round"]["height"].clone();
    let planned = async {
        let (cid, _) = scene.upload(small(108)).await;
        while scene.why(&cid).await["holdings"][0]["orders"].as_array().is_none_or(Vec::is_empty) {
            tokio::task::yield_now().await;
        }
        let node = scene.get("/v1/node").await.expect(200);
        scene.rpc("devnet_setEndpoint", json!(["hanging", {}])).await;
        (cid, node["round"]["height"].clone())
    };
    let (_, (cid, planned_by)) = tokio::join!(scene.quiesce(), planned);
    assert_eq!(planned_by, round, "the round before");
    scene.quiesce().await;
    assert_eq!(scene.why(&cid).await["holdings"][0]["orders"].as_array().map(Vec::len), Some(3));
    scene.end().await;
}

/// The doctor's finding of this area with these words.
async fn found(scene: &Scene, area: Area, words: &str) -> Finding {
    let findings = examine(&scene.config, &Examine::default()).await.expect("findings");
    let found = findings.iter().find(|finding| finding.area == area && finding.found.contains(words));
    found.unwrap_or_else(|| panic!("no {area} with {words:?} in {findings:#?}")).clone()
}

/// Several endpoints that name one old head: the chain stands still. That has its own name everywhere, and passes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_41_a_chain_that_stands_still_is_named_by_status_and_doctor_and_passes() {
    let mut scene = Setting::new().devnet_only().await;
    let (one, two) = (endpoint(&scene, "one", json!({})).await, endpoint(&scene, "two", json!({})).await);
    scene.config.chain.endpoints = vec![one, two];
    scene.start_node().await;
    scene.kept(103).await;
    let acts = scene.ledger().await.acts();
    for name in ["one", "two"] {
        scene.rpc("devnet_setEndpoint", json!([name, { "faults": [{ "mode": "stale" }] }])).await;
    }
    scene.advance(840).await;
    scene.quiesce().await;
    // There is something to do, so that it can be seen not to be done.
    let (cid, piece) = scene.upload(small(113)).await;
    scene.quiesce().await;
    let node = scene.get("/v1/node").await.expect(200);
    assert_eq!(node["hold"]["hold"], "chain_stalled", "{node}");
    let ready = scene.get("/readyz").await;
    assert_eq!((ready.status, &ready.body["hold"]["hold"]), (503, &json!("chain_stalled")));
    let finding = found(&scene, Area::Chain, "stands still").await;
    assert!(
        finding.level == Level::Problem && finding.fix.contains("the node goes on by itself"),
        "{finding:?}"
    );
    assert_eq!(scene.ledger().await.acts(), acts, "nothing is started");
    for name in ["one", "two"] {
        scene.rpc("devnet_setEndpoint", json!([name, {}])).await;
    }
    scene.advance(30).await;
    scene.quiesce().await;
    assert_eq!(scene.get("/readyz").await.status, 200);
    scene.until_proven(&cid, &piece, 3).await;
    scene.end().await;
}

/// Calls on the state of an upgrade's epoch are refused: that is no fault of the endpoint, and the next tipset will do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_42_an_upgrade_is_named_by_status_and_doctor_and_passes() {
    let mut scene = Setting::new().devnet_only().await;
    scene.config.chain.endpoints = vec![endpoint(&scene, "one", json!({})).await];
    scene.start_node().await;
    scene.kept(104).await;
    let message =
        "required historical state unavailable: refusing explicit call due to state fork at epoch 9";
    let refused =
        json!({ "mode": "error", "method": "Filecoin.StateCall", "code": -32002, "message": message });
    scene.rpc("devnet_setEndpoint", json!(["one", { "faults": [refused] }])).await;
    scene.advance(30).await;
    scene.quiesce().await;
    let ready = scene.get("/readyz").await;
    assert_eq!((ready.status, &ready.body["hold"]["hold"]), (503, &json!("upgrade")), "{}", ready.body);
    let finding = found(&scene, Area::Chain, "the network upgrades at").await;
    assert!(finding.level == Level::Problem && finding.fix.contains("wait an epoch"), "{finding:?}");
    scene.rpc("devnet_setEndpoint", json!(["one", {}])).await;
    scene.advance(1).await;
    scene.quiesce().await;
    assert_eq!(scene.get("/readyz").await.status, 200);
    scene.end().await;
}

/// What the probe measures is shown where an admin looks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_endpoint_keeps_and_gives_is_shown_by_status_and_doctor() {
    let mut scene = Setting::new().devnet_only().await;
    scene.advance(3_000).await;
    let small = json!({ "lookback": 1_100, "logRange": 300, "deny": ["Filecoin.StateMinerFaults"] });
    scene.config.chain.endpoints = vec![endpoint(&scene, "small", small).await];
    scene.start_node().await;
    scene.kept(105).await;
    let node = scene.get("/v1/node").await.expect(200);
    let seen = &node["endpoints"][0];
    assert!(seen["state_epochs"].as_i64().is_some_and(|epochs| (1_040..=1_100).contains(&epochs)), "{node}");
    assert_eq!(seen["log_blocks"], json!(300), "{node}");
    assert!(seen["not_offered"].to_string().contains("Filecoin.StateMinerFaults"), "{node}");
    let depth = found(&scene, Area::Endpoint, "tells state at least").await.found;
    let depth: i64 = depth.split_whitespace().find_map(|word| word.parse().ok()).expect("a number");
    assert!((1_040..=1_100).contains(&depth), "{depth}");
    assert_eq!(found(&scene, Area::Endpoint, "gives logs of 300 blocks at once").await.level, Level::Ok);
    scene.end().await;
}
