//! Several contracts: each is followed, its requests are its own, and what a reference deployment cannot do or does not
//! tell is said.

use crate::harness::{Foreign, Proxy, Scene, Setting, small};
use raas_node::config::DeploymentSection;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};

const DAY: i64 = 2_880;

/// A contract that behaves as the reference was found to, from `contracts/test/reference`.
const REFERENCE: &str = include_str!("../../../raas-clients/tests/vectors/reference-behaviour.hex");

fn deployment(address: impl std::fmt::Display, from_block: i64, abi: &str) -> DeploymentSection {
    let abi = abi.to_owned();
    DeploymentSection { address: address.to_string(), from_block, skip_to_block: None, abi }
}

async fn job_of(scene: &Scene, cid: &str) -> Value {
    let listed = scene.get(&format!("/v1/jobs?cid={cid}")).await.expect(200);
    let [job] = listed["jobs"].as_array().expect("jobs").as_slice() else { panic!("one job: {listed}") };
    job.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_contract_is_served_by_what_it_takes_and_equal_ids_are_not_confused() {
    let mut scene = Setting::new().devnet_only().await;
    let other = Foreign::arrive(&scene, 11).await;
    let (second, block) = other.deploy(&scene).await;
    other.grant_aggregator(&scene, second, scene.node_eth_address()).await;
    let reference = other.create(&scene, REFERENCE.trim().parse().expect("hex")).await;
    scene.config.deployments =
        vec![deployment(second, block, "raas"), deployment(reference, block, "reference")];
    scene.start_node().await;
    let first = scene.contract();
    let mut uploaded = Vec::new();
    for number in [60, 61, 62] {
        uploaded.push(scene.upload_only(small(number)).await);
    }
    let user = Foreign::arrive(&scene, 12).await;
    for (contract, (cid, _)) in
        [first.clone(), second.to_string(), reference.to_string()].iter().zip(&uploaded)
    {
        user.submit(contract, cid, 2, DAY, 86_400).await;
        scene.advance(2).await;
    }
    let [(one, one_piece), (two, two_piece), (three, three_piece)] = uploaded.as_slice() else {
        panic!("three uploads")
    };
    scene.until_proven(one, one_piece, 2).await;
    scene.until_proven(two, two_piece, 2).await;
    scene.until_idle().await;

    let ledger = scene.ledger().await;
    let deals = |piece: &str| -> BTreeSet<u64> { ledger.deals(piece).into_keys().collect() };
    for (contract, piece) in [(first.clone(), one_piece), (second.to_string(), two_piece)] {
        let shown = ledger.completions(&contract);
        assert!(shown.iter().all(|(request, _)| *request == 1), "{shown:?}");
        assert_eq!(shown.iter().map(|(_, deal)| *deal).collect::<BTreeSet<_>>(), deals(piece), "{contract}");
        assert_eq!(shown.len(), 2, "each once");
    }
    assert_eq!(ledger.completions(&reference.to_string()), []);
    assert_eq!(
        deals(three_piece),
        BTreeSet::new(),
        "a piece that the reference cannot be shown is not bought"
    );

    let job = job_of(&scene, three).await;
    assert_eq!((&job["request"], &job["state"]), (&json!(1), &json!("open")));
    assert_eq!(job["unserved"]["unserved"], "needs_aggregate", "{job}");
    assert_eq!(scene.waits(three).await, ["unserved"]);
    assert_eq!(job_of(&scene, one).await["unserved"], Value::Null);
    let node = scene.get("/v1/node").await.expect(200);
    let kinds: Vec<&Value> =
        node["contracts"].as_array().expect("contracts").iter().map(|at| &at["abi"]).collect();
    assert_eq!(kinds, ["raas", "raas", "reference"]);

    // Without it in the configuration, its requests are kept and said to wait; nothing goes to another contract.
    scene.stop_node().await;
    scene.config.deployments.remove(0);
    scene.start_node().await;
    let lost = ledger.deals(two_piece).into_values().next().expect("a deal");
    scene.rpc("devnet_terminate", json!([lost.provider, [lost.sector]])).await;
    scene.until_proven(two, two_piece, 2).await;
    scene
        .until("it is said", 5 * DAY, async || {
            scene.quiesce().await;
            scene.waits(two).await.contains(&"contract_not_followed".to_owned())
        })
        .await;
    scene.until_idle().await;
    assert_eq!(scene.ledger().await.completions(&first).len(), 2);
    assert_eq!(scene.ledger().await.completions(&second.to_string()).len(), 2);
    scene.end().await;
}

static OLDEST: AtomicI64 = AtomicI64::new(0);

/// Logs, receipts and state before [`OLDEST`] are gone.
fn short_memory(call: &Value) -> Option<Value> {
    let number = |value: &Value| {
        value.as_str().and_then(|text| i64::from_str_radix(text.strip_prefix("0x")?, 16).ok())
    };
    let params = &call["params"];
    let height = match call["method"].as_str()? {
        "eth_getLogs" => number(&params[0]["fromBlock"])?,
        "eth_getBlockReceipts" => number(&params[0])?,
        "eth_call" => number(&params[1])?,
        "Filecoin.ChainGetTipSetAfterHeight" => params[0].as_i64()?,
        _ => return None,
    };
    let message = "bad tipset height: lookbacks of more than 24h0m0s are disallowed";
    (height < OLDEST.load(Ordering::SeqCst)).then(|| json!({"error": {"code": 1, "message": message}}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_lost_reference_event_the_cid_is_known_and_the_policy_is_not() {
    let mut scene = Setting::new().devnet_only().await;
    let user = Foreign::arrive(&scene, 12).await;
    let block = scene.now().await;
    let reference = user.create(&scene, REFERENCE.trim().parse().expect("hex")).await;
    scene.start_node().await;
    let mut uploaded = Vec::new();
    for number in [63, 64] {
        uploaded.push(scene.upload_only(small(number)).await.0);
    }
    scene.stop_node().await;
    user.submit(&reference.to_string(), &uploaded[0], 2, DAY, 86_400).await;
    scene.advance(3 * DAY).await;
    let proxy = Proxy::before(&scene.devnet.rpc_url()).await;
    OLDEST.store(scene.now().await - DAY, Ordering::SeqCst);
    proxy.decide(short_memory);
    scene.config.network = Some(proxy.url());
    scene.config.deployments = vec![deployment(reference, block, "reference")];
    scene.start_node().await;
    scene.quiesce().await;
    let job = job_of(&scene, &uploaded[0]).await;
    assert_eq!(job["request"], 1);
    assert_eq!(job["unserved"]["unserved"], "policy_unknown", "{job}");
    assert_eq!(job["source"]["policy_known"], false);
    assert_eq!(scene.waits(&uploaded[0]).await, ["unserved"]);
    assert_eq!(scene.get("/v1/node").await.expect(200)["contract_waits"], Value::Null, "it goes on");

    // A later event is read as it is, under the next id.
    user.submit(&reference.to_string(), &uploaded[1], 3, DAY, 86_400).await;
    scene
        .until("the next request is seen", DAY, async || {
            let jobs = scene.get("/v1/jobs").await.expect(200);
            jobs["jobs"].as_array().is_some_and(|jobs| jobs.len() == 2)
        })
        .await;
    let job = job_of(&scene, &uploaded[1]).await;
    assert_eq!((&job["request"], &job["policy"]["replicas"]["target"]), (&json!(2), &json!(3)));
    assert_eq!(job["unserved"]["unserved"], "needs_aggregate", "{job}");
    assert_eq!(scene.ledger().await.proposals().len(), 0, "nothing is bought");
    scene.end().await;
}
