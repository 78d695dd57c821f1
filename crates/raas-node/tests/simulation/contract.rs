//! The DealStatus contract in the world's FEVM: its real code, deployed by a stranger, used by a client with a key of
//! its own, and read through the node's port with the lies of the run's RPC.

use crate::shared::{Rpc, Shared};
use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::{SolCall, SolEvent, sol};
use raas_clients::evm::{AbiKind, Artifact, DeploySettings};
use raas_core::ids::{ContractAddress, DealId, OwnerId, ProviderId, RequestId};
use raas_core::observation::{NotSeen, Round};
use raas_core::ports::{Asked, CompletionSeen, Contract, ContractWindow, RequestSeen, Witness};
use raas_core::units::{AttoFil, Epoch};
use raas_devnet::fevm::EthKey;
use raas_devnet::world::{Command, World};
use raas_node::settings::ContractAt;
use std::collections::BTreeMap;
use std::sync::Arc;

sol! {
    struct Listed { uint64 dealId; uint64 minerId; }
    struct Terms { uint32 target; uint64 repairThreshold; uint64 renewThreshold; uint64 endsAt; }
    struct Viewed { address owner; bytes cid; Terms policy; bytes pieceCid; uint64 pieceSize; bool open; }
    function submit(bytes cid) returns (uint256);
    function submitRaaS(bytes cid, uint256 target, uint256 repair, uint256 renew) returns (uint256);
    function requestCount() returns (uint256);
    function getAllDeals(bytes cid) returns (Listed[]);
    function getRequest(uint256 id) returns (Viewed);
    event SubmitAggregatorRequest(uint256 indexed id, bytes cid);
    event SubmitAggregatorRequestWithRaaS(uint256 indexed id, bytes cid, uint256 target, uint256 repair, uint256 renew);
    event CompleteAggregatorRequest(uint256 indexed id, uint64 indexed dealId);
    event RequestRegistered(uint256 indexed id, bytes32 indexed cidKey, address indexed owner);
}

/// Epochs of an endpoint's memory while it is forgetful.
const REMEMBERS: i64 = 10;

fn key(seed: u64, who: u8) -> EthKey {
    let mut bytes = [who; 32];
    bytes[8..16].copy_from_slice(&seed.to_be_bytes());
    EthKey::from_bytes(&bytes).expect("a key")
}

/// Deploys the contract; the node at `node` may complete requests.
pub fn deploy(world: &mut World, seed: u64, node: Address) -> ContractAt {
    let deployer = key(seed, 11);
    for address in [deployer.address(), client(seed).address(), node] {
        let command = Command::Fund { address: address.to_checksum(None), amount: AttoFil::fil(1_000) };
        world.apply(command).expect("money");
    }
    world.apply(Command::Advance { epochs: 2 }).expect("time passes");
    let artifact = Artifact::shipped().expect("the shipped artifact");
    let library = deployer.address().create(0);
    let code = artifact.contract(library, &DeploySettings::of(node));
    for code in [artifact.library(), code] {
        world.eth_send(&deployer, None, U256::ZERO, code).expect("deployed");
        world.apply(Command::Advance { epochs: 2 }).expect("time passes");
    }
    ContractAt {
        address: ContractAddress(deployer.address().create(1).0.0),
        from_block: Epoch(world.chain().head() - 4),
        skip_to: None,
        abi: AbiKind::Raas,
    }
}

/// The key of whoever registers data by the contract.
pub fn client(seed: u64) -> EthKey {
    key(seed, 12)
}

/// The client asks for `cid`, with thresholds of its own or without.
pub fn request(world: &mut World, seed: u64, at: ContractAddress, cid: &[u8], wish: Option<[u64; 3]>) {
    let cid = Bytes::copy_from_slice(cid);
    let data = match wish {
        None => submitCall { cid }.abi_encode(),
        Some([target, repair, renew]) => {
            let [target, repair, renew] = [target, repair, renew].map(U256::from);
            submitRaaSCall { cid, target, repair, renew }.abi_encode()
        }
    };
    world.eth_send(&client(seed), Some(Address::from(at.0)), U256::ZERO, data).expect("sent");
}

/// The node's port to it.
pub struct SimContract {
    pub shared: Arc<Shared>,
    pub address: ContractAddress,
}

impl SimContract {
    fn eth(&self) -> Address {
        Address::from(self.address.0)
    }

    fn view<C: SolCall>(&self, call: C, block: Epoch) -> Result<C::Return, NotSeen> {
        if self.shared.rpc() == Rpc::Down {
            return Err(NotSeen::RpcFailed);
        }
        let world = self.shared.world();
        let height = world.chain().at_or_before(block.0);
        let answer = world.eth_call_at(height, self.eth(), call.abi_encode());
        let answer = answer.map_err(|_| NotSeen::MissingState)?;
        C::abi_decode_returns(&answer).map_err(|_| NotSeen::MissingState)
    }

    /// Every event in `from..=to`.
    fn events(&self, from: Epoch, to: Epoch) -> (Vec<RequestSeen>, Vec<CompletionSeen>) {
        let world = self.shared.world();
        let mut requests: BTreeMap<u64, RequestSeen> = BTreeMap::new();
        let mut owners: BTreeMap<u64, Address> = BTreeMap::new();
        let mut completions = Vec::new();
        for (height, block) in world.fevm.blocks_between(from.0, to.0) {
            for executed in block {
                let transaction = executed.transaction.hash.to_string();
                let mut asks = |id: U256, cid: Bytes, asked| {
                    let request = RequestId(id.to());
                    let (owner, transaction) = (OwnerId(String::new()), transaction.clone());
                    let block = Epoch(height);
                    let cid = cid.to_vec();
                    let seen = RequestSeen { request, cid, owner, asked, open: true, transaction, block };
                    requests.insert(request.0, seen);
                };
                for log in executed.logs.iter().filter(|log| log.address == self.eth()) {
                    if let Ok(event) = SubmitAggregatorRequest::decode_log(log) {
                        asks(event.id, event.cid.clone(), Asked::Defaults);
                    } else if let Ok(event) = SubmitAggregatorRequestWithRaaS::decode_log(log) {
                        let wish = [event.target, event.repair, event.renew].map(|value| value.to());
                        asks(event.id, event.cid.clone(), Asked::Policy(wish));
                    } else if let Ok(event) = CompleteAggregatorRequest::decode_log(log) {
                        let (request, deal) = (RequestId(event.id.to()), DealId(event.dealId));
                        completions.push(CompletionSeen { request, deal, block: Epoch(height) });
                    } else if let Ok(event) = RequestRegistered::decode_log(log) {
                        owners.insert(event.id.to(), event.owner);
                    }
                }
            }
        }
        for (id, owner) in owners {
            if let Some(request) = requests.get_mut(&id) {
                request.owner = owner_id(owner);
            }
        }
        (requests.into_values().collect(), completions)
    }
}

fn owner_id(owner: Address) -> OwnerId {
    OwnerId(format!("0x{}", hex::encode(owner)))
}

impl Contract for SimContract {
    /// With empty logs the requests are hidden as if two endpoints had the same hole: only the count shows it. A hidden
    /// completion shows in nothing but the state, so such a window has no witness.
    async fn window(&self, round: &Round, from: Epoch, to: Epoch) -> Result<ContractWindow, NotSeen> {
        let count = Some(self.view(requestCountCall {}, to)?.to());
        if self.shared.rpc() == Rpc::Forgetful && from.0 < round.head.0 - REMEMBERS {
            return Err(NotSeen::MissingState);
        }
        let (requests, completions) = self.events(from, to);
        let told = ContractWindow { request_count: count, witness: Witness::State, ..Default::default() };
        if self.shared.rpc() == Rpc::EmptyLogs {
            let witness = match completions.is_empty() {
                true => Witness::Endpoints(2),
                false => Witness::None,
            };
            return Ok(ContractWindow { witness, ..told });
        }
        Ok(ContractWindow { requests, completions, ..told })
    }

    async fn requests_by_view(
        &self,
        from: RequestId,
        to: RequestId,
        block: Epoch,
    ) -> Result<Option<Vec<RequestSeen>>, NotSeen> {
        let mut requests = Vec::new();
        for id in from.0..=to.0 {
            let viewed = self.view(getRequestCall { id: U256::from(id) }, block)?;
            let terms = viewed.policy;
            let wish = [terms.target.into(), terms.repairThreshold.into(), terms.renewThreshold.into()];
            requests.push(RequestSeen {
                request: RequestId(id),
                cid: viewed.cid.to_vec(),
                owner: owner_id(viewed.owner),
                asked: if terms.target == 0 { Asked::Defaults } else { Asked::Policy(wish) },
                open: viewed.open,
                transaction: String::new(),
                block,
            });
        }
        Ok(Some(requests))
    }

    async fn request_count(&self, block: Epoch) -> Result<Option<u64>, NotSeen> {
        Ok(Some(self.view(requestCountCall {}, block)?.to()))
    }

    async fn cids_by_request(&self, _block: Epoch) -> Result<Option<Vec<Vec<u8>>>, NotSeen> {
        Ok(None)
    }

    async fn deals_of(&self, cid: &[u8], block: Epoch) -> Result<Vec<(DealId, ProviderId)>, NotSeen> {
        let listed = self.view(getAllDealsCall { cid: Bytes::copy_from_slice(cid) }, block)?;
        Ok(listed.into_iter().map(|deal| (DealId(deal.dealId), ProviderId::new(deal.minerId))).collect())
    }
}
