//! `raas contract deploy`: the library, then the contract, with the settings that were typed.

use super::args::Deploy;
use super::session::{Session, address};
use crate::cli::failure::Failure;
use crate::cli::output;
use alloy_primitives::Address as EthAddress;
use raas_clients::evm::{Artifact, CodeMatch, DeploySettings};
use serde_json::json;

/// Deploys, and compares what is on chain with what was sent.
pub async fn deploy(typed: &Deploy, as_json: bool) -> Result<(), Failure> {
    let artifact = Artifact::shipped()?;
    let session = Session::open(&typed.chain, &typed.signer).await?;
    let settings = settings(typed, session.wallet.eth_address())?;
    let (name, compiler, source) = artifact.origin();
    session
        .agree(&[
            format!("deploys  {name} by {compiler}, sources {source}, and its library"),
            format!("admin    {} ({} h to take a change back)", settings.admin, typed.admin_delay_hours),
            format!(
                "roles    aggregator {}, pauser {}, submitter {}",
                shown(settings.aggregator),
                shown(settings.pauser),
                shown(settings.submitter)
            ),
            format!(
                "rules    deposit {} attoFIL, {} open requests an account{}",
                settings.request_deposit,
                settings.max_open_requests,
                if settings.restricted { ", named submitters only" } else { "" }
            ),
        ])
        .await?;
    let (library, first) = session.create(artifact.library()).await?;
    output::say(&format!("library  {library} in block {}, {}", first.block, first.hash));
    let (contract, second) = session.create(artifact.contract(library, &settings)).await?;
    let code = session.connection.code(contract).await?;
    if artifact.recognise(&code) != CodeMatch::Same(library) {
        return Err(Failure::failed(format!(
            "{contract} does not have the code that was sent; do not use it"
        )));
    }
    if as_json {
        output::json(&json!({
            "chain": session.connection.shown, "chainId": session.connection.chain_id,
            "address": contract, "fromBlock": second.block, "transaction": second.hash,
            "library": library, "sourceHash": source,
        }));
    } else {
        output::data(&format!("address     {contract}"));
        output::data(&format!("from block  {}", second.block));
        output::say("put both into the [contract] section of the node's configuration");
    }
    Ok(())
}

fn shown(account: Option<EthAddress>) -> String {
    account.map_or_else(|| "nobody".to_owned(), |account| account.to_string())
}

fn settings(typed: &Deploy, signer: EthAddress) -> Result<DeploySettings, Failure> {
    let account = |what: &str, text: &Option<String>| match text.as_deref() {
        None => Ok(Some(signer)),
        Some("nobody") => Ok(None),
        Some(text) => address(what, text).map(Some),
    };
    let admin = account("--admin", &typed.admin)?
        .ok_or_else(|| Failure::Usage("--admin: somebody must be the admin at first".to_owned()))?;
    Ok(DeploySettings {
        admin,
        admin_delay_secs: u64::from(typed.admin_delay_hours) * 3_600,
        aggregator: account("--aggregator", &typed.aggregator)?,
        pauser: account("--pauser", &typed.pauser)?,
        submitter: account("--submitter", &typed.submitter)?,
        restricted: typed.restricted,
        request_deposit: typed.request_deposit,
        max_open_requests: typed.max_open_requests,
    })
}
