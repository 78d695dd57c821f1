// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {
    IDealStatus,
    InclusionAuxData,
    InclusionProof,
    InclusionVerifierData
} from "../../src/IDealStatus.sol";
import {DealStatus, Settings} from "../../src/DealStatus.sol";
import {MarketStandIn, StandIns} from "./StandIns.sol";
import {Test} from "./Vm.sol";

/// A contract on a chain at height 5,000,000 with a market, and shorthands for the common steps. The test
/// contract is deployer, admin and aggregator.
abstract contract Fixture is Test {
    uint64 internal constant NOW = 5_000_000;
    uint64 internal constant MINER = 1001;
    uint64 internal constant SIZE = 2048;
    bytes32 internal constant PIECE = bytes32(uint256(0x1234) << 8);
    bytes internal constant CID =
        hex"01551220e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    MarketStandIn internal market;
    DealStatus internal status;

    function setUp() public virtual {
        market = StandIns.install(vm);
        vm.roll(NOW);
        status = new DealStatus(settings());
    }

    /// Nothing restricted, no deposit.
    function settings() internal view returns (Settings memory) {
        return Settings({
            admin: address(this),
            adminDelay: 3 days,
            aggregator: address(this),
            pauser: address(this),
            submitter: address(0),
            restricted: false,
            requestDeposit: 0,
            maxOpenRequests: 1000
        });
    }

    /// An active deal of the fixture's piece that ends at `end`.
    function activeDeal(uint64 end) internal returns (uint64 id) {
        id = publishedDeal(end);
        market.activate(id, int64(NOW) - 9_000);
    }

    function publishedDeal(uint64 end) internal returns (uint64) {
        int64 start = int64(NOW) - 10_000;
        return market.publish(PIECE, SIZE, MINER, start, int64(end) - start);
    }

    function pieceCid(bytes32 commitment) internal pure returns (bytes memory) {
        return abi.encodePacked(hex"0181e203922020", commitment);
    }

    function verifier(bytes32 commitment, uint64 size) internal pure returns (InclusionVerifierData memory) {
        return InclusionVerifierData(pieceCid(commitment), size);
    }

    function completeDirect(uint256 id, uint64 dealId) internal returns (InclusionAuxData memory) {
        InclusionProof memory none;
        return status.complete(id, dealId, MINER, none, verifier(PIECE, SIZE));
    }

    /// A completion that must fail with exactly this error.
    function refuseDirect(uint256 id, uint64 dealId, bytes memory expected) internal {
        InclusionProof memory none;
        vm.expectRevert(expected);
        status.complete(id, dealId, MINER, none, verifier(PIECE, SIZE));
    }

    function ids(IDealStatus.Deal[] memory deals) internal pure returns (uint64[] memory out) {
        out = new uint64[](deals.length);
        for (uint256 i = 0; i < deals.length; ++i) {
            out[i] = deals[i].dealId;
        }
    }

    function eqIds(IDealStatus.Deal[] memory got, uint64[] memory wanted, string memory what) internal pure {
        eq(abi.encode(ids(got)), abi.encode(wanted), what);
    }

    function list() internal pure returns (uint64[] memory) {
        return new uint64[](0);
    }

    function list(uint64 a) internal pure returns (uint64[] memory out) {
        out = new uint64[](1);
        out[0] = a;
    }

    function list(uint64 a, uint64 b) internal pure returns (uint64[] memory out) {
        out = new uint64[](2);
        (out[0], out[1]) = (a, b);
    }

    function list(uint64 a, uint64 b, uint64 c) internal pure returns (uint64[] memory out) {
        out = new uint64[](3);
        (out[0], out[1], out[2]) = (a, b, c);
    }
}
