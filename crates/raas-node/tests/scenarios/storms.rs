//! Many copies failing at once: losses are repaired at a pace, suspects wait for the breaker, all is well in the end.

use crate::harness::{Foreign, Scene, Setting, small};
use raas_core::units::AttoFil;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const HOLDINGS: u64 = 300;
/// Replacements of lost copies that start within one window of 120 epochs.
const PER_WINDOW: usize = 100;

/// Three hundred files with three proven copies each.
async fn fleet(scene: &Scene) -> Vec<String> {
    let mut pieces = Vec::new();
    for number in 0..HOLDINGS {
        let (cid, piece) = scene.upload_only(small(1_000 + number)).await;
        scene.post("/v1/jobs", &json!({ "cid": cid })).await.expect(201);
        pieces.push(piece);
    }
    scene.until("all proven", 10 * 2_880, async || all_proven(scene, &pieces).await).await;
    scene.until_idle().await;
    pieces
}

async fn all_proven(scene: &Scene, pieces: &[String]) -> bool {
    let ledger = scene.ledger().await;
    let by_piece = ledger.proven_by_piece();
    pieces.iter().all(|piece| by_piece.get(piece) == Some(&3))
}

/// The first time each proposal reached a provider, from `from` on.
async fn proposed(scene: &Scene, from: i64) -> BTreeMap<String, i64> {
    let mut first = BTreeMap::new();
    for entry in scene.ledger().await.of("proposed").filter(|entry| entry.epoch >= from) {
        first.entry(entry.text("proposalCid").to_owned()).or_insert(entry.epoch);
    }
    first
}

/// The provider with the most live deals.
async fn largest(scene: &Scene) -> u64 {
    let providers = scene.rpc("devnet_providers", json!([])).await;
    let deals = |provider: &Value| -> usize {
        let sectors = provider["sectors"].as_array().expect("sectors");
        sectors.iter().map(|sector| sector["deals"].as_array().map_or(0, Vec::len)).sum()
    };
    let largest = providers.as_array().expect("providers").iter().max_by_key(|provider| deals(provider));
    largest.expect("a provider")["id"].as_str().expect("an id")[2..].parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_300_holdings_one_providers_losses_are_paced_and_its_suspects_wait_for_the_breaker() {
    let mut scene = Setting::new().devnet_only().await;
    // Money enough in escrow from the beginning: top-ups would only make the history longer.
    Foreign::node(&scene).await.adds_escrow(&scene, AttoFil::fil(10)).await;
    scene.pace = 30;
    scene.start_node().await;
    let pieces = fleet(&scene).await;
    let at_first = scene.ledger().await.proposals().len();
    assert_eq!(at_first, 3 * pieces.len());

    // One provider loses everything for good: never stopped, but paced.
    let gone = largest(&scene).await;
    let before = scene.now().await;
    scene.rpc("devnet_terminate", json!([gone, null])).await;
    scene.until("its sectors are lost", 10, async || scene.ledger().await.of("terminated").count() > 0).await;
    scene.until("all proven again", 5 * 2_880, async || all_proven(&scene, &pieces).await).await;
    let lost = scene.ledger().await.of("terminated").count();
    assert!(lost > PER_WINDOW, "{lost} lost");
    let repairs = proposed(&scene, before).await;
    assert_eq!(repairs.len(), lost, "one order for each loss");
    let mut windows: BTreeMap<i64, usize> = BTreeMap::new();
    for epoch in repairs.values() {
        *windows.entry(epoch.div_euclid(120)).or_default() += 1;
    }
    assert!(windows.values().all(|started| *started <= PER_WINDOW), "{windows:?}");
    scene.until_idle().await;

    // Another one turns faulty as a whole: its suspects wait, nobody else's copies do.
    let faulty = largest(&scene).await;
    assert_ne!(faulty, gone);
    let before = scene.now().await;
    let suspects = scene.ledger().await.live_deals_at(faulty);
    assert!(suspects > PER_WINDOW, "{suspects} copies at f0{faulty}");
    scene.rpc("devnet_fault", json!([faulty, null])).await;
    scene
        .until("the breaker of that provider is open", 2 * 2_880, async || {
            let node = scene.get("/v1/node").await.expect(200);
            node["breaker"]["providers"][faulty.to_string()].is_object()
        })
        .await;
    let node = scene.get("/v1/node").await.expect(200);
    assert!(node["breaker"]["fleet"].is_null(), "one operator is no storm of the fleet: {}", node["breaker"]);
    let tripped = node["breaker"]["providers"][faulty.to_string()]["since"].as_i64().expect("since");
    // A day is the breaker's; until then no suspect is repaired, though the patience of a day is over, too.
    scene.step_until_epoch(tripped + 2_880, async |_| ()).await;
    assert_eq!(proposed(&scene, before).await.len(), 0, "suspects wait");
    scene.until("all proven by others", 4 * 2_880, async || all_proven(&scene, &pieces).await).await;
    let by_hour: BTreeMap<i64, usize> =
        proposed(&scene, before).await.values().fold(BTreeMap::new(), |mut hours, epoch| {
            *hours.entry((epoch - tripped - 2_880).div_euclid(120)).or_default() += 1;
            hours
        });
    let mut allowed = 0;
    for (hour, started) in &by_hour {
        allowed =
            1_usize.checked_shl(u32::try_from(*hour).expect("after the release") + 1).unwrap_or(usize::MAX);
        assert!(*started <= allowed, "hour {hour}: {started} of {allowed}: {by_hour:?}");
    }
    assert!(allowed > 1, "{by_hour:?}");
    assert_eq!(proposed(&scene, before).await.len(), suspects, "one order for each suspect");
    scene.end().await;
}
