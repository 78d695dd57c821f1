//! Requests by the contract's own views: what is left when the logs are older than every endpoint keeps.

use super::logs::owner_id;
use super::quantity::hex_number;
use crate::rpc::{Call, CallError, Evidence, Pool, Unknown};
use alloy_primitives::{Address as EthAddress, Bytes, U256};
use alloy_sol_types::{SolCall, sol};
use raas_core::ids::RequestId;
use raas_core::ports::RequestSeen;
use raas_core::units::Epoch;
use serde_json::{Value, json};

sol! {
    #[derive(Debug)]
    struct ViewedRequest {
        address owner;
        bytes cid;
        uint256 target;
        uint256 repairThreshold;
        uint256 renewThreshold;
        bytes pieceCid;
        uint256 pieceSize;
    }

    #[derive(Debug)]
    interface RequestViews {
        function getRequest(uint256 id) external view returns (ViewedRequest memory);
    }
}

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
            let data = RequestViews::getRequestCall { id: U256::from(*id) }.abi_encode();
            let message = json!({"to": contract, "data": Bytes::from(data)});
            Call::new("eth_call", vec![message, hex_number(block.0)])
        })
        .collect();
    let read = |_, answer: Result<Value, Evidence>| {
        let value = answer.map_err(CallError::Evidence)?;
        serde_json::from_value::<Bytes>(value).map_err(CallError::malformed)
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
        let viewed =
            RequestViews::getRequestCall::abi_decode_returns(&bytes).map_err(CallError::malformed)?;
        let number = |value: U256| u128::try_from(value).unwrap_or(u128::MAX);
        let raas = (!viewed.target.is_zero())
            .then(|| [viewed.target, viewed.repairThreshold, viewed.renewThreshold].map(number));
        requests.push(RequestSeen {
            request: RequestId(id),
            cid: viewed.cid.to_vec(),
            owner: owner_id(viewed.owner),
            raas,
            transaction: String::new(),
            block,
        });
    }
    Ok(Some(requests))
}
