//! Tipsets that are left for others: what was not final never counted, what was final and is gone holds everything.

use crate::harness::{Foreign, Scene, Setting, small};
use serde_json::{Value, json};

const DAY: i64 = 2_880;

async fn jobs(scene: &Scene) -> usize {
    scene.get("/v1/jobs").await.expect(200)["jobs"].as_array().map_or(0, Vec::len)
}

/// The transaction of the contract's newest log, and its block.
async fn newest_log(scene: &Scene) -> (String, String) {
    let from = format!("0x{:x}", scene.now().await - 100);
    let filter = json!({ "address": scene.contract(), "fromBlock": from, "toBlock": "latest" });
    let logs = scene.rpc("eth_getLogs", json!([filter])).await;
    let last = logs.as_array().and_then(|logs| logs.last()).expect("a log").clone();
    let text = |field: &str| last[field].as_str().expect("hex").to_owned();
    (text("transactionHash"), text("blockNumber"))
}

/// A request that is in an executed tipset and not final.
async fn requested(scene: &Scene, cid: &str) -> (String, String) {
    let user = Foreign::arrive(scene, 9).await;
    scene.quiesce().await;
    user.submit(&scene.contract(), cid, 3, DAY, 86_400).await;
    scene.advance(4).await;
    scene.quiesce().await;
    assert_eq!(jobs(scene).await, 0, "what is not final is no job");
    newest_log(scene).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_09_a_registration_that_a_reorganisation_takes_back_was_never_a_job() {
    let scene = Setting::new().start().await;
    let (cid, _) = scene.upload_only(small(95)).await;
    let (transaction, _) = requested(&scene, &cid).await;
    let acts = scene.ledger().await.acts();
    scene.rpc("devnet_reorg", json!([8, { "drop": [transaction] }])).await;
    scene.pass(3 * DAY).await;
    assert_eq!(jobs(&scene).await, 0);
    assert_eq!(scene.request_count().await, 0);
    // The ledger tells the new branch, where the request is no more.
    assert!(scene.ledger().await.acts() <= acts, "nothing was signed for it");
    assert_eq!(scene.ledger().await.proposals().len(), 0);
    assert_eq!(scene.get("/v1/node").await.expect(200)["hold"], Value::Null);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_10_a_registration_that_is_mined_again_elsewhere_is_one_job() {
    let scene = Setting::new().start().await;
    let (cid, piece) = scene.upload_only(small(96)).await;
    let (transaction, block) = requested(&scene, &cid).await;
    scene.rpc("devnet_reorg", json!([8, { "empty": 8 }])).await;
    scene.advance(4).await;
    let (again, elsewhere) = newest_log(&scene).await;
    assert_eq!(again, transaction);
    assert_ne!(elsewhere, block, "the same transaction in another block");
    scene.until_proven(&cid, &piece, 3).await;
    scene.until_idle().await;
    assert_eq!(jobs(&scene).await, 1);
    let attested = scene.ledger().await.completions(&scene.contract());
    assert_eq!(attested.len(), 3, "{attested:?}");
    assert_eq!(scene.ledger().await.proposals().len(), 3);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_11_a_reorganisation_below_what_was_final_stops_everything_and_deletes_nothing() {
    let scene = Setting::new().start().await;
    let (cid, _) = scene.kept(97).await;
    let before = scene.why(&cid).await;
    let round = before["round"]["height"].as_i64().expect("a height");
    let depth = scene.now().await - round + 10;
    let acts = scene.ledger().await.acts();
    scene.rpc("devnet_reorg", json!([depth, { "nulls": 1 }])).await;
    scene.advance(40).await;
    scene
        .watch(DAY, DAY / 6, async || {
            let why = scene.why(&cid).await;
            assert_eq!(why["hold"], json!({ "hold": "rewritten", "height": round }), "{why}");
            assert_eq!(why["holdings"][0]["orders"], before["holdings"][0]["orders"], "nothing is deleted");
        })
        .await;
    assert!(scene.ledger().await.acts() <= acts, "nothing is signed");
    assert_eq!(scene.get("/readyz").await.status, 503, "whoever watches the node is told");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_40_a_head_that_falls_and_a_changed_tipset_go_unnoticed_above_finality() {
    let scene = Setting::new().start().await;
    let (cid, piece) = scene.kept(98).await;
    for order in [json!([3, { "missing": 2 }]), json!([5]), json!([12, { "nulls": 3 }])] {
        scene.rpc("devnet_reorg", order).await;
        scene.quiesce().await;
        let node = scene.get("/v1/node").await.expect(200);
        assert_eq!(node["hold"], Value::Null, "{node}");
        scene.advance(30).await;
    }
    scene.until_proven(&cid, &piece, 3).await;
    assert_eq!(scene.ledger().await.proposals().len(), 3);
    scene.end().await;
}
