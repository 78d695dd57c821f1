//! Registrations that are carried, in a store that was put back from a backup: what it has forgotten to have sent is
//! found on the contract, and nothing of it is registered again.

use crate::support::{CONTRACT, cid, job, parts, request_job, store};
use raas_core::ids::{JobId, OwnerId};
use raas_core::machine::sender::{Sent, State};
use raas_core::ports::{Fees, SignedTx, TxIntent};
use raas_core::units::{AttoFil, Epoch};
use raas_node::store::{GasDay, NewJob, Restored, StepKind, Store, StoredTx, TxId, TxSubmit};
use serde_json::json;

const ACCOUNT: &str = "0xnode";

async fn registered(store: &Store, number: u64) -> JobId {
    let on_chain = Some(TxSubmit { cid: cid(number).cid().to_bytes(), target: 3, repair: 1, renew: 1 });
    parts(store.register_job(&NewJob { on_chain, ..job(number) }).await.unwrap()).0
}

/// Three jobs whose registrations are in one carrier, in a store that was put back.
async fn carried() -> (Store, [JobId; 3], StoredTx) {
    let store = store().await;
    let jobs = [registered(&store, 1).await, registered(&store, 2).await, registered(&store, 3).await];
    let [first, _, _] = store.open_txs(None).await.unwrap().try_into().unwrap();
    let carrier = merged(&store, first).await;
    let restored = Restored { read_to: Epoch(1), until: Epoch(9_000) };
    store.begin_restored(restored, ACCOUNT).await.unwrap();
    (store, jobs, carrier)
}

async fn merged(store: &Store, first: StoredTx) -> StoredTx {
    let carrier = store.merge_submits(first.id, 50).await.unwrap().expect("others wait");
    assert_eq!(store.merge_submits(first.id, 50).await.unwrap(), None, "once");
    let carrier = store.tx(carrier).await.unwrap().unwrap();
    assert_eq!(store.open_txs(None).await.unwrap(), std::slice::from_ref(&carrier));
    carrier
}

fn signed() -> SignedTx {
    let (hash, fees, gas_max) = ("0xAA".to_owned(), Fees::default(), AttoFil::ZERO);
    SignedTx { raw: vec![1], hash, fees, gas_max, cancels: false }
}

async fn sign(store: &Store, carrier: &StoredTx) {
    let day = GasDay::unlimited(Epoch(0));
    let stored = store.store_signed_tx(carrier.id, carrier.version, 0, &signed(), &json!(null), day).await;
    stored.unwrap().unwrap();
}

/// A request by the node's own account whose transaction the store does not know.
async fn forgotten(store: &Store, number: u64, request: u64) -> JobId {
    let seen = NewJob { owner: OwnerId(ACCOUNT.to_owned()), ..request_job(number, request, "0xforgotten") };
    parts(store.apply_window(CONTRACT, &json!(request), &[seen], &[]).await.unwrap()[0]).0
}

/// The jobs whose registration can still be sent, in the order of their transactions.
async fn still_to_send(store: &Store) -> Vec<JobId> {
    let mut jobs = Vec::new();
    for tx in store.open_txs(None).await.unwrap() {
        match tx.intent {
            TxIntent::Submit { job, .. } => jobs.push(job),
            TxIntent::SubmitMany { submissions } => jobs.extend(submissions.iter().map(|one| one.job)),
            other => panic!("{other:?}"),
        }
    }
    jobs
}

/// How many of the open transactions have a step. The step of one that closed ends by itself.
async fn sends(store: &Store) -> usize {
    let open: Vec<TxId> = store.open_txs(None).await.unwrap().iter().map(|tx| tx.id).collect();
    let steps = store.steps(99).await.unwrap();
    steps.iter().filter(|(step, _)| matches!(&step.kind, StepKind::Send { tx } if open.contains(tx))).count()
}

#[tokio::test]
async fn of_what_is_not_signed_only_the_others_are_sent() {
    let (store, jobs, carrier) = carried().await;
    assert_eq!(forgotten(&store, 2, 7).await, jobs[1], "bound, and no second job");
    assert_eq!(still_to_send(&store).await, [jobs[0], jobs[2]]);
    assert_eq!(sends(&store).await, 2);
    assert!(!store.tx(carrier.id).await.unwrap().unwrap().open);
    assert!(!store.part_submits(carrier.id).await.unwrap(), "closed for ever");
    assert_eq!(forgotten(&store, 2, 7).await, jobs[1], "run twice");
    assert_eq!(still_to_send(&store).await, [jobs[0], jobs[2]]);
}

#[tokio::test]
async fn what_is_signed_is_given_up_once_all_that_it_carries_is_registered() {
    let (store, jobs, carrier) = carried().await;
    sign(&store, &carrier).await;
    assert!(!store.part_submits(carrier.id).await.unwrap(), "what is signed can be mined");
    for (number, request) in [(1, 7), (3, 9)] {
        assert_eq!(forgotten(&store, number, request).await, jobs[number as usize - 1]);
        assert!(store.tx(carrier.id).await.unwrap().unwrap().open, "one may still come of it");
    }
    assert_eq!(forgotten(&store, 2, 8).await, jobs[1]);
    assert_eq!((still_to_send(&store).await, sends(&store).await), (vec![], 0));
}

/// A carrier that closes undone opens what is not registered by then, and nothing else.
#[tokio::test]
async fn what_closes_undone_opens_only_what_is_not_registered() {
    let (store, jobs, carrier) = carried().await;
    sign(&store, &carrier).await;
    forgotten(&store, 2, 8).await;
    let open = store.tx(carrier.id).await.unwrap().unwrap();
    let replaced = serde_json::to_value(State::Replaced(Sent {
        nonce: 0,
        first_at: Epoch(0),
        waits_since: Epoch(0),
        first: signed(),
        replacements: Vec::new(),
    }))
    .unwrap();
    store.set_tx(carrier.id, open.version, &replaced, false).await.unwrap().unwrap();
    assert_eq!(still_to_send(&store).await, [jobs[0], jobs[2]]);
    assert_eq!(sends(&store).await, 2);
    let [one, _] = store.open_txs(None).await.unwrap().try_into().unwrap();
    assert_eq!(store.merge_submits(one.id, 50).await.unwrap(), None, "each by itself from here on");
}
