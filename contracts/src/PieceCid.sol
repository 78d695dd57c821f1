// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Binary piece CIDs
/// @notice v1, 39 bytes: version 1, codec fil-commitment-unsealed (0xf101), multihash sha2-256-trunc254-padded
/// (0x1012) of 32 bytes, then the commitment. v2 (FRC-0069): version 1, codec raw, multihash
/// fr32-sha256-trunc254-padbintree (0x1011) of payload padding (varint), tree height, commitment; so it tells the
/// piece's size. No multibase or link prefix.
library PieceCid {
    /// @notice Not a binary piece CID.
    error InvalidPieceCid();

    bytes7 private constant V1_PREFIX = 0x0181e203922020;
    uint256 private constant V1_LENGTH = 39;
    bytes4 private constant V2_PREFIX = 0x01559120;
    /// Prefix, digest length, a padding of one byte, height, commitment.
    uint256 private constant V2_MIN_LENGTH = 39;
    /// A padding of 9 bytes, the longest varint.
    uint256 private constant V2_MAX_LENGTH = 47;
    /// Trees of 128 bytes to 64 GiB, of leaves of 32 bytes.
    uint256 private constant MIN_HEIGHT = 2;
    uint256 private constant MAX_HEIGHT = 31;
    /// A commitment is a field element of 254 bits, little-endian: the two top bits of its last byte are zero.
    uint256 private constant TOP_BITS = 0xc0;

    /// @notice Commitment and, of a v2 CID, padded size in bytes; the size is 0 for v1.
    function parse(bytes memory cid) internal pure returns (bytes32 commitment, uint64 size) {
        bool ok;
        (ok, commitment, size) = tryParse(cid);
        if (!ok) revert InvalidPieceCid();
    }

    /// @notice The same without a revert.
    function tryParse(bytes memory cid) internal pure returns (bool ok, bytes32 commitment, uint64 size) {
        uint256 length = cid.length;
        if (length < V1_LENGTH || length > V2_MAX_LENGTH) return (false, 0, 0);
        bytes32 head;
        assembly ("memory-safe") {
            head := mload(add(cid, 0x20))
            // The commitment is the end of both forms.
            commitment := mload(add(cid, length))
        }
        if (!isCommitment(commitment)) return (false, 0, 0);
        // The casts keep the first bytes, which are what is compared.
        // forge-lint: disable-start(unsafe-typecast)
        if (length == V1_LENGTH && bytes7(head) == V1_PREFIX) return (true, commitment, 0);
        if (bytes4(head) != V2_PREFIX || uint8(cid[4]) != length - 5) return (false, 0, 0);
        // forge-lint: disable-end(unsafe-typecast)
        size = _sizeOf(cid, length);
        return size == 0 ? (false, bytes32(0), uint64(0)) : (true, commitment, size);
    }

    /// @notice Whether any data can have this commitment.
    function isCommitment(bytes32 commitment) internal pure returns (bool) {
        return uint256(commitment) & TOP_BITS == 0;
    }

    /// @notice The binary piece CID v1 of `commitment`.
    function encode(bytes32 commitment) internal pure returns (bytes memory) {
        return abi.encodePacked(V1_PREFIX, commitment);
    }

    /// The padded size that a v2 CID tells, 0 if padding or height make no sense.
    function _sizeOf(bytes memory cid, uint256 length) private pure returns (uint64) {
        uint256 height = uint8(cid[length - 33]);
        if (height < MIN_HEIGHT || height > MAX_HEIGHT) return 0;
        uint256 padding = 0;
        uint256 last = length - 34;
        for (uint256 i = 5; i <= last; ++i) {
            uint256 b = uint8(cid[i]);
            // Every byte but the last one has its top bit set, and the last one is zero only alone.
            if ((b & 0x80 != 0) != (i != last) || (i == last && b == 0 && last > 5)) return 0;
            padding |= (b & 0x7f) << (7 * (i - 5));
        }
        // A tree of this height has 2^height leaves.
        // forge-lint: disable-next-line(incorrect-shift)
        uint256 size = 32 << height;
        uint256 capacity = size / 128 * 127;
        // Half a tree of padding would be a smaller tree, but for the smallest.
        if (padding > capacity || (height > MIN_HEIGHT && padding >= capacity / 2)) return 0;
        // At most 64 GiB.
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint64(size);
    }
}
