// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DealBook} from "./DealBook.sol";
import {Evidence} from "./Evidence.sol";
import {DealState, IDealRegistry} from "./IDealRegistry.sol";
import {IDealStatus} from "./IDealStatus.sol";
import {IFrc0087Enumeration, MarketDeal} from "./IFrc0087.sol";
import {Market} from "./Market.sol";
import {SectorStatus} from "./Miner.sol";
import {Content, isSectorDeal} from "./Types.sol";

/// @title Questions about listed deals
/// @notice The reference's queries tell of f05 deals only, since their answers have no room for a market actor;
/// the others tell of all.
abstract contract DealViews is DealBook, IFrc0087Enumeration {
    // ---- The reference

    /// @inheritdoc IDealStatus
    function getAllDeals(bytes memory _cid) external view returns (Deal[] memory) {
        return _f05(_cid, false, 0);
    }

    /// @inheritdoc IDealStatus
    /// @dev Grows without bound; page with {getCIDsPage}.
    function getAllCIDs() external view returns (bytes[] memory) {
        return _cids(0, _contents.length);
    }

    /// @inheritdoc IDealStatus
    /// @dev Activated, not terminated, and before the end of its term. Reverts rather than guess if the market
    /// cannot be asked.
    function getActiveDeals(bytes memory _cid) external view returns (Deal[] memory) {
        return _f05(_cid, true, type(uint256).max);
    }

    /// @inheritdoc IDealStatus
    /// @dev Active deals with end - block.number <= epochs; the end epoch itself is no longer active.
    function getExpiringDeals(bytes memory _cid, uint64 epochs) external view returns (Deal[] memory) {
        return _f05(_cid, true, block.number + epochs);
    }

    // ---- FRC-0087 and pages

    /// @inheritdoc IFrc0087Enumeration
    function getAllCIDs(uint64 startIndex, uint64 count) external view returns (bytes[] memory) {
        return getCIDsPage(startIndex, count);
    }

    /// @inheritdoc IFrc0087Enumeration
    function getAllDeals(bytes calldata cid, uint64 startIndex, uint64 count)
        external
        view
        returns (MarketDeal[] memory)
    {
        return _listed(cid, startIndex, count);
    }

    /// @inheritdoc IDealRegistry
    function getActiveDealsPage(bytes calldata cid, uint256 from, uint256 n)
        external
        view
        returns (MarketDeal[] memory)
    {
        return _active(cid, from, n, type(uint256).max);
    }

    /// @inheritdoc IDealRegistry
    function getExpiringDealsPage(bytes calldata cid, uint64 epochs, uint256 from, uint256 n)
        external
        view
        returns (MarketDeal[] memory)
    {
        return _active(cid, from, n, block.number + epochs);
    }

    /// @inheritdoc IDealRegistry
    function dealsOf(bytes[] calldata cids) external view returns (MarketDeal[][] memory deals) {
        _requirePage(cids.length);
        deals = new MarketDeal[][](cids.length);
        for (uint256 i = 0; i < cids.length; ++i) {
            deals[i] = _listed(cids[i], 0, MAX_LIVE_DEALS);
        }
    }

    /// @inheritdoc IDealRegistry
    function cidCount() external view returns (uint256) {
        return _contents.length;
    }

    /// @inheritdoc IDealRegistry
    function getCIDsPage(uint256 from, uint256 n) public view returns (bytes[] memory) {
        _requirePage(n);
        return _cids(from, _pageLength(_contents.length, from, n));
    }

    // ---- Counts and states

    /// @inheritdoc IDealRegistry
    function replicas(bytes calldata cid) external view returns (uint256 active, uint256 providers) {
        (active, providers,) = _counts(cid, 0);
    }

    /// @inheritdoc IDealRegistry
    function replicas(bytes calldata cid, uint64 epochs)
        external
        view
        returns (uint256 active, uint256 providers, uint256 expiring)
    {
        return _counts(cid, block.number + epochs);
    }

    /// @inheritdoc IDealRegistry
    function dealState(uint64 dealId) external view returns (DealState state, uint64 endEpoch) {
        return Evidence.state(_sectors, dealId);
    }

    /// @inheritdoc IDealRegistry
    function dealState(uint64 marketActorId, uint64 dealId)
        external
        view
        returns (DealState state, uint64 endEpoch)
    {
        if (marketActorId != Market.ACTOR && (marketActorId == 0 || marketActorId != _sectors.market)) {
            revert UnsupportedMarket(marketActorId);
        }
        if ((marketActorId == Market.ACTOR) == isSectorDeal(dealId)) return (DealState.Unknown, 0);
        return Evidence.state(_sectors, dealId);
    }

    /// @inheritdoc IDealRegistry
    function sectorOf(uint64 marketActorId, uint64 dealId)
        external
        view
        returns (uint64 providerId, uint64 sector, SectorStatus status)
    {
        _requireMarket(marketActorId, dealId);
        return Evidence.sectorOf(_sectors, dealId);
    }

    // ---- Internal

    function _f05(bytes memory cid, bool activeOnly, uint256 lastEnd) private view returns (Deal[] memory) {
        (Content storage content,) = _find(cid);
        return Evidence.f05(_sectors, content, activeOnly, lastEnd);
    }

    function _listed(bytes memory cid, uint256 from, uint256 n) private view returns (MarketDeal[] memory) {
        (Content storage content,) = _find(cid);
        return Evidence.listed(_sectors, content, from, n);
    }

    function _active(bytes memory cid, uint256 from, uint256 n, uint256 lastEnd)
        private
        view
        returns (MarketDeal[] memory)
    {
        _requirePage(n);
        (Content storage content,) = _find(cid);
        return Evidence.active(_sectors, content, from, n, lastEnd);
    }

    function _counts(bytes memory cid, uint256 lastEnd) private view returns (uint256, uint256, uint256) {
        (Content storage content,) = _find(cid);
        return Evidence.count(_sectors, content, lastEnd);
    }

    function _cids(uint256 from, uint256 n) private view returns (bytes[] memory cids) {
        cids = new bytes[](n);
        for (uint256 i = 0; i < n; ++i) {
            cids[i] = _contents[from + i].cid;
        }
    }
}
