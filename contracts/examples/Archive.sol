// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDealRegistry, Policy} from "../src/IDealRegistry.sol";
import {IDealStatus} from "../src/IDealStatus.sol";

/// @title An example: a contract that has its users' documents kept on Filecoin
/// @notice It asks DealStatus for copies, raises the number for what became important, and can tell whether a document
/// is kept well enough. Take it as a start, not as a library.
contract Archive {
    /// What a reader of this contract wants to know of a document.
    struct Kept {
        uint256 copies;
        uint256 providers;
        bool enough;
    }

    error NotYours(bytes cid);
    error AlreadyThere(bytes cid);

    uint32 private constant COPIES = 3;
    /// Epochs of 30 seconds: one day, and thirty.
    uint64 private constant REPAIR_AFTER = 2_880;
    uint64 private constant RENEW_BEFORE = 86_400;

    IDealStatus public immutable dealStatus;
    IDealRegistry public immutable registry;
    mapping(bytes32 cidKey => uint256) public requestOf;
    mapping(bytes32 cidKey => address) public ownerOf;

    /// @param deployment The address of DealStatus: one contract, two of its interfaces.
    constructor(address deployment) {
        dealStatus = IDealStatus(deployment);
        registry = IDealRegistry(deployment);
    }

    /// @notice Has `cid` (binary, without multibase prefix) kept for the caller. The request belongs to this contract.
    function keep(bytes calldata cid) external returns (uint256 id) {
        bytes32 key = registry.cidKey(cid);
        if (ownerOf[key] != address(0)) revert AlreadyThere(cid);
        ownerOf[key] = msg.sender;
        id = dealStatus.submitRaaS(cid, COPIES, REPAIR_AFTER, RENEW_BEFORE);
        requestOf[key] = id;
    }

    /// @notice Twice as many copies, for what became important.
    function treasure(bytes calldata cid) external {
        registry.updateRequest(_mine(cid), Policy(2 * COPIES, REPAIR_AFTER, RENEW_BEFORE, 0));
    }

    /// @notice Nothing is renewed or repaired any more; what is stored stays to its end.
    function release(bytes calldata cid) external {
        registry.cancelRequest(_mine(cid));
        delete ownerOf[registry.cidKey(cid)];
    }

    /// @notice Distinct providers count, since one provider may hold two copies and lose both. Reverts, and does not
    /// answer "none", if the market cannot be asked.
    function kept(bytes calldata cid) external view returns (Kept memory) {
        (uint256 copies, uint256 providers) = registry.replicas(cid);
        (uint32 wanted,) = registry.policyOf(cid);
        return Kept(copies, providers, wanted > 0 && providers >= wanted);
    }

    function _mine(bytes calldata cid) private view returns (uint256) {
        bytes32 key = registry.cidKey(cid);
        if (ownerOf[key] != msg.sender) revert NotYours(cid);
        return requestOf[key];
    }
}
