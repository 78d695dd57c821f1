//! Windows of contract events: each counts once, and our own registrations make no second job.

use crate::support::{CONTRACT, active, at, cid, held, job, ordered, parts, piece, put, request_job, store};
use raas_core::ids::{ContractAddress, DealId, OwnerId, RequestId};
use raas_core::ports::{CompletionSeen, Fees, SignedTx};
use raas_core::units::Epoch;
use raas_node::store::{
    Error, GasDay, NO_TRANSACTION, NewJob, Registered, RequestChange, SightingState, Store, TxSubmit, Window,
};
use serde_json::json;

fn changed(changes: &[(RequestId, RequestChange)]) -> Window<'_> {
    Window { changes, ..Window::default() }
}

fn completion(request: u64, deal: u64) -> CompletionSeen {
    CompletionSeen { request: RequestId(request), deal: DealId(deal), block: Epoch(95) }
}

/// An API job whose registration was signed in two forms, hashes 0xAA01 and 0xAA02.
async fn submitted(store: &Store) -> Registered {
    let on_chain = Some(TxSubmit { cid: cid(1).cid().to_bytes(), target: 3, repair: 1, renew: 1 });
    let registered = store.register_job(&NewJob { on_chain, ..job(1) }).await.unwrap();
    let [tx] = store.open_txs(None).await.unwrap().try_into().unwrap();
    for form in 1..=2 {
        let hash = format!("0xAA0{form}");
        let gas_max = raas_core::units::AttoFil::ZERO;
        let signed = SignedTx { raw: vec![form], hash, fees: Fees::default(), gas_max, cancels: false };
        let version = i64::from(form);
        store
            .store_signed_tx(tx.id, version, 0, &signed, &json!(null), GasDay::unlimited(Epoch(0)))
            .await
            .unwrap()
            .unwrap();
    }
    registered
}

#[tokio::test]
async fn a_window_is_applied_once_however_often_it_is_read() {
    let store = store().await;
    assert_eq!(store.cursor(CONTRACT).await.unwrap(), None);
    let jobs = [request_job(1, 1, "0x1"), request_job(1, 2, "0x1"), request_job(2, 3, "0x2")];
    let first = store.apply_window(CONTRACT, &json!({"to": 90}), &jobs, &[completion(1, 50)]).await.unwrap();
    let again = store.apply_window(CONTRACT, &json!({"to": 91}), &jobs, &[completion(1, 50)]).await.unwrap();
    assert_eq!(store.cursor(CONTRACT).await.unwrap(), Some(json!({"to": 91})));
    for (first, again) in first.iter().zip(&again) {
        assert!(matches!(first, Registered::Created { .. }));
        assert_eq!(Registered::AlreadyExists { job: parts(*first).0, holding: parts(*first).1 }, *again);
    }
    assert_eq!(parts(first[0]).1, parts(first[1]).1, "two requests of one CID share the holding");
    let attested = store.holding(parts(first[0]).1).await.unwrap().unwrap().attestations;
    let attested: Vec<_> = attested.into_iter().map(|one| (one.at.request, one.done)).collect();
    assert_eq!(attested, [(RequestId(1), vec![DealId(50)]), (RequestId(2), vec![])]);
    let [sighting] = store.sightings(SightingState::New).await.unwrap().try_into().unwrap();
    assert_eq!((sighting.cid, sighting.of, sighting.deal), (cid(1), Some(at(1)), DealId(50)));
    let stored = store.job(parts(first[2]).0).await.unwrap().unwrap();
    assert_eq!((stored.request, stored.source), (Some(at(3)), jobs[2].source.clone()));
}

#[tokio::test]
async fn our_own_registration_binds_to_its_job_in_any_signed_form() {
    let store = store().await;
    let (job, holding) = parts(submitted(&store).await);
    let stranger = [request_job(2, 8, "0xaa01")];
    let done = store.apply_window(CONTRACT, &json!(0), &stranger, &[]).await.unwrap();
    assert!(matches!(done[..], [Registered::Created { .. }]), "another CID is not ours");
    let seen = [request_job(1, 9, "0xaa02"), request_job(1, 10, "0xaa02")];
    let done = store.apply_window(CONTRACT, &json!(1), &seen, &[]).await.unwrap();
    assert_eq!(done[0], Registered::AlreadyExists { job, holding });
    assert!(matches!(done[1], Registered::Created { .. }), "one submit, one request");
    assert_eq!(store.job(job).await.unwrap().unwrap().request, Some(at(9)));
    let again = store.apply_window(CONTRACT, &json!(1), &seen[..1], &[]).await.unwrap();
    assert_eq!(again, [Registered::AlreadyExists { job, holding }], "run twice");
    let attestations = store.holding(holding).await.unwrap().unwrap().attestations;
    assert_eq!(attestations.iter().map(|one| one.at.request).collect::<Vec<_>>(), [RequestId(9)]);
}

/// Read by view, without the event that would name its transaction.
#[tokio::test]
async fn a_request_without_its_event_binds_only_where_it_may_be_our_own() {
    let store = store().await;
    let (job, holding) = parts(submitted(&store).await);
    let done =
        store.apply_window(CONTRACT, &json!(0), &[request_job(1, 8, NO_TRANSACTION)], &[]).await.unwrap();
    assert!(matches!(done[..], [Registered::Created { .. }]), "somebody else wants the same CID");
    let done = store.apply_window(CONTRACT, &json!(1), &[request_job(1, 9, "")], &[]).await.unwrap();
    assert_eq!(done, [Registered::AlreadyExists { job, holding }]);
}

#[tokio::test]
async fn a_request_that_changed_is_refused_and_the_cursor_stays() {
    let store = store().await;
    store.apply_window(CONTRACT, &json!(1), &[request_job(1, 1, "0x1")], &[]).await.unwrap();
    let other_owner = NewJob { owner: OwnerId("0xelse".to_owned()), ..request_job(1, 1, "0x1") };
    let mut new_default = request_job(1, 1, "0x1");
    new_default.policy.duration = raas_core::units::Epochs::days(200);
    for changed in [request_job(2, 1, "0x1"), other_owner] {
        let error = store.apply_window(CONTRACT, &json!(2), &[changed], &[]).await.unwrap_err();
        assert!(matches!(error, Error::RequestChanged { request: RequestId(1), .. }), "{error}");
        assert_eq!(store.cursor(CONTRACT).await.unwrap(), Some(json!(1)), "all or nothing");
    }
    let same = store.apply_window(CONTRACT, &json!(2), &[new_default], &[]).await.unwrap();
    assert!(matches!(same[..], [Registered::AlreadyExists { .. }]), "the node's defaults may change");
}

#[tokio::test]
async fn a_completion_with_our_own_deal_is_adopted_already() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let order = ordered(&store, holding, 0, 1, 1_000).await;
    put(&store, order, active(50)).await;
    store.record_piece(&piece(1)).await.unwrap();
    let jobs = [request_job(1, 1, "0x1")];
    let seen = [completion(1, 50), completion(1, 51), completion(77, 52), completion(1, u64::MAX)];
    store.apply_window(CONTRACT, &json!(1), &jobs, &seen).await.unwrap();
    let states: Vec<_> =
        store.sightings_of_cid(&cid(1)).await.unwrap().iter().map(|s| (s.deal, s.state)).collect();
    assert_eq!(states, [(DealId(50), SightingState::Adopted), (DealId(51), SightingState::New)]);
}

/// What an owner changes or closes on the contract reaches the job of the request, in the window's transaction, and
/// a second time it changes nothing.
#[tokio::test]
async fn owners_change_and_close_their_requests() {
    let store = store().await;
    let done = store.apply_window(CONTRACT, &json!(1), &[request_job(1, 1, "0x1")], &[]).await.unwrap();
    let (job, holding) = parts(done[0]);
    let mut policy = store.job(job).await.unwrap().unwrap().policy;
    policy.replicas.max += 1;
    let change = [(RequestId(1), RequestChange::Policy(Box::new(policy.clone())))];
    for cursor in [2, 3] {
        store.apply_whole_window(CONTRACT, &json!(cursor), &changed(&change)).await.unwrap();
        assert_eq!(store.job(job).await.unwrap().unwrap().policy, policy);
    }
    assert_eq!(store.holding(holding).await.unwrap().unwrap().policy.replicas.max, policy.replicas.max);
    let other = [(RequestId(77), RequestChange::Closed)];
    store
        .apply_whole_window(
            ContractAddress([1; 20]),
            &json!(1),
            &changed(&[(RequestId(1), RequestChange::Closed)]),
        )
        .await
        .unwrap();
    store.apply_whole_window(CONTRACT, &json!(4), &changed(&other)).await.unwrap();
    assert!(
        store.holding(holding).await.unwrap().unwrap().open,
        "neither another contract nor another request"
    );
    let close = [(RequestId(1), RequestChange::Closed)];
    for cursor in [5, 6] {
        store.apply_whole_window(CONTRACT, &json!(cursor), &changed(&close)).await.unwrap();
        assert!(!store.holding(holding).await.unwrap().unwrap().open);
    }
    // What is closed is not changed any more.
    policy.replicas.max += 1;
    let late = [(RequestId(1), RequestChange::Policy(Box::new(policy.clone())))];
    store.apply_whole_window(CONTRACT, &json!(7), &changed(&late)).await.unwrap();
    assert_ne!(store.job(job).await.unwrap().unwrap().policy, policy);
}
