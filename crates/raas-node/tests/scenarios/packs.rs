//! Small files wait for company, become one deal per copy, and are kept, proven and given back each by itself.

use crate::harness::{Foreign, Scene, Setting, sha256_counter, small};
use raas_node::config::DeploymentSection;
use raas_piece::inclusion::InclusionProof;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const DAY: i64 = 2_880;
/// `pack.patience_epochs`.
const PATIENCE: i64 = 240;

fn setting() -> Setting {
    Setting::new().config(|config| {
        config.pack.below_mib = 1;
        config.pack.size_mib = 4;
        config.pack.least_mib = 1;
        config.pack.patience_epochs = PATIENCE;
    })
}

/// The only aggregate that a CID's copies are bought in, once it is known.
async fn aggregate(scene: &Scene, cid: &str) -> Option<Value> {
    let why = scene.why(cid).await;
    let places = why["holdings"][0]["aggregates"].as_array().expect("aggregates").clone();
    assert!(places.len() <= 1, "{places:?}");
    places.into_iter().next()
}

async fn aggregates(scene: &Scene, cids: &[String]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for cid in cids {
        let place = aggregate(scene, cid).await.expect("an aggregate");
        found.insert(place["aggregatePieceCid"].as_str().expect("a piece CID").to_owned());
    }
    found
}

async fn until_all_proven(scene: &Scene, cids: &[String]) {
    scene
        .until("three proven copies of each", 10 * DAY, async || {
            for cid in cids {
                if scene.standing(cid).await["proven"] != json!(3) {
                    return false;
                }
            }
            true
        })
        .await;
    scene.until_idle().await;
}

fn forget(scene: &Scene) {
    for entry in std::fs::read_dir(scene.pieces()).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|ending| ending == "car" || ending == "index") {
            std::fs::remove_file(path).expect("removed");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_many_jobs_are_one_deal_per_copy_from_the_first_to_the_repair() {
    let mut scene = setting().devnet_only().await;
    let user = Foreign::arrive(&scene, 11).await;
    // It takes proofs of inclusion only, as the reference does, and checks them.
    let (strict, block) = user.deploy_for_node(&scene).await;
    scene.config.deployments = vec![DeploymentSection {
        address: strict.to_string(),
        from_block: block,
        skip_to_block: None,
        abi: "reference".to_owned(),
    }];
    scene.start_node().await;
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for number in 0..6 {
        let bytes = small(number * 8_191);
        let (cid, _) = scene.upload(bytes.clone()).await;
        files.push((cid, bytes));
    }
    for contract in [scene.contract(), strict.to_string()] {
        let bytes = sha256_counter(&contract, 40_000);
        let (cid, _) = scene.upload_only(bytes.clone()).await;
        user.submit(&contract, &cid, 3, DAY, 86_400).await;
        scene.advance(2).await;
        files.push((cid, bytes));
    }
    let cids: Vec<String> = files.iter().map(|(cid, _)| cid.clone()).collect();

    // They wait, and say for what and until when.
    scene.quiesce().await;
    assert_eq!(scene.waits(&cids[0]).await, ["company"; 3]);
    let why = scene.why(&cids[0]).await;
    let wait = &why["holdings"][0]["waits"][0];
    assert_eq!(wait["for_"]["until"], wait["wake"]["at"], "{wait}");
    assert_eq!(wait["for_"]["when_small"], "wait");
    assert!(scene.ledger().await.proposals().is_empty());
    assert_eq!(scene.get(&format!("/v1/proofs/{}", cids[0])).await.status, 404);

    // Three deals for all of them.
    until_all_proven(&scene, &cids).await;
    let made = aggregates(&scene, &cids).await;
    let [around] = made.into_iter().collect::<Vec<_>>().try_into().expect("one aggregate");
    let ledger = scene.ledger().await;
    assert_eq!((ledger.deals(&around).len(), ledger.proven(&around), ledger.proposals().len()), (3, 3, 3));

    // Each has a proof that anybody can check, in three forms.
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    for cid in &cids {
        let told = scene.get(&format!("/v1/proofs/{cid}")).await.expect(200);
        let [proof] = told["proofs"].as_array().expect("proofs").as_slice() else { panic!("one: {told}") };
        let piece =
            raas_piece::cid::decode_v1(&proof["pieceCid"].as_str().expect("text").parse().expect("a CID"));
        let size = raas_piece::PaddedSize::new(proof["pieceSize"].as_u64().expect("a size")).expect("a size");
        let cbor = hex::decode(proof["cbor"].as_str().expect("hex")).expect("hex");
        let read = InclusionProof::from_cbor(&cbor).expect("a proof");
        let deal = read.verify(piece.expect("a piece"), size).expect("a right proof");
        assert_eq!(raas_piece::cid::v1(deal.commitment()).to_string(), around);
        assert_eq!(serde_json::from_value::<InclusionProof>(proof["proof"].clone()).expect("JSON"), read);
        assert_eq!(proof["deals"].as_array().map(Vec::len), Some(3), "{proof}");
        let answer = http
            .get(format!("{}/v1/proofs/{cid}?format=abi", scene.admin()))
            .send()
            .await
            .expect("an answer");
        assert_eq!(InclusionProof::from_abi(&answer.bytes().await.expect("bytes")).expect("ABI"), read);
    }
    assert_eq!(scene.get(&format!("/v1/proofs/{}?format=xml", cids[0])).await.status, 400);

    // The contracts were shown all three, under each request. The node registered its own jobs, too.
    let deals: Vec<u64> = ledger.deals(&around).into_keys().collect();
    let shown =
        |contract: &str| -> BTreeSet<(u64, u64)> { ledger.completions(contract).into_iter().collect() };
    assert_eq!(shown(&strict.to_string()), deals.iter().map(|deal| (1, *deal)).collect());
    let own = scene.contract();
    let requests = ledger.completions(&own).iter().map(|(request, _)| *request).collect::<BTreeSet<_>>();
    assert_eq!(shown(&own).len(), requests.len() * 3);
    assert!(!requests.is_empty());

    // Each comes back from a provider's aggregate alone, by the bytes that are its own.
    forget(&scene);
    for (cid, bytes) in &files {
        let (status, back) = scene.ipfs(cid).await;
        assert_eq!((status, &back == bytes), (200, true), "{cid}");
    }

    // One loss under eight files is one order, which needs the bytes of all of them.
    forget(&scene);
    let lost = ledger.deals(&around).into_values().next().expect("a deal");
    scene.rpc("devnet_terminate", json!([lost.provider, [lost.sector]])).await;
    scene
        .until("the loss is seen", 3 * DAY, async || scene.standing(&cids[7]).await["proven"] == json!(2))
        .await;
    until_all_proven(&scene, &cids).await;
    let ledger = scene.ledger().await;
    assert_eq!((ledger.deals(&around).len(), ledger.proposals().len()), (4, 4));
    assert_eq!(ledger.completions(&strict.to_string()).len(), 4, "and is shown");
    for (cid, bytes) in &files {
        assert_eq!(&scene.ipfs(cid).await.1, bytes, "{cid}");
    }
    scene.end().await;
}
