// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Actors} from "./Actors.sol";
import {Cbor} from "./Cbor.sol";

/// @title Read-only questions to the storage market actor (f05)
/// @notice Every question returns the exit code beside its values. Exit 0: use the values. Exit 17 (not found)
/// and 32 (expired, slashed or cleaned up): the deal is gone and the values are zero. Anything else, or a
/// failed call, reverts: running out of gas must never be read as "the deal is lost".
library Market {
    using Cbor for Cbor.Reader;

    /// @notice The market could not be asked: its exit code, or {Actors.CALL_FAILED} if the precompile failed.
    error MarketUnavailable(int256 exitCode);

    uint64 internal constant ACTOR = 5;
    int256 internal constant OK = Actors.OK;
    int256 internal constant NOT_FOUND = Actors.NOT_FOUND;
    /// EX_DEAL_EXPIRED
    int256 internal constant DEAL_GONE = 32;
    /// EX_DEAL_NOT_ACTIVATED, an answer of {sector} only.
    int256 internal constant NOT_ACTIVATED = 33;

    /// FRC-0042 method numbers.
    uint64 internal constant GET_DEAL_ACTIVATION = 2567238399;
    uint64 internal constant GET_DEAL_TERM = 163777312;
    uint64 internal constant GET_DEAL_DATA_COMMITMENT = 1157985802;
    uint64 internal constant GET_DEAL_PROVIDER = 935081690;
    uint64 internal constant GET_DEAL_SECTOR = 2611213344;

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
            revert Actors.MalformedAnswer(ACTOR, GET_DEAL_ACTIVATION);
        }
    }

    /// @notice The epochs at which the deal starts and ends (exclusive). The market answers start and *duration*.
    function term(uint64 dealId) internal view returns (int256 exitCode, uint64 start, uint64 end) {
        bytes memory answer;
        (exitCode, answer) = _ask(GET_DEAL_TERM, dealId);
        if (exitCode != OK) return (exitCode, 0, 0);
        Cbor.Reader memory r = Cbor.reader(answer);
        r.expectArray(2);
        int64 first = r.readInt64();
        int64 duration = r.readInt64();
        r.expectEnd();
        if (first < 0 || duration < 0) revert Actors.MalformedAnswer(ACTOR, GET_DEAL_TERM);
        // Two non-negative int64 add up to less than 2^64.
        // forge-lint: disable-next-line(unsafe-typecast)
        (start, end) = (uint64(first), uint64(first) + uint64(duration));
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
        return _askNumber(GET_DEAL_PROVIDER, dealId);
    }

    /// @notice The sector that holds the deal; exit 33 while there is none.
    function sector(uint64 dealId) internal view returns (int256 exitCode, uint64 number) {
        return _askNumber(GET_DEAL_SECTOR, dealId);
    }

    function _askNumber(uint64 method, uint64 dealId) private view returns (int256 exitCode, uint64 number) {
        bytes memory answer;
        (exitCode, answer) = _ask(method, dealId);
        if (exitCode != OK) return (exitCode, 0);
        Cbor.Reader memory r = Cbor.reader(answer);
        number = r.readUint64();
        r.expectEnd();
    }

    /// A market getter takes the bare deal id.
    function _ask(uint64 method, uint64 dealId) private view returns (int256 exitCode, bytes memory answer) {
        (exitCode, answer) = Actors.ask(ACTOR, method, Cbor.encodeUint64(dealId));
        if (exitCode == OK || exitCode == NOT_FOUND || exitCode == DEAL_GONE) return (exitCode, answer);
        if (exitCode == NOT_ACTIVATED && method == GET_DEAL_SECTOR) return (exitCode, answer);
        revert MarketUnavailable(exitCode);
    }
}
