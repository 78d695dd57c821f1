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
async fn fault_23_no_copy_is_retired_before_its_successor_is_proven() {
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

/// Published is not sealed: the old copies hold the places, and what never became active is replaced while there is time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_25_a_renewal_that_is_published_and_never_sealed_is_made_again_in_time() {
    let scene = Setting::new().seed(8).start().await;
    let (cid, piece) = scene.kept(18).await;
    let window_opens = first_deals(&scene, &piece).await.into_iter().min().expect("a deal") - 30 * 2_880;
    scene.step_until_epoch(window_opens - 10, async |_| ()).await;
    for provider in 1_000..1_008 {
        scene.set_provider(provider, "neverSeal", None).await;
    }
    scene
        .until("the renewals are published", 5 * 2_880, async || {
            scene.ledger().await.deals(&piece).len() == 6
        })
        .await;
    assert_eq!(scene.standing(&cid).await["proven"], 3, "the old ones alone count");
    for provider in 1_000..1_008 {
        scene.set_provider(provider, "normal", None).await;
    }
    scene
        .until("successors are proven", 10 * 2_880, async || {
            one_order_per_place(&scene, &cid).await;
            let ledger = scene.ledger().await;
            ledger.deals(&piece).values().filter(|deal| deal.activated.is_some()).count() == 6
        })
        .await;
    let last_end = first_deals(&scene, &piece).await[..3].iter().max().copied().expect("a deal");
    assert!(scene.now().await < last_end - 10 * 2_880, "long before the first generation ends");
    let ledger = scene.ledger().await;
    never_below_three(&ledger, &piece);
    assert_eq!((ledger.deals(&piece).len(), ledger.proposals().len()), (9, 9), "each once more");
    scene.end().await;
}

/// A node that keeps one copy of everything, so that each is a last copy.
fn alone() -> Setting {
    Setting::new().config(|config| {
        config.policy.replicas_min = 1;
        config.policy.replicas_target = 1;
        config.policy.replicas_max = 2;
    })
}

/// A file with one proven copy, and the epoch at which its renewal window opens.
async fn one_copy(scene: &Scene, number: u64) -> (String, String, i64) {
    let (cid, piece) = scene.upload(small(number)).await;
    scene.until_proven(&cid, &piece, 1).await;
    scene.until_idle().await;
    let end = first_deals(scene, &piece).await[0];
    (cid, piece, end - 30 * 2_880)
}

/// Orders by state, as `why` tells.
async fn states(scene: &Scene, cid: &str) -> Vec<(String, bool)> {
    let why = scene.why(cid).await;
    let orders = why["holdings"][0]["orders"].as_array().expect("orders").clone();
    let in_place = |order: &Value| order["slots"].as_array().is_some_and(|slots| !slots.is_empty());
    orders
        .iter()
        .map(|order| (order["state"].as_str().unwrap_or_default().to_owned(), in_place(order)))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_silent_renewal_of_a_last_copy_is_hedged_once_and_nothing_is_lost() {
    let scene = alone().seed(6).start().await;
    let (cid, piece, opens) = one_copy(&scene, 13).await;
    for provider in 1_000..1_008 {
        scene.set_provider(provider, "acceptAndVanish", None).await;
    }
    scene
        .until("a renewal and its hedge", 180 * 2_880, async || {
            one_order_per_place(&scene, &cid).await;
            scene.ledger().await.proposals().len() == 3
        })
        .await;
    let [_, (renewal, silent), (hedge, other)] = scene.ledger().await.proposed()[..] else { panic!("three") };
    assert!(renewal >= opens, "{renewal}");
    // The head at signing is an epoch or two behind, and the round that plans is one of those that steps come to.
    assert!((1_440..1_470).contains(&(hedge - renewal)), "after twelve hours, not after {}", hedge - renewal);
    // f01000 and f01001 are one operator's.
    assert_ne!(silent.max(1_001), other.max(1_001), "both at one operator");
    let orders = states(&scene, &cid).await;
    let name = |at: usize| orders[at].0.as_str();
    assert_eq!((name(0), name(1), name(2)), ("active", "hedged", "accepted"));

    // Both lapse; the next try is hedged again, and the one after that succeeds.
    scene
        .until("a second renewal and its hedge", 10 * 2_880, async || {
            one_order_per_place(&scene, &cid).await;
            scene.ledger().await.proposals().len() == 5
        })
        .await;
    for provider in 1_000..1_008 {
        scene.set_provider(provider, "normal", None).await;
    }
    scene
        .until("the first copy over", 40 * 2_880, async || {
            one_order_per_place(&scene, &cid).await;
            scene.ledger().await.deals(&piece).values().any(|deal| deal.over.is_some())
        })
        .await;
    let ledger = scene.ledger().await;
    assert_eq!(ledger.proven(&piece), 1);
    let history = ledger.proven_history(&piece);
    let from = history.iter().position(|(_, proven)| *proven == 1).expect("a proven copy once");
    assert!(history[from..].iter().all(|(_, proven)| *proven >= 1), "{history:?}");
    assert_eq!(ledger.deals(&piece).len(), 2, "what vanished was never published");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hedged_renewal_that_is_published_late_is_adopted_beside_its_hedge() {
    let scene = alone().seed(7).start().await;
    let (cid, piece, opens) = one_copy(&scene, 14).await;
    let kept_at = scene.ledger().await.deals(&piece).values().next().expect("a deal").provider;
    scene.step_until_epoch(opens - 10, async |_| ()).await;
    // It takes a day to fetch, twice as long as the node waits; the other providers are quick.
    scene.set_provider(kept_at, "slow", None).await;
    scene
        .until("both the renewal and its hedge proven", 10 * 2_880, async || {
            one_order_per_place(&scene, &cid).await;
            let deals = scene.ledger().await.deals(&piece);
            deals.values().filter(|deal| deal.activated.is_some()).count() == 3
        })
        .await;
    scene.until_idle().await;
    let both = [("active".to_owned(), true), ("active".to_owned(), false), ("active".to_owned(), true)];
    assert_eq!(states(&scene, &cid).await, both, "old, the late one as a spare, the hedge");
    scene
        .until("the first copy over", 60 * 2_880, async || {
            scene.ledger().await.deals(&piece).values().any(|deal| deal.over.is_some())
        })
        .await;
    scene
        .until("the node counts the two that are left", 2_880, async || {
            scene.standing(&cid).await["proven"] == 2
        })
        .await;
    scene.pass(5).await;
    let ledger = scene.ledger().await;
    assert_eq!(ledger.proposals().len(), 3, "one copy, one renewal, one hedge");
    assert_eq!(ledger.proven(&piece), 2);
    let deals = scene.active_deals(&cid).await;
    assert_eq!(deals.len(), 1, "the place's copy is shown: {deals:?}");
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
