// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Actors} from "./Actors.sol";
import {Cbor} from "./Cbor.sol";

/// @notice What a miner actor says of a sector. Live and faulty is still live: the data may come back.
enum SectorStatus {
    /// Terminated, expired, or never there.
    Dead,
    /// Live and not faulty; it may not have been proven yet.
    Active,
    /// Live, and not proven when it should have been.
    Faulty
}

/// @title Read-only questions about sectors to miner actors (FIP-0112) and about miners to the power actor
/// @notice Networks before version 28 do not know the methods; that, and every other failure, reverts with
/// {Actors.ActorUnavailable} and is never read as "dead".
library Miner {
    using Cbor for Cbor.Reader;

    /// FRC-0042 method numbers.
    uint64 internal constant GENERATE_SECTOR_LOCATION = 1321604665;
    uint64 internal constant VALIDATE_SECTOR_STATUS = 3092458564;
    uint64 internal constant GET_NOMINAL_SECTOR_EXPIRATION = 3010055991;
    uint64 internal constant MINER_RAW_POWER = 3753401894;
    uint64 internal constant POWER_ACTOR = 4;

    /// @notice A partition of a miner. A claimed place is only a hint that saves the miner a search.
    struct Place {
        bool known;
        uint64 deadline;
        uint64 partition;
    }

    /// @notice Whether the power actor knows `actor` as a miner.
    function isMiner(uint64 actor) internal view returns (bool) {
        // Whatever goes wrong: who is not known to be a miner is none.
        (int256 exitCode,) = Actors.ask(POWER_ACTOR, MINER_RAW_POWER, Cbor.encodeUint64(actor));
        return exitCode == Actors.OK;
    }

    /// @notice The state of a sector. With the right place this is cheap; else the miner searches all its
    /// partitions, which is meant for calls that cost nothing.
    function status(uint64 miner, uint64 sector, Place memory place) internal view returns (SectorStatus) {
        if (place.known) {
            (bool found, bool active) = _validate(miner, sector, SectorStatus.Active, place);
            if (found && active) return SectorStatus.Active;
            if (found) {
                bool faulty;
                (found, faulty) = _validate(miner, sector, SectorStatus.Faulty, place);
                if (found) return faulty ? SectorStatus.Faulty : SectorStatus.Dead;
            }
        }
        return _search(miner, sector);
    }

    /// @notice Whether the sector is live at this place.
    function isAt(uint64 miner, uint64 sector, Place memory place) internal view returns (bool) {
        (bool found, bool yes) = _validate(miner, sector, SectorStatus.Active, place);
        if (found && !yes) (found, yes) = _validate(miner, sector, SectorStatus.Faulty, place);
        return found && yes;
    }

    /// @notice The epoch at which the sector ends unless it is extended or terminated; 0 if the miner has no
    /// such sector.
    function expiration(uint64 miner, uint64 sector) internal view returns (uint64) {
        uint64 method = GET_NOMINAL_SECTOR_EXPIRATION;
        (int256 exitCode, bytes memory answer) = Actors.ask(miner, method, Cbor.encodeUint64(sector));
        if (exitCode == Actors.NOT_FOUND) return 0;
        if (exitCode != Actors.OK) revert Actors.ActorUnavailable(miner, exitCode);
        Cbor.Reader memory r = Cbor.reader(answer);
        uint64 epoch = r.readUint64();
        r.expectEnd();
        return epoch;
    }

    /// `found` is false if the sector is not at this place.
    function _validate(uint64 miner, uint64 sector, SectorStatus claimed, Place memory place)
        private
        view
        returns (bool found, bool yes)
    {
        bytes memory aux = abi.encodePacked(
            hex"82", Cbor.encodeUint64(place.deadline), Cbor.encodeUint64(place.partition)
        );
        bytes memory params = abi.encodePacked(
            hex"83", Cbor.encodeUint64(sector), Cbor.encodeUint64(uint8(claimed)), Cbor.encodeBytes(aux)
        );
        (int256 exitCode, bytes memory answer) = Actors.ask(miner, VALIDATE_SECTOR_STATUS, params);
        if (exitCode == Actors.NOT_FOUND) return (false, false);
        if (exitCode != Actors.OK) revert Actors.ActorUnavailable(miner, exitCode);
        Cbor.Reader memory r = Cbor.reader(answer);
        yes = r.readBool();
        r.expectEnd();
        return (true, yes);
    }

    function _search(uint64 miner, uint64 sector) private view returns (SectorStatus) {
        uint64 method = GENERATE_SECTOR_LOCATION;
        bytes memory params = abi.encodePacked(hex"81", Cbor.encodeUint64(sector));
        (int256 exitCode, bytes memory answer) = Actors.ask(miner, method, params);
        if (exitCode != Actors.OK) revert Actors.ActorUnavailable(miner, exitCode);
        Cbor.Reader memory r = Cbor.reader(answer);
        r.expectArray(2);
        uint64 found = r.readUint64();
        // The place, which is not needed here.
        r.readBytes();
        r.expectEnd();
        if (found > uint8(type(SectorStatus).max)) revert Actors.MalformedAnswer(miner, method);
        // Bounded above.
        // forge-lint: disable-next-line(unsafe-typecast)
        return SectorStatus(uint8(found));
    }
}
