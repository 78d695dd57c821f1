//! What the mempool takes, in which order it is executed, and who pays.

use crate::bench::Bench;
use alloy_consensus::{SignableTransaction, TxEip2930, TxEnvelope, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256};
use k256::ecdsa::SigningKey;
use raas_core::ids::ActorId;
use raas_devnet::fevm::{BASE_FEE, DecodeError, EthKey, Exit, Kind, PoolError, Unsigned, masked};

const TO: Address = Address::repeat_byte(0x42);
const LIMIT: u64 = 3_000_000;

fn transfer(nonce: u64, value: u64) -> Unsigned {
    Unsigned { value: U256::from(value), ..Unsigned::new(TxKind::Call(TO), nonce, Bytes::new(), LIMIT) }
}

fn refused(bench: &mut Bench, unsigned: &Unsigned) -> PoolError {
    let raw = bench.key.sign(unsigned, bench.fevm.chain_id());
    bench.fevm.push(&raw).expect_err("refused")
}

#[test]
fn nonces_are_taken_in_order_without_gaps() {
    let mut bench = Bench::new();
    let gap = refused(&mut bench, &transfer(1, 1));
    assert_eq!(gap, PoolError::NonceGap { expected: 0, got: 1 });
    assert!(gap.to_string().ends_with("unfulfilled nonce gap"));
    bench.push(&transfer(0, 1));
    bench.push(&transfer(1, 1));
    bench.step();
    let low = refused(&mut bench, &transfer(1, 5));
    assert_eq!(low.to_string(), "minimum expected nonce is 2, got 1: message nonce too low");
    assert_eq!(bench.fevm.next_nonce(&bench.key.address()), 2);
}

#[test]
fn a_replacement_pays_a_tenth_more_and_the_same_again_exists() {
    let mut bench = Bench::new();
    let first = transfer(0, 1);
    let old = bench.push(&first);
    let same = refused(&mut bench, &first);
    assert!(same.to_string().ends_with("message with nonce already exists"));
    let raised = |premium: u128| Unsigned { premium, fee_cap: premium + 200, ..transfer(0, 2) };
    let needed = first.premium * 110 / 100 + 1;
    let cheap = refused(&mut bench, &raised(needed - 1));
    assert!(cheap.to_string().ends_with("replace by fee has too low GasPremium"));
    let new = bench.push(&raised(needed));
    bench.step();
    assert!(bench.fevm.find(&old).is_none());
    assert!(bench.fevm.find(&new).is_some());
}

#[test]
fn what_is_no_transaction_for_this_chain_is_named() {
    let mut bench = Bench::new();
    let foreign = bench.key.sign(&transfer(0, 1), 1);
    let error = bench.fevm.push(&foreign).expect_err("another chain");
    assert_eq!(error, PoolError::Decode(DecodeError::ChainId { got: 1, want: 31_415_926 }));
    assert!(matches!(bench.fevm.push(&[1, 2, 3]), Err(PoolError::Decode(DecodeError::Type(1)))));
    assert!(matches!(bench.fevm.push(&[]), Err(PoolError::Decode(DecodeError::Malformed(_)))));
    let mut raw = bench.key.sign(&transfer(0, 1), bench.fevm.chain_id());
    raw.push(0);
    assert!(matches!(bench.fevm.push(&raw), Err(PoolError::Decode(DecodeError::Malformed(_)))));
    let cap = u128::from(BASE_FEE) - 1;
    let cheap = Unsigned { fee_cap: cap, premium: 0, ..transfer(0, 1) };
    assert!(refused(&mut bench, &cheap).to_string().ends_with("gas fee cap too low"));
    // Ethereum's limit of a plain transfer is a hundredth of Filecoin's.
    let small = Unsigned { gas_limit: 21_000, ..transfer(0, 1) };
    assert_eq!(refused(&mut bench, &small), PoolError::GasLimit { got: 21_000, least: 2_100_000 });
}

#[test]
fn the_sender_must_afford_all_that_it_has_pooled() {
    let mut bench = Bench::new();
    let poor = EthKey::from_bytes(&[9; 32]).unwrap();
    let one = transfer(0, 1_000);
    let cost = U256::from(one.fee_cap) * U256::from(LIMIT) + one.value;
    bench.fevm.grant(poor.address(), bench.height, cost * U256::from(2) - U256::ONE);
    bench.key = poor;
    bench.push(&one);
    let error = refused(&mut bench, &transfer(1, 1_000));
    assert!(matches!(error, PoolError::Funds { required, .. } if required == cost * U256::from(2)));
}

#[test]
fn gas_is_charged_by_use_and_nothing_is_lost() {
    let mut bench = Bench::new();
    let from = bench.key.address();
    let before = bench.fevm.newest(&from).balance;
    let hash = bench.push(&transfer(0, 1_000));
    let effects = bench.step();
    let executed = bench.fevm.find(&hash).unwrap().2.clone();
    assert_eq!((executed.exit, executed.gas_used), (Exit::OK, 2_100_000));
    let after = bench.fevm.newest(&from);
    assert_eq!((after.nonce, bench.fevm.newest(&TO).balance), (1, U256::from(1_000)));
    assert_eq!(before - after.balance, U256::from(1_000) + effects.burned + effects.tips);
    // 3,000,000 is 1.43 times the use: part of the rest burns.
    let used = U256::from(2_100_000 * BASE_FEE);
    assert!(effects.burned > used && effects.burned < used * U256::from(2));
    assert_eq!(effects.addresses, [TO.min(from), TO.max(from)]);
}

#[test]
fn value_for_a_native_actor_leaves_the_fevm_once() {
    let mut bench = Bench::new();
    let to = TxKind::Call(masked(ActorId(99)));
    for nonce in 0..2 {
        bench.push(&Unsigned { to, ..transfer(nonce, 500) });
    }
    let effects = bench.step();
    assert_eq!(effects.credits.into_iter().collect::<Vec<_>>(), [(ActorId(99), U256::from(1_000))]);
}

#[test]
fn the_best_premium_goes_first_but_one_sender_keeps_its_order() {
    let mut bench = Bench::new();
    let other = EthKey::from_bytes(&[9; 32]).unwrap();
    bench.fevm.grant(other.address(), bench.height, U256::from(10).pow(U256::from(20)));
    let cheap = bench.push(&transfer(0, 1));
    let rich = Unsigned { premium: 900_000, fee_cap: 1_000_000, ..transfer(1, 1) };
    let dear = bench.push(&rich);
    let mid = Unsigned { premium: 500_000, fee_cap: 1_000_000, ..transfer(0, 1) };
    let mid = bench.fevm.push(&other.sign(&mid, bench.fevm.chain_id())).unwrap();
    bench.step();
    let order: Vec<_> = bench.fevm.executed(bench.height).iter().map(|done| done.transaction.hash).collect();
    assert_eq!(order, [mid, cheap, dear]);
}

#[test]
fn a_block_takes_no_more_than_its_gas() {
    let mut bench = Bench::new();
    let big = |nonce| Unsigned { gas_limit: 6_000_000_000, ..transfer(nonce, 1) };
    bench.push(&big(0));
    bench.push(&big(1));
    bench.step();
    assert_eq!(bench.fevm.executed(bench.height).len(), 1);
    assert!(bench.fevm.has_pending());
    bench.step();
    assert_eq!(bench.fevm.executed(bench.height).len(), 1);
    assert!(!bench.fevm.has_pending());
}

/// Signs any kind of transaction with the key of the bench.
fn sign<T: SignableTransaction<Signature>>(transaction: T) -> Vec<u8>
where
    TxEnvelope: From<alloy_consensus::Signed<T>>,
{
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    let signature = key.sign_prehash_recoverable(transaction.signature_hash().as_slice()).unwrap();
    TxEnvelope::from(transaction.into_signed(Signature::from(signature))).encoded_2718()
}

#[test]
fn legacy_transactions_are_taken_with_and_without_chain_id_and_access_lists_are_not() {
    let mut bench = Bench::new();
    let legacy = |nonce, chain_id| TxLegacy {
        chain_id,
        nonce,
        gas_price: 100_200,
        gas_limit: LIMIT,
        to: TxKind::Call(TO),
        value: U256::from(5),
        input: Bytes::new(),
    };
    let bound = bench.fevm.push(&sign(legacy(0, Some(31_415_926)))).unwrap();
    let free = bench.fevm.push(&sign(legacy(1, None))).unwrap();
    let foreign = bench.fevm.push(&sign(legacy(2, Some(314))));
    assert_eq!(foreign, Err(PoolError::Decode(DecodeError::ChainId { got: 314, want: 31_415_926 })));
    let listed = TxEip2930 { chain_id: 31_415_926, nonce: 2, gas_limit: LIMIT, ..TxEip2930::default() };
    assert_eq!(bench.fevm.push(&sign(listed)), Err(PoolError::Decode(DecodeError::Type(1))));
    bench.step();
    for (hash, bound_to_chain) in [(bound, true), (free, false)] {
        let executed = bench.fevm.find(&hash).unwrap().2;
        assert_eq!(executed.transaction.kind, Kind::Legacy { bound_to_chain });
        assert_eq!(executed.transaction.from, bench.key.address());
    }
    assert_eq!(bench.fevm.newest(&TO).balance, U256::from(10));
}

#[test]
fn a_sender_has_a_hundred_transactions_in_the_mempool_and_no_more() {
    let mut bench = Bench::new();
    for nonce in 0..100 {
        bench.push(&transfer(nonce, 1));
    }
    let error = refused(&mut bench, &transfer(100, 1));
    assert_eq!(error, PoolError::TooMany(bench.key.address()));
    assert!(error.to_string().starts_with("too many pending messages for actor"));
    let first = transfer(7, 1);
    let dearer = Unsigned { premium: first.premium * 2, fee_cap: first.fee_cap * 2, ..transfer(7, 2) };
    bench.push(&dearer);
    bench.step();
    bench.push(&transfer(100, 1));
}
