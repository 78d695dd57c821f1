// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {InclusionProof, ProofData} from "../../src/IDealStatus.sol";

/// Builds aggregates of 1024 bytes with one 128-byte segment at offset 0, from FRC-0058 and by plain hashing of
/// packed bytes; shares no code with the library under test.
library Tree {
    uint64 internal constant DEAL_SIZE = 1024;
    uint256 private constant LEAVES = 32;
    /// Leaves of the first index entry: the index fills the last 256 bytes.
    uint256 private constant ENTRY_LEAF = 24;

    /// `claimed` and `claimedSize` go into the index entry; honest values are the root of `leaves` and 128.
    function aggregate(bytes32[] memory leaves, bytes32 claimed, uint64 claimedSize)
        internal
        pure
        returns (bytes32 root, InclusionProof memory proof)
    {
        bytes32[] memory nodes = new bytes32[](LEAVES);
        uint256 depth = 0;
        for (uint256 i = 0; i < leaves.length; ++i) {
            nodes[i] = leaves[i];
        }
        while (uint256(1) << depth < leaves.length) ++depth;
        (nodes[ENTRY_LEAF], nodes[ENTRY_LEAF + 1]) = entry(claimed, claimedSize);

        proof.proofSubtree = path(nodes, depth, 0);
        proof.proofIndex = path(nodes, 1, ENTRY_LEAF / 2);
        root = rootOf(nodes);
    }

    /// A deal whose leaf is the *hash* of an index entry, and a proof that starts from that leaf: consistent, but
    /// one level too long.
    function hashedEntry(bytes32[] memory leaves, bytes32 claimed)
        internal
        pure
        returns (InclusionProof memory proof)
    {
        bytes32[] memory nodes = new bytes32[](LEAVES);
        for (uint256 i = 0; i < leaves.length; ++i) {
            nodes[i] = leaves[i];
        }
        bytes32[] memory words = new bytes32[](2);
        (words[0], words[1]) = entry(claimed, 128);
        nodes[ENTRY_LEAF] = rootOf(words);
        proof.proofSubtree = path(nodes, 2, 0);
        proof.proofIndex = path(nodes, 0, ENTRY_LEAF);
    }

    /// The two leaves of an index entry at offset 0: commitment, then offset, size and checksum.
    function entry(bytes32 commitment, uint64 size) internal pure returns (bytes32, bytes32) {
        bytes32 word = bytes32(abi.encodePacked(uint64(0), little(size), uint128(0)));
        bytes16 sum = bytes16(sha256(abi.encodePacked(commitment, word)));
        sum &= 0xffffffffffffffffffffffffffffff3f;
        return (commitment, bytes32(abi.encodePacked(uint64(0), little(size), sum)));
    }

    function rootOf(bytes32[] memory nodes) internal pure returns (bytes32) {
        while (nodes.length > 1) nodes = above(nodes);
        return nodes[0];
    }

    function path(bytes32[] memory nodes, uint256 level, uint256 index)
        internal
        pure
        returns (ProofData memory p)
    {
        for (uint256 i = 0; i < level; ++i) {
            nodes = above(nodes);
        }
        uint256 depth = 0;
        while (uint256(1) << depth < nodes.length) ++depth;
        p = ProofData(uint64(index), new bytes32[](depth));
        for (uint256 i = 0; i < depth; ++i) {
            p.path[i] = nodes[index ^ 1];
            nodes = above(nodes);
            index >>= 1;
        }
    }

    function above(bytes32[] memory nodes) internal pure returns (bytes32[] memory parents) {
        parents = new bytes32[](nodes.length / 2);
        for (uint256 i = 0; i < parents.length; ++i) {
            parents[i] = sha256(abi.encodePacked(nodes[2 * i], nodes[2 * i + 1])) & ~bytes32(uint256(0xc0));
        }
    }

    function little(uint64 v) internal pure returns (bytes8 out) {
        for (uint256 i = 0; i < 8; ++i) {
            out |= bytes8(uint64((v >> (8 * i)) & 0xff) << uint64(56 - 8 * i));
        }
    }
}
