// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "./Vm.sol";

/// The call_actor_id precompile (FIP-0054), to be etched at 0xfe..05. Stateless: it runs in its caller's
/// context and forwards to the masked id address of the actor.
contract CallActorStandIn {
    error PrecompileFailed();

    fallback(bytes calldata input) external payable returns (bytes memory) {
        // Reached by CALL or STATICCALL: only a delegate call runs under another address.
        if (address(this) == 0xfe00000000000000000000000000000000000005) revert PrecompileFailed();
        (uint64 method, uint256 value, uint64 flags, uint64 codec, bytes memory params, uint64 actor) =
            abi.decode(input, (uint64, uint256, uint64, uint64, bytes, uint64));
        if (flags != 1 || value != 0) revert PrecompileFailed();
        if (method < 1024) revert PrecompileFailed();
        if (codec != 0x51 && !(codec == 0 && params.length == 0)) revert PrecompileFailed();
        // Minus the syscall number of "not found".
        if (actor != 5) return abi.encode(int256(-6), uint64(0), bytes(""));
        return MarketStandIn(address((uint160(0xff) << 152) | actor)).answer(method, params);
    }
}

/// The market actor f05 as a state machine with setters: undefined epochs are -1, the second field of a term is
/// a duration, an absent deal exits 32 below the next id and 17 from there on.
contract MarketStandIn {
    struct Deal {
        bool present;
        bytes32 piece;
        uint64 size;
        uint64 provider;
        int64 start;
        int64 duration;
        int64 activated;
        int64 terminated;
    }

    struct Override {
        bool used;
        bytes output;
    }

    error Down();

    uint64 public nextId;
    bool public down;
    mapping(uint64 id => Deal) private _deals;
    /// Full output of the precompile for a method, instead of a true answer.
    mapping(uint64 method => Override) private _overrides;

    function publish(bytes32 piece, uint64 size, uint64 provider, int64 start, int64 duration)
        external
        returns (uint64 id)
    {
        if (nextId == 0) nextId = 1;
        id = nextId++;
        _deals[id] = Deal(true, piece, size, provider, start, duration, -1, -1);
    }

    function skipTo(uint64 id) external {
        nextId = id;
    }

    function activate(uint64 id, int64 epoch) external {
        _deals[id].activated = epoch;
    }

    /// The deal stays in state for a while with its termination epoch.
    function markTerminated(uint64 id, int64 epoch) external {
        _deals[id].terminated = epoch;
    }

    /// Settled after its end, cleaned up after termination, or never activated in time.
    function remove(uint64 id) external {
        delete _deals[id];
    }

    function setDown(bool value) external {
        down = value;
    }

    function overrideOutput(uint64 method, bytes calldata output) external {
        _overrides[method] = Override(true, output);
    }

    function overrideAnswer(uint64 method, bytes calldata cbor) external {
        _overrides[method] = Override(true, abi.encode(int256(0), uint64(0x51), cbor));
    }

    function overrideExit(uint64 method, int256 exitCode) external {
        _overrides[method] = Override(true, abi.encode(exitCode, uint64(0), bytes("")));
    }

    function clearOverride(uint64 method) external {
        delete _overrides[method];
    }

    function deal(uint64 id) external view returns (Deal memory) {
        return _deals[id];
    }

    /// The output of the precompile for a getter with a bare deal id.
    function answer(uint64 method, bytes memory params) external view returns (bytes memory) {
        if (down) revert Down();
        if (_overrides[method].used) return _overrides[method].output;
        (bool ok, uint64 id) = _parseId(params);
        if (!ok) return abi.encode(int256(21), uint64(0), bytes(""));
        Deal memory d = _deals[id];
        if (!d.present) return abi.encode(id < nextId ? int256(32) : int256(17), uint64(0), bytes(""));
        bytes memory cbor;
        if (method == 2567238399) cbor = abi.encodePacked(hex"82", int_(d.activated), int_(d.terminated));
        else if (method == 163777312) cbor = abi.encodePacked(hex"82", int_(d.start), int_(d.duration));
        else if (method == 935081690) cbor = uint_(d.provider);
        else if (method == 1157985802) cbor = abi.encodePacked(hex"82", link_(d.piece), uint_(d.size));
        else return abi.encode(int256(22), uint64(0), bytes(""));
        return abi.encode(int256(0), uint64(0x51), cbor);
    }

    function int_(int64 v) public pure returns (bytes memory) {
        return v >= 0 ? _head(0, uint64(v)) : _head(1, uint64(-1 - v));
    }

    function uint_(uint64 v) public pure returns (bytes memory) {
        return _head(0, v);
    }

    function link_(bytes32 commitment) public pure returns (bytes memory) {
        return abi.encodePacked(hex"d82a5828000181e203922020", commitment);
    }

    function _head(uint8 major, uint64 v) private pure returns (bytes memory) {
        uint8 m = major << 5;
        if (v < 24) return abi.encodePacked(uint8(m | uint8(v)));
        if (v < 0x100) return abi.encodePacked(uint8(m | 24), uint8(v));
        if (v < 0x10000) return abi.encodePacked(uint8(m | 25), uint16(v));
        if (v < 0x100000000) return abi.encodePacked(uint8(m | 26), uint32(v));
        return abi.encodePacked(uint8(m | 27), v);
    }

    /// Only the shortest encoding is accepted, as by the actor's own decoder of canonical input.
    function _parseId(bytes memory params) private pure returns (bool, uint64) {
        uint64 v = 0;
        if (params.length == 0) return (false, 0);
        if (params.length == 1) v = uint8(params[0]);
        for (uint256 i = 1; i < params.length; ++i) {
            v = (v << 8) | uint8(params[i]);
        }
        return (keccak256(_head(0, v)) == keccak256(params), v);
    }
}

library StandIns {
    address internal constant CALL_ACTOR_ID = 0xfe00000000000000000000000000000000000005;
    address internal constant MARKET = 0xff00000000000000000000000000000000000005;

    /// Puts both contracts where the chain has them.
    function install(Vm vm) internal returns (MarketStandIn) {
        vm.etch(CALL_ACTOR_ID, type(CallActorStandIn).runtimeCode);
        vm.etch(MARKET, type(MarketStandIn).runtimeCode);
        return MarketStandIn(MARKET);
    }
}
