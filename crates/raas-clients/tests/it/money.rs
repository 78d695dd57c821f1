//! The wallet's two accounts on the devnet: nonces, sends, replacements, what is lost on the way.

use crate::server::counting;
use crate::support::{Net, done, endpoint, pool};
use raas_clients::key::Key;
use raas_clients::rpc::EndpointConfig;
use raas_clients::wallet::{KeyWallet, WalletConfig};
use raas_core::ports::{Balances, Broadcast, Chain, Effect, Lane, TxIntent, Wallet};
use raas_core::units::AttoFil;
use serde_json::json;
use std::sync::atomic::Ordering;

const TEN: TxIntent = TxIntent::AddBalance { amount: AttoFil::fil(10) };

#[tokio::test]
async fn escrow_is_added_once_whatever_is_repeated() {
    let net = Net::start().await;
    assert_eq!(net.chain.client_id().await, Ok(None));
    assert_eq!(net.chain.balances().await, Ok(Balances::default()));
    assert_eq!(net.wallet.chain_nonce(Lane::Native).await, Ok(0), "never used");
    assert!(matches!(net.wallet.prepare(&TEN, 0, None).await, Effect::Failed(_)), "an account without money");

    let net = Net::funded().await;
    assert!(net.chain.client_id().await.expect("an answer").is_some());
    let tx = done(net.wallet.prepare(&TEN, 0, None).await);
    assert_eq!(net.wallet.included(Lane::Native, &tx.hash).await, Ok(None));

    // The answer is lost: what became of it is told by sending the same bytes again.
    net.set_rpc("dropReply", Some("Filecoin.MpoolPush"), Some(1)).await;
    assert!(matches!(net.wallet.broadcast(Lane::Native, &tx).await, Broadcast::Uncertain(_)));
    assert_eq!(net.wallet.broadcast(Lane::Native, &tx).await, Broadcast::AlreadyKnown);
    net.advance(3).await;
    let inclusion = net.wallet.included(Lane::Native, &tx.hash).await.expect("an answer").expect("executed");
    assert!(inclusion.success);
    assert_eq!(net.wallet.broadcast(Lane::Native, &tx).await, Broadcast::NonceTooLow);
    assert_eq!(net.wallet.chain_nonce(Lane::Native).await, Ok(1));

    let balances = net.chain.balances().await.expect("balances");
    assert_eq!((balances.escrow, balances.locked), (AttoFil::fil(10), AttoFil::ZERO));
    assert!(balances.wallet < AttoFil::fil(90) && balances.wallet > AttoFil::fil(89));
    assert_eq!(net.wallet.balance(Lane::Native).await, Ok(balances.wallet));
}

#[tokio::test]
async fn a_replacement_takes_the_place_of_what_it_replaces() {
    let net = Net::funded().await;
    let first = done(net.wallet.prepare(&TEN, 0, None).await);
    let second = done(net.wallet.prepare(&TEN, 0, Some(first.fees)).await);
    assert!(second.fees.premium.0 > first.fees.premium.0 * 5 / 4);
    assert_eq!(net.wallet.broadcast(Lane::Native, &first).await, Broadcast::Taken);
    assert_eq!(net.wallet.broadcast(Lane::Native, &second).await, Broadcast::Taken);
    net.advance(3).await;
    assert_eq!(net.wallet.included(Lane::Native, &first.hash).await, Ok(None));
    assert!(net.wallet.included(Lane::Native, &second.hash).await.expect("an answer").is_some());
    let balances = net.chain.balances().await.expect("balances");
    assert_eq!(balances.escrow, AttoFil::fil(10), "paid once");
}

#[tokio::test]
async fn what_cannot_be_paid_is_refused_or_fails_on_chain() {
    let net = Net::funded().await;
    let all = TxIntent::AddBalance { amount: AttoFil::fil(1_000) };
    match net.wallet.prepare(&all, 0, None).await {
        Effect::Done(tx) => {
            let sent = net.wallet.broadcast(Lane::Native, &tx).await;
            assert!(matches!(sent, Broadcast::Refused(_)), "{sent:?}");
        }
        other => assert!(matches!(other, Effect::Failed(_)), "{other:?}"),
    }
    let ahead = done(net.wallet.prepare(&TEN, 5, None).await);
    let gap = net.wallet.broadcast(Lane::Native, &ahead).await;
    assert!(matches!(gap, Broadcast::Refused(_)), "{gap:?}");
}

#[tokio::test]
async fn a_send_is_made_once_per_endpoint_and_never_repeated() {
    let net = Net::funded().await;
    let tx = done(net.wallet.prepare(&TEN, 0, None).await);
    let busy = json!({"error": {"code": -32603, "message": "server busy. please retry"}});
    let (url, count) = counting(busy).await;
    let at = |ends: &[EndpointConfig]| {
        let config = WalletConfig { chain_id: 1, contract: None, max_gas_cost: AttoFil::ZERO };
        KeyWallet::new(Key::from_bytes(&[7; 32]).expect("a key"), pool(ends, 1), config)
    };
    let busy = EndpointConfig::new(url.parse().expect("a URL"));
    let alone = at(std::slice::from_ref(&busy)).broadcast(Lane::Native, &tx).await;
    assert!(matches!(alone, Broadcast::Uncertain(_)), "{alone:?}");
    assert_eq!(count.load(Ordering::SeqCst), 1, "never repeated by itself");
    // The other endpoint gets the same bytes, and then has them.
    let both = at(&[busy, endpoint(&net.devnet)]);
    assert_eq!(both.broadcast(Lane::Native, &tx).await, Broadcast::Taken);
    assert_eq!(both.broadcast(Lane::Native, &tx).await, Broadcast::AlreadyKnown);
    // Gas above the configured maximum is refused before anything is signed.
    let poor = both.prepare(&TEN, 1, None).await;
    assert!(matches!(&poor, Effect::Failed(why) if why.contains("maximum")), "{poor:?}");
}
