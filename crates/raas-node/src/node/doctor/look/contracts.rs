//! The contracts: code, count, logs, and what they let the node do.

use super::patient::Patient;
use crate::node::doctor::looked::{Contract, Contracts, Follows, Rights, Running};
use crate::settings::ContractAt;
use alloy_primitives::{Address as EthAddress, keccak256};
use raas_clients::evm::{DealStatus, DealStatusAbi as Abi};
use raas_clients::rpc::CallError;
use raas_core::observation::{NotSeen, Round};
use raas_core::ports::Contract as _;
use raas_core::units::Epoch;

/// The newest blocks whose logs are asked for.
const NEWEST: i64 = 60;

/// The configured contracts, or those that a running node has. `account` is the node's.
pub(super) async fn contracts(
    patient: &Patient<'_>,
    round: Option<&Round>,
    account: Option<EthAddress>,
    running: Option<&Running>,
) -> Contracts {
    let config = patient.config;
    let named = config.contract.address.is_some();
    let configured = config.own_contract().and_then(|own| Ok((own, config.deployments()?)));
    let (own, further) = match configured {
        Ok(configured) => configured,
        Err(error) => return Contracts { wrong: Some(error.to_string()), named, list: Vec::new() },
    };
    let from_named = !named || config.contract.from_block.is_some() || patient.devnet;
    let mut wanted: Vec<(ContractAt, bool)> = own.into_iter().map(|own| (own, from_named)).collect();
    wanted.extend(further.into_iter().map(|at| (at, true)));
    for at in running.iter().flat_map(|running| &running.follows).filter_map(followed) {
        if !wanted.iter().any(|(known, _)| known.address == at.address) {
            wanted.push((at, true));
        }
    }
    let mut list = Vec::new();
    // Without a network nothing can be asked, and that is told of the endpoints.
    if let Some(round) = round {
        for (at, from_named) in wanted {
            list.push(contract(patient, &at, from_named, round, account).await);
        }
    }
    let has_one = running.is_some_and(|running| !running.follows.is_empty());
    Contracts { wrong: None, named: named || has_one, list }
}

fn followed(follows: &Follows) -> Option<ContractAt> {
    Some(ContractAt {
        address: follows.address.parse().ok()?,
        from_block: follows.from_block,
        skip_to: None,
        abi: follows.abi.parse().ok()?,
    })
}

async fn contract(
    patient: &Patient<'_>,
    at: &ContractAt,
    from_named: bool,
    round: &Round,
    account: Option<EthAddress>,
) -> Contract {
    let contract = DealStatus::new(patient.pool.clone(), at.address.0.into());
    let hash = contract.code_hash().await;
    let is_there = matches!(hash, Ok(Some(_)));
    let mut looked = Contract {
        address: at.address.to_string(),
        abi: at.abi,
        from_block: at.from_block,
        from_named,
        code: hash.map(|hash| hash.map(|hash| hash.to_string())).map_err(|why| why.to_string()),
        count: None,
        newest: None,
        oldest_gone: false,
        rights: None,
    };
    if !is_there {
        return looked;
    }
    looked.rights = Some(rights(&contract, account).await.map_err(|why| why.to_string()));
    let to = round.eth_block;
    // What is younger than finality has nothing that is final to tell.
    if at.from_block > to {
        return looked;
    }
    looked.count = Some(contract.request_count(to).await.map_err(|why| why.to_string()));
    let from = Epoch(to.0.saturating_sub(NEWEST).max(0));
    let newest = contract.window(round, from, to).await;
    looked.newest = Some(newest.map(|window| window.witness).map_err(|why| why.to_string()));
    let first = at.from_block;
    if first < from {
        let last = Epoch(first.0.saturating_add(1).min(to.0));
        looked.oldest_gone = contract.window(round, first, last).await == Err(NotSeen::MissingState);
    }
    looked
}

async fn rights(contract: &DealStatus, account: Option<EthAddress>) -> Result<Rights, CallError> {
    let kind = contract.kind().await?;
    if kind != raas_clients::evm::AbiKind::Raas {
        return Ok(Rights { kind, paused: false, successor: None, completes: None });
    }
    let successor = contract.read(Abi::successorCall {}).await?;
    let completes = match account {
        None => None,
        Some(account) => {
            let role = keccak256("AGGREGATOR_ROLE");
            Some((account, contract.read(Abi::hasRoleCall { role, account }).await?))
        }
    };
    Ok(Rights {
        kind,
        paused: contract.read(Abi::pausedCall {}).await?,
        successor: (successor != EthAddress::ZERO).then_some(successor),
        completes,
    })
}
