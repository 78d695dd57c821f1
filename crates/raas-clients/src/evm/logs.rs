//! The contract's logs, and the events they are.

use super::abi::DealStatusAbi as Abi;
use super::quantity::de_quantity;
use crate::rpc::{CallError, Reply, Unknown};
use alloy_primitives::{Address as EthAddress, B256, Bytes, Log, U256};
use alloy_sol_types::SolEvent;
use cid::Cid;
use raas_core::cid::Commitment;
use raas_core::ids::{ActorId, DealId, OwnerId, ProviderId, RequestId, SectorNumber};
use raas_core::ports::{Asked, CompletionSeen, RequestSeen, ToldSeen};
use raas_core::units::{Epoch, PaddedSize};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The events that are followed.
pub(super) const TOPICS: [B256; 7] = [
    Abi::SubmitAggregatorRequest::SIGNATURE_HASH,
    Abi::SubmitAggregatorRequestWithRaaS::SIGNATURE_HASH,
    Abi::CompleteAggregatorRequest::SIGNATURE_HASH,
    Abi::RequestRegistered::SIGNATURE_HASH,
    Abi::RequestUpdated::SIGNATURE_HASH,
    Abi::RequestCancelled::SIGNATURE_HASH,
    Abi::SectorPieceRecorded::SIGNATURE_HASH,
];

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireLog {
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

/// What makes a log this one and no other: its transaction and its content, with a number where a transaction says
/// the same twice. Block and index are left out, since a reorganisation changes them, and nodes count indexes
/// differently.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LogIdentity {
    transaction: B256,
    topics: Vec<B256>,
    data: Bytes,
    nth: usize,
}

impl WireLog {
    /// The height of its block.
    pub(super) fn block(&self) -> i64 {
        i64::try_from(self.block_number).unwrap_or(i64::MAX)
    }

    /// Where it stands in the history.
    pub(super) const fn order(&self) -> (u64, u64) {
        (self.block_number, self.log_index)
    }

    /// Whether it is one of the events that are followed.
    pub(super) fn is_followed(&self) -> bool {
        self.topics.first().is_some_and(|topic| TOPICS.contains(topic))
    }
}

/// The logs of `contract` in an answer that lie in `from..=to` and were not taken back, each with its identity.
pub(super) fn read(
    value: &Reply,
    contract: EthAddress,
    from: i64,
    to: i64,
) -> Result<BTreeMap<LogIdentity, WireLog>, CallError> {
    let logs: Option<Vec<WireLog>> = value.read()?;
    Ok(among(logs.unwrap_or_default(), contract, from, to))
}

/// As [`read`], of logs that are read already.
pub(super) fn among(
    mut logs: Vec<WireLog>,
    contract: EthAddress,
    from: i64,
    to: i64,
) -> BTreeMap<LogIdentity, WireLog> {
    logs.retain(|log| !log.removed && log.address == contract && (from..=to).contains(&log.block()));
    logs.sort_by_key(WireLog::order);
    identified(logs)
}

/// Each log by its identity; `logs` in their order.
pub(super) fn identified(logs: Vec<WireLog>) -> BTreeMap<LogIdentity, WireLog> {
    let mut identified = BTreeMap::new();
    for log in logs {
        let mut identity = LogIdentity {
            transaction: log.transaction_hash,
            topics: log.topics.clone(),
            data: log.data.clone(),
            nth: 0,
        };
        while identified.get(&identity).is_some_and(|other: &WireLog| other.log_index != log.log_index) {
            identity.nth += 1;
        }
        identified.insert(identity, log);
    }
    identified
}

/// Events of a span, decoded.
#[derive(Debug, Default)]
pub(super) struct Events {
    pub(super) requests: BTreeMap<RequestId, Request>,
    pub(super) completions: Vec<CompletionSeen>,
    pub(super) told: Vec<Told>,
    /// Requests whose owner changed or closed them, in order of their ids.
    pub(super) touched: BTreeSet<RequestId>,
}

/// A piece in a sector before it is known under which actor id the contract is its market.
#[derive(Debug)]
pub(super) struct Told {
    deal: DealId,
    request: RequestId,
    provider: ProviderId,
    sector: SectorNumber,
    piece: Commitment,
    size: PaddedSize,
    block: Epoch,
}

impl Told {
    /// As the port tells it, of the contract with the actor id `market`.
    pub(super) const fn seen(&self, market: ActorId) -> ToldSeen {
        let Self { deal, request, provider, sector, piece, size, block } = *self;
        ToldSeen { market, deal, request, provider, sector, piece, size, block }
    }
}

fn told(event: &Abi::SectorPieceRecorded, block: Epoch) -> Result<Told, CallError> {
    let cid = Cid::try_from(event.pieceCid.as_ref()).map_err(CallError::malformed)?;
    Ok(Told {
        deal: DealId(event.dealId),
        request: request_id(event.id)?,
        provider: ProviderId::new(event.providerId),
        sector: SectorNumber(event.sector),
        piece: cid.to_string().parse().map_err(CallError::malformed)?,
        size: PaddedSize::new(event.size).map_err(CallError::malformed)?,
        block,
    })
}

/// A request before its owner is known for sure.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) cid: Vec<u8>,
    pub(super) owner: Option<EthAddress>,
    pub(super) asked: Asked,
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
            asked: self.asked,
            open: true,
            transaction: self.transaction.to_string(),
            block: self.block,
        }
    }
}

/// The owner's name for an address: 0x and 40 lower-case digits.
pub(super) fn owner_id(address: EthAddress) -> OwnerId {
    OwnerId(format!("0x{}", hex::encode(address)))
}

/// The events that `logs`, in their order, are.
pub(super) fn decode(logs: impl Iterator<Item = WireLog>) -> Result<Events, CallError> {
    let mut events = Events::default();
    let mut owners = BTreeMap::new();
    for log in logs {
        let block = Epoch(log.block());
        let transaction = log.transaction_hash;
        let Some(inner) = Log::new(log.address, log.topics, log.data) else {
            return Err(CallError::malformed("a log with more than four topics"));
        };
        let topic = inner.topics().first().copied().unwrap_or_default();
        if topic == Abi::SubmitAggregatorRequest::SIGNATURE_HASH {
            let event = Abi::SubmitAggregatorRequest::decode_log(&inner).map_err(CallError::malformed)?.data;
            let request =
                Request { cid: event.cid.to_vec(), owner: None, asked: Asked::Defaults, transaction, block };
            insert(&mut events, event.id, request)?;
        } else if topic == Abi::SubmitAggregatorRequestWithRaaS::SIGNATURE_HASH {
            let event =
                Abi::SubmitAggregatorRequestWithRaaS::decode_log(&inner).map_err(CallError::malformed)?.data;
            let raas = [event._replication_target, event._repair_threshold, event._renew_threshold];
            let request = Request {
                cid: event.cid.to_vec(),
                owner: None,
                asked: Asked::Policy(raas.map(|value| u128::try_from(value).unwrap_or(u128::MAX))),
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
        } else if topic == Abi::RequestUpdated::SIGNATURE_HASH {
            let event = Abi::RequestUpdated::decode_log(&inner).map_err(CallError::malformed)?.data;
            events.touched.insert(request_id(event.id)?);
        } else if topic == Abi::RequestCancelled::SIGNATURE_HASH {
            let event = Abi::RequestCancelled::decode_log(&inner).map_err(CallError::malformed)?.data;
            events.touched.insert(request_id(event.id)?);
        } else if topic == Abi::SectorPieceRecorded::SIGNATURE_HASH {
            let event = Abi::SectorPieceRecorded::decode_log(&inner).map_err(CallError::malformed)?.data;
            // What cannot be a piece of anybody's data is nobody's copy; it must not stop the reading of everything else.
            match told(&event, block) {
                Ok(told) => events.told.push(told),
                Err(why) => tracing::warn!(deal = event.dealId, %why, "a contract was told of no piece"),
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn log(transaction: u8, block: u64, index: u64, data: &str) -> Value {
        json!({
            "address": "0x1111111111111111111111111111111111111111",
            "topics": [TOPICS[0]], "data": data,
            "blockNumber": format!("0x{block:x}"), "logIndex": format!("0x{index:x}"),
            "transactionHash": B256::repeat_byte(transaction), "removed": false,
        })
    }

    fn identities(logs: Vec<Value>) -> Vec<LogIdentity> {
        let contract = EthAddress::repeat_byte(0x11);
        read(&Value::Array(logs).into(), contract, 0, 1_000).expect("logs").into_keys().collect()
    }

    /// Fault 10.
    #[test]
    fn a_transaction_that_is_mined_again_elsewhere_tells_the_same_event() {
        let (before, after) =
            (identities(vec![log(1, 7, 3, "0x01")]), identities(vec![log(1, 9, 0, "0x01")]));
        assert_eq!(before, after);
        assert_ne!(before, identities(vec![log(2, 7, 3, "0x01")]), "another transaction");
        assert_ne!(before, identities(vec![log(1, 7, 3, "0x02")]), "other words");
    }

    #[test]
    fn what_one_transaction_says_twice_is_two_events_and_an_answer_that_repeats_itself_is_one() {
        let twice = identities(vec![log(1, 7, 4, "0x01"), log(1, 7, 3, "0x01")]);
        assert_eq!(twice.len(), 2);
        assert_eq!(
            twice,
            identities(vec![log(1, 9, 8, "0x01"), log(1, 9, 11, "0x01")]),
            "wherever it is mined"
        );
        assert_eq!(identities(vec![log(1, 7, 3, "0x01"), log(1, 7, 3, "0x01")]).len(), 1);
    }

    /// A miner can tell a contract of a CID that no data has, where that does not refuse it.
    #[test]
    fn what_is_no_piece_is_left_out_and_stops_nothing() {
        let piece = |last: u8| {
            let digest = [vec![7; 31], vec![last]].concat();
            Abi::SectorPieceRecorded {
                dealId: DealId::FIRST_OF_SECTORS.0,
                providerId: 1_000,
                id: U256::from(1),
                sector: 3,
                pieceCid: [hex::decode("0181e203922020").expect("hex"), digest].concat().into(),
                size: 2_048,
                minimumCommitmentEpoch: 9,
            }
        };
        let log = |event: &Abi::SectorPieceRecorded, index: u64| WireLog {
            address: EthAddress::ZERO,
            topics: event.encode_topics().into_iter().map(|topic| topic.0).collect(),
            data: event.encode_data().into(),
            block_number: 7,
            log_index: index,
            transaction_hash: B256::ZERO,
            removed: false,
        };
        let logs = [log(&piece(0xff), 0), log(&piece(0x3f), 1)];
        let events = decode(logs.into_iter()).expect("readable");
        assert_eq!(events.told.len(), 1);
        let seen = events.told[0].seen(ActorId(1_234));
        assert_eq!((seen.market, seen.sector, seen.size.get()), (ActorId(1_234), SectorNumber(3), 2_048));
    }

    #[test]
    fn what_was_taken_back_or_not_asked_for_does_not_count() {
        let mut removed = log(1, 7, 3, "0x01");
        removed["removed"] = json!(true);
        let mut foreign = log(1, 7, 3, "0x01");
        foreign["address"] = json!("0x2222222222222222222222222222222222222222");
        assert_eq!(identities(vec![removed, foreign, log(1, 1_001, 0, "0x01")]), []);
        assert!(read(&Reply::default(), EthAddress::ZERO, 0, 1).expect("no logs").is_empty());
    }
}
