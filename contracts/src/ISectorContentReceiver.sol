// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title What the FEVM calls on a contract for native messages with FRC-0042 method numbers
interface ISectorContentReceiver {
    /// @notice Takes SectorContentChanged (2034386435, FIP-0109) from miner actors.
    /// @param method FRC-0042 number.
    /// @param codec 0x51: CBOR.
    /// @param params The message's parameters.
    /// @return exitCode 0; a refusal reverts.
    /// @return returnCodec 0x51.
    /// @return returnData For each sector an array of booleans, one for each piece: whether it was accepted.
    function handle_filecoin_method(uint64 method, uint64 codec, bytes calldata params)
        external
        returns (uint32 exitCode, uint64 returnCodec, bytes memory returnData);
}
