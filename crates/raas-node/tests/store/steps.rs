//! Claiming, finishing, waking, parking; providers, plans, uploads and notes.

use crate::support::{cid, commitment, held, job, ordered, parts, piece, store};
use raas_core::fleet::Ask;
use raas_core::ids::{ActorId, HoldingId, OperatorId, OwnerId, ProviderId, StepId};
use raas_core::observation::ProviderOnChain;
use raas_core::units::{AttoFil, Epoch};
use raas_node::store::{Happened, Step, StepKind, StepOutcome, Upload};
use serde_json::json;

fn again(at_unix: i64, failed: bool) -> StepOutcome {
    StepOutcome::Again { at_unix, why: "busy".to_owned(), failed }
}

#[tokio::test]
async fn a_step_is_handed_out_once_until_it_is_finished() {
    let store = store().await;
    let holding = held(&store, 1).await;
    assert_eq!(store.next_due().await.unwrap(), None);
    let order = ordered(&store, holding, 0, 1, 1_000).await;
    assert_eq!(store.next_due().await.unwrap(), Some(1_000));
    assert!(store.claim_due(999, 9).await.unwrap().is_empty(), "not due yet");
    let [step] = store.claim_due(1_000, 9).await.unwrap().try_into().unwrap();
    assert_eq!(step.kind, StepKind::Deliver { order });
    assert!(store.claim_due(1_000, 9).await.unwrap().is_empty());
    assert_eq!(store.next_due().await.unwrap(), None, "somebody works on it");

    store.finish_step(step.id, &again(1_060, true)).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), Some(1_060));
    let [step] = store.claim_due(1_060, 9).await.unwrap().try_into().unwrap();
    assert_eq!((step.attempts, step.crashes), (1, 0));
    store.finish_step(step.id, &again(1_090, false)).await.unwrap();
    let [step] = store.claim_due(1_090, 9).await.unwrap().try_into().unwrap();
    assert_eq!(step.attempts, 1, "a wait is no failure");
    for _ in 0..2 {
        store.finish_step(step.id, &StepOutcome::Done).await.unwrap();
        assert!(store.steps(9).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn the_longest_due_come_first_and_no_more_than_asked() {
    let store = store().await;
    for number in [3, 1, 2] {
        let late = raas_node::store::NewJob { at_unix: number * 10, ..job(number as u64) };
        store.register_job(&late).await.unwrap();
    }
    let due = store.claim_due(100, 2).await.unwrap();
    let holdings: Vec<_> = due.into_iter().map(|step| step.kind).collect();
    let fetch = |id| StepKind::Fetch { holding: HoldingId(id) };
    assert_eq!(holdings, [fetch(2), fetch(3)]);
}

#[tokio::test]
async fn a_step_woken_while_it_runs_runs_once_more() {
    let store = store().await;
    let (_, holding) = parts(store.register_job(&job(1)).await.unwrap());
    let fetch = StepKind::Fetch { holding };
    let outcomes = [StepOutcome::Done, again(9_999, false), StepOutcome::Parked { why: "no".to_owned() }];
    for outcome in outcomes {
        let [step] = store.claim_due(1_000, 9).await.unwrap().try_into().unwrap();
        store.wake_step(&fetch).await.unwrap();
        assert!(store.claim_due(1_000, 9).await.unwrap().is_empty(), "still running");
        store.finish_step(step.id, &outcome).await.unwrap();
        assert_eq!(store.next_due().await.unwrap(), Some(0), "{outcome:?}");
    }
    let [step] = store.claim_due(1_000, 9).await.unwrap().try_into().unwrap();
    store.finish_step(step.id, &StepOutcome::Done).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), None, "a wake counts once");
}

#[tokio::test]
async fn a_parked_step_waits_for_somebody_and_a_wake_makes_one() {
    let store = store().await;
    let probe = StepKind::Probe { holding: held(&store, 1).await, piece: commitment(1) };
    store.wake_step(&probe).await.unwrap();
    let [step] = store.claim_due(0, 9).await.unwrap().try_into().unwrap();
    store.finish_step(step.id, &StepOutcome::Parked { why: "3 crashes".to_owned() }).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), None);
    let parked = Step { attempts: 1, ..step };
    assert_eq!(store.parked().await.unwrap(), [(parked.clone(), "3 crashes".to_owned())]);
    let told = store.events(0, 99).await.unwrap();
    let told = told.into_iter().find(|(_, event)| matches!(&event.what, Happened::StepParked { .. }));
    let StepKind::Probe { holding, .. } = &probe else { unreachable!() };
    assert_eq!(told.unwrap().1.holding, Some(*holding));
    store.wake_step(&probe).await.unwrap();
    assert_eq!(store.claim_due(0, 9).await.unwrap(), [parked]);
    assert!(store.parked().await.unwrap().is_empty());
    store.finish_step(StepId(99), &StepOutcome::Done).await.unwrap();
}

#[tokio::test]
async fn providers_keep_how_they_served_when_they_are_read_again() {
    let store = store().await;
    let id = ProviderId::new(1_000);
    let read = ProviderOnChain {
        provider: id,
        operator: OperatorId(ActorId(2_000)),
        sector_bytes: 32 << 30,
        urls: vec!["http://127.0.0.1:1".to_owned()],
    };
    let ask = Ask { price: AttoFil(5), size_min: crate::support::size(), size_max: crate::support::size() };
    store.put_provider(&read, None, Epoch(10)).await.unwrap();
    for _ in 0..2 {
        store.provider_failed(id, "rejected", Epoch(500)).await.unwrap();
    }
    store.put_provider(&read, Some(&ask), Epoch(20)).await.unwrap();
    let [known] = store.providers().await.unwrap().try_into().unwrap();
    assert_eq!((known.on_chain, known.ask, known.read_at), (read, Some(ask), Epoch(20)));
    assert_eq!((known.failures, known.backs_off_until), (2, Some(Epoch(500))));
    store.provider_succeeded(id).await.unwrap();
    let [known] = store.providers().await.unwrap().try_into().unwrap();
    assert_eq!((known.failures, known.backs_off_until), (0, None));
    assert_eq!(known.last_failure.as_deref(), Some("rejected"));
    store.provider_failed(ProviderId::new(9), "unknown", Epoch(1)).await.unwrap();
    assert_eq!(store.providers().await.unwrap().len(), 1, "only the chain makes a provider known");
}

#[tokio::test]
async fn uploads_and_notes_are_replaced() {
    let store = store().await;
    let begun = |id: &str| Upload {
        id: id.to_owned(),
        owner: OwnerId::local(),
        state: json!({"state": "receiving", "bytes": 5}),
        root: None,
        job: None,
    };
    store.put_upload(&begun("a")).await.unwrap();
    store.put_upload(&begun("b")).await.unwrap();
    let (job, _) = parts(store.register_job(&job(1)).await.unwrap());
    let done = Upload { state: json!({"state": "done"}), root: Some(cid(1)), job: Some(job), ..begun("a") };
    store.put_upload(&done).await.unwrap();
    assert_eq!(store.upload("a").await.unwrap(), Some(done.clone()));
    assert_eq!(store.uploads(9).await.unwrap(), [begun("b"), done], "newest first");
    assert_eq!(store.uploads(1).await.unwrap(), [begun("b")]);
    assert_eq!(store.upload("c").await.unwrap(), None);
    for value in ["1", "2"] {
        store.put_meta("mark", value).await.unwrap();
        assert_eq!(store.meta("mark").await.unwrap().as_deref(), Some(value));
    }
    assert_eq!(store.meta("other").await.unwrap(), None);
}

#[tokio::test]
async fn uploads_that_nobody_was_told_of_are_given_up_and_their_pieces_forgotten() {
    let store = store().await;
    for number in 1..=4 {
        store.record_piece(&piece(number)).await.unwrap();
    }
    // Of these roots, the second has a job and the third was uploaded before, to the end, without one.
    store.register_job(&job(2)).await.unwrap();
    let upload = |id: &str, state: serde_json::Value, number: u64| Upload {
        id: id.to_owned(),
        owner: OwnerId::local(),
        state,
        root: Some(cid(number)),
        job: None,
    };
    let packed = json!({"state": "packed", "bytes": 5});
    let ended = json!({"state": "registered", "bytes": 5});
    for (id, state, number) in
        [("a", &packed, 1), ("b", &packed, 2), ("c", &ended, 3), ("d", &packed, 3), ("e", &ended, 4)]
    {
        store.put_upload(&upload(id, state.clone(), number)).await.unwrap();
    }
    assert_eq!(store.abandon_uploads().await.unwrap(), 3);
    let left = store.recorded_pieces().await.unwrap();
    assert_eq!(left, [2, 3, 4].map(commitment).into());
    let refused = json!({"state": "refused", "reason": "truncated"});
    for (id, state) in [("a", &refused), ("b", &refused), ("c", &ended), ("d", &refused), ("e", &ended)] {
        assert_eq!(store.upload(id).await.unwrap().unwrap().state, *state, "{id}");
    }
    assert_eq!(store.abandon_uploads().await.unwrap(), 0, "run twice");
}
