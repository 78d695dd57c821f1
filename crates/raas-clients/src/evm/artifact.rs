//! The contract as the repository ships it: code to deploy, and how deployed code is recognised.
//!
//! DealStatus is two pieces of code: the library `Evidence` is deployed first, and its address is linked into the
//! contract. A deployment's settings are the constructor's arguments; some of them end up in the code.

use alloy_primitives::{Address as EthAddress, Bytes, U256, aliases::U48};
use alloy_sol_types::{SolValue, sol};
use serde::Deserialize;

/// ABI and code as `contracts/export.sh` writes them.
const SHIPPED: &str = include_str!("../../../../contracts/artifacts/DealStatus.json");
/// Where the address of a library stands in its own code: behind PUSH20.
const OWN_ADDRESS: std::ops::Range<usize> = 1..21;
/// Digits of an address.
const PLACEHOLDER_LEN: usize = 40;

sol! {
    struct SettingsAbi {
        address admin;
        uint48 adminDelay;
        address aggregator;
        address pauser;
        address submitter;
        bool restricted;
        uint256 requestDeposit;
        uint256 maxOpenRequests;
    }
}

/// What a deployment decides once and for all, and who gets which role first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploySettings {
    /// Grants roles; handed over in two steps.
    pub admin: EthAddress,
    /// Seconds between these steps.
    pub admin_delay_secs: u64,
    /// May complete requests.
    pub aggregator: Option<EthAddress>,
    /// May stop and start writes.
    pub pauser: Option<EthAddress>,
    /// May submit without a limit.
    pub submitter: Option<EthAddress>,
    /// Whether nobody else may submit.
    pub restricted: bool,
    /// attoFIL kept for each open request.
    pub request_deposit: u128,
    /// Open requests of one owner who is no submitter.
    pub max_open_requests: u64,
}

impl DeploySettings {
    /// Three days to take a change of admin back, anyone may submit up to 1,000 open requests, no deposit; all roles
    /// are `owner`'s.
    #[must_use]
    pub const fn of(owner: EthAddress) -> Self {
        Self {
            admin: owner,
            admin_delay_secs: 3 * 86_400,
            aggregator: Some(owner),
            pauser: Some(owner),
            submitter: Some(owner),
            restricted: false,
            request_deposit: 0,
            max_open_requests: 1_000,
        }
    }

    fn encoded(&self) -> Vec<u8> {
        SettingsAbi {
            admin: self.admin,
            adminDelay: U48::saturating_from(self.admin_delay_secs),
            aggregator: self.aggregator.unwrap_or_default(),
            pauser: self.pauser.unwrap_or_default(),
            submitter: self.submitter.unwrap_or_default(),
            restricted: self.restricted,
            requestDeposit: U256::from(self.request_deposit),
            maxOpenRequests: U256::from(self.max_open_requests),
        }
        .abi_encode()
    }
}

/// Why an artifact cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArtifactError {
    /// Not what the contracts folder exports.
    #[error("the contract artifact is not understood: {0}")]
    Shape(String),
}

/// Whether code on chain is that of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeMatch {
    /// It is, and this is its library's address.
    Same(EthAddress),
    /// It is other code.
    Other,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    contract_name: String,
    compiler: String,
    source_hash: String,
    abi: serde_json::Value,
    bytecode: String,
    deployed_bytecode: String,
    immutables: Vec<Range>,
    library: WireLibrary,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Range {
    start: usize,
    length: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireLibrary {
    placeholder: String,
    bytecode: Bytes,
    deployed_bytecode: Bytes,
}

/// A contract artifact.
#[derive(Clone, Debug)]
pub struct Artifact {
    wire: Wire,
    /// Where the deployed code has the library's address, in bytes.
    links: Vec<usize>,
    /// The deployed code with zeros there.
    deployed: Vec<u8>,
}

impl Artifact {
    /// The one of this repository.
    pub fn shipped() -> Result<Self, ArtifactError> {
        Self::parse(SHIPPED)
    }

    /// From the text of an artifact file.
    pub fn parse(text: &str) -> Result<Self, ArtifactError> {
        let wire: Wire =
            serde_json::from_str(text).map_err(|error| ArtifactError::Shape(error.to_string()))?;
        if wire.library.placeholder.len() != PLACEHOLDER_LEN {
            return Err(ArtifactError::Shape("library.placeholder has not 40 characters".to_owned()));
        }
        let links = wire
            .deployed_bytecode
            .match_indices(&wire.library.placeholder)
            // Two digits of prefix, two digits a byte.
            .map(|(at, _)| (at.saturating_sub(2)) / 2)
            .collect();
        let deployed = linked(&wire.deployed_bytecode, &wire.library.placeholder, EthAddress::ZERO)?;
        linked(&wire.bytecode, &wire.library.placeholder, EthAddress::ZERO)?;
        Ok(Self { wire, links, deployed: deployed.to_vec() })
    }

    /// Name, compiler and hash of the sources, for people.
    #[must_use]
    pub fn origin(&self) -> (&str, &str, &str) {
        (&self.wire.contract_name, &self.wire.compiler, &self.wire.source_hash)
    }

    /// The whole file that the repository ships, for whoever deploys with other tools.
    #[must_use]
    pub const fn text() -> &'static str {
        SHIPPED
    }

    /// The ABI as JSON.
    #[must_use]
    pub const fn abi(&self) -> &serde_json::Value {
        &self.wire.abi
    }

    /// Init code of the library, which is deployed first.
    #[must_use]
    pub fn library(&self) -> Bytes {
        self.wire.library.bytecode.clone()
    }

    /// Init code of the contract that uses the library at `library`.
    #[must_use]
    pub fn contract(&self, library: EthAddress, settings: &DeploySettings) -> Bytes {
        let code = linked(&self.wire.bytecode, &self.wire.library.placeholder, library);
        let mut code = code.map(|code| code.to_vec()).unwrap_or_default();
        code.extend(settings.encoded());
        code.into()
    }

    /// Whether `code` is this contract's, whatever its settings are.
    #[must_use]
    pub fn recognise(&self, code: &[u8]) -> CodeMatch {
        if code.len() != self.deployed.len() {
            return CodeMatch::Other;
        }
        let library_at = |at: &usize| code.get(*at..*at + 20).map(EthAddress::from_slice);
        let Some(library) = self.links.first().and_then(library_at) else { return CodeMatch::Other };
        if self.links.iter().any(|at| library_at(at) != Some(library)) {
            return CodeMatch::Other;
        }
        let mut bare = code.to_vec();
        for at in &self.links {
            bare.iter_mut().skip(*at).take(20).for_each(|byte| *byte = 0);
        }
        for range in &self.wire.immutables {
            bare.iter_mut().skip(range.start).take(range.length).for_each(|byte| *byte = 0);
        }
        if bare == self.deployed { CodeMatch::Same(library) } else { CodeMatch::Other }
    }

    /// Whether `code`, found at `address`, is the library's.
    #[must_use]
    pub fn is_library(&self, address: EthAddress, code: &[u8]) -> bool {
        let mut wanted = self.wire.library.deployed_bytecode.to_vec();
        if let Some(own) = wanted.get_mut(OWN_ADDRESS) {
            own.copy_from_slice(address.as_slice());
        }
        wanted == code
    }
}

fn linked(code: &str, placeholder: &str, library: EthAddress) -> Result<Bytes, ArtifactError> {
    let text = code.replace(placeholder, &hex::encode(library));
    text.parse().map_err(|_| ArtifactError::Shape("bytecode is not hex around the placeholder".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linked_code_is_recognised_and_any_other_byte_is_not() {
        let artifact = Artifact::shipped().expect("the artifact");
        let library = EthAddress::repeat_byte(0xab);
        let mut code = linked(&artifact.wire.deployed_bytecode, &artifact.wire.library.placeholder, library)
            .expect("hex")
            .to_vec();
        assert_eq!(artifact.recognise(&code), CodeMatch::Same(library));
        // Settings are in the code and do not matter.
        let immutable = artifact.wire.immutables.first().expect("settings");
        code[immutable.start + immutable.length - 1] ^= 1;
        assert_eq!(artifact.recognise(&code), CodeMatch::Same(library));
        code[0] ^= 1;
        assert_eq!(artifact.recognise(&code), CodeMatch::Other);
        code[0] ^= 1;
        // Two different libraries.
        let last = *artifact.links.last().expect("links");
        assert!(artifact.links.len() > 1);
        code[last] ^= 1;
        assert_eq!(artifact.recognise(&code), CodeMatch::Other);
        assert_eq!(artifact.recognise(&[]), CodeMatch::Other);
    }

    #[test]
    fn a_library_knows_its_own_address() {
        let artifact = Artifact::shipped().expect("the artifact");
        let address = EthAddress::repeat_byte(0xcd);
        let mut code = artifact.wire.library.deployed_bytecode.to_vec();
        assert_eq!(code[0], 0x73, "PUSH20");
        assert!(!artifact.is_library(address, &code));
        code[OWN_ADDRESS].copy_from_slice(address.as_slice());
        assert!(artifact.is_library(address, &code));
        code[100] ^= 1;
        assert!(!artifact.is_library(address, &code));
    }

    #[test]
    fn an_artifact_of_another_shape_is_refused() {
        assert!(matches!(Artifact::parse("{}"), Err(ArtifactError::Shape(_))));
    }
}
