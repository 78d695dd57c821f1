// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Read-only calls of built-in actors through the FEVM's precompiles (FIP-0054)
/// @notice An answer is handed on as exit code and CBOR bytes; what an exit code means is the caller's business.
library Actors {
    /// @notice The actor could not be asked: its exit code, or {CALL_FAILED} if the precompile itself failed.
    error ActorUnavailable(uint64 actor, int256 exitCode);
    /// @notice The precompile or the actor answered in another form than specified.
    error MalformedAnswer(uint64 actor, uint64 method);

    int256 internal constant OK = 0;
    /// USR_NOT_FOUND
    int256 internal constant NOT_FOUND = 17;
    /// Stands for an exit code where the precompile gave none.
    int256 internal constant CALL_FAILED = type(int256).min;

    /// call_actor by actor id; it refuses everything but DELEGATECALL.
    address private constant CALL_ACTOR_ID = 0xfe00000000000000000000000000000000000005;
    /// Address bytes of any protocol to an actor id.
    address private constant RESOLVE_ADDRESS = 0xFE00000000000000000000000000000000000001;
    uint64 private constant READ_ONLY = 1;
    uint64 private constant CODEC_CBOR = 0x51;
    /// An f410 address: protocol 4, namespace 10 (the EAM), then the 20 bytes of the Ethereum address.
    bytes2 private constant F410 = 0x040a;
    /// Actor N without an Ethereum address of its own is 0xff, eleven zero bytes, and N as 8 bytes.
    uint256 private constant MASK_PREFIX = uint256(0xff) << 88;

    /// @notice Calls `method` of `actor` with CBOR `params`. `answer` is empty unless the exit code is 0.
    function ask(uint64 actor, uint64 method, bytes memory params)
        internal
        view
        returns (int256 exitCode, bytes memory answer)
    {
        function(uint64, uint64, bytes memory) internal returns (int256, bytes memory) asked = _call;
        function(uint64, uint64, bytes memory) internal view returns (int256, bytes memory) askedView;
        // The compiler cannot know that a delegate call of this precompile with the read-only flag runs no code in
        // our storage and changes no state.
        assembly ("memory-safe") {
            askedView := asked
        }
        return askedView(actor, method, params);
    }

    /// @notice The actor behind the masked address; false for every address with code or key of its own.
    function unmask(address account) internal pure returns (bool masked, uint64 actor) {
        uint256 bits = uint160(account);
        // The cast keeps the 8 bytes of the id.
        // forge-lint: disable-next-line(unsafe-typecast)
        return (bits >> 64 == MASK_PREFIX, uint64(bits));
    }

    /// @notice The actor id of an Ethereum account; 0 where the network cannot tell.
    function idOf(address account) internal view returns (uint64 actor) {
        (bool success, bytes memory output) = RESOLVE_ADDRESS.staticcall(abi.encodePacked(F410, account));
        if (!success || output.length != 32) return 0;
        uint256 id = abi.decode(output, (uint256));
        // forge-lint: disable-next-line(unsafe-typecast)
        return id <= type(uint64).max ? uint64(id) : 0;
    }

    function _call(uint64 actor, uint64 method, bytes memory params)
        private
        returns (int256 exitCode, bytes memory answer)
    {
        // The precompile takes a plain tuple, no selector.
        bytes memory input = abi.encode(method, uint256(0), READ_ONLY, CODEC_CBOR, params, actor);
        (bool success, bytes memory output) = CALL_ACTOR_ID.delegatecall(input);
        // On a chain without the precompile the call succeeds with nothing.
        if (!success || output.length == 0) return (CALL_FAILED, "");
        // (int256 exitCode, uint64 codec, bytes answer): three head words and the length of the answer.
        if (output.length < 128) revert MalformedAnswer(actor, method);
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
        if (exitCode != OK) return (exitCode, "");
        if (codec != CODEC_CBOR || offset != 96 || length > output.length - 128) {
            revert MalformedAnswer(actor, method);
        }
    }
}
