//! The one place where the contract's interfaces are written down for Rust: the reference ABI, FRC-0087, and what our
//! own contract adds. Everything that calls, reads or follows a DealStatus uses these.
#![allow(missing_docs, reason = "the items are generated; the interface is described in contracts/")]

use alloy_primitives::keccak256;
use alloy_sol_types::{GenericContractError as ContractError, SolInterface as _, sol};
use raas_core::ports::NoQuote;

sol! {
    #[derive(Debug)]
    struct ProofData {
        uint64 index;
        bytes32[] path;
    }

    #[derive(Debug)]
    struct InclusionProof {
        ProofData proofSubtree;
        ProofData proofIndex;
    }

    #[derive(Debug)]
    struct InclusionVerifierData {
        bytes commPc;
        uint64 sizePc;
    }

    #[derive(Debug)]
    struct InclusionAuxData {
        bytes commPa;
        uint64 sizePa;
    }

    #[derive(Debug)]
    struct Deal {
        uint64 dealId;
        uint64 minerId;
    }

    #[derive(Debug)]
    struct MarketDeal {
        uint64 dealId;
        uint64 providerId;
        uint64 marketActorId;
    }

    #[derive(Debug)]
    struct Policy {
        uint32 target;
        uint64 repairThreshold;
        uint64 renewThreshold;
        uint64 endsAt;
    }

    #[derive(Debug)]
    struct Submission {
        bytes cid;
        Policy policy;
        bytes pieceCid;
        uint64 pieceSize;
    }

    #[derive(Debug)]
    struct Request {
        address owner;
        bytes cid;
        Policy policy;
        bytes pieceCid;
        uint64 pieceSize;
        bool open;
    }

    #[derive(Debug)]
    interface DealStatusAbi {
        event SubmitAggregatorRequest(uint256 indexed id, bytes cid);
        event SubmitAggregatorRequestWithRaaS(
            uint256 indexed id,
            bytes cid,
            uint256 _replication_target,
            uint256 _repair_threshold,
            uint256 _renew_threshold
        );
        event CompleteAggregatorRequest(uint256 indexed id, uint64 indexed dealId);
        event RequestRegistered(uint256 indexed id, bytes32 indexed cidKey, address indexed owner);
        event FetchLink(uint256 indexed id, bytes fetchLink);
        event RequestUpdated(
            uint256 indexed id, uint32 target, uint64 repairThreshold, uint64 renewThreshold, uint64 endsAt
        );
        event RequestCancelled(uint256 indexed id, address indexed by);
        event PieceBound(uint256 indexed id, bytes pieceCid, uint64 size, address indexed by);
        event DealRecorded(
            uint256 indexed id,
            uint64 indexed marketActorId,
            uint64 indexed dealId,
            uint64 providerId,
            bytes commPa,
            uint64 sizePa,
            uint64 endEpoch
        );
        event DealPruned(bytes32 indexed cidKey, uint64 indexed dealId);
        event SectorPieceRecorded(
            uint64 indexed dealId,
            uint64 indexed providerId,
            uint256 indexed id,
            uint64 sector,
            bytes pieceCid,
            uint64 size,
            int64 minimumCommitmentEpoch
        );

        error InvalidCidLength(uint256 length);
        error InvalidTarget(uint256 target, uint256 max);
        error InvalidThreshold(uint256 epochs);
        error InvalidEnd(uint256 endsAt);
        error TooManyOpenRequests(address owner, uint256 max);
        error DepositMissing(uint256 wanted, uint256 sent);
        error RequestNotFound(uint256 id);
        error RequestClosed(uint256 id);
        error NotOwner(uint256 id, address caller);
        error PieceAlreadyBound(uint256 id);
        error PieceNotBound(uint256 id);
        error WrongPiece(uint256 id);
        error AlreadyRecorded(uint256 id, uint64 dealId);
        error UnsupportedMarket(uint64 marketActorId);
        error DealNotActive(uint64 dealId, int256 exitCode);
        error DealEnded(uint64 dealId, uint64 endEpoch);
        error WrongProvider(uint64 dealId, uint64 providerId);
        error WrongDealPiece(uint64 dealId);
        error DealListFull(bytes32 cidKey);
        error DealNotListed(uint64 dealId);
        error DealStillLive(uint64 dealId);
        error PageTooLarge(uint256 wanted, uint256 max);
        error MarketUnavailable(int256 exitCode);
        error ActorUnavailable(uint64 actor, int256 exitCode);
        error EnforcedPause();
        error AccessControlUnauthorizedAccount(address account, bytes32 neededRole);

        function submit(bytes memory _cid) external returns (uint256);
        function submitRaaS(
            bytes memory _cid,
            uint256 _replication_target,
            uint256 _repair_threshold,
            uint256 _renew_threshold
        ) external returns (uint256);
        function complete(
            uint256 _id,
            uint64 _dealId,
            uint64 _minerId,
            InclusionProof memory _proof,
            InclusionVerifierData memory _verifierData
        ) external returns (InclusionAuxData memory);
        function getAllDeals(bytes memory _cid) external view returns (Deal[] memory);
        function getAllCIDs() external view returns (bytes[] memory);
        function getActiveDeals(bytes memory _cid) external view returns (Deal[] memory);
        function getExpiringDeals(bytes memory _cid, uint64 epochs) external view returns (Deal[] memory);

        function changeMaxReplications(uint256 maxReplications) external;
        function getMaxReplications() external view returns (uint256);

        function submitRaaSMany(Submission[] calldata submissions) external payable returns (uint256 firstId);
        function updateRequest(uint256 id, Policy calldata policy) external;
        function cancelRequest(uint256 id) external;
        function pruneDeals(bytes calldata cid, uint64[] calldata dealIds) external;
        function requestCount() external view returns (uint256);
        function getRequest(uint256 id) external view returns (Request memory);
        function cidCount() external view returns (uint256);
        function dealsOf(bytes[] calldata cids) external view returns (MarketDeal[][] memory);
        function computeExpectedAuxDataPublic(
            InclusionProof calldata proof, InclusionVerifierData calldata verifierData
        ) external view returns (InclusionAuxData memory);
        function sectorMarket() external view returns (uint64);
        function requestDeposit() external view returns (uint256);
        function maxOpenRequests() external view returns (uint256);
        function restricted() external view returns (bool);
        function version() external pure returns (string memory);
        function successor() external view returns (address);
        function pause() external;
        function unpause() external;
        function paused() external view returns (bool);
        function defaultAdmin() external view returns (address);
        function hasRole(bytes32 role, address account) external view returns (bool);
        function grantRole(bytes32 role, address account) external;
        function revokeRole(bytes32 role, address account) external;
        function supportsInterface(bytes4 interfaceId) external view returns (bool);
    }

    /// FRC-0087, apart from the reference because its functions have the same names.
    #[derive(Debug)]
    interface Frc0087Abi {
        function submit(bytes calldata cid, bytes calldata fetchLink) external payable returns (uint256 id);
        function submitRaaS(
            bytes calldata cid,
            bytes calldata fetchLink,
            uint256 replicationTarget,
            uint256 repairThreshold,
            uint256 renewThreshold
        ) external payable returns (uint256 id);
        function complete(
            uint256 id,
            uint64 marketActorId,
            uint64 dealId,
            uint64 providerId,
            InclusionProof calldata proof,
            InclusionVerifierData calldata verifierData
        ) external returns (InclusionAuxData memory);
        function onchain_complete(uint256 id, uint64 marketActorId, uint64 dealId, uint64 providerId) external;
        function getAllCIDs(uint64 startIndex, uint64 count) external view returns (bytes[] memory);
        function getAllDeals(bytes calldata cid, uint64 startIndex, uint64 count)
            external
            view
            returns (MarketDeal[] memory);
    }
}

/// Why a contract refuses a call.
pub(crate) fn no_quote(revert: &[u8]) -> NoQuote {
    let why = format!("the contract refuses: {}", refusal(revert));
    match DealStatusAbi::DealStatusAbiErrors::abi_decode(revert) {
        Ok(DealStatusAbi::DealStatusAbiErrors::DealListFull(_)) => NoQuote::ListFull(why),
        _ => NoQuote::Refused(why),
    }
}

/// The roles of our contract by the names under which `raas contract grant` takes them.
const ROLES: [(&str, &str); 2] = [("AGGREGATOR_ROLE", "aggregator"), ("PAUSER_ROLE", "pauser")];

fn in_words(error: &DealStatusAbi::DealStatusAbiErrors) -> String {
    use DealStatusAbi::DealStatusAbiErrors as Errors;
    match error {
        Errors::EnforcedPause(_) => {
            "it is paused; `raas contract pause --off`, by a pauser, starts it again".to_owned()
        }
        Errors::AccessControlUnauthorizedAccount(denied) => {
            let account = denied.account;
            let role = ROLES.iter().find(|(name, _)| keccak256(name) == denied.neededRole);
            match role {
                Some((name, typed)) => format!(
                    "{account} has not the role {name}; its admin gives it with `raas contract grant ADDRESS {typed} {account}`"
                ),
                None => format!("{account} is not its admin"),
            }
        }
        // `Name(Name { field: value })`
        other => {
            let text = format!("{other:?}");
            let inner = text.split_once('(').and_then(|(_, inner)| inner.strip_suffix(')'));
            inner.unwrap_or(&text).to_owned()
        }
    }
}

/// Why a contract refused, in words where its revert bytes are known.
pub(crate) fn refusal(revert: &[u8]) -> String {
    if let Ok(error) = DealStatusAbi::DealStatusAbiErrors::abi_decode(revert) {
        return in_words(&error);
    }
    match ContractError::abi_decode(revert) {
        Ok(ContractError::Revert(revert)) => revert.reason,
        Ok(ContractError::Panic(panic)) => panic.to_string(),
        _ => format!("revert data 0x{}", hex::encode(revert)),
    }
}

#[cfg(test)]
mod tests {
    use super::{DealStatusAbi as Abi, Frc0087Abi as Frc, refusal};
    use crate::evm::Artifact;
    use alloy_primitives::keccak256;
    use alloy_sol_types::{SolCall, SolError, SolEvent, SolInterface};

    #[test]
    fn a_refusal_is_said_with_what_mends_it() {
        let account = alloy_primitives::Address::repeat_byte(7);
        let denied = |role: &str| {
            let error = Abi::AccessControlUnauthorizedAccount { account, neededRole: keccak256(role) };
            refusal(&error.abi_encode())
        };
        assert!(denied("PAUSER_ROLE").ends_with(&format!("`raas contract grant ADDRESS pauser {account}`")));
        assert!(denied("AGGREGATOR_ROLE").contains("ADDRESS aggregator 0x"));
        assert!(denied("another").ends_with("is not its admin"));
        assert!(refusal(&Abi::EnforcedPause {}.abi_encode()).contains("raas contract pause --off"));
        assert_eq!(refusal(&Abi::WrongDealPiece { dealId: 3 }.abi_encode()), "WrongDealPiece { dealId: 3 }");
    }

    /// The numbers that deployed clients use.
    #[test]
    fn selectors_and_topics_are_the_frozen_ones() {
        for (selector, frozen) in [
            (Abi::submitCall::SELECTOR, "ef7fa71b"),
            (Abi::submitRaaSCall::SELECTOR, "de52f264"),
            (Abi::completeCall::SELECTOR, "60b93184"),
            (Abi::getAllDealsCall::SELECTOR, "496a9d21"),
            (Abi::getAllCIDsCall::SELECTOR, "3410e7ce"),
            (Abi::getActiveDealsCall::SELECTOR, "f5034301"),
            (Abi::getExpiringDealsCall::SELECTOR, "81bcd88c"),
            (Abi::changeMaxReplicationsCall::SELECTOR, "1e9464f0"),
            (Abi::getMaxReplicationsCall::SELECTOR, "f93b8051"),
            (Abi::computeExpectedAuxDataPublicCall::SELECTOR, "81aed7c3"),
            (Frc::submitCall::SELECTOR, "39b973ad"),
            (Frc::submitRaaSCall::SELECTOR, "3fe6797a"),
            (Frc::completeCall::SELECTOR, "ff55e538"),
            (Frc::onchain_completeCall::SELECTOR, "d9a084a3"),
            (Frc::getAllCIDsCall::SELECTOR, "e5dd1dde"),
            (Frc::getAllDealsCall::SELECTOR, "800509e4"),
        ] {
            assert_eq!(hex::encode(selector), frozen);
        }
        for (topic, frozen) in [
            (
                Abi::SubmitAggregatorRequest::SIGNATURE_HASH,
                "104e370246a6acb34978d26af9fb437cb9f46e15e94cc27f24f305528db420a1",
            ),
            (
                Abi::SubmitAggregatorRequestWithRaaS::SIGNATURE_HASH,
                "c0e29b40de38cfd5b8266e5afb21298b2c180d25d2ad808406c21f3db0c3530a",
            ),
            (
                Abi::CompleteAggregatorRequest::SIGNATURE_HASH,
                "fcfb278ce1c62d14ce854540f204ef9fc7d58f09adc7bd773da126dd906bb980",
            ),
        ] {
            assert_eq!(hex::encode(topic), frozen);
        }
        let errors: [([u8; 4], &str); 2] =
            [(alloy_sol_types::Revert::SELECTOR, "08c379a0"), (alloy_sol_types::Panic::SELECTOR, "4e487b71")];
        for (selector, frozen) in errors {
            assert_eq!(hex::encode(selector), frozen);
        }
    }

    /// Whatever is written above is in the contract's own ABI, as the compiler wrote it: no name, type or order here
    /// can drift away from the sources.
    #[test]
    fn every_binding_is_in_the_artifact() {
        let artifact = Artifact::shipped().expect("the artifact");
        let entries = artifact.abi().as_array().expect("an ABI");
        let signature = |entry: &serde_json::Value| {
            let types: Vec<String> = entry["inputs"].as_array().into_iter().flatten().map(type_of).collect();
            format!("{}({})", entry["name"].as_str().unwrap_or_default(), types.join(","))
        };
        let hashes = |kind: &str| -> Vec<[u8; 32]> {
            entries
                .iter()
                .filter(|entry| entry["type"] == kind)
                .map(|entry| keccak256(signature(entry)).0)
                .collect()
        };
        let functions = hashes("function");
        let known = |selector: &[u8]| functions.iter().any(|hash| hash.starts_with(selector));
        for selector in Abi::DealStatusAbiCalls::selectors().chain(Frc::Frc0087AbiCalls::selectors()) {
            assert!(known(&selector), "function {}", hex::encode(selector));
        }
        let errors = hashes("error");
        for selector in Abi::DealStatusAbiErrors::selectors() {
            assert!(errors.iter().any(|hash| hash.starts_with(&selector)), "error {}", hex::encode(selector));
        }
        let events = hashes("event");
        for topic in Abi::DealStatusAbiEvents::SELECTORS {
            assert!(events.contains(topic), "event {}", hex::encode(topic));
        }
    }

    fn type_of(input: &serde_json::Value) -> String {
        let named = input["type"].as_str().unwrap_or_default();
        match named.strip_prefix("tuple") {
            None => named.to_owned(),
            Some(suffix) => {
                let fields: Vec<String> =
                    input["components"].as_array().into_iter().flatten().map(type_of).collect();
                format!("({}){suffix}", fields.join(","))
            }
        }
    }

    #[test]
    fn a_refusal_is_told_in_words() {
        let error = Abi::DealEnded { dealId: 7, endEpoch: 99 }.abi_encode();
        let told = refusal(&error);
        assert!(told.contains("DealEnded") && told.contains("99"), "{told}");
        let text = alloy_sol_types::Revert::from("closed").abi_encode();
        assert_eq!(refusal(&text), "closed");
        assert!(refusal(&[1, 2, 3, 4]).contains("01020304"));
    }
}
