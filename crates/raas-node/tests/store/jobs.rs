//! Registering and stopping jobs.

use crate::support::{cid, commitment, held, job, parts, piece, store};
use raas_core::cid::DataCid;
use raas_core::ids::{JobId, OwnerId};
use raas_core::ports::TxIntent;
use raas_node::store::{Error, Happened, JobState, NewJob, Registered, Step, StepKind, Store, TxSubmit};

fn submit() -> TxSubmit {
    TxSubmit { cid: cid(1).cid().to_bytes(), target: 3, repair: 2_880, renew: 86_400 }
}

async fn kinds(store: &Store) -> Vec<StepKind> {
    store.steps(100).await.unwrap().into_iter().map(|(Step { kind, .. }, _)| kind).collect()
}

#[tokio::test]
async fn a_job_brings_its_holding_its_fetch_step_and_its_transaction() {
    let store = store().await;
    let new = NewJob { on_chain: Some(submit()), ..job(1) };
    let (id, holding) = parts(store.register_job(&new).await.unwrap());

    let stored = store.job(id).await.unwrap().unwrap();
    assert_eq!((stored.holding, stored.cid, stored.policy), (holding, new.cid.clone(), new.policy.clone()));
    assert_eq!((stored.duties, stored.state, stored.request), (new.duties, JobState::Open, None));
    assert_eq!((stored.at, stored.at_unix, stored.source), (new.at, new.at_unix, new.source));

    let [tx] = store.open_txs(None).await.unwrap().try_into().unwrap();
    let TxSubmit { cid, target, repair, renew } = submit();
    assert_eq!(tx.intent, TxIntent::Submit { job: id, cid, target, repair, renew });
    assert_eq!(kinds(&store).await, [StepKind::Fetch { holding }, StepKind::Send { tx: tx.id }]);
    let events: Vec<Happened> =
        store.events(0, 10).await.unwrap().into_iter().map(|(_, event)| event.what).collect();
    assert_eq!(
        events,
        [
            Happened::JobRegistered { job: id, cid: new.cid },
            Happened::TxPlanned { tx: tx.id, intent: tx.intent }
        ]
    );
}

#[tokio::test]
async fn jobs_of_one_owner_share_a_holding_and_those_of_two_do_not() {
    let store = store().await;
    let (first, holding) = parts(store.register_job(&job(1)).await.unwrap());
    let (second, same) = parts(store.register_job(&job(1)).await.unwrap());
    let other = NewJob { owner: OwnerId("other".to_owned()), ..job(1) };
    let (third, separate) = parts(store.register_job(&other).await.unwrap());
    assert_eq!(holding, same);
    assert_ne!(holding, separate);
    assert_eq!(store.holdings_of_cid(&cid(1)).await.unwrap(), [holding, separate]);
    let jobs = |jobs: Vec<raas_node::store::Job>| jobs.into_iter().map(|job| job.id).collect::<Vec<_>>();
    assert_eq!(jobs(store.jobs_of_holding(holding).await.unwrap()), [first, second]);

    parts(store.register_job(&job(2)).await.unwrap());
    let local = OwnerId::local();
    assert_eq!(jobs(store.jobs(Some(&local), None, None, 2).await.unwrap()), [first, second]);
    assert_eq!(jobs(store.jobs(None, None, Some(second), 1).await.unwrap()), [third]);
    assert_eq!(jobs(store.jobs(None, Some(&cid(1)), None, 9).await.unwrap()), [first, second, third]);
    let both = store.jobs(Some(&other.owner), Some(&cid(1)), None, 9).await.unwrap();
    assert_eq!(jobs(both), [third]);
    assert!(store.job(JobId(99)).await.unwrap().is_none());
}

#[tokio::test]
async fn an_idempotency_key_gives_the_first_job_again_and_refuses_other_content() {
    let store = store().await;
    let keyed = NewJob { idempotency_key: Some("k1".to_owned()), on_chain: Some(submit()), ..job(1) };
    let (id, holding) = parts(store.register_job(&keyed).await.unwrap());
    let later = NewJob { at_unix: 5_000, ..keyed.clone() };
    assert_eq!(
        store.register_job(&later).await.unwrap(),
        Registered::AlreadyExists { job: id, holding },
        "time is no content"
    );
    let mut dearer = keyed.clone();
    dearer.policy.replicas.max += 1;
    let renamed = NewJob { cid: cid(2), ..keyed.clone() };
    let off_chain = NewJob { on_chain: None, ..keyed.clone() };
    for other in [dearer, renamed, off_chain] {
        let error = store.register_job(&other).await.unwrap_err();
        assert!(matches!(&error, Error::KeyReused { key, job } if key == "k1" && *job == id), "{error}");
    }
    let neighbour = NewJob { owner: OwnerId("other".to_owned()), ..keyed };
    assert!(matches!(store.register_job(&neighbour).await.unwrap(), Registered::Created { .. }));
    assert_eq!(store.jobs(None, None, None, 10).await.unwrap().len(), 2);
    assert!(store.holdings_of_cid(&cid(2)).await.unwrap().is_empty(), "nothing half-registered");
}

#[tokio::test]
async fn known_bytes_are_linked_at_once_and_later_ones_end_the_fetch_step() {
    let store = store().await;
    let holding = held(&store, 1).await;
    assert_eq!(kinds(&store).await, []);
    assert_eq!(store.holding(holding).await.unwrap().unwrap().pieces.len(), 1);

    let by_piece_cid = DataCid::normalise(&commitment(1).piece_cid_v1()).unwrap();
    let (_, as_piece) = parts(store.register_job(&NewJob { cid: by_piece_cid, ..job(0) }).await.unwrap());
    assert_eq!(store.holding(as_piece).await.unwrap().unwrap().pieces.len(), 1);

    let (_, waiting) = parts(store.register_job(&job(2)).await.unwrap());
    assert_eq!(kinds(&store).await, [StepKind::Fetch { holding: waiting }]);
    assert!(store.holding(waiting).await.unwrap().unwrap().pieces.is_empty());
    for _ in 0..2 {
        store.record_piece(&piece(2)).await.unwrap();
        assert_eq!(kinds(&store).await, []);
        assert_eq!(store.holding(waiting).await.unwrap().unwrap().pieces.len(), 1);
    }
}

#[tokio::test]
async fn a_root_packed_in_another_way_is_no_second_piece_of_its_holding() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let repacked = raas_node::store::NewPiece { commitment: commitment(77), ..piece(1) };
    store.record_piece(&repacked).await.unwrap();
    let pieces = store.holding(holding).await.unwrap().unwrap().pieces;
    assert_eq!(pieces.iter().map(|p| p.piece.commitment).collect::<Vec<_>>(), [commitment(1)]);
}

#[tokio::test]
async fn a_stopped_job_asks_for_nothing_more() {
    let store = store().await;
    let (id, holding) = parts(store.register_job(&job(1)).await.unwrap());
    assert!(store.stop_job(id).await.unwrap());
    assert!(!store.stop_job(id).await.unwrap(), "stopped already");
    assert!(!store.stop_job(JobId(99)).await.unwrap());
    assert_eq!(store.job(id).await.unwrap().unwrap().state, JobState::Stopped);
    assert_eq!(kinds(&store).await, [], "its fetch step ended");
    assert!(store.holdings().await.unwrap().is_empty());
    assert!(!store.holding(holding).await.unwrap().unwrap().open);
}

#[tokio::test]
async fn a_piece_comes_goes_and_is_retrieved() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let stored = store.piece(commitment(1)).await.unwrap().unwrap();
    assert_eq!((stored.piece.clone(), stored.local, stored.retrieved_at), (piece(1), true, None));
    assert_eq!(store.piece_of_root(&cid(1)).await.unwrap(), Some(stored.clone()));
    assert_eq!(store.local_pieces().await.unwrap(), [stored]);

    store.set_retrieved(commitment(1), raas_core::units::Epoch(500)).await.unwrap();
    for _ in 0..2 {
        store.set_local(commitment(1), false).await.unwrap();
    }
    assert!(store.local_pieces().await.unwrap().is_empty());
    let view = store.holding(holding).await.unwrap().unwrap().pieces[0].piece;
    assert!(!view.local && view.retrievable);
    let gone = Happened::LocalCopy { piece: commitment(1), present: false };
    let events = store.events_of_holding(holding, 50).await.unwrap();
    assert_eq!(events.iter().filter(|(_, event)| event.what == gone).count(), 1);
    store.record_piece(&piece(1)).await.unwrap();
    assert!(store.piece(commitment(1)).await.unwrap().unwrap().local);
    assert!(store.piece(commitment(9)).await.unwrap().is_none());
}
