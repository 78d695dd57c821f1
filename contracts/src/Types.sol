// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Miner} from "./Miner.sol";

// How DealStatus stores what it knows. Shared with its library {Evidence}, which works on the same storage.

struct StoredRequest {
    // One slot.
    address owner;
    uint24 target;
    bool open;
    uint64 pieceSize;
    // One slot.
    uint64 content;
    uint64 repairThreshold;
    uint64 renewThreshold;
    uint64 endsAt;
    /// The commitment; known before the size if the request's CID is a piece CID v1.
    bytes32 piece;
}

/// A listed deal. The term of an f05 deal stands in the signed proposal and never changes, so it is read once; that
/// of a sector does change, and `endEpoch` is 0.
struct Record {
    uint64 dealId;
    uint64 providerId;
    uint64 endEpoch;
}

struct Content {
    /// As it was first submitted.
    bytes cid;
    Record[] records;
    /// Position in `records` plus one.
    mapping(uint64 dealId => uint256) position;
    uint64[] requests;
    uint256 openRequests;
    /// Open requests by target, 0 to MAX_TARGET, so that the greatest is found in a fixed number of steps.
    uint32[33] openByTarget;
}

/// What an aggregator says of a deal: its provider, and the piece it must have on chain.
struct Claim {
    uint64 dealId;
    uint64 providerId;
    bytes32 piece;
    uint64 size;
}

/// A piece in a sector, as its provider's miner actor told it.
struct SectorPiece {
    uint64 providerId;
    uint64 sector;
    uint64 size;
    bytes32 piece;
    Miner.Place place;
}

struct SectorLedger {
    /// This contract's actor id, once it is known.
    uint64 market;
    uint64 count;
    mapping(uint64 dealId => SectorPiece) pieces;
    /// By the hash of the piece as it was first told: a notification may come again.
    mapping(bytes32 => uint64 dealId) dealOf;
}

// Deal ids of sector pieces begin here. f05 counts from 0 and never comes so far, so that nobody can take one for
// the other.
uint64 constant FIRST_SECTOR_DEAL = 1 << 63;

// Listed deals of one CID: two generations of as many copies as a policy can want.
uint256 constant MAX_LIVE_DEALS = 64;

function isSectorDeal(uint64 dealId) pure returns (bool) {
    return dealId >= FIRST_SECTOR_DEAL;
}
