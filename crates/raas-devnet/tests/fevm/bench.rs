//! A FEVM over a market made by hand, so that each of its answers can be chosen.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_sol_types::{SolCall, SolValue, sol};
use raas_core::ids::ActorId;
use raas_devnet::{
    Config,
    codec::to_cbor,
    fevm::{ActorCalls, EthKey, Executed, Failure, Fevm, Tipset, Trial, Unsigned},
    world::{CallResult, Chain},
};
use std::collections::BTreeMap;

sol! {
    struct Deal { uint64 dealId; uint64 minerId; }
    struct Path { uint64 index; bytes32[] path; }
    struct Proof { Path subtree; Path index; }
    struct Verifier { bytes commPc; uint64 sizePc; }
    struct Aux { bytes commPa; uint64 sizePa; }
    function submit(bytes cid) returns (uint256);
    function submitRaaS(bytes cid, uint256 target, uint256 repair, uint256 renew) returns (uint256);
    function complete(uint256 id, uint64 dealId, uint64 minerId, Proof proof, Verifier data) returns (Aux);
    function getAllDeals(bytes cid) returns (Deal[]);
    function getActiveDeals(bytes cid) returns (Deal[]);
    function getExpiringDeals(bytes cid, uint64 epochs) returns (Deal[]);
    function requestCount() returns (uint256);
    event SubmitAggregatorRequestWithRaaS(uint256 indexed id, bytes cid, uint256 target, uint256 repair, uint256 renew);
    event CompleteAggregatorRequest(uint256 indexed id, uint64 indexed dealId);
    error DealNotActive(uint64 dealId, int256 exitCode);
    error InvalidTarget(uint256 target, uint256 max);
}

/// The DealStatus contract as the repository ships it.
fn artifact() -> serde_json::Value {
    serde_json::from_str(include_str!("../../../../contracts/artifacts/DealStatus.json")).unwrap()
}

/// Init code of its library.
pub fn library_code() -> Bytes {
    artifact()["library"]["bytecode"].as_str().unwrap().parse().unwrap()
}

/// Init code of the contract itself; `owner` has every role, and there is no deposit.
pub fn deal_status(library: Address, owner: Address) -> Bytes {
    let artifact = artifact();
    let placeholder = artifact["library"]["placeholder"].as_str().unwrap();
    let code = artifact["bytecode"].as_str().unwrap().replace(placeholder, &hex::encode(library));
    let code: Bytes = code.parse().unwrap();
    // admin, admin delay, aggregator, pauser, submitter, restricted, deposit, open requests.
    let settings = (owner, U256::from(3 * 86_400), owner, owner, owner, false, U256::ZERO, U256::from(1_000));
    [code.to_vec(), settings.abi_encode()].concat().into()
}

/// A proof with both paths empty: the piece is the deal.
pub fn direct() -> Proof {
    let empty = || Path { index: 0, path: Vec::new() };
    Proof { subtree: empty(), index: empty() }
}

/// A deal of the market made by hand.
#[derive(Clone, Debug)]
pub struct HandDeal {
    pub digest: [u8; 32],
    pub size: u64,
    pub provider: u64,
    pub start: i64,
    pub duration: i64,
    pub activated: Option<i64>,
}

/// A market with chosen deals. Ids below `next` that are not in it are gone.
#[derive(Clone, Debug, Default)]
pub struct HandMarket {
    pub deals: BTreeMap<u64, HandDeal>,
    pub next: u64,
    pub calls: std::cell::RefCell<Vec<(u64, u64)>>,
}

/// `0181e203922020` and the digest.
pub fn piece_cid(digest: &[u8; 32]) -> Vec<u8> {
    [&[0x01, 0x81, 0xe2, 0x03, 0x92, 0x20, 0x20], digest.as_slice()].concat()
}

fn exit(exit: i64) -> CallResult {
    CallResult { exit, codec: 0, ret: Vec::new() }
}

fn ok(value: &impl serde::Serialize) -> CallResult {
    CallResult { exit: 0, codec: 0x51, ret: to_cbor(value).unwrap() }
}

impl ActorCalls for HandMarket {
    fn call(&self, actor: ActorId, method: u64, params: &[u8]) -> CallResult {
        self.calls.borrow_mut().push((actor.0, method));
        if actor != ActorId(5) {
            return exit(if actor == ActorId(1_000) { 22 } else { -6 });
        }
        let Ok(id) = raas_devnet::codec::from_cbor::<u64>(params) else { return exit(21) };
        let Some(deal) = self.deals.get(&id) else { return exit(if id < self.next { 32 } else { 17 }) };
        match method {
            2_567_238_399 => ok(&(deal.activated.unwrap_or(-1), -1)),
            163_777_312 => ok(&(deal.start, deal.duration)),
            935_081_690 => ok(&deal.provider),
            1_157_985_802 => ok(&(cid::Cid::try_from(piece_cid(&deal.digest)).unwrap(), deal.size)),
            822_473_126 => exit(25),
            _ => exit(22),
        }
    }

    fn resolve(&self, address: &[u8]) -> Option<ActorId> {
        match address {
            [0, 5] => Some(ActorId(5)),
            _ => None,
        }
    }

    fn delegated(&self, actor: ActorId) -> Option<Vec<u8>> {
        (actor == ActorId(10_000)).then(|| [&[4, 10], [7; 20].as_slice()].concat())
    }

    fn native_balance(&self, actor: ActorId) -> Option<U256> {
        [0, 5, 99, 1_000].contains(&actor.0).then_some(U256::ZERO)
    }
}

/// The FEVM, a clock, a market and one funded key.
pub struct Bench {
    pub fevm: Fevm,
    pub chain: Chain,
    pub market: HandMarket,
    pub key: EthKey,
    pub height: i64,
}

impl Bench {
    pub fn new() -> Self {
        // One block per tipset, so that its gas is that of one.
        let config = Config { blocks_per_tipset: 1, ..Config::default() };
        let key = EthKey::from_bytes(&[7; 32]).unwrap();
        let mut fevm = Fevm::new(config.chain_id);
        let height = config.start_height;
        fevm.grant(key.address(), height, U256::from(10).pow(U256::from(21)));
        Self { fevm, chain: Chain::new(&config), market: HandMarket::default(), key, height }
    }

    pub fn tipset(&self, height: i64) -> Tipset<'_> {
        Tipset { chain: &self.chain, height, miner: ActorId(1_000) }
    }

    /// Executes the mempool in the next epoch.
    pub fn step(&mut self) -> raas_devnet::fevm::TipsetEffects {
        self.height += 1;
        let tipset = Tipset { chain: &self.chain, height: self.height, miner: ActorId(1_000) };
        self.fevm.execute_tipset(tipset, &self.market)
    }

    pub fn push(&mut self, unsigned: &Unsigned) -> B256 {
        self.fevm.push(&self.key.sign(unsigned, self.fevm.chain_id())).unwrap()
    }

    /// Sends one transaction with an ample limit, executes it, and answers what became of it.
    pub fn send(&mut self, to: TxKind, data: impl Into<Bytes>) -> Executed {
        let nonce = self.fevm.next_nonce(&self.key.address());
        let hash = self.push(&Unsigned::new(to, nonce, data.into(), 1_000_000_000));
        self.step();
        self.fevm.find(&hash).unwrap().2.clone()
    }

    pub fn deploy(&mut self, init: impl Into<Bytes>) -> Address {
        let executed = self.send(TxKind::Create, init);
        assert!(executed.exit.is_ok(), "{executed:?}");
        executed.contract.unwrap()
    }

    /// Deploys DealStatus with its library.
    pub fn deploy_deal_status(&mut self) -> Address {
        let library = self.deploy(library_code());
        self.deploy(deal_status(library, self.key.address()))
    }

    pub fn call_at(&self, height: i64, to: Address, data: impl Into<Bytes>) -> Result<Bytes, Failure> {
        let trial = Trial { from: None, to: Some(to), value: U256::ZERO, data: data.into() };
        self.fevm.call(&trial, self.tipset(height), &self.market)
    }

    /// Calls a view of a contract and decodes its answer.
    pub fn view<C: SolCall>(&self, to: Address, call: &C) -> C::Return {
        C::abi_decode_returns(&self.call_at(self.height, to, call.abi_encode()).unwrap()).unwrap()
    }
}
