//! What keeps local bytes, by the rows that say so, and what is known of lost ones.

use crate::support::{cid, commitment, held, job, ordered, parts, piece, store};
use raas_core::ids::OwnerId;
use raas_core::machine::upload::{Refusal, State};
use raas_core::policy::KeepLocal;
use raas_node::store::{Kept, Store, Upload};

async fn spare(store: &Store, now: i64) -> Vec<(u64, i64)> {
    let all = store.mark_spare(now).await.unwrap();
    let number = |spare: &raas_node::store::Spare| (1..9).find(|n| commitment(*n) == spare.piece).unwrap();
    all.iter().map(|spare| (number(spare), spare.since_unix)).collect()
}

fn upload(id: &str, number: u64, state: &State) -> Upload {
    Upload {
        id: id.to_owned(),
        owner: OwnerId::local(),
        state: serde_json::to_value(state).unwrap(),
        root: Some(cid(number)),
        job: None,
    }
}

#[tokio::test]
async fn jobs_orders_pins_and_uploads_keep_a_piece_and_nothing_else_does() {
    let store = store().await;
    store.record_piece(&piece(1)).await.unwrap();
    assert_eq!(spare(&store, 10).await, [(1, 10)], "nothing keeps it");
    assert!(store.is_spare(commitment(1)).await.unwrap());
    assert!(!store.is_spare(commitment(2)).await.unwrap(), "what is not known is not to be deleted");

    store.put_upload(&upload("a", 1, &State::Packed { bytes: 1 })).await.unwrap();
    assert_eq!(store.reasons(commitment(1)).await.unwrap(), [Kept::Upload { id: "a".to_owned() }]);
    assert_eq!(spare(&store, 20).await, []);
    store.put_upload(&upload("a", 1, &State::Refused { reason: Refusal::Truncated })).await.unwrap();
    assert_eq!(spare(&store, 30).await, [(1, 30)], "its time begins anew");
    assert_eq!(spare(&store, 40).await, [(1, 30)]);

    assert!(store.pin(&OwnerId::local(), &cid(1)).await.unwrap());
    assert!(!store.pin(&OwnerId::local(), &cid(1)).await.unwrap(), "once");
    assert_eq!(store.reasons(commitment(1)).await.unwrap(), [Kept::Pin { cid: cid(1).to_string() }]);
    assert_eq!(spare(&store, 50).await, []);
    let [pin] = store.pins(None, 0, 9).await.unwrap().try_into().unwrap();
    assert!(pin.local && pin.cid == cid(1) && store.pins(None, pin.seq, 9).await.unwrap().is_empty());
    assert!(store.unpin(&OwnerId::local(), &cid(1)).await.unwrap());
    assert!(!store.unpin(&OwnerId::local(), &cid(1)).await.unwrap());

    let (id, holding) = parts(store.register_job(&job(1)).await.unwrap());
    assert_eq!(store.reasons(commitment(1)).await.unwrap(), [Kept::Job { id: id.0 }]);
    assert_eq!(spare(&store, 60).await, []);
    ordered(&store, holding, 0, 1, 1_000).await;
    store.stop_job(id).await.unwrap();
    let kept = store.reasons(commitment(1)).await.unwrap();
    assert!(matches!(kept.as_slice(), [Kept::Order { .. }]), "an order under way outlives its job: {kept:?}");
    assert_eq!(spare(&store, 70).await, []);
    // A pin by the piece's own CID keeps it as well.
    let own = raas_core::cid::DataCid::normalise(&commitment(1).piece_cid_v1()).unwrap();
    store.pin(&OwnerId::local(), &own).await.unwrap();
    assert_eq!(store.reasons(commitment(1)).await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_forgotten_leaves_a_row_only_where_another_refers_to_it() {
    let store = store().await;
    store.record_piece(&piece(1)).await.unwrap();
    let (id, _) = parts(store.register_job(&job(2)).await.unwrap());
    store.record_piece(&piece(2)).await.unwrap();
    store.stop_job(id).await.unwrap();
    assert_eq!(spare(&store, 10).await.len(), 2);
    for number in [1, 2] {
        store.forget_piece(commitment(number)).await.unwrap();
        store.forget_piece(commitment(number)).await.unwrap();
    }
    assert!(store.piece(commitment(1)).await.unwrap().is_none());
    assert!(!store.piece(commitment(2)).await.unwrap().unwrap().local, "a holding has it");
    assert_eq!(spare(&store, 20).await, [], "nothing is left to collect");
}

#[tokio::test]
async fn an_upload_without_a_job_leaves_a_pin_and_one_with_a_job_does_not() {
    let store = store().await;
    let registered = State::Registered { bytes: 1 };
    store.put_upload(&upload("a", 1, &registered)).await.unwrap();
    let (id, _) = parts(store.register_job(&job(2)).await.unwrap());
    store.put_upload(&Upload { job: Some(id), ..upload("b", 2, &registered) }).await.unwrap();
    let pins = store.pins(None, 0, 9).await.unwrap();
    assert_eq!(pins.iter().map(|pin| pin.cid.clone()).collect::<Vec<_>>(), [cid(1)]);
    assert_eq!(store.pins_without_bytes().await.unwrap(), [cid(1)]);
    store.record_piece(&piece(1)).await.unwrap();
    assert!(store.pins_without_bytes().await.unwrap().is_empty());

    store.register_job(&job(1)).await.unwrap();
    assert!(store.pins(None, 0, 9).await.unwrap().is_empty(), "the job's policy counts from here on");
    store.put_upload(&upload("c", 3, &registered)).await.unwrap();
    assert!(store.pin(&OwnerId::local(), &cid(3)).await.unwrap(), "a wish of its own");
    store.register_job(&job(3)).await.unwrap();
    assert_eq!(store.pins(None, 0, 9).await.unwrap().len(), 1, "which no job ends");
}

#[tokio::test]
async fn a_pin_is_planned_as_a_wish_for_the_local_copy() {
    let store = store().await;
    let wish = raas_core::policy::Policy { keep_local: KeepLocal::Never, ..crate::support::policy(3) };
    store.record_piece(&piece(1)).await.unwrap();
    let (_, holding) =
        parts(store.register_job(&raas_node::store::NewJob { policy: wish, ..job(1) }).await.unwrap());
    let keep = async || store.holding(holding).await.unwrap().unwrap().policy.keep_local;
    let newest = async || store.touched(0).await.unwrap().last().map(|(seq, _)| *seq);
    let before = newest().await;
    assert_eq!(keep().await, KeepLocal::Never);
    store.pin(&OwnerId::local(), &cid(1)).await.unwrap();
    assert_eq!(keep().await, KeepLocal::Always);
    let after = newest().await;
    assert!(after > before, "it is planned again");
    store.unpin(&OwnerId::local(), &cid(1)).await.unwrap();
    assert_eq!(keep().await, KeepLocal::Never);
    assert!(newest().await > after);
}

#[tokio::test]
async fn lost_bytes_are_said_until_they_are_back_or_given_up() {
    let store = store().await;
    let holding = held(&store, 1).await;
    assert_eq!(store.lost_pieces().await.unwrap(), []);
    store.lose_local(commitment(1), "torn").await.unwrap();
    store.lose_local(commitment(1), "torn again").await.unwrap();
    assert_eq!(store.lost_pieces().await.unwrap(), [commitment(1)]);
    let [shelved] = store.shelved("", 9).await.unwrap().try_into().unwrap();
    assert_eq!((shelved.lost.as_deref(), shelved.stored.local), (Some("torn"), false));
    assert!(!store.holding(holding).await.unwrap().unwrap().pieces[0].piece.local);
    assert_eq!(store.shelves().await.unwrap().lost, 1);
    store.set_local(commitment(1), true).await.unwrap();
    assert_eq!(store.lost_pieces().await.unwrap(), []);
    store.lose_local(commitment(1), "torn").await.unwrap();
    store.record_piece(&piece(1)).await.unwrap();
    assert_eq!(store.lost_pieces().await.unwrap(), [], "uploaded again");
    store.lose_local(commitment(1), "torn").await.unwrap();
    store.give_up_lost(commitment(1)).await.unwrap();
    assert_eq!(store.lost_pieces().await.unwrap(), []);
}

#[tokio::test]
async fn what_was_never_hashed_again_comes_first_and_then_the_oldest() {
    let store = store().await;
    for number in 1..=3 {
        store.record_piece(&piece(number)).await.unwrap();
    }
    store.set_scrubbed(commitment(1), 50).await.unwrap();
    store.set_scrubbed(commitment(3), 40).await.unwrap();
    let next = async |before| store.next_to_scrub(before).await.unwrap().map(|next| next.piece.commitment);
    assert_eq!(next(0).await, Some(commitment(2)));
    store.set_scrubbed(commitment(2), 60).await.unwrap();
    assert_eq!(next(100).await, Some(commitment(3)));
    assert_eq!(next(40).await, None, "all are younger than that");
    store.set_local(commitment(3), false).await.unwrap();
    assert_eq!(next(100).await, Some(commitment(1)), "what is not here cannot be hashed");
    store.set_local(commitment(3), true).await.unwrap();
    assert_eq!(next(0).await, Some(commitment(3)), "what came anew was not hashed again since");
    assert_eq!(store.shelves().await.unwrap().never_scrubbed, 1);
}
