// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DealState, IDealRegistry, Policy, Request, Submission} from "../src/IDealRegistry.sol";
import {IDealStatus, InclusionProof} from "../src/IDealStatus.sol";
import {MarketDeal} from "../src/IFrc0087.sol";
import {PieceCid} from "../src/PieceCid.sol";
import {Podsi} from "../src/Podsi.sol";
import {Fixture} from "./support/Fixture.sol";

/// Policies of requests, batches, pages and counts.
contract PoliciesTest is Fixture {
    address private constant CLIENT = address(0xc1);
    uint64 private constant LATER = NOW + 100_000;

    function test_the_effective_target_is_the_greatest_of_the_open_requests() public {
        policy(0, 0);
        status.submit(CID);
        policy(0, 1);
        uint256 three = status.submitRaaS(CID, 3, 0, 0);
        uint256 seven = status.submitRaaS(CID, 7, 0, 0);
        status.submitRaaS(CID, 5, 0, 0);
        policy(7, 4);
        status.cancelRequest(seven);
        policy(5, 3);
        status.updateRequest(three, Policy(32, 1, 2, 0));
        policy(32, 3);
        status.updateRequest(three, Policy(1, 1, 2, 0));
        policy(5, 3);
    }

    function test_a_plain_request_may_get_a_policy() public {
        uint256 id = status.submit(CID);
        vm.expectEmit();
        emit IDealRegistry.RequestUpdated(id, 2, 3, 4, NOW + 9);
        status.updateRequest(id, Policy(2, 3, 4, NOW + 9));
        policy(2, 1);
    }

    function test_updates_are_validated() public {
        uint256 id = status.submitRaaS(CID, 1, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.InvalidTarget.selector, 0, 32));
        status.updateRequest(id, Policy(0, 0, 0, 0));
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.InvalidTarget.selector, 33, 32));
        status.updateRequest(id, Policy(33, 0, 0, 0));
        uint64 over = (1 << 62) + 1;
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.InvalidThreshold.selector, over));
        status.updateRequest(id, Policy(1, over, 0, 0));
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.InvalidThreshold.selector, over));
        status.updateRequest(id, Policy(1, 0, over, 0));
        uint64[2] memory ends = [NOW, over];
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IDealRegistry.InvalidEnd.selector, ends[i]));
            status.updateRequest(id, Policy(1, 0, 0, ends[i]));
        }
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.NotOwner.selector, id, CLIENT));
        vm.prank(CLIENT);
        status.updateRequest(id, Policy(1, 0, 0, 0));
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.RequestNotFound.selector, 2));
        status.updateRequest(2, Policy(1, 0, 0, 0));
    }

    function test_a_closed_request_is_closed() public {
        uint256 id = status.submitRaaS(CID, 1, 0, 0);
        uint64 dealId = activeDeal(LATER);
        completeDirect(id, dealId);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.NotOwner.selector, id, CLIENT));
        vm.prank(CLIENT);
        status.cancelRequest(id);
        vm.expectEmit();
        emit IDealRegistry.RequestCancelled(id, address(this));
        status.cancelRequest(id);
        bytes memory closed = abi.encodeWithSelector(IDealRegistry.RequestClosed.selector, id);
        vm.expectRevert(closed);
        status.cancelRequest(id);
        vm.expectRevert(closed);
        status.updateRequest(id, Policy(1, 0, 0, 0));
        vm.expectRevert(closed);
        status.bindPiece(id, pieceCid(PIECE), SIZE);
        refuseDirect(id, activeDeal(LATER), closed);
        vm.expectRevert(closed);
        status.onchain_complete(id, 5, dealId, MINER);
        // What was recorded stays.
        eqIds(status.getActiveDeals(CID), list(dealId), "deals");
        check(!status.getRequest(id).open && status.isCompleted(id, dealId), "history");
        eq(status.openRequestsOf(address(this)), 0, "open");
    }

    function test_many_requests_in_one_message() public {
        Submission[] memory some = new Submission[](3);
        some[0] = Submission("a", Policy(1, 2, 3, 0), "", 0);
        some[1] = Submission("b", Policy(4, 5, 6, NOW + 7), pieceCid(PIECE), SIZE);
        some[2] = Submission("a", Policy(8, 9, 10, 0), abi.encodePacked(hex"01559120220006", PIECE), 0);
        status.submit("first");
        vm.expectEmit();
        emit IDealStatus.SubmitAggregatorRequestWithRaaS(2, "a", 1, 2, 3);
        vm.expectEmit();
        emit IDealRegistry.RequestRegistered(2, keccak256("a"), address(this));
        vm.expectEmit();
        emit IDealStatus.SubmitAggregatorRequestWithRaaS(3, "b", 4, 5, 6);
        vm.expectEmit();
        emit IDealRegistry.RequestRegistered(3, keccak256("b"), address(this));
        vm.expectEmit();
        emit IDealRegistry.RequestUpdated(3, 4, 5, 6, NOW + 7);
        vm.expectEmit();
        emit IDealRegistry.PieceBound(3, pieceCid(PIECE), SIZE, address(this));
        eq(status.submitRaaSMany(some), 2, "first id");
        eq(status.requestCount(), 4, "count");
        Request memory r = status.getRequest(3);
        check(r.policy.endsAt == NOW + 7 && r.pieceSize == SIZE && r.owner == address(this), "read back");
        eq(status.getRequest(4).pieceSize, SIZE, "size from the CID");
        eq(status.cidCount(), 3, "contents");

        some[2].pieceSize = 2 * SIZE;
        vm.expectRevert(abi.encodeWithSelector(Podsi.InvalidPieceSize.selector, 2 * SIZE));
        status.submitRaaSMany(some);
        some[2].pieceCid = "";
        vm.expectRevert(PieceCid.InvalidPieceCid.selector);
        status.submitRaaSMany(some);
        eq(status.requestCount(), 4, "all or nothing");
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.PageTooLarge.selector, 51, 50));
        status.submitRaaSMany(new Submission[](51));
        eq(status.submitRaaSMany(new Submission[](0)), 5, "none");
    }

    /// Piece and CID that contradict each other.
    function test_a_piece_cid_and_another_piece() public {
        bytes32 other = bytes32(uint256(0x9900));
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.WrongPiece.selector, 1));
        status.submitRaaSWithPiece(pieceCid(other), 1, 0, 0, pieceCid(PIECE), SIZE);
        status.submitRaaSWithPiece(pieceCid(PIECE), 1, 0, 0, pieceCid(PIECE), SIZE);
        eq(status.getRequest(1).pieceSize, SIZE, "agreeing");
    }

    function test_requests_of_a_cid_in_pages() public {
        for (uint256 i = 0; i < 60; ++i) {
            status.submit(i % 2 == 0 ? CID : bytes("other"));
        }
        uint256[] memory page = status.requestsOf(CID, 0, 50);
        eq(page.length, 30, "all");
        eq(page[29], 59, "in order");
        page = status.requestsOf(CID, 28, 50);
        eq(page.length, 2, "rest");
        eq(page[0], 57, "from");
        eq(status.requestsOf(CID, 30, 1).length, 0, "beyond");
        eq(status.requestsOf("unknown", 0, 1).length, 0, "unknown");
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.PageTooLarge.selector, 51, 50));
        status.requestsOf(CID, 0, 51);
    }

    function test_replicas_are_counted() public {
        uint256 id = status.submitRaaS(CID, 5, 0, 0);
        (uint256 active, uint256 providers, uint256 expiring) = status.replicas(CID, 10);
        check(active == 0 && providers == 0 && expiring == 0, "none");
        uint64[4] memory providersOf = [uint64(7), 8, 7, 9];
        uint64[4] memory made;
        for (uint64 i = 0; i < 4; ++i) {
            made[i] = market.publish(PIECE, SIZE, providersOf[i], int64(NOW) - 10, 20 + 10 * int64(i));
            market.activate(made[i], 1);
            InclusionProof memory none;
            status.complete(id, made[i], providersOf[i], none, verifier(PIECE, SIZE));
        }
        // Ends at +10, +20, +30, +40.
        (active, providers, expiring) = status.replicas(CID, 20);
        check(active == 4 && providers == 3 && expiring == 2, "four deals, three providers");
        market.remove(made[3]);
        (active, providers) = status.replicas(CID);
        check(active == 3 && providers == 2, "one gone");
        vm.roll(NOW + 10);
        (active, providers, expiring) = status.replicas(CID, type(uint64).max);
        check(active == 2 && providers == 2 && expiring == 2, "one over");
        (active, providers) = status.replicas("unknown");
        check(active == 0 && providers == 0, "unknown");
    }

    function test_pages_of_active_and_expiring_deals() public {
        uint256 id = status.submitRaaS(CID, 5, 0, 0);
        uint64[] memory made = new uint64[](6);
        for (uint64 i = 0; i < 6; ++i) {
            made[i] = activeDeal(NOW + 10 * (i + 1));
            completeDirect(id, made[i]);
        }
        market.remove(made[2]);
        MarketDeal[] memory page = status.getActiveDealsPage(CID, 1, 3);
        eq(page.length, 2, "of three listed ones");
        check(page[0].dealId == made[1] && page[1].dealId == made[3], "which");
        check(page[0].marketActorId == 5 && page[0].providerId == MINER, "whose");
        page = status.getExpiringDealsPage(CID, 40, 0, 50);
        eq(page.length, 3, "within 40");
        check(page[2].dealId == made[3], "the last of them");
        eq(status.getActiveDealsPage(CID, 6, 50).length, 0, "beyond");
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.PageTooLarge.selector, 51, 50));
        status.getActiveDealsPage(CID, 0, 51);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.PageTooLarge.selector, 51, 50));
        status.getExpiringDealsPage(CID, 1, 0, 51);
        eq(status.MAX_LIVE_DEALS(), 64, "bound");
    }

    function test_the_life_of_a_deal() public {
        uint64 dealId = market.publish(PIECE, SIZE, MINER, int64(NOW) + 10, 20);
        state(999, DealState.Unknown, 0);
        state(dealId, DealState.Published, NOW + 30);
        vm.roll(NOW + 10);
        state(dealId, DealState.Published, NOW + 30);
        vm.roll(NOW + 11);
        // Not activated by its start: it never will be.
        state(dealId, DealState.Gone, NOW + 30);
        market.activate(dealId, int64(NOW) + 9);
        state(dealId, DealState.Active, NOW + 30);
        vm.roll(NOW + 30);
        state(dealId, DealState.Ended, NOW + 30);
        vm.roll(NOW + 20);
        market.markTerminated(dealId, int64(NOW) + 15);
        state(dealId, DealState.Gone, NOW + 30);
        market.remove(dealId);
        state(dealId, DealState.Gone, 0);
        // Other market actors, and ids that no market gives.
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.UnsupportedMarket.selector, 0));
        status.dealState(0, dealId);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.UnsupportedMarket.selector, 6));
        status.dealState(6, dealId);
        (DealState how,) = status.dealState(5, 1 << 63);
        check(how == DealState.Unknown, "no id of f05");
        (how,) = status.dealState(uint64(1) << 63);
        check(how == DealState.Unknown, "no sector yet");
    }

    /// A removal between the two questions of one call is the market's to tell.
    function test_a_deal_that_goes_between_two_questions() public {
        uint64 dealId = activeDeal(LATER);
        market.overrideExit(2567238399, 32);
        state(dealId, DealState.Gone, LATER);
    }

    function test_a_proof_can_be_tried_without_a_transaction() public {
        InclusionProof memory none;
        eq(status.computeExpectedAuxDataPublic(none, verifier(PIECE, SIZE)).commPa, pieceCid(PIECE), "direct");
        vm.expectRevert(abi.encodeWithSelector(Podsi.InvalidPieceSize.selector, 100));
        status.computeExpectedAuxDataPublic(none, verifier(PIECE, 100));
    }

    function policy(uint32 target, uint256 open) private view {
        (uint32 gotTarget, uint256 gotOpen) = status.policyOf(CID);
        eq(gotTarget, target, "effective target");
        eq(gotOpen, open, "open requests");
    }

    function state(uint64 dealId, DealState wanted, uint64 end) private view {
        (DealState got, uint64 gotEnd) = status.dealState(dealId);
        eq(uint256(got), uint256(wanted), "state");
        eq(gotEnd, end, "end");
        (got, gotEnd) = status.dealState(5, dealId);
        check(got == wanted && gotEnd == end, "the same by market actor");
    }
}
