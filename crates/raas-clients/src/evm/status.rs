//! [`DealStatus`]: the contract behind the port.

use super::abi::{Deal, DealStatusAbi as Abi, MarketDeal};
use super::kind::AbiKind;
use super::logs::{self, Told, request_id};
use super::quantity::hex_number;
use super::transaction::MARKET_ACTOR;
use super::views;
use super::window::{Scope, certified};
use super::witness::sender_by_receipts;
use crate::rpc::{Call, CallError, Evidence, Pool, Reply, Unknown};
use alloy_primitives::{Address as EthAddress, B256, Bytes, U256, keccak256};
use alloy_sol_types::SolCall;
use raas_core::ids::{ActorId, DealId, ProviderId, RequestId};
use raas_core::observation::{NotSeen, Round};
use raas_core::ports::{Contract, ContractWindow, DealList, RequestSeen, RequestStanding, ToldSeen};
use raas_core::units::Epoch;
use serde::Deserialize;
use serde_json::json;

/// Null rounds in a row that are stepped over to find the block whose state a height has.
const NULL_ROUNDS_MAX: i64 = 20;

/// One DealStatus contract, read through a pool of endpoints.
#[derive(Clone, Debug)]
pub struct DealStatus {
    pool: Pool,
    contract: EthAddress,
}

/// At which block a view is read.
#[derive(Clone, Copy, Debug)]
enum At {
    Block(Epoch),
    Latest,
}

impl DealStatus {
    /// Which generation answers at this address: by its version, else by ERC-165, else it is taken for the reference.
    pub async fn kind(&self) -> Result<AbiKind, CallError> {
        match self.read(Abi::versionCall {}).await {
            Ok(_) => return Ok(AbiKind::Raas),
            Err(error) if is_unknown_to(&error) => {}
            Err(error) => return Err(error),
        }
        let asked = Abi::supportsInterfaceCall { interfaceId: AbiKind::frc_interface() };
        match self.read(asked).await {
            Ok(true) => Ok(AbiKind::Frc0087),
            Ok(false) => Ok(AbiKind::Reference),
            Err(error) if is_unknown_to(&error) => Ok(AbiKind::Reference),
            Err(error) => Err(error),
        }
    }

    /// What a view answers at the latest block.
    pub async fn read<C: SolCall>(&self, call: C) -> Result<C::Return, CallError> {
        self.view(call, At::Latest).await
    }

    /// How a request stands at `block`: what its owner wants by then. The event that said so only wakes.
    async fn standing_of(&self, id: RequestId, block: Epoch) -> Result<RequestStanding, CallError> {
        let found = self.view(Abi::getRequestCall { id: U256::from(id.0) }, At::Block(block)).await?;
        let policy = found.policy;
        let thresholds = [policy.target.into(), policy.repairThreshold.into(), policy.renewThreshold.into()];
        Ok(RequestStanding {
            request: id,
            raas: (policy.target > 0).then_some(thresholds),
            ends_at: (policy.endsAt > 0).then(|| Epoch(i64::try_from(policy.endsAt).unwrap_or(i64::MAX))),
            open: found.open,
        })
    }

    /// The contract at `contract`.
    #[must_use]
    pub const fn new(pool: Pool, contract: EthAddress) -> Self {
        Self { pool, contract }
    }

    /// Its address.
    #[must_use]
    pub const fn address(&self) -> EthAddress {
        self.contract
    }

    /// `getActiveDeals(cid)` at the latest block, as (deal, provider): market state, faults not considered.
    pub async fn active_deals(&self, cid: &[u8]) -> Result<Vec<(DealId, ProviderId)>, NotSeen> {
        let call = Abi::getActiveDealsCall { _cid: Bytes::copy_from_slice(cid) };
        Ok(pairs(self.view(call, At::Latest).await?))
    }

    /// `getExpiringDeals(cid, epochs)` at the latest block, as (deal, provider).
    pub async fn expiring_deals(
        &self,
        cid: &[u8],
        epochs: u64,
    ) -> Result<Vec<(DealId, ProviderId)>, NotSeen> {
        let call = Abi::getExpiringDealsCall { _cid: Bytes::copy_from_slice(cid), epochs };
        Ok(pairs(self.view(call, At::Latest).await?))
    }

    /// keccak-256 of the code at the contract's address, as enough endpoints have it; `None` when there is none.
    pub async fn code_hash(&self) -> Result<Option<B256>, NotSeen> {
        let code: Bytes =
            self.pool.agreed(Call::new("eth_getCode", vec![json!(self.contract), json!("latest")])).await?;
        Ok((!code.is_empty()).then(|| keccak256(&code)))
    }

    /// `requestCount()` at `block`; `None` for a contract that refuses the question, as reference deployments do.
    async fn count(&self, block: Epoch) -> Result<Option<u64>, CallError> {
        match self.view(Abi::requestCountCall {}, At::Block(block)).await {
            Ok(count) => request_id(count).map(|RequestId(count)| Some(count)),
            Err(error) if is_unknown_to(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A view, from enough endpoints alike. At a null round the state is that of the block before; Lotus says so
    /// by itself, other nodes refuse.
    async fn view<C: SolCall>(&self, call: C, at: At) -> Result<C::Return, CallError> {
        let message = json!({"to": self.contract, "data": Bytes::from(call.abi_encode())});
        let mut at = at;
        let mut steps = 0;
        loop {
            let block = match at {
                At::Latest => json!("latest"),
                At::Block(block) => hex_number(block.0),
            };
            let call = Call::new("eth_call", vec![message.clone(), block]);
            let call = match at {
                At::Latest => call,
                At::Block(block) => call.at_height(block.0),
            };
            match self.pool.agreed::<Bytes>(call).await {
                // No code at this block, or none that knows the question.
                Ok(answer) if answer.is_empty() => {
                    return Err(CallError::Evidence(Evidence::Reverted(Vec::new())));
                }
                Ok(answer) => return C::abi_decode_returns(&answer).map_err(CallError::malformed),
                Err(CallError::Evidence(Evidence::NullRound(_))) if steps < NULL_ROUNDS_MAX => {
                    let At::Block(block) = at else {
                        return Err(CallError::malformed("latest is no null round"));
                    };
                    at = At::Block(Epoch(block.0.saturating_sub(1)));
                    steps += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn read_window(&self, round: &Round, from: Epoch, to: Epoch) -> Result<ContractWindow, CallError> {
        let scope = Scope { pool: &self.pool, contract: self.contract, round };
        let found = certified(scope, from, to).await?;
        let events = logs::decode(found.logs.into_iter())?;
        let mut requests = Vec::with_capacity(events.requests.len());
        for (id, request) in events.requests {
            let owner = match request.owner {
                Some(owner) => owner,
                None => self.sender(request.transaction, request.block).await?,
            };
            requests.push(request.seen(id, owner));
        }
        let mut standing = Vec::with_capacity(events.touched.len());
        for id in events.touched {
            standing.push(self.standing_of(id, to).await?);
        }
        let told = self.told(&events.told, to).await?;
        // State of long ago is kept less far back than logs: the other witness has to do then.
        let request_count = match self.count(to).await {
            Err(CallError::Unknown(Unknown::MissingState(_))) => None,
            count => count?,
        };
        Ok(ContractWindow {
            requests,
            completions: events.completions,
            told,
            standing,
            request_count,
            witness: found.witness,
            unexplained: found.unexplained,
        })
    }

    /// Pieces in sectors, with the actor id under which the contract is their market.
    async fn told(&self, told: &[Told], block: Epoch) -> Result<Vec<ToldSeen>, CallError> {
        if told.is_empty() {
            return Ok(Vec::new());
        }
        // The id never changes, and state of long ago may be gone.
        let market = match self.view(Abi::sectorMarketCall {}, At::Block(block)).await {
            Err(CallError::Unknown(Unknown::MissingState(_))) => self.read(Abi::sectorMarketCall {}).await?,
            market => market?,
        };
        Ok(told.iter().map(|told| told.seen(ActorId(market))).collect())
    }

    /// Who sent a transaction: the owner of a request of a contract that does not tell owners. Gateways find a
    /// transaction by its hash for a few epochs only, and by its block for as long as they keep that.
    async fn sender(&self, transaction: B256, block: Epoch) -> Result<EthAddress, CallError> {
        #[derive(Deserialize)]
        struct Transaction {
            from: EthAddress,
        }
        let read = |_, answer: Result<Reply, Evidence>| {
            let value = answer.map_err(CallError::Evidence)?;
            value.read::<Transaction>().map(|found| found.from)
        };
        let call = Call::new("eth_getTransactionByHash", vec![json!(transaction)]);
        let mut answers = self.pool.votes(&[call], read, |_| true).await;
        match answers.pop() {
            Some(Ok(sender)) => Ok(sender),
            failed => match sender_by_receipts(&self.pool, block, transaction).await? {
                Some(sender) => Ok(sender),
                None => failed.unwrap_or_else(|| Err(CallError::malformed("no answer"))),
            },
        }
    }
}

impl Contract for DealStatus {
    async fn window(&self, round: &Round, from: Epoch, to: Epoch) -> Result<ContractWindow, NotSeen> {
        Ok(self.read_window(round, from, to).await?)
    }

    async fn requests_by_view(
        &self,
        from: RequestId,
        to: RequestId,
        block: Epoch,
    ) -> Result<Option<Vec<RequestSeen>>, NotSeen> {
        Ok(views::requests(&self.pool, self.contract, from, to, block).await?)
    }

    async fn request_count(&self, block: Epoch) -> Result<Option<u64>, NotSeen> {
        Ok(self.count(block).await?)
    }

    async fn cids_by_request(&self, block: Epoch) -> Result<Option<Vec<Vec<u8>>>, NotSeen> {
        match self.view(Abi::getAllCIDsCall {}, At::Block(block)).await {
            Ok(cids) => Ok(Some(cids.into_iter().map(|cid| cid.to_vec()).collect())),
            Err(error) if is_unknown_to(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn standing(&self, requests: &[RequestId], block: Epoch) -> Result<Vec<RequestStanding>, NotSeen> {
        let mut standing = Vec::with_capacity(requests.len());
        for id in requests {
            match self.standing_of(*id, block).await {
                Ok(found) => standing.push(found),
                Err(error) if is_unknown_to(&error) => return Ok(Vec::new()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(standing)
    }

    async fn deals_of(&self, cid: &[u8], block: Epoch) -> Result<Vec<(DealId, ProviderId)>, NotSeen> {
        let call = Abi::getAllDealsCall { _cid: Bytes::copy_from_slice(cid) };
        Ok(pairs(self.view(call, At::Block(block)).await?))
    }

    async fn deals_of_each(&self, cids: &[Vec<u8>], block: Epoch) -> Vec<Result<DealList, NotSeen>> {
        let call = Abi::dealsOfCall { cids: cids.iter().map(|cid| Bytes::copy_from_slice(cid)).collect() };
        match self.view(call, At::Block(block)).await {
            Ok(lists) if lists.len() == cids.len() => {
                return lists.into_iter().map(|list| Ok(by_market(list))).collect();
            }
            Ok(lists) => {
                let why = format!("{} lists for {} CIDs", lists.len(), cids.len());
                let error = CallError::malformed(why);
                return vec![Err(error.into()); cids.len()];
            }
            // Another generation, or one of the CIDs is refused: each for itself.
            Err(error) if is_unknown_to(&error) => {}
            Err(error) => return vec![Err(error.into()); cids.len()],
        }
        let mut lists = Vec::with_capacity(cids.len());
        for cid in cids {
            lists.push(self.deals_of(cid, block).await.map(DealList::from));
        }
        lists
    }
}

/// A list's deals by market actor: those of f05, and the contract's own.
fn by_market(listed: Vec<MarketDeal>) -> DealList {
    let length = listed.len();
    let (market, own): (Vec<MarketDeal>, Vec<MarketDeal>) =
        listed.into_iter().partition(|deal| deal.marketActorId == MARKET_ACTOR);
    let pairs = |deals: Vec<MarketDeal>| -> Vec<(DealId, ProviderId)> {
        deals.into_iter().map(|deal| (DealId(deal.dealId), ProviderId::new(deal.providerId))).collect()
    };
    DealList { deals: pairs(market), told: pairs(own), length }
}

/// Whether a contract does not know the function, or refuses it: a revert, with words or, as code 3, without.
const fn is_unknown_to(error: &CallError) -> bool {
    matches!(
        error,
        CallError::Evidence(Evidence::Reverted(_)) | CallError::Unknown(Unknown::Other { code: 3, .. })
    )
}

/// The reference contract leaves empty places in its lists; they are no deals.
fn pairs(deals: Vec<Deal>) -> Vec<(DealId, ProviderId)> {
    let real = deals.into_iter().filter(|deal| deal.dealId != 0 || deal.minerId != 0);
    real.map(|deal| (DealId(deal.dealId), ProviderId::new(deal.minerId))).collect()
}
