//! The wallet's two accounts on the devnet: nonces, sends, replacements, what is lost on the way.

use crate::server::busy_pool;
use crate::support::{Net, control, done, endpoint, pool};
use raas_clients::filecoin::identify;
use raas_clients::key::Key;
use raas_clients::rpc::EndpointConfig;
use raas_clients::wallet::{Allocated, KeyWallet, WalletConfig};
use raas_core::allocation::{Allocation, DataCap, Waiting};
use raas_core::cid::Commitment;
use raas_core::ids::{DealId, ProviderId};
use raas_core::ports::{Balances, Broadcast, Chain, Effect, Lane, NoQuote, Taker, TxIntent, Wallet};
use raas_core::units::{AttoFil, Epoch, Epochs, PaddedSize};
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

/// The wallet of the tests over these endpoints.
fn wallet(ends: &[EndpointConfig], chain_id: u64, genesis: Option<&str>, max: AttoFil) -> KeyWallet {
    let genesis = genesis.map(str::to_owned);
    let config = WalletConfig { chain_id, genesis, contracts: Vec::new(), max_gas_cost: max };
    KeyWallet::new(Key::from_bytes(&[7; 32]).expect("a key"), pool(ends, 1), config)
}

#[tokio::test]
async fn a_send_is_made_once_per_endpoint_and_never_repeated() {
    let net = Net::funded().await;
    let tx = done(net.wallet.prepare(&TEN, 0, None).await);
    let chain_id = identify(&net.pool).await.expect("a network").chain_id;
    // It tells the right network and then is too busy to take anything.
    let (url, pushed) = busy_pool(chain_id).await;
    let busy = EndpointConfig::new(url.parse().expect("a URL"));
    let alone = wallet(std::slice::from_ref(&busy), chain_id, None, AttoFil::ZERO);
    let sent = alone.broadcast(Lane::Native, &tx).await;
    assert!(matches!(sent, Broadcast::Uncertain(_)), "{sent:?}");
    assert_eq!(pushed.load(Ordering::SeqCst), 1, "never repeated by itself");
    // The other endpoint gets the same bytes, and then has them.
    let both = wallet(&[busy, endpoint(&net.devnet)], chain_id, None, AttoFil::ZERO);
    assert_eq!(both.broadcast(Lane::Native, &tx).await, Broadcast::Taken);
    assert_eq!(both.broadcast(Lane::Native, &tx).await, Broadcast::AlreadyKnown);
    // Gas above the configured maximum is refused before anything is signed.
    let poor = both.prepare(&TEN, 1, None).await;
    assert!(matches!(&poor, Effect::Failed(why) if why.contains("maximum")), "{poor:?}");
}

/// A native message has no chain id: on another network with the same key it would be valid.
#[tokio::test]
async fn fault_27_an_endpoint_of_another_network_is_sent_nothing() {
    let net = Net::funded().await;
    let tx = done(net.wallet.prepare(&TEN, 0, None).await);
    let identity = identify(&net.pool).await.expect("a network");
    let ends = [endpoint(&net.devnet)];
    let others = [
        wallet(&ends, 314, Some(&identity.genesis_cid), AttoFil::fil(1)),
        wallet(&ends, identity.chain_id, Some("bafyother"), AttoFil::fil(1)),
    ];
    for other in others {
        let sent = other.broadcast(Lane::Native, &tx).await;
        assert!(matches!(&sent, Broadcast::Refused(why) if why.contains("nothing was sent")), "{sent:?}");
    }
    net.advance(3).await;
    assert_eq!(net.wallet.included(Lane::Native, &tx.hash).await, Ok(None));
    assert_eq!(
        net.wallet.broadcast(Lane::Native, &tx).await,
        Broadcast::Taken,
        "and to its own network it is"
    );
}

#[tokio::test]
async fn who_took_a_nonce_is_found_where_hashes_are_forgotten() {
    let net = Net::funded().await;
    let lost = Taker::Nobody;
    assert_eq!(net.wallet.taker(Lane::Native, 0, Epoch(1)).await, Ok(lost.clone()));
    assert_eq!(net.wallet.taker(Lane::Evm, 0, Epoch(1)).await, Ok(lost));
    let gift = |lane, amount| {
        let to = net.wallet.eth_address().to_string();
        TxIntent::Transfer { from: lane, to, amount: AttoFil(amount) }
    };
    for lane in [Lane::Native, Lane::Evm] {
        let signed = [
            done(net.wallet.prepare(&gift(lane, 5), 0, None).await),
            done(net.wallet.prepare(&gift(lane, 6), 1, None).await),
        ];
        for tx in &signed {
            assert_eq!(net.wallet.broadcast(lane, tx).await, Broadcast::Taken);
        }
        net.advance(1_200).await;
        for (nonce, tx) in (0..).zip(&signed) {
            let by_hash = net.wallet.included(lane, &tx.hash).await.expect("an answer").expect("executed");
            let taker = net.wallet.taker(lane, nonce, Epoch(0)).await.expect("an answer");
            assert_eq!(taker, Taker::Tx { hash: tx.hash.clone(), inclusion: by_hash }, "{lane:?} {nonce}");
        }
        assert_eq!(net.wallet.taker(lane, 2, Epoch(0)).await, Ok(Taker::Nobody));
    }
}

#[tokio::test]
async fn escrow_comes_back_and_money_goes_where_it_is_sent() {
    let net = Net::funded().await;
    net.escrow(AttoFil::fil(10)).await;
    assert!(net.execute(&TxIntent::Withdraw { amount: AttoFil::fil(4) }).await.success);
    assert_eq!(net.chain.balances().await.expect("balances").escrow, AttoFil::fil(6));
    let before = net.wallet.balance(Lane::Evm).await.expect("a balance");
    let to = net.wallet.eth_address().to_string();
    let gift = TxIntent::Transfer { from: Lane::Native, to, amount: AttoFil::fil(3) };
    assert!(net.execute(&gift).await.success);
    assert_eq!(net.wallet.balance(Lane::Evm).await, Ok(before.plus(AttoFil::fil(3))));
    let settled = net.execute(&TxIntent::Settle { deals: vec![DealId(3), DealId(9)] }).await;
    assert!(settled.success, "unknown deals are told in its return");
    // What only takes a nonce costs gas alone.
    for lane in [Lane::Native, Lane::Evm] {
        let nonce = net.wallet.chain_nonce(lane).await.expect("a nonce");
        assert!(net.execute(&TxIntent::Cancel { lane }).await.success);
        assert_eq!(net.wallet.chain_nonce(lane).await, Ok(nonce + 1));
    }
    let f1 = net.wallet.native_address().to_string();
    let refused =
        net.wallet.quote(&TxIntent::Transfer { from: Lane::Evm, to: f1, amount: AttoFil(1) }, 0, None).await;
    assert!(matches!(&refused, Err(NoQuote::Refused(why)) if why.contains("0x form")), "{refused:?}");
}

/// DataCap goes from the verifier to the account, from there to the registry, and the receipt tells the number.
#[tokio::test]
async fn datacap_is_set_aside_by_a_native_message_and_its_return_is_read() {
    let net = Net::start().await;
    assert_eq!(net.chain.datacap().await, Ok(DataCap::default()), "an account that nobody knows");
    let net = Net::funded().await;
    let address = net.wallet.native_address().to_string();
    control(&net.pool, "devnet_datacap", json!([address, 3 << 20])).await;
    net.advance(2).await;
    let head = net.round().await.head;
    let allocation = Allocation {
        provider: ProviderId::new(1_000),
        piece: Commitment([1; 32]),
        size: PaddedSize::new(1 << 20).expect("a size"),
        term_min: Epochs::days(180),
        term_max: Epochs::days(540),
        expiration: head.after(Epochs::days(1)),
    };
    allocation.check(head).expect("a good one");
    let nonce = net.wallet.chain_nonce(Lane::Native).await.expect("a nonce");
    let tx = done(net.wallet.prepare(&TxIntent::Allocate(allocation), nonce, None).await);
    assert!(net.land(Lane::Native, &tx).await.success);
    let found =
        control(&net.pool, "Filecoin.StateSearchMsg", json!([null, { "/": tx.hash }, -1, true])).await;
    let returned = found["Receipt"]["Return"].as_str().expect("a return");
    let returned = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, returned);
    let allocated = Allocated::of_return(&returned.expect("base64"));
    assert_eq!(allocated, Ok(Allocated { left: 2 << 20, ids: vec![1] }));
    let datacap = net.chain.datacap().await.expect("an answer");
    let waiting = Waiting {
        id: 1,
        provider: allocation.provider,
        piece: allocation.piece.to_string(),
        size: 1 << 20,
        term_min: allocation.term_min.get(),
        term_max: allocation.term_max.get(),
        expiration: allocation.expiration,
    };
    assert_eq!(datacap, DataCap { bytes: 2 << 20, waiting: vec![waiting], frozen: false });
    control(&net.pool, "devnet_upgrade", json!([])).await;
    net.advance(2).await;
    let frozen = net.chain.datacap().await.expect("an answer");
    assert_eq!(frozen, DataCap { bytes: 2 << 20, waiting: vec![], frozen: true });
    let nonce = net.wallet.chain_nonce(Lane::Native).await.expect("a nonce");
    let tx = done(net.wallet.prepare(&TxIntent::Allocate(allocation), nonce, None).await);
    assert!(!net.land(Lane::Native, &tx).await.success, "forbidden since version 29");
}
