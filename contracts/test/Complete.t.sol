// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IDealRegistry} from "../src/IDealRegistry.sol";
import {IDealStatus, InclusionAuxData, InclusionProof, InclusionVerifierData} from "../src/IDealStatus.sol";
import {IFrc0087, MarketDeal} from "../src/IFrc0087.sol";
import {Market} from "../src/Market.sol";
import {Podsi} from "../src/Podsi.sol";
import {Fixture} from "./support/Fixture.sol";
import {Log} from "./support/Vm.sol";
import {Tree} from "./support/Tree.sol";

contract CompleteTest is Fixture {
    /// All that a completion says.
    struct Statement {
        uint256 id;
        uint64 market;
        uint64 dealId;
        uint64 provider;
        InclusionProof proof;
        InclusionVerifierData data;
    }

    uint64 private constant LATER = NOW + 100_000;

    function test_direct_piece() public {
        uint256 id = status.submitRaaS(CID, 1, 0, 0);
        uint64 dealId = activeDeal(LATER);
        vm.expectEmit();
        emit IDealStatus.CompleteAggregatorRequest(id, dealId);
        vm.expectEmit();
        emit IDealRegistry.DealRecorded(id, 5, dealId, MINER, pieceCid(PIECE), SIZE, LATER);
        vm.expectEmit();
        emit IDealRegistry.PieceBound(id, pieceCid(PIECE), SIZE, address(this));
        InclusionAuxData memory aux = completeDirect(id, dealId);
        eq(aux.commPa, pieceCid(PIECE), "commPa");
        eq(aux.sizePa, SIZE, "sizePa");
        IDealStatus.Deal[] memory all = status.getAllDeals(CID);
        eq(all.length, 1, "listed");
        check(all[0].dealId == dealId && all[0].minerId == MINER, "deal");
        check(status.isCompleted(id, dealId), "completed");
        check(!status.isCompleted(id, dealId + 1), "not completed");
    }

    function test_piece_in_an_aggregate() public {
        (bytes32 piece, bytes32 root, InclusionProof memory proof) = aggregate();
        uint256 id = status.submit(CID);
        uint64 dealId = activeDealOf(root, Tree.DEAL_SIZE);
        InclusionAuxData memory aux = status.complete(id, dealId, MINER, proof, verifier(piece, 128));
        eq(aux.commPa, pieceCid(root), "commPa");
        eq(aux.sizePa, Tree.DEAL_SIZE, "sizePa");
        eqIds(status.getActiveDeals(CID), list(dealId), "active");
        eq(status.getRequest(id).pieceCid, pieceCid(piece), "the piece is bound, not the deal's");
    }

    /// Every bit of all that a completion says, one at a time, beside a deal on chain of which the whole is true: as
    /// test_every_single_bit_is_needed, but with what the chain is asked, and through the piece CID.
    function test_every_single_bit_of_a_completion_is_needed() public {
        (bytes32 piece, bytes32 root, InclusionProof memory proof) = aggregate();
        uint64 dealId = activeDealOf(root, Tree.DEAL_SIZE);
        Statement memory s = Statement(status.submit(CID), 5, dealId, MINER, proof, verifier(piece, 128));
        for (uint256 bit = 0; bit < 256; ++bit) {
            s.id ^= 1 << bit;
            check(!accepted(s), "request");
            s.id ^= 1 << bit;
            everyWord(s, s.proof.proofSubtree.path, bytes32(uint256(1) << bit));
            everyWord(s, s.proof.proofIndex.path, bytes32(uint256(1) << bit));
            if (bit < 64) everyNumber(s, uint64(1) << uint64(bit));
        }
        for (uint256 bit = 0; bit < 8 * s.data.commPc.length; ++bit) {
            s.data.commPc[bit / 8] ^= bytes1(uint8(1) << uint8(bit % 8));
            check(!accepted(s), "piece CID");
            s.data.commPc[bit / 8] ^= bytes1(uint8(1) << uint8(bit % 8));
        }
        eqIds(status.getAllDeals(CID), list(), "nothing recorded");
        check(accepted(s), "control");
    }

    /// One request, one copy as its own deal and one inside an aggregate.
    function test_direct_and_aggregated_copies_of_one_piece() public {
        (bytes32 piece, bytes32 root, InclusionProof memory proof) = aggregate();
        uint256 id = status.submitRaaS(CID, 2, 0, 0);
        uint64 packed = activeDealOf(root, Tree.DEAL_SIZE);
        uint64 direct = activeDealOf(piece, 128);
        InclusionProof memory none;
        status.complete(id, packed, MINER, proof, verifier(piece, 128));
        status.complete(id, direct, MINER, none, verifier(piece, 128));
        eqIds(status.getActiveDeals(CID), list(packed, direct), "active");
    }

    /// An empty proof means the piece itself, so the deal of an aggregate does not pass with it, nor the reverse.
    function test_direct_and_proof_are_not_mixed_up() public {
        (bytes32 piece, bytes32 root, InclusionProof memory proof) = aggregate();
        uint256 id = status.submit(CID);
        uint64 packed = activeDealOf(root, Tree.DEAL_SIZE);
        uint64 direct = activeDealOf(piece, 128);
        InclusionProof memory none;
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.WrongDealPiece.selector, packed));
        status.complete(id, packed, MINER, none, verifier(piece, 128));
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.WrongDealPiece.selector, direct));
        status.complete(id, direct, MINER, proof, verifier(piece, 128));
        // Empty paths with an index are no direct claim.
        none.proofIndex.index = 1;
        vm.expectRevert(abi.encodeWithSelector(Podsi.InvalidDealSize.selector, 128));
        status.complete(id, direct, MINER, none, verifier(piece, 128));
        eq(status.getRequest(id).pieceSize, 0, "a refused completion binds nothing");
    }

    /// Also when the deal on chain agrees.
    function test_a_direct_piece_of_impossible_size_is_refused() public {
        uint256 id = status.submit(CID);
        uint64 dealId = activeDealOf(PIECE, 64);
        InclusionProof memory none;
        vm.expectRevert(abi.encodeWithSelector(Podsi.InvalidPieceSize.selector, 64));
        status.complete(id, dealId, MINER, none, verifier(PIECE, 64));
        eqIds(status.getAllDeals(CID), list(), "nothing recorded");
    }

    /// B1 row 25: a piece that is the whole deal needs no index.
    function test_B1_25_a_deal_without_index_can_be_completed() public {
        uint64 size = 64 << 30;
        uint64 dealId = activeDealOf(PIECE, size);
        InclusionProof memory none;
        status.complete(status.submit(CID), dealId, MINER, none, verifier(PIECE, size));
        eqIds(status.getActiveDeals(CID), list(dealId), "active");
    }

    function test_a_repeat_changes_and_emits_nothing() public {
        uint256 id = status.submit(CID);
        uint64 dealId = activeDeal(LATER);
        bytes memory first = abi.encode(completeDirect(id, dealId));
        vm.recordLogs();
        eq(abi.encode(completeDirect(id, dealId)), first, "same answer");
        // Also when the deal is gone and pruned: the record is history.
        market.remove(dealId);
        eq(abi.encode(completeDirect(id, dealId)), first, "same answer, deal gone");
        eq(vm.getRecordedLogs().length, 0, "no event");
        status.pruneDeals(CID, list(dealId));
        completeDirect(id, dealId);
        eq(status.getAllDeals(CID).length, 0, "a repeat lists nothing again");
    }

    function test_a_contradiction_is_refused() public {
        uint256 id = status.submit(CID);
        uint64 dealId = activeDeal(LATER);
        completeDirect(id, dealId);
        bytes memory already = abi.encodeWithSelector(IDealRegistry.AlreadyRecorded.selector, id, dealId);
        InclusionProof memory none;
        vm.expectRevert(already);
        status.complete(id, dealId, MINER + 1, none, verifier(PIECE, SIZE));
        // The same said by another aggregator is no contradiction: whoever is late finds it done.
        address other = address(0xa66);
        status.grantRole(status.AGGREGATOR_ROLE(), other);
        vm.recordLogs();
        vm.prank(other);
        completeDirect(id, dealId);
        eq(vm.getRecordedLogs().length, 0, "nothing new");
    }

    /// Requests of one or several owners for one CID are each completed with the same deals, listed once.
    function test_requests_for_one_cid_share_deals() public {
        uint64 a = activeDeal(LATER);
        uint64 b = activeDeal(LATER + 1);
        for (uint160 owner = 1; owner <= 3; ++owner) {
            vm.prank(address(owner));
            uint256 id = status.submitRaaS(CID, 2, 0, 0);
            vm.expectEmit();
            emit IDealStatus.CompleteAggregatorRequest(id, a);
            completeDirect(id, a);
            vm.expectEmit();
            emit IDealStatus.CompleteAggregatorRequest(id, b);
            completeDirect(id, b);
            check(status.isCompleted(id, a) && status.isCompleted(id, b), "completed");
        }
        eqIds(status.getAllDeals(CID), list(a, b), "listed once");
        eqIds(status.getActiveDeals(CID), list(a, b), "active once");
    }

    function test_a_deal_may_serve_several_cids() public {
        uint64 dealId = activeDeal(LATER);
        completeDirect(status.submit(CID), dealId);
        completeDirect(status.submit("another"), dealId);
        bytes[] memory cids = new bytes[](3);
        (cids[0], cids[1], cids[2]) = (CID, "another", "unknown");
        MarketDeal[][] memory deals = status.dealsOf(cids);
        eq(deals.length, 3, "answers");
        MarketDeal memory wanted = MarketDeal(dealId, MINER, 5);
        for (uint256 i = 0; i < 2; ++i) {
            eq(deals[i].length, 1, "one deal");
            eq(abi.encode(deals[i][0]), abi.encode(wanted), "the deal");
        }
        eq(deals[2].length, 0, "unknown");
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.PageTooLarge.selector, 51, 50));
        status.dealsOf(new bytes[](51));
    }

    function test_later_completions_must_have_the_bound_piece() public {
        uint256 id = status.submit(CID);
        completeDirect(id, activeDeal(LATER));
        bytes32 other = bytes32(uint256(0x9900));
        uint64 dealId = activeDealOf(other, SIZE);
        InclusionProof memory none;
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.WrongPiece.selector, id));
        status.complete(id, dealId, MINER, none, verifier(other, SIZE));
        uint64 larger = activeDealOf(PIECE, 2 * SIZE);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.WrongPiece.selector, id));
        status.complete(id, larger, MINER, none, verifier(PIECE, 2 * SIZE));
    }

    /// Not one of the market's four answers may be missing; each unknown exit stops the completion.
    function test_completion_stops_when_the_market_cannot_be_asked() public {
        uint256 id = status.submit(CID);
        uint64 dealId = activeDeal(LATER);
        uint64[4] memory methods = [
            Market.GET_DEAL_ACTIVATION,
            Market.GET_DEAL_PROVIDER,
            Market.GET_DEAL_DATA_COMMITMENT,
            Market.GET_DEAL_TERM
        ];
        for (uint256 i = 0; i < 4; ++i) {
            market.overrideExit(methods[i], 7);
            refuseDirect(id, dealId, abi.encodeWithSelector(Market.MarketUnavailable.selector, int256(7)));
            market.overrideExit(methods[i], 32);
            refuseDirect(
                id, dealId, abi.encodeWithSelector(IDealRegistry.DealNotActive.selector, dealId, int256(32))
            );
            market.clearOverride(methods[i]);
        }
        completeDirect(id, dealId);
    }

    function test_the_list_of_a_cid_is_capped() public {
        uint256 id = status.submitRaaS(CID, 32, 0, 0);
        uint64 first = activeDeal(NOW + 1);
        completeDirect(id, first);
        for (uint256 i = 1; i < 64; ++i) {
            completeDirect(id, activeDeal(LATER));
        }
        uint64 extra = activeDeal(LATER);
        refuseDirect(id, extra, abi.encodeWithSelector(IDealRegistry.DealListFull.selector, keccak256(CID)));
        // A second request can still be completed with the listed deals.
        completeDirect(status.submit(CID), first);
        vm.roll(NOW + 1);
        status.pruneDeals(CID, list(first));
        completeDirect(id, extra);
        eq(status.getActiveDeals(CID).length, 64, "full again");
    }

    function test_revoked_aggregators_are_out() public {
        uint256 id = status.submit(CID);
        uint64 dealId = activeDeal(LATER);
        bytes32 role = status.AGGREGATOR_ROLE();
        status.revokeRole(role, address(this));
        refuseDirect(
            id,
            dealId,
            abi.encodeWithSelector(
                IAccessControl.AccessControlUnauthorizedAccount.selector, address(this), role
            )
        );
    }

    /// B1 row 18: nothing is emitted by a refused completion, and once by an accepted one.
    function test_B1_18_the_event_stands_for_a_verified_deal() public {
        uint256 id = status.submit(CID);
        uint64 dealId = activeDeal(LATER);
        vm.recordLogs();
        completeDirect(id, dealId);
        completeDirect(id, dealId);
        uint64 second = activeDeal(LATER);
        completeDirect(id, second);
        Log[] memory logs = vm.getRecordedLogs();
        eq(logs.length, 5, "completed, recorded and bound, then completed and recorded");
        eq(logs[3].topics[0], IDealStatus.CompleteAggregatorRequest.selector, "a piece is bound once");
        eq(uint256(logs[3].topics[2]), second, "second deal");
        eq(
            logs[0].topics[0],
            IDealStatus.CompleteAggregatorRequest.selector,
            "the reference event comes first"
        );
        eq(uint256(logs[0].topics[1]), id, "id");
        eq(uint256(logs[0].topics[2]), dealId, "deal");
    }

    function everyWord(Statement memory s, bytes32[] memory path, bytes32 mask) private {
        for (uint256 i = 0; i < path.length; ++i) {
            path[i] ^= mask;
            check(!accepted(s), "path");
            path[i] ^= mask;
        }
    }

    function everyNumber(Statement memory s, uint64 mask) private {
        s.market ^= mask;
        check(!accepted(s), "market actor");
        s.market ^= mask;
        s.dealId ^= mask;
        check(!accepted(s), "deal");
        s.dealId ^= mask;
        s.provider ^= mask;
        check(!accepted(s), "provider");
        s.provider ^= mask;
        s.data.sizePc ^= mask;
        check(!accepted(s), "size");
        s.data.sizePc ^= mask;
        s.proof.proofSubtree.index ^= mask;
        check(!accepted(s), "subtree index");
        s.proof.proofSubtree.index ^= mask;
        s.proof.proofIndex.index ^= mask;
        check(!accepted(s), "entry index");
        s.proof.proofIndex.index ^= mask;
    }

    function accepted(Statement memory s) private returns (bool ok) {
        (ok,) = address(status)
            .call(abi.encodeCall(IFrc0087.complete, (s.id, s.market, s.dealId, s.provider, s.proof, s.data)));
    }

    function aggregate() private pure returns (bytes32 piece, bytes32 root, InclusionProof memory proof) {
        bytes32[] memory leaves = new bytes32[](4);
        for (uint256 i = 0; i < 4; ++i) {
            leaves[i] = bytes32((i + 1) << 8);
        }
        piece = Tree.rootOf(leaves);
        (root, proof) = Tree.aggregate(leaves, piece, 128);
    }

    function activeDealOf(bytes32 piece, uint64 size) private returns (uint64 id) {
        id = market.publish(piece, size, MINER, int64(NOW) - 10, 100_000);
        market.activate(id, int64(NOW) - 20);
    }
}
