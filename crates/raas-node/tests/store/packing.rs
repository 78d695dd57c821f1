//! Packing: what is stored of an aggregate, who sees its orders, and what keeps its pieces.

use crate::support::{
    active, at, cid, commit, commitment, get, held, job, order_action, piece, put, request_job, signed, slot,
    store,
};
use raas_core::cid::Commitment;
use raas_core::ids::{HoldingId, OrderId};
use raas_core::order::{Cause, OrderState, Within};
use raas_core::pack::{Member, deal_size};
use raas_core::plan::Action;
use raas_core::ports::TxIntent;
use raas_core::units::PaddedSize;
use raas_node::store::{Committed, Refusal, Store};
use raas_piece::inclusion::InclusionProof;
use std::cmp::Reverse;

fn member(holding: HoldingId, number: u64) -> Member {
    Member { holding, piece: commitment(number), size: piece(number).size }
}

fn deal() -> PaddedSize {
    PaddedSize::new(4 << 20).unwrap()
}

async fn packed(store: &Store, holdings: &[HoldingId]) -> Within {
    let members = holdings.iter().zip(1..).map(|(holding, number)| member(*holding, number)).collect();
    let Committed::Packed(aggregate) = commit(store, Action::Pack { size: deal(), members }).await else {
        panic!("not packed")
    };
    Within { aggregate, size: deal() }
}

/// An order for the aggregate that fills place 0 of each, the first of piece 1.
fn for_all(holdings: &[HoldingId], wanted: Within, cause: Cause) -> Action {
    let mut action = order_action(holdings[0], 0, 1, 1_000, cause);
    if let Action::Order { slots, pieces, within, .. } = &mut action {
        *slots = holdings.iter().map(|holding| slot(*holding, 0)).collect();
        *pieces = (1..=holdings.len() as u64).map(commitment).collect();
        *within = Some(wanted);
    }
    action
}

async fn three(store: &Store) -> [HoldingId; 3] {
    [held(store, 1).await, held(store, 2).await, held(store, 3).await]
}

#[tokio::test]
async fn members_have_their_aggregate_and_a_proof_and_are_packed_once() {
    let store = store().await;
    let holdings = three(&store).await;
    let within = packed(&store, &holdings).await;
    for (holding, number) in holdings.iter().zip(1..) {
        let stored = store.holding(*holding).await.unwrap().unwrap();
        assert_eq!(stored.pieces[0].piece.packed, Some(within));
        let proof = store.inclusion(within.aggregate, commitment(number)).await.unwrap().unwrap();
        let proof = InclusionProof::from_cbor(&proof).unwrap();
        let piece = raas_piece::Commitment::new(commitment(number).0).unwrap();
        let deal = proof.verify(piece, raas_piece::PaddedSize::new(1 << 20).unwrap()).unwrap();
        assert_eq!(deal.commitment().as_bytes(), &within.aggregate.0);
        assert_eq!(store.aggregates_of(commitment(number)).await.unwrap(), [(within.aggregate, within.size)]);
    }
    assert_eq!(store.aggregate(within.aggregate).await.unwrap().unwrap().pieces.len(), 3);
    assert_eq!(store.cid_packed_in(within.aggregate).await.unwrap(), Some(cid(1)));
    let again = Action::Pack { size: deal(), members: vec![member(holdings[2], 3)] };
    assert_eq!(commit(&store, again).await, Committed::Refused(Refusal::Already));
    let unknown = Action::Pack { size: deal(), members: vec![member(holdings[0], 9)] };
    assert_eq!(commit(&store, unknown).await, Committed::Refused(Refusal::Changed));
    let fourth = held(&store, 4).await;
    let too_much = Action::Pack { size: PaddedSize::new(1 << 20).unwrap(), members: vec![member(fourth, 4)] };
    assert_eq!(commit(&store, too_much).await, Committed::Refused(Refusal::Changed), "no room for the index");
    assert_eq!(store.holding(fourth).await.unwrap().unwrap().pieces[0].piece.packed, None);
}

#[tokio::test]
async fn one_order_is_in_the_places_of_all_each_with_its_own_piece() {
    let store = store().await;
    let holdings = three(&store).await;
    let within = packed(&store, &holdings).await;
    let Committed::Ordered(order) = commit(&store, for_all(&holdings[..2], within, Cause::Replicate)).await
    else {
        panic!("not ordered")
    };
    for (holding, number) in holdings[..2].iter().zip(1..) {
        let stored = store.holding(*holding).await.unwrap().unwrap();
        let placed = &stored.pieces[0].slots[0].generations[0];
        assert_eq!((placed.id, placed.piece, placed.within), (order, commitment(number), Some(within)));
        let own = store.orders_of_holding(*holding).await.unwrap();
        assert_eq!(
            (own.len(), own[0].order.piece, own[0].slots.clone()),
            (1, commitment(number), vec![slot(*holding, 0)])
        );
    }
    // Who is left out sees a spare that it can join for nothing, once.
    let late = store.holding(holdings[2]).await.unwrap().unwrap();
    let [spare] = late.pieces[0].spares.as_slice() else { panic!("one spare") };
    assert_eq!((spare.id, spare.piece), (order, commitment(3)));
    let join = Action::Fill { slot: slot(holdings[2], 1), spare: order };
    assert_eq!(commit(&store, join.clone()).await, Committed::Filled);
    assert_eq!(commit(&store, join).await, Committed::Refused(Refusal::Already));
    let twice = Action::Fill { slot: slot(holdings[2], 2), spare: order };
    assert_eq!(commit(&store, twice).await, Committed::Refused(Refusal::Changed));
    assert_eq!(store.holding(holdings[2]).await.unwrap().unwrap().pieces[0].spares, []);
    // A stranger to the aggregate cannot.
    let stranger = held(&store, 4).await;
    let other = Action::Fill { slot: slot(stranger, 0), spare: order };
    assert_eq!(commit(&store, other).await, Committed::Refused(Refusal::Changed));
    let not_in_it = for_all(&[stranger], within, Cause::Replicate);
    assert_eq!(commit(&store, not_in_it).await, Committed::Refused(Refusal::Changed));

    // Whatever happens to the order touches all of them, and nobody else.
    let touched = store.touched(0).await.unwrap().into_iter().map(|(seq, _)| seq).collect::<Vec<_>>();
    store.save_wakes(&[], &touched).await.unwrap();
    put(&store, order, OrderState::Accepted(signed(order, 1))).await;
    let mut touched: Vec<HoldingId> = store.touched(0).await.unwrap().into_iter().map(|(_, id)| id).collect();
    touched.sort_unstable();
    assert_eq!(touched, holdings);
    assert_eq!(store.orders_of_piece(commitment(3)).await.unwrap().len(), 1, "its provider has the piece");
}

#[tokio::test]
async fn a_completion_has_the_proof_of_its_own_piece() {
    let store = store().await;
    let mut holdings = three(&store).await;
    store.record_piece(&piece(2)).await.unwrap();
    let job = store.register_job(&request_job(2, 4, "0xaa")).await.unwrap();
    holdings[1] = crate::support::parts(job).1;
    let within = packed(&store, &holdings).await;
    let Committed::Ordered(order) = commit(&store, for_all(&holdings, within, Cause::Replicate)).await else {
        panic!("not ordered")
    };
    put(&store, order, active(5)).await;
    let action = Action::Attest { holding: holdings[1], at: at(4), order, deal: raas_core::ids::DealId(5) };
    let Committed::AttestPlanned(tx) = commit(&store, action).await else { panic!("not planned") };
    let intent = store.tx(tx).await.unwrap().unwrap().intent;
    let TxIntent::Complete { piece, proof, within: told, .. } = intent else { panic!("{intent:?}") };
    let stored = store.inclusion(within.aggregate, commitment(2)).await.unwrap().unwrap();
    assert_eq!((piece, proof, told), (commitment(2), stored, Some(within)));
}

/// One job ends: its piece is needed for as long as anybody's copies are of the aggregate.
#[tokio::test]
async fn what_lies_beside_an_open_job_is_kept() {
    let store = store().await;
    let (mut jobs, mut holdings) = (Vec::new(), Vec::new());
    for number in 1..=3 {
        store.record_piece(&piece(number)).await.unwrap();
        let (job, holding) = crate::support::parts(store.register_job(&job(number)).await.unwrap());
        jobs.push(job);
        holdings.push(holding);
    }
    packed(&store, &holdings).await;
    for job in &jobs[..2] {
        store.stop_job(*job).await.unwrap();
    }
    assert_eq!(store.mark_spare(1_000).await.unwrap(), []);
    let reasons = store.reasons(commitment(1)).await.unwrap();
    assert_eq!(serde_json::to_value(&reasons).unwrap(), serde_json::json!([{ "by": "job", "id": jobs[2] }]));
    store.stop_job(jobs[2]).await.unwrap();
    assert_eq!(store.mark_spare(1_000).await.unwrap().len(), 3);
}

/// An order is given up under all its places at once, and is a spare of all of them when it turns up after all.
#[tokio::test]
async fn a_late_publication_is_a_spare_of_all_members() {
    let store = store().await;
    let holdings = three(&store).await;
    let within = packed(&store, &holdings).await;
    let order = |committed| match committed {
        Committed::Ordered(order) => order,
        other => panic!("{other:?}"),
    };
    let late: OrderId = order(commit(&store, for_all(&holdings, within, Cause::Replicate)).await);
    put(&store, late, OrderState::RejectedWatched(signed(late, 1))).await;
    let next = order(commit(&store, for_all(&holdings[..1], within, Cause::Replicate)).await);
    put(
        &store,
        late,
        OrderState::Published(crate::support::on_chain(8, raas_core::health::Health::Pending, 100)),
    )
    .await;
    assert_eq!(get(&store, late).await.slots, []);
    for holding in holdings {
        let stored = store.holding(holding).await.unwrap().unwrap();
        let spares: Vec<OrderId> = stored.pieces[0].spares.iter().map(|spare| spare.id).collect();
        let expected = if holding == holdings[0] { vec![late] } else { vec![late, next] };
        assert_eq!(spares, expected, "{holding}");
    }
}

/// The rules' idea of what fits is that of FRC-0058.
#[test]
fn what_the_rules_find_to_fit_fits() {
    let mut state = 1_u64;
    let mut next = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    for _ in 0..300 {
        let mut sizes: Vec<PaddedSize> =
            (0..=next(300)).map(|_| PaddedSize::new(128 << next(20)).unwrap()).collect();
        sizes.sort_by_key(|size| Reverse(*size));
        let pieces: Vec<(Commitment, PaddedSize)> =
            sizes.iter().zip(1..).map(|(size, number)| (commitment(number), *size)).collect();
        let deal = deal_size(sizes.iter().map(|size| size.get()).sum(), pieces.len() as u64).unwrap();
        let least: Vec<_> =
            sizes.iter().map(|size| raas_piece::PaddedSize::new(size.get()).unwrap()).collect();
        assert_eq!(raas_piece::segment::minimum_deal_size(&least).unwrap().get(), deal.get());
        raas_clients::inclusion::packed(deal, &pieces).unwrap();
    }
}
