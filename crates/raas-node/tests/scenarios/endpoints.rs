//! Several endpoints over one chain, of which some lie, lag, turn away or speak over a WebSocket.

use crate::harness::{Foreign, Scene, Setting, causes, small, start_with};
use raas_node::config::EndpointSetting;
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
