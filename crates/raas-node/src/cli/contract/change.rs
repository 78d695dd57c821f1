//! `raas contract grant`, `pause` and `prune`: one transaction each.

use super::args::{Grant, Pause, Prune};
use super::session::{Executed, Session, address};
use crate::causes::chain;
use crate::cli::failure::Failure;
use crate::cli::output;
use alloy_primitives::keccak256;
use alloy_sol_types::SolCall;
use raas_clients::evm::DealStatusAbi as Abi;
use raas_core::cid::DataCid;
use serde_json::json;

/// Gives or takes a role.
pub async fn grant(typed: &Grant, as_json: bool) -> Result<(), Failure> {
    let contract = address("ADDRESS", &typed.address)?;
    let account = address("ACCOUNT", &typed.account)?;
    let role = keccak256(typed.role.text());
    let input = if typed.revoke {
        Abi::revokeRoleCall { role, account }.abi_encode()
    } else {
        Abi::grantRoleCall { role, account }.abi_encode()
    };
    let verb = if typed.revoke { "takes" } else { "gives" };
    let session = Session::open(&typed.chain, &typed.signer).await?;
    session.require_contract(contract).await?;
    session.agree(&[format!("{verb}    {} at {contract}: {account}", typed.role.text())]).await?;
    told(&session.call(contract, input.into()).await?, as_json);
    Ok(())
}

/// Stops or starts writes.
pub async fn pause(typed: &Pause, as_json: bool) -> Result<(), Failure> {
    let contract = address("ADDRESS", &typed.address)?;
    let input = if typed.off { Abi::unpauseCall {}.abi_encode() } else { Abi::pauseCall {}.abi_encode() };
    let session = Session::open(&typed.chain, &typed.signer).await?;
    let verb = if typed.off { "starts" } else { "stops" };
    session.require_contract(contract).await?;
    session.agree(&[format!("{verb}   submitting and completing at {contract}")]).await?;
    told(&session.call(contract, input.into()).await?, as_json);
    Ok(())
}

/// Takes deals that are over off a list.
pub async fn prune(typed: &Prune, as_json: bool) -> Result<(), Failure> {
    let contract = address("ADDRESS", &typed.address)?;
    let cid: DataCid =
        typed.cid.parse().map_err(|error| Failure::Usage(format!("CID: {}", chain(&error))))?;
    let call = Abi::pruneDealsCall { cid: cid.cid().to_bytes().into(), dealIds: typed.deals.clone() };
    let session = Session::open(&typed.chain, &typed.signer).await?;
    session.require_contract(contract).await?;
    session.agree(&[format!("prunes   {} deals of {cid} at {contract}", typed.deals.len())]).await?;
    told(&session.call(contract, call.abi_encode().into()).await?, as_json);
    Ok(())
}

fn told(executed: &Executed, as_json: bool) {
    if as_json {
        output::json(&json!({"transaction": executed.hash, "block": executed.block}));
    } else {
        output::data(&format!("{} in block {}", executed.hash, executed.block));
    }
}
