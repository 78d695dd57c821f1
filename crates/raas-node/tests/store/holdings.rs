//! Holdings as the rules see them.

use crate::support::{
    active, cid, commitment, get, held, job, on_chain, order_action, ordered, parts, piece, policy, put,
    store,
};
use raas_core::health::{Health, LossReason};
use raas_core::holding::Slot;
use raas_core::ids::{HoldingId, OrderId};
use raas_core::order::{Cause, OrderState};
use raas_core::policy::{Duties, KeepLocal};
use raas_core::units::Epochs;
use raas_node::store::{Committed, NewJob, Store};
use std::time::{Duration, Instant};

async fn slots(store: &Store, holding: HoldingId) -> Vec<Slot> {
    store.holding(holding).await.unwrap().unwrap().pieces.remove(0).slots
}

fn ids(slot: &Slot) -> Vec<OrderId> {
    slot.generations.iter().map(|order| order.id).collect()
}

#[tokio::test]
async fn open_jobs_make_the_strictest_policy_and_the_union_of_duties() {
    let store = store().await;
    let renew_only = NewJob {
        duties: Duties { renew: true, ..Duties::default() },
        policy: raas_core::policy::Policy { repair_after: Epochs::days(2), ..policy(1) },
        ..job(1)
    };
    let mut repair_only = NewJob { duties: Duties { repair: true, ..Duties::default() }, ..job(1) };
    repair_only.policy.keep_local = KeepLocal::Never;
    let (first, holding) = parts(store.register_job(&renew_only).await.unwrap());
    store.register_job(&repair_only).await.unwrap();

    let [view] = store.holdings().await.unwrap().try_into().unwrap();
    assert_eq!((view.id, view.cid.clone(), view.open), (holding, cid(1), true));
    assert_eq!(view.duties, Duties { replicate: false, renew: true, repair: true });
    assert_eq!(view.policy, renew_only.policy.strictest(&repair_only.policy));
    assert_eq!(store.holding(holding).await.unwrap(), Some(view));

    store.stop_job(first).await.unwrap();
    let view = store.holding(holding).await.unwrap().unwrap();
    assert_eq!((view.duties, view.policy), (repair_only.duties, repair_only.policy));
    assert_eq!(store.holding(HoldingId(99)).await.unwrap(), None);
}

#[tokio::test]
async fn a_place_shows_what_is_not_closed_the_last_closed_one_and_the_last_that_is_gone() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let first = ordered(&store, holding, 0, 1, 1_000).await;
    put(&store, first, OrderState::Expired).await;
    let second = ordered(&store, holding, 0, 1, 1_001).await;
    put(&store, second, active(50)).await;
    assert_eq!(ids(&slots(&store, holding).await[0]), [first, second]);

    put(
        &store,
        second,
        OrderState::Lost {
            on_chain: on_chain(50, Health::Lost(LossReason::Terminated), 200),
            reason: LossReason::Terminated,
        },
    )
    .await;
    let third = ordered(&store, holding, 0, 1, 1_002).await;
    assert_eq!(ids(&slots(&store, holding).await[0]), [second, third], "the first one is history");
    put(&store, third, OrderState::Cancelled).await;
    assert_eq!(ids(&slots(&store, holding).await[0]), [second, third], "whose place the next one takes");
    assert_eq!(store.orders_of_holding(holding).await.unwrap().len(), 3, "history is kept");
}

#[tokio::test]
async fn a_lowered_target_keeps_places_that_still_hold_something() {
    let store = store().await;
    store.record_piece(&piece(1)).await.unwrap();
    let (big, holding) = parts(store.register_job(&job(1)).await.unwrap());
    let small = NewJob { policy: policy(1), ..job(1) };
    store.register_job(&small).await.unwrap();
    let kept = ordered(&store, holding, 1, 1, 1_000).await;
    let gone = ordered(&store, holding, 2, 1, 1_001).await;
    put(&store, kept, active(50)).await;
    put(&store, gone, OrderState::Cancelled).await;
    assert_eq!(slots(&store, holding).await.len(), 3);
    store.stop_job(big).await.unwrap();
    let slots = slots(&store, holding).await;
    assert_eq!(slots.iter().map(|slot| slot.index).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(ids(&slots[1]), [kept]);
}

#[tokio::test]
async fn a_stopped_holding_is_watched_until_its_orders_are_closed() {
    let store = store().await;
    store.record_piece(&piece(1)).await.unwrap();
    let (id, holding) = parts(store.register_job(&job(1)).await.unwrap());
    let order = ordered(&store, holding, 0, 1, 1_000).await;
    put(&store, order, active(50)).await;
    store.stop_job(id).await.unwrap();
    let [view] = store.holdings().await.unwrap().try_into().unwrap();
    assert!(!view.open);
    assert_eq!((view.duties, view.policy), (Duties::default(), policy(3)));
    put(&store, order, OrderState::Ended(on_chain(50, Health::Ended, 900))).await;
    assert!(store.holdings().await.unwrap().is_empty());
}

/// 1,000 holdings with three orders each, put together in a handful of queries. The bound is some ten times
/// what a debug build needs; a query per holding or order would miss it.
#[tokio::test]
async fn a_thousand_holdings_come_in_one_go() {
    let store = store().await;
    let mut actions = Vec::new();
    for number in 0..1_000 {
        let holding = held(&store, number).await;
        actions
            .extend((0..3).map(|i| order_action(holding, i, number, 1_000 + u64::from(i), Cause::Replicate)));
    }
    let committed =
        store.commit_intents(&actions, raas_core::units::Epoch(1), 1, crate::support::MUCH).await.unwrap();
    assert!(committed.iter().all(|one| matches!(one, Committed::Ordered(_))));

    let began = Instant::now();
    let holdings = store.holdings().await.unwrap();
    let took = began.elapsed();
    assert_eq!(holdings.len(), 1_000);
    for (number, holding) in holdings.iter().enumerate() {
        let [piece] = holding.pieces.as_slice() else { panic!("one piece") };
        assert_eq!(piece.piece.commitment, commitment(number as u64));
        assert_eq!(piece.slots.len(), 3);
        assert!(piece.slots.iter().all(|slot| slot.occupying().is_some()));
    }
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!(
        get(&store, holdings[999].pieces[0].slots[2].generations[0].id).await.holding,
        holdings[999].id
    );
}
