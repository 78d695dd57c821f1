// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Fixture} from "./support/Fixture.sol";

/// Both queries against closed formulas over start, duration, height and window.
contract ExpiringTest is Fixture {
    function testFuzz_expiring_is_end_minus_height_within_the_window(
        uint256 start,
        uint256 duration,
        uint256 height,
        uint64 window
    ) public {
        start = bound(start, 0, 10_000_000);
        duration = bound(duration, 1, 4_000_000);
        uint256 end = start + duration;
        if (end <= NOW) end = NOW + 1 + duration % 1000;
        height = bound(height, NOW, end + 1000);
        expiring(start, end, height, window);
        // At the edges of window and term.
        expiring(start, end, height, height < end ? uint64(end - height) : 0);
        expiring(start, end, height, height < end ? uint64(end - height - 1) : 0);
        expiring(start, end, end - 1, window);
        expiring(start, end, end, window);
    }

    function expiring(uint256 start, uint256 end, uint256 height, uint64 window) private {
        vm.roll(NOW);
        bytes memory cid = abi.encode(status.requestCount());
        uint64 dealId =
            market.publish(PIECE, SIZE, MINER, int64(int256(start)), int64(int256(end) - int256(start)));
        market.activate(dealId, 0);
        completeDirect(status.submit(cid), dealId);
        vm.roll(height);
        bool active = height < end;
        eqIds(status.getActiveDeals(cid), active ? list(dealId) : list(), "active");
        bool wanted = active && end - height <= window;
        eqIds(status.getExpiringDeals(cid, window), wanted ? list(dealId) : list(), "expiring");
    }

    /// Any mix of deal states in any order: the answers are the sub-lists, in the order of the records.
    function testFuzz_answers_are_ordered_sublists(uint256 states, uint8 count) public {
        uint256 id = status.submit(CID);
        uint256 n = bound(count, 0, 20);
        uint64[] memory active = new uint64[](n);
        uint64[] memory soon = new uint64[](n);
        (uint256 actives, uint256 soons) = (0, 0);
        for (uint256 i = 0; i < n; ++i) {
            uint256 state = (states >> (4 * i)) & 15;
            bool near = state & 8 != 0;
            uint64 dealId = activeDeal(near ? NOW + 50 : NOW + 5000);
            completeDirect(id, dealId);
            if (state & 7 == 1) market.remove(dealId);
            else if (state & 7 == 2) market.markTerminated(dealId, 1);
            else if (state & 7 == 3) market.activate(dealId, -1);
            else active[actives++] = dealId;
            if (near && actives > 0 && active[actives - 1] == dealId) soon[soons++] = dealId;
        }
        assembly ("memory-safe") {
            mstore(active, actives)
            mstore(soon, soons)
        }
        eqIds(status.getActiveDeals(CID), active, "active");
        eqIds(status.getExpiringDeals(CID, 50), soon, "expiring");
        eq(status.getAllDeals(CID).length, n, "all");
    }
}
