//! `raas contract status`, `verify-code` and `abi`: reading only.

use super::args::At;
use super::session::{Connection, address};
use crate::cli::failure::Failure;
use crate::cli::output;
use alloy_primitives::{Address as EthAddress, U256};
use raas_clients::evm::{AbiKind, Artifact, CodeMatch, DealStatus, DealStatusAbi as Abi};
use serde_json::{Value, json};

/// What a deployment says of itself.
pub async fn status(at: &At, as_json: bool) -> Result<(), Failure> {
    let contract = address("ADDRESS", &at.address)?;
    let connection = Connection::open(&at.chain).await?;
    if connection.code(contract).await?.is_empty() {
        return Err(Failure::failed(format!("there is no contract at {contract} on {}", connection.shown)));
    }
    let client = DealStatus::new(connection.pool.clone(), contract);
    let kind = client.kind().await?;
    let mut rows = vec![
        ("chain", json!(connection.shown)),
        ("address", json!(contract)),
        (
            "code",
            json!(if compare(&connection, contract).await?.is_ok() { "of this version" } else { "other" }),
        ),
        ("abi", json!(kind.name())),
    ];
    if kind == AbiKind::Raas {
        let text = |number: U256| json!(number.to_string());
        let successor = client.read(Abi::successorCall {}).await?;
        rows.extend([
            ("version", json!(client.read(Abi::versionCall {}).await?)),
            ("paused", json!(client.read(Abi::pausedCall {}).await?)),
            ("admin", json!(client.read(Abi::defaultAdminCall {}).await?)),
            ("requests", text(client.read(Abi::requestCountCall {}).await?)),
            ("contents", text(client.read(Abi::cidCountCall {}).await?)),
            ("maxReplications", text(client.read(Abi::getMaxReplicationsCall {}).await?)),
            ("requestDeposit", text(client.read(Abi::requestDepositCall {}).await?)),
            ("maxOpenRequests", text(client.read(Abi::maxOpenRequestsCall {}).await?)),
            ("restricted", json!(client.read(Abi::restrictedCall {}).await?)),
            ("sectorMarket", json!(client.read(Abi::sectorMarketCall {}).await?)),
            ("successor", if successor.is_zero() { Value::Null } else { json!(successor) }),
        ]);
    }
    if as_json {
        output::json(&rows.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Value>());
    } else {
        let plain = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let lines: Vec<[String; 2]> =
            rows.into_iter().map(|(name, value)| [name.to_owned(), plain(value)]).collect();
        output::table(&lines);
    }
    Ok(())
}

/// Whether contract and library are, byte by byte, those of this version.
pub async fn verify_code(at: &At, as_json: bool) -> Result<(), Failure> {
    let contract = address("ADDRESS", &at.address)?;
    let connection = Connection::open(&at.chain).await?;
    let artifact = Artifact::shipped()?;
    let (name, compiler, source) = artifact.origin();
    match compare(&connection, contract).await? {
        Ok(library) if as_json => output::json(&json!({
            "same": true, "chainId": connection.chain_id, "address": contract, "library": library,
            "compiler": compiler, "sourceHash": source,
        })),
        Ok(library) => output::data(&format!(
            "{contract} is {name} of this version (sources {source}), with its library at {library}"
        )),
        Err(why) => return Err(Failure::failed(format!("{contract} on {}: {why}", connection.shown))),
    }
    Ok(())
}

/// The ABI, or all of the artifact.
pub fn abi(whole: bool) -> Result<(), Failure> {
    let artifact = Artifact::shipped()?;
    if whole {
        output::data(Artifact::text())
    } else {
        output::json(artifact.abi())
    }
    Ok(())
}

/// The library's address, or why the code is another.
async fn compare(
    connection: &Connection,
    contract: EthAddress,
) -> Result<Result<EthAddress, String>, Failure> {
    let artifact = Artifact::shipped()?;
    let code = connection.code(contract).await?;
    let CodeMatch::Same(library) = artifact.recognise(&code) else {
        let found = if code.is_empty() {
            "there is no code".to_owned()
        } else {
            format!("{} bytes of other code", code.len())
        };
        return Ok(Err(found));
    };
    if artifact.is_library(library, &connection.code(library).await?) {
        return Ok(Ok(library));
    }
    Ok(Err(format!("its code is right, but not that of its library at {library}")))
}
