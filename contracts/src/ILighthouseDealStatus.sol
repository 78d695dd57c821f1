// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title What Lighthouse's DealStatus has beside the reference
interface ILighthouseDealStatus {
    /// @notice Sets the bound on replication targets of new and changed requests.
    function changeMaxReplications(uint256 maxReplications) external;

    /// @notice The present bound on replication targets.
    function getMaxReplications() external view returns (uint256);
}
