// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Cbor} from "../../src/Cbor.sol";
import {Fixture} from "../support/Fixture.sol";

/// A reader of the market, whichever it is.
interface IMarketReader {
    function activation(uint64 dealId) external returns (int64 activated, int64 terminated);
    /// The end epoch.
    function end(uint64 dealId) external returns (uint64);
    /// The binary piece CID v1.
    function commitment(uint64 dealId) external returns (bytes memory);
    /// 0, 17 or 32.
    function exit(uint64 dealId) external returns (int256);
}

/// Rows of list B2: the library that asks the market.
abstract contract MarketRows is Fixture {
    IMarketReader internal reader;

    function makeReader() internal virtual returns (IMarketReader);

    function setUp() public virtual override {
        super.setUp();
        reader = makeReader();
    }

    /// A negative number n is encoded as -1 - n.
    function test_B28_negative_numbers_are_decoded() public {
        uint64 dealId = publishedDeal(NOW + 10);
        (int64 activated, int64 terminated) = reader.activation(dealId);
        check(activated == -1 && terminated == -1, "B28: -1 is not 0");
    }

    /// The second number of a term is a duration.
    function test_B29_term_is_start_and_duration() public {
        uint64 dealId = market.publish(PIECE, SIZE, MINER, 4_500_000, 500_100);
        eq(reader.end(dealId), 5_000_100, "B29: end");
    }

    /// The prefix 0x00 of a link is no part of the CID.
    function test_B30_the_link_prefix_is_stripped() public {
        uint64 dealId = publishedDeal(NOW + 10);
        eq(reader.commitment(dealId), pieceCid(PIECE), "B30: piece CID");
    }

    /// Malformed answers are refused by name, trailing bytes too.
    function test_B31_malformed_answers_are_refused() public {
        uint64 dealId = publishedDeal(NOW + 10);
        bytes[5] memory bad = [bytes(hex"82012000"), hex"8218", hex"81", hex"9f0120ff", hex"82f601"];
        for (uint256 i = 0; i < bad.length; ++i) {
            market.overrideAnswer(2567238399, bad[i]);
            try reader.activation(dealId) returns (int64, int64) {
                check(false, "B31: accepted");
            } catch (bytes memory why) {
                check(bytes4(why) == Cbor.MalformedCbor.selector, "B31: an error without a name");
            }
        }
    }

    /// The exit code is judged before codec and data.
    function test_B32_the_exit_code_comes_first() public {
        market.overrideOutput(2567238399, abi.encode(int256(32), uint64(0x71), bytes(hex"ff")));
        try reader.exit(1) returns (int256 exit) {
            check(exit == 32, "B32: exit code");
        } catch {
            check(false, "B32: another error than the exit code");
        }
    }
}
