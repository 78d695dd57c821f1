//! Rounds: all or nothing, and what a late publication does to its place.

use crate::support::{
    active, cid, commit, found, get, held, on_chain, order_action, ordered, put, report, round, signed, slot,
    store,
};
use raas_core::fleet::{Breaker, Trip};
use raas_core::gate::Hold;
use raas_core::health::{Health, LossReason};
use raas_core::ids::{ActorId, DealId, HoldingId, OrderId, ProviderId, SectorNumber};
use raas_core::observation::OnChainDeal;
use raas_core::order::{Cause, OrderState};
use raas_core::plan::Action;
use raas_core::units::{AttoFil, Epoch};
use raas_node::store::{Adopted, Committed, Happened, Refusal, SeenProposal, Sighting, SightingState, Store};

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
    assert_eq!(store.apply_round(&report).await.unwrap().skipped, [second]);
    assert_eq!(get(&store, first).await.order.state, published(5));
    assert_eq!(get(&store, second).await.order.state.name(), "accepted");
    assert_eq!(store.last_round().await.unwrap(), Some((round(200), Some(Hold::NoEndpoint))));
    assert_eq!(store.breaker().await.unwrap(), report.breaker);
    assert_eq!(store.events_read_to().await.unwrap(), Some(Epoch(200)));
    assert_eq!(store.apply_round(&report).await.unwrap().skipped, [first, second], "run twice");

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
        of: None,
        deal: DealId(deal),
        state: SightingState::New,
    });
    store.add_sightings(&deals).await.unwrap();
    let mut report = report(200);
    report.adopted = vec![Adopted { holding, order: found(1, 1_500, 70), proposal: None }];
    report.sightings =
        vec![(cid(1), DealId(70), SightingState::Adopted), (cid(1), DealId(71), SightingState::Unverified)];
    for _ in 0..2 {
        assert!(store.apply_round(&report).await.unwrap().skipped.is_empty());
        assert_eq!(spares(&store, holding).await.len(), 1);
    }
    assert!(store.sightings(SightingState::New).await.unwrap().is_empty());
    let states: Vec<_> = store.sightings_of_cid(&cid(1)).await.unwrap().iter().map(|s| s.state).collect();
    assert_eq!(states, [SightingState::Adopted, SightingState::Unverified]);
    store.add_sightings(&deals).await.unwrap();
    assert!(store.sightings(SightingState::New).await.unwrap().is_empty(), "known ones stay as they are");
}

#[tokio::test]
async fn a_proposal_is_kept_as_it_was_first_seen_and_that_of_another_deal_takes_its_place() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let order = ordered(&store, holding, 0, 1, 1_000).await;
    let seen = |deal: u64, seen_at: i64, label: &str| SeenProposal {
        deal: DealId(deal),
        seen_at: Epoch(seen_at),
        on_chain: OnChainDeal {
            piece: crate::support::commitment(1),
            size: crate::support::size(),
            verified: true,
            client: ActorId(99),
            provider: ProviderId::new(1_000),
            label: label.to_owned(),
            start: Epoch(9_000),
            end: Epoch(1_500_000),
            price_per_epoch: AttoFil(7),
            provider_collateral: AttoFil(u128::MAX),
            client_collateral: AttoFil(3),
            activated: None,
            sector: SectorNumber(0),
        },
    };
    let first = seen(70, 200, "first");
    for (proposal, kept) in [
        (first.clone(), first.clone()),
        (seen(70, 210, "later"), first),
        (seen(71, 220, "another"), seen(71, 220, "another")),
    ] {
        let mut round = report(proposal.seen_at.0);
        round.proposals = vec![(order, proposal)];
        store.apply_round(&round).await.unwrap();
        let all = store.seen_proposals(holding).await.unwrap();
        assert_eq!(all, [(order, kept)].into_iter().collect());
    }
    let mut round = report(230);
    let adopted = seen(80, 230, "found");
    round.adopted = vec![Adopted { holding, order: found(1, 1_500, 80), proposal: Some(adopted.clone()) }];
    store.apply_round(&round).await.unwrap();
    let all = store.seen_proposals(holding).await.unwrap();
    assert_eq!((all.len(), all.values().next_back()), (2, Some(&adopted)));
}

#[tokio::test]
async fn an_adopted_copy_gives_way_to_the_order_that_made_the_deal() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let order = ordered(&store, holding, 0, 1, 1_000).await;
    let mut seen = report(200);
    seen.adopted = vec![Adopted { holding, order: found(1, 1_000, 70), proposal: None }];
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
    assert!(store.apply_round(&late).await.unwrap().skipped.is_empty());
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

/// A hedge: one more order for the place of an accepted one.
fn hedge(holding: HoldingId, of: OrderId, silent: OrderId, provider: u64) -> Action {
    order_action(holding, 0, 1, provider, Cause::Hedge { of, silent })
}

/// An old copy, its accepted and silent renewal, and the order that hedges it.
async fn hedged(store: &Store) -> (HoldingId, OrderId, OrderId, OrderId) {
    let holding = held(store, 1).await;
    let old = ordered(store, holding, 0, 1, 1_000).await;
    put(store, old, active(5)).await;
    let renewal = order_action(holding, 0, 1, 1_000, Cause::Renew { of: old });
    let Committed::Ordered(silent) = commit(store, renewal).await else { panic!("refused") };
    put(store, silent, OrderState::Accepted(signed(silent, 1))).await;
    let Committed::Ordered(hedge) = commit(store, hedge(holding, old, silent, 1_001)).await else {
        panic!("refused")
    };
    (holding, old, silent, hedge)
}

#[tokio::test]
async fn a_hedge_takes_the_place_of_the_silent_order_which_stays_reserved_and_in_sight() {
    let store = store().await;
    let (holding, old, silent, hedge) = hedged(&store).await;
    assert_eq!(get(&store, silent).await.order.state, OrderState::Hedged(signed(silent, 1)));
    assert_eq!(store.reserved().await.unwrap(), AttoFil(20_000), "both");
    let view = store.holding(holding).await.unwrap().unwrap();
    let slot = &view.pieces[0].slots[0];
    let generations: Vec<OrderId> = slot.generations.iter().map(|order| order.id).collect();
    assert_eq!(generations, [old, silent, hedge]);
    assert_eq!(slot.occupying().map(|order| order.id), Some(hedge));
    assert_eq!(slot.live(), 2);
    let again = commit(&store, self::hedge(holding, old, silent, 1_002)).await;
    assert_eq!(again, Committed::Refused(Refusal::SlotTaken), "run twice");
}

#[tokio::test]
async fn a_refused_hedge_leaves_the_silent_order_as_it_was() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let old = ordered(&store, holding, 0, 1, 1_000).await;
    put(&store, old, active(5)).await;
    let renewal = order_action(holding, 0, 1, 1_000, Cause::Renew { of: old });
    let Committed::Ordered(silent) = commit(&store, renewal).await else { panic!("refused") };
    let now = hedge(holding, old, silent, 1_001);
    let changed = Committed::Refused(Refusal::Changed);
    assert_eq!(commit(&store, now.clone()).await, changed, "nothing of it has left the node");
    put(&store, silent, OrderState::Accepted(signed(silent, 1))).await;
    let version = get(&store, silent).await.version;
    let short = AttoFil(9_999);
    let done = store.commit_intents(std::slice::from_ref(&now), Epoch(100), 1_000, short).await.unwrap();
    assert!(matches!(done[..], [Committed::Refused(Refusal::Budget { .. })]), "{done:?}");
    let stored = get(&store, silent).await;
    assert_eq!((stored.order.state.name(), stored.version), ("accepted", version), "the money did not reach");
    put(&store, silent, published(6)).await;
    assert_eq!(commit(&store, now).await, changed, "it is published by now");
}

#[tokio::test]
async fn a_silent_order_that_is_published_late_is_a_spare_while_its_hedge_stands() {
    for stands in [published(7), active(7)] {
        let store = store().await;
        let (holding, old, silent, hedge) = hedged(&store).await;
        put(&store, hedge, stands).await;
        put(&store, old, OrderState::Ended(on_chain(5, Health::Ended, 900))).await;
        put(&store, silent, published(6)).await;
        put(&store, silent, active(6)).await;
        assert_eq!(spares(&store, holding).await, [silent]);
        assert_eq!(get(&store, hedge).await.slots, [slot(holding, 0)]);
        assert_eq!(store.open_orders().await.unwrap().len(), 2, "both are adopted");
    }
}

#[tokio::test]
async fn a_silent_order_that_is_published_late_keeps_its_place_when_its_hedge_is_over() {
    let store = store().await;
    let (holding, old, silent, hedge) = hedged(&store).await;
    put(&store, hedge, OrderState::Expired).await;
    put(&store, silent, published(6)).await;
    assert!(spares(&store, holding).await.is_empty());
    let renewal = order_action(holding, 0, 1, 1_002, Cause::Renew { of: old });
    assert_eq!(commit(&store, renewal).await, Committed::Refused(Refusal::SlotTaken), "it occupies again");
}

#[tokio::test]
async fn a_spare_bought_as_a_successor_comes_home_when_its_place_needs_one() {
    let store = store().await;
    let (holding, _, silent, hedge) = hedged(&store).await;
    let home = Action::Fill { slot: slot(holding, 0), spare: silent };
    put(&store, silent, active(6)).await;
    assert_eq!(spares(&store, holding).await, [silent]);
    assert_eq!(
        commit(&store, home.clone()).await,
        Committed::Refused(Refusal::SlotTaken),
        "the hedge has it"
    );
    put(&store, hedge, OrderState::Expired).await;
    assert_eq!(commit(&store, home.clone()).await, Committed::Filled);
    assert_eq!(commit(&store, home).await, Committed::Refused(Refusal::Already));
    let view = store.holding(holding).await.unwrap().unwrap();
    assert_eq!(view.pieces[0].slots[0].current().map(|order| order.id), Some(silent));
}

#[tokio::test]
async fn the_last_generation_that_was_lost_stays_in_sight_behind_a_repair_that_expired() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let old = ordered(&store, holding, 0, 1, 1_000).await;
    put(&store, old, active(5)).await;
    let next = |provider, cause| order_action(holding, 0, 1, provider, cause);
    let Committed::Ordered(renewal) = commit(&store, next(1_001, Cause::Renew { of: old })).await else {
        panic!("refused")
    };
    put(&store, renewal, active(6)).await;
    let reason = LossReason::Terminated;
    let gone = OrderState::Lost { on_chain: on_chain(6, Health::Lost(reason), 300), reason };
    put(&store, renewal, gone).await;
    for provider in [1_002, 1_003] {
        let repair = next(provider, Cause::Repair { of: renewal });
        let Committed::Ordered(repair) = commit(&store, repair).await else { panic!("refused") };
        put(&store, repair, OrderState::Expired).await;
        let view = store.holding(holding).await.unwrap().unwrap();
        let seen: Vec<OrderId> = view.pieces[0].slots[0].generations.iter().map(|order| order.id).collect();
        assert_eq!(seen, [old, renewal, repair], "else the old one would be renewed a second time");
    }
    // A repair that was published and never activated is lost as well, and must not push it out of sight.
    let repair = next(1_004, Cause::Repair { of: renewal });
    let Committed::Ordered(repair) = commit(&store, repair).await else { panic!("refused") };
    let reason = LossReason::NeverActivated;
    let gone = OrderState::Lost { on_chain: on_chain(7, Health::Lost(reason), 400), reason };
    put(&store, repair, gone).await;
    let view = store.holding(holding).await.unwrap().unwrap();
    let seen: Vec<OrderId> = view.pieces[0].slots[0].generations.iter().map(|order| order.id).collect();
    assert_eq!(seen, [old, renewal, repair]);
}
