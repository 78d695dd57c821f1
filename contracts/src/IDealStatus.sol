// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice A Merkle path: the position of a node on its level and its siblings from the bottom up.
struct ProofData {
    uint64 index;
    bytes32[] path;
}

/// @notice Proof of data segment inclusion (FRC-0058): the piece's subtree first, its index entry second.
/// @dev The order is part of the ABI. Both paths empty means that the piece is the deal itself.
struct InclusionProof {
    ProofData proofSubtree;
    ProofData proofIndex;
}

/// @notice The client's piece: its 39-byte piece CID (v1, binary) and its padded size in bytes.
struct InclusionVerifierData {
    bytes commPc;
    uint64 sizePc;
}

/// @notice The deal's piece as the proof implies it: 39-byte piece CID and padded size in bytes.
struct InclusionAuxData {
    bytes commPa;
    uint64 sizePa;
}

/// @title The reference interface of DealStatus
/// @notice Selectors, topics and struct layouts are frozen: deployed clients depend on them.
interface IDealStatus {
    /// @notice A market deal (f05) and the actor id of the storage provider that holds it.
    struct Deal {
        uint64 dealId;
        uint64 minerId;
    }

    /// @notice A request without a policy was submitted.
    event SubmitAggregatorRequest(uint256 indexed id, bytes cid);

    /// @notice A request with a replication, repair and renewal policy was submitted.
    event SubmitAggregatorRequestWithRaaS(
        uint256 indexed id,
        bytes cid,
        uint256 _replication_target,
        uint256 _repair_threshold,
        uint256 _renew_threshold
    );

    /// @notice A deal was verified and recorded for a request. At most once for each pair.
    event CompleteAggregatorRequest(uint256 indexed id, uint64 indexed dealId);

    /// @notice Asks for `_cid` to be stored; the answer is the request id, counted from 1.
    function submit(bytes memory _cid) external returns (uint256);

    /// @notice Asks for `_cid` to be kept in `_replication_target` copies. Thresholds are epochs: inactivity
    /// before a repair, and time before expiry at which a deal is renewed.
    function submitRaaS(
        bytes memory _cid,
        uint256 _replication_target,
        uint256 _repair_threshold,
        uint256 _renew_threshold
    ) external returns (uint256);

    /// @notice Records that deal `_dealId` of provider `_minerId` holds the data of request `_id`.
    function complete(
        uint256 _id,
        uint64 _dealId,
        uint64 _minerId,
        InclusionProof memory _proof,
        InclusionVerifierData memory _verifierData
    ) external returns (InclusionAuxData memory);

    /// @notice All recorded deals of `_cid`, whatever their state.
    function getAllDeals(bytes memory _cid) external view returns (Deal[] memory);

    /// @notice All distinct CIDs ever submitted, in order of their first request.
    function getAllCIDs() external view returns (bytes[] memory);

    /// @notice The recorded deals of `_cid` that are active at this epoch.
    function getActiveDeals(bytes memory _cid) external view returns (Deal[] memory);

    /// @notice The active deals of `_cid` that end within `epochs` epochs from now.
    function getExpiringDeals(bytes memory _cid, uint64 epochs) external view returns (Deal[] memory);
}
