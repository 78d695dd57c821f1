// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Actors} from "./Actors.sol";
import {Cbor} from "./Cbor.sol";
import {IDealRegistry} from "./IDealRegistry.sol";
import {Miner} from "./Miner.sol";
import {PieceCid} from "./PieceCid.sol";
import {Podsi} from "./Podsi.sol";
import {FIRST_SECTOR_DEAL, SectorLedger, SectorPiece, StoredRequest} from "./Types.sol";

/// @title Pieces in sectors without an f05 deal (direct data onboarding)
/// @notice A provider names DealStatus in the `notify` list of a piece (FIP-0109), with the request's id as the
/// payload: a CBOR unsigned integer. Its miner actor then tells sector, piece and size when the sector is
/// proven. The piece becomes a deal of DealStatus; an aggregator completes with it like with any other deal, under
/// the actor id of DealStatus as the market actor. Part of {Evidence}.
library Sectors {
    using Cbor for Cbor.Reader;

    /// SectorContentChanged
    uint64 private constant METHOD = 2034386435;
    uint64 private constant CODEC_CBOR = 0x51;

    /// @notice Takes a notification of the calling miner actor: [[sector, minimum commitment epoch, [[piece CID,
    /// size, payload], ...]], ...]. The answer has a boolean in place of each piece.
    function take(
        SectorLedger storage sectors,
        mapping(uint256 id => StoredRequest) storage requests,
        uint64 method,
        uint64 codec,
        bytes calldata params
    ) internal returns (bytes memory answer) {
        if (method != METHOD || codec != CODEC_CBOR) {
            revert IDealRegistry.UnsupportedMethod(method, codec);
        }
        // Miner actors have no Ethereum address, so a contract cannot pretend to be one.
        (bool masked, uint64 miner) = Actors.unmask(msg.sender);
        if (!masked || !Miner.isMiner(miner)) revert IDealRegistry.NotAMiner(msg.sender);
        if (sectors.market == 0) {
            sectors.market = Actors.idOf(address(this));
            if (sectors.market == 0) revert IDealRegistry.SectorsUnsupported();
        }
        Cbor.Reader memory r = Cbor.reader(params);
        uint64 count = r.readArray();
        answer = Cbor.encodeArray(count);
        for (uint64 i = 0; i < count; ++i) {
            answer = abi.encodePacked(answer, _takeSector(sectors, requests, miner, r));
        }
        r.expectEnd();
    }

    /// @notice Notes where the sector of a piece is, if its miner says so.
    function locate(SectorLedger storage sectors, uint64 dealId, Miner.Place memory place) internal {
        SectorPiece storage piece = sectors.pieces[dealId];
        if (piece.size == 0 || !Miner.isAt(piece.providerId, piece.sector, place)) {
            revert IDealRegistry.WrongPlace(dealId);
        }
        piece.place = place;
    }

    /// @notice The actor id of DealStatus; 0 where the network cannot tell.
    function market(SectorLedger storage sectors) internal view returns (uint64) {
        return sectors.market == 0 ? Actors.idOf(address(this)) : sectors.market;
    }

    function _takeSector(
        SectorLedger storage sectors,
        mapping(uint256 id => StoredRequest) storage requests,
        uint64 miner,
        Cbor.Reader memory r
    ) private returns (bytes memory answer) {
        SectorPiece memory p;
        p.providerId = miner;
        r.expectArray(3);
        p.sector = r.readUint64();
        int64 committed = r.readInt64();
        uint64 pieces = r.readArray();
        answer = Cbor.encodeArray(pieces);
        for (uint64 i = 0; i < pieces; ++i) {
            r.expectArray(3);
            p.piece = r.readPieceLink();
            p.size = r.readUint64();
            (bool named, uint64 id) = Cbor.tryReadUint64(r.readBytes());
            // For no open request of ours nothing is stored. Id 0 is no request's, so it is not open.
            bool accepted =
                named && requests[id].open && Podsi.isPieceSize(p.size) && PieceCid.isCommitment(p.piece);
            if (accepted) _record(sectors, p, id, committed);
            answer = abi.encodePacked(answer, Cbor.encodeBool(accepted));
        }
    }

    function _record(SectorLedger storage sectors, SectorPiece memory p, uint64 id, int64 committed) private {
        bytes32 key = keccak256(abi.encode(p));
        if (sectors.dealOf[key] != 0) return;
        uint64 dealId = FIRST_SECTOR_DEAL + sectors.count++;
        sectors.dealOf[key] = dealId;
        sectors.pieces[dealId] = p;
        emit IDealRegistry.SectorPieceRecorded(
            dealId, p.providerId, id, p.sector, PieceCid.encode(p.piece), p.size, committed
        );
    }
}
