// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {InclusionProof, ProofData} from "../src/IDealStatus.sol";
import {Podsi} from "../src/Podsi.sol";
import {Test} from "./support/Vm.sol";
import {Tree} from "./support/Tree.sol";

contract PodsiHarness {
    function impliedDeal(bytes32 commitment, uint64 size, InclusionProof calldata proof)
        external
        view
        returns (bytes32, uint64)
    {
        return Podsi.impliedDeal(commitment, size, proof);
    }

    function requirePieceSize(uint64 size) external pure {
        Podsi.requirePieceSize(size);
    }
}

contract PodsiTest is Test {
    struct Case {
        bytes32 commitment;
        uint64 size;
        InclusionProof proof;
    }

    PodsiHarness private podsi;
    string private json;
    Case private golden;

    function setUp() public {
        podsi = new PodsiHarness();
        json = vm.readFile("test/vectors/podsi.json");
        golden = read(".golden[0]");
    }

    function test_golden_proofs_lead_to_their_deal() public view {
        uint256 count = vm.parseJsonUint(json, ".golden_count");
        check(count >= 30, "vectors are there");
        for (uint256 i = 0; i < count; ++i) {
            string memory key = string.concat(".golden[", vm.toString(i), "]");
            string memory name = vm.parseJsonString(json, string.concat(key, ".name"));
            Case memory c = read(key);
            (bytes32 root, uint64 size) = podsi.impliedDeal(c.commitment, c.size, c.proof);
            eq(root, vm.parseJsonBytes32(json, string.concat(key, ".deal_commitment")), name);
            eq(size, vm.parseJsonUint(json, string.concat(key, ".deal_size")), name);
        }
    }

    function test_forged_proofs_are_refused_and_controls_accepted() public view {
        uint256 count = vm.parseJsonUint(json, ".checks_count");
        uint256 accepted = 0;
        for (uint256 i = 0; i < count; ++i) {
            string memory key = string.concat(".checks[", vm.toString(i), "]");
            bytes memory expect = bytes(vm.parseJsonString(json, string.concat(key, ".expect")));
            bool wanted = keccak256(expect) == keccak256("accept");
            Case memory c = read(key);
            bool got = holds(c);
            check(got == wanted, vm.parseJsonString(json, string.concat(key, ".name")));
            if (got) ++accepted;
        }
        eq(accepted, 2, "controls accepted");
        eq(count, 16, "checks run");
    }

    /// Every bit of every field of a golden proof, one at a time: commitment, size, both indices, every word of both
    /// paths. None leads to an accepted proof.
    function test_every_single_bit_is_needed() public view {
        uint256 tried = 0;
        uint256 words = golden.proof.proofSubtree.path.length + golden.proof.proofIndex.path.length;
        for (uint256 bit = 0; bit < 256; ++bit) {
            Case memory c = golden;
            c.commitment ^= bytes32(uint256(1) << bit);
            check(!holds(c), "commitment");
            for (uint256 word = 0; word < words; ++word) {
                c = golden;
                uint256 first = c.proof.proofSubtree.path.length;
                if (word < first) c.proof.proofSubtree.path[word] ^= bytes32(uint256(1) << bit);
                else c.proof.proofIndex.path[word - first] ^= bytes32(uint256(1) << bit);
                check(!holds(c), "path");
            }
            tried += 1 + words;
            if (bit >= 64) continue;
            uint64 mask = uint64(1) << uint64(bit);
            c = golden;
            c.size ^= mask;
            check(!holds(c), "size");
            c = golden;
            c.proof.proofSubtree.index ^= mask;
            check(!holds(c), "subtree index");
            c = golden;
            c.proof.proofIndex.index ^= mask;
            check(!holds(c), "entry index");
            tried += 3;
        }
        eq(tried, 256 * (1 + words) + 192, "all of them");
        check(holds(golden), "control");
    }

    /// Any single bit of commitment, size, index or path changes the result or is refused: no other statement is
    /// ever provable for the same deal with a damaged proof.
    function testFuzz_single_bit_tampering_is_refused(uint256 seed, uint8 field) public view {
        Case memory c = golden;
        (bytes32 root, uint64 size) = podsi.impliedDeal(c.commitment, c.size, c.proof);
        uint256 bit = seed % 256;
        field = uint8(bound(field, 0, 5));
        if (field == 0) {
            c.commitment ^= bytes32(uint256(1) << bit);
        } else if (field == 1) {
            c.size ^= uint64(1) << uint64(bit % 64);
        } else if (field == 2) {
            c.proof.proofSubtree.index ^= uint64(1) << uint64(bit % 64);
        } else if (field == 3) {
            c.proof.proofIndex.index ^= uint64(1) << uint64(bit % 64);
        } else {
            bytes32[] memory path = field == 4 ? c.proof.proofSubtree.path : c.proof.proofIndex.path;
            path[(seed >> 8) % path.length] ^= bytes32(uint256(1) << bit);
        }
        try podsi.impliedDeal(c.commitment, c.size, c.proof) returns (bytes32 got, uint64 gotSize) {
            check(got != root || gotSize != size, "tampered proof leads to the same deal");
            check(false, "tampered proof accepted");
        } catch {}
    }

    function testFuzz_shorter_and_longer_paths_are_refused(uint8 which, bool longer, bytes32 extra)
        public
        view
    {
        Case memory c = golden;
        ProofData memory p = which & 1 == 0 ? c.proof.proofSubtree : c.proof.proofIndex;
        bytes32[] memory path = new bytes32[](longer ? p.path.length + 1 : p.path.length - 1);
        for (uint256 i = 0; i < path.length; ++i) {
            path[i] = i < p.path.length ? p.path[i] : extra;
        }
        p.path = path;
        check(!holds(c), "accepted");
    }

    function testFuzz_own_aggregates_are_accepted(bytes32[4] memory data) public view {
        bytes32[] memory leaves = new bytes32[](4);
        for (uint256 i = 0; i < 4; ++i) {
            leaves[i] = data[i];
        }
        bytes32 piece = Tree.rootOf(leaves);
        (bytes32 root, InclusionProof memory proof) = Tree.aggregate(leaves, piece, 128);
        (bytes32 got, uint64 size) = podsi.impliedDeal(piece, 128, proof);
        eq(got, root, "root");
        eq(size, Tree.DEAL_SIZE, "size");
    }

    /// F2: with a size of 32 one leaf "contains" any piece, and with 16 so does half of one: everything else in
    /// these proofs is consistent.
    function test_F2_pieces_below_128_bytes_are_refused() public {
        bytes32 victim = bytes32(uint256(0xabcdef00));
        bytes32[] memory leaves = new bytes32[](1);
        leaves[0] = victim;
        (, InclusionProof memory proof) = Tree.aggregate(leaves, victim, 32);
        vm.expectRevert(abi.encodeWithSelector(Podsi.InvalidPieceSize.selector, uint64(32)));
        podsi.impliedDeal(victim, 32, proof);

        bytes32[] memory halves = new bytes32[](2);
        (halves[0], halves[1]) = (victim, bytes32(uint256(0x7700)));
        leaves[0] = Tree.rootOf(halves);
        (, proof) = Tree.aggregate(leaves, victim, 16);
        bytes32[] memory path = new bytes32[](proof.proofSubtree.path.length + 1);
        path[0] = halves[1];
        for (uint256 i = 1; i < path.length; ++i) {
            path[i] = proof.proofSubtree.path[i - 1];
        }
        proof.proofSubtree.path = path;
        vm.expectRevert(abi.encodeWithSelector(Podsi.InvalidPieceSize.selector, uint64(16)));
        podsi.impliedDeal(victim, 16, proof);
    }

    /// Both roots agree here; the sizes that the two paths imply do not.
    function test_an_entry_on_another_level_is_refused() public {
        bytes32[] memory leaves = new bytes32[](4);
        leaves[1] = bytes32(uint256(0x3300));
        bytes32 piece = Tree.rootOf(leaves);
        InclusionProof memory proof = Tree.hashedEntry(leaves, piece);
        vm.expectRevert(abi.encodeWithSelector(Podsi.CommitmentsDiffer.selector));
        podsi.impliedDeal(piece, 128, proof);
    }

    function testFuzz_piece_sizes_are_powers_of_two_in_range(uint64 size) public {
        bool valid = false;
        for (uint256 shift = 7; shift <= 36; ++shift) {
            if (size == uint64(1) << uint64(shift)) valid = true;
        }
        if (!valid) vm.expectRevert(abi.encodeWithSelector(Podsi.InvalidPieceSize.selector, size));
        podsi.requirePieceSize(size);
    }

    function test_every_power_of_two_in_range_is_a_piece_size() public view {
        for (uint256 shift = 7; shift <= 36; ++shift) {
            podsi.requirePieceSize(uint64(1) << uint64(shift));
        }
    }

    /// F4, F8: zero, the sizes around the bounds, and deals without room for an index.
    function test_F4_F8_sizes_at_the_bounds() public {
        uint64[4] memory bad = [uint64(0), 64, 129, uint64(1) << 37];
        for (uint256 i = 0; i < bad.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(Podsi.InvalidPieceSize.selector, bad[i]));
            podsi.requirePieceSize(bad[i]);
        }
        InclusionProof memory proof;
        proof.proofIndex.path = new bytes32[](1);
        vm.expectRevert(abi.encodeWithSelector(Podsi.InvalidDealSize.selector, uint256(128)));
        podsi.impliedDeal(bytes32(0), 128, proof);
        proof.proofSubtree.path = new bytes32[](30);
        vm.expectRevert(abi.encodeWithSelector(Podsi.InvalidDealSize.selector, uint256(1) << 37));
        podsi.impliedDeal(bytes32(0), 128, proof);
    }

    function holds(Case memory c) private view returns (bool) {
        try podsi.impliedDeal(c.commitment, c.size, c.proof) returns (bytes32, uint64) {
            return true;
        } catch {
            return false;
        }
    }

    function read(string memory key) private view returns (Case memory c) {
        c.commitment = vm.parseJsonBytes32(json, string.concat(key, ".commitment"));
        c.size = uint64(vm.parseJsonUint(json, string.concat(key, ".size")));
        c.proof.proofSubtree.index = uint64(vm.parseJsonUint(json, string.concat(key, ".subtree_index")));
        c.proof.proofSubtree.path = vm.parseJsonBytes32Array(json, string.concat(key, ".subtree_path"));
        c.proof.proofIndex.index = uint64(vm.parseJsonUint(json, string.concat(key, ".entry_index")));
        c.proof.proofIndex.path = vm.parseJsonBytes32Array(json, string.concat(key, ".entry_path"));
    }
}
