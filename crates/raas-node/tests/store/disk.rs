//! The store as a file: fences, crashes of claims, the bound chain, many writers.

use crate::support::{cid, held, job, ordered, parts, policy};
use raas_core::ids::OwnerId;
use raas_core::units::Epoch;
use raas_node::store::{Error, NewJob, Step, StepKind, StepOutcome, Store};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use std::path::Path;
use std::task::Poll;

async fn open(path: &Path) -> Store {
    Store::open(path, "test").await.unwrap()
}

#[tokio::test]
async fn a_second_start_fences_the_first_one_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("raas.db");
    let first = open(&path).await;
    first.register_job(&job(1)).await.unwrap();
    let second = open(&path).await;
    assert_eq!(second.fence(), first.fence() + 1);
    assert_eq!(second.store_id(), first.store_id(), "the key of money outlives a restart");
    let error = first.register_job(&job(2)).await.unwrap_err();
    assert!(matches!(error, Error::Fenced { mine: 1, newest: 2 }), "{error}");
    let refused = [
        first.claim_due(i64::MAX, 9).await.map(drop),
        first.put_meta("a", "b").await,
        first.commit_intents(&[], Epoch(1), 1, crate::support::MUCH).await.map(drop),
        first.set_breaker(&raas_core::fleet::Breaker::default()).await,
    ];
    assert!(refused.iter().all(|result| matches!(result, Err(Error::Fenced { .. }))), "{refused:?}");
    second.register_job(&job(2)).await.unwrap();
    assert_eq!(first.jobs(None, None, None, 9).await.unwrap().len(), 2, "reading is harmless");
    first.close().await;
    second.close().await;
}

#[tokio::test]
async fn a_claim_of_a_dead_process_is_handed_out_again_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("raas.db");
    let first = open(&path).await;
    let holding = held(&first, 1).await;
    ordered(&first, holding, 0, 1, 1_000).await;
    let [claimed] = first.claim_due(1_000, 9).await.unwrap().try_into().unwrap();
    for crashes in 1..=3 {
        let next = open(&path).await;
        assert_eq!(next.next_due().await.unwrap(), Some(1_000));
        let [again] = next.claim_due(1_000, 9).await.unwrap().try_into().unwrap();
        assert_eq!((again.id, again.crashes, again.attempts), (claimed.id, crashes, 0));
        assert!(next.claim_due(1_000, 9).await.unwrap().is_empty());
        next.close().await;
    }
    // Set aside it keeps its count; what comes to an end loses it.
    let last = open(&path).await;
    let [step] = last.claim_due(1_000, 9).await.unwrap().try_into().unwrap();
    assert!(step.died && step.crashes == 4);
    last.finish_step(step.id, &StepOutcome::SetAside { at_unix: 1_500, why: "it kills".to_owned() })
        .await
        .unwrap();
    assert_eq!(last.parked().await.unwrap().len(), 1);
    assert!(last.claim_due(1_499, 9).await.unwrap().is_empty());
    assert_eq!(last.retry_now(None).await.unwrap(), 1);
    let [step] = last.claim_due(1_000, 9).await.unwrap().try_into().unwrap();
    assert!(!step.died && step.crashes == 4);
    last.give_back_steps().await.unwrap();
    last.close().await;
    let error = first.finish_step(claimed.id, &StepOutcome::Done).await.unwrap_err();
    assert!(matches!(error, Error::Fenced { .. }), "the dead cannot finish it: {error}");
    let last = open(&path).await;
    let [step] = last.claim_due(1_000, 9).await.unwrap().try_into().unwrap();
    let again = StepOutcome::Again { at_unix: 2_000, why: "later".to_owned(), failed: false };
    last.finish_step(step.id, &again).await.unwrap();
    assert_eq!(last.claim_due(2_000, 9).await.unwrap()[0].crashes, 0, "an end was reached");
}

/// Of several that were claimed at a death, one is to blame: it is found by running each alone.
#[tokio::test]
async fn who_was_there_at_two_deaths_runs_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("raas.db");
    let first = open(&path).await;
    let holding = held(&first, 1).await;
    for (index, provider) in [(0, 1_000), (1, 1_001), (2, 1_002)] {
        ordered(&first, holding, index, 1, provider).await;
    }
    let claimed = first.claim_due(1_000, 9).await.unwrap();
    let killer = claimed[1].id;
    first.close().await;
    let second = open(&path).await;
    let crashes = |steps: &[Step]| steps.iter().map(|step| step.crashes).collect::<Vec<_>>();
    assert_eq!(crashes(&second.claim_due(1_000, 9).await.unwrap()), [1, 1, 1], "once may be chance");
    second.close().await;
    let later = StepOutcome::Again { at_unix: 9_000, why: "later".to_owned(), failed: false };
    for expected in [2, 3, 4] {
        let next = open(&path).await;
        loop {
            let [step] = next.claim_due(1_000, 9).await.unwrap().try_into().unwrap();
            if step.id == killer {
                assert_eq!(step.crashes, expected);
                break;
            }
            assert_eq!((expected, step.crashes), (2, 2), "each of the others runs once, and is free");
            next.finish_step(step.id, &later).await.unwrap();
        }
        next.close().await;
    }
    let last = open(&path).await;
    assert_eq!(last.parked().await.unwrap().len(), 1);
    assert_eq!(crashes(&last.claim_due(9_000, 9).await.unwrap()), [5]);
}

/// A pass that fails leaves claims behind; they are no crashes.
#[tokio::test]
async fn what_a_failed_pass_claimed_is_given_back() {
    let store = Store::in_memory("test").await.unwrap();
    let holding = held(&store, 1).await;
    ordered(&store, holding, 0, 1, 1_000).await;
    let [claimed] = store.claim_due(1_000, 9).await.unwrap().try_into().unwrap();
    assert!(store.claim_due(1_000, 9).await.unwrap().is_empty());
    store.give_back_steps().await.unwrap();
    let [again] = store.claim_due(1_000, 9).await.unwrap().try_into().unwrap();
    assert_eq!((again.id, again.crashes, again.attempts), (claimed.id, 0, 0));
}

/// As on a full disk: SQLite has ended the transaction before the caller could.
#[tokio::test]
async fn a_transaction_that_the_database_ended_does_not_stop_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("raas.db");
    let store = open(&path).await;
    let mut beside = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    let full = "CREATE TRIGGER full BEFORE INSERT ON job BEGIN SELECT RAISE(ROLLBACK, 'full'); END";
    sqlx::query(full).execute(&mut beside).await.unwrap();
    for _ in 0..3 {
        let error = store.register_job(&job(1)).await.unwrap_err();
        assert!(matches!(&error, Error::Database(cause) if cause.to_string().contains("full")), "{error:?}");
    }
    sqlx::query("DROP TRIGGER full").execute(&mut beside).await.unwrap();
    store.register_job(&job(1)).await.unwrap();
    assert_eq!(store.jobs(None, None, None, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_wake_of_a_dead_process_is_served_by_the_next_claim() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("raas.db");
    let first = open(&path).await;
    let (_, holding) = parts(first.register_job(&job(1)).await.unwrap());
    first.claim_due(1_000, 9).await.unwrap();
    first.wake_step(&StepKind::Fetch { holding }).await.unwrap();
    let second = open(&path).await;
    let [step] = second.claim_due(1_000, 9).await.unwrap().try_into().unwrap();
    second.finish_step(step.id, &StepOutcome::Done).await.unwrap();
    assert!(second.steps(9).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_store_stays_with_its_chain() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("raas.db");
    let store = open(&path).await;
    for _ in 0..2 {
        store.bind_network("devnet", "bafygenesis1").await.unwrap();
    }
    store.close().await;
    let store = open(&path).await;
    let error = store.bind_network("mainnet", "bafygenesis2").await.unwrap_err();
    assert!(matches!(&error, Error::OtherNetwork { bound, .. } if bound == "devnet"), "{error}");
    store.bind_network("devnet", "bafygenesis1").await.unwrap();
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("no/such/dir/raas.db");
    let error = Store::open(&missing, "test").await.unwrap_err();
    assert!(error.to_string().contains("no/such/dir/raas.db"), "{error}");
    let garbage = dir.path().join("garbage.db");
    std::fs::write(&garbage, b"this is no database at all, but long enough to be looked at").unwrap();
    assert!(Store::open(&garbage, "test").await.is_err());
}

#[cfg(unix)]
#[tokio::test]
async fn deal_secrets_are_readable_by_their_user_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("raas.db")).await;
    store.register_job(&job(1)).await.unwrap();
    let mut files = 0;
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", file.path());
        files += 1;
    }
    assert!(files >= 2, "the database and its log");
}

/// Fifty tasks write and read at once; none is told that the database is busy, and nothing is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_writers_wait_for_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("raas.db")).await;
    let tasks: Vec<_> = (0..50_u64)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                for round in 0..4 {
                    let owner = OwnerId(format!("owner-{}", task % 5));
                    let new = NewJob { owner, policy: policy(1 + (round as u32)), ..job(task) };
                    let (id, _) = parts(store.register_job(&new).await.unwrap());
                    assert!(store.job(id).await.unwrap().is_some(), "own writes are seen at once");
                    store.put_meta(&format!("{task}-{round}"), "done").await.unwrap();
                    store.holdings_of_cid(&cid(task)).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(store.jobs(None, None, None, 1_000).await.unwrap().len(), 200);
    assert_eq!(store.holdings().await.unwrap().len(), 50);
}

/// A caller may go away at any await: then all of the transaction is there, or nothing.
#[tokio::test]
async fn a_dropped_call_is_rolled_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("raas.db")).await;
    let (mut whole, mut none) = (0, 0);
    for polls in 0..60_u64 {
        let new = job(polls);
        let mut call = Box::pin(store.register_job(&new));
        let mut left = polls;
        let finished = std::future::poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(false);
            }
            left -= 1;
            call.as_mut().poll(context).map(|result| result.is_ok())
        })
        .await;
        drop(call);
        match store.holdings_of_cid(&cid(polls)).await.unwrap().as_slice() {
            [] => {
                assert!(!finished, "an answered call is stored");
                none += 1;
            }
            [holding] => {
                assert_eq!(store.jobs_of_holding(*holding).await.unwrap().len(), 1);
                assert_eq!(store.events_of_holding(*holding, 9).await.unwrap().len(), 1);
                whole += 1;
            }
            more => panic!("{more:?}"),
        }
    }
    assert!(none > 0 && whole > 0, "both ends were met: {none} dropped, {whole} done");
    let steps = store.steps(100).await.unwrap();
    assert_eq!(steps.len(), whole, "a fetch step for each whole registration");
}
