// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDealRegistry, Request} from "../src/IDealRegistry.sol";
import {IDealStatus, InclusionAuxData, InclusionProof} from "../src/IDealStatus.sol";
import {IFrc0087, IFrc0087Enumeration, MarketDeal} from "../src/IFrc0087.sol";
import {Podsi} from "../src/Podsi.sol";
import {Fixture} from "./support/Fixture.sol";
import {Tree} from "./support/Tree.sol";

contract Frc0087Test is Fixture {
    uint64 private constant LATER = NOW + 100_000;
    bytes private constant LINK = "https://example.org/piece";

    IFrc0087 private frc;

    function setUp() public override {
        super.setUp();
        frc = status;
    }

    function test_submit_emits_the_three_events() public {
        vm.expectEmit();
        emit IDealStatus.SubmitAggregatorRequest(1, CID);
        vm.expectEmit();
        emit IDealRegistry.RequestRegistered(1, keccak256(CID), address(this));
        vm.expectEmit();
        emit IDealRegistry.FetchLink(1, LINK);
        eq(frc.submit(CID, LINK), 1, "id");
        vm.expectEmit();
        emit IDealStatus.SubmitAggregatorRequestWithRaaS(2, CID, 3, 10, 20);
        vm.expectEmit();
        emit IDealRegistry.RequestRegistered(2, keccak256(CID), address(this));
        vm.expectEmit();
        emit IDealRegistry.FetchLink(2, LINK);
        eq(frc.submitRaaS(CID, LINK, 3, 10, 20), 2, "id");
        eq(status.getRequest(2).policy.target, 3, "policy");
        vm.recordLogs();
        frc.submit(CID, "");
        eq(vm.getRecordedLogs().length, 2, "no link, no event");
    }

    function test_links_are_bounded() public {
        frc.submit(CID, new bytes(2048));
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.InvalidFetchLinkLength.selector, 2049));
        frc.submit(CID, new bytes(2049));
    }

    function test_complete_names_the_market_actor() public {
        uint256 id = frc.submit(CID, LINK);
        uint64 dealId = activeDeal(LATER);
        InclusionProof memory none;
        vm.expectEmit();
        emit IDealStatus.CompleteAggregatorRequest(id, dealId);
        vm.expectEmit();
        emit IDealRegistry.DealRecorded(id, 5, dealId, MINER, pieceCid(PIECE), SIZE, LATER);
        InclusionAuxData memory aux = frc.complete(id, 5, dealId, MINER, none, verifier(PIECE, SIZE));
        eq(aux.commPa, pieceCid(PIECE), "aux");
        // The same through the reference's function is the same claim.
        vm.recordLogs();
        completeDirect(id, dealId);
        eq(vm.getRecordedLogs().length, 0, "repeat");
        uint64[3] memory others = [uint64(0), 4, 100_042];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IDealRegistry.UnsupportedMarket.selector, others[i]));
            frc.complete(id, others[i], dealId, MINER, none, verifier(PIECE, SIZE));
        }
    }

    function test_complete_refuses_what_cannot_be_verified() public {
        (bytes32 piece, bytes32 root, InclusionProof memory proof) = aggregate();
        uint256 id = frc.submit(CID, LINK);
        uint64 dealId = dealOf(root, Tree.DEAL_SIZE);
        proof.proofIndex.path[0] ^= bytes32(uint256(1) << 100);
        vm.expectRevert(Podsi.CommitmentsDiffer.selector);
        frc.complete(id, 5, dealId, MINER, proof, verifier(piece, 128));
        proof.proofIndex.path[0] ^= bytes32(uint256(1) << 100);
        frc.complete(id, 5, dealId, MINER, proof, verifier(piece, 128));
    }

    /// The client's piece CID names the piece, so nobody can complete with another one.
    function test_a_piece_cid_binds_its_piece() public {
        uint256 v1 = frc.submit(pieceCid(PIECE), LINK);
        Request memory r = status.getRequest(v1);
        eq(r.pieceCid, pieceCid(PIECE), "commitment");
        eq(r.pieceSize, 0, "size unknown");
        bytes32 other = bytes32(uint256(0x9900));
        uint64 foreign = dealOf(other, SIZE);
        InclusionProof memory none;
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.WrongPiece.selector, v1));
        frc.complete(v1, 5, foreign, MINER, none, verifier(other, SIZE));
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.WrongPiece.selector, v1));
        status.bindPiece(v1, pieceCid(other), SIZE);

        // Version 2 tells the size: height 6 is 2048 bytes.
        bytes memory v2 = abi.encodePacked(hex"01559120220006", PIECE);
        uint256 id = frc.submit(v2, LINK);
        r = status.getRequest(id);
        eq(r.pieceSize, SIZE, "size");
        uint64 dealId = activeDeal(LATER);
        frc.complete(id, 5, dealId, MINER, none, verifier(PIECE, SIZE));
        uint64 larger = dealOf(PIECE, 2 * SIZE);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.WrongPiece.selector, id));
        frc.complete(id, 5, larger, MINER, none, verifier(PIECE, 2 * SIZE));
    }

    function test_onchain_complete_where_the_piece_is_the_deal() public {
        uint64 dealId = activeDeal(LATER);
        uint256 plain = status.submit(CID);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.PieceNotBound.selector, plain));
        status.onchain_complete(plain, 5, dealId, MINER);
        status.bindPiece(plain, pieceCid(PIECE), SIZE);
        vm.expectEmit();
        emit IDealStatus.CompleteAggregatorRequest(plain, dealId);
        status.onchain_complete(plain, 5, dealId, MINER);
        eqIds(status.getActiveDeals(CID), list(dealId), "active");
        // Again, and through the other function: the same claim.
        vm.recordLogs();
        status.onchain_complete(plain, 5, dealId, MINER);
        completeDirect(plain, dealId);
        eq(vm.getRecordedLogs().length, 0, "repeat");
    }

    /// A commitment alone is known: the deal's size is attested by the aggregator, and bound.
    function test_onchain_complete_of_a_piece_cid() public {
        uint256 id = frc.submit(pieceCid(PIECE), LINK);
        uint64 wrong = dealOf(bytes32(uint256(0x9900)), SIZE);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.WrongDealPiece.selector, wrong));
        status.onchain_complete(id, 5, wrong, MINER);
        uint64 dealId = activeDeal(LATER);
        status.onchain_complete(id, 5, dealId, MINER);
        eq(status.getRequest(id).pieceSize, SIZE, "bound");
        uint64 larger = dealOf(PIECE, 2 * SIZE);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.WrongDealPiece.selector, larger));
        status.onchain_complete(id, 5, larger, MINER);
        // A deal of a size that no piece has binds nothing.
        uint256 second = frc.submit(pieceCid(PIECE), LINK);
        uint64 odd = dealOf(PIECE, 100);
        vm.expectRevert(abi.encodeWithSelector(Podsi.InvalidPieceSize.selector, 100));
        status.onchain_complete(second, 5, odd, MINER);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.DealNotActive.selector, 999, int256(17)));
        status.onchain_complete(second, 5, 999, MINER);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.UnsupportedMarket.selector, 6));
        status.onchain_complete(second, 6, dealId, MINER);
    }

    function test_enumeration_is_paged() public {
        uint256 id = frc.submit(CID, LINK);
        frc.submit("another", LINK);
        IFrc0087Enumeration e = status;
        bytes[] memory cids = e.getAllCIDs(1, 50);
        eq(cids.length, 1, "one left");
        eq(cids[0], "another", "the second");
        eq(e.getAllCIDs(2, 1).length, 0, "beyond");
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.PageTooLarge.selector, 51, 50));
        e.getAllCIDs(0, 51);

        uint64[] memory made = new uint64[](5);
        for (uint256 i = 0; i < 5; ++i) {
            made[i] = activeDeal(LATER + uint64(i));
            completeDirect(id, made[i]);
        }
        MarketDeal[] memory deals = e.getAllDeals(CID, 1, 3);
        eq(deals.length, 3, "a page");
        for (uint256 i = 0; i < 3; ++i) {
            eq(abi.encode(deals[i]), abi.encode(MarketDeal(made[i + 1], MINER, 5)), "deal");
        }
        eq(e.getAllDeals(CID, 4, type(uint64).max).length, 1, "the rest");
        eq(e.getAllDeals(CID, 5, 1).length, 0, "beyond");
        eq(e.getAllDeals("unknown", 0, 10).length, 0, "unknown");
    }

    function aggregate() private pure returns (bytes32 piece, bytes32 root, InclusionProof memory proof) {
        bytes32[] memory leaves = new bytes32[](4);
        leaves[2] = bytes32(uint256(0x5500));
        piece = Tree.rootOf(leaves);
        (root, proof) = Tree.aggregate(leaves, piece, 128);
    }

    function dealOf(bytes32 piece, uint64 size) private returns (uint64 id) {
        id = market.publish(piece, size, MINER, int64(NOW) - 10, 100_000);
        market.activate(id, int64(NOW) - 20);
    }
}
