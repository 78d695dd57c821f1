// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title The few CBOR forms that built-in actors answer and notify with
/// @notice Strict DAG-CBOR: shortest heads only, definite lengths only, nothing after the value. Every
/// deviation reverts with {MalformedCbor}; nothing is allocated by a length that was not checked.
library Cbor {
    /// @notice The bytes are not the canonical encoding of what was expected at this offset.
    error MalformedCbor(uint256 offset);

    struct Reader {
        bytes data;
        uint256 offset;
    }

    uint8 private constant UNSIGNED = 0;
    uint8 private constant NEGATIVE = 1;
    uint8 private constant BYTES = 2;
    uint8 private constant ARRAY = 4;
    uint8 private constant TAG = 6;
    uint64 private constant LINK_TAG = 42;
    uint8 private constant FALSE = 0xf4;
    uint8 private constant TRUE = 0xf5;

    /// A link is a byte string: the multibase prefix 0x00, then the CID. Here the only CID is a piece CID:
    /// version 1, codec fil-commitment-unsealed, multihash sha2-256-trunc254-padded of 32 bytes.
    uint64 private constant PIECE_LINK_PREFIX = 0x000181e203922020;
    uint64 private constant PIECE_LINK_LENGTH = 40;

    function reader(bytes memory data) internal pure returns (Reader memory) {
        return Reader(data, 0);
    }

    /// @notice Reads the head of an array of exactly `length` items.
    function expectArray(Reader memory r, uint64 length) internal pure {
        _expect(r, ARRAY, length);
    }

    function readUint64(Reader memory r) internal pure returns (uint64) {
        uint256 start = r.offset;
        (uint8 major, uint64 value) = _head(r);
        if (major != UNSIGNED) revert MalformedCbor(start);
        return value;
    }

    /// @notice The unsigned integer that `data` is, without a revert if it is none.
    function tryReadUint64(bytes memory data) internal pure returns (bool ok, uint64 value) {
        if (data.length == 0 || data.length > 9) return (false, 0);
        for (uint256 i = data.length == 1 ? 0 : 1; i < data.length; ++i) {
            value = (value << 8) | uint8(data[i]);
        }
        // Only the shortest encoding of the number is equal to it.
        return (keccak256(encodeUint64(value)) == keccak256(data), value);
    }

    /// @notice Reads a signed integer; a negative one is encoded as n and means -1 - n.
    function readInt64(Reader memory r) internal pure returns (int64) {
        uint256 start = r.offset;
        (uint8 major, uint64 value) = _head(r);
        if (major > NEGATIVE || value > uint64(type(int64).max)) revert MalformedCbor(start);
        // The bound above makes the cast lossless; -1 - (2^63 - 1) is the smallest int64.
        // forge-lint: disable-next-line(unsafe-typecast)
        int64 signed = int64(value);
        return major == UNSIGNED ? signed : -1 - signed;
    }

    /// @notice Reads the head of an array of any length. Each item has at least one byte, so the length is checked
    /// against what is left.
    function readArray(Reader memory r) internal pure returns (uint64 length) {
        uint256 start = r.offset;
        uint8 major;
        (major, length) = _head(r);
        if (major != ARRAY || length > r.data.length - r.offset) revert MalformedCbor(start);
    }

    function readBool(Reader memory r) internal pure returns (bool) {
        uint256 start = r.offset;
        if (start >= r.data.length) revert MalformedCbor(start);
        uint8 first = uint8(r.data[start]);
        if (first != FALSE && first != TRUE) revert MalformedCbor(start);
        r.offset = start + 1;
        return first == TRUE;
    }

    function readBytes(Reader memory r) internal pure returns (bytes memory value) {
        uint256 start = r.offset;
        (uint8 major, uint64 length) = _head(r);
        bytes memory data = r.data;
        uint256 from = r.offset;
        if (major != BYTES || length > data.length - from) revert MalformedCbor(start);
        value = new bytes(length);
        assembly ("memory-safe") {
            mcopy(add(value, 0x20), add(add(data, 0x20), from), length)
        }
        r.offset = from + length;
    }

    /// @notice Reads a link to a piece CID and returns the 32-byte commitment.
    function readPieceLink(Reader memory r) internal pure returns (bytes32 commitment) {
        _expect(r, TAG, LINK_TAG);
        _expect(r, BYTES, PIECE_LINK_LENGTH);
        bytes memory data = r.data;
        uint256 start = r.offset;
        if (data.length - start < PIECE_LINK_LENGTH) revert MalformedCbor(start);
        bytes32 prefix;
        assembly ("memory-safe") {
            let from := add(add(data, 0x20), start)
            prefix := mload(from)
            commitment := mload(add(from, 8))
        }
        if (uint256(prefix) >> 192 != PIECE_LINK_PREFIX) revert MalformedCbor(start);
        r.offset = start + PIECE_LINK_LENGTH;
    }

    /// @notice Refuses trailing bytes.
    function expectEnd(Reader memory r) internal pure {
        if (r.offset != r.data.length) revert MalformedCbor(r.offset);
    }

    /// @notice The shortest encoding of an unsigned integer.
    function encodeUint64(uint64 value) internal pure returns (bytes memory) {
        return _encodeHead(UNSIGNED, value);
    }

    function encodeBytes(bytes memory value) internal pure returns (bytes memory) {
        // Memory cannot hold 2^64 bytes.
        // forge-lint: disable-next-line(unsafe-typecast)
        return abi.encodePacked(_encodeHead(BYTES, uint64(value.length)), value);
    }

    /// @notice The head of an array of `length` items.
    function encodeArray(uint64 length) internal pure returns (bytes memory) {
        return _encodeHead(ARRAY, length);
    }

    function encodeBool(bool value) internal pure returns (bytes1) {
        return bytes1(value ? TRUE : FALSE);
    }

    function _encodeHead(uint8 major, uint64 value) private pure returns (bytes memory) {
        uint8 m = major << 5;
        // Each branch holds only values that fit.
        // forge-lint: disable-start(unsafe-typecast)
        if (value < 24) return abi.encodePacked(m | uint8(value));
        if (value <= type(uint8).max) return abi.encodePacked(m | 24, uint8(value));
        if (value <= type(uint16).max) return abi.encodePacked(m | 25, uint16(value));
        if (value <= type(uint32).max) return abi.encodePacked(m | 26, uint32(value));
        return abi.encodePacked(m | 27, value);
        // forge-lint: disable-end(unsafe-typecast)
    }

    function _expect(Reader memory r, uint8 major, uint64 value) private pure {
        uint256 start = r.offset;
        (uint8 gotMajor, uint64 gotValue) = _head(r);
        if (gotMajor != major || gotValue != value) revert MalformedCbor(start);
    }

    function _head(Reader memory r) private pure returns (uint8 major, uint64 value) {
        bytes memory data = r.data;
        uint256 start = r.offset;
        if (start >= data.length) revert MalformedCbor(start);
        uint8 first = uint8(data[start]);
        major = first >> 5;
        uint8 info = first & 31;
        if (info < 24) {
            r.offset = start + 1;
            return (major, info);
        }
        // 28..30 are reserved, 31 is an indefinite length.
        if (info > 27) revert MalformedCbor(start);
        uint256 width = uint256(1) << (info - 24);
        if (data.length - start <= width) revert MalformedCbor(start);
        for (uint256 i = 1; i <= width; ++i) {
            value = (value << 8) | uint8(data[start + i]);
        }
        // The smallest value that needs this width: 24, then 2^8, 2^16, 2^32.
        uint256 smallest = info == 24 ? 24 : uint256(1) << (width * 4);
        if (value < smallest) revert MalformedCbor(start);
        r.offset = start + 1 + width;
    }
}
