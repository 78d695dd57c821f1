//! The real DealStatus bytecode over chosen answers of the market.

use crate::bench::{
    Bench, CompleteAggregatorRequest, DealNotActive, HandDeal, InvalidTarget, Path, Proof,
    SubmitAggregatorRequestWithRaaS, Verifier, completeCall, direct, getActiveDealsCall, getAllDealsCall,
    getExpiringDealsCall, piece_cid, requestCountCall, submitCall, submitRaaSCall,
};
use alloy_primitives::{Address, B256, Bytes, I256, TxKind, U256};
use alloy_sol_types::{SolCall, SolError, SolEvent};
use raas_devnet::fevm::{Exit, Failure};

const VECTORS: &str = include_str!("../../../../contracts/test/vectors/podsi.json");
const CID: &[u8] = b"bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";

fn deal(bench: &Bench, activated: bool, duration: i64) -> HandDeal {
    HandDeal {
        digest: [9; 32],
        size: 2_048,
        provider: 1_000,
        start: bench.height - 10,
        duration,
        activated: activated.then_some(bench.height - 5),
    }
}

fn with_request() -> (Bench, Address) {
    let mut bench = Bench::new();
    let contract = bench.deploy_deal_status();
    let submit = submitRaaSCall {
        cid: CID.into(),
        target: U256::from(3),
        repair: U256::from(2_880),
        renew: U256::from(86_400),
    };
    let submitted = bench.send(TxKind::Call(contract), submit.abi_encode());
    assert!(submitted.exit.is_ok());
    let event = submitted
        .logs
        .iter()
        .find_map(|log| SubmitAggregatorRequestWithRaaS::decode_log(log).ok())
        .expect("the frozen event");
    assert_eq!((event.id, event.target), (U256::from(1), U256::from(3)));
    assert_eq!(event.cid, Bytes::from(CID));
    (bench, contract)
}

fn complete(deal: u64) -> Vec<u8> {
    let data = Verifier { commPc: piece_cid(&[9; 32]).into(), sizePc: 2_048 };
    let call = completeCall { id: U256::from(1), dealId: deal, minerId: 1_000, proof: direct(), data };
    call.abi_encode()
}

#[test]
fn a_request_is_completed_by_an_active_deal_and_only_by_one() {
    let (mut bench, contract) = with_request();
    bench.market.next = 10;
    bench.market.deals.insert(7, deal(&bench, true, 600_000));
    bench.market.deals.insert(8, deal(&bench, false, 600_000));

    let done = bench.send(TxKind::Call(contract), complete(7));
    assert_eq!(done.exit, Exit::OK);
    let event = done.logs.iter().find_map(|log| CompleteAggregatorRequest::decode_log(log).ok()).unwrap();
    assert_eq!((event.id, event.dealId), (U256::from(1), 7));
    // The three questions about the deal, and its term, went to f05.
    let asked = bench.market.calls.borrow().clone();
    assert!(asked.contains(&(5, 2_567_238_399)) && asked.contains(&(5, 1_157_985_802)), "{asked:?}");

    // Not activated: exit 0, activation -1. Removed: 32. Never there: 17.
    for (id, exit) in [(8, 0), (9, 32), (11, 17)] {
        let refused = bench.send(TxKind::Call(contract), complete(id));
        assert_eq!(refused.exit, Exit::REVERTED);
        assert!(refused.logs.is_empty());
        let error = DealNotActive::abi_decode(&refused.output).unwrap();
        assert_eq!((error.dealId, error.exitCode), (id, I256::try_from(exit).unwrap()));
    }

    let active = bench.view(contract, &getActiveDealsCall { cid: CID.into() });
    assert_eq!(active.iter().map(|deal| (deal.dealId, deal.minerId)).collect::<Vec<_>>(), [(7, 1_000)]);
}

#[test]
fn every_golden_inclusion_proof_completes_and_no_altered_one_does() {
    let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
    let golden = vectors["golden"].as_array().unwrap();
    let (mut bench, contract) = with_request();
    let word = |value: &serde_json::Value| value.as_str().unwrap().parse::<B256>().unwrap();
    let path = |value: &serde_json::Value| value.as_array().unwrap().iter().map(word).collect::<Vec<_>>();
    for (number, vector) in (1_u64..).zip(golden) {
        let id = 100 + number;
        let deal = HandDeal {
            digest: word(&vector["deal_commitment"]).0,
            size: vector["deal_size"].as_u64().unwrap(),
            ..deal(&bench, true, 600_000)
        };
        bench.market.deals.insert(id, deal);
        // A request of its own, since a request is bound to the first piece it is completed with.
        let submit = submitCall { cid: format!("golden {number}").into_bytes().into() };
        bench.send(TxKind::Call(contract), submit.abi_encode());
        let request = bench.view(contract, &requestCountCall {});
        let complete = |subtree: Vec<B256>| completeCall {
            id: request,
            dealId: id,
            minerId: 1_000,
            proof: Proof {
                subtree: Path { index: vector["subtree_index"].as_u64().unwrap(), path: subtree },
                index: Path {
                    index: vector["entry_index"].as_u64().unwrap(),
                    path: path(&vector["entry_path"]),
                },
            },
            data: Verifier {
                commPc: piece_cid(&word(&vector["commitment"]).0).into(),
                sizePc: vector["size"].as_u64().unwrap(),
            },
        };
        let mut altered = path(&vector["subtree_path"]);
        altered[0].0[7] ^= 1;
        let forged = bench.send(TxKind::Call(contract), complete(altered).abi_encode());
        assert_eq!(forged.exit, Exit::REVERTED, "{}", vector["name"]);
        let done = bench.send(TxKind::Call(contract), complete(path(&vector["subtree_path"])).abi_encode());
        assert_eq!(done.exit, Exit::OK, "{}", vector["name"]);
        let aux = completeCall::abi_decode_returns(&done.output).unwrap();
        assert_eq!(aux.sizePa, vector["deal_size"].as_u64().unwrap());
        assert_eq!(aux.commPa, piece_cid(&word(&vector["deal_commitment"]).0));
    }
    assert!(golden.len() > 30);
}

#[test]
fn views_follow_the_market_and_the_epoch() {
    let (mut bench, contract) = with_request();
    bench.market.next = 10;
    bench.market.deals.insert(7, deal(&bench, true, 600_000));
    bench.send(TxKind::Call(contract), complete(7));

    let expiring =
        |bench: &Bench, epochs| bench.view(contract, &getExpiringDealsCall { cid: CID.into(), epochs }).len();
    let end = bench.market.deals[&7].start + 600_000;
    let left = u64::try_from(end - bench.height).unwrap();
    assert_eq!((expiring(&bench, left - 1), expiring(&bench, left)), (0, 1));

    // The deal is removed by the market: the view neither reverts nor counts it.
    bench.market.deals.clear();
    assert!(bench.view(contract, &getActiveDealsCall { cid: CID.into() }).is_empty());
    assert_eq!(bench.view(contract, &getAllDealsCall { cid: CID.into() }).len(), 1);
}

#[test]
fn the_past_stays_readable() {
    let (mut bench, contract) = with_request();
    let submitted = bench.height;
    bench.send(
        TxKind::Call(contract),
        submitRaaSCall {
            cid: b"x".as_slice().into(),
            target: U256::from(1),
            repair: U256::ZERO,
            renew: U256::ZERO,
        }
        .abi_encode(),
    );
    let count = |height| {
        let output = bench.call_at(height, contract, requestCountCall {}.abi_encode()).unwrap();
        requestCountCall::abi_decode_returns(&output).unwrap()
    };
    assert_eq!(count(submitted), U256::from(1));
    assert_eq!(count(bench.height), U256::from(2));
    // Before the deployment the address has no code, and a call answers nothing.
    assert_eq!(bench.call_at(submitted - 2, contract, requestCountCall {}.abi_encode()), Ok(Bytes::new()));
}

#[test]
fn revert_data_reaches_the_caller() {
    let mut bench = Bench::new();
    let contract = bench.deploy_deal_status();
    let call = submitRaaSCall { cid: CID.into(), target: U256::ZERO, repair: U256::ZERO, renew: U256::ZERO };
    let Err(Failure { exit, data }) = bench.call_at(bench.height, contract, call.abi_encode()) else {
        panic!("a target of 0 was accepted")
    };
    assert_eq!(exit, Exit::REVERTED);
    assert_eq!(InvalidTarget::abi_decode(&data).unwrap().target, U256::ZERO);
}

#[test]
fn a_market_that_cannot_be_asked_is_never_read_as_loss() {
    let (mut bench, contract) = with_request();
    bench.market.next = 10;
    bench.market.deals.insert(7, deal(&bench, true, 600_000));
    bench.send(TxKind::Call(contract), complete(7));
    let call = getActiveDealsCall { cid: CID.into() }.abi_encode();
    let trial =
        raas_devnet::fevm::Trial { from: None, to: Some(contract), value: U256::ZERO, data: call.into() };
    let estimate = bench.fevm.estimate(&trial, bench.tipset(bench.height), &bench.market).unwrap();
    assert!(estimate > 2_100_000, "Filecoin's scale, got {estimate}");
    // With the answer cut off by gas, the transaction fails instead of reporting an empty list.
    let nonce = bench.fevm.next_nonce(&bench.key.address());
    let starved = raas_devnet::fevm::Unsigned::new(TxKind::Call(contract), nonce, trial.data, estimate / 2);
    let hash = bench.push(&starved);
    bench.step();
    assert!(!bench.fevm.find(&hash).unwrap().2.exit.is_ok());
}
