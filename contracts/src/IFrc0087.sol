// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {InclusionProof, InclusionVerifierData, InclusionAuxData} from "./IDealStatus.sol";

/// @notice A deal of any market actor; deal ids are scoped by it.
/// @dev f05 is market actor 5. Pieces of sectors that providers notified to this contract (FIP-0109) have this
/// contract's own actor id and deal ids from 2^63 on, which f05 never reaches.
struct MarketDeal {
    uint64 dealId;
    uint64 providerId;
    uint64 marketActorId;
}

/// @title FRC-0087: aggregation with the proof made off chain
/// @notice The events are those of {IDealStatus}.
interface IFrc0087 {
    /// @notice Asks for the piece `cid` to be stored; the data can be fetched at `fetchLink`.
    /// @dev Value: the deposit of one request is kept for its owner, the rest is sent back at once.
    function submit(bytes calldata cid, bytes calldata fetchLink) external payable returns (uint256 id);

    /// @notice Asks for the piece `cid` to be kept in `replicationTarget` copies; thresholds in epochs.
    /// @dev Value as for `submit`.
    function submitRaaS(
        bytes calldata cid,
        bytes calldata fetchLink,
        uint256 replicationTarget,
        uint256 repairThreshold,
        uint256 renewThreshold
    ) external payable returns (uint256 id);

    /// @notice Records that a deal holds the piece of request `id`, shown by an inclusion proof.
    function complete(
        uint256 id,
        uint64 marketActorId,
        uint64 dealId,
        uint64 providerId,
        InclusionProof calldata proof,
        InclusionVerifierData calldata verifierData
    ) external returns (InclusionAuxData memory);
}

/// @title FRC-0087: completion without a proof, where the piece is the deal
interface IFrc0087OnChain {
    /// @notice Records that a deal *is* the piece of request `id`.
    function onchain_complete(uint256 id, uint64 marketActorId, uint64 dealId, uint64 providerId) external;
}

/// @title FRC-0087: enumeration by pages
interface IFrc0087Enumeration {
    /// @notice At most `count` distinct CIDs from position `startIndex`, counted from 0.
    function getAllCIDs(uint64 startIndex, uint64 count) external view returns (bytes[] memory);

    /// @notice At most `count` recorded deals of `cid` from position `startIndex`, of all market actors.
    function getAllDeals(bytes calldata cid, uint64 startIndex, uint64 count)
        external
        view
        returns (MarketDeal[] memory);
}
