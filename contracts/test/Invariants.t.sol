// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDealStatus, InclusionProof} from "../src/IDealStatus.sol";
import {DealStatus} from "../src/DealStatus.sol";
import {MarketStandIn} from "./support/MarketStandIn.sol";
import {Fixture} from "./support/Fixture.sol";

/// Random life on two CIDs: requests, deals in every state, completions, pruning, time. Keeps its own books and
/// checks at each completion and removal that the contract decides as the books do.
contract World is Fixture {
    uint256 private constant MAX_DEALS = 150;

    uint64[] public deals;
    bytes[2] private _cids = [bytes("one"), bytes("two")];
    mapping(bytes32 cid => mapping(uint64 dealId => bool)) private _listed;
    mapping(bytes32 cid => uint256) public listed;

    constructor() {
        setUp();
        submit(0);
        submit(1);
    }

    function contractUnderTest() external view returns (DealStatus, MarketStandIn) {
        return (status, market);
    }

    function cidAt(uint256 i) external view returns (bytes memory) {
        return _cids[i];
    }

    function isListed(bytes memory cid, uint64 dealId) external view returns (bool) {
        return _listed[keccak256(cid)][dealId];
    }

    function submit(uint256 which) public {
        status.submitRaaS(_cids[which % 2], 1 + which % 32, which % 1000, 0);
    }

    function publish(uint256 term, bool activated) external {
        if (deals.length == MAX_DEALS) return;
        uint64 end = uint64(block.number + bound(term, 1, 3000));
        deals.push(activated ? activeDeal(end) : publishedDeal(end));
    }

    function change(uint256 pick, uint256 how) external {
        uint64 dealId = picked(pick);
        if (dealId == 0) return;
        if (how % 3 == 0) market.remove(dealId);
        else if (how % 3 == 1) market.markTerminated(dealId, int64(int256(block.number)));
        else if (market.deal(dealId).present) market.activate(dealId, int64(int256(block.number)));
    }

    function pass(uint256 epochs) external {
        vm.roll(block.number + bound(epochs, 1, 500));
    }

    function complete(uint256 pick, uint256 request) external {
        uint64 dealId = picked(pick);
        if (dealId == 0) return;
        uint256 id = bound(request, 1, status.requestCount());
        bytes32 key = keccak256(status.getRequest(id).cid);
        bool repeat = status.isCompleted(id, dealId);
        bool wanted = repeat || isActive(dealId) && (_listed[key][dealId] || listed[key] < 64);
        InclusionProof memory none;
        try status.complete(id, dealId, MINER, none, verifier(PIECE, SIZE)) {
            check(wanted, "completed against the books");
            if (!repeat && !_listed[key][dealId]) {
                _listed[key][dealId] = true;
                ++listed[key];
            }
        } catch {
            check(!wanted, "refused against the books");
        }
    }

    function prune(uint256 pick, uint256 which) external {
        uint64 dealId = picked(pick);
        if (dealId == 0) return;
        bytes memory cid = _cids[which % 2];
        bytes32 key = keccak256(cid);
        MarketStandIn.Deal memory d = market.deal(dealId);
        bool over = !d.present || d.terminated >= 0 || int256(block.number) >= d.start + d.duration;
        bool wanted = _listed[key][dealId] && over;
        try status.pruneDeals(cid, list(dealId)) {
            check(wanted, "pruned against the books");
            _listed[key][dealId] = false;
            --listed[key];
        } catch {
            check(!wanted, "kept against the books");
        }
    }

    function isActive(uint64 dealId) public view returns (bool) {
        MarketStandIn.Deal memory d = market.deal(dealId);
        return
            d.present && d.activated >= 0 && d.terminated < 0 && int256(block.number) < d.start + d.duration;
    }

    function picked(uint256 pick) private view returns (uint64) {
        return deals.length == 0 ? 0 : deals[pick % deals.length];
    }
}

struct FuzzSelector {
    address addr;
    bytes4[] selectors;
}

contract InvariantsTest is Fixture {
    World private world;

    function setUp() public override {
        world = new World();
        (status, market) = world.contractUnderTest();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(world);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        // Publishing and completing twice: they are what fills the lists.
        bytes4[] memory selectors = new bytes4[](8);
        (selectors[0], selectors[1], selectors[2]) =
        (World.publish.selector, World.publish.selector, World.complete.selector);
        (selectors[3], selectors[4], selectors[5]) =
        (World.complete.selector, World.change.selector, World.prune.selector);
        (selectors[6], selectors[7]) = (World.pass.selector, World.submit.selector);
        targets[0] = FuzzSelector(address(world), selectors);
    }

    function invariant_lists_are_what_the_books_say() public view {
        for (uint256 c = 0; c < 2; ++c) {
            bytes memory cid = world.cidAt(c);
            IDealStatus.Deal[] memory all = status.getAllDeals(cid);
            eq(all.length, world.listed(keccak256(cid)), "number of listed deals");
            check(all.length <= 64, "cap");
            uint256 active = 0;
            for (uint256 i = 0; i < all.length; ++i) {
                check(all[i].dealId != 0 && all[i].minerId == MINER, "hole");
                check(world.isListed(cid, all[i].dealId), "not in the books");
                for (uint256 j = 0; j < i; ++j) {
                    check(all[i].dealId != all[j].dealId, "duplicate");
                }
                if (world.isActive(all[i].dealId)) ++active;
            }
            IDealStatus.Deal[] memory got = status.getActiveDeals(cid);
            eq(got.length, active, "number of active deals");
            IDealStatus.Deal[] memory expiring = status.getExpiringDeals(cid, 100);
            uint256 next = 0;
            for (uint256 i = 0; i < got.length; ++i) {
                check(world.isActive(got[i].dealId) && world.isListed(cid, got[i].dealId), "active");
                MarketStandIn.Deal memory d = market.deal(got[i].dealId);
                if (uint64(d.start + d.duration) - block.number > 100) continue;
                check(next < expiring.length && expiring[next].dealId == got[i].dealId, "expiring");
                ++next;
            }
            eq(next, expiring.length, "number of expiring deals");
        }
        eq(status.cidCount(), 2, "distinct CIDs");
    }
}
