//! The contracts that are followed: the node's own of `[contract]`, and those of `[[deployments]]`.

use super::{Config, ConfigError};
use crate::settings::ContractAt;
use raas_clients::evm::{AbiKind, UnknownKind};
use raas_core::ids::{ContractAddress, NoAddress};
use raas_core::units::Epoch;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Contracts followed besides the node's own: each costs calls in every round.
const DEPLOYMENTS_MAX: usize = 16;

/// A contract that is followed besides the node's own, such as a reference deployment of somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeploymentSection {
    /// 0x address.
    pub address: String,
    /// Block of its deployment: events are read from here.
    pub from_block: i64,
    /// As `contract.skip_to_block`.
    pub skip_to_block: Option<i64>,
    /// `raas`, `frc0087` or `reference`.
    pub abi: String,
}

impl Config {
    /// The contract of `[contract]`, if one is named.
    pub fn own_contract(&self) -> Result<Option<ContractAt>, ConfigError> {
        let Some(text) = &self.contract.address else { return Ok(None) };
        let address = address("contract.address", text)?;
        Ok(Some(ContractAt {
            address,
            from_block: block("contract.from_block", self.contract.from_block.unwrap_or(0))?,
            skip_to: skip("contract.skip_to_block", self.contract.skip_to_block)?,
            abi: self.contract_abi()?,
        }))
    }

    /// The generation of the contract of `[contract]`.
    pub fn contract_abi(&self) -> Result<AbiKind, ConfigError> {
        self.contract.abi.as_deref().map_or(Ok(AbiKind::Raas), |text| abi("contract.abi", text))
    }

    /// The contracts of `[[deployments]]`, in their order.
    pub fn deployments(&self) -> Result<Vec<ContractAt>, ConfigError> {
        if self.deployments.len() > DEPLOYMENTS_MAX {
            let why = format!("{} contracts, {DEPLOYMENTS_MAX} is the most", self.deployments.len());
            return Err(ConfigError::invalid("deployments", why));
        }
        let mut seen: BTreeSet<ContractAddress> =
            self.own_contract()?.map(|own| own.address).into_iter().collect();
        let mut deployments = Vec::with_capacity(self.deployments.len());
        for section in &self.deployments {
            let at = ContractAt {
                address: address("deployments.address", &section.address)?,
                from_block: block("deployments.from_block", section.from_block)?,
                skip_to: skip("deployments.skip_to_block", section.skip_to_block)?,
                abi: abi("deployments.abi", &section.abi)?,
            };
            if !seen.insert(at.address) {
                let why = format!("{} is named twice; leave one of them out", at.address);
                return Err(ConfigError::invalid("deployments.address", why));
            }
            deployments.push(at);
        }
        Ok(deployments)
    }
}

fn address(key: &'static str, text: &str) -> Result<ContractAddress, ConfigError> {
    text.parse().map_err(|error: NoAddress| ConfigError::invalid(key, error.to_string()))
}

fn abi(key: &'static str, text: &str) -> Result<AbiKind, ConfigError> {
    text.parse().map_err(|error: UnknownKind| ConfigError::invalid(key, error.to_string()))
}

fn block(key: &'static str, block: i64) -> Result<Epoch, ConfigError> {
    if block < 0 {
        return Err(ConfigError::invalid(key, format!("{block} is no block; the first is 0")));
    }
    Ok(Epoch(block))
}

fn skip(key: &'static str, skip: Option<i64>) -> Result<Option<Epoch>, ConfigError> {
    skip.map(|to| block(key, to)).transpose()
}
