//! What the node may do at the contracts it follows: of which generation they are, and whether they let it complete.

use super::{Findings, Patient};
use crate::settings::ContractAt;
use alloy_primitives::{Address as EthAddress, keccak256};
use raas_clients::evm::{AbiKind, DealStatus, DealStatusAbi as Abi};
use raas_clients::rpc::CallError;

const AREA: &str = "contract";

/// Looks at what `account` may do at the configured contracts.
pub(super) async fn of(patient: &Patient<'_>, account: EthAddress, findings: &mut Findings) {
    let config = patient.config;
    // What is wrong with the configuration is told where the contracts are looked at.
    let (Ok(own), Ok(further)) = (config.own_contract(), config.deployments()) else { return };
    for at in own.into_iter().chain(further) {
        if let Err(why) = at_one(patient, &at, account, findings).await {
            let found = format!("what it lets the node do could not be read: {why}");
            findings.warning(AREA, &at.address.to_string(), found, "mend the endpoints above");
        }
    }
}

async fn at_one(
    patient: &Patient<'_>,
    at: &ContractAt,
    account: EthAddress,
    findings: &mut Findings,
) -> Result<(), CallError> {
    let address = &at.address.to_string();
    let contract = DealStatus::new(patient.pool.clone(), at.address.0.into());
    let kind = contract.kind().await?;
    // Our own contract can be followed as any of the others, since it has their functions.
    if kind != at.abi && kind != AbiKind::Raas {
        let found = format!("is of the generation {kind}, and is followed as {}", at.abi);
        findings.problem(AREA, address, found, &format!("set its abi to \"{kind}\""));
    }
    if kind != AbiKind::Raas {
        return Ok(());
    }
    if contract.read(Abi::pausedCall {}).await? {
        let fix = format!("wait, or its pauser starts it again: `raas contract pause {address} --off`");
        findings.warning(AREA, address, "is paused: nothing can be submitted or completed", &fix);
    }
    let successor = contract.read(Abi::successorCall {}).await?;
    if successor != EthAddress::ZERO {
        let fix = "follow that one, too; requests that are here stay here";
        findings.warning(AREA, address, format!("names {successor} as its successor"), fix);
    }
    let role = keccak256("AGGREGATOR_ROLE");
    if contract.read(Abi::hasRoleCall { role, account }).await? {
        findings.ok(AREA, address, format!("lets {account} complete requests"));
    } else {
        let fix = format!("its admin grants it: `raas contract grant {address} aggregator {account}`");
        let found = format!("does not let {account} complete requests: no deal can be shown there");
        findings.problem(AREA, address, found, &fix);
    }
    Ok(())
}
