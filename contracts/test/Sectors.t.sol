// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Actors} from "../src/Actors.sol";
import {Cbor} from "../src/Cbor.sol";
import {DealState, IDealRegistry} from "../src/IDealRegistry.sol";
import {IDealStatus, InclusionProof} from "../src/IDealStatus.sol";
import {MarketDeal} from "../src/IFrc0087.sol";
import {Market} from "../src/Market.sol";
import {Miner, SectorStatus} from "../src/Miner.sol";
import {Fixture} from "./support/Fixture.sol";
import {Bytes, MinerStandIn, StandIns} from "./support/StandIns.sol";

/// Pieces without an f05 deal: told by miners, completed by aggregators, asked for at their miners.
contract SectorsTest is Fixture {
    uint64 private constant LATER = NOW + 100_000;
    uint64 private constant FIRST = 1 << 63;
    uint64 private constant METHOD = 2034386435;

    MinerStandIn private miner;
    uint256 private id;
    /// The actor id of the contract.
    uint64 private own;

    function setUp() public override {
        super.setUp();
        miner = StandIns.miner(vm, MINER);
        miner.put(7, 1, 2, 300, LATER);
        id = status.submitRaaS(CID, 2, 0, 0);
        own = status.sectorMarket();
    }

    function test_a_notified_piece_becomes_a_deal() public {
        vm.expectEmit();
        emit IDealRegistry.SectorPieceRecorded(FIRST, MINER, id, 7, pieceCid(PIECE), SIZE, int64(LATER));
        eq(notify(one(7, PIECE, SIZE, id)), hex"8181f5", "accepted");
        check(own > 100_000, "own actor id");
        (DealState state, uint64 end) = status.dealState(own, FIRST);
        check(state == DealState.Active && end == LATER, "active");
        check(!status.isCompleted(id, FIRST), "but completed by nobody");

        vm.expectEmit();
        emit IDealStatus.CompleteAggregatorRequest(id, FIRST);
        vm.expectEmit();
        emit IDealRegistry.DealRecorded(id, own, FIRST, MINER, pieceCid(PIECE), SIZE, LATER);
        complete(FIRST);
        // The reference's answers have no room for a market actor, so they do not tell of it.
        eqIds(status.getAllDeals(CID), list(), "reference");
        eqIds(status.getActiveDeals(CID), list(), "reference");
        MarketDeal[] memory deals = status.getAllDeals(CID, 0, 10);
        eq(abi.encode(deals[0]), abi.encode(MarketDeal(FIRST, MINER, own)), "FRC-0087");
        eq(status.getActiveDealsPage(CID, 0, 10).length, 1, "active");
        eq(status.getExpiringDealsPage(CID, 99_999, 0, 10).length, 0, "not yet");
        eq(status.getExpiringDealsPage(CID, 100_000, 0, 10).length, 1, "expiring");
    }

    /// f05 deals and sectors stand side by side.
    function test_both_kinds_in_one_list() public {
        notify(one(7, PIECE, SIZE, id));
        uint64 dealId = activeDeal(LATER + 5);
        completeDirect(id, dealId);
        complete(FIRST);
        eqIds(status.getActiveDeals(CID), list(dealId), "f05 only");
        (uint256 count, uint256 providers, uint256 expiring) = status.replicas(CID, 100_000);
        check(count == 2 && providers == 1 && expiring == 1, "counted");
        // An extended sector ends later; nothing needs to be told.
        miner.put(7, 1, 2, 300, LATER + 1000);
        (,, expiring) = status.replicas(CID, 100_000);
        eq(expiring, 0, "extended");
    }

    function test_several_sectors_and_pieces_in_one_message() public {
        bytes memory params = abi.encodePacked(
            hex"82",
            abi.encodePacked(hex"8307", Bytes.uint_(LATER), hex"82", piece(PIECE, SIZE, id)),
            piece(bytes32(uint256(0x5500)), 4096, 99),
            abi.encodePacked(hex"8308", Bytes.uint_(LATER), hex"81", piece(PIECE, SIZE, id))
        );
        eq(notify(params), hex"8282f5f481f5", "answers in place");
        (DealState state,) = status.dealState(own, FIRST + 1);
        // Sector 8 is not there.
        check(state == DealState.Gone, "the second one");
        (state,) = status.dealState(own, FIRST + 2);
        check(state == DealState.Unknown, "no third one");
    }

    function test_a_repeated_notification_changes_nothing() public {
        notify(one(7, PIECE, SIZE, id));
        vm.recordLogs();
        eq(notify(one(7, PIECE, SIZE, id)), hex"8181f5", "accepted again");
        eq(vm.getRecordedLogs().length, 0, "no event");
        // Also after its place was noted.
        status.locateSector(FIRST, 2, 300);
        notify(one(7, PIECE, SIZE, id));
        eq(vm.getRecordedLogs().length, 0, "no event");
    }

    /// Not for an open request of ours, or no piece: no storage, and the miner is told so.
    function test_what_is_not_accepted_leaves_nothing() public {
        uint256 closed = status.submit("closed");
        status.cancelRequest(closed);
        bytes[7] memory bad = [
            one(7, PIECE | bytes32(uint256(0x40)), SIZE, id), // no data has such a commitment
            one(7, PIECE, SIZE, closed),
            one(7, PIECE, SIZE, 0),
            one(7, PIECE, SIZE, 99),
            one(7, PIECE, 100, id),
            oneWith(7, PIECE, SIZE, hex"40"), // no payload
            oneWith(7, PIECE, SIZE, hex"421801") // 1 in two bytes
        ];
        vm.recordLogs();
        for (uint256 i = 0; i < bad.length; ++i) {
            eq(notify(bad[i]), hex"8181f4", "refused");
        }
        eq(notify(oneWith(7, PIECE, SIZE, hex"4a1b000000000000000100")), hex"8181f4", "10 bytes");
        eq(vm.getRecordedLogs().length, 0, "no event");
        eq(notify(hex"80"), hex"80", "no sectors at all");
    }

    function test_only_miners_are_believed() public {
        bytes memory params = one(7, PIECE, SIZE, id);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.NotAMiner.selector, address(this)));
        status.handle_filecoin_method(METHOD, 0x51, params);
        // An actor without Ethereum address that is no miner.
        address other = address((uint160(0xff) << 152) | 77);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.NotAMiner.selector, other));
        vm.prank(other);
        status.handle_filecoin_method(METHOD, 0x51, params);
        // An address that only ends like one.
        address fake = address((uint160(0xff) << 152) | (uint160(1) << 64) | MINER);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.NotAMiner.selector, fake));
        vm.prank(fake);
        status.handle_filecoin_method(METHOD, 0x51, params);
    }

    function test_other_messages_are_refused_by_name() public {
        failing(
            METHOD + 1,
            0x51,
            hex"80",
            abi.encodeWithSelector(IDealRegistry.UnsupportedMethod.selector, METHOD + 1, 0x51)
        );
        failing(
            METHOD,
            0x55,
            hex"80",
            abi.encodeWithSelector(IDealRegistry.UnsupportedMethod.selector, METHOD, 0x55)
        );
        failing(METHOD, 0x51, hex"8000", abi.encodeWithSelector(Cbor.MalformedCbor.selector, 1));
        failing(METHOD, 0x51, hex"9b0000000100000000", abi.encodeWithSelector(Cbor.MalformedCbor.selector, 0));
        // A byte string that is longer than what is left.
        bytes memory cut = oneWith(7, PIECE, SIZE, hex"4501");
        (bool ok, bytes memory why) = miner.notify(address(status), METHOD, 0x51, cut);
        check(!ok && bytes4(why) == Cbor.MalformedCbor.selector, "cut");
    }

    /// A network that cannot tell an actor id: refused with a reason, and nothing else is hurt.
    function test_without_an_actor_id_sectors_are_refused() public {
        vm.etch(StandIns.RESOLVE, "");
        failing(
            METHOD,
            0x51,
            one(7, PIECE, SIZE, id),
            abi.encodeWithSelector(IDealRegistry.SectorsUnsupported.selector)
        );
        eq(status.sectorMarket(), 0, "unknown");
        completeDirect(id, activeDeal(LATER));
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.UnsupportedMarket.selector, own));
        complete(FIRST);
    }

    /// A network before version 28 does not know the methods.
    function test_without_sector_methods_nothing_is_concluded() public {
        notify(one(7, PIECE, SIZE, id));
        complete(FIRST);
        miner.setExit(22);
        bytes memory unavailable = abi.encodeWithSelector(Actors.ActorUnavailable.selector, MINER, int256(22));
        vm.expectRevert(unavailable);
        status.getActiveDealsPage(CID, 0, 10);
        vm.expectRevert(unavailable);
        status.replicas(CID);
        vm.expectRevert(unavailable);
        status.getExpiringDealsPage(CID, 10, 0, 10);
        vm.expectRevert(unavailable);
        status.pruneDeals(CID, list(FIRST));
        vm.expectRevert(unavailable);
        status.locateSector(FIRST, 2, 300);
        eqIds(status.getActiveDeals(CID), list(), "the reference's query does not ask for sectors");
    }

    function test_dead_sectors_are_not_active_and_can_be_pruned() public {
        notify(one(7, PIECE, SIZE, id));
        complete(FIRST);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.DealStillLive.selector, FIRST));
        status.pruneDeals(CID, list(FIRST));
        // Faulty is still live.
        miner.put(7, 2, 2, 300, LATER);
        eq(status.getActiveDealsPage(CID, 0, 10).length, 1, "faulty");
        (, uint64 sector, SectorStatus how) = status.sectorOf(own, FIRST);
        check(sector == 7 && how == SectorStatus.Faulty, "told");
        miner.put(7, 0, 2, 300, LATER);
        eq(status.getActiveDealsPage(CID, 0, 10).length, 0, "dead");
        eq(status.getExpiringDealsPage(CID, 100_000, 0, 10).length, 0, "dead does not expire");
        (DealState state,) = status.dealState(own, FIRST);
        check(state == DealState.Gone, "gone");
        vm.prank(address(0xbad));
        status.pruneDeals(CID, list(FIRST));
        eq(status.getAllDeals(CID, 0, 10).length, 0, "pruned");
    }

    function test_completion_checks_provider_piece_and_life() public {
        notify(one(7, PIECE, SIZE, id));
        InclusionProof memory none;
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.WrongProvider.selector, FIRST, MINER));
        status.complete(id, own, FIRST, 666, none, verifier(PIECE, SIZE));
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.WrongDealPiece.selector, FIRST));
        status.complete(id, own, FIRST, MINER, none, verifier(PIECE, 2 * SIZE));
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.DealNotActive.selector, FIRST + 1, int256(17)));
        status.complete(id, own, FIRST + 1, MINER, none, verifier(PIECE, SIZE));
        // Ids belong to one market each.
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.DealNotActive.selector, FIRST, int256(17)));
        status.complete(id, 5, FIRST, MINER, none, verifier(PIECE, SIZE));
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.DealNotActive.selector, 1, int256(17)));
        status.complete(id, own, 1, MINER, none, verifier(PIECE, SIZE));
        miner.put(7, 1, 2, 300, NOW);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.DealEnded.selector, FIRST, NOW));
        complete(FIRST);
        miner.put(7, 0, 2, 300, LATER);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.DealNotActive.selector, FIRST, int256(0)));
        complete(FIRST);
        miner.put(7, 1, 2, 300, LATER);
        complete(FIRST);
        // And by piece alone, since the request is bound now.
        notify(one(7, PIECE, 2 * SIZE, id));
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.WrongDealPiece.selector, FIRST + 1));
        status.onchain_complete(id, own, FIRST + 1, MINER);
    }

    /// With its place known a sector is found without the miner's search.
    function test_a_located_sector_needs_no_search() public {
        notify(one(7, PIECE, SIZE, id));
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.WrongPlace.selector, FIRST));
        status.locateSector(FIRST, 2, 299);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.WrongPlace.selector, FIRST + 1));
        status.locateSector(FIRST + 1, 2, 300);
        vm.prank(address(0xbad));
        status.locateSector(FIRST, 2, 300);
        miner.forbidSearch();
        complete(FIRST);
        eq(status.getActiveDealsPage(CID, 0, 10).length, 1, "active");
        miner.put(7, 2, 2, 300, LATER);
        (,, SectorStatus how) = status.sectorOf(own, FIRST);
        check(how == SectorStatus.Faulty, "faulty");
        status.locateSector(FIRST, 2, 300);
        miner.put(7, 0, 2, 300, LATER);
        (,, how) = status.sectorOf(own, FIRST);
        check(how == SectorStatus.Dead, "dead");
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.WrongPlace.selector, FIRST));
        status.locateSector(FIRST, 2, 300);
        // Moved by a compaction: the search is asked, which this miner refuses.
        miner.put(7, 1, 2, 301, LATER);
        vm.expectRevert(abi.encodeWithSelector(Actors.ActorUnavailable.selector, MINER, int256(7)));
        status.sectorOf(own, FIRST);
    }

    function test_strange_answers_of_a_miner_are_refused() public {
        notify(one(7, PIECE, SIZE, id));
        miner.setAnswer(hex"820342f6f6"); // a status that is none
        vm.expectRevert(
            abi.encodeWithSelector(Actors.MalformedAnswer.selector, MINER, Miner.GENERATE_SECTOR_LOCATION)
        );
        status.sectorOf(own, FIRST);
        miner.setAnswer(hex"01"); // a number for a boolean
        vm.expectRevert(abi.encodeWithSelector(Cbor.MalformedCbor.selector, 0));
        status.locateSector(FIRST, 2, 300);
        miner.setAnswer(hex"20"); // before epoch 0
        vm.expectRevert(abi.encodeWithSelector(Cbor.MalformedCbor.selector, 0));
        status.dealState(own, FIRST);
    }

    function test_sector_of_an_f05_deal() public {
        uint64 dealId = activeDeal(LATER);
        market.putInto(dealId, 7);
        (uint64 provider, uint64 sector, SectorStatus how) = status.sectorOf(5, dealId);
        check(provider == MINER && sector == 7 && how == SectorStatus.Active, "active");
        uint64 waiting = publishedDeal(LATER);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.DealNotActive.selector, waiting, int256(33)));
        status.sectorOf(5, waiting);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.DealNotActive.selector, 999, int256(17)));
        status.sectorOf(5, 999);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.UnsupportedMarket.selector, 8));
        status.sectorOf(8, dealId);
        notify(one(7, PIECE, SIZE, id));
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.DealNotActive.selector, FIRST + 5, int256(17)));
        status.sectorOf(own, FIRST + 5);
        // 33 is an answer of this method only.
        completeDirect(id, dealId);
        market.overrideExit(Market.GET_DEAL_ACTIVATION, 33);
        vm.expectRevert(abi.encodeWithSelector(Market.MarketUnavailable.selector, int256(33)));
        status.getActiveDealsPage(CID, 0, 10);
    }

    // ---- Helpers

    function complete(uint64 dealId) private {
        InclusionProof memory none;
        status.complete(id, own, dealId, MINER, none, verifier(PIECE, SIZE));
    }

    function notify(bytes memory params) private returns (bytes memory) {
        (bool ok, bytes memory output) = miner.notify(address(status), METHOD, 0x51, params);
        check(ok, "notified");
        (uint32 exit, uint64 codec, bytes memory answer) = abi.decode(output, (uint32, uint64, bytes));
        check(exit == 0 && codec == 0x51, "exit code and codec");
        return answer;
    }

    function failing(uint64 method, uint64 codec, bytes memory params, bytes memory expected) private {
        (bool ok, bytes memory why) = miner.notify(address(status), method, codec, params);
        check(!ok, "taken");
        eq(why, expected, "why");
    }

    function one(uint64 sector, bytes32 commitment, uint64 size, uint256 request)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodePacked(
            hex"8183", Bytes.uint_(sector), Bytes.uint_(LATER), hex"81", piece(commitment, size, request)
        );
    }

    function oneWith(uint64 sector, bytes32 commitment, uint64 size, bytes memory payload)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodePacked(
            hex"8183",
            Bytes.uint_(sector),
            Bytes.uint_(LATER),
            hex"8183",
            Bytes.link_(commitment),
            Bytes.uint_(size),
            payload
        );
    }

    function piece(bytes32 commitment, uint64 size, uint256 request) private pure returns (bytes memory) {
        bytes memory payload = Bytes.uint_(uint64(request));
        return abi.encodePacked(
            hex"83", Bytes.link_(commitment), Bytes.uint_(size), bytes1(uint8(0x40 + payload.length)), payload
        );
    }
}
