// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Piece CID v1 in binary form
/// @notice 39 bytes: version 1, codec fil-commitment-unsealed (0xf101), multihash sha2-256-trunc254-padded
/// (0x1012) of 32 bytes, then the commitment. No multibase or link prefix. A v2 piece CID (FRC-0069) is
/// refused: callers pass its commitment in this form, and its size beside it.
library PieceCid {
    /// @notice Not a binary piece CID v1.
    error InvalidPieceCid();

    bytes7 private constant PREFIX = 0x0181e203922020;
    uint256 private constant LENGTH = 39;
    /// A commitment is a field element of 254 bits, little-endian: the two top bits of its last byte are zero.
    uint256 private constant TOP_BITS = 0xc0;

    /// @notice The commitment inside `cid`.
    function parse(bytes calldata cid) internal pure returns (bytes32 commitment) {
        if (cid.length != LENGTH || bytes7(cid[:7]) != PREFIX) revert InvalidPieceCid();
        commitment = bytes32(cid[7:]);
        if (uint256(commitment) & TOP_BITS != 0) revert InvalidPieceCid();
    }

    /// @notice The binary piece CID v1 of `commitment`.
    function encode(bytes32 commitment) internal pure returns (bytes memory) {
        return abi.encodePacked(PREFIX, commitment);
    }
}
