// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

struct Log {
    bytes32[] topics;
    bytes data;
    address emitter;
}

struct ChainInfo {
    uint256 forkId;
    uint256 chainId;
}

struct StorageAccess {
    address account;
    bytes32 slot;
    bool isWrite;
    bytes32 previousValue;
    bytes32 newValue;
    bool reverted;
}

/// One call or other access, as the recording of state differences tells it.
struct AccountAccess {
    ChainInfo chainInfo;
    uint8 kind;
    address account;
    address accessor;
    bool initialized;
    uint256 oldBalance;
    uint256 newBalance;
    bytes deployedCode;
    uint256 value;
    bytes data;
    bool reverted;
    StorageAccess[] storageAccesses;
    uint64 depth;
    uint64 oldNonce;
    uint64 newNonce;
}

/// The cheat codes that these tests use.
interface Vm {
    function etch(address target, bytes calldata code) external;
    function roll(uint256 height) external;
    function prank(address sender) external;
    function startPrank(address sender) external;
    function stopPrank() external;
    function expectRevert(bytes calldata data) external;
    function expectRevert(bytes4 selector) external;
    function expectRevert() external;
    function expectEmit() external;
    function recordLogs() external;
    function getRecordedLogs() external returns (Log[] memory);
    function readFile(string calldata path) external view returns (string memory);
    function parseJsonUint(string calldata json, string calldata key) external pure returns (uint256);
    function parseJsonString(string calldata json, string calldata key) external pure returns (string memory);
    function parseJsonBytes(string calldata json, string calldata key) external pure returns (bytes memory);
    function parseJsonBytes32(string calldata json, string calldata key) external pure returns (bytes32);
    function parseJsonBytes32Array(string calldata json, string calldata key)
        external
        pure
        returns (bytes32[] memory);
    function toString(uint256 value) external pure returns (string memory);
    function toString(bytes calldata value) external pure returns (string memory);
    function toString(address value) external pure returns (string memory);
    function parseBytes(string calldata text) external pure returns (bytes memory);
    function replace(string calldata input, string calldata from, string calldata to)
        external
        pure
        returns (string memory);
    function keyExistsJson(string calldata json, string calldata key) external view returns (bool);
    function startStateDiffRecording() external;
    function stopAndReturnStateDiff() external returns (AccountAccess[] memory);
    function warp(uint256 timestamp) external;
    function deal(address account, uint256 balance) external;
    function snapshotValue(string calldata group, string calldata name, uint256 value) external;
    function addr(uint256 privateKey) external pure returns (address);
    function envOr(string calldata name, bool fallback_) external view returns (bool);
    function writeFile(string calldata path, string calldata text) external;
    function toString(bytes32 value) external pure returns (string memory);
    function cool(address target) external;
}

/// Assertions and helpers; a failed assertion reverts and names itself.
abstract contract Test {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    error AssertionFailed(string what);
    error NotEqual(string what, uint256 got, uint256 wanted);
    error BytesNotEqual(string what, bytes got, bytes wanted);

    function check(bool ok, string memory what) internal pure {
        if (!ok) revert AssertionFailed(what);
    }

    function eq(uint256 got, uint256 wanted, string memory what) internal pure {
        if (got != wanted) revert NotEqual(what, got, wanted);
    }

    function eq(bytes32 got, bytes32 wanted, string memory what) internal pure {
        if (got != wanted) revert NotEqual(what, uint256(got), uint256(wanted));
    }

    function eq(bytes memory got, bytes memory wanted, string memory what) internal pure {
        if (keccak256(got) != keccak256(wanted)) revert BytesNotEqual(what, got, wanted);
    }

    /// Maps a random number into low..high, both included.
    function bound(uint256 x, uint256 low, uint256 high) internal pure returns (uint256) {
        if (x >= low && x <= high) return x;
        uint256 span = high - low + 1;
        return span == 0 ? x : low + x % span;
    }
}
