//! Tipsets that are left for others: what was not final never counted, what was final and is gone holds everything.

use crate::harness::{Foreign, Scene, Setting, small};
use raas_node::node::doctor::{Code, Examine, examine};
use serde_json::{Value, json};
use std::collections::BTreeMap;

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

/// A scene whose API listens where the configuration says, so that the doctor finds it.
async fn with_known_address() -> Scene {
    let mut scene = Setting::new().devnet_only().await;
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    scene.config.listen.admin = free.local_addr().expect("bound");
    drop(free);
    scene.start_node().await;
    scene
}

/// `raas` beside the node: its exit code, and all that it says.
async fn raas(scene: &Scene, args: &[&str]) -> (Option<i32>, String) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_raas"));
    let output = command.args(["--node", scene.admin().as_str()]).args(args).output().await.expect("raas");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

/// The request and the state of each contract job, by the transaction that made it.
async fn by_transaction(scene: &Scene) -> BTreeMap<String, (Value, Value)> {
    let jobs = scene.get("/v1/jobs").await.expect(200);
    let jobs = jobs["jobs"].as_array().expect("jobs").clone();
    jobs.iter()
        .filter(|job| job["source"]["source"] == "contract")
        .map(|job| {
            let transaction = job["source"]["transaction"].as_str().expect("a transaction");
            (transaction.to_owned(), (job["request"].clone(), job["superseded"].clone()))
        })
        .collect()
}

/// A rewrite deeper than finality: one request of the contract is gone, another one was mined in another block and has its
/// number, and the node's own transactions are gone, too. The admin looks, says yes, and all goes on, nothing twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_11_an_admin_has_rewritten_history_read_again_and_nothing_is_done_twice() {
    let mut scene = with_known_address().await;
    let (kept, kept_piece) = scene.kept(120).await;
    let ((gone, gone_piece), (again, again_piece)) =
        (scene.upload_only(small(121)).await, scene.upload_only(small(122)).await);
    let (one, two) = (Foreign::arrive(&scene, 9).await, Foreign::arrive(&scene, 10).await);
    let (contract, begun) = (scene.contract(), scene.now().await);
    let (first, second) = (scene.request_count().await + 1, scene.request_count().await + 2);
    one.submit(&contract, &gone, 2, DAY, 86_400).await;
    scene.advance(3).await;
    let (dropped, _) = newest_log(&scene).await;
    two.submit(&contract, &again, 2, DAY, 86_400).await;
    scene.advance(3).await;
    let (moved, _) = newest_log(&scene).await;
    scene.until("both are jobs", 200, async || jobs(&scene).await == 3).await;
    scene.pass(40).await;
    let requests = by_transaction(&scene).await;
    assert_eq!(requests[&dropped], (json!(first), Value::Null));
    assert_eq!(requests[&moved], (json!(second), Value::Null));

    let depth = scene.now().await - begun + 2;
    scene.rpc("devnet_reorg", json!([depth, { "empty": 20, "nulls": 1, "drop": [dropped] }])).await;
    scene.advance(60).await;
    scene.quiesce().await;
    let node = scene.get("/v1/node").await.expect(200);
    assert_eq!(node["hold"]["hold"], "rewritten", "{node}");
    assert!(node["alarms"].to_string().contains("raas chain rewind"), "{node}");
    let wanted = Examine { node: Some(scene.admin()), ..Examine::default() };
    let findings = examine(&scene.config, &wanted).await.expect("findings");
    let hold = findings.iter().find(|found| found.code == Code::NodeHolds).expect("the running node holds");
    assert!(hold.fix.contains("raas chain rewind"), "{hold:?}");

    // What is shown changes nothing.
    let before = (scene.get("/v1/jobs").await.body, scene.why(&kept).await["holdings"].clone());
    let shown = scene.get("/v1/chain/rewind").await.expect(200);
    let differs = &shown["contracts"][0];
    assert_eq!(differs["jobs_ended"].as_array().map(Vec::len), Some(1), "{shown}");
    let is_moved = |pair: &Value| {
        (&pair["before"]["request"], &pair["after"]["request"]) == (&json!(second), &json!(first))
    };
    assert!(differs["moved"].as_array().is_some_and(|moved| moved.iter().any(is_moved)), "{shown}");
    assert_eq!(before, (scene.get("/v1/jobs").await.body, scene.why(&kept).await["holdings"].clone()));
    let late = scene.get(&format!("/v1/chain/rewind?from={}", scene.now().await)).await;
    assert_eq!(late.status, 400, "rewritten history would be left: {}", late.body);

    // Only who can spend may, and only about what was shown.
    let body = json!({ "from": shown["from"], "gone": shown["gone"]["tipset"] });
    assert_eq!(scene.post("/v1/chain/rewind", &body).await.status, 401);
    let other = json!({ "from": shown["from"], "gone": "bafyother" });
    assert_eq!(scene.pay("/v1/chain/rewind", "a", &other).await.status, 409);
    let token = scene.config.data_dir.join("wallet.token");
    let token = ["--token-file", token.to_str().expect("a path")];
    let (code, said) = raas(&scene, &["chain", "rewind", "--dry-run"]).await;
    assert!(
        code == Some(0) && said.contains(&format!("gone: request {first}")) && said.contains("ends"),
        "{said}"
    );
    let (told, does) = said.split_once("what reading it again will do:").expect("a preview of what is done");
    assert!(
        told.contains("not on the chain any more") && told.contains("moved: request"),
        "what differs comes first: {said}"
    );
    assert!(
        does.contains("nothing is deleted") && !does.contains("is done"),
        "nothing is told as if it were done: {said}"
    );
    let (code, said) = raas(&scene, &[&["chain", "rewind"][..], &token].concat()).await;
    assert!(code == Some(2) && said.contains("--yes"), "nobody is there to say yes: {said}");
    assert_eq!(scene.get("/readyz").await.status, 503);
    let (code, said) = raas(&scene, &[&["chain", "rewind", "--yes"][..], &token].concat()).await;
    assert!(code == Some(0) && said.contains("rewind 1 is done"), "{said}");
    scene.quiesce().await;
    assert_eq!(scene.get("/readyz").await.status, 200);
    assert_eq!(scene.get("/v1/chain/rewind").await.status, 409, "nothing is left to read again");

    let requests = by_transaction(&scene).await;
    assert_eq!(requests[&dropped], (Value::Null, json!(1)), "its request is on no chain");
    assert_eq!(
        requests[&moved],
        (json!(first), Value::Null),
        "the same job, under the number that it has now"
    );
    assert_eq!(jobs(&scene).await, 3);
    scene.until_proven(&again, &again_piece, 2).await;
    scene.until_idle().await;
    assert_eq!(jobs(&scene).await, 3, "no request is a job twice");
    let ledger = scene.ledger().await;
    assert_eq!(ledger.deals(&again_piece).len(), 2, "no copy is bought twice");
    assert!(ledger.deals(&gone_piece).len() <= 2, "what was signed may be published, and no more is");
    let completed = ledger.completions(&contract);
    let mut once = completed.clone();
    once.dedup();
    assert_eq!(completed, once, "each deal is shown once");
    assert_eq!(completed.iter().filter(|(request, _)| *request == first).count(), 2, "{completed:?}");
    assert_eq!(scene.active_deals(&again).await.len(), 2);
    assert_eq!(ledger.proven(&kept_piece), 3);
    let journal =
        scene.node().app.engine.store().contract_events(contract.parse().expect("an address")).await;
    let journal = journal.expect("readable");
    assert!(journal.iter().any(|(event, by)| event.transaction == dropped && by.is_some()), "{journal:?}");
    // What is derived holds over a restart.
    scene.stop_node().await;
    scene.start_node().await;
    scene.quiesce().await;
    assert_eq!(by_transaction(&scene).await, requests);
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
