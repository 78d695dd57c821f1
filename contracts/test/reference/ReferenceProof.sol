// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {InclusionAuxData, InclusionProof, InclusionVerifierData, ProofData} from "../../src/IDealStatus.sol";

/// Behaves as the proof code of the reference was found to behave (rows F1 to F14). Written from the list and from
/// FRC-0058. Some rows found no defect; for these a mutation adds the defect that the row excludes, so that the
/// test of the row is shown to notice it.
contract ReferenceProof {
    enum Mutation {
        None,
        /// F5: the position in the index is not bounded by the path.
        PositionUnbounded,
        /// F6: the checksum's two top bits are not cleared.
        ChecksumUnmasked,
        /// F7: sizes are computed in 64 bits without a check.
        SizesTruncated,
        /// F9: an exact power of two is rounded up once more.
        IndexDoubled
    }

    Mutation private immutable _mutation;

    constructor(Mutation mutation) {
        _mutation = mutation;
    }

    function aux(InclusionProof memory proof, InclusionVerifierData memory verifierData)
        external
        view
        returns (InclusionAuxData memory)
    {
        // F11: nothing but 39 bytes.
        require(verifierData.commPc.length == 39, "wrong length of CID");
        require(bytes7(verifierData.commPc) == 0x0181e203922020, "wrong content of CID");
        bytes32 commitment;
        bytes memory cid = verifierData.commPc;
        assembly ("memory-safe") {
            commitment := mload(add(cid, 39))
        }
        (bytes32 root, uint64 size) = implied(commitment, verifierData.sizePc, proof);
        return InclusionAuxData(abi.encodePacked(hex"0181e203922020", root), size);
    }

    function implied(bytes32 commitment, uint64 sizePc, InclusionProof memory proof)
        public
        view
        returns (bytes32 root, uint64 size)
    {
        // F4: true for 0. F1, F2: nothing else is asked of the size. F10: nor of the commitment.
        require(sizePc & (sizePc == 0 ? 0 : sizePc - 1) == 0, "size of piece is not a power of two");
        root = _root(proof.proofSubtree, commitment);
        size = _shift(sizePc, proof.proofSubtree.path.length);
        (bytes32 left, bytes32 right) = _entry(commitment, proof.proofSubtree.index * sizePc, sizePc);
        require(_root(proof.proofIndex, _node(left, right)) == root, "commitments don't match");
        require(_shift(64, proof.proofIndex.path.length) == size, "sizes don't match");
        // F8: below 256 bytes this is a panic.
        uint64 entries = _entries(size);
        uint64 start = _mutation == Mutation.SizesTruncated ? 0 : size - entries * 64;
        uint64 position = _mutation == Mutation.PositionUnbounded || _mutation == Mutation.SizesTruncated
            ? type(uint64).max
            : proof.proofIndex.index * 64;
        require(position >= start, "index out of the index area");
    }

    /// F12: dead code, and the index plays no part in it.
    function processProof(ProofData memory proof, bytes32 node) external pure returns (bytes32) {
        for (uint256 i = 0; i < proof.path.length; ++i) {
            node = _node(node, proof.path[i]);
        }
        return node;
    }

    function _entries(uint64 size) private view returns (uint64 entries) {
        entries = size / 2048 / 64;
        if (_mutation == Mutation.IndexDoubled) entries *= 2;
        return entries < 4 ? 4 : entries;
    }

    function _shift(uint64 size, uint256 by) private view returns (uint64) {
        if (_mutation == Mutation.SizesTruncated) return by < 64 ? size << uint64(by) : 0;
        require(by < 64, "path too long");
        require(size == 0 || size <= type(uint64).max >> by, "size overflows");
        return size << uint64(by);
    }

    function _root(ProofData memory proof, bytes32 node) private view returns (bytes32) {
        uint256 index = proof.index;
        require(proof.path.length < 64, "path too long");
        if (_mutation != Mutation.PositionUnbounded) {
            require(index >> proof.path.length == 0, "index greater than width of the tree");
        }
        for (uint256 i = 0; i < proof.path.length; ++i) {
            node = index & 1 == 0 ? _node(node, proof.path[i]) : _node(proof.path[i], node);
            index >>= 1;
        }
        return node;
    }

    function _entry(bytes32 commitment, uint64 offset, uint64 size) private view returns (bytes32, bytes32) {
        // F13: byte by byte.
        bytes memory serialised = new bytes(64);
        for (uint256 i = 0; i < 32; ++i) {
            serialised[i] = commitment[i];
        }
        for (uint256 i = 0; i < 8; ++i) {
            serialised[32 + i] = bytes1(uint8(offset >> (8 * i)));
            serialised[40 + i] = bytes1(uint8(size >> (8 * i)));
        }
        bytes32 checksum = sha256(serialised);
        for (uint256 i = 0; i < 16; ++i) {
            serialised[48 + i] = checksum[i];
        }
        if (_mutation != Mutation.ChecksumUnmasked) serialised[63] &= 0x3f;
        return abi.decode(serialised, (bytes32, bytes32));
    }

    function _node(bytes32 left, bytes32 right) private pure returns (bytes32) {
        // F13: through memory that is never given back.
        bytes memory both = new bytes(64);
        for (uint256 i = 0; i < 32; ++i) {
            both[i] = left[i];
            both[32 + i] = right[i];
        }
        return sha256(both) & ~bytes32(uint256(0xc0));
    }
}
