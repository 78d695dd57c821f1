//! Several contracts: equal request ids apart, and what none is served for.

use crate::support::{CONTRACT, at, cid, parts, policy, request_job, store};
use raas_core::holding::{Completes, Unserved};
use raas_core::ids::{ContractAddress, DealId, RequestAt, RequestId};
use raas_core::policy::Duties;
use raas_core::ports::CompletionSeen;
use raas_core::units::Epoch;
use raas_node::store::{JobSource, NewJob, SightingState};
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
    let many = NewJob { policy: policy(9), ..of_other(1, 1, true) };
    let unknown = of_other(1, 2, false);
    let [first, second] =
        store.apply_window(OTHER, &json!(1), &[many, unknown], &[]).await.unwrap().try_into().unwrap();
    let (job, holding) = parts(first);
    let other = |request| RequestAt { contract: OTHER, request: RequestId(request) };
    let (aggregate, lost) =
        (Unserved::NeedsAggregate { at: other(1) }, Unserved::PolicyUnknown { at: other(2) });
    let loaded = store.holding(holding).await.unwrap().unwrap();
    assert_eq!(
        (loaded.open, loaded.duties, loaded.unserved),
        (true, Duties::default(), vec![aggregate, lost])
    );
    let of = |job| {
        let store = store.clone();
        async move { store.job(job).await.unwrap().unwrap().unserved }
    };
    assert_eq!((of(job).await, of(parts(second).0).await), (Some(aggregate), Some(lost)));

    store.apply_window(CONTRACT, &json!(1), &[request_job(1, 1, "0x1")], &[]).await.unwrap();
    let loaded = store.holding(holding).await.unwrap().unwrap();
    assert_eq!(
        (loaded.duties, loaded.policy.replicas.target),
        (Duties::ALL, 3),
        "not the nine of the reference"
    );
    assert_eq!(loaded.cid, cid(1));

    let before = store.dirty(0, i64::MAX).await.unwrap().to;
    // As soon as that contract takes whole deals, its job counts; what nobody knows never does.
    store.set_deployments(&[(CONTRACT, Completes::Direct), (OTHER, Completes::Direct)]).await.unwrap();
    let loaded = store.holding(holding).await.unwrap().unwrap();
    assert_eq!((loaded.policy.replicas.target, loaded.unserved), (9, vec![lost]));
    assert_ne!(store.dirty(0, i64::MAX).await.unwrap().to, before, "and it is planned again");
    store.stop_job(parts(second).0).await.unwrap();
    assert_eq!(of(parts(second).0).await, None, "a stopped job waits for nothing");
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
