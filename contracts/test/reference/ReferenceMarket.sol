// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// Behaves as the market library of the reference was found to behave (rows 28 to 32). Written from the list of
/// defects.
library ReferenceMarket {
    error ActorError(int256 exitCode);
    error FailToCallActor();
    error InvalidCodec(uint64 codec);
    error InvalidResponseLength();

    function activation(uint64 dealId) internal returns (int64 activated, int64 terminated) {
        bytes memory data = _call(2567238399, dealId);
        uint256 next = 1;
        (activated, next) = _int(data, next);
        (terminated, next) = _int(data, next);
        // Row 31: what follows is not looked at.
    }

    /// Row 29: the second number is called the end.
    function term(uint64 dealId) internal returns (int64 start, int64 end) {
        bytes memory data = _call(163777312, dealId);
        uint256 next = 1;
        (start, next) = _int(data, next);
        (end, next) = _int(data, next);
    }

    /// Row 30: the bytes of the link as they are, with the prefix 0x00.
    function commitment(uint64 dealId) internal returns (bytes memory link) {
        bytes memory data = _call(1157985802, dealId);
        // Array head, tag head of two bytes, byte string head of two bytes with its length.
        uint256 length = uint8(data[4]);
        // Row 31: allocated before it is checked.
        link = new bytes(length);
        for (uint256 i = 0; i < length; ++i) {
            link[i] = data[5 + i];
        }
    }

    /// F14: right only because -1 was read as 0.
    function isActivated(uint64 dealId) internal returns (bool) {
        (int64 activated,) = activation(dealId);
        return activated > 0;
    }

    function _call(uint64 method, uint64 dealId) private returns (bytes memory data) {
        bytes memory params = dealId < 24
            ? abi.encodePacked(uint8(dealId))
            : dealId < 256 ? abi.encodePacked(uint8(24), uint8(dealId)) : abi.encodePacked(uint8(27), dealId);
        (bool success, bytes memory output) = 0xfe00000000000000000000000000000000000005
        .delegatecall(abi.encode(method, uint256(0), uint64(1), uint64(0x51), params, uint64(5)));
        if (!success) revert FailToCallActor();
        int256 exitCode;
        uint64 codec;
        (exitCode, codec, data) = abi.decode(output, (int256, uint64, bytes));
        // Row 32: codec and length come before the exit code.
        if (codec == 0) {
            if (data.length != 0) revert InvalidResponseLength();
        } else if (codec == 0x51 || codec == 0x71) {
            if (data.length == 0) revert InvalidResponseLength();
            if (exitCode != 0 && codec == 0x71) revert InvalidCodec(codec);
        } else {
            revert InvalidCodec(codec);
        }
        if (exitCode != 0) revert ActorError(exitCode);
    }

    /// Row 28: n instead of -1 - n.
    function _int(bytes memory data, uint256 next) private pure returns (int64, uint256) {
        uint8 info = uint8(data[next]) & 31;
        if (info < 24) return (int64(uint64(info)), next + 1);
        uint256 width = uint256(1) << (info - 24);
        uint64 value = 0;
        for (uint256 i = 1; i <= width; ++i) {
            value = (value << 8) | uint8(data[next + i]);
        }
        return (int64(value), next + 1 + width);
    }
}
