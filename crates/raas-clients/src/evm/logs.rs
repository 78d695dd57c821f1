//! The contract's events in a window of blocks.

use super::abi::DealStatusAbi as Abi;
use super::quantity::{de_quantity, hex_number};
use crate::rpc::{Call, CallError, Evidence, Pool, Unknown};
use alloy_primitives::{Address as EthAddress, B256, Bytes, Log, U256};
use alloy_sol_types::SolEvent;
use raas_core::ids::{DealId, OwnerId, RequestId};
use raas_core::ports::{CompletionSeen, RequestSeen};
use raas_core::units::Epoch;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Most blocks in one query: fits the caps of known providers.
const WINDOW: i64 = 2_000;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireLog {
    address: EthAddress,
    topics: Vec<B256>,
    data: Bytes,
    #[serde(deserialize_with = "de_quantity")]
    block_number: u64,
    #[serde(deserialize_with = "de_quantity")]
    log_index: u64,
    transaction_hash: B256,
    #[serde(default)]
    removed: bool,
}

/// Events of a span, decoded.
#[derive(Debug, Default)]
pub(super) struct Events {
    pub(super) requests: BTreeMap<RequestId, Request>,
    pub(super) completions: Vec<CompletionSeen>,
}

/// A request before its owner is known for sure.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) cid: Vec<u8>,
    pub(super) owner: Option<EthAddress>,
    pub(super) raas: Option<[u128; 3]>,
    pub(super) transaction: B256,
    pub(super) block: Epoch,
}

impl Request {
    /// As the port tells it, with the owner that was found.
    pub(super) fn seen(self, request: RequestId, owner: EthAddress) -> RequestSeen {
        RequestSeen {
            request,
            cid: self.cid,
            owner: owner_id(owner),
            raas: self.raas,
            transaction: self.transaction.to_string(),
            block: self.block,
        }
    }
}

/// The owner's name for an address: 0x and 40 lower-case digits.
fn owner_id(address: EthAddress) -> OwnerId {
    OwnerId(format!("0x{}", hex::encode(address)))
}

/// Events of `contract` in `from..=to`. A window that is too wide for an endpoint is halved.
pub(super) async fn events(
    pool: &Pool,
    contract: EthAddress,
    from: Epoch,
    to: Epoch,
) -> Result<Events, CallError> {
    let mut logs = BTreeMap::new();
    let mut width = WINDOW;
    let mut next = from.0.max(0);
    while next <= to.0 {
        let end = next.saturating_add(width - 1).min(to.0);
        match window(pool, contract, next, end).await {
            Ok(found) => {
                for log in found {
                    add(&mut logs, log)?;
                }
                next = end.saturating_add(1);
            }
            Err(CallError::Evidence(Evidence::RangeTooWide(_))) if end > next => width = (end - next + 1) / 2,
            Err(error) => return Err(error),
        }
    }
    decode(logs.into_values())
}

type Logs = BTreeMap<(u64, u64, B256), WireLog>;

/// Two endpoints that tell one log differently contradict each other.
fn add(logs: &mut Logs, log: WireLog) -> Result<(), CallError> {
    let key = (log.block_number, log.log_index, log.transaction_hash);
    match logs.get(&key) {
        Some(known) if *known != log => Err(CallError::Unknown(Unknown::Contradiction)),
        _ => {
            logs.insert(key, log);
            Ok(())
        }
    }
}

/// One window, joined over all endpoints, since one whose index has a hole leaves logs out without an error.
async fn window(pool: &Pool, contract: EthAddress, from: i64, to: i64) -> Result<Vec<WireLog>, CallError> {
    let topics = [
        Abi::SubmitAggregatorRequest::SIGNATURE_HASH,
        Abi::SubmitAggregatorRequestWithRaaS::SIGNATURE_HASH,
        Abi::CompleteAggregatorRequest::SIGNATURE_HASH,
        Abi::RequestRegistered::SIGNATURE_HASH,
    ];
    let filter = json!({
        "fromBlock": hex_number(from), "toBlock": hex_number(to), "address": contract, "topics": [topics],
    });
    let mut joined = Vec::new();
    let mut answered = 0;
    let mut failed = None;
    for answer in pool.ask_all(&Call::new("eth_getLogs", vec![filter])).await {
        match answer.and_then(|value| read(value, contract, from, to)) {
            Ok(logs) => {
                answered += 1;
                joined.extend(logs);
            }
            Err(error) => {
                let wide = matches!(error, CallError::Evidence(Evidence::RangeTooWide(_)));
                if wide || failed.is_none() {
                    failed = Some(error);
                }
            }
        }
    }
    match failed {
        Some(error) if answered < pool.wanted() => Err(error),
        _ => Ok(joined),
    }
}

fn read(value: Value, contract: EthAddress, from: i64, to: i64) -> Result<Vec<WireLog>, CallError> {
    let logs: Option<Vec<WireLog>> = serde_json::from_value(value).map_err(CallError::malformed)?;
    let within = |log: &WireLog| {
        !log.removed
            && log.address == contract
            && i64::try_from(log.block_number).is_ok_and(|block| (from..=to).contains(&block))
    };
    Ok(logs.unwrap_or_default().into_iter().filter(within).collect())
}

fn decode(logs: impl Iterator<Item = WireLog>) -> Result<Events, CallError> {
    let mut events = Events::default();
    let mut owners = BTreeMap::new();
    for log in logs {
        let block = Epoch(i64::try_from(log.block_number).map_err(CallError::malformed)?);
        let transaction = log.transaction_hash;
        let Some(inner) = Log::new(log.address, log.topics, log.data) else {
            return Err(CallError::malformed("a log with more than four topics"));
        };
        let topic = inner.topics().first().copied().unwrap_or_default();
        if topic == Abi::SubmitAggregatorRequest::SIGNATURE_HASH {
            let event = Abi::SubmitAggregatorRequest::decode_log(&inner).map_err(CallError::malformed)?.data;
            let request = Request { cid: event.cid.to_vec(), owner: None, raas: None, transaction, block };
            insert(&mut events, event.id, request)?;
        } else if topic == Abi::SubmitAggregatorRequestWithRaaS::SIGNATURE_HASH {
            let event =
                Abi::SubmitAggregatorRequestWithRaaS::decode_log(&inner).map_err(CallError::malformed)?.data;
            let raas = [event._replication_target, event._repair_threshold, event._renew_threshold];
            let request = Request {
                cid: event.cid.to_vec(),
                owner: None,
                raas: Some(raas.map(|value| u128::try_from(value).unwrap_or(u128::MAX))),
                transaction,
                block,
            };
            insert(&mut events, event.id, request)?;
        } else if topic == Abi::CompleteAggregatorRequest::SIGNATURE_HASH {
            let event =
                Abi::CompleteAggregatorRequest::decode_log(&inner).map_err(CallError::malformed)?.data;
            let (request, deal) = (request_id(event.id)?, DealId(event.dealId));
            events.completions.push(CompletionSeen { request, deal, block });
        } else if topic == Abi::RequestRegistered::SIGNATURE_HASH {
            let event = Abi::RequestRegistered::decode_log(&inner).map_err(CallError::malformed)?.data;
            owners.insert(request_id(event.id)?, event.owner);
        }
    }
    for (id, owner) in owners {
        if let Some(request) = events.requests.get_mut(&id) {
            request.owner = Some(owner);
        }
    }
    Ok(events)
}

/// A request is submitted once; a second event with its id comes from another history.
fn insert(events: &mut Events, id: U256, request: Request) -> Result<(), CallError> {
    match events.requests.insert(request_id(id)?, request) {
        None => Ok(()),
        Some(_) => Err(CallError::Unknown(Unknown::Contradiction)),
    }
}

pub(super) fn request_id(id: U256) -> Result<RequestId, CallError> {
    u64::try_from(id).map(RequestId).map_err(CallError::malformed)
}
