//! Rule 4 at its edges: what is lost or faulty for long enough is replaced once, elsewhere; nothing else is.

use crate::harness::{Deal, Proxy, Scene, Setting};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// `repair_after` of these scenes.
const X: i64 = 2_880;
/// The devnet's finality lag.
const LAG: i64 = 20;

async fn deals(scene: &Scene, piece: &str) -> Vec<Deal> {
    scene.ledger().await.deals(piece).into_values().collect()
}

async fn orders(scene: &Scene, cid: &str) -> Vec<Value> {
    scene.why(cid).await["holdings"][0]["orders"].as_array().expect("orders").clone()
}

/// Makes the sector of one deal faulty and lets time pass until it is; the node is not told. The epoch of the fault.
async fn fault(scene: &Scene, deal: &Deal) -> i64 {
    scene.rpc("devnet_fault", json!([deal.provider, [deal.sector]])).await;
    loop {
        let ledger = scene.ledger().await;
        let faulted = ledger.of("faulted").find(|entry| {
            entry.number("provider") == deal.provider && Some(entry.number("sector")) == deal.sector
        });
        if let Some(entry) = faulted {
            return entry.epoch;
        }
        let next = scene.rpc("devnet_nextEvent", json!([])).await.as_i64().expect("the deadline closes");
        scene.advance(next - scene.now().await).await;
    }
}

/// F as the node read it.
async fn since(scene: &Scene, cid: &str, deal: u64) -> Option<i64> {
    let orders = orders(scene, cid).await;
    let order = orders.iter().find(|order| order["dealId"] == json!(deal)).expect("the order of the deal");
    order["health"]["fault"]["since"].as_i64()
}

/// After the repair: one more proposal, one more deal, on an operator that had none, and three proven copies.
async fn repaired_once(scene: &Scene, cid: &str, piece: &str, lost: &Deal) {
    let before: BTreeSet<u64> = deals(scene, piece).await.iter().map(|deal| deal.operator).collect();
    scene.until("a fourth proven deal", 5 * 2_880, async || scene.ledger().await.proven(piece) == 3).await;
    scene.until_idle().await;
    let deals = deals(scene, piece).await;
    let new = &deals[3..];
    assert_eq!(new.len(), 1, "{deals:?}");
    assert!(
        new.iter().all(|deal| deal.operator != lost.operator && !before.contains(&deal.operator)),
        "{deals:?}"
    );
    assert_eq!(scene.ledger().await.proposals().len(), 4);
    let listed: BTreeSet<u64> = scene.active_deals(cid).await.into_iter().map(|(deal, _)| deal).collect();
    assert!(listed.contains(&new[0].id), "{listed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_is_repaired_at_f_plus_x_and_not_an_epoch_before() {
    let scene = Setting::new().start().await;
    let (cid, piece) = scene.kept(20).await;
    let faulty = deals(&scene, &piece).await[0].clone();
    let faulted = fault(&scene, &faulty).await;
    scene
        .until("the fault is seen", 2 * LAG + 2, async || since(&scene, &cid, faulty.id).await.is_some())
        .await;
    let f = since(&scene, &cid, faulty.id).await.expect("F");
    assert_eq!(f, faulted, "F is the chain's own");
    // The head at which F + X - 1 is finalized.
    scene.step_until_epoch(f + X - 1 + LAG, async |_| ()).await;
    assert_eq!(orders(&scene, &cid).await.len(), 3, "nothing at F + X - 1");
    assert_eq!(scene.waits(&cid).await.iter().filter(|wait| *wait == "patience").count(), 1);
    scene.advance(1).await;
    scene.quiesce().await;
    assert_eq!(orders(&scene, &cid).await.len(), 4, "one order at F + X");
    repaired_once(&scene, &cid, &piece, &faulty).await;
    // The fault stays and the repair stays the only one.
    scene.pass(5 * 2_880).await;
    assert_eq!(scene.ledger().await.proposals().len(), 4);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_round_since_the_fault_is_not_enough_however_old_it_is() {
    let scene = Setting::new().start().await;
    let (cid, piece) = scene.kept(21).await;
    let faulty = deals(&scene, &piece).await[0].clone();
    fault(&scene, &faulty).await;
    scene.advance(2 * X).await;
    scene.quiesce().await;
    assert!(since(&scene, &cid, faulty.id).await.is_some(), "the first round sees it");
    assert_eq!(orders(&scene, &cid).await.len(), 3, "and nothing is ordered on one sighting");
    scene.advance(1).await;
    scene.quiesce().await;
    assert_eq!(orders(&scene, &cid).await.len(), 4, "the second round confirms it");
    repaired_once(&scene, &cid, &piece, &faulty).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_43_a_sector_that_recovers_in_time_is_not_repaired() {
    let scene = Setting::new().start().await;
    let (cid, piece) = scene.kept(22).await;
    let faulty = deals(&scene, &piece).await[0].clone();
    let f = fault(&scene, &faulty).await;
    scene.step_until_epoch(f + X / 4, async |_| ()).await;
    assert_eq!(scene.standing(&cid).await["suspect"], 1);
    scene.rpc("devnet_recover", json!([faulty.provider, [faulty.sector]])).await;
    scene.until("the sector is proven again", X, async || scene.ledger().await.proven(&piece) == 3).await;
    let recovered = scene.now().await;
    assert!(recovered < f + X + LAG, "too late for this test: {recovered} after {f}");
    scene.pass(3 * X).await;
    assert_eq!(scene.standing(&cid).await["proven"], 3);
    assert_eq!(scene.ledger().await.proposals().len(), 3, "no action");
    scene.end().await;
}

/// The repair is planned and not signed, since no message of the node gets through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_43_a_recovery_cancels_a_repair_that_is_not_signed() {
    let mut scene = Setting::new().devnet_only().await;
    let proxy = Proxy::before(&scene.devnet.rpc_url()).await;
    scene.config.network = Some(proxy.url());
    scene.start_node().await;
    let (cid, piece) = scene.kept(27).await;
    let faulty = deals(&scene, &piece).await[0].clone();
    proxy.decide(|call| {
        let is_sent = call["method"] == "Filecoin.MpoolPush";
        is_sent.then(|| json!({"error": {"code": 1, "message": "not now"}}))
    });
    // By leaps: the message is tried again at each epoch.
    let until = async |waited_for: &str, state: &str| {
        for _ in 0..100 {
            if orders(&scene, &cid).await.get(3).is_some_and(|order| order["state"] == state) {
                return;
            }
            scene.advance(60).await;
            scene.quiesce().await;
        }
        panic!("not: {waited_for}\n{}", scene.state().await);
    };
    fault(&scene, &faulty).await;
    until("a repair is planned, and its escrow is not there", "planned").await;
    scene.rpc("devnet_recover", json!([faulty.provider, [faulty.sector]])).await;
    until("it is given up", "cancelled").await;
    proxy.decide(|_| None);
    scene.until_idle().await;
    scene.pass(3 * X).await;
    assert_eq!(scene.standing(&cid).await["proven"], 3);
    assert_eq!(scene.ledger().await.proposals().len(), 3, "nothing was bought");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_07_a_terminated_copy_is_repaired_once_as_soon_as_it_is_final() {
    let scene = Setting::new().start().await;
    let (cid, piece) = scene.kept(23).await;
    let lost = deals(&scene, &piece).await[1].clone();
    scene.rpc("devnet_terminate", json!([lost.provider, [lost.sector]])).await;
    scene.until("the ledger has it", 10, async || scene.ledger().await.proven(&piece) == 2).await;
    let at = deals(&scene, &piece).await[1].over.clone().expect("over").0;
    // Native state at a tipset is before its messages, so T = at + 1 is the first that shows it.
    scene.step_until_epoch(at + LAG, async |_| ()).await;
    assert_eq!(orders(&scene, &cid).await.len(), 3, "nothing before it is final");
    scene.step_until_epoch(at + LAG + 1, async |_| ()).await;
    assert_eq!(orders(&scene, &cid).await.len(), 4, "at once when it is");
    repaired_once(&scene, &cid, &piece, &lost).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deal_that_is_never_activated_is_replaced() {
    let scene = Setting::new().start().await;
    scene.set_provider(1_002, "neverSeal", None).await;
    let (cid, piece) = scene.upload(crate::harness::small(24)).await;
    scene
        .until("two proven, one pending", 2_880, async || {
            scene.ledger().await.proven(&piece) == 2 && deals(&scene, &piece).await.len() == 3
        })
        .await;
    let pending =
        deals(&scene, &piece).await.into_iter().find(|deal| deal.provider == 1_002).expect("chosen");
    // The first finalized height past the start epoch.
    scene.step_until_epoch(pending.start + LAG, async |_| ()).await;
    assert_eq!(
        orders(&scene, &cid).await.len(),
        3,
        "until its start epoch has passed it may still be sealed"
    );
    scene.step_until_epoch(pending.start + LAG + 1, async |_| ()).await;
    assert_eq!(orders(&scene, &cid).await.len(), 4);
    repaired_once(&scene, &cid, &piece, &pending).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_terminated_copies_come_back_from_the_local_one() {
    let scene = Setting::new().start().await;
    let (cid, piece) = scene.kept(25).await;
    for deal in deals(&scene, &piece).await {
        scene.rpc("devnet_terminate", json!([deal.provider, [deal.sector]])).await;
    }
    scene.until("all are lost", 10, async || scene.ledger().await.proven(&piece) == 0).await;
    scene.until_proven(&cid, &piece, 3).await;
    scene.until_idle().await;
    let deals = deals(&scene, &piece).await;
    assert_eq!(deals.len(), 6, "{deals:?}");
    let new: Vec<(u64, u64)> = deals[3..].iter().map(|deal| (deal.id, deal.provider)).collect();
    assert_eq!(scene.active_deals(&cid).await, new);
    scene.end().await;
}
