//! The contract: A11, and that nothing registered vanishes (A12).

use super::{ACCOUNT, CONTRACT, DAY, History, LAG, T, broken, sent};
use crate::crossing::{Crossing, Sent};
use crate::judge::Judge;
use crate::judge::requests::{
    CompleteAggregatorRequest, Proof, RequestRegistered, SubmitAggregatorRequest, Verifier, completeCall,
};
use alloy_primitives::{Address, B256, Bytes, LogData, U256};
use alloy_sol_types::{SolCall, SolEvent};
use raas_devnet::ledger::Fact;

fn log(data: &LogData) -> Fact {
    Fact::Log {
        contract: CONTRACT.to_owned(),
        topics: data.topics().iter().map(ToString::to_string).collect(),
        data: hex::encode(&data.data),
    }
}

fn requested(history: History, at: i64, id: u64, owner: Address) -> History {
    let id = U256::from(id);
    let cid = Bytes::from_static(b"cid");
    history
        .fact(at, log(&SubmitAggregatorRequest { id, cid }.encode_log_data()))
        .fact(at, log(&RequestRegistered { id, cidKey: B256::ZERO, owner }.encode_log_data()))
}

fn somebody() -> Address {
    Address::repeat_byte(1)
}

fn completed(history: History, at: i64, request: u64, deal: u64) -> History {
    let event = CompleteAggregatorRequest { id: U256::from(request), dealId: deal };
    history.fact(at, log(&event.encode_log_data()))
}

/// `complete` leaves.
fn completes(history: History, at: i64, nonce: u64, intent: u64, request: u64, deal: u64) -> History {
    let empty = || super::super::requests::Path { index: 0, path: Vec::new() };
    let call = completeCall {
        id: U256::from(request),
        dealId: deal,
        minerId: 1_000,
        proof: Proof { subtree: empty(), index: empty() },
        data: Verifier { commPc: Bytes::new(), sizePc: 0 },
    };
    let to = CONTRACT.to_owned();
    history.cross(
        at,
        Crossing::Transaction(Sent { to, data: call.abi_encode(), ..sent("evm", nonce, Some(intent)) }),
    )
}

fn mined(history: History, at: i64, nonce: u64, intent: u64, success: bool) -> History {
    let hash = sent("evm", nonce, Some(intent)).hash;
    let (from, to, selector) = (ACCOUNT.to_owned(), None, String::new());
    history.fact(at, Fact::Transaction { hash, from, to, nonce, selector, success })
}

fn one() -> History {
    requested(History::default().copy(T, "p", 1_000, 1), T, 1, somebody())
}

fn offering(history: History) -> Judge {
    let mut judge = super::judge(1);
    judge.offers(b"cid", "p");
    judge.offers(b"other", "q");
    history.judged(&mut judge).expect("a lawful history");
    judge
}

#[test]
fn a11_a_request_is_applied_too_early_twice_or_as_another() {
    let job = |id| (id, b"cid".to_vec());
    let mut judge = offering(one());
    judge.jobs(T + LAG, &[job(1)]).expect("final, and applied once");
    broken(offering(one()).jobs(T + LAG - 1, &[job(1)]), "A11");
    broken(offering(one()).jobs(T + LAG, &[job(1), job(1)]), "A11");
    broken(offering(one()).jobs(T + LAG, &[job(2)]), "A11");
    broken(offering(one()).jobs(T + LAG, &[(1, b"other".to_vec())]), "A11");
    broken(judge.jobs(T + DAY, &[]), "A12");
}

#[test]
fn a11_a_request_is_never_served() {
    let mut judge = offering(one());
    let later = T + DAY;
    assert!(judge.unfinished(later).is_some_and(|why| why.contains("no job")));
    judge.jobs(later, &[(1, b"cid".to_vec())]).expect("applied");
    assert!(judge.unfinished(later).is_some_and(|why| why.contains("was shown 0")));
    let mut judge = offering(completed(one(), T + 500, 1, 1));
    judge.jobs(later, &[(1, b"cid".to_vec())]).expect("applied");
    assert_eq!(judge.unfinished(later), None);
}

#[test]
fn a11_a_deal_is_shown_twice_or_before_its_time() {
    completed(one(), T + 500, 1, 1).passes(1);
    completed(completed(one(), T + 500, 1, 1), T + 600, 1, 1).breaks(1, "A11");
    completes(one(), T + 101 + LAG, 0, 7, 1, 1).passes(1);
    completes(one(), T + 99 + LAG, 0, 7, 1, 1).breaks(1, "A11");
    completes(one(), T + DAY, 0, 7, 1, 2).breaks(1, "A11");
    let first = || completes(one(), T + DAY, 0, 7, 1, 1);
    completes(first(), T + DAY + 1, 1, 8, 1, 1).breaks(1, "A11");
    // After one that failed there may be another.
    completes(mined(first(), T + DAY, 0, 7, false), T + DAY + 1, 1, 8, 1, 1).passes(1);
    completes(mined(first(), T + DAY, 0, 7, true), T + DAY + 1, 1, 8, 1, 1).breaks(1, "A11");
}

#[test]
fn a11_the_node_registers_one_job_twice_or_never() {
    let own: Address = ACCOUNT.parse().expect("an address");
    let registering = |history: History| {
        let mut judge = super::judge(1);
        judge.registers(b"cid");
        history.judged(&mut judge).map(|()| judge)
    };
    let once = || requested(History::default(), T, 1, own);
    registering(once()).expect("once");
    broken(registering(requested(once(), T + 1, 2, own)).map(|_| ()), "A11");
    registering(requested(once(), T + 1, 2, somebody())).expect("another owner's");
    let never = registering(History::default()).expect("nothing happened").unfinished(T);
    assert!(never.is_some_and(|why| why.starts_with("A11")));
}
