//! Copies outlive their terms: before one ends its successor is proven.

use crate::harness::{Ledger, Scene, Setting, small};
use serde_json::Value;
use std::collections::BTreeMap;

/// From the first moment with three proven copies on there are never fewer.
fn never_below_three(ledger: &Ledger, piece: &str) {
    let history = ledger.proven_history(piece);
    let from = history.iter().position(|(_, proven)| *proven == 3).expect("three proven copies once");
    let below = history[from..].iter().find(|(_, proven)| *proven < 3);
    assert_eq!(below, None, "{history:?}");
}

/// By what the node says of every order: no place has two on their way, or more than two alive.
async fn one_order_per_place(scene: &Scene, cid: &str) {
    const OCCUPYING: [&str; 5] = ["planned", "signed", "delivered", "accepted", "published"];
    let why = scene.why(cid).await;
    let mut places: BTreeMap<u64, Vec<Value>> = BTreeMap::new();
    for order in why["holdings"][0]["orders"].as_array().expect("orders") {
        for slot in order["slots"].as_array().expect("slots") {
            places.entry(slot.as_u64().expect("a number")).or_default().push(order.clone());
        }
    }
    for (place, orders) in places {
        let state = |order: &Value| order["state"].as_str().unwrap_or_default().to_owned();
        let under_way = orders.iter().filter(|order| OCCUPYING.contains(&state(order).as_str())).count();
        let alive = under_way + orders.iter().filter(|order| state(order) == "active").count();
        assert!(under_way <= 1, "two orders on their way for place {place}: {orders:?}");
        assert!(alive <= 2, "three generations alive in place {place}: {orders:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_copies_stay_proven_through_two_renewals() {
    let scene = Setting::new().start().await;
    let (cid, piece) = scene.kept(10).await;
    scene
        .until("nine copies in three generations, the first six over", 3 * 180 * 2_880, async || {
            one_order_per_place(&scene, &cid).await;
            let deals = scene.ledger().await.deals(&piece);
            deals.values().filter(|deal| deal.activated.is_some()).count() == 9
                && deals.values().filter(|deal| deal.over.is_some()).count() == 6
        })
        .await;
    // eth_call shows the tipset before the head.
    scene.pass(5).await;
    scene.until_idle().await;
    let ledger = scene.ledger().await;
    never_below_three(&ledger, &piece);
    assert_eq!(ledger.proposals().len(), 9, "no proposal but three for each generation");
    assert_eq!(scene.active_deals(&cid).await.len(), 3);
    scene.end().await;
}

/// The first deal of each place, in order of the places.
async fn first_deals(scene: &Scene, piece: &str) -> Vec<i64> {
    scene.ledger().await.deals(piece).values().map(|deal| deal.end).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_provider_that_accepts_a_renewal_and_vanishes_twice_lowers_nothing() {
    let scene = Setting::new().seed(5).start().await;
    let (cid, piece) = scene.kept(11).await;
    let window_opens = first_deals(&scene, &piece).await.into_iter().min().expect("a deal") - 30 * 2_880;
    scene.step_until_epoch(window_opens - 10, async |_| ()).await;
    assert_eq!(scene.ledger().await.proposals().len(), 3, "nothing is renewed before the window opens");
    for provider in 1_000..1_008 {
        scene.set_provider(provider, "acceptAndVanish", None).await;
    }
    scene
        .until("two vanished renewals of each copy", 15 * 2_880, async || {
            one_order_per_place(&scene, &cid).await;
            scene.ledger().await.proposals().len() == 9
        })
        .await;
    for provider in 1_000..1_008 {
        scene.set_provider(provider, "normal", None).await;
    }
    scene
        .until("the first generation over, the second proven", 45 * 2_880, async || {
            one_order_per_place(&scene, &cid).await;
            let deals = scene.ledger().await.deals(&piece);
            deals.values().filter(|deal| deal.over.is_some()).count() == 3
        })
        .await;
    let ledger = scene.ledger().await;
    never_below_three(&ledger, &piece);
    assert_eq!(ledger.proven(&piece), 3);
    assert_eq!(ledger.deals(&piece).len(), 6, "what vanished was never published");
    scene.end().await;
}

/// The hash of a whole history: stored, attested, renewed once.
async fn history(seed: u64) -> Value {
    let scene = Setting::new().seed(seed).start().await;
    let (_, piece) = scene.upload(small(12)).await;
    scene
        .until("a second generation", 200 * 2_880, async || {
            let deals = scene.ledger().await.deals(&piece);
            deals.values().filter(|deal| deal.activated.is_some()).count() == 6
        })
        .await;
    scene.until_idle().await;
    let hash = scene.rpc("devnet_ledgerHash", serde_json::json!([])).await;
    scene.end().await;
    hash
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_seed_gives_the_same_history_twice() {
    let first = history(21).await;
    assert_eq!(first, history(21).await);
    assert_ne!(first, history(22).await);
}
