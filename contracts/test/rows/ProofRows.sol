// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDealStatus, InclusionProof, InclusionVerifierData, ProofData} from "../../src/IDealStatus.sol";
import {Podsi} from "../../src/Podsi.sol";
import {Tree} from "../support/Tree.sol";
import {Rows} from "./Rows.sol";

/// A proof checker, whichever it is.
interface IProofs {
    /// The deal that a proof implies for a piece.
    function implied(bytes32 commitment, uint64 size, InclusionProof calldata proof)
        external
        view
        returns (bytes32, uint64);

    /// The root above `node`.
    function rootOf(ProofData calldata proof, bytes32 node) external view returns (bytes32);

    /// As implied, with the piece as a CID.
    function aux(InclusionProof calldata proof, InclusionVerifierData calldata data)
        external
        view
        returns (bytes memory, uint64);

    /// Whether the market says that the deal was activated.
    function isActivated(uint64 dealId) external returns (bool);
}

/// Rows of list F: the inclusion proof.
abstract contract ProofRows is Rows {
    IProofs internal proofs;

    function makeProofs() internal virtual returns (IProofs);

    function setUp() public virtual override {
        super.setUp();
        proofs = makeProofs();
    }

    /// The prover chose the size: the four quarter roots of a 32 GiB piece are 128 bytes with the same root.
    function test_F01_size_is_not_taken_from_the_prover() public {
        bytes32[] memory quarters = new bytes32[](4);
        for (uint256 i = 0; i < 4; ++i) {
            quarters[i] = sha256(abi.encode("quarter", i)) & ~bytes32(uint256(0xc0));
        }
        bytes32 large = Tree.rootOf(quarters);
        (bytes32 dealRoot, InclusionProof memory forged) = Tree.aggregate(quarters, large, 128);
        uint64 dealId = market.publish(dealRoot, Tree.DEAL_SIZE, MINER, int64(NOW) - 10, 100_000);
        market.activate(dealId, int64(NOW) - 20);
        // The client asks for a piece of 32 GiB by its piece CID v2: height 30, no padding.
        uint256 request = subject.submit(abi.encodePacked(hex"015591202200", uint8(30), large));
        refused(
            abi.encodeCall(IDealStatus.complete, (request, dealId, MINER, forged, verifier(large, 128))),
            "F01: 128 bytes were proof of 32 GiB"
        );
    }

    /// With 32 bytes one leaf "contains" any piece, with 16 half of one does.
    function test_F02_pieces_below_128_bytes_are_refused() public view {
        bytes32 victim = bytes32(uint256(0xabcdef00));
        bytes32[] memory leaves = new bytes32[](1);
        leaves[0] = victim;
        (, InclusionProof memory forged) = Tree.aggregate(leaves, victim, 32);
        check(!holds(victim, 32, forged), "F02: 32 bytes");
    }

    /// The half that asks the chain was not called.
    function test_F03_the_deal_on_chain_is_checked() public {
        uint64 dealId = activeDeal(LATER);
        refused(completion(id, dealId, MINER), "F03: the deal holds something else");
        uint64 sized = market.publish(root, 2048, MINER, int64(NOW) - 10, 100_000);
        market.activate(sized, int64(NOW) - 20);
        refused(completion(id, sized, MINER), "F03: the deal has another size");
    }

    /// 0 was a power of two, refused later by luck.
    function test_F04_size_0_is_refused_as_a_size() public view {
        InclusionProof memory some = proof;
        refusedWith(
            piece, 0, some, abi.encodeWithSelector(Podsi.InvalidPieceSize.selector, uint64(0)), "F04: zero"
        );
    }

    /// No defect: a position outside of the tree, or of the index area, is refused.
    function test_F05_positions_are_bounded() public view {
        InclusionProof memory beyond = proof;
        check(holds(piece, 128, beyond), "F05: control");
        beyond.proofIndex.index += uint64(1) << uint64(beyond.proofIndex.path.length);
        check(!holds(piece, 128, beyond), "F05: position beyond the path");
        // The entry in the first place of the tree, before the index area.
        (, InclusionProof memory early) = twoSided(piece, 128, 3, 4, 9);
        check(!holds(piece, 128, early), "F05: position before the index area");
    }

    /// No defect: the checksum has 126 bits, and is computed and not believed.
    function test_F06_checksums_are_masked_and_computed() public view {
        // A commitment whose checksum has one of the two top bits set.
        bytes32 some = piece;
        while (uint8(bytes32(sha256(abi.encodePacked(some, place(128))))[15]) < 0x40) {
            some = bytes32(uint256(some) + 0x100) & ~bytes32(uint256(0xc0));
        }
        (bytes32 wanted, InclusionProof memory good) = twoSided(some, 128, 3, 4);
        check(holds(some, 128, good), "F06: control");
        (bytes32 got,) = proofs.implied(some, 128, good);
        eq(got, wanted, "F06: the masked checksum");
    }

    /// No defect: nothing is truncated on the way.
    function test_F07_sizes_are_not_truncated() public view {
        // 64 GiB << 63 and 64 << 63 are both 0 in 64 bits.
        (, InclusionProof memory huge) = twoSided(piece, uint64(1) << 36, 63, 63);
        check(!holds(piece, uint64(1) << 36, huge), "F07: a deal of 2^99 bytes");
    }

    /// A deal without room for an index was a panic.
    function test_F08_small_deals_are_refused_by_name() public view {
        InclusionProof memory small = Tree.hashedEntry(new bytes32[](4), bytes32(0));
        small.proofSubtree.path = new bytes32[](0);
        small.proofIndex.path = new bytes32[](1);
        // The entry's sibling makes the roots agree, so that only the size is wrong.
        refusedWithSelector(bytes32(0), 128, small, "F08: a deal of 128 bytes");
        refusedWith(
            piece,
            uint64(1) << 37,
            proof,
            abi.encodeWithSelector(Podsi.InvalidPieceSize.selector, uint64(1) << 37),
            "F08: a piece of 128 GiB"
        );
    }

    /// No defect: ceil or floor is the same for powers of two, and the index begins where FRC-0058 says.
    function test_F09_the_index_begins_where_it_should() public view {
        for (uint256 depth = 2; depth <= 30; ++depth) {
            uint256 size = uint256(64) << depth;
            uint256 entries = size / (2048 * 64);
            if (entries < 4) entries = 4;
            uint64 first = uint64(size / 64 - entries);
            // In the right half of the tree, so that the piece has the left one.
            if (first < size / 128) continue;
            (, InclusionProof memory placed) = twoSided(piece, 128, depth - 1, depth, first);
            check(holds(piece, 128, placed), "F09: the first entry");
            if (first - 1 < size / 128) continue;
            (, placed) = twoSided(piece, 128, depth - 1, depth, first - 1);
            check(!holds(piece, 128, placed), "F09: before the first entry");
        }
    }

    /// A commitment is a number of 254 bits.
    function test_F10_commitments_of_256_bits_are_refused() public view {
        bytes32 wide = piece | bytes32(uint256(0x40));
        (, InclusionProof memory some) = twoSided(wide, 128, 3, 4);
        try proofs.aux(some, verifier(wide, 128)) returns (bytes memory, uint64) {
            check(false, "F10: accepted");
        } catch {}
    }

    /// Piece CIDs of version 2 were refused.
    function test_F11_piece_cids_of_both_versions_are_read() public view {
        InclusionProof memory some = proof;
        // Height 2, one byte of padding: 128 bytes.
        bytes memory v2 = abi.encodePacked(hex"01559120220102", piece);
        try proofs.aux(some, InclusionVerifierData(v2, 128)) returns (bytes memory commPa, uint64 sizePa) {
            eq(commPa, pieceCid(root), "F11: commitment");
            eq(sizePa, Tree.DEAL_SIZE, "F11: size");
        } catch {
            check(false, "F11: refused");
        }
        try proofs.aux(some, InclusionVerifierData(v2, 256)) returns (bytes memory, uint64) {
            check(false, "F11: another size than the CID tells");
        } catch {}
    }

    /// Code that took every node for a left one.
    function test_F12_nodes_have_sides() public view {
        ProofData memory path = ProofData(1, new bytes32[](1));
        path.path[0] = bytes32(uint256(0x1100));
        bytes32 wanted = sha256(abi.encodePacked(path.path[0], piece)) & ~bytes32(uint256(0xc0));
        eq(proofs.rootOf(path, piece), wanted, "F12: a right node");
    }

    /// Loops over bytes.
    function test_F13_a_proof_is_cheap() public view {
        InclusionProof memory some = proof;
        uint256 before = gasleft();
        proofs.implied(piece, 128, some);
        uint256 used = before - gasleft();
        check(used < 25_000, "F13: gas of a proof over 7 nodes");
    }

    /// Activated at epoch 0 is activated.
    function test_F14_epoch_0_is_an_epoch() public {
        uint64 dealId = aggregateDeal(0, int64(LATER));
        check(!proofs.isActivated(dealId), "F14: not yet");
        market.activate(dealId, 0);
        check(proofs.isActivated(dealId), "F14: activated");
    }

    // ---- Helpers

    function holds(bytes32 commitment, uint64 size, InclusionProof memory p) internal view returns (bool) {
        try proofs.implied(commitment, size, p) returns (bytes32, uint64) {
            return true;
        } catch {
            return false;
        }
    }

    function refusedWith(
        bytes32 commitment,
        uint64 size,
        InclusionProof memory p,
        bytes memory expected,
        string memory what
    ) internal view {
        try proofs.implied(commitment, size, p) returns (bytes32, uint64) {
            check(false, what);
        } catch (bytes memory why) {
            eq(why, expected, what);
        }
    }

    function refusedWithSelector(bytes32 commitment, uint64 size, InclusionProof memory p, string memory what)
        internal
        view
    {
        // Whatever sibling: the size is judged before the roots, or else they would have to agree.
        try proofs.implied(commitment, size, p) returns (bytes32, uint64) {
            check(false, what);
        } catch (bytes memory why) {
            check(bytes4(why) == Podsi.InvalidDealSize.selector, what);
        }
    }

    /// Offset 0 and the size, as the second leaf of an entry has them, without checksum.
    function place(uint64 size) internal pure returns (bytes32) {
        return bytes32(abi.encodePacked(uint64(0), Tree.little(size), uint128(0)));
    }

    /// A consistent proof for a deal of any size: the piece is the leftmost node of the left half, the entry is in
    /// the right half at `position`, everything else is zero.
    function twoSided(bytes32 commitment, uint64 size, uint256 subtreeDepth, uint256 indexDepth)
        internal
        pure
        returns (bytes32, InclusionProof memory)
    {
        return twoSided(
            commitment,
            size,
            subtreeDepth,
            indexDepth,
            indexDepth == 0 ? 0 : (uint64(1) << uint64(indexDepth)) - 1
        );
    }

    function twoSided(
        bytes32 commitment,
        uint64 size,
        uint256 subtreeDepth,
        uint256 indexDepth,
        uint64 position
    ) internal pure returns (bytes32 top, InclusionProof memory p) {
        (bytes32 left, bytes32 right) = Tree.entry(commitment, size);
        p.proofSubtree = ProofData(0, new bytes32[](subtreeDepth));
        p.proofIndex = ProofData(position, new bytes32[](indexDepth));
        bytes32 entryNode = node(left, right);
        for (uint256 i = 0; i + 1 < indexDepth; ++i) {
            entryNode = (position >> i) & 1 == 0 ? node(entryNode, bytes32(0)) : node(bytes32(0), entryNode);
        }
        bytes32 pieceNode = commitment;
        for (uint256 i = 0; i + 1 < subtreeDepth; ++i) {
            pieceNode = node(pieceNode, bytes32(0));
        }
        p.proofSubtree.path[subtreeDepth - 1] = entryNode;
        p.proofIndex.path[indexDepth - 1] = pieceNode;
        top = node(pieceNode, entryNode);
    }

    function node(bytes32 left, bytes32 right) private pure returns (bytes32) {
        return sha256(abi.encodePacked(left, right)) & ~bytes32(uint256(0xc0));
    }
}
