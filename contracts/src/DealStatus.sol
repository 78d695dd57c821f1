// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {
    AccessControlDefaultAdminRules
} from "@openzeppelin/contracts/access/extensions/AccessControlDefaultAdminRules.sol";
import {DealBook} from "./DealBook.sol";
import {DealViews} from "./DealViews.sol";
import {IDealRegistry} from "./IDealRegistry.sol";
import {IDealStatus} from "./IDealStatus.sol";
import {IFrc0087, IFrc0087Enumeration, IFrc0087OnChain} from "./IFrc0087.sol";
import {ILighthouseDealStatus} from "./ILighthouseDealStatus.sol";
import {ISectorContentReceiver} from "./ISectorContentReceiver.sol";
import {Purse} from "./Purse.sol";
import {RequestBook} from "./RequestBook.sol";

/// @notice What a deployment decides once and for all, and who gets which role first.
struct Settings {
    /// Grants roles, sets the successor. Handed over in two steps with a delay.
    address admin;
    /// Seconds between the steps in which the admin changes.
    uint48 adminDelay;
    /// Gets {RequestBook.AGGREGATOR_ROLE}; zero for nobody.
    address aggregator;
    /// Gets {DealStatus.PAUSER_ROLE}; zero for nobody.
    address pauser;
    /// Gets {RequestBook.SUBMITTER_ROLE}; zero for nobody.
    address submitter;
    /// Only {RequestBook.SUBMITTER_ROLE} may submit.
    bool restricted;
    /// attoFIL kept for each open request; 0: everything sent is sent back.
    uint256 requestDeposit;
    /// Open requests of one owner without {RequestBook.SUBMITTER_ROLE}.
    uint256 maxOpenRequests;
}

/// @title DealStatus: requests to keep data on Filecoin, and the deals that were verified for them
/// @notice One contract for the clients of the reference ABI ({IDealStatus}), of FRC-0087 and of {IDealRegistry}.
///
/// "Active" is the market's state. The market knows nothing of faults, so the queries must not be what decides a
/// repair. An empty answer always means that nothing is active: what cannot be asked reverts.
contract DealStatus is DealViews {
    /// @notice May stop and start submitting and completing. Queries, cancelling, pruning and withdrawing never stop.
    bytes32 public constant PAUSER_ROLE = keccak256("PAUSER_ROLE");

    address private _successor;

    /// @notice Roles go where the settings say; the deployer keeps none.
    constructor(Settings memory settings)
        AccessControlDefaultAdminRules(settings.adminDelay, settings.admin)
        Purse(settings.requestDeposit)
        RequestBook(settings.restricted, settings.maxOpenRequests)
    {
        if (settings.aggregator != address(0)) {
            _grantRole(AGGREGATOR_ROLE, settings.aggregator);
        }
        if (settings.pauser != address(0)) _grantRole(PAUSER_ROLE, settings.pauser);
        if (settings.submitter != address(0)) _grantRole(SUBMITTER_ROLE, settings.submitter);
    }

    /// @notice Stops submitting, completing and taking notifications.
    function pause() external onlyRole(PAUSER_ROLE) {
        _pause();
    }

    /// @notice Starts them again.
    function unpause() external onlyRole(PAUSER_ROLE) {
        _unpause();
    }

    /// @notice Names the contract that replaces this one. Once, and for ever; nothing else changes here.
    function setSuccessor(address next) external onlyRole(DEFAULT_ADMIN_ROLE) {
        if (_successor != address(0)) revert SuccessorAlreadySet(_successor);
        if (next == address(0) || next == address(this)) revert InvalidSuccessor(next);
        _successor = next;
        emit SuccessorSet(next);
    }

    /// @inheritdoc IDealRegistry
    function successor() external view returns (address) {
        return _successor;
    }

    /// @inheritdoc IDealRegistry
    function version() external pure returns (string memory) {
        return "3.0.0";
    }

    /// @notice ERC-165. The reference is told under the id of its seven functions, and under that of them with
    /// Lighthouse's two; FRC-0087 under its three parts.
    function supportsInterface(bytes4 interfaceId) public view override returns (bool) {
        bytes4 frozen = type(IDealStatus).interfaceId;
        bytes4 lighthouse = type(ILighthouseDealStatus).interfaceId;
        return interfaceId == frozen || interfaceId == lighthouse || interfaceId == frozen ^ lighthouse
            || interfaceId == type(IFrc0087).interfaceId || interfaceId == type(IFrc0087OnChain).interfaceId
            || interfaceId == type(IFrc0087Enumeration).interfaceId
            || interfaceId == type(ISectorContentReceiver).interfaceId
            || interfaceId == type(IDealRegistry).interfaceId || super.supportsInterface(interfaceId);
    }
}
