//! The contracts: that they are there, what they tell, whether their events can be believed, what they let the node do.

use crate::node::doctor::finding::{Code, Findings};
use crate::node::doctor::looked::{Contract, Looked, Rights};
use raas_clients::evm::AbiKind;
use raas_core::ports::Witness;

/// Every contract.
pub(super) fn judge(looked: &Looked, findings: &mut Findings) {
    let contracts = &looked.contracts;
    if let Some(why) = &contracts.wrong {
        findings.bad(Code::ContractMisnamed, "", why, "mend that key of the configuration");
        return;
    }
    if !contracts.named && looked.devnet {
        let found = "none is named: the node deploys one on a devnet";
        findings.ok(Code::ContractToBeDeployed, "", found);
    } else if !contracts.named {
        findings.ok(Code::ContractNone, "", "none is named to register jobs of the API at");
    }
    for contract in &contracts.list {
        if is_there(contract, findings) {
            events(contract, findings);
        }
        rights(contract, findings);
        if !contract.from_named {
            let fix = "set contract.from_block to the block of its deployment";
            let found = "its events are looked for from block 0";
            findings.bad(Code::ContractFromZero, &contract.address, found, fix);
        }
    }
}

/// Whether there is a contract that answers.
fn is_there(contract: &Contract, findings: &mut Findings) -> bool {
    let address = contract.address.as_str();
    match &contract.code {
        Ok(Some(hash)) => {
            findings.ok(Code::ContractCode, address, format!("has code, keccak-256 {hash}"));
        }
        Ok(None) => {
            let fix = "see that contract.address and the network are right";
            findings.bad(Code::ContractMissing, address, "there is no contract at this address", fix);
            return false;
        }
        Err(why) => {
            let fix = "an endpoint must answer eth_getCode";
            findings.bad(Code::ContractUnread, address, format!("its code could not be read: {why}"), fix);
            return false;
        }
    }
    match &contract.count {
        None => {}
        Some(Ok(Some(count))) => {
            findings.ok(Code::ContractCounts, address, format!("counts {count} requests"));
        }
        // Ours counts from its first block on, which is not final yet.
        Some(Ok(None)) if is_ours(contract) => {
            let found = "is younger than what is final: its events are looked at once it is";
            findings.ok(Code::ContractYoung, address, found);
        }
        Some(Ok(None)) => {
            let fix =
                "name two endpoints, so that its logs can be compared, and one that keeps the whole history";
            let found = "does not count its requests, as reference deployments do not: a gap in its logs cannot be made up for";
            findings.bad(Code::ContractCountless, address, found, fix);
        }
        Some(Err(why)) => {
            let found = format!("could not be asked: {why}");
            findings.bad(Code::ContractUnasked, address, found, "mend the endpoints above");
            return false;
        }
    }
    true
}

fn is_ours(contract: &Contract) -> bool {
    matches!(&contract.rights, Some(Ok(rights)) if rights.kind == AbiKind::Raas)
}

/// Whether its newest events can be read and vouched for, and those from where a new node would begin.
fn events(contract: &Contract, findings: &mut Findings) {
    let address = contract.address.as_str();
    match &contract.newest {
        None => {}
        Some(Ok(Witness::None)) => {
            let fix = "name a second endpoint, or one that offers StateGetActor and eth_getBlockReceipts";
            let found = "nothing vouches for its logs: they are not believed";
            findings.bad(Code::LogsUnvouched, address, found, fix);
        }
        Some(Ok(Witness::Endpoints(count))) => {
            findings.ok(Code::LogsVouched, address, format!("{count} endpoints tell the same logs"));
        }
        Some(Ok(Witness::State | Witness::Receipts)) => {
            findings.ok(Code::LogsVouched, address, "its state and receipts vouch for its logs");
        }
        Some(Err(why)) => {
            let fix =
                "see the endpoints above; eth_getLogs must be offered and two must not contradict each other";
            let found = format!("its newest events could not be read: {why}");
            findings.bad(Code::LogsUnread, address, found, fix);
        }
    }
    if !contract.oldest_gone {
        return;
    }
    let (first, counts) = (contract.from_block, matches!(contract.count, Some(Ok(Some(_)))));
    if counts {
        let found = format!(
            "no endpoint keeps block {first}; a new node takes older requests from the contract's views"
        );
        findings.ok(Code::HistoryByViews, address, found);
    } else if contract.abi == AbiKind::Reference {
        let fix = "name an endpoint that keeps the whole history";
        let found = format!(
            "no endpoint keeps block {first}: of older requests a new node learns the CIDs, and not what they ask for"
        );
        findings.bad(Code::HistoryCidsOnly, address, found, fix);
    } else {
        let fix = "name an endpoint that keeps the whole history, or set contract.skip_to_block";
        let found = format!("no endpoint keeps block {first}: a new node cannot read the events from there");
        findings.bad(Code::HistoryGone, address, found, fix);
    }
}

/// Of which generation it is, and whether it lets the node complete.
fn rights(contract: &Contract, findings: &mut Findings) {
    let address = contract.address.as_str();
    let Rights { kind, paused, successor, completes } = match &contract.rights {
        None => return,
        Some(Ok(rights)) => rights,
        Some(Err(why)) => {
            let found = format!("what it lets the node do could not be read: {why}");
            return findings.bad(Code::RightsUnread, address, found, "mend the endpoints above");
        }
    };
    // Our own contract can be followed as any of the others, since it has their functions.
    if *kind != contract.abi && *kind != AbiKind::Raas {
        let found = format!("is of the generation {kind}, and is followed as {}", contract.abi);
        findings.bad(Code::ContractOtherKind, address, found, format!("set its abi to \"{kind}\""));
    }
    if *paused {
        let fix = format!("wait, or its pauser starts it again: `raas contract pause {address} --off`");
        let found = "is paused: nothing can be submitted or completed";
        findings.bad(Code::ContractPaused, address, found, fix);
    }
    if let Some(successor) = successor {
        let fix = "follow that one, too, in [[deployments]]; requests that are here stay here";
        let found = format!("names {successor} as its successor");
        findings.bad(Code::ContractSucceeded, address, found, fix);
    }
    match completes {
        None => {}
        Some((account, true)) => {
            findings.ok(Code::MayComplete, address, format!("lets {account} complete requests"));
        }
        Some((account, false)) => {
            let fix = format!("its admin grants it: `raas contract grant {address} aggregator {account}`");
            let found = format!("does not let {account} complete requests: no deal can be shown there");
            findings.bad(Code::MayNotComplete, address, found, fix);
        }
    }
}
