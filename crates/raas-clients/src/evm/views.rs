//! Requests by the contract's own views: what is left when the logs are older than every endpoint keeps.

use super::abi::DealStatusAbi as Abi;
use super::logs::owner_id;
use super::quantity::hex_number;
use crate::rpc::{Call, CallError, Evidence, Pool, Reply, Unknown};
use alloy_primitives::{Address as EthAddress, Bytes, U256};
use alloy_sol_types::SolCall;
use raas_core::ids::RequestId;
use raas_core::ports::{Asked, RequestSeen};
use raas_core::units::Epoch;
use serde_json::json;

/// Requests `from..=to` as the views tell them at `block`; `None` when the contract has no such view.
pub(super) async fn requests(
    pool: &Pool,
    contract: EthAddress,
    from: RequestId,
    to: RequestId,
    block: Epoch,
) -> Result<Option<Vec<RequestSeen>>, CallError> {
    let ids: Vec<u64> = (from.0..=to.0).collect();
    let calls: Vec<Call> = ids
        .iter()
        .map(|id| {
            let data = Abi::getRequestCall { id: U256::from(*id) }.abi_encode();
            let message = json!({"to": contract, "data": Bytes::from(data)});
            Call::new("eth_call", vec![message, hex_number(block.0)])
        })
        .collect();
    let read = |_, answer: Result<Reply, Evidence>| {
        let value = answer.map_err(CallError::Evidence)?;
        value.read::<Bytes>()
    };
    let mut requests = Vec::with_capacity(ids.len());
    for (id, answer) in ids.into_iter().zip(pool.votes(&calls, read, |_| false).await) {
        let bytes = match answer {
            Ok(bytes) if bytes.is_empty() => return Ok(None),
            Ok(bytes) => bytes,
            // What the contract refuses it does not have, or has in another form.
            Err(
                CallError::Evidence(Evidence::Reverted(_))
                | CallError::Unknown(Unknown::Other { code: 3, .. }),
            ) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let viewed = Abi::getRequestCall::abi_decode_returns(&bytes).map_err(CallError::malformed)?;
        let policy = viewed.policy;
        let asked = match policy.target {
            0 => Asked::Defaults,
            target => {
                Asked::Policy([target.into(), policy.repairThreshold.into(), policy.renewThreshold.into()])
            }
        };
        requests.push(RequestSeen {
            request: RequestId(id),
            cid: viewed.cid.to_vec(),
            owner: owner_id(viewed.owner),
            asked,
            open: viewed.open,
            transaction: String::new(),
            block,
        });
    }
    Ok(Some(requests))
}
