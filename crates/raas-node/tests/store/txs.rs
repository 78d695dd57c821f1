//! The wallet's transactions: keys, nonces, signed forms.

use crate::support::{cid, job, parts, store};
use raas_core::ports::{Fees, Lane, SignedTx, TxIntent};
use raas_core::units::AttoFil;
use raas_node::store::{Error, NewJob, StepKind, Store, TxId};
use serde_json::json;

fn signed(form: u8) -> SignedTx {
    let fee = AttoFil(100 + u128::from(form));
    SignedTx { raw: vec![2, form], hash: format!("0xAB{form}"), fees: Fees { fee_cap: fee, premium: fee } }
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
    assert_eq!(store.highest_nonce(Lane::Native).await.unwrap(), None);
    let state = json!({"state": "stored"});
    assert_eq!(store.store_signed_tx(tx, 1, 7, &signed(1), &state).await.unwrap(), Some(2));
    assert_eq!(store.store_signed_tx(tx, 1, 7, &signed(1), &state).await.unwrap(), None, "run twice");
    assert_eq!(store.store_signed_tx(tx, 2, 7, &signed(2), &state).await.unwrap(), Some(3));
    let error = store.store_signed_tx(tx, 3, 8, &signed(3), &state).await.unwrap_err();
    assert!(matches!(error, Error::NonceChanged { reserved: 7, given: 8, .. }), "{error}");
    let stored = store.tx(tx).await.unwrap().unwrap();
    assert_eq!(
        (stored.signed, stored.nonce, stored.state),
        (vec![signed(1), signed(2)], Some(7), state.clone())
    );

    let other = top_up(&store, "b").await;
    let error = store.store_signed_tx(other, 1, 7, &signed(4), &state).await.unwrap_err();
    assert!(matches!(error, Error::NonceTaken { lane: Lane::Native, nonce: 7, .. }), "{error}");
    assert_eq!(store.tx(other).await.unwrap().unwrap().version, 1, "rolled back");
    assert_eq!(store.set_tx(tx, 3, &state, false).await.unwrap(), Some(4));
    let error = store.store_signed_tx(other, 1, 7, &signed(4), &state).await.unwrap_err();
    assert!(matches!(error, Error::NonceTaken { .. }), "a used nonce stays used: {error}");
    assert_eq!(store.store_signed_tx(other, 1, 8, &signed(4), &state).await.unwrap(), Some(2));
    assert_eq!(store.highest_nonce(Lane::Native).await.unwrap(), Some(8));
    assert_eq!(store.highest_nonce(Lane::Evm).await.unwrap(), None);
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
    assert_eq!(store.store_signed_tx(all[1], 1, 0, &signed(1), &json!(null)).await.unwrap(), Some(2));
    assert_eq!(store.store_signed_tx(first, 1, 0, &signed(2), &json!(null)).await.unwrap(), Some(2));
    let evm = store.open_txs(Some(Lane::Evm)).await.unwrap();
    assert_eq!(evm[0].signed, [signed(1)], "each account counts its own nonces");
}
