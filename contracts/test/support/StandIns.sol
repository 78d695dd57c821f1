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
        address masked = address((uint160(0xff) << 152) | actor);
        // Minus the syscall number of "not found".
        if (masked.code.length == 0) return abi.encode(int256(-6), uint64(0), bytes(""));
        return IActorStandIn(masked).answer(method, params);
    }
}

interface IActorStandIn {
    /// The output of the call_actor precompile.
    function answer(uint64 method, bytes memory params) external view returns (bytes memory);
}

/// The resolve_address precompile, to be etched at 0xfe..01: contracts have id 100,000 plus their last byte.
contract ResolveStandIn {
    fallback(bytes calldata input) external returns (bytes memory) {
        if (input.length != 22 || bytes2(input[:2]) != 0x040a) return "";
        return abi.encode(uint256(100_000) + uint8(input[21]));
    }
}

/// The power actor f04: it knows the miners it was told of.
contract PowerStandIn is IActorStandIn {
    mapping(bytes32 params => bool) private _miners;

    function add(uint64 miner) external {
        _miners[keccak256(Bytes.uint_(miner))] = true;
    }

    function answer(uint64 method, bytes memory params) external view returns (bytes memory) {
        if (method != 3753401894) return abi.encode(int256(22), uint64(0), bytes(""));
        if (!_miners[keccak256(params)]) return abi.encode(int256(16), uint64(0), bytes(""));
        return abi.encode(int256(0), uint64(0x51), bytes(hex"8242000af5"));
    }
}

/// A miner actor with sectors (FIP-0112), which can notify (FIP-0109).
contract MinerStandIn is IActorStandIn {
    struct Sector {
        uint8 status;
        uint64 deadline;
        uint64 partition;
        uint64 expiration;
    }

    mapping(uint64 number => Sector) private _sectors;
    /// An exit code for all methods.
    int256 public exit;
    /// A CBOR answer for all methods.
    bytes public override_;
    /// How often the costly search was asked cannot be counted in a view, so it can be forbidden.
    bool public searchForbidden;

    function put(uint64 number, uint8 status, uint64 deadline, uint64 partition, uint64 expiration) external {
        _sectors[number] = Sector(status, deadline, partition, expiration);
    }

    function setExit(int256 code) external {
        exit = code;
    }

    function setAnswer(bytes calldata cbor) external {
        override_ = cbor;
    }

    function forbidSearch() external {
        searchForbidden = true;
    }

    /// Calls a contract as the FEVM does for a native message from this actor.
    function notify(address to, uint64 method, uint64 codec, bytes calldata params)
        external
        returns (bool success, bytes memory output)
    {
        return to.call(
            abi.encodeWithSignature("handle_filecoin_method(uint64,uint64,bytes)", method, codec, params)
        );
    }

    function answer(uint64 method, bytes memory params) external view returns (bytes memory) {
        if (exit != 0) return abi.encode(exit, uint64(0), bytes(""));
        if (override_.length != 0) return abi.encode(int256(0), uint64(0x51), override_);
        if (method == 3010055991) {
            (uint64 number,) = Bytes.readUint(params, 0);
            Sector memory s = _sectors[number];
            if (s.expiration == 0) return abi.encode(int256(17), uint64(0), bytes(""));
            return abi.encode(int256(0), uint64(0x51), Bytes.uint_(s.expiration));
        }
        if (method == 1321604665) return _search(params);
        if (method == 3092458564) return _validate(params);
        return abi.encode(int256(22), uint64(0), bytes(""));
    }

    function _search(bytes memory params) private view returns (bytes memory) {
        if (searchForbidden) return abi.encode(int256(7), uint64(0), bytes(""));
        require(params[0] == 0x81, "one field");
        (uint64 number,) = Bytes.readUint(params, 1);
        Sector memory s = _sectors[number];
        bytes memory place = s.expiration == 0
            ? bytes(hex"822020")
            : abi.encodePacked(hex"82", Bytes.uint_(s.deadline), Bytes.uint_(s.partition));
        return abi.encode(
            int256(0),
            uint64(0x51),
            abi.encodePacked(hex"82", Bytes.uint_(s.status), bytes1(uint8(0x40 + uint8(place.length))), place)
        );
    }

    /// [sector, claimed status, byte string of [deadline, partition]]
    function _validate(bytes memory params) private view returns (bytes memory) {
        require(params[0] == 0x83, "three fields");
        (uint64 number, uint256 offset) = Bytes.readUint(params, 1);
        uint64 claimed;
        (claimed, offset) = Bytes.readUint(params, offset);
        // Places in tests are short: one byte of head, then an array of two.
        require(
            uint8(params[offset]) == 0x40 + params.length - offset - 1 && params[offset + 1] == 0x82, "place"
        );
        uint64 deadline;
        uint64 partition;
        (deadline, offset) = Bytes.readUint(params, offset + 2);
        (partition, offset) = Bytes.readUint(params, offset);
        Sector memory s = _sectors[number];
        if (s.expiration == 0 || s.deadline != deadline || s.partition != partition) {
            return abi.encode(int256(17), uint64(0), bytes(""));
        }
        return abi.encode(int256(0), uint64(0x51), s.status == claimed ? bytes(hex"f5") : bytes(hex"f4"));
    }
}

/// CBOR for the stand-ins; shares no code with what is tested.
library Bytes {
    function uint_(uint64 v) internal pure returns (bytes memory) {
        return head(0, v);
    }

    function int_(int64 v) internal pure returns (bytes memory) {
        return v >= 0 ? head(0, uint64(v)) : head(1, uint64(-1 - v));
    }

    function link_(bytes32 commitment) internal pure returns (bytes memory) {
        return abi.encodePacked(hex"d82a5828000181e203922020", commitment);
    }

    function head(uint8 major, uint64 v) internal pure returns (bytes memory) {
        uint8 m = major << 5;
        if (v < 24) return abi.encodePacked(uint8(m | uint8(v)));
        if (v < 0x100) return abi.encodePacked(uint8(m | 24), uint8(v));
        if (v < 0x10000) return abi.encodePacked(uint8(m | 25), uint16(v));
        if (v < 0x100000000) return abi.encodePacked(uint8(m | 26), uint32(v));
        return abi.encodePacked(uint8(m | 27), v);
    }

    function readUint(bytes memory data, uint256 offset) internal pure returns (uint64 v, uint256 next) {
        uint8 first = uint8(data[offset]);
        if (first < 24) return (first, offset + 1);
        require(first < 28, "an unsigned integer");
        uint256 width = uint256(1) << (first - 24);
        for (uint256 i = 1; i <= width; ++i) {
            v = (v << 8) | uint8(data[offset + i]);
        }
        require(keccak256(uint_(v)) == keccak256(slice(data, offset, width + 1)), "the shortest form");
        return (v, offset + 1 + width);
    }

    function slice(bytes memory data, uint256 offset, uint256 length)
        internal
        pure
        returns (bytes memory out)
    {
        out = new bytes(length);
        for (uint256 i = 0; i < length; ++i) {
            out[i] = data[offset + i];
        }
    }
}

/// The market actor f05 as a state machine with setters: undefined epochs are -1, the second field of a term is
/// a duration, an absent deal exits 32 below the next id and 17 from there on.
contract MarketStandIn is IActorStandIn {
    struct Deal {
        bool present;
        bytes32 piece;
        uint64 size;
        uint64 provider;
        int64 start;
        int64 duration;
        int64 activated;
        int64 terminated;
        uint64 sector;
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
        _deals[id] = Deal(true, piece, size, provider, start, duration, -1, -1, 0);
    }

    function skipTo(uint64 id) external {
        nextId = id;
    }

    function activate(uint64 id, int64 epoch) external {
        _deals[id].activated = epoch;
    }

    function putInto(uint64 id, uint64 sector) external {
        _deals[id].sector = sector;
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
        if (method == 2567238399) {
            cbor = abi.encodePacked(hex"82", Bytes.int_(d.activated), Bytes.int_(d.terminated));
        } else if (method == 163777312) {
            cbor = abi.encodePacked(hex"82", Bytes.int_(d.start), Bytes.int_(d.duration));
        } else if (method == 935081690) {
            cbor = Bytes.uint_(d.provider);
        } else if (method == 1157985802) {
            cbor = abi.encodePacked(hex"82", Bytes.link_(d.piece), Bytes.uint_(d.size));
        } else if (method == 2611213344 && d.activated < 0) {
            return abi.encode(int256(33), uint64(0), bytes(""));
        } else if (method == 2611213344) {
            cbor = Bytes.uint_(d.sector);
        } else {
            return abi.encode(int256(22), uint64(0), bytes(""));
        }
        return abi.encode(int256(0), uint64(0x51), cbor);
    }

    /// Only the shortest encoding is accepted, as by the actor's own decoder of canonical input.
    function _parseId(bytes memory params) private pure returns (bool, uint64) {
        uint64 v = 0;
        if (params.length == 0) return (false, 0);
        if (params.length == 1) v = uint8(params[0]);
        for (uint256 i = 1; i < params.length; ++i) {
            v = (v << 8) | uint8(params[i]);
        }
        return (keccak256(Bytes.uint_(v)) == keccak256(params), v);
    }
}

library StandIns {
    address internal constant RESOLVE = 0xFE00000000000000000000000000000000000001;
    address internal constant CALL_ACTOR_ID = 0xfe00000000000000000000000000000000000005;
    address internal constant POWER = 0xFf00000000000000000000000000000000000004;
    address internal constant MARKET = 0xff00000000000000000000000000000000000005;

    /// Puts precompiles and actors where the chain has them.
    function install(Vm vm) internal returns (MarketStandIn) {
        vm.etch(RESOLVE, type(ResolveStandIn).runtimeCode);
        vm.etch(CALL_ACTOR_ID, type(CallActorStandIn).runtimeCode);
        vm.etch(POWER, type(PowerStandIn).runtimeCode);
        vm.etch(MARKET, type(MarketStandIn).runtimeCode);
        return MarketStandIn(MARKET);
    }

    /// A miner actor that the power actor knows.
    function miner(Vm vm, uint64 actor) internal returns (MinerStandIn) {
        address masked = address((uint160(0xff) << 152) | actor);
        vm.etch(masked, type(MinerStandIn).runtimeCode);
        PowerStandIn(POWER).add(actor);
        return MinerStandIn(masked);
    }
}
