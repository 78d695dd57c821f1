//! The contract: what was registered on it is applied exactly once and only at finality (A11), each request is shown
//! each of its deals exactly once and only when the deal is active at finality, and the node registers each of its own
//! jobs once.

use super::copies::Copies;
use crate::crossing::Sent;
use alloy_primitives::{B256, Log, LogData};
use alloy_sol_types::{SolCall, SolEvent, sol};
use std::collections::{BTreeMap, BTreeSet};

sol! {
    struct Path { uint64 index; bytes32[] path; }
    struct Proof { Path subtree; Path index; }
    struct Verifier { bytes commPc; uint64 sizePc; }
    function complete(uint256 id, uint64 dealId, uint64 minerId, Proof proof, Verifier data);
    event SubmitAggregatorRequest(uint256 indexed id, bytes cid);
    event SubmitAggregatorRequestWithRaaS(uint256 indexed id, bytes cid, uint256 target, uint256 repair, uint256 renew);
    event CompleteAggregatorRequest(uint256 indexed id, uint64 indexed dealId);
    event RequestRegistered(uint256 indexed id, bytes32 indexed cidKey, address indexed owner);
}

/// A request as the chain has it.
#[derive(Clone, Debug, Default)]
struct Request {
    at: i64,
    cid: Vec<u8>,
    own: bool,
}

pub struct Requests {
    contract: String,
    account: String,
    /// What can be served: the piece of each CID.
    pieces: BTreeMap<Vec<u8>, String>,
    /// Jobs of each CID that the node is to register itself.
    registers: BTreeMap<Vec<u8>, usize>,
    on_chain: BTreeMap<u64, Request>,
    applied: BTreeSet<u64>,
    completed: BTreeSet<(u64, u64)>,
    /// The intent that completes a request with a deal, and the last version that left.
    completes: BTreeMap<(u64, u64), u64>,
    hashes: BTreeMap<String, (u64, u64)>,
}

impl Requests {
    pub fn new(contract: String, account: String) -> Self {
        Self {
            contract,
            account,
            pieces: BTreeMap::new(),
            registers: BTreeMap::new(),
            on_chain: BTreeMap::new(),
            applied: BTreeSet::new(),
            completed: BTreeSet::new(),
            completes: BTreeMap::new(),
            hashes: BTreeMap::new(),
        }
    }

    pub fn offers(&mut self, cid: &[u8], piece: &str) {
        self.pieces.insert(cid.to_vec(), piece.to_owned());
    }

    pub fn registers(&mut self, cid: &[u8]) {
        *self.registers.entry(cid.to_vec()).or_default() += 1;
    }

    /// Whether the chain has a request for `piece`: one may have been taken back for good.
    pub fn are_for(&self, piece: &str) -> bool {
        self.on_chain.values().any(|request| self.pieces.get(&request.cid).is_some_and(|of| of == piece))
    }

    /// A log of the contract.
    pub fn log(&mut self, epoch: i64, topics: &[String], data: &str) -> Result<(), String> {
        let topics: Vec<B256> = topics.iter().filter_map(|topic| topic.parse().ok()).collect();
        let data = hex::decode(data).map_err(|error| error.to_string())?;
        let address = self.contract.parse().map_err(|_| "a contract without address")?;
        let log = Log { address, data: LogData::new_unchecked(topics, data.into()) };
        if let Ok(event) = SubmitAggregatorRequest::decode_log(&log) {
            self.registered(epoch, event.id.to(), |request| request.cid = event.cid.to_vec());
        } else if let Ok(event) = SubmitAggregatorRequestWithRaaS::decode_log(&log) {
            self.registered(epoch, event.id.to(), |request| request.cid = event.cid.to_vec());
        } else if let Ok(event) = RequestRegistered::decode_log(&log) {
            let own = event.owner.to_checksum(None) == self.account;
            self.registered(epoch, event.id.to(), |request| request.own = own);
        } else if let Ok(event) = CompleteAggregatorRequest::decode_log(&log) {
            let (request, deal) = (event.id.to(), event.dealId);
            if !self.completed.insert((request, deal)) {
                return Err(format!("A11: request {request} was completed twice with deal {deal}"));
            }
        }
        for (cid, wished) in &self.registers {
            let own = self.on_chain.values().filter(|request| request.own && request.cid == *cid).count();
            if own > *wished {
                return Err(format!("A11: {wished} jobs of one CID were registered {own} times by the node"));
            }
        }
        Ok(())
    }

    fn registered(&mut self, epoch: i64, id: u64, change: impl FnOnce(&mut Request)) {
        let request = self.on_chain.entry(id).or_default();
        request.at = epoch;
        change(request);
    }

    /// The node's jobs that have a request: each stands on the chain at finality, and none has two.
    pub fn jobs(&mut self, finalized: i64, jobs: &[(u64, Vec<u8>)]) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        for (id, cid) in jobs {
            if !seen.insert(*id) {
                return Err(format!("A11: request {id} has two jobs"));
            }
            let Some(request) = self.on_chain.get(id).filter(|request| request.at <= finalized) else {
                return Err(format!("A11: request {id} has a job before it is on the chain at finality"));
            };
            if self.pieces.get(&request.cid) != self.pieces.get(cid) {
                return Err(format!("A11: the job of request {id} is for another CID"));
            }
        }
        if let Some(vanished) = self.applied.difference(&seen).next() {
            return Err(format!("A12: the job of request {vanished} has vanished"));
        }
        self.applied = seen;
        Ok(())
    }

    /// A call of the contract leaves: a completion must be of a deal that is active at finality, and the only one.
    pub fn leaves(&mut self, sent: &Sent, finalized: i64, copies: &Copies) -> Result<(), String> {
        if sent.lane != "evm" || sent.to != self.contract {
            return Ok(());
        }
        let (Ok(call), Some(intent)) = (completeCall::abi_decode(&sent.data), sent.intent) else {
            return Ok(());
        };
        let which = (call.id.to::<u64>(), call.dealId);
        let copy = copies.of_deal(which.1);
        if copy.is_none_or(|copy| copy.activated.is_none_or(|at| at > finalized)) {
            return Err(format!(
                "A11: request {} was to be completed with deal {} before that was active at finality ({finalized}): {copy:?}",
                which.0, which.1
            ));
        }
        let first = self.completes.entry(which).or_insert(intent);
        if *first != intent {
            return Err(format!(
                "A11: request {} was to be completed with deal {} by the intents {first} and {intent}",
                which.0, which.1
            ));
        }
        self.hashes.insert(sent.hash.clone(), which);
        Ok(())
    }

    /// A transaction of the node's account was executed. After one that failed there may be another.
    pub fn mined(&mut self, hash: &str, success: bool) {
        if let Some(which) = self.hashes.get(hash)
            && !success
        {
            self.completes.remove(which);
        }
    }

    /// A request that was on the chain at finality and is not served: no job, or not shown enough of its deals.
    pub fn unserved(&self, finalized: i64, target: usize, copies: &Copies) -> Option<String> {
        for (cid, wished) in &self.registers {
            let own = self.on_chain.values().filter(|request| request.own && request.cid == *cid).count();
            if own < *wished {
                return Some(format!(
                    "A11: {wished} jobs of one CID were registered {own} times by the node"
                ));
            }
        }
        let served = self.on_chain.iter().filter(|(_, request)| request.at <= finalized);
        for (id, request) in served {
            let Some(piece) = self.pieces.get(&request.cid) else { continue };
            if !self.applied.contains(id) {
                return Some(format!("A11: request {id} has no job"));
            }
            let proven: Vec<u64> = copies
                .of(piece)
                .iter()
                .filter(|copy| {
                    copies.is_proven(copy, finalized) && copy.activated.is_some_and(|at| at <= finalized)
                })
                .filter_map(|copy| copy.deal)
                .collect();
            let shown = proven.iter().filter(|deal| self.completed.contains(&(*id, **deal))).count();
            if shown < target.min(proven.len()) {
                return Some(format!("A11: request {id} was shown {shown} of the deals {proven:?}"));
            }
        }
        None
    }
}
