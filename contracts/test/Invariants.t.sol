// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {DealStatus, Settings} from "../src/DealStatus.sol";
import {IDealRegistry, Policy} from "../src/IDealRegistry.sol";
import {IDealStatus, InclusionProof} from "../src/IDealStatus.sol";
import {IFrc0087, IFrc0087OnChain, MarketDeal} from "../src/IFrc0087.sol";
import {Bytes, MarketStandIn, MinerStandIn, StandIns} from "./support/StandIns.sol";
import {Fixture} from "./support/Fixture.sol";
import {Log} from "./support/Vm.sol";

/// Random life on two CIDs: requests of two owners with deposits and ends, deals of several providers in every state,
/// sectors, completions by those who may and those who may not, true ones and false ones, full lists, pruning, pauses,
/// time. Keeps its own books and checks at each step that the contract decides as the books do.
contract World is Fixture {
    uint256 private constant MAX_DEALS = 150;
    uint256 public constant DEPOSIT = 7;
    address private constant STRANGER = address(0xbad);
    uint64 private constant FIRST_SECTOR = 1 << 63;

    struct Sector {
        uint64 number;
        uint8 status;
        uint64 expiration;
    }

    uint64[] public deals;
    mapping(uint64 dealId => uint64) private _providers;
    Sector[] public sectors;
    MinerStandIn private _miner;
    bytes[2] private _cids = [bytes("one"), bytes("two")];
    address[2] public owners = [address(0x11), address(0x22)];
    mapping(bytes32 cid => mapping(uint64 dealId => bool)) private _listed;
    mapping(bytes32 cid => uint256) public listed;
    mapping(uint256 id => mapping(uint64 dealId => bool)) private _completed;
    /// A first completion binds the piece; `onchain_complete` cannot come before.
    mapping(uint256 id => bool) private _bound;
    mapping(uint256 id => uint256) private _endsAt;
    /// What the books say of requests, beside what the contract says.
    uint32[] private _targets = [0];
    bool[] private _open = [false];
    uint256[] private _cidOf = [uint256(0)];
    uint256 public closed;
    bool public paused;

    constructor() {
        setUp();
        Settings memory s = settings();
        s.requestDeposit = DEPOSIT;
        status = new DealStatus(s);
        _miner = StandIns.miner(vm, MINER);
        for (uint256 i = 0; i < 2; ++i) {
            vm.deal(owners[i], 1 ether);
        }
        submit(0, 0);
        submit(1, 1);
    }

    function contractUnderTest() external view returns (DealStatus, MarketStandIn) {
        return (status, market);
    }

    function dealCount() external view returns (uint256) {
        return deals.length;
    }

    function cidAt(uint256 i) external view returns (bytes memory) {
        return _cids[i];
    }

    function isListed(bytes memory cid, uint64 dealId) external view returns (bool) {
        return _listed[keccak256(cid)][dealId];
    }

    function isCompleted(uint256 id, uint64 dealId) external view returns (bool) {
        return _completed[id][dealId];
    }

    /// The greatest target of the open requests of a CID, and their number.
    function policy(uint256 which) external view returns (uint32 target, uint256 open) {
        for (uint256 id = 1; id < _open.length; ++id) {
            if (!_open[id] || _cidOf[id] != which) continue;
            ++open;
            if (_targets[id] > target) target = _targets[id];
        }
    }

    function submit(uint256 which, uint256 who) public {
        uint32 target = uint32(1 + which % 32);
        which %= 2;
        vm.prank(owners[who % 2]);
        try status.submitRaaS{value: DEPOSIT + who % 3}(_cids[which], "", target, which % 1000, 0) {
            check(!paused, "submitted while paused");
            _targets.push(target);
            _open.push(true);
            _cidOf.push(which);
        } catch {
            check(paused, "refused though not paused");
        }
    }

    function update(uint256 pick, uint256 target, uint256 who, uint256 lasts) external {
        uint256 id = bound(pick, 1, status.requestCount());
        uint32 wanted = uint32(1 + target % 32);
        uint64 end = lasts % 2 == 0 ? 0 : uint64(block.number + 1 + lasts % 1000);
        address by = owners[who % 2];
        bool may = !paused && _open[id] && status.getRequest(id).owner == by;
        vm.prank(by);
        try status.updateRequest(id, Policy(wanted, 1, 2, end)) {
            check(may, "updated against the books");
            _targets[id] = wanted;
            _endsAt[id] = end;
        } catch {
            check(!may, "not updated against the books");
        }
    }

    function cancel(uint256 pick, uint256 who) external {
        uint256 id = bound(pick, 1, status.requestCount());
        address by = owners[who % 2];
        bool over = _endsAt[id] != 0 && block.number >= _endsAt[id];
        bool may = _open[id] && (over || status.getRequest(id).owner == by);
        vm.prank(by);
        try status.cancelRequest(id) {
            check(may, "cancelled against the books");
            _open[id] = false;
            ++closed;
        } catch {
            check(!may, "not cancelled against the books");
        }
    }

    function withdraw(uint256 who) external {
        address owner = owners[who % 2];
        uint256 due = status.withdrawable(owner);
        uint256 has = owner.balance;
        vm.prank(owner);
        try status.withdraw(payable(owner)) {
            check(due > 0 && owner.balance == has + due, "withdrawn");
            closed -= due / DEPOSIT;
        } catch {
            check(due == 0, "not withdrawn");
        }
    }

    function pauseOrNot(uint256 how) external {
        if (paused) {
            status.unpause();
            paused = false;
        } else if (how % 4 == 0) {
            status.pause();
            paused = true;
        }
    }

    function publish(uint256 term, bool activated) external {
        if (deals.length == MAX_DEALS) return;
        uint64 provider = MINER + uint64(term % 3);
        int64 start = int64(NOW) - 10_000;
        int64 end = int64(uint64(block.number + bound(term, 1, 3000)));
        uint64 dealId = market.publish(PIECE, SIZE, provider, start, end - start);
        if (activated) market.activate(dealId, start);
        _providers[dealId] = provider;
        deals.push(dealId);
    }

    /// As many deals as the list of a CID takes, and one that it does not; then the market forgets them and they are
    /// pruned in one call, since full lists make every later step slow.
    function fill(uint256 which, uint256 seldom) external {
        which %= 2;
        uint256 id = which + 1;
        bytes32 key = keccak256(_cids[which]);
        if (paused || !_open[id] || seldom % 8 != 0) return;
        uint64[] memory added = new uint64[](64 - listed[key]);
        for (uint256 i = 0; i < added.length; ++i) {
            added[i] = activeDeal(uint64(block.number + 1000));
            _providers[added[i]] = MINER;
            this.callComplete(false, id, 0, added[i], 0);
            book(id, added[i]);
        }
        eq(status.getAllDeals(_cids[which], 0, 100).length, 64, "full");
        uint64 extra = activeDeal(uint64(block.number + 1000));
        _providers[extra] = MINER;
        try this.callComplete(false, id, 0, extra, 0) {
            check(false, "more than the cap");
        } catch (bytes memory why) {
            eq(why, abi.encodeWithSelector(IDealRegistry.DealListFull.selector, key), "more than the cap");
        }
        for (uint256 i = 0; i < added.length; ++i) {
            market.remove(added[i]);
            _listed[key][added[i]] = false;
        }
        status.pruneDeals(_cids[which], added);
        listed[key] -= added.length;
    }

    /// A miner tells of a piece in a new sector.
    function notify(uint256 pick, uint256 term) external {
        if (sectors.length == 40) return;
        uint64 number = uint64(sectors.length);
        uint64 end = uint64(block.number + bound(term, 1, 3000));
        uint256 id = bound(pick, 1, status.requestCount());
        bytes memory payload = Bytes.uint_(uint64(id));
        bytes memory params = abi.encodePacked(
            hex"8183",
            Bytes.uint_(number),
            Bytes.uint_(end),
            hex"8183",
            Bytes.link_(PIECE),
            Bytes.uint_(SIZE),
            bytes1(uint8(0x40 + payload.length)),
            payload
        );
        _miner.put(number, 1, 0, 0, end);
        (bool ok, bytes memory output) = _miner.notify(address(status), 2034386435, 0x51, params);
        check(ok != paused, "notified against the books");
        if (!ok) return;
        (,, bytes memory answer) = abi.decode(output, (uint32, uint64, bytes));
        bool accepted = answer[2] == 0xf5;
        check(accepted == _open[id], "accepted against the books");
        if (accepted) {
            deals.push(FIRST_SECTOR + uint64(sectors.length));
            sectors.push(Sector(number, 1, end));
        }
    }

    function change(uint256 pick, uint256 how) external {
        uint64 dealId = picked(pick);
        if (dealId == 0) return;
        if (dealId >= FIRST_SECTOR) {
            Sector storage s = sectors[dealId - FIRST_SECTOR];
            // Dead stays dead.
            if (s.status == 0) return;
            s.status = uint8(how % 3);
            _miner.put(s.number, s.status, 0, 0, s.expiration);
        } else if (how % 3 == 0) {
            market.remove(dealId);
        } else if (how % 3 == 1) {
            market.markTerminated(dealId, int64(int256(block.number)));
        } else if (market.deal(dealId).present) {
            market.activate(dealId, int64(int256(block.number)));
        }
    }

    function pass(uint256 epochs) external {
        vm.roll(block.number + bound(epochs, 1, 500));
    }

    /// Through one of the three doors; by the aggregator or a stranger; the truth, another provider, or another size.
    function complete(uint256 pick, uint256 request, bool stranger, uint8 door, uint8 lie) external {
        uint64 dealId = picked(pick);
        if (dealId == 0) return;
        door %= 3;
        // Mostly the truth. Who completes on chain tells no size.
        lie = lie % 8 > 2 || (door == 2 && lie % 8 == 2) ? 0 : lie % 8;
        uint256 id = bound(request, 1, status.requestCount());
        bytes32 key = keccak256(_cids[_cidOf[id]]);
        bool repeat = _completed[id][dealId];
        bool wanted = !paused && !stranger && _open[id] && lie == 0
            // The reference's function knows f05 only.
            && (door != 0 || dealId < FIRST_SECTOR) && (door != 2 || _bound[id])
            && (repeat || (isActive(dealId) && notOver(dealId) && (_listed[key][dealId] || listed[key] < 64)));
        vm.recordLogs();
        try this.callComplete(stranger, id, door, dealId, lie) {
            check(wanted, "completed against the books");
            eq(completions(id, dealId), repeat ? 0 : 1, "one event for one completion");
            // The same claim again changes nothing: what was pruned since stays off the list.
            if (!repeat) book(id, dealId);
        } catch {
            check(!wanted, "refused against the books");
        }
    }

    function book(uint256 id, uint64 dealId) private {
        bytes32 key = keccak256(_cids[_cidOf[id]]);
        _completed[id][dealId] = true;
        _bound[id] = true;
        if (_listed[key][dealId]) return;
        _listed[key][dealId] = true;
        ++listed[key];
    }

    function completions(uint256 id, uint64 dealId) private returns (uint256 found) {
        Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != IDealStatus.CompleteAggregatorRequest.selector) continue;
            check(uint256(logs[i].topics[1]) == id && uint256(logs[i].topics[2]) == dealId, "another's event");
            ++found;
        }
    }

    function callComplete(bool stranger, uint256 id, uint8 door, uint64 dealId, uint8 lie) external {
        InclusionProof memory none;
        uint64 actor = dealId >= FIRST_SECTOR ? status.sectorMarket() : 5;
        uint64 provider = providerOf(dealId) + (lie == 1 ? 1 : 0);
        uint64 size = lie == 2 ? 2 * SIZE : SIZE;
        if (stranger) vm.prank(STRANGER);
        if (door == 0) status.complete(id, dealId, provider, none, verifier(PIECE, size));
        else if (door == 1) status.complete(id, actor, dealId, provider, none, verifier(PIECE, size));
        else status.onchain_complete(id, actor, dealId, provider);
    }

    /// Also of deals that the market has forgotten.
    function providerOf(uint64 dealId) public view returns (uint64) {
        return dealId >= FIRST_SECTOR ? MINER : _providers[dealId];
    }

    /// Every way to write. Each must end so while the contract is paused, whoever calls and whatever else is wrong.
    function writes() external view returns (bytes[] memory calls, address[] memory by) {
        InclusionProof memory none;
        address aggregator = address(this);
        calls = new bytes[](10);
        by = new address[](10);
        calls[0] = abi.encodeWithSignature("submit(bytes)", _cids[0]);
        calls[1] = abi.encodeWithSignature("submit(bytes,bytes)", _cids[0], "");
        calls[2] = abi.encodeCall(IDealStatus.submitRaaS, (_cids[0], 1, 0, 0));
        calls[3] = abi.encodeCall(IFrc0087.submitRaaS, (_cids[0], "", 1, 0, 0));
        calls[4] =
            abi.encodeCall(IDealRegistry.submitRaaSWithPiece, (_cids[0], 1, 0, 0, pieceCid(PIECE), SIZE));
        calls[5] = abi.encodeCall(IDealRegistry.updateRequest, (1, Policy(1, 0, 0, 0)));
        calls[6] = abi.encodeCall(IDealStatus.complete, (1, 1, MINER, none, verifier(PIECE, SIZE)));
        calls[7] = abi.encodeCall(IFrc0087.complete, (1, 5, 1, MINER, none, verifier(PIECE, SIZE)));
        calls[8] = abi.encodeCall(IFrc0087OnChain.onchain_complete, (1, 5, 1, MINER));
        calls[9] = abi.encodeCall(IDealRegistry.bindPiece, (1, pieceCid(PIECE), SIZE));
        for (uint256 i = 0; i < 10; ++i) {
            by[i] = i < 6 ? owners[0] : aggregator;
        }
    }

    function prune(uint256 pick, uint256 which) external {
        uint64 dealId = picked(pick);
        if (dealId == 0) return;
        bytes memory cid = _cids[which % 2];
        bytes32 key = keccak256(cid);
        bool wanted = _listed[key][dealId] && isOver(dealId);
        vm.prank(STRANGER);
        try status.pruneDeals(cid, list(dealId)) {
            check(wanted, "pruned against the books");
            _listed[key][dealId] = false;
            --listed[key];
        } catch {
            check(!wanted, "kept against the books");
        }
    }

    function isActive(uint64 dealId) public view returns (bool) {
        if (dealId >= FIRST_SECTOR) return sectors[dealId - FIRST_SECTOR].status != 0;
        MarketStandIn.Deal memory d = market.deal(dealId);
        return
            d.present && d.activated >= 0 && d.terminated < 0 && int256(block.number) < d.start + d.duration;
    }

    /// The first block at which the deal is over.
    function endOf(uint64 dealId) public view returns (uint256) {
        if (dealId >= FIRST_SECTOR) return sectors[dealId - FIRST_SECTOR].expiration;
        MarketStandIn.Deal memory d = market.deal(dealId);
        return uint64(d.start + d.duration);
    }

    function notOver(uint64 dealId) private view returns (bool) {
        return block.number < endOf(dealId);
    }

    function isOver(uint64 dealId) private view returns (bool) {
        if (dealId >= FIRST_SECTOR) return sectors[dealId - FIRST_SECTOR].status == 0;
        MarketStandIn.Deal memory d = market.deal(dealId);
        return !d.present || d.terminated >= 0 || int256(block.number) >= d.start + d.duration;
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
        // Publishing and completing several times: most of it is refused.
        bytes4[15] memory all = [
            World.publish.selector,
            World.publish.selector,
            World.complete.selector,
            World.complete.selector,
            World.complete.selector,
            World.notify.selector,
            World.change.selector,
            World.prune.selector,
            World.pass.selector,
            World.submit.selector,
            World.update.selector,
            World.cancel.selector,
            World.withdraw.selector,
            World.pauseOrNot.selector,
            World.fill.selector
        ];
        bytes4[] memory selectors = new bytes4[](all.length);
        for (uint256 i = 0; i < all.length; ++i) {
            selectors[i] = all[i];
        }
        targets[0] = FuzzSelector(address(world), selectors);
    }

    /// Active is a part of all, in its order; no zero, no duplicate, nothing that was not verified; at most 64.
    function invariant_lists_are_what_the_books_say() public view {
        for (uint256 c = 0; c < 2; ++c) {
            bytes memory cid = world.cidAt(c);
            MarketDeal[] memory all = status.getAllDeals(cid, 0, 100);
            eq(all.length, world.listed(keccak256(cid)), "number of listed deals");
            check(all.length <= 64, "cap");
            MarketDeal[] memory active = new MarketDeal[](all.length);
            uint256 found = 0;
            for (uint256 i = 0; i < all.length; ++i) {
                check(all[i].dealId != 0, "hole");
                check(all[i].providerId == world.providerOf(all[i].dealId), "provider");
                check(all[i].marketActorId == (isSector(all[i]) ? status.sectorMarket() : 5), "market actor");
                check(world.isListed(cid, all[i].dealId), "not in the books");
                for (uint256 j = 0; j < i; ++j) {
                    check(all[i].dealId != all[j].dealId, "duplicate");
                }
                if (world.isActive(all[i].dealId)) active[found++] = all[i];
            }
            assembly ("memory-safe") {
                mstore(active, found)
            }
            activeAre(cid, active);
            expiringOf(cid, status.getActiveDeals(cid));
        }
        eq(status.cidCount(), 2, "distinct CIDs");
    }

    /// Pages, counts and the reference's query tell of these deals and no others.
    function activeAre(bytes memory cid, MarketDeal[] memory active) private view {
        MarketDeal[] memory first = status.getActiveDealsPage(cid, 0, 32);
        MarketDeal[] memory second = status.getActiveDealsPage(cid, 32, 32);
        IDealStatus.Deal[] memory theirs = status.getActiveDeals(cid);
        eq(first.length + second.length, active.length, "pages");
        uint256 f05 = 0;
        uint256 distinct = 0;
        for (uint256 i = 0; i < active.length; ++i) {
            MarketDeal memory got = i < first.length ? first[i] : second[i - first.length];
            eq(abi.encode(got), abi.encode(active[i]), "an active deal");
            uint256 j = 0;
            while (active[j].providerId != active[i].providerId) ++j;
            if (j == i) ++distinct;
            if (isSector(active[i])) continue;
            check(f05 < theirs.length && theirs[f05].dealId == active[i].dealId, "the reference's query");
            check(theirs[f05].minerId == active[i].providerId, "the reference's provider");
            ++f05;
        }
        eq(theirs.length, f05, "number of active f05 deals");
        (uint256 counted, uint256 providers) = status.replicas(cid);
        eq(counted, active.length, "replicas");
        eq(providers, distinct, "providers");
    }

    function isSector(MarketDeal memory deal) private pure returns (bool) {
        return deal.dealId >= 1 << 63;
    }

    function expiringOf(bytes memory cid, IDealStatus.Deal[] memory got) private view {
        IDealStatus.Deal[] memory expiring = status.getExpiringDeals(cid, 100);
        uint256 next = 0;
        for (uint256 i = 0; i < got.length; ++i) {
            check(world.isActive(got[i].dealId) && world.isListed(cid, got[i].dealId), "active");
            if (world.endOf(got[i].dealId) - block.number > 100) continue;
            check(next < expiring.length && expiring[next].dealId == got[i].dealId, "expiring");
            ++next;
        }
        eq(next, expiring.length, "number of expiring deals");
    }

    /// The effective target is the greatest of the open requests.
    function invariant_effective_target_is_the_greatest() public view {
        for (uint256 c = 0; c < 2; ++c) {
            (uint32 target, uint256 open) = status.policyOf(world.cidAt(c));
            (uint32 wanted, uint256 wantedOpen) = world.policy(c);
            check(target == wanted && open == wantedOpen, "policy");
        }
    }

    /// Nobody's request was completed by anyone but the aggregator: what the contract knows is in the books. All pairs
    /// would be too many, so each look begins elsewhere.
    function invariant_no_foreign_completion() public view {
        uint256 count = status.requestCount();
        uint256 known = world.dealCount();
        for (uint256 id = 1 + block.number % 7; id <= count; id += 7) {
            for (uint256 i = block.number % 3; i < known; i += 3) {
                uint64 dealId = world.deals(i);
                check(status.isCompleted(id, dealId) == world.isCompleted(id, dealId), "foreign");
            }
        }
    }

    /// What is in the purse belongs to the owners of open and of closed requests, to the last attoFIL.
    function invariant_the_purse_is_the_owners() public view {
        uint256 open = status.openRequestsOf(world.owners(0)) + status.openRequestsOf(world.owners(1));
        uint256 due = status.withdrawable(world.owners(0)) + status.withdrawable(world.owners(1));
        eq(address(status).balance, open * world.DEPOSIT() + due, "balance");
        eq(due, world.closed() * world.DEPOSIT(), "closed and not withdrawn");
    }

    /// While paused every write ends for that reason, and none of them does otherwise. That queries, pruning, cancelling
    /// and withdrawing go on is in the other invariants and in the world's own checks, which take no notice of pauses.
    function invariant_paused_stops_only_writes() public {
        bool paused = world.paused();
        check(status.paused() == paused, "paused");
        (bytes[] memory calls, address[] memory by) = world.writes();
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.prank(by[i]);
            (bool ok, bytes memory why) = address(status).call(calls[i]);
            check(!ok || !paused, vm.toString(i));
            check((bytes4(why) == Pausable.EnforcedPause.selector) == paused, vm.toString(i));
        }
    }
}
