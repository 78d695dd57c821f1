//! Requests on the contract are found whatever the node was doing, each exactly once.

use crate::harness::{Foreign, Scene, Setting, small};
use serde_json::Value;
use std::collections::BTreeSet;

async fn jobs(scene: &Scene) -> Vec<Value> {
    scene.get("/v1/jobs").await.expect(200)["jobs"].as_array().expect("jobs").clone()
}

/// Deals attested for `request`.
async fn attested(scene: &Scene, request: u64) -> BTreeSet<u64> {
    let all = scene.ledger().await.completions(&scene.contract());
    let of: Vec<u64> = all.iter().filter(|(id, _)| *id == request).map(|(_, deal)| *deal).collect();
    let distinct: BTreeSet<u64> = of.iter().copied().collect();
    assert_eq!(of.len(), distinct.len(), "attested twice: {all:?}");
    distinct
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_made_while_the_node_was_down_is_found_after_its_restart() {
    let mut scene = Setting::new().start().await;
    let (cid, piece) = scene.upload_only(small(50)).await;
    let user = Foreign::arrive(&scene, 9).await;
    scene.quiesce().await;
    let contract = scene.contract();
    scene.stop_node().await;
    user.submit(&contract, &cid, 3, 2_880, 86_400).await;
    scene.advance(5_000).await;
    scene.start_node().await;
    assert_eq!(scene.contract(), contract, "the same store follows the same contract");
    scene.until_proven(&cid, &piece, 3).await;
    scene.until_idle().await;
    let deals: BTreeSet<u64> = scene.ledger().await.deals(&piece).into_keys().collect();
    assert_eq!(attested(&scene, 1).await, deals);
    assert_eq!(jobs(&scene).await.len(), 1);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_requests_in_one_epoch_are_both_served() {
    let scene = Setting::new().start().await;
    let (one, one_piece) = scene.upload_only(small(51)).await;
    let (two, two_piece) = scene.upload_only(small(52)).await;
    let (first, second) = (Foreign::arrive(&scene, 9).await, Foreign::arrive(&scene, 10).await);
    let contract = scene.contract();
    first.submit(&contract, &one, 3, 2_880, 86_400).await;
    second.submit(&contract, &two, 2, 2_880, 86_400).await;
    scene.until_proven(&one, &one_piece, 3).await;
    scene.until_proven(&two, &two_piece, 2).await;
    scene.until_idle().await;
    let ledger = scene.ledger().await;
    let epochs: BTreeSet<i64> = ledger
        .of("transaction")
        .filter(|entry| entry.text("selector") == "de52f264")
        .map(|entry| entry.epoch)
        .collect();
    assert_eq!(epochs.len(), 1, "both submits in one tipset");
    let (of_one, of_two) = (attested(&scene, 1).await, attested(&scene, 2).await);
    let deals = |piece: &str| -> BTreeSet<u64> { ledger.deals(piece).into_keys().collect() };
    let expected = BTreeSet::from([deals(&one_piece), deals(&two_piece)]);
    assert_eq!(BTreeSet::from([of_one, of_two]), expected);
    assert_eq!(ledger.proposals().len(), 5);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_request_shares_the_owners_deals_and_another_owners_has_its_own() {
    let scene = Setting::new().start().await;
    let (cid, piece) = scene.upload_only(small(53)).await;
    let (user, other) = (Foreign::arrive(&scene, 9).await, Foreign::arrive(&scene, 10).await);
    let contract = scene.contract();
    user.submit(&contract, &cid, 3, 2_880, 86_400).await;
    scene.until_proven(&cid, &piece, 3).await;
    scene.until_idle().await;
    user.submit(&contract, &cid, 3, 2_880, 86_400).await;
    scene.until("the second request is attested", 2_880, async || attested(&scene, 2).await.len() == 3).await;
    scene.until_idle().await;
    assert_eq!(attested(&scene, 1).await, attested(&scene, 2).await, "the same deals");
    assert_eq!(scene.ledger().await.proposals().len(), 3, "nothing was bought for it");
    let two = jobs(&scene).await;
    assert_eq!(two.len(), 2, "a job of its own");
    assert_eq!(two[0]["holding"], two[1]["holding"], "in the same holding");

    other.submit(&contract, &cid, 3, 2_880, 86_400).await;
    scene
        .until("the other owner's request is attested", 2_880, async || attested(&scene, 3).await.len() == 3)
        .await;
    scene.until_idle().await;
    assert!(attested(&scene, 3).await.is_disjoint(&attested(&scene, 1).await), "deals of its own");
    assert_eq!(scene.ledger().await.proposals().len(), 6);
    let three = jobs(&scene).await;
    assert_eq!(three.len(), 3);
    assert_ne!(three[2]["holding"], three[0]["holding"]);
    assert_ne!(three[2]["owner"], three[0]["owner"]);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_its_owner_cancels_wants_nothing_more() {
    let scene = Setting::new().start().await;
    let (cid, piece) = scene.upload_only(small(52)).await;
    let user = Foreign::arrive(&scene, 11).await;
    let contract = scene.contract();
    user.submit(&contract, &cid, 2, 2_880, 86_400).await;
    scene.until_proven(&cid, &piece, 2).await;
    user.cancels(&scene, &contract, 1).await;
    scene.advance(2_000).await;
    scene.until_idle().await;
    let [job] = <[Value; 1]>::try_from(jobs(&scene).await).expect("one job");
    assert_eq!(job["state"], "stopped", "{job}");
    scene.end().await;
}
