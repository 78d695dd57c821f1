// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IDealStatus, InclusionProof} from "../src/IDealStatus.sol";
import {DealStatus} from "../src/DealStatus.sol";
import {Market} from "../src/Market.sol";
import {Fixture} from "./support/Fixture.sol";
import {Log} from "./support/Vm.sol";
import {Tree} from "./support/Tree.sol";

/// Wrong answers of the reference contract, one test for each, named by its number in the defect list (B1: the
/// contract, F: the proof). Rows 28-32 (market answers) are in Market.t.sol, F2-F8 in Podsi.t.sol, 11, 12 and 19
/// in Requests.t.sol, 18 and 25 in Complete.t.sol.
contract RegressionTest is Fixture {
    address private constant STRANGER = address(0xbad);
    uint64 private constant LATER = NOW + 100_000;

    uint256 private id;

    function setUp() public override {
        super.setUp();
        id = status.submitRaaS(CID, 3, 2880, 1000);
    }

    /// The market answers start and duration; a deal that ends in 100 epochs was never reported.
    function test_B1_01_end_is_start_plus_duration() public {
        uint64 dealId = market.publish(PIECE, SIZE, MINER, 4_500_000, 500_100);
        market.activate(dealId, 4_499_000);
        completeDirect(id, dealId);
        eqIds(status.getExpiringDeals(CID, 99), list(), "ends in 100 epochs");
        eqIds(status.getExpiringDeals(CID, 100), list(dealId), "ends in 100 epochs");
        eqIds(status.getExpiringDeals(CID, 1000), list(dealId), "no hole");
    }

    /// Published but never sealed: -1 was read as 0.
    function test_B1_02_never_activated_deals_are_not_active() public {
        uint64 dealId = publishedDeal(LATER);
        refuseDirect(id, dealId, abi.encodeWithSelector(DealStatus.DealNotActive.selector, dealId, int256(0)));
        market.activate(dealId, 0);
        completeDirect(id, dealId);
        eqIds(status.getActiveDeals(CID), list(dealId), "activated at epoch 0 is activated");
        // A market that took the activation back must be believed, too.
        market.activate(dealId, -1);
        eqIds(status.getActiveDeals(CID), list(), "not activated");
        eqIds(status.getExpiringDeals(CID, type(uint64).max), list(), "not activated");
    }

    /// One removed deal made both queries revert for its CID.
    function test_B1_03_one_gone_deal_does_not_spoil_the_query() public {
        uint64 settled = activeDeal(LATER);
        uint64 terminated = activeDeal(LATER);
        uint64 live = activeDeal(LATER);
        completeDirect(id, settled);
        completeDirect(id, terminated);
        completeDirect(id, live);
        market.remove(settled);
        eqIds(status.getActiveDeals(CID), list(terminated, live), "exit 32");
        market.markTerminated(terminated, int64(NOW) - 1);
        eqIds(status.getActiveDeals(CID), list(live), "termination epoch");
        eqIds(status.getExpiringDeals(CID, 200_000), list(live), "expiring");
        // The same with exit 17.
        market.skipTo(1);
        eqIds(status.getActiveDeals(CID), list(live), "exit 17");
        eqIds(status.getAllDeals(CID), list(settled, terminated, live), "history");
    }

    /// But an unreachable market is an error and never an empty list.
    function test_B1_03_unknown_is_not_gone() public {
        completeDirect(id, activeDeal(LATER));
        market.overrideExit(Market.GET_DEAL_ACTIVATION, 7);
        bytes memory expected = abi.encodeWithSelector(Market.MarketUnavailable.selector, int256(7));
        vm.expectRevert(expected);
        status.getActiveDeals(CID);
        vm.expectRevert(expected);
        status.getExpiringDeals(CID, 200_000);
        market.clearOverride(Market.GET_DEAL_ACTIVATION);
        market.setDown(true);
        vm.expectRevert(abi.encodeWithSelector(Market.MarketUnavailable.selector, type(int256).min));
        status.getActiveDeals(CID);
    }

    /// Anybody could add deal 2^64 - 1 and kill the queries of a CID for ever.
    function test_B1_04_strangers_cannot_complete() public {
        uint64 dealId = activeDeal(LATER);
        bytes32 role = status.AGGREGATOR_ROLE();
        InclusionProof memory none;
        bytes memory denied =
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, STRANGER, role);
        vm.startPrank(STRANGER);
        vm.expectRevert(denied);
        status.complete(id, dealId, MINER, none, verifier(PIECE, SIZE));
        vm.expectRevert(denied);
        status.complete(id, type(uint64).max, MINER, none, verifier(PIECE, SIZE));
        vm.stopPrank();
        // Nor can an aggregator record a deal that does not exist, or no longer exists.
        uint64 max = type(uint64).max;
        refuseDirect(id, max, abi.encodeWithSelector(DealStatus.DealNotActive.selector, max, int256(17)));
        market.remove(dealId);
        refuseDirect(
            id, dealId, abi.encodeWithSelector(DealStatus.DealNotActive.selector, dealId, int256(32))
        );
        eqIds(status.getAllDeals(CID), list(), "nothing recorded");
    }

    /// A consistent tree over other data was enough; now the deal on chain must be the one of the proof, and the
    /// piece the one of the request.
    function test_B1_05_deal_piece_and_request_are_tied() public {
        uint256 boundId = status.submitRaaSWithPiece(CID, 1, 0, 0, pieceCid(PIECE), SIZE);
        bytes32 other = bytes32(uint256(0x4200));
        uint64 foreign = market.publish(other, SIZE, MINER, int64(NOW) - 10, 100_000);
        market.activate(foreign, int64(NOW) - 20);
        InclusionProof memory none;
        // The deal holds other data than the proof says.
        refuseDirect(boundId, foreign, abi.encodeWithSelector(DealStatus.WrongDealPiece.selector, foreign));
        // The proof is about other data than the request.
        vm.expectRevert(abi.encodeWithSelector(DealStatus.WrongPiece.selector, boundId));
        status.complete(boundId, foreign, MINER, none, verifier(other, SIZE));
        // Right data, but the deal's padded size differs.
        uint64 sized = market.publish(PIECE, 2 * SIZE, MINER, int64(NOW) - 10, 100_000);
        market.activate(sized, int64(NOW) - 20);
        refuseDirect(boundId, sized, abi.encodeWithSelector(DealStatus.WrongDealPiece.selector, sized));
    }

    /// The first writer chose the provider.
    function test_B1_06_provider_is_the_deals_provider() public {
        uint64 dealId = activeDeal(LATER);
        InclusionProof memory none;
        vm.expectRevert(abi.encodeWithSelector(DealStatus.WrongProvider.selector, dealId, MINER));
        status.complete(id, dealId, 666, none, verifier(PIECE, SIZE));
        completeDirect(id, dealId);
        eq(status.getAllDeals(CID)[0].minerId, MINER, "provider");
    }

    /// Deals that drop out of an answer left zero entries and kept its length.
    function test_B1_07_answers_have_no_holes() public {
        uint64 a = activeDeal(NOW + 10);
        uint64 b = activeDeal(NOW + 20);
        uint64 c = activeDeal(NOW + 30);
        completeDirect(id, a);
        completeDirect(id, b);
        completeDirect(id, c);
        eqIds(status.getExpiringDeals(CID, 15), list(a), "first");
        market.remove(a);
        eqIds(status.getActiveDeals(CID), list(b, c), "hole at the start");
        eqIds(status.getExpiringDeals(CID, 20), list(b), "start and end");
        market.remove(c);
        eqIds(status.getActiveDeals(CID), list(b), "both sides");
        market.remove(b);
        eqIds(status.getActiveDeals(CID), list(), "all gone");
    }

    /// Deals stay in the market's state after their end until somebody settles them.
    function test_B1_08_ended_but_unsettled_deals_are_not_active() public {
        uint64 dealId = activeDeal(NOW + 50);
        completeDirect(id, dealId);
        vm.roll(NOW + 49);
        eqIds(status.getActiveDeals(CID), list(dealId), "last epoch");
        vm.roll(NOW + 50);
        eqIds(status.getActiveDeals(CID), list(), "end epoch");
        eqIds(status.getExpiringDeals(CID, 1000), list(), "over is not expiring");
        check(market.deal(dealId).present, "still in state");
        // And it cannot be recorded any more.
        uint256 late = status.submit(CID);
        refuseDirect(late, dealId, abi.encodeWithSelector(DealStatus.DealEnded.selector, dealId, NOW + 50));
    }

    /// Any window longer than the duration was an arithmetic panic.
    function test_B1_09_long_windows_do_not_overflow() public {
        uint64 dealId = market.publish(PIECE, SIZE, MINER, int64(NOW) - 10, 20);
        market.activate(dealId, int64(NOW) - 11);
        completeDirect(id, dealId);
        eqIds(status.getExpiringDeals(CID, 21), list(dealId), "longer than the duration");
        eqIds(status.getExpiringDeals(CID, NOW + 11), list(dealId), "before epoch 0");
        eqIds(status.getExpiringDeals(CID, type(uint64).max), list(dealId), "any");
        // The longest term that the market can express.
        uint64 endless = market.publish(PIECE, SIZE, MINER, type(int64).max, type(int64).max);
        market.activate(endless, 1);
        completeDirect(id, endless);
        eqIds(status.getExpiringDeals(CID, type(uint64).max), list(dealId, endless), "2^64 - 2");
        eqIds(status.getExpiringDeals(CID, 21), list(dealId), "not the endless one");
    }

    /// Forged entries made each completion and query dearer; now strangers write nothing, the list is capped
    /// (Complete.t.sol), and a duplicate is found without a scan.
    function test_B1_10_cost_of_a_duplicate_does_not_grow() public {
        uint64 first = activeDeal(LATER);
        completeDirect(id, first);
        uint256 second = status.submit(CID);
        uint256 third = status.submit(CID);
        uint256 before = gasleft();
        completeDirect(second, first);
        uint256 short = before - gasleft();
        for (uint256 i = 0; i < 60; ++i) {
            completeDirect(id, activeDeal(LATER));
        }
        before = gasleft();
        completeDirect(third, first);
        uint256 long = before - gasleft();
        check(long < short + 1000, "duplicate found by a scan");
    }

    /// Only the upper bound was checked, so request 0 "completed" the empty CID.
    function test_B1_16_unknown_request_ids_are_refused() public {
        uint64 dealId = activeDeal(LATER);
        uint256[3] memory unknown = [uint256(0), id + 1, type(uint256).max];
        for (uint256 i = 0; i < unknown.length; ++i) {
            refuseDirect(
                unknown[i], dealId, abi.encodeWithSelector(DealStatus.RequestNotFound.selector, unknown[i])
            );
        }
        eqIds(status.getAllDeals(""), list(), "empty CID");
    }

    /// Nothing was ever removed; pruning is open to all, and each removal is verified.
    function test_B1_20_dead_deals_can_be_pruned() public {
        uint64 gone = activeDeal(LATER);
        uint64 ended = activeDeal(NOW + 5);
        uint64 terminated = activeDeal(LATER);
        uint64 live = activeDeal(LATER);
        completeDirect(id, gone);
        completeDirect(id, ended);
        completeDirect(id, terminated);
        completeDirect(id, live);
        vm.roll(NOW + 5);
        market.remove(gone);
        market.markTerminated(terminated, int64(NOW));
        vm.startPrank(STRANGER);
        vm.expectRevert(abi.encodeWithSelector(DealStatus.DealStillLive.selector, live));
        status.pruneDeals(CID, list(gone, live));
        vm.expectEmit();
        emit DealStatus.DealPruned(keccak256(CID), gone);
        status.pruneDeals(CID, list(gone, ended, terminated));
        vm.stopPrank();
        eqIds(status.getAllDeals(CID), list(live), "the live one stays");
        vm.expectRevert(abi.encodeWithSelector(DealStatus.DealNotListed.selector, gone));
        status.pruneDeals(CID, list(gone));
        vm.expectRevert(abi.encodeWithSelector(DealStatus.DealNotListed.selector, live));
        status.pruneDeals("unknown", list(live));
    }

    /// Out of gas, or a market that fails, is no reason to forget a deal.
    function test_B1_20_pruning_needs_the_markets_word() public {
        uint64 dealId = activeDeal(LATER);
        completeDirect(id, dealId);
        market.overrideExit(Market.GET_DEAL_ACTIVATION, 7);
        vm.expectRevert(abi.encodeWithSelector(Market.MarketUnavailable.selector, int256(7)));
        status.pruneDeals(CID, list(dealId));
        market.overrideAnswer(Market.GET_DEAL_ACTIVATION, hex"822020");
        vm.expectRevert(abi.encodeWithSelector(DealStatus.DealStillLive.selector, dealId));
        status.pruneDeals(CID, list(dealId));
    }

    /// The queries had to be sent as transactions.
    function test_B1_21_queries_work_by_static_call() public {
        uint64 dealId = activeDeal(NOW + 10);
        completeDirect(id, dealId);
        bytes[2] memory queries = [
            abi.encodeCall(IDealStatus.getActiveDeals, (CID)),
            abi.encodeCall(IDealStatus.getExpiringDeals, (CID, 100))
        ];
        for (uint256 i = 0; i < 2; ++i) {
            (bool ok, bytes memory data) = address(status).staticcall(queries[i]);
            check(ok, "static call");
            eqIds(abi.decode(data, (IDealStatus.Deal[])), list(dealId), "answer");
        }
    }

    /// Terminated and never-activated deals "expired", and a deal at its end epoch still did.
    function test_B1_22_only_active_deals_expire() public {
        uint64 terminated = activeDeal(NOW + 10);
        uint64 ending = activeDeal(NOW + 1);
        completeDirect(id, terminated);
        completeDirect(id, ending);
        market.markTerminated(terminated, int64(NOW));
        eqIds(status.getExpiringDeals(CID, 100), list(ending), "terminated");
        eqIds(status.getExpiringDeals(CID, 0), list(), "nothing ends in 0 epochs");
        vm.roll(NOW + 1);
        eqIds(status.getExpiringDeals(CID, 100), list(), "at the end epoch");
    }

    /// The prover chose the size: the four quarter roots of a 32 GiB piece are 128 bytes with the same root, so
    /// 128 stored bytes "proved" 32 GiB. The proof is consistent; the request's bound size refuses it.
    function test_F1_size_is_not_taken_from_the_prover() public {
        (bytes32 piece, uint64 dealId, InclusionProof memory proof) = forgedSize();
        uint256 boundId = status.submitRaaSWithPiece(CID, 1, 0, 0, pieceCid(piece), 32 << 30);
        vm.expectRevert(abi.encodeWithSelector(DealStatus.WrongPiece.selector, boundId));
        status.complete(boundId, dealId, MINER, proof, verifier(piece, 128));
        // The same after binding by an aggregator.
        status.bindPiece(id, pieceCid(piece), 32 << 30);
        vm.expectRevert(abi.encodeWithSelector(DealStatus.WrongPiece.selector, id));
        status.complete(id, dealId, MINER, proof, verifier(piece, 128));
        // Control: where an aggregator attests the small size, the proof itself is valid.
        status.complete(status.submit("control"), dealId, MINER, proof, verifier(piece, 128));
    }

    /// The same after binding by a first honest completion.
    function test_F1_size_is_fixed_by_the_first_completion() public {
        (bytes32 piece, uint64 dealId, InclusionProof memory proof) = forgedSize();
        uint64 honest = market.publish(piece, 32 << 30, MINER, int64(NOW) - 10, 100_000);
        market.activate(honest, int64(NOW) - 20);
        InclusionProof memory none;
        status.complete(id, honest, MINER, none, verifier(piece, 32 << 30));
        vm.expectRevert(abi.encodeWithSelector(DealStatus.WrongPiece.selector, id));
        status.complete(id, dealId, MINER, proof, verifier(piece, 128));
        eqIds(status.getAllDeals(CID), list(honest), "only the honest deal");
    }

    /// The chain half of the verification was commented out, and could not have passed.
    function test_F3_the_deal_on_chain_is_checked() public {
        bytes32[] memory leaves = new bytes32[](4);
        leaves[0] = bytes32(uint256(0x1100));
        bytes32 piece = Tree.rootOf(leaves);
        (, InclusionProof memory proof) = Tree.aggregate(leaves, piece, 128);
        uint64 dealId = activeDeal(LATER);
        vm.expectRevert(abi.encodeWithSelector(DealStatus.WrongDealPiece.selector, dealId));
        status.complete(id, dealId, MINER, proof, verifier(piece, 128));
    }

    function forgedSize() private returns (bytes32 piece, uint64 dealId, InclusionProof memory proof) {
        bytes32[] memory quarters = new bytes32[](4);
        for (uint256 i = 0; i < 4; ++i) {
            quarters[i] = sha256(abi.encode("quarter", i)) & ~bytes32(uint256(0xc0));
        }
        piece = Tree.rootOf(quarters);
        bytes32 root;
        (root, proof) = Tree.aggregate(quarters, piece, 128);
        dealId = market.publish(root, Tree.DEAL_SIZE, MINER, int64(NOW) - 10, 100_000);
        market.activate(dealId, int64(NOW) - 20);
    }
}
