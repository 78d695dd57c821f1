//! Several contracts: each is followed, its requests are its own, and what a reference deployment cannot do or does not
//! tell is said.

use crate::harness::{Foreign, Ledger, Proxy, Scene, Setting, short_memory, small};
use raas_node::config::DeploymentSection;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const DAY: i64 = 2_880;
/// About what the CAR of one of the files here has.
const SMALL_CAR_BYTES: u64 = 1_200;

fn deployment(address: impl std::fmt::Display, from_block: i64, abi: &str) -> DeploymentSection {
    let abi = abi.to_owned();
    DeploymentSection { address: address.to_string(), from_block, skip_to_block: None, abi }
}

/// The piece CID of the aggregate around a small file's piece.
fn aggregate(piece: &str) -> String {
    let commitment = raas_piece::cid::decode_v1(&piece.parse().expect("a CID")).expect("a piece CID");
    let size = raas_piece::PaddedSize::for_payload(SMALL_CAR_BYTES).expect("a size");
    let around = raas_piece::segment::Aggregate::alone(commitment, size).expect("an aggregate");
    raas_piece::cid::v1(around.piece().commitment()).to_string()
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
    let (second, block) = other.deploy_for_node(&scene).await;
    let reference = other.reference(&scene).await;
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
    let around = aggregate(three_piece);
    scene.until_proven(three, &around, 2).await;
    scene.until_idle().await;

    let ledger = scene.ledger().await;
    let deals = |piece: &str| -> BTreeSet<u64> { ledger.deals(piece).into_keys().collect() };
    for (contract, piece) in [(first.clone(), one_piece), (second.to_string(), two_piece)] {
        let shown = ledger.completions(&contract);
        assert!(shown.iter().all(|(request, _)| *request == 1), "{shown:?}");
        assert_eq!(shown.iter().map(|(_, deal)| *deal).collect::<BTreeSet<_>>(), deals(piece), "{contract}");
        assert_eq!(shown.len(), 2, "each once");
    }
    // The reference takes nothing but a proof of inclusion, and checks it: each deal is an aggregate around the piece.
    assert_eq!(deals(three_piece), BTreeSet::new(), "no whole deal");
    let enclosed: Vec<(u64, u64)> = deals(&around).into_iter().map(|deal| (1, deal)).collect();
    assert_eq!((ledger.completions(&reference.to_string()), enclosed.len()), (enclosed, 2));
    let job = job_of(&scene, three).await;
    assert_eq!((&job["request"], &job["state"]), (&json!(1), &json!("open")));
    assert_eq!(job["unserved"], Value::Null);
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

/// The reference asks no market. Our own contract does, and has its ABI: here it is followed as if it were one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_an_aggregate_is_proven_replaced_and_read_back() {
    let mut scene = Setting::new().devnet_only().await;
    let other = Foreign::arrive(&scene, 11).await;
    let (strict, block) = other.deploy_for_node(&scene).await;
    scene.config.deployments = vec![deployment(strict, block, "reference")];
    scene.start_node().await;
    let (cid, piece) = scene.upload_only(small(65)).await;
    other.submit(&strict.to_string(), &cid, 2, DAY, 86_400).await;
    let around = aggregate(&piece);
    scene.until_proven(&cid, &around, 2).await;
    scene.until_idle().await;
    let completed = |ledger: &Ledger| -> Vec<u64> {
        ledger.completions(&strict.to_string()).into_iter().map(|(_, deal)| deal).collect()
    };
    let ledger = scene.ledger().await;
    let first = ledger.deals(&around);
    assert_eq!(completed(&ledger), first.keys().copied().collect::<Vec<_>>(), "inclusion is proven on chain");

    // Neither the aggregate nor its index was ever written here, and providers serve it whole.
    std::fs::remove_file(scene.pieces().join(format!("{piece}.car"))).expect("deleted");
    let (status, bytes) = scene.ipfs(&cid).await;
    assert_eq!((status, bytes == small(65)), (200, true));
    std::fs::remove_file(scene.pieces().join(format!("{piece}.car"))).expect("deleted again");
    let lost = first.values().next().expect("a deal");
    scene.rpc("devnet_terminate", json!([lost.provider, [lost.sector]])).await;
    scene.until("it is replaced", 5 * DAY, async || scene.ledger().await.proven(&around) == 1).await;
    scene.until_proven(&cid, &around, 2).await;
    scene.until_idle().await;
    let ledger = scene.ledger().await;
    assert_eq!((ledger.deals(&around).len(), ledger.deals(&piece).len()), (3, 0));
    assert_eq!(completed(&ledger).len(), 3, "and so is its replacement");

    // Where whole deals are there already, nothing more is bought; what replaces them is shown to both contracts.
    let (cid, piece) = scene.upload_only(small(66)).await;
    let (node, around) = (scene.contract(), aggregate(&piece));
    other.submit(&node, &cid, 2, DAY, 86_400).await;
    scene.until_proven(&cid, &piece, 2).await;
    other.submit(&strict.to_string(), &cid, 2, DAY, 86_400).await;
    scene
        .until("it is said", DAY, async || {
            scene.waits(&cid).await.contains(&"completes_in_aggregate".to_owned())
        })
        .await;
    scene.until_idle().await;
    let whole = scene.ledger().await.deals(&piece);
    assert_eq!((whole.len(), scene.ledger().await.deals(&around).len()), (2, 0));
    let lost = whole.values().next().expect("a deal");
    scene.rpc("devnet_terminate", json!([lost.provider, [lost.sector]])).await;
    scene.until("its place is filled", 5 * DAY, async || scene.ledger().await.proven(&around) == 1).await;
    scene.until_idle().await;
    let ledger = scene.ledger().await;
    let (deal, _) = ledger.deals(&around).pop_first().expect("one deal");
    assert_eq!(
        ledger.completions(&strict.to_string()).into_iter().filter(|(id, _)| *id == 2).collect::<Vec<_>>(),
        [(2, deal)]
    );
    assert!(ledger.completions(&node).contains(&(1, deal)), "{:?}", ledger.completions(&node));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_lost_reference_event_the_cid_is_known_and_the_policy_is_not() {
    let mut scene = Setting::new().devnet_only().await;
    let user = Foreign::arrive(&scene, 12).await;
    let block = scene.now().await;
    let reference = user.reference(&scene).await;
    scene.start_node().await;
    let mut uploaded = Vec::new();
    for number in [63, 64] {
        uploaded.push(scene.upload_only(small(number)).await);
    }
    scene.stop_node().await;
    user.submit(&reference.to_string(), &uploaded[0].0, 2, DAY, 86_400).await;
    scene.advance(3 * DAY).await;
    let proxy = Proxy::before(&scene.devnet.rpc_url()).await;
    proxy.decide(short_memory(scene.now().await - DAY));
    scene.config.network = Some(proxy.url());
    scene.config.deployments = vec![deployment(reference, block, "reference")];
    scene.start_node().await;
    scene.quiesce().await;
    let job = job_of(&scene, &uploaded[0].0).await;
    assert_eq!(job["request"], 1);
    assert_eq!(job["unserved"]["unserved"], "policy_unknown", "{job}");
    assert_eq!(job["source"]["policy_known"], false);
    assert_eq!(scene.waits(&uploaded[0].0).await, ["unserved"]);
    assert_eq!(scene.get("/v1/node").await.expect(200)["contract_waits"], Value::Null, "it goes on");

    // A later event is read as it is, under the next id.
    user.submit(&reference.to_string(), &uploaded[1].0, 3, DAY, 86_400).await;
    scene
        .until("the next request is seen", DAY, async || {
            let jobs = scene.get("/v1/jobs").await.expect(200);
            jobs["jobs"].as_array().is_some_and(|jobs| jobs.len() == 2)
        })
        .await;
    let job = job_of(&scene, &uploaded[1].0).await;
    assert_eq!((&job["request"], &job["policy"]["replicas"]["target"]), (&json!(2), &json!(3)));
    assert_eq!(job["unserved"], Value::Null);
    assert_eq!(
        scene.ledger().await.deals(&uploaded[0].1).len(),
        0,
        "nothing is bought for what nobody knows"
    );
    assert_eq!(scene.waits(&uploaded[0].0).await, ["unserved"]);
    scene.end().await;
}
