// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IDealRegistry} from "../src/IDealRegistry.sol";
import {IDealStatus} from "../src/IDealStatus.sol";
import {Request} from "../src/IDealRegistry.sol";
import {DealStatus} from "../src/DealStatus.sol";
import {PieceCid} from "../src/PieceCid.sol";
import {Podsi} from "../src/Podsi.sol";
import {Fixture} from "./support/Fixture.sol";

contract RequestsTest is Fixture {
    address private constant CLIENT = address(0xc11e);

    function test_ids_count_from_one_and_are_dense() public {
        eq(status.requestCount(), 0, "none");
        eq(status.submit(CID), 1, "first");
        eq(status.submitRaaS(CID, 2, 0, 0), 2, "second");
        eq(status.submitRaaSWithPiece(CID, 2, 0, 0, pieceCid(PIECE), SIZE), 3, "third");
        eq(status.requestCount(), 3, "count");
    }

    function test_submit_emits_the_reference_event() public {
        vm.expectEmit();
        emit IDealStatus.SubmitAggregatorRequest(1, CID);
        vm.expectEmit();
        emit IDealRegistry.RequestRegistered(1, keccak256(CID), CLIENT);
        vm.prank(CLIENT);
        status.submit(CID);
    }

    function test_submitRaaS_emits_the_reference_event() public {
        vm.expectEmit();
        emit IDealStatus.SubmitAggregatorRequestWithRaaS(1, CID, 3, 2880, 86_400);
        vm.expectEmit();
        emit IDealRegistry.RequestRegistered(1, keccak256(CID), CLIENT);
        vm.prank(CLIENT);
        status.submitRaaS(CID, 3, 2880, 86_400);
    }

    /// B1 row 11: a node that missed the event can still read owner and policy.
    function testFuzz_B1_11_requests_are_stored(
        address owner,
        bytes memory cid,
        uint256 target,
        uint256 repair,
        uint256 renew
    ) public {
        if (cid.length == 0 || cid.length > 128) cid = CID;
        target = bound(target, 1, 32);
        repair = bound(repair, 0, 1 << 62);
        renew = bound(renew, 0, 1 << 62);
        vm.prank(owner);
        status.submitRaaS(cid, target, repair, renew);
        Request memory r = status.getRequest(1);
        check(r.owner == owner, "owner");
        eq(r.cid, cid, "cid");
        eq(r.policy.target, target, "target");
        eq(r.policy.repairThreshold, repair, "repair");
        eq(r.policy.renewThreshold, renew, "renew");
        eq(r.pieceCid, "", "no piece");
        eq(r.pieceSize, 0, "no size");
    }

    function test_a_plain_request_has_no_policy() public {
        status.submit(CID);
        eq(status.getRequest(1).policy.target, 0, "target");
    }

    /// B1 row 12.
    function test_B1_12_parameters_are_validated() public {
        uint256[3] memory targets = [uint256(0), 33, type(uint256).max];
        for (uint256 i = 0; i < targets.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IDealRegistry.InvalidTarget.selector, targets[i], 32));
            status.submitRaaS(CID, targets[i], 0, 0);
        }
        uint256 over = (1 << 62) + 1;
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.InvalidThreshold.selector, over));
        status.submitRaaS(CID, 1, over, 0);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.InvalidThreshold.selector, over));
        status.submitRaaS(CID, 1, 0, over);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.InvalidCidLength.selector, 0));
        status.submit("");
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.InvalidCidLength.selector, 129));
        status.submitRaaS(new bytes(129), 1, 0, 0);
        status.submit(new bytes(128));
        eq(status.requestCount(), 1, "nothing half-registered");
    }

    function test_admin_lowers_the_largest_target() public {
        eq(status.getMaxReplications(), 32, "default");
        status.changeMaxReplications(4);
        eq(status.getMaxReplications(), 4, "changed");
        status.submitRaaS(CID, 4, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.InvalidTarget.selector, 5, 4));
        status.submitRaaS(CID, 5, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.InvalidMaxReplications.selector, 0));
        status.changeMaxReplications(0);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.InvalidMaxReplications.selector, 33));
        status.changeMaxReplications(33);
        denied(CLIENT, bytes32(0));
        status.changeMaxReplications(5);
    }

    function test_a_client_binds_its_own_piece() public {
        vm.expectEmit();
        emit IDealRegistry.PieceBound(1, pieceCid(PIECE), SIZE, CLIENT);
        vm.prank(CLIENT);
        status.submitRaaSWithPiece(CID, 1, 0, 0, pieceCid(PIECE), SIZE);
        Request memory r = status.getRequest(1);
        eq(r.pieceCid, pieceCid(PIECE), "piece");
        eq(r.pieceSize, SIZE, "size");
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.PieceAlreadyBound.selector, 1));
        status.bindPiece(1, pieceCid(PIECE), SIZE);
    }

    function test_an_aggregator_binds_a_piece_once() public {
        status.submit(CID);
        denied(CLIENT, status.AGGREGATOR_ROLE());
        status.bindPiece(1, pieceCid(PIECE), SIZE);
        status.bindPiece(1, pieceCid(PIECE), SIZE);
        eq(status.getRequest(1).pieceSize, SIZE, "bound");
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.PieceAlreadyBound.selector, 1));
        status.bindPiece(1, pieceCid(PIECE), SIZE);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.RequestNotFound.selector, 2));
        status.bindPiece(2, pieceCid(PIECE), SIZE);
    }

    function test_only_real_pieces_are_bound() public {
        vm.expectRevert(abi.encodeWithSelector(Podsi.InvalidPieceSize.selector, 0));
        status.submitRaaSWithPiece(CID, 1, 0, 0, pieceCid(PIECE), 0);
        bytes[5] memory bad = [
            bytes(""),
            abi.encodePacked(PIECE),
            // With the link prefix, with another codec, and beyond 254 bits (F10).
            abi.encodePacked(hex"00", pieceCid(PIECE)),
            abi.encodePacked(hex"0182e203922020", PIECE),
            pieceCid(PIECE | bytes32(uint256(0x40)))
        ];
        for (uint256 i = 0; i < bad.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(PieceCid.InvalidPieceCid.selector));
            status.submitRaaSWithPiece(CID, 1, 0, 0, bad[i], SIZE);
        }
        eq(status.requestCount(), 0, "nothing half-registered");
    }

    /// B1 row 19: distinct CIDs, and in pages.
    function test_B1_19_cids_are_distinct_and_paged() public {
        for (uint256 i = 0; i < 60; ++i) {
            status.submit(abi.encodePacked("cid", uint8(i)));
            status.submitRaaS(abi.encodePacked("cid", uint8(i / 2)), 1, 0, 0);
        }
        eq(status.requestCount(), 120, "requests");
        eq(status.cidCount(), 60, "contents");
        bytes[] memory all = status.getAllCIDs();
        eq(all.length, 60, "all");
        bytes[] memory page = status.getCIDsPage(0, 50);
        eq(page.length, 50, "full page");
        for (uint256 i = 0; i < 60; ++i) {
            eq(all[i], abi.encodePacked("cid", uint8(i)), "order of first request");
            if (i < 50) eq(page[i], all[i], "page");
        }
        page = status.getCIDsPage(50, 50);
        eq(page.length, 10, "rest");
        eq(page[9], all[59], "last");
        eq(status.getCIDsPage(60, 1).length, 0, "beyond");
        eq(status.getCIDsPage(type(uint256).max, 50).length, 0, "far beyond");
        eq(status.getCIDsPage(3, 0).length, 0, "empty");
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.PageTooLarge.selector, 51, 50));
        status.getCIDsPage(0, 51);
    }

    function test_unknown_requests_are_an_error() public {
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.RequestNotFound.selector, 0));
        status.getRequest(0);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.RequestNotFound.selector, 1));
        status.getRequest(1);
    }

    function test_version() public view {
        eq(bytes(status.version()), "3.0.0", "version");
    }

    function denied(address who, bytes32 role) private {
        vm.expectRevert(
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, who, role)
        );
        vm.prank(who);
    }
}
