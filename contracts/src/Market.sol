// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Cbor} from "./Cbor.sol";

/// @title Read-only questions to the storage market actor (f05)
/// @notice Every question returns the exit code beside its values. Exit 0: use the values. Exit 17 (not found)
/// and 32 (expired, slashed or cleaned up): the deal is gone and the values are zero. Anything else, or a
/// failed call, reverts: running out of gas must never be read as "the deal is lost".
library Market {
    using Cbor for Cbor.Reader;

    /// @notice The market could not be asked: its exit code, or {CALL_FAILED} if the precompile failed.
    error MarketUnavailable(int256 exitCode);
    /// @notice The call_actor precompile or the market answered in another form than specified.
    error MalformedMarketAnswer(uint64 method);

    int256 internal constant OK = 0;
    int256 internal constant NOT_FOUND = 17;
    int256 internal constant DEAL_GONE = 32;
    int256 internal constant CALL_FAILED = type(int256).min;

    /// FRC-0042 method numbers.
    uint64 internal constant GET_DEAL_ACTIVATION = 2567238399;
    uint64 internal constant GET_DEAL_TERM = 163777312;
    uint64 internal constant GET_DEAL_DATA_COMMITMENT = 1157985802;
    uint64 internal constant GET_DEAL_PROVIDER = 935081690;

    /// call_actor by actor id (FIP-0054); it refuses everything but DELEGATECALL.
    address private constant CALL_ACTOR_ID = 0xfe00000000000000000000000000000000000005;
    uint64 private constant MARKET_ACTOR = 5;
    uint64 private constant READ_ONLY = 1;
    uint64 private constant CODEC_CBOR = 0x51;
    /// The actor's way to write "never".
    int64 private constant UNDEFINED = -1;

    /// @notice The epochs at which the deal was activated and terminated; -1 when it was not.
    function activation(uint64 dealId)
        internal
        view
        returns (int256 exitCode, int64 activated, int64 terminated)
    {
        bytes memory answer;
        (exitCode, answer) = _ask(GET_DEAL_ACTIVATION, dealId);
        if (exitCode != OK) return (exitCode, UNDEFINED, UNDEFINED);
        Cbor.Reader memory r = Cbor.reader(answer);
        r.expectArray(2);
        activated = r.readInt64();
        terminated = r.readInt64();
        r.expectEnd();
        if (activated < UNDEFINED || terminated < UNDEFINED) {
            revert MalformedMarketAnswer(GET_DEAL_ACTIVATION);
        }
    }

    /// @notice The epoch at which the deal ends (exclusive). The market answers start and *duration*.
    function endEpoch(uint64 dealId) internal view returns (int256 exitCode, uint64 end) {
        bytes memory answer;
        (exitCode, answer) = _ask(GET_DEAL_TERM, dealId);
        if (exitCode != OK) return (exitCode, 0);
        Cbor.Reader memory r = Cbor.reader(answer);
        r.expectArray(2);
        int64 start = r.readInt64();
        int64 duration = r.readInt64();
        r.expectEnd();
        if (start < 0 || duration < 0) revert MalformedMarketAnswer(GET_DEAL_TERM);
        // Two non-negative int64 add up to less than 2^64.
        // forge-lint: disable-next-line(unsafe-typecast)
        end = uint64(start) + uint64(duration);
    }

    /// @notice The commitment of the deal's piece and its padded size in bytes.
    function dataCommitment(uint64 dealId)
        internal
        view
        returns (int256 exitCode, bytes32 commitment, uint64 size)
    {
        bytes memory answer;
        (exitCode, answer) = _ask(GET_DEAL_DATA_COMMITMENT, dealId);
        if (exitCode != OK) return (exitCode, 0, 0);
        Cbor.Reader memory r = Cbor.reader(answer);
        r.expectArray(2);
        commitment = r.readPieceLink();
        size = r.readUint64();
        r.expectEnd();
    }

    /// @notice The actor id of the deal's storage provider.
    function provider(uint64 dealId) internal view returns (int256 exitCode, uint64 minerId) {
        bytes memory answer;
        (exitCode, answer) = _ask(GET_DEAL_PROVIDER, dealId);
        if (exitCode != OK) return (exitCode, 0);
        Cbor.Reader memory r = Cbor.reader(answer);
        minerId = r.readUint64();
        r.expectEnd();
    }

    /// @dev Makes {_callMarket} usable from view functions. The compiler cannot know that a delegate call to
    /// this precompile with the read-only flag runs no code in our storage and changes no state.
    function _ask(uint64 method, uint64 dealId) private view returns (int256, bytes memory) {
        function(uint64, uint64) internal returns (int256, bytes memory) ask = _callMarket;
        function(uint64, uint64) internal view returns (int256, bytes memory) askView;
        assembly ("memory-safe") {
            askView := ask
        }
        return askView(method, dealId);
    }

    function _callMarket(uint64 method, uint64 dealId)
        private
        returns (int256 exitCode, bytes memory answer)
    {
        // The precompile takes a plain tuple, no selector; a market getter takes the bare deal id.
        bytes memory input =
            abi.encode(method, uint256(0), READ_ONLY, CODEC_CBOR, Cbor.encodeUint64(dealId), MARKET_ACTOR);
        (bool success, bytes memory output) = CALL_ACTOR_ID.delegatecall(input);
        // On a chain without the precompile the call succeeds with nothing.
        if (!success || output.length == 0) revert MarketUnavailable(CALL_FAILED);
        // (int256 exitCode, uint64 codec, bytes answer): three head words and the length of the answer.
        if (output.length < 128) revert MalformedMarketAnswer(method);
        uint256 codec;
        uint256 offset;
        uint256 length;
        assembly ("memory-safe") {
            exitCode := mload(add(output, 0x20))
            codec := mload(add(output, 0x40))
            offset := mload(add(output, 0x60))
            length := mload(add(output, 0x80))
            answer := add(output, 0x80)
        }
        // The exit code comes first: a failure has neither codec nor answer.
        if (exitCode == NOT_FOUND || exitCode == DEAL_GONE) return (exitCode, "");
        if (exitCode != OK) revert MarketUnavailable(exitCode);
        if (codec != CODEC_CBOR || offset != 96 || length > output.length - 128) {
            revert MalformedMarketAnswer(method);
        }
    }
}
