//! Several contracts: equal request ids apart, and what none is served for.

use crate::support::{
    CONTRACT, active, at, cid, commit, commitment, order_action, ordered, parts, piece, policy, put,
    request_job, size, store,
};
use raas_core::holding::{Completes, Unserved};
use raas_core::ids::{ContractAddress, DealId, RequestAt, RequestId};
use raas_core::order::Cause;
use raas_core::plan::Action;
use raas_core::policy::Duties;
use raas_core::ports::{CompletionSeen, TxIntent};
use raas_core::units::Epoch;
use raas_node::store::{Committed, JobSource, NewJob, Refusal, SightingState};
use serde_json::json;

const OTHER: ContractAddress = ContractAddress([0xaa; 20]);

fn of_other(number: u64, request: u64, known: bool) -> NewJob {
    let source = JobSource::Contract {
        contract: OTHER,
        request: RequestId(request),
        transaction: String::new(),
        block: Epoch(90),
        policy_known: known,
    };
    NewJob { source, ..request_job(number, request, "0x1") }
}

#[tokio::test]
async fn equal_ids_of_two_contracts_are_two_requests() {
    let store = store().await;
    store.set_deployments(&[(CONTRACT, Completes::Direct), (OTHER, Completes::Direct)]).await.unwrap();
    let mine = store.apply_window(CONTRACT, &json!(1), &[request_job(1, 1, "0x1")], &[]).await.unwrap();
    let seen = [CompletionSeen { request: RequestId(1), deal: DealId(50), block: Epoch(91) }];
    let theirs = store.apply_window(OTHER, &json!(2), &[of_other(1, 1, true)], &seen).await.unwrap();
    let holding = parts(mine[0]).1;
    assert_eq!(holding, parts(theirs[0]).1, "one owner, one CID");
    let shown = store.holding(holding).await.unwrap().unwrap().attestations;
    let shown: Vec<_> = shown.into_iter().map(|one| (one.at, one.done)).collect();
    let other = RequestAt { contract: OTHER, request: RequestId(1) };
    assert_eq!(shown, [(at(1), vec![]), (other, vec![DealId(50)])]);
    assert_eq!(store.sightings(SightingState::New).await.unwrap()[0].of, Some(other));
    assert_eq!(
        (store.cursor(CONTRACT).await.unwrap(), store.cursor(OTHER).await.unwrap()),
        (Some(json!(1)), Some(json!(2)))
    );
}

#[tokio::test]
async fn what_is_not_served_counts_for_nothing_beside_what_is() {
    let store = store().await;
    store.set_deployments(&[(CONTRACT, Completes::Direct), (OTHER, Completes::InAggregate)]).await.unwrap();
    let many = NewJob { policy: policy(9), ..of_other(1, 2, false) };
    let [unknown] = store.apply_window(OTHER, &json!(1), &[many], &[]).await.unwrap().try_into().unwrap();
    let (job, holding) = parts(unknown);
    let lost = Unserved::PolicyUnknown { at: RequestAt { contract: OTHER, request: RequestId(2) } };
    let loaded = store.holding(holding).await.unwrap().unwrap();
    assert_eq!((loaded.open, loaded.duties, loaded.unserved), (true, Duties::default(), vec![lost]));
    let unserved = || async { store.job(job).await.unwrap().unwrap().unserved };
    assert_eq!(unserved().await, Some(lost));

    store.apply_window(CONTRACT, &json!(1), &[request_job(1, 1, "0x1")], &[]).await.unwrap();
    let loaded = store.holding(holding).await.unwrap().unwrap();
    assert_eq!(
        (loaded.duties, loaded.policy.replicas.target),
        (Duties::ALL, 3),
        "not the nine nobody asked for"
    );
    assert_eq!((loaded.cid, loaded.unserved), (cid(1), vec![lost]));
    store.stop_job(job).await.unwrap();
    assert_eq!(unserved().await, None, "a stopped job waits for nothing");
}

#[tokio::test]
async fn a_contract_of_aggregates_has_pieces_bought_in_them_and_is_shown_nothing_else() {
    let store = store().await;
    store.set_deployments(&[(CONTRACT, Completes::Direct), (OTHER, Completes::Direct)]).await.unwrap();
    store.record_piece(&piece(1)).await.unwrap();
    let asked = [of_other(1, 1, true)];
    let [asked] = store.apply_window(OTHER, &json!(1), &asked, &[]).await.unwrap().try_into().unwrap();
    let (_, holding) = parts(asked);
    let within = || async { store.holding(holding).await.unwrap().unwrap().pieces[0].piece.within };
    assert_eq!(within().await, None);
    let whole = ordered(&store, holding, 0, 1, 1_000).await;
    put(&store, whole, active(5)).await;

    let before = store.touched(0).await.unwrap();
    store.set_deployments(&[(CONTRACT, Completes::Direct), (OTHER, Completes::InAggregate)]).await.unwrap();
    assert_ne!(store.touched(0).await.unwrap(), before, "it is planned again");
    let around = within().await.expect("an aggregate");
    assert!(around.size > size() && around.aggregate != commitment(1));
    let mut action = order_action(holding, 1, 1, 1_001, Cause::Replicate);
    if let Action::Order { within, .. } = &mut action {
        *within = Some(around);
    }
    let Committed::Ordered(enclosed) = commit(&store, action).await else { panic!("not ordered") };
    put(&store, enclosed, active(6)).await;
    let stored = store.order(enclosed).await.unwrap().unwrap().order;
    assert_eq!((stored.piece, stored.within), (commitment(1), Some(around)));
    assert_eq!(stored.deal_piece(), (around.aggregate, around.size));

    let at = RequestAt { contract: OTHER, request: RequestId(1) };
    let attest = |order, deal| Action::Attest { holding, at, order, deal: DealId(deal) };
    assert_eq!(commit(&store, attest(whole, 5)).await, Committed::Refused(Refusal::Changed));
    let Committed::AttestPlanned(tx) = commit(&store, attest(enclosed, 6)).await else { panic!("refused") };
    let TxIntent::Complete { piece, within, .. } = store.tx(tx).await.unwrap().unwrap().intent else {
        panic!("no completion")
    };
    assert_eq!((piece, within), (commitment(1), Some(around)));
}

#[tokio::test]
async fn a_contract_that_is_followed_no_more_is_told_from_one_that_is() {
    let store = store().await;
    let [done] = store
        .apply_window(CONTRACT, &json!(1), &[request_job(1, 1, "0x1")], &[])
        .await
        .unwrap()
        .try_into()
        .unwrap();
    let completes =
        || async { store.holding(parts(done).1).await.unwrap().unwrap().attestations[0].completes };
    assert_eq!(completes().await, Some(Completes::Direct));
    store.set_deployments(&[]).await.unwrap();
    assert_eq!(completes().await, None);
}
