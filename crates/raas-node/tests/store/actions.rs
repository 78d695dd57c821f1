//! Intents: what is checked again when a plan is committed.

use crate::support::{
    CONTRACT, MUCH, active, at, commit, commitment, found, get, held, job, on_chain, order_action, ordered,
    parts, piece, policy, proposal, put, report, request_job, signed, slot, store,
};
use raas_core::health::{Health, LossReason};
use raas_core::ids::{DealId, HoldingId, OrderId, RequestId};
use raas_core::order::{Cause, OrderState};
use raas_core::plan::{Action, Reason};
use raas_core::ports::{CompletionSeen, TxIntent};
use raas_core::spend::{Limit, Limits, Spending};
use raas_core::units::{AttoFil, Epoch};
use raas_node::store::{Adopted, Committed, Happened, NewJob, Refusal, Step, StepKind, Store, StoredTx};
use serde_json::json;

const TAKEN: Committed = Committed::Refused(Refusal::SlotTaken);
const CHANGED: Committed = Committed::Refused(Refusal::Changed);
const ALREADY: Committed = Committed::Refused(Refusal::Already);

async fn spare(store: &Store, holding: HoldingId, deal: u64) -> OrderId {
    let mut round = report(200);
    round.adopted = vec![Adopted { holding, order: found(1, 1_500 + deal, deal), proposal: None }];
    store.apply_round(&round).await.unwrap();
    store.orders_of_holding(holding).await.unwrap().pop().unwrap().order.id
}

#[tokio::test]
async fn an_order_comes_with_its_place_and_its_step_and_is_made_once() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let action = order_action(holding, 0, 1, 1_000, Cause::Replicate);
    let Committed::Ordered(order) = commit(&store, action.clone()).await else { panic!("refused") };
    let stored = get(&store, order).await;
    assert_eq!((stored.order.state, stored.order.planned_at), (OrderState::Planned, Epoch(100)));
    assert_eq!((stored.holding, stored.slots), (holding, vec![slot(holding, 0)]));
    let [(step, _)] = store.steps(9).await.unwrap().try_into().unwrap();
    assert_eq!(
        step,
        Step { id: step.id, kind: StepKind::Deliver { order }, attempts: 0, crashes: 0, died: false }
    );
    assert_eq!(commit(&store, action).await, TAKEN, "run twice");
    assert_eq!(store.open_orders().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_place_has_one_order_on_its_way_and_two_live_generations() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let old = ordered(&store, holding, 0, 1, 1_000).await;
    put(&store, old, active(5)).await;
    let renew = |of| order_action(holding, 0, 1, 1_001, Cause::Renew { of });
    let Committed::Ordered(next) = commit(&store, renew(old)).await else { panic!("refused") };
    put(&store, next, OrderState::Accepted(signed(next, 1))).await;
    assert_eq!(commit(&store, renew(old)).await, TAKEN, "one on its way");
    put(&store, next, active(6)).await;
    assert_eq!(commit(&store, renew(next)).await, TAKEN, "old and successor live");
    put(&store, old, OrderState::Ended(on_chain(5, Health::Ended, 900))).await;
    assert!(matches!(commit(&store, renew(next)).await, Committed::Ordered(_)));
}

#[tokio::test]
async fn what_an_order_succeeds_must_be_as_the_plan_saw_it() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let old = ordered(&store, holding, 0, 1, 1_000).await;
    put(&store, old, active(5)).await;
    let lost = OrderState::Lost {
        on_chain: on_chain(5, Health::Lost(LossReason::Terminated), 300),
        reason: LossReason::Terminated,
    };
    put(&store, old, lost).await;
    let after = |cause| order_action(holding, 0, 1, 1_001, cause);
    assert_eq!(commit(&store, after(Cause::Renew { of: old })).await, CHANGED);
    assert_eq!(commit(&store, after(Cause::Repair { of: OrderId(99) })).await, CHANGED);
    assert_eq!(commit(&store, after(Cause::Adopt)).await, CHANGED);
    assert_eq!(commit(&store, order_action(holding, 0, 2, 1_001, Cause::Replicate)).await, CHANGED);
    assert!(matches!(commit(&store, after(Cause::Repair { of: old })).await, Committed::Ordered(_)));
}

#[tokio::test]
async fn occupied_places_never_exceed_the_maximum_nor_does_a_stopped_job_order() {
    let store = store().await;
    store.record_piece(&piece(1)).await.unwrap();
    let two = NewJob { policy: policy(2), ..job(1) };
    let (id, holding) = parts(store.register_job(&two).await.unwrap());
    let actions: Vec<Action> =
        (0..3).map(|i| order_action(holding, i, 1, 1_000 + u64::from(i), Cause::Replicate)).collect();
    let done = store.commit_intents(&actions, Epoch(100), 1_000, MUCH).await.unwrap();
    let [Committed::Ordered(first), Committed::Ordered(_), TAKEN] = done.as_slice() else {
        panic!("{done:?}");
    };
    put(&store, *first, OrderState::Expired).await;
    store.stop_job(id).await.unwrap();
    assert_eq!(commit(&store, actions[0].clone()).await, CHANGED);
}

#[tokio::test]
async fn the_orders_of_one_commit_share_the_money() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let actions: Vec<Action> =
        (0..3).map(|i| order_action(holding, i, 1, 1_000 + u64::from(i), Cause::Replicate)).collect();
    let done = store.commit_intents(&actions, Epoch(100), 1_000, AttoFil(25_000)).await.unwrap();
    assert!(matches!(done[..2], [Committed::Ordered(_), Committed::Ordered(_)]), "{done:?}");
    assert_eq!(done[2], short(10_000, 5_000, Limit::Funds));
    assert_eq!(store.reserved().await.unwrap(), AttoFil(20_000));
}

fn short(needed: u128, available: u128, limit: Limit) -> Committed {
    Committed::Refused(Refusal::Budget { needed: AttoFil(needed), available: AttoFil(available), limit })
}

#[tokio::test]
async fn every_limit_is_checked_in_the_transaction_that_writes_the_intent() {
    let store = store().await;
    let (first, second) = (held(&store, 1).await, held(&store, 2).await);
    let other = NewJob { owner: raas_core::ids::OwnerId("other".to_owned()), ..job(1) };
    let (_, third) = parts(store.register_job(&other).await.unwrap());
    let some = |limit| Some(AttoFil(limit));
    let limits = Limits {
        total: some(60_000),
        per_day: some(40_000),
        per_tenant: some(30_000),
        per_holding: some(20_000),
    };
    // Each order costs 10,000. One commit, so that the limits hold within it as well.
    let order =
        |holding, slot, piece| order_action(holding, slot, piece, 1_000 + u64::from(slot), Cause::Replicate);
    let actions = [
        order(first, 0, 1),
        order(first, 1, 1),
        order(first, 2, 1),
        order(second, 0, 2),
        order(second, 1, 2),
        order(third, 0, 1),
        order(third, 1, 1),
    ];
    let spending = Spending { available: MUCH, limits };
    let at = |epoch| store.commit_intents(&actions, Epoch(epoch), 1_000, spending);
    let done = at(100).await.unwrap();
    let bought: Vec<bool> = done.iter().map(|outcome| matches!(outcome, Committed::Ordered(_))).collect();
    assert_eq!(bought, [true, true, false, true, false, true, false], "{done:?}");
    assert_eq!(done[2], short(10_000, 0, Limit::Holding));
    assert_eq!(done[4], short(10_000, 0, Limit::Tenant));
    assert_eq!(done[6], short(10_000, 0, Limit::Day));
    // The window is any 2,880 epochs, and what was committed before a restart counts.
    assert_eq!(at(100 + 2_879).await.unwrap()[6], short(10_000, 0, Limit::Day));
    let store = store.restarted("next").await.unwrap();
    let done = store.commit_intents(&actions, Epoch(100 + 2_880), 1_000, spending).await.unwrap();
    assert!(matches!(done[6], Committed::Ordered(_)), "{done:?}");
    let tight = Spending { available: MUCH, limits: Limits { total: some(50_000), ..Limits::default() } };
    let more = [order(second, 1, 2)];
    assert_eq!(
        store.commit_intents(&more, Epoch(9_000), 1_000, tight).await.unwrap()[0],
        short(10_000, 0, Limit::Total)
    );
    // A cancelled order gives its money back to every limit.
    let cancelled = store.open_orders().await.unwrap()[0].order.id;
    put(&store, cancelled, OrderState::Cancelled).await;
    let done = store.commit_intents(&more, Epoch(9_000), 1_000, tight).await.unwrap();
    assert!(matches!(done[0], Committed::Ordered(_)), "{done:?}");
}

#[tokio::test]
async fn one_order_may_fill_places_of_several_holdings() {
    let store = store().await;
    let first = held(&store, 1).await;
    let other = NewJob { owner: raas_core::ids::OwnerId("other".to_owned()), ..job(1) };
    let (_, second) = parts(store.register_job(&other).await.unwrap());
    let Action::Order { .. } = order_action(first, 0, 1, 1_000, Cause::Replicate) else { unreachable!() };
    let mut shared = order_action(first, 0, 1, 1_000, Cause::Replicate);
    if let Action::Order { slots, .. } = &mut shared {
        slots.push(slot(second, 1));
    }
    let Committed::Ordered(order) = commit(&store, shared.clone()).await else { panic!("refused") };
    put(&store, order, active(5)).await;
    let views = store.holdings().await.unwrap();
    assert_eq!(views[0].pieces[0].slots[0].generations[0].id, order);
    assert_eq!(views[1].pieces[0].slots[1].generations[0].state, active(5));
    if let Action::Order { slots, .. } = &mut shared {
        slots.clear();
    }
    assert_eq!(commit(&store, shared).await, CHANGED, "an order without a place");
}

#[tokio::test]
async fn a_spare_fills_an_empty_place_once() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let (first, second) = (spare(&store, holding, 70).await, spare(&store, holding, 71).await);
    assert_eq!(store.holding(holding).await.unwrap().unwrap().pieces[0].spares.len(), 2);
    let fill = |index, spare| Action::Fill { slot: slot(holding, index), spare };
    assert_eq!(commit(&store, fill(0, first)).await, Committed::Filled);
    assert_eq!(commit(&store, fill(0, first)).await, ALREADY, "run twice");
    assert_eq!(commit(&store, fill(1, first)).await, CHANGED, "it has a place");
    assert_eq!(commit(&store, fill(0, second)).await, TAKEN);
    assert_eq!(commit(&store, fill(1, OrderId(99))).await, CHANGED);
    assert_eq!(commit(&store, fill(1, second)).await, Committed::Filled);
    let view = store.holding(holding).await.unwrap().unwrap();
    assert!(view.pieces[0].spares.is_empty());
    assert_eq!(view.pieces[0].slots[1].generations[0].id, second);
}

#[tokio::test]
async fn only_an_unsigned_order_is_cancelled_and_its_step_with_it() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let order = ordered(&store, holding, 0, 1, 1_000).await;
    let cancel = |order| Action::Cancel { holding, order };
    assert_eq!(commit(&store, cancel(order)).await, Committed::Cancelled);
    assert_eq!(commit(&store, cancel(order)).await, CHANGED, "run twice");
    assert!(store.steps(9).await.unwrap().is_empty());
    assert_eq!(store.sign_order(order, 1, &proposal(order, 1)).await.unwrap(), None, "too late to sign");
    let late = ordered(&store, holding, 0, 1, 1_001).await;
    store.sign_order(late, 1, &proposal(late, 1)).await.unwrap();
    assert_eq!(commit(&store, cancel(late)).await, CHANGED);
}

#[tokio::test]
async fn an_eviction_is_planned_once_and_only_for_what_is_there() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let reason = Reason::CopiesProven { proven: 3, needed: 3 };
    let evict = |number| Action::Evict { holding, piece: commitment(number), reason: reason.clone() };
    let Committed::EvictPlanned(step) = commit(&store, evict(1)).await else { panic!("refused") };
    assert_eq!(commit(&store, evict(1)).await, ALREADY);
    assert_eq!(commit(&store, evict(2)).await, CHANGED);
    store.finish_step(step, &raas_node::store::StepOutcome::Done).await.unwrap();
    store.set_local(commitment(1), false).await.unwrap();
    assert_eq!(commit(&store, evict(1)).await, ALREADY, "gone already");
}

/// A holding whose request 4 wants to see the deal of an active order.
async fn attestable(store: &Store) -> (HoldingId, Action, OrderId) {
    store.record_piece(&piece(1)).await.unwrap();
    let seen = [request_job(1, 4, "0xabc")];
    let [registered] =
        store.apply_window(CONTRACT, &json!({}), &seen, &[]).await.unwrap().try_into().unwrap();
    let (_, holding) = parts(registered);
    let order = ordered(store, holding, 0, 1, 1_000).await;
    put(store, order, active(5)).await;
    (holding, Action::Attest { holding, at: at(4), order, deal: DealId(5) }, order)
}

async fn close(store: &Store, tx: &StoredTx, state: &str) {
    let sent = json!({"nonce": 0, "replacements": [], "first": {"raw": [], "hash": "0x1",
        "fees": {"fee_cap": "1", "premium": "1"}}});
    let receipt = json!({"hash": "0x1", "block": 7, "success": state == "final"});
    let state = json!({"state": state, "sent": sent, "receipt": receipt});
    let parsed: raas_core::machine::sender::State = serde_json::from_value(state.clone()).unwrap();
    assert!(parsed.is_closed());
    assert!(store.set_tx(tx.id, tx.version, &state, false).await.unwrap().is_some());
}

#[tokio::test]
async fn a_deal_is_attested_once_per_request_and_again_only_after_a_failure() {
    let store = store().await;
    let (holding, attest, _) = attestable(&store).await;
    let done = || async { store.holding(holding).await.unwrap().unwrap().attestations[0].done.clone() };
    assert!(done().await.is_empty());
    let Committed::AttestPlanned(id) = commit(&store, attest.clone()).await else { panic!("refused") };
    assert_eq!(done().await, [DealId(5)]);
    assert_eq!(commit(&store, attest.clone()).await, ALREADY, "run twice");
    let tx = store.tx(id).await.unwrap().unwrap();
    assert!(matches!(tx.intent, TxIntent::Complete { request: RequestId(4), deal: DealId(5), .. }));
    assert!(store.steps(9).await.unwrap().iter().any(|(step, _)| step.kind == StepKind::Send { tx: id }));

    close(&store, &tx, "failed").await;
    assert!(done().await.is_empty(), "reverted: still to be done");
    let Committed::AttestPlanned(again) = commit(&store, attest.clone()).await else { panic!("refused") };
    assert_ne!(again, id);
    close(&store, &store.tx(again).await.unwrap().unwrap(), "final").await;
    assert_eq!(done().await, [DealId(5)], "before the event is read");
    let told = store.events_of_holding(holding, 99).await.unwrap();
    let closed = told.iter().filter(|(_, event)| matches!(event.what, Happened::TxClosed { .. })).count();
    assert_eq!(closed, 2, "the holding's log tells of them");
    assert_eq!(commit(&store, attest).await, ALREADY);
}

#[tokio::test]
async fn only_the_deal_of_an_open_request_is_attested() {
    let store = store().await;
    let (holding, attest, order) = attestable(&store).await;
    let other = Action::Attest { holding, at: at(4), order, deal: DealId(6) };
    assert_eq!(commit(&store, other).await, CHANGED, "not the order's deal");
    let stranger = Action::Attest { holding, at: at(5), order, deal: DealId(5) };
    assert_eq!(commit(&store, stranger).await, CHANGED, "not the holding's request");
    let job = store.jobs_of_holding(holding).await.unwrap().remove(0).id;
    store.stop_job(job).await.unwrap();
    assert_eq!(commit(&store, attest).await, CHANGED, "its job is stopped");
}

#[tokio::test]
async fn what_the_contract_shows_is_not_attested_again() {
    let store = store().await;
    let (_, attest, _) = attestable(&store).await;
    let seen = [CompletionSeen { request: RequestId(4), deal: DealId(5), block: Epoch(120) }];
    store.apply_window(CONTRACT, &json!({}), &[], &seen).await.unwrap();
    assert_eq!(commit(&store, attest).await, ALREADY);
}
