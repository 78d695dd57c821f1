// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Evidence} from "./Evidence.sol";
import {IDealRegistry} from "./IDealRegistry.sol";
import {IDealStatus, InclusionProof, InclusionVerifierData, InclusionAuxData} from "./IDealStatus.sol";
import {IFrc0087, IFrc0087OnChain} from "./IFrc0087.sol";
import {ISectorContentReceiver} from "./ISectorContentReceiver.sol";
import {Market} from "./Market.sol";
import {Miner} from "./Miner.sol";
import {PieceCid} from "./PieceCid.sol";
import {RequestBook} from "./RequestBook.sol";
import {Claim, Content, SectorLedger, StoredRequest, isSectorDeal} from "./Types.sol";

/// @title Deals: what was verified for a request
/// @notice Proven on chain: the deal is active, is the named provider's, and contains the request's piece. Attested
/// only, by the client or an aggregator: that this piece holds the data of the CID.
abstract contract DealBook is RequestBook, IFrc0087OnChain, ISectorContentReceiver {
    /// What was recorded, so that a repeat can be told from a contradiction.
    mapping(uint256 id => mapping(uint64 dealId => bytes32 claim)) private _receipts;
    SectorLedger internal _sectors;

    // ---- Completing

    /// @inheritdoc IDealStatus
    /// @dev If no piece is bound yet, the piece of `_verifierData` is bound: the caller's role attests it. The
    /// same claim again, by whoever may complete, changes nothing, emits nothing and returns the same.
    function complete(
        uint256 _id,
        uint64 _dealId,
        uint64 _minerId,
        InclusionProof calldata _proof,
        InclusionVerifierData calldata _verifierData
    ) external returns (InclusionAuxData memory aux) {
        return _complete(_id, Market.ACTOR, _dealId, _minerId, _proof, _verifierData);
    }

    /// @inheritdoc IFrc0087
    /// @dev As the other `complete`. Both paths of the proof empty: the piece is the deal.
    function complete(
        uint256 id,
        uint64 marketActorId,
        uint64 dealId,
        uint64 providerId,
        InclusionProof calldata proof,
        InclusionVerifierData calldata verifierData
    ) external returns (InclusionAuxData memory aux) {
        return _complete(id, marketActorId, dealId, providerId, proof, verifierData);
    }

    /// @inheritdoc IFrc0087OnChain
    /// @dev The piece must have been bound before: nobody names it here. If only the commitment is bound, because
    /// the request's CID is a piece CID v1, the caller's role attests the size that the deal has.
    function onchain_complete(uint256 id, uint64 marketActorId, uint64 dealId, uint64 providerId)
        external
        onlyRole(AGGREGATOR_ROLE)
        whenNotPaused
    {
        StoredRequest storage request = _openRequest(id);
        bytes32 piece = request.piece;
        uint64 size = request.pieceSize;
        if (piece == 0) revert PieceNotBound(id);
        _requireMarket(marketActorId, dealId);
        bool unbound = size == 0;
        if (unbound) {
            size = Evidence.sizeOf(_sectors, dealId);
        }
        if (_record(id, marketActorId, Claim(dealId, providerId, piece, size)) && unbound) {
            _bind(id, piece, size);
        }
    }

    // ---- Pruning

    /// @inheritdoc IDealRegistry
    function pruneDeals(bytes calldata cid, uint64[] calldata dealIds) external {
        (Content storage content, bytes32 key) = _find(cid);
        Evidence.prune(_sectors, content, key, dealIds);
    }

    // ---- Sectors

    /// @inheritdoc ISectorContentReceiver
    function handle_filecoin_method(uint64 method, uint64 codec, bytes calldata params)
        external
        whenNotPaused
        returns (uint32, uint64, bytes memory)
    {
        return (0, codec, Evidence.takeSectors(_sectors, _requests, method, codec, params));
    }

    /// @inheritdoc IDealRegistry
    function locateSector(uint64 dealId, uint64 deadline, uint64 partition) external {
        Evidence.locateSector(_sectors, dealId, Miner.Place(true, deadline, partition));
    }

    /// @inheritdoc IDealRegistry
    function sectorMarket() external view returns (uint64) {
        return Evidence.sectorMarket(_sectors);
    }

    // ---- Views

    /// @inheritdoc IDealRegistry
    function isCompleted(uint256 id, uint64 dealId) external view returns (bool) {
        return _receipts[id][dealId] != 0;
    }

    /// @inheritdoc IDealRegistry
    /// @dev The name is that of the reference kit's ABI file.
    function computeExpectedAuxDataPublic(
        InclusionProof calldata proof,
        InclusionVerifierData calldata verifierData
    ) external view returns (InclusionAuxData memory) {
        (,, bytes32 dealPiece, uint64 dealSize) = Evidence.implied(proof, verifierData);
        return InclusionAuxData(PieceCid.encode(dealPiece), dealSize);
    }

    // ---- Internal

    function _complete(
        uint256 id,
        uint64 marketActorId,
        uint64 dealId,
        uint64 providerId,
        InclusionProof calldata proof,
        InclusionVerifierData calldata verifierData
    ) private onlyRole(AGGREGATOR_ROLE) whenNotPaused returns (InclusionAuxData memory) {
        _requireMarket(marketActorId, dealId);
        (bytes32 piece, uint64 size, bytes32 dealPiece, uint64 dealSize) =
            Evidence.implied(proof, verifierData);
        bool unbound = _requirePiece(id, piece, size);
        if (_record(id, marketActorId, Claim(dealId, providerId, dealPiece, dealSize)) && unbound) {
            _bind(id, piece, size);
        }
        return InclusionAuxData(PieceCid.encode(dealPiece), dealSize);
    }

    /// Refuses a piece other than the bound one; true if none is bound.
    function _requirePiece(uint256 id, bytes32 piece, uint64 size) private view returns (bool unbound) {
        StoredRequest storage request = _openRequest(id);
        if (request.piece != 0 && request.piece != piece) revert WrongPiece(id);
        unbound = request.pieceSize == 0;
        if (!unbound && request.pieceSize != size) revert WrongPiece(id);
    }

    function _requireMarket(uint64 marketActorId, uint64 dealId) internal view {
        bool ours = marketActorId != 0 && marketActorId == _sectors.market;
        if (marketActorId != Market.ACTOR && !ours) revert UnsupportedMarket(marketActorId);
        // No market gives ids of the other one.
        if (ours != isSectorDeal(dealId)) revert DealNotActive(dealId, Market.NOT_FOUND);
    }

    /// Verifies and records the claim; false if the same was recorded before.
    function _record(uint256 id, uint64 marketActorId, Claim memory claim) private returns (bool) {
        Content storage content = _contents[_requests[id].content];
        return Evidence.recordDeal(_sectors, content, _receipts[id], id, marketActorId, claim);
    }
}
