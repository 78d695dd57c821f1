//! The frozen ABI of DealStatus, and the additions of our own contract that the node uses.
#![allow(missing_docs, reason = "the items are generated; the interface is described in contracts/")]

use alloy_sol_types::{GenericContractError as ContractError, SolInterface as _, sol};

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

        error InvalidCidLength(uint256 length);
        error InvalidTarget(uint256 target, uint256 max);
        error InvalidThreshold(uint256 epochs);
        error RequestNotFound(uint256 id);
        error WrongPiece(uint256 id);
        error AlreadyRecorded(uint256 id, uint64 dealId);
        error DealNotActive(uint64 dealId, int256 exitCode);
        error DealEnded(uint64 dealId, uint64 endEpoch);
        error WrongProvider(uint64 dealId, uint64 minerId);
        error WrongDealPiece(uint64 dealId);
        error DealListFull(bytes32 cidKey);
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
        function requestCount() external view returns (uint256);
    }
}

/// Why a contract refused, in words where its revert bytes are known.
pub(crate) fn refusal(revert: &[u8]) -> String {
    if let Ok(error) = DealStatusAbi::DealStatusAbiErrors::abi_decode(revert) {
        return format!("{error:?}");
    }
    match ContractError::abi_decode(revert) {
        Ok(ContractError::Revert(revert)) => revert.reason,
        Ok(ContractError::Panic(panic)) => panic.to_string(),
        _ => format!("revert data 0x{}", hex::encode(revert)),
    }
}

#[cfg(test)]
mod tests {
    use super::DealStatusAbi as Abi;
    use super::refusal;
    use alloy_sol_types::{SolCall, SolError, SolEvent};

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
