// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {CidBytes} from "../src/CidBytes.sol";
import {PieceCid} from "../src/PieceCid.sol";
import {Test} from "./support/Vm.sol";

contract CidHarness {
    function canonical(bytes memory cid) external pure returns (bytes memory) {
        return CidBytes.canonical(cid);
    }

    function parse(bytes memory cid) external pure returns (bytes32, uint64) {
        return PieceCid.parse(cid);
    }
}

contract CidsTest is Test {
    CidHarness private cids;

    function setUp() public {
        cids = new CidHarness();
    }

    /// The vectors of FRC-0069 and go-fil-commcid, as text: both versions name the same piece, and the size of the
    /// second is the one of its tree.
    function test_piece_cid_vectors() public view {
        string memory json = vm.readFile("test/vectors/piece-cid.json");
        for (uint256 i = 0; i < 9; ++i) {
            string memory key = string.concat(".valid[", vm.toString(i), "]");
            bytes memory digest =
                vm.parseBytes(string.concat("0x", vm.parseJsonString(json, string.concat(key, ".commp"))));
            bytes memory v1 = bytes(vm.parseJsonString(json, string.concat(key, ".piece_cid_v1")));
            bytes memory v2 = bytes(vm.parseJsonString(json, string.concat(key, ".piece_cid_v2")));
            (bytes32 commitment, uint64 size) = cids.parse(cids.canonical(v1));
            eq(commitment, bytes32(digest), "v1");
            eq(size, 0, "v1 has no size");
            (commitment, size) = cids.parse(cids.canonical(v2));
            eq(commitment, bytes32(digest), "v2");
            eq(size, vm.parseJsonUint(json, string.concat(key, ".padded_piece_size")), "v2 has a size");
        }
        for (uint256 i = 0; vm.keyExistsJson(json, string.concat(".invalid[", vm.toString(i), "]")); ++i) {
            string memory key = string.concat(".invalid[", vm.toString(i), "]");
            bytes memory bad = cids.canonical(bytes(vm.parseJsonString(json, string.concat(key, ".cid"))));
            try cids.parse(bad) returns (bytes32, uint64) {
                check(false, vm.parseJsonString(json, string.concat(key, ".why")));
            } catch (bytes memory why) {
                check(bytes4(why) == PieceCid.InvalidPieceCid.selector, "named");
            }
        }
    }

    /// Any binary CID of version 1, as text and as link, is brought back.
    function testFuzz_text_and_link_are_the_binary(bytes memory rest) public view {
        bytes memory binary = abi.encodePacked(hex"01", rest.length == 0 ? bytes(hex"55") : rest);
        eq(cids.canonical(binary), binary, "binary");
        eq(cids.canonical(base32(binary)), binary, "text");
        eq(cids.canonical(abi.encodePacked(hex"00", binary)), binary, "link");
    }

    function test_what_is_no_spelling_stays_as_it_is() public view {
        bytes[8] memory others = [
            bytes("b"),
            "ba",
            "bonjour", // letters, but no version 1
            "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvykv", // the last bits are not zero
            "bafk1",
            hex"000212",
            hex"00",
            "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n"
        ];
        for (uint256 i = 0; i < others.length; ++i) {
            eq(cids.canonical(others[i]), others[i], vm.toString(i));
        }
        // A link to a version 0 CID.
        bytes memory v0 = abi.encodePacked(hex"1220", bytes32(uint256(7)));
        eq(cids.canonical(abi.encodePacked(hex"00", v0)), v0, "v0 link");
        eq(cids.canonical(v0), v0, "v0");
    }

    function testFuzz_nothing_reverts(bytes memory any) public view {
        bytes memory once = cids.canonical(any);
        check(once.length <= any.length, "never longer");
        eq(cids.canonical(abi.encodePacked("b", any)).length <= any.length + 1 ? 1 : 0, 1, "text");
    }

    /// Two different binaries never become one.
    function testFuzz_canonical_is_injective_on_binaries(bytes memory a, bytes memory b) public view {
        bytes memory x = abi.encodePacked(hex"01", a);
        bytes memory y = abi.encodePacked(hex"01", b);
        bool same = keccak256(a) == keccak256(b);
        check((keccak256(cids.canonical(x)) == keccak256(cids.canonical(y))) == same, "injective");
    }

    /// From RFC 4648, bit by bit; shares nothing with what is tested.
    function base32(bytes memory data) private pure returns (bytes memory text) {
        bytes memory alphabet = "abcdefghijklmnopqrstuvwxyz234567";
        uint256 bits = data.length * 8;
        text = new bytes(1 + (bits + 4) / 5);
        text[0] = "b";
        for (uint256 i = 1; i < text.length; ++i) {
            uint256 value = 0;
            for (uint256 j = 0; j < 5; ++j) {
                uint256 bit = (i - 1) * 5 + j;
                uint256 one = bit < bits ? (uint8(data[bit / 8]) >> (7 - bit % 8)) & 1 : 0;
                value = value * 2 + one;
            }
            text[i] = alphabet[value];
        }
    }
}
