// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {InclusionProof, ProofData} from "./IDealStatus.sol";

/// @title Proof of data segment inclusion (FRC-0058)
/// @notice From a piece and a proof, computes the one deal (commitment and size) in which the proof holds.
/// The caller must take commitment *and size* of the piece from somebody else than the prover, and compare
/// the result with the deal on chain: without that a proof shows nothing.
library Podsi {
    /// @notice A piece has a power-of-two size from 128 bytes to 64 GiB.
    error InvalidPieceSize(uint64 size);
    /// @notice The proof implies a deal that is too small for an index, or larger than any sector.
    error InvalidDealSize(uint256 size);
    /// @notice A path is longer than 63, or an index does not fit its path.
    error InvalidPath(uint64 index, uint256 depth);
    /// @notice The piece and its index entry do not lie in the same deal.
    error CommitmentsDiffer();
    /// @notice The index entry lies outside the deal's index area.
    error OutsideIndexArea(uint64 index);

    uint256 private constant MIN_PIECE_SIZE = 128;
    uint256 private constant MAX_PIECE_SIZE = 64 << 30;
    /// Four index entries of 64 bytes fill a deal of 256 bytes; below there is no room for an index.
    uint256 private constant MIN_DEAL_SIZE = 256;
    uint256 private constant ENTRY_SIZE = 64;
    uint256 private constant MIN_ENTRIES = 4;
    /// One index entry for each 128 KiB of the deal.
    uint256 private constant BYTES_PER_ENTRY = 2048 * ENTRY_SIZE;
    uint256 private constant MAX_DEPTH = 63;
    /// The two top bits of a little-endian 256-bit number; cleared after each hash.
    bytes32 private constant TRUNCATE = ~bytes32(uint256(0xc0));
    /// The checksum is 126 bits wide: 16 bytes, without the two top bits of the last one.
    bytes32 private constant CHECKSUM_MASK =
        0xffffffffffffffffffffffffffffff3f00000000000000000000000000000000;

    /// @notice Reverts unless `size` is a possible padded piece size in bytes.
    function requirePieceSize(uint64 size) internal pure {
        if (!isPieceSize(size)) revert InvalidPieceSize(size);
    }

    /// @notice True if `size` is a power of two from 128 bytes to 64 GiB.
    function isPieceSize(uint64 size) internal pure returns (bool) {
        return size >= MIN_PIECE_SIZE && size <= MAX_PIECE_SIZE && size & (size - 1) == 0;
    }

    /// @notice True if the proof claims that the piece is the whole deal.
    function isDirect(InclusionProof calldata proof) internal pure returns (bool) {
        return proof.proofSubtree.path.length == 0 && proof.proofIndex.path.length == 0
            && proof.proofSubtree.index == 0 && proof.proofIndex.index == 0;
    }

    /// @notice The deal's commitment and padded size that the proof implies for the piece.
    function impliedDeal(bytes32 commitment, uint64 size, InclusionProof calldata proof)
        internal
        view
        returns (bytes32 dealCommitment, uint64 dealSize)
    {
        requirePieceSize(size);
        dealCommitment = rootOf(commitment, proof.proofSubtree);
        // At most 2^36 << 63: no overflow in 256 bits.
        uint256 impliedSize = uint256(size) << proof.proofSubtree.path.length;
        if (impliedSize < MIN_DEAL_SIZE || impliedSize > MAX_PIECE_SIZE) revert InvalidDealSize(impliedSize);

        uint256 offset = uint256(proof.proofSubtree.index) * size;
        // Below the deal's size, so within 64 bits.
        // forge-lint: disable-next-line(unsafe-typecast)
        bytes32 entry = _entryNode(commitment, uint64(offset), size);
        if (rootOf(entry, proof.proofIndex) != dealCommitment) revert CommitmentsDiffer();
        if (ENTRY_SIZE << proof.proofIndex.path.length != impliedSize) revert CommitmentsDiffer();

        uint256 entries = impliedSize / BYTES_PER_ENTRY;
        if (entries < MIN_ENTRIES) entries = MIN_ENTRIES;
        uint256 indexStart = impliedSize - entries * ENTRY_SIZE;
        if (uint256(proof.proofIndex.index) * ENTRY_SIZE < indexStart) {
            revert OutsideIndexArea(proof.proofIndex.index);
        }
        // At most MAX_PIECE_SIZE.
        // forge-lint: disable-next-line(unsafe-typecast)
        dealSize = uint64(impliedSize);
    }

    /// The node above the two leaves of the piece's index entry.
    function _entryNode(bytes32 commitment, uint64 offset, uint64 size) private view returns (bytes32) {
        bytes32 place = bytes32((uint256(_swap(offset)) << 192) | (uint256(_swap(size)) << 128));
        bytes32 checksum = _sha256(commitment, place) & CHECKSUM_MASK;
        return _node(commitment, place | (checksum >> 128));
    }

    /// @notice The root above `node`, whose place and siblings `proof` tells.
    function rootOf(bytes32 node, ProofData calldata proof) internal view returns (bytes32) {
        uint256 depth = proof.path.length;
        uint256 index = proof.index;
        if (depth > MAX_DEPTH || index >> depth != 0) revert InvalidPath(proof.index, depth);
        for (uint256 i = 0; i < depth; ++i) {
            bytes32 sibling = proof.path[i];
            node = index & 1 == 0 ? _node(node, sibling) : _node(sibling, node);
            index >>= 1;
        }
        return node;
    }

    function _node(bytes32 left, bytes32 right) private view returns (bytes32) {
        return _sha256(left, right) & TRUNCATE;
    }

    /// SHA-256 of two words through scratch space: no memory is allocated on a path of any length.
    function _sha256(bytes32 left, bytes32 right) private view returns (bytes32 digest) {
        bool success;
        assembly ("memory-safe") {
            mstore(0x00, left)
            mstore(0x20, right)
            success := staticcall(gas(), 2, 0x00, 0x40, 0x00, 0x20)
            // Running out of gas in the precompile writes nothing; success is checked below.
            digest := mload(0x00)
        }
        // Cannot fail but for gas, and then the rest of the transaction has 1/64 of it; stop here.
        assert(success);
    }

    /// Reverses the eight bytes of a little-endian field.
    function _swap(uint64 value) private pure returns (uint64) {
        value = ((value & 0xff00ff00ff00ff00) >> 8) | ((value & 0x00ff00ff00ff00ff) << 8);
        value = ((value & 0xffff0000ffff0000) >> 16) | ((value & 0x0000ffff0000ffff) << 16);
        return (value >> 32) | (value << 32);
    }
}
