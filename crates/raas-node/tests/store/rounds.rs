//! Rounds: all or nothing, and what a late publication does to its place.

use crate::support::{
    active, cid, commit, found, get, held, on_chain, order_action, ordered, put, report, round, signed, slot,
    store,
};
use raas_core::fleet::{Breaker, Trip};
use raas_core::gate::Hold;
use raas_core::health::Health;
use raas_core::ids::{DealId, HoldingId, OrderId, ProviderId};
use raas_core::order::{Cause, OrderState};
use raas_core::units::Epoch;
use raas_node::store::{Adopted, Committed, Happened, Sighting, SightingState, Store};

fn published(deal: u64) -> OrderState {
    OrderState::Published(on_chain(deal, Health::Pending, 200))
}

async fn spares(store: &Store, holding: HoldingId) -> Vec<OrderId> {
    let view = store.holding(holding).await.unwrap().unwrap();
    view.pieces[0].spares.iter().map(|order| order.id).collect()
}

#[tokio::test]
async fn a_round_is_stored_whole_and_stale_orders_are_named() {
    let store = store().await;
    assert_eq!(store.last_round().await.unwrap(), None);
    assert_eq!(store.events_read_to().await.unwrap(), None);
    assert_eq!(store.breaker().await.unwrap(), Breaker::default());
    let holding = held(&store, 1).await;
    let first = ordered(&store, holding, 0, 1, 1_000).await;
    let second = ordered(&store, holding, 1, 1, 1_001).await;
    put(&store, second, OrderState::Accepted(signed(second, 1))).await;

    let mut report = report(200);
    report.hold = Some(Hold::NoEndpoint);
    report.orders = vec![(first, 1, published(5)), (second, 1, published(6))];
    report.breaker.providers.insert(ProviderId::new(1_000), Trip { since: Epoch(200), released_at: None });
    assert_eq!(store.apply_round(&report).await.unwrap(), [second]);
    assert_eq!(get(&store, first).await.order.state, published(5));
    assert_eq!(get(&store, second).await.order.state.name(), "accepted");
    assert_eq!(store.last_round().await.unwrap(), Some((round(200), Some(Hold::NoEndpoint))));
    assert_eq!(store.breaker().await.unwrap(), report.breaker);
    assert_eq!(store.events_read_to().await.unwrap(), Some(Epoch(200)));
    assert_eq!(store.apply_round(&report).await.unwrap(), [first, second], "run twice");

    store.set_breaker(&Breaker::default()).await.unwrap();
    assert_eq!(store.breaker().await.unwrap(), Breaker::default());
    let holds = store.events(0, 99).await.unwrap();
    let holds = holds.iter().filter(|(_, event)| matches!(event.what, Happened::HoldChanged { .. }));
    assert_eq!(holds.count(), 1, "a hold that stays is told once");
}

#[tokio::test]
async fn a_found_deal_becomes_a_spare_once() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let deals = [70, 71].map(|deal| Sighting {
        cid: cid(1),
        request: None,
        deal: DealId(deal),
        state: SightingState::New,
    });
    store.add_sightings(&deals).await.unwrap();
    let mut report = report(200);
    report.adopted = vec![Adopted { holding, order: found(1, 1_500, 70) }];
    report.sightings =
        vec![(cid(1), DealId(70), SightingState::Adopted), (cid(1), DealId(71), SightingState::Unverified)];
    for _ in 0..2 {
        assert!(store.apply_round(&report).await.unwrap().is_empty());
        assert_eq!(spares(&store, holding).await.len(), 1);
    }
    assert!(store.sightings(SightingState::New).await.unwrap().is_empty());
    let states: Vec<_> = store.sightings_of_cid(&cid(1)).await.unwrap().iter().map(|s| s.state).collect();
    assert_eq!(states, [SightingState::Adopted, SightingState::Unverified]);
    store.add_sightings(&deals).await.unwrap();
    assert!(store.sightings(SightingState::New).await.unwrap().is_empty(), "known ones stay as they are");
}

#[tokio::test]
async fn an_adopted_copy_gives_way_to_the_order_that_made_the_deal() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let order = ordered(&store, holding, 0, 1, 1_000).await;
    let mut seen = report(200);
    seen.adopted = vec![Adopted { holding, order: found(1, 1_000, 70) }];
    store.apply_round(&seen).await.unwrap();
    put(&store, order, active(70)).await;
    assert!(spares(&store, holding).await.is_empty());
    assert_eq!(store.open_orders().await.unwrap().len(), 1);

    let other = ordered(&store, holding, 1, 1, 1_001).await;
    assert_eq!(store.set_order(other, 1, &active(70), None).await.unwrap(), None, "one deal, one order");
    let events = store.events_of_holding(holding, 99).await.unwrap();
    let refused = Happened::DealRefused { order: other, deal: DealId(70) };
    assert!(events.iter().any(|(_, event)| event.what == refused));
}

#[tokio::test]
async fn a_late_publication_takes_no_place_that_has_a_newer_order() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let rejected = ordered(&store, holding, 0, 1, 1_000).await;
    put(&store, rejected, OrderState::RejectedWatched(signed(rejected, 1))).await;
    let newer = ordered(&store, holding, 0, 1, 1_001).await;
    let version = get(&store, rejected).await.version;
    let mut late = report(200);
    late.orders = vec![(rejected, version, published(5))];
    assert!(store.apply_round(&late).await.unwrap().is_empty());
    assert_eq!(spares(&store, holding).await, [rejected]);
    assert_eq!(get(&store, newer).await.slots, [slot(holding, 0)]);
    assert!(get(&store, rejected).await.slots.is_empty());
}

#[tokio::test]
async fn a_late_publication_takes_no_place_that_has_two_live_generations() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let rejected = ordered(&store, holding, 0, 1, 1_000).await;
    put(&store, rejected, OrderState::RejectedWatched(signed(rejected, 1))).await;
    let old = ordered(&store, holding, 0, 1, 1_001).await;
    put(&store, old, active(6)).await;
    let renewal = order_action(holding, 0, 1, 1_002, Cause::Renew { of: old });
    let Committed::Ordered(next) = commit(&store, renewal).await else { panic!("refused") };
    put(&store, next, active(7)).await;
    put(&store, rejected, active(5)).await;
    assert_eq!(spares(&store, holding).await, [rejected]);
}

#[tokio::test]
async fn a_late_publication_keeps_a_place_that_nobody_took() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let rejected = ordered(&store, holding, 0, 1, 1_000).await;
    put(&store, rejected, OrderState::RejectedWatched(signed(rejected, 1))).await;
    put(&store, rejected, published(5)).await;
    assert_eq!(get(&store, rejected).await.slots, [slot(holding, 0)]);
    let again = commit(&store, order_action(holding, 0, 1, 1_001, Cause::Replicate)).await;
    assert!(matches!(again, Committed::Refused(_)), "it occupies again");
}

#[tokio::test]
async fn orders_leave_their_places_when_the_round_says_so() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let order = ordered(&store, holding, 0, 1, 1_000).await;
    put(&store, order, active(5)).await;
    let mut report = report(200);
    report.to_spares = vec![order];
    for _ in 0..2 {
        store.apply_round(&report).await.unwrap();
        assert_eq!(spares(&store, holding).await, [order]);
    }
}
