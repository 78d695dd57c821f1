//! The wallet's transactions: keys, nonces, signed forms.

use crate::support::{cid, job, parts, store};
use raas_core::machine::lane::Floor;
use raas_core::ports::{Fees, Lane, SignedTx, TxIntent};
use raas_core::units::{AttoFil, Epoch};
use raas_node::store::{Error, GasDay, Halt, NewJob, StepKind, Store, TxId};
use serde_json::json;
use std::collections::BTreeMap;

const FREE: GasDay = GasDay::unlimited(Epoch(500));

fn signed(form: u8) -> SignedTx {
    let fee = AttoFil(100 + u128::from(form));
    SignedTx {
        raw: vec![2, form],
        hash: format!("0xAB{form}"),
        fees: Fees { fee_cap: fee, premium: fee },
        gas_max: AttoFil(1_000 * u128::from(form)),
        cancels: form == 3,
    }
}

async fn top_up(store: &Store, key: &str) -> TxId {
    store.plan_tx(&TxIntent::AddBalance { amount: AttoFil(5) }, key).await.unwrap()
}

#[tokio::test]
async fn a_key_stands_for_one_open_transaction() {
    let store = store().await;
    let first = top_up(&store, "escrow").await;
    assert_eq!(top_up(&store, "escrow").await, first);
    let stored = store.tx(first).await.unwrap().unwrap();
    assert_eq!((stored.lane, stored.version, stored.nonce, stored.open), (Lane::Native, 1, None, true));
    assert_eq!(stored.state, json!({"state": "planned"}));
    let [(step, _)] = store.steps(9).await.unwrap().try_into().unwrap();
    assert_eq!(step.kind, StepKind::Send { tx: first });
    assert_eq!(store.set_tx(first, 1, &json!({"state": "x"}), false).await.unwrap(), Some(2));
    assert_eq!(store.set_tx(first, 2, &json!({"state": "y"}), true).await.unwrap(), None, "closed for good");
    let second = top_up(&store, "escrow").await;
    assert_ne!(first, second);
    assert_eq!(store.tx(TxId(99)).await.unwrap(), None);
}

#[tokio::test]
async fn every_form_of_a_transaction_has_its_one_nonce() {
    let store = store().await;
    let tx = top_up(&store, "a").await;
    assert_eq!(store.floor(Lane::Native).await.unwrap(), Floor::default());
    let state = json!({"state": "stored"});
    assert_eq!(store.store_signed_tx(tx, 1, 7, &signed(1), &state, FREE).await.unwrap(), Some(2));
    assert_eq!(store.store_signed_tx(tx, 1, 7, &signed(1), &state, FREE).await.unwrap(), None, "run twice");
    assert_eq!(store.store_signed_tx(tx, 2, 7, &signed(2), &state, FREE).await.unwrap(), Some(3));
    let error = store.store_signed_tx(tx, 3, 8, &signed(3), &state, FREE).await.unwrap_err();
    assert!(matches!(error, Error::NonceChanged { reserved: 7, given: 8, .. }), "{error}");
    let stored = store.tx(tx).await.unwrap().unwrap();
    assert_eq!(
        (stored.signed, stored.nonce, stored.state),
        (vec![signed(1), signed(2)], Some(7), state.clone())
    );

    let other = top_up(&store, "b").await;
    let error = store.store_signed_tx(other, 1, 7, &signed(4), &state, FREE).await.unwrap_err();
    assert!(matches!(error, Error::NonceTaken { lane: Lane::Native, nonce: 7, .. }), "{error}");
    assert_eq!(store.tx(other).await.unwrap().unwrap().version, 1, "rolled back");
    assert_eq!(store.set_tx(tx, 3, &state, false).await.unwrap(), Some(4));
    let error = store.store_signed_tx(other, 1, 7, &signed(4), &state, FREE).await.unwrap_err();
    assert!(matches!(error, Error::NonceTaken { .. }), "a used nonce stays used: {error}");
    assert_eq!(store.store_signed_tx(other, 1, 8, &signed(4), &state, FREE).await.unwrap(), Some(2));
    assert_eq!(store.floor(Lane::Native).await.unwrap().next(), 9);
    assert_eq!(store.floor(Lane::Evm).await.unwrap().next(), 0);
}

#[tokio::test]
async fn open_transactions_come_by_account_in_their_order() {
    let store = store().await;
    let submit = raas_node::store::TxSubmit { cid: cid(1).cid().to_bytes(), target: 1, repair: 1, renew: 1 };
    let first = top_up(&store, "a").await;
    parts(store.register_job(&NewJob { on_chain: Some(submit), ..job(1) }).await.unwrap());
    let last = top_up(&store, "b").await;
    let ids = |lane| {
        let store = store.clone();
        async move { store.open_txs(lane).await.unwrap().into_iter().map(|tx| tx.id).collect::<Vec<_>>() }
    };
    let all = ids(None).await;
    assert_eq!(all.len(), 3);
    assert_eq!(ids(Some(Lane::Native)).await, [first, last]);
    assert_eq!(ids(Some(Lane::Evm)).await, [all[1]]);
    assert_eq!(store.store_signed_tx(all[1], 1, 0, &signed(1), &json!(null), FREE).await.unwrap(), Some(2));
    assert_eq!(store.store_signed_tx(first, 1, 0, &signed(2), &json!(null), FREE).await.unwrap(), Some(2));
    let evm = store.open_txs(Some(Lane::Evm)).await.unwrap();
    assert_eq!(evm[0].signed, [signed(1)], "each account counts its own nonces");
}

#[tokio::test]
async fn a_halted_account_stays_so_until_it_is_released_and_its_floor_never_falls() {
    let store = store().await;
    let halt = |chain| Halt { why: "foreign".to_owned(), chain, at: Epoch(7), at_unix: 70 };
    assert!(store.halt_lane(Lane::Evm, &halt(3)).await.unwrap());
    assert!(!store.halt_lane(Lane::Evm, &halt(4)).await.unwrap(), "halted already");
    assert_eq!(store.halts().await.unwrap(), BTreeMap::from([(Lane::Evm, halt(3))]));
    assert!(store.release_lane(Lane::Evm, 4).await.unwrap());
    assert!(!store.release_lane(Lane::Evm, 2).await.unwrap(), "not halted any more");
    assert_eq!(store.floor(Lane::Evm).await.unwrap(), Floor { reserved: None, accepted: 4 });
    assert_eq!(store.floor(Lane::Native).await.unwrap().next(), 0);
    assert_eq!(store.halts().await.unwrap(), BTreeMap::new());
}

#[tokio::test]
async fn gas_of_a_day_counts_the_dearest_form_of_each_transaction() {
    let store = store().await;
    let (first, second) = (top_up(&store, "a").await, top_up(&store, "b").await);
    let day = |at| GasDay { at: Epoch(at), limit: Some(AttoFil(5_000)) };
    let state = json!({"state": "stored"});
    let put = async |tx, version, nonce, form, at| {
        store.store_signed_tx(tx, version, nonce, &signed(form), &state, day(at)).await
    };
    assert_eq!(put(first, 1, 0, 2, 100).await.unwrap(), Some(2));
    assert_eq!(put(first, 2, 0, 3, 110).await.unwrap(), Some(3), "3,000 in place of 2,000");
    let error = put(second, 1, 1, 4, 120).await.unwrap_err();
    assert!(
        matches!(error, Error::GasSpent { needed: AttoFil(4_000), available: AttoFil(2_000) }),
        "{error}"
    );
    assert_eq!(store.tx(second).await.unwrap().unwrap().nonce, None, "nothing was reserved");
    let since = store.gas_since(Epoch(0)).await.unwrap();
    assert_eq!(since, BTreeMap::from([(Lane::Native, AttoFil(3_000))]));
    assert_eq!(put(second, 1, 1, 4, 110 + 2_880).await.unwrap(), Some(2), "a day later");
}

#[tokio::test]
async fn fault_28_a_commit_whose_answer_was_lost_is_settled_by_reading_again() {
    // A caller that dies at any point of the call: nobody tells it whether the commit happened.
    let folder = tempfile::tempdir().unwrap();
    for polls in 0..400 {
        let path = folder.path().join(format!("{polls}.sqlite"));
        let store = Store::open(&path, "test").await.unwrap();
        let tx = top_up(&store, "a").await;
        let state = json!({"state": "stored"});
        {
            let form = signed(1);
            let call = store.store_signed_tx(tx, 1, 7, &form, &state, FREE);
            tokio::pin!(call);
            let mut left = polls;
            let done = std::future::poll_fn(|context| {
                use std::future::Future;
                match call.as_mut().poll(context) {
                    std::task::Poll::Ready(_) => std::task::Poll::Ready(true),
                    std::task::Poll::Pending if left == 0 => std::task::Poll::Ready(false),
                    std::task::Poll::Pending => {
                        left -= 1;
                        std::task::Poll::Pending
                    }
                }
            });
            let finished = done.await;
            if finished && polls > 0 {
                return;
            }
        }
        // All or nothing, and the same key tells which.
        let stored = store.tx(tx).await.unwrap().unwrap();
        let (again, new) = (top_up(&store, "a").await, stored.nonce.is_none());
        assert_eq!(again, tx, "not planned a second time");
        assert_eq!(stored.signed.len(), usize::from(!new), "{stored:?}");
        // A commit that was under way may still land between the reading and the retry: then the retry loses.
        let retried = store.store_signed_tx(tx, 1, 7, &signed(1), &state, FREE).await.unwrap();
        assert!(retried.is_none() || stored.version == 1, "what was stored is not stored again");
        let stored = store.tx(tx).await.unwrap().unwrap();
        assert_eq!((stored.nonce, stored.signed), (Some(7), vec![signed(1)]));
    }
    panic!("the call never came to its end");
}
