//! An endpoint that lies or fails makes the node wait, however long it lasts, and say what it waits for.

use crate::harness::{Foreign, Scene, Setting, small};
use serde_json::{Value, json};

const DAY: i64 = 2_880;

/// What a lying endpoint must not cause: whatever the node signs.
async fn acts(scene: &Scene) -> usize {
    scene.ledger().await.acts()
}

/// Days under `mode`, looked at many times a day; nothing may be signed, and `says` must be in `why` at every look.
async fn holds(scene: &Scene, cid: &str, mode: &str, days: i64, says: impl Fn(&Value) -> bool) {
    let before = acts(scene).await;
    let proposals = scene.ledger().await.proposals();
    scene.set_rpc(mode).await;
    // The gate lets a head be five epochs old.
    scene.advance(10).await;
    scene
        .watch(days * DAY, DAY / 12, async || {
            let why = scene.why(cid).await;
            assert!(says(&why), "{mode}: {why}");
        })
        .await;
    assert_eq!(acts(scene).await, before, "{mode}: something was signed");
    assert_eq!(scene.ledger().await.proposals(), proposals);
    scene.set_rpc("normal").await;
}

fn held_by(name: &'static str) -> impl Fn(&Value) -> bool {
    move |why| {
        let waits = why["holdings"][0]["waits"].as_array();
        why["hold"]["hold"] == name
            && waits.is_some_and(|waits| waits.iter().any(|wait| wait["for_"]["waiting_for"] == "gate"))
    }
}

fn unknown_copies(why: &Value) -> bool {
    why["hold"].is_null() && why["holdings"][0]["standing"]["unknown"] == 3
}

/// After all of it: a loss is repaired, a new file is stored.
async fn goes_on(scene: &Scene, cid: &str, piece: &str, number: u64) {
    let before = scene.ledger().await.proposals().len();
    scene.until_proven(cid, piece, 3).await;
    let deal =
        scene.ledger().await.deals(piece).into_values().find(|deal| deal.over.is_none()).expect("a deal");
    scene.rpc("devnet_terminate", json!([deal.provider, [deal.sector]])).await;
    scene.until("lost", 10, async || scene.ledger().await.proven(piece) == 2).await;
    scene.until_proven(cid, piece, 3).await;
    scene.kept(number).await;
    assert_eq!(scene.ledger().await.proposals().len(), before + 4, "one repair and three copies");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_or_dead_endpoint_closes_the_gate() {
    let scene = Setting::new().start().await;
    let (cid, piece) = scene.kept(30).await;
    holds(&scene, &cid, "stale", 10, held_by("head_old")).await;
    holds(&scene, &cid, "down", 10, held_by("no_endpoint")).await;
    goes_on(&scene, &cid, &piece, 31).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_03_forgotten_deals_are_unknown_and_never_lost() {
    let scene = Setting::new().start().await;
    let (cid, piece) = scene.kept(32).await;
    // Exit 17 for a deal that was seen finalized: the endpoint contradicts the chain.
    holds(&scene, &cid, "forgetDeals", 10, |why| unknown_copies(why) || held_by("contradiction")(why)).await;
    // Exit 32 for every known deal while the sectors are alive: no round is taken from such an endpoint.
    holds(&scene, &cid, "forgetDeals32", 10, |why| unknown_copies(why) || held_by("contradiction")(why))
        .await;
    goes_on(&scene, &cid, &piece, 33).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_on_their_way_are_not_made_again_when_deals_are_forgotten() {
    for (number, mode) in
        [(34, "forgetDeals"), (35, "forgetDeals32"), (36, "emptyLogs"), (37, "stale"), (38, "down")]
    {
        let scene = Setting::new().start().await;
        let (cid, piece) = scene.upload(small(number)).await;
        scene.until("three proposals", DAY, async || scene.ledger().await.proposals().len() == 3).await;
        scene.set_rpc(mode).await;
        // Past the start epochs, three days away: an order that was not found by then would be given up.
        scene.watch(6 * DAY, DAY / 4, async || ()).await;
        assert_eq!(scene.ledger().await.proposals().len(), 3, "{mode}");
        scene.set_rpc("normal").await;
        scene.until_proven(&cid, &piece, 3).await;
        scene.until_idle().await;
        assert_eq!(scene.ledger().await.proposals().len(), 3, "{mode}");
        assert_eq!(scene.active_deals(&cid).await.len(), 3, "{mode}");
        scene.end().await;
    }
}

/// The events of the publications are never told. The ids tell, long before the start epochs at which the orders lapse.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publications_in_a_hole_of_the_index_are_found_by_their_ids() {
    let scene = Setting::new().start().await;
    let (cid, piece) = scene.upload(small(39)).await;
    scene.until("three proposals", DAY, async || scene.ledger().await.proposals().len() == 3).await;
    scene.rpc("devnet_setRpc", json!(["emptyLogs", "Filecoin.GetActorEventsRaw", null])).await;
    scene.until("they are published", DAY, async || scene.ledger().await.deals(&piece).len() == 3).await;
    scene.pass(100).await;
    scene.set_rpc("normal").await;
    let begun = scene.now().await;
    scene.until_proven(&cid, &piece, 3).await;
    assert!(scene.now().await < begun + DAY, "they start only days later");
    assert_eq!(scene.ledger().await.proposals().len(), 3);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_05_a_request_behind_empty_logs_is_found_by_the_contracts_state() {
    let scene = Setting::new().start().await;
    scene.kept(40).await;
    let (cid, piece) = scene.upload_only(small(41)).await;
    let user = Foreign::arrive(&scene, 9).await;
    scene.pass(50).await;
    scene.rpc("devnet_setRpc", json!(["emptyLogs", "eth_getLogs", null])).await;
    user.submit(&scene.contract(), &cid, 3, 2_880, 86_400).await;
    scene.until_proven(&cid, &piece, 3).await;
    scene.until_idle().await;
    let request = scene.request_count().await;
    let attested = scene.ledger().await.completions(&scene.contract());
    assert_eq!(attested.iter().filter(|(of, _)| *of == request).count(), 3, "{attested:?}");
    let node = scene.get("/v1/node").await.expect(200);
    assert_eq!(node["contract_waits"], Value::Null, "{node}");
    scene.set_rpc("normal").await;
    scene.end().await;
}
