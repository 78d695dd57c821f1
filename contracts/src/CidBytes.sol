// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title One form for the ways in which clients write a CID
/// @notice Binary CIDs begin with 0x01 (version 1) or 0x1220 (version 0). The same CID is found on chain with the
/// prefix 0x00 of a CBOR link, and as base32 text ("b...") in UTF-8. Everything else is left as it is: nothing is
/// refused here.
library CidBytes {
    uint256 private constant TEXT_PREFIX = 0x62; // "b"

    /// @notice The binary CID that `cid` spells, or `cid` itself.
    function canonical(bytes memory cid) internal pure returns (bytes memory) {
        if (cid.length < 3) return cid;
        uint256 first = uint8(cid[0]);
        if (first == 0 && (cid[1] == 0x01 || (cid[1] == 0x12 && cid[2] == 0x20))) return _tail(cid);
        if (first == TEXT_PREFIX) return _decode(cid);
        return cid;
    }

    function _tail(bytes memory data) private pure returns (bytes memory tail) {
        uint256 length = data.length - 1;
        tail = new bytes(length);
        assembly ("memory-safe") {
            mcopy(add(tail, 0x20), add(data, 0x21), length)
        }
    }

    /// RFC 4648 base32 in lower case, without padding, after the prefix. Only the one right spelling is decoded.
    function _decode(bytes memory text) private pure returns (bytes memory) {
        uint256 bits = (text.length - 1) * 5;
        // The last character adds fewer than 5 bits beyond whole bytes, and these are zero.
        if (bits % 8 > 4) return text;
        bytes memory binary = new bytes(bits / 8);
        uint256 buffer = 0;
        uint256 held = 0;
        uint256 written = 0;
        for (uint256 i = 1; i < text.length; ++i) {
            uint256 c = uint8(text[i]);
            uint256 value;
            if (c >= 0x61 && c <= 0x7a) value = c - 0x61; // a to z
            else if (c >= 0x32 && c <= 0x37) value = c - 0x18; // 2 to 7 are 26 to 31
            else return text;
            buffer = (buffer << 5) | value;
            held += 5;
            if (held < 8) continue;
            held -= 8;
            // The cast keeps the byte that is complete; fewer than 8 bits stay.
            // forge-lint: disable-next-line(unsafe-typecast)
            binary[written++] = bytes1(uint8(buffer >> held));
            // A mask of the bits that are held.
            // forge-lint: disable-next-line(incorrect-shift)
            buffer &= (1 << held) - 1;
        }
        // Not a version 1 CID: some other text that begins with b.
        if (buffer != 0 || binary.length == 0 || binary[0] != 0x01) return text;
        return binary;
    }
}
