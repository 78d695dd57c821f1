// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Actors} from "../src/Actors.sol";
import {Cbor} from "../src/Cbor.sol";
import {Market} from "../src/Market.sol";
import {MarketStandIn, StandIns} from "./support/StandIns.sol";
import {Test} from "./support/Vm.sol";

contract MarketHarness {
    function activation(uint64 id) external view returns (int256, int64, int64) {
        return Market.activation(id);
    }

    function endEpoch(uint64 id) external view returns (int256, uint64) {
        (int256 exit,, uint64 end) = Market.term(id);
        return (exit, end);
    }

    function dataCommitment(uint64 id) external view returns (int256, bytes32, uint64) {
        return Market.dataCommitment(id);
    }

    function provider(uint64 id) external view returns (int256, uint64) {
        return Market.provider(id);
    }

    function encode(uint64 value) external pure returns (bytes memory) {
        return Cbor.encodeUint64(value);
    }
}

contract MarketTest is Test {
    MarketStandIn private market;
    MarketHarness private asked;

    function setUp() public {
        market = StandIns.install(vm);
        asked = new MarketHarness();
    }

    function testFuzz_piece_and_provider_are_what_the_market_holds(
        bytes32 piece,
        uint64 size,
        uint64 provider
    ) public {
        uint64 id = market.publish(piece, size, provider, 0, 1);
        (, bytes32 gotPiece, uint64 gotSize) = asked.dataCommitment(id);
        eq(gotPiece, piece, "piece");
        eq(gotSize, size, "size");
        (, uint64 gotProvider) = asked.provider(id);
        eq(gotProvider, provider, "provider");
    }

    function testFuzz_epochs_are_what_the_market_holds(uint256 start, uint256 duration, uint256 activated)
        public
    {
        uint256 max = uint64(type(int64).max);
        int64 from = int64(int256(bound(start, 0, max)));
        int64 term = int64(int256(bound(duration, 0, max)));
        int64 epoch = int64(int256(bound(activated, 0, max)));
        uint64 id = market.publish(bytes32(0), 128, 1, from, term);
        market.activate(id, epoch);
        (int256 exit, int64 gotActivated, int64 terminated) = asked.activation(id);
        check(exit == 0 && gotActivated == epoch && terminated == -1, "activation");
        (, uint64 end) = asked.endEpoch(id);
        eq(end, uint64(from) + uint64(term), "end");
        market.markTerminated(id, epoch);
        (,, terminated) = asked.activation(id);
        check(terminated == epoch, "termination");
    }

    /// B1 row 28: a negative integer n is encoded as -1 - n.
    function test_B1_28_negative_numbers_are_decoded() public {
        uint64 id = market.publish(bytes32(0), 128, 1, 0, 1);
        (, int64 activated, int64 terminated) = asked.activation(id);
        check(activated == -1 && terminated == -1, "-1 is not 0");
        // All widths of a negative number; none but -1 is an epoch, so they are refused, and not read as >= 0.
        bytes[5] memory encodings =
            [bytes(hex"21"), hex"3818", hex"390100", hex"3a00010000", hex"3b7fffffffffffffff"];
        for (uint256 i = 0; i < encodings.length; ++i) {
            malformed(Market.GET_DEAL_ACTIVATION, abi.encodePacked(hex"82", encodings[i], hex"20"), true);
        }
    }

    /// B1 row 29: the second field of a term is a duration.
    function test_B1_29_term_is_start_and_duration() public {
        uint64 id = market.publish(bytes32(0), 128, 1, 4_500_000, 500_100);
        (, uint64 end) = asked.endEpoch(id);
        eq(end, 5_000_100, "end");
    }

    /// B1 row 30: the multibase prefix 0x00 of a link is checked and stripped.
    function test_B1_30_link_prefix_is_checked_and_stripped() public {
        bytes32 piece = bytes32(uint256(0xabcd00));
        uint64 id = market.publish(piece, 128, 1, 0, 1);
        (, bytes32 got,) = asked.dataCommitment(id);
        eq(got, piece, "commitment");

        bytes memory good = abi.encodePacked(hex"82d82a5828000181e203922020", piece, hex"1880");
        market.overrideAnswer(Market.GET_DEAL_DATA_COMMITMENT, good);
        (, got,) = asked.dataCommitment(id);
        eq(got, piece, "control");
        // Every byte of the 13 before the commitment is fixed.
        for (uint256 i = 0; i < 13; ++i) {
            bytes memory bad = bytes.concat(good);
            bad[i] ^= 0x01;
            malformed(Market.GET_DEAL_DATA_COMMITMENT, bad, true);
        }
        // Without the prefix: a byte string of 39.
        bytes memory bare = abi.encodePacked(hex"82d82a58270181e203922020", piece, hex"1880");
        malformed(Market.GET_DEAL_DATA_COMMITMENT, bare, true);
    }

    function test_gone_deals_answer_17_or_32_without_revert() public {
        uint64 id = market.publish(bytes32(0), 128, 1, 0, 1);
        market.remove(id);
        (int256 exit, int64 activated,) = asked.activation(id);
        check(exit == 32 && activated == -1, "removed");
        (exit,) = asked.endEpoch(id);
        check(exit == 32, "removed, term");
        (exit,,) = asked.dataCommitment(id + 1);
        check(exit == 17, "never there");
        (exit,) = asked.provider(id + 1);
        check(exit == 17, "never there, provider");
    }

    function testFuzz_any_other_exit_reverts(int256 exit) public {
        if (exit == 0 || exit == 17 || exit == 32) exit = 7;
        uint64 id = market.publish(bytes32(0), 128, 1, 0, 1);
        market.overrideExit(Market.GET_DEAL_ACTIVATION, exit);
        vm.expectRevert(abi.encodeWithSelector(Market.MarketUnavailable.selector, exit));
        asked.activation(id);
    }

    function test_failed_precompile_reverts() public {
        market.setDown(true);
        vm.expectRevert(abi.encodeWithSelector(Market.MarketUnavailable.selector, type(int256).min));
        asked.activation(1);
    }

    /// An account without code answers a delegate call with success and nothing at all.
    function test_missing_precompile_reverts() public {
        vm.etch(StandIns.CALL_ACTOR_ID, "");
        vm.expectRevert(abi.encodeWithSelector(Market.MarketUnavailable.selector, type(int256).min));
        asked.activation(1);
    }

    /// B1 row 32: the exit code is judged before codec and answer.
    function test_B1_32_exit_code_comes_first() public {
        market.overrideOutput(
            Market.GET_DEAL_ACTIVATION, abi.encode(int256(32), uint64(0x71), bytes(hex"ff"))
        );
        (int256 exit,,) = asked.activation(1);
        check(exit == 32, "exit 32 with data");
        market.overrideOutput(
            Market.GET_DEAL_ACTIVATION, abi.encode(int256(0), uint64(0x71), bytes(hex"820120"))
        );
        badOutput();
    }

    function test_damaged_output_of_the_precompile_is_refused() public {
        bytes memory good = abi.encode(int256(0), uint64(0x51), bytes(hex"820120"));
        market.overrideOutput(Market.GET_DEAL_ACTIVATION, good);
        (, int64 activated,) = asked.activation(1);
        check(activated == 1, "control");
        // Cut inside the answer, the length word, and the head.
        for (uint256 cut = 130; cut > 0; cut -= 26) {
            bytes memory short = new bytes(cut);
            for (uint256 i = 0; i < cut; ++i) {
                short[i] = good[i];
            }
            market.overrideOutput(Market.GET_DEAL_ACTIVATION, short);
            badOutput();
        }
        bytes memory offset = bytes.concat(good);
        offset[95] = 0x80;
        market.overrideOutput(Market.GET_DEAL_ACTIVATION, offset);
        badOutput();
        bytes memory length = bytes.concat(good);
        length[96] = 0xff;
        market.overrideOutput(Market.GET_DEAL_ACTIVATION, length);
        badOutput();
    }

    /// B1 row 31: malformed answers end in a named error, trailing bytes included.
    function test_B1_31_malformed_cbor_is_refused() public {
        bytes[14] memory bad = [
            bytes(""), // nothing
            hex"82", // an array without items
            hex"8201", // one item missing
            hex"810120", // wrong length
            hex"83012020", // one item too many
            hex"9f0120ff", // indefinite length
            hex"82012000", // trailing byte
            hex"821801", // cut number
            hex"82181701", // 23 in two bytes
            hex"8219001801", // 24 in three bytes
            hex"821a0000ffff01", // 2^16 - 1 in five bytes
            hex"821b00000000ffffffff01", // 2^32 - 1 in nine bytes
            hex"821b800000000000000001", // beyond int64
            hex"82f601" // null
        ];
        for (uint256 i = 0; i < bad.length; ++i) {
            malformed(Market.GET_DEAL_ACTIVATION, bad[i], false);
        }
        malformed(Market.GET_DEAL_ACTIVATION, hex"823b800000000000000020", true); // below int64
        malformed(Market.GET_DEAL_ACTIVATION, hex"821c01", true); // reserved head
        malformed(Market.GET_DEAL_TERM, hex"822001", true); // negative start
        malformed(Market.GET_DEAL_TERM, hex"820120", true); // negative duration
    }

    function testFuzz_every_truncation_is_refused(uint256 cut) public {
        bytes memory good =
            abi.encodePacked(hex"82d82a5828000181e203922020", bytes32(uint256(1)), hex"1b0000000800000000");
        bytes memory short = new bytes(bound(cut, 0, good.length - 1));
        for (uint256 i = 0; i < short.length; ++i) {
            short[i] = good[i];
        }
        malformed(Market.GET_DEAL_DATA_COMMITMENT, short, true);
    }

    function test_deal_ids_are_encoded_in_the_shortest_form() public view {
        eq(asked.encode(0), hex"00", "0");
        eq(asked.encode(23), hex"17", "23");
        eq(asked.encode(24), hex"1818", "24");
        eq(asked.encode(255), hex"18ff", "255");
        eq(asked.encode(256), hex"190100", "256");
        eq(asked.encode(65_536), hex"1a00010000", "65536");
        eq(asked.encode(1 << 32), hex"1b0000000100000000", "2^32");
        eq(asked.encode(type(uint64).max), hex"1bffffffffffffffff", "2^64 - 1");
    }

    function testFuzz_any_deal_id_is_understood(uint64 id) public {
        if (id == type(uint64).max) --id;
        market.skipTo(id == 0 ? 1 : id);
        eq(market.publish(bytes32(0), 128, 77, 0, 1), id == 0 ? 1 : id, "id");
        (, uint64 provider) = asked.provider(id == 0 ? 1 : id);
        eq(provider, 77, "provider");
    }

    /// A getter must refuse this answer with one of the two named errors.
    function malformed(uint64 method, bytes memory cbor, bool either) private {
        market.overrideAnswer(method, cbor);
        bytes memory call = method == Market.GET_DEAL_ACTIVATION
            ? abi.encodeCall(MarketHarness.activation, (1))
            : method == Market.GET_DEAL_TERM
                ? abi.encodeCall(MarketHarness.endEpoch, (1))
                : abi.encodeCall(MarketHarness.dataCommitment, (1));
        (bool ok, bytes memory data) = address(asked).staticcall(call);
        check(!ok, "accepted");
        bytes4 selector = bytes4(data);
        check(
            selector == Cbor.MalformedCbor.selector
                || (either && selector == Actors.MalformedAnswer.selector),
            "another error"
        );
    }

    function badOutput() private {
        vm.expectRevert(
            abi.encodeWithSelector(Actors.MalformedAnswer.selector, Market.ACTOR, Market.GET_DEAL_ACTIVATION)
        );
        asked.activation(1);
    }
}
