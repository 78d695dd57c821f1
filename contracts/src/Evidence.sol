// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {CidBytes} from "./CidBytes.sol";
import {DealState, IDealRegistry} from "./IDealRegistry.sol";
import {IDealStatus, InclusionProof, InclusionVerifierData} from "./IDealStatus.sol";
import {MarketDeal} from "./IFrc0087.sol";
import {Market} from "./Market.sol";
import {Miner, SectorStatus} from "./Miner.sol";
import {PieceCid} from "./PieceCid.sol";
import {Podsi} from "./Podsi.sol";
import {Sectors} from "./Sectors.sol";
import {
    Claim,
    Content,
    MAX_LIVE_DEALS,
    Record,
    SectorLedger,
    SectorPiece,
    StoredRequest,
    isSectorDeal
} from "./Types.sol";

/// @title What market, miners and proofs say of deals
/// @notice The part of DealStatus that asks and checks. It is deployed on its own and linked, since one contract
/// has no room for all; it runs by delegate call on the storage of DealStatus and keeps nothing itself.
library Evidence {
    /// @notice The client's piece, and the deal's piece that the proof implies for it.
    function implied(InclusionProof calldata proof, InclusionVerifierData calldata verifierData)
        external
        view
        returns (bytes32 piece, uint64 size, bytes32 dealPiece, uint64 dealSize)
    {
        (piece, size) = _piece(verifierData.commPc, verifierData.sizePc);
        Podsi.requirePieceSize(size);
        if (Podsi.isDirect(proof)) return (piece, size, piece, size);
        (dealPiece, dealSize) = Podsi.impliedDeal(piece, size, proof);
    }

    /// @notice The commitment and size of a piece CID of either version, with the size beside it.
    function pieceOf(bytes calldata pieceCid, uint64 size) external pure returns (bytes32, uint64) {
        return _piece(pieceCid, size);
    }

    /// @notice The key of a CID, and the piece that it names, if it is a piece CID; the size is 0 where it tells none.
    function identify(bytes calldata cid) external pure returns (bytes32 key, bytes32 piece, uint64 size) {
        bytes memory canonical = CidBytes.canonical(cid);
        (, piece, size) = PieceCid.tryParse(canonical);
        return (keccak256(canonical), piece, size);
    }

    /// @notice Verifies and records the claim; false if the same was recorded before.
    function recordDeal(
        SectorLedger storage sectors,
        Content storage content,
        mapping(uint64 dealId => bytes32 claim) storage receipts,
        uint256 id,
        uint64 marketActorId,
        Claim calldata claim
    ) external returns (bool) {
        uint64 dealId = claim.dealId;
        bytes32 receipt = keccak256(abi.encode(claim));
        bytes32 earlier = receipts[dealId];
        if (earlier == receipt) return false;
        if (earlier != 0) revert IDealRegistry.AlreadyRecorded(id, dealId);

        uint64 endEpoch = _verify(sectors, claim);
        receipts[dealId] = receipt;
        // The term of a sector can be extended, so it is not kept.
        uint64 fixedEnd = isSectorDeal(dealId) ? 0 : endEpoch;
        _list(content, Record(dealId, claim.providerId, fixedEnd));
        emit IDealStatus.CompleteAggregatorRequest(id, dealId);
        emit IDealRegistry.DealRecorded(
            id, marketActorId, dealId, claim.providerId, PieceCid.encode(claim.piece), claim.size, endEpoch
        );
        return true;
    }

    /// @notice Takes deals off the list, each of which must never be active again.
    function prune(
        SectorLedger storage sectors,
        Content storage content,
        bytes32 key,
        uint64[] calldata dealIds
    ) external {
        for (uint256 i = 0; i < dealIds.length; ++i) {
            uint64 dealId = dealIds[i];
            uint256 position = content.position[dealId];
            if (position == 0) revert IDealRegistry.DealNotListed(dealId);
            if (!_isOver(sectors, content.records[position - 1])) revert IDealRegistry.DealStillLive(dealId);
            Record memory last = content.records[content.records.length - 1];
            content.records[position - 1] = last;
            content.position[last.dealId] = position;
            content.records.pop();
            delete content.position[dealId];
            emit IDealRegistry.DealPruned(key, dealId);
        }
    }

    /// @notice The padded size of the deal's piece.
    function sizeOf(SectorLedger storage sectors, uint64 dealId) external view returns (uint64 size) {
        (, size) = _dealPiece(sectors, dealId);
        Podsi.requirePieceSize(size);
    }

    /// @notice All f05 deals on the list, or those that are active and end at `lastEnd` or before.
    function f05(SectorLedger storage sectors, Content storage content, bool activeOnly, uint256 lastEnd)
        external
        view
        returns (IDealStatus.Deal[] memory deals)
    {
        Record[] memory records = _page(content, 0, type(uint256).max);
        uint256 found = 0;
        for (uint256 i = 0; i < records.length; ++i) {
            if (!isSectorDeal(records[i].dealId)) records[found++] = records[i];
        }
        _shorten(records, found);
        if (activeOnly) _keepActive(sectors, records, lastEnd);
        deals = new IDealStatus.Deal[](records.length);
        for (uint256 i = 0; i < deals.length; ++i) {
            deals[i] = IDealStatus.Deal(records[i].dealId, records[i].providerId);
        }
    }

    /// @notice `n` deals on the list from position `from`.
    function listed(SectorLedger storage sectors, Content storage content, uint256 from, uint256 n)
        external
        view
        returns (MarketDeal[] memory)
    {
        return _ofMarkets(sectors, _page(content, from, n));
    }

    /// @notice Those among them that are active and end at `lastEnd` or before.
    function active(
        SectorLedger storage sectors,
        Content storage content,
        uint256 from,
        uint256 n,
        uint256 lastEnd
    ) external view returns (MarketDeal[] memory) {
        Record[] memory records = _page(content, from, n);
        _keepActive(sectors, records, lastEnd);
        return _ofMarkets(sectors, records);
    }

    /// @notice How many listed deals are active, their distinct providers, and how many of them end at `lastEnd` or
    /// before.
    function count(SectorLedger storage sectors, Content storage content, uint256 lastEnd)
        external
        view
        returns (uint256 activeCount, uint256 providers, uint256 ending)
    {
        Record[] memory records = _page(content, 0, type(uint256).max);
        _keepActive(sectors, records, type(uint256).max);
        for (uint256 i = 0; i < records.length; ++i) {
            if (_endOfRecord(sectors, records[i]) <= lastEnd) ++ending;
            uint256 j = 0;
            while (records[j].providerId != records[i].providerId) ++j;
            if (j == i) ++providers;
        }
        return (records.length, providers, ending);
    }

    /// @notice The state of a deal and its end.
    function state(SectorLedger storage sectors, uint64 dealId) external view returns (DealState, uint64) {
        if (isSectorDeal(dealId)) {
            if (sectors.pieces[dealId].size == 0) return (DealState.Unknown, 0);
            if (_status(sectors, dealId) == SectorStatus.Dead) return (DealState.Gone, 0);
            return (DealState.Active, _endOf(sectors, dealId));
        }
        (int256 exitCode, uint64 start, uint64 end) = Market.term(dealId);
        if (exitCode == Market.NOT_FOUND) return (DealState.Unknown, 0);
        if (exitCode != Market.OK) return (DealState.Gone, 0);
        (int256 gone, int64 activated, int64 terminated) = Market.activation(dealId);
        if (gone != Market.OK || terminated >= 0) return (DealState.Gone, end);
        if (activated < 0) return (block.number <= start ? DealState.Published : DealState.Gone, end);
        return (block.number < end ? DealState.Active : DealState.Ended, end);
    }

    /// @notice Provider, sector and sector status of an activated deal.
    function sectorOf(SectorLedger storage sectors, uint64 dealId)
        external
        view
        returns (uint64 providerId, uint64 sector, SectorStatus status)
    {
        if (isSectorDeal(dealId)) {
            SectorPiece storage p = _sectorPiece(sectors, dealId);
            return (p.providerId, p.sector, _status(sectors, dealId));
        }
        int256 exitCode;
        (exitCode, sector) = Market.sector(dealId);
        if (exitCode != Market.OK) revert IDealRegistry.DealNotActive(dealId, exitCode);
        providerId = _providerOf(sectors, dealId);
        Miner.Place memory unknown;
        status = Miner.status(providerId, sector, unknown);
    }

    // ---- Sectors

    /// @notice Takes a native message of the calling miner actor; answers its return data.
    function takeSectors(
        SectorLedger storage sectors,
        mapping(uint256 id => StoredRequest) storage requests,
        uint64 method,
        uint64 codec,
        bytes calldata params
    ) external returns (bytes memory) {
        return Sectors.take(sectors, requests, method, codec, params);
    }

    /// @notice Notes where the sector of a piece is, if its miner says so.
    function locateSector(SectorLedger storage sectors, uint64 dealId, Miner.Place calldata place) external {
        Sectors.locate(sectors, dealId, place);
    }

    /// @notice The actor id of DealStatus; 0 where the network cannot tell.
    function sectorMarket(SectorLedger storage sectors) external view returns (uint64) {
        return Sectors.market(sectors);
    }

    // ---- Internal

    function _piece(bytes memory pieceCid, uint64 size) private pure returns (bytes32 piece, uint64) {
        uint64 told;
        (piece, told) = PieceCid.parse(pieceCid);
        if (told == 0) return (piece, size);
        if (size != 0 && size != told) revert Podsi.InvalidPieceSize(size);
        return (piece, told);
    }

    /// Reverts unless the claim's deal is active now, of this provider, and with this piece.
    function _verify(SectorLedger storage sectors, Claim calldata claim)
        private
        view
        returns (uint64 endEpoch)
    {
        uint64 dealId = claim.dealId;
        _requireLive(sectors, dealId);
        uint64 providerId = _providerOf(sectors, dealId);
        if (providerId != claim.providerId) revert IDealRegistry.WrongProvider(dealId, providerId);
        (bytes32 piece, uint64 size) = _dealPiece(sectors, dealId);
        if (piece != claim.piece || size != claim.size) revert IDealRegistry.WrongDealPiece(dealId);
        endEpoch = _endOf(sectors, dealId);
        if (block.number >= endEpoch) revert IDealRegistry.DealEnded(dealId, endEpoch);
    }

    function _requireLive(SectorLedger storage sectors, uint64 dealId) private view {
        if (isSectorDeal(dealId)) {
            _sectorPiece(sectors, dealId);
            if (_status(sectors, dealId) == SectorStatus.Dead) {
                revert IDealRegistry.DealNotActive(dealId, Market.OK);
            }
            return;
        }
        (int256 exitCode, int64 activated, int64 terminated) = Market.activation(dealId);
        if (exitCode != Market.OK || activated < 0 || terminated >= 0) {
            revert IDealRegistry.DealNotActive(dealId, exitCode);
        }
    }

    function _sectorPiece(SectorLedger storage sectors, uint64 dealId)
        private
        view
        returns (SectorPiece storage piece)
    {
        piece = sectors.pieces[dealId];
        if (piece.size == 0) revert IDealRegistry.DealNotActive(dealId, Market.NOT_FOUND);
    }

    function _providerOf(SectorLedger storage sectors, uint64 dealId)
        private
        view
        returns (uint64 providerId)
    {
        if (isSectorDeal(dealId)) return sectors.pieces[dealId].providerId;
        int256 exitCode;
        (exitCode, providerId) = Market.provider(dealId);
        if (exitCode != Market.OK) revert IDealRegistry.DealNotActive(dealId, exitCode);
    }

    function _dealPiece(SectorLedger storage sectors, uint64 dealId)
        private
        view
        returns (bytes32 piece, uint64 size)
    {
        if (isSectorDeal(dealId)) {
            SectorPiece storage p = _sectorPiece(sectors, dealId);
            return (p.piece, p.size);
        }
        int256 exitCode;
        (exitCode, piece, size) = Market.dataCommitment(dealId);
        if (exitCode != Market.OK) revert IDealRegistry.DealNotActive(dealId, exitCode);
    }

    /// When the deal ends; 0 for a sector that its miner does not know any more.
    function _endOf(SectorLedger storage sectors, uint64 dealId) private view returns (uint64 endEpoch) {
        if (isSectorDeal(dealId)) {
            SectorPiece storage p = sectors.pieces[dealId];
            return Miner.expiration(p.providerId, p.sector);
        }
        int256 exitCode;
        (exitCode,, endEpoch) = Market.term(dealId);
        if (exitCode != Market.OK) revert IDealRegistry.DealNotActive(dealId, exitCode);
    }

    function _endOfRecord(SectorLedger storage sectors, Record memory record) private view returns (uint64) {
        return isSectorDeal(record.dealId) ? _endOf(sectors, record.dealId) : record.endEpoch;
    }

    function _status(SectorLedger storage sectors, uint64 dealId) private view returns (SectorStatus) {
        SectorPiece storage p = sectors.pieces[dealId];
        return Miner.status(p.providerId, p.sector, p.place);
    }

    /// Keeps those of `records` that are active and end at `lastEnd` or before, in their order.
    function _keepActive(SectorLedger storage sectors, Record[] memory records, uint256 lastEnd)
        private
        view
    {
        uint256 found = 0;
        for (uint256 i = 0; i < records.length; ++i) {
            Record memory r = records[i];
            // What a query need not ask, it does not ask.
            if (lastEnd != type(uint256).max && _endOfRecord(sectors, r) > lastEnd) continue;
            if (_isActive(sectors, r)) records[found++] = r;
        }
        _shorten(records, found);
    }

    /// Shortening in place leaves no holes; the tail is unused memory.
    function _shorten(Record[] memory records, uint256 length) private pure {
        assembly ("memory-safe") {
            mstore(records, length)
        }
    }

    function _page(Content storage content, uint256 from, uint256 n)
        private
        view
        returns (Record[] memory records)
    {
        uint256 length = content.records.length;
        length = from >= length ? 0 : length - from;
        if (n < length) length = n;
        records = new Record[](length);
        for (uint256 i = 0; i < length; ++i) {
            records[i] = content.records[from + i];
        }
    }

    function _ofMarkets(SectorLedger storage sectors, Record[] memory records)
        private
        view
        returns (MarketDeal[] memory deals)
    {
        deals = new MarketDeal[](records.length);
        for (uint256 i = 0; i < deals.length; ++i) {
            uint64 dealId = records[i].dealId;
            uint64 market = isSectorDeal(dealId) ? sectors.market : Market.ACTOR;
            deals[i] = MarketDeal(dealId, records[i].providerId, market);
        }
    }

    function _list(Content storage content, Record memory r) private {
        if (content.position[r.dealId] != 0) return;
        if (content.records.length == MAX_LIVE_DEALS) revert IDealRegistry.DealListFull(_keyOf(content.cid));
        content.records.push(r);
        content.position[r.dealId] = content.records.length;
    }

    function _keyOf(bytes memory cid) private pure returns (bytes32) {
        return keccak256(CidBytes.canonical(cid));
    }

    /// True if the deal will never be active again.
    function _isOver(SectorLedger storage sectors, Record memory r) private view returns (bool) {
        uint64 dealId = r.dealId;
        if (isSectorDeal(dealId)) return _status(sectors, dealId) == SectorStatus.Dead;
        if (block.number >= r.endEpoch) return true;
        (int256 exitCode,, int64 terminated) = Market.activation(dealId);
        return exitCode != Market.OK || terminated >= 0;
    }

    function _isActive(SectorLedger storage sectors, Record memory record) private view returns (bool) {
        if (isSectorDeal(record.dealId)) return _status(sectors, record.dealId) != SectorStatus.Dead;
        if (block.number >= record.endEpoch) return false;
        (int256 exitCode, int64 activated, int64 terminated) = Market.activation(record.dealId);
        return exitCode == Market.OK && activated >= 0 && terminated < 0;
    }
}
