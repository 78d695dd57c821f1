// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {DealStatus, Settings} from "../src/DealStatus.sol";
import {IDealRegistry, Policy, Submission} from "../src/IDealRegistry.sol";
import {IDealStatus, InclusionProof} from "../src/IDealStatus.sol";
import {Fixture} from "./support/Fixture.sol";
import {MinerStandIn, StandIns} from "./support/StandIns.sol";

/// Who may do what, and what happens to that when keys change hands or are lost.
contract AccessTest is Fixture {
    address private constant ADMIN = address(0xad);
    address private constant AGGREGATOR = address(0xa6);
    address private constant PAUSER = address(0x9a);
    address private constant CLIENT = address(0xc1);
    uint64 private constant LATER = NOW + 100_000;

    function setUp() public override {
        super.setUp();
        vm.warp(1_700_000_000);
        Settings memory s = settings();
        (s.admin, s.aggregator, s.pauser) = (ADMIN, AGGREGATOR, PAUSER);
        status = new DealStatus(s);
    }

    function test_the_deployer_keeps_nothing() public view {
        bytes32[3] memory roles = [bytes32(0), status.AGGREGATOR_ROLE(), status.PAUSER_ROLE()];
        address[3] memory holders = [ADMIN, AGGREGATOR, PAUSER];
        for (uint256 i = 0; i < 3; ++i) {
            check(!status.hasRole(roles[i], address(this)), "deployer");
            check(status.hasRole(roles[i], holders[i]), "holder");
        }
        check(status.defaultAdmin() == ADMIN && status.defaultAdminDelay() == 3 days, "admin");
    }

    function test_roles_may_be_given_to_nobody() public {
        Settings memory s = settings();
        (s.aggregator, s.pauser) = (address(0), address(0));
        DealStatus other = new DealStatus(s);
        check(!other.hasRole(other.AGGREGATOR_ROLE(), address(0)), "aggregator");
        check(!other.hasRole(other.PAUSER_ROLE(), address(0)), "pauser");
    }

    function test_paused_stops_writes_and_nothing_else() public {
        uint256 id = submitted();
        uint64 dealId = activeDeal(LATER);
        uint64 dying = activeDeal(LATER);
        complete(id, dealId);
        complete(id, dying);
        denied(CLIENT, status.PAUSER_ROLE());
        status.pause();
        vm.prank(PAUSER);
        status.pause();
        check(status.paused(), "paused");

        InclusionProof memory none;
        Submission[] memory one = new Submission[](1);
        one[0] = Submission(CID, Policy(1, 0, 0, 0), "", 0);
        bytes[10] memory writes = [
            abi.encodeWithSignature("submit(bytes)", CID),
            abi.encodeWithSignature("submit(bytes,bytes)", CID, CID),
            abi.encodeCall(IDealStatus.submitRaaS, (CID, 1, 0, 0)),
            abi.encodeCall(IDealRegistry.submitRaaSWithPiece, (CID, 1, 0, 0, pieceCid(PIECE), SIZE)),
            abi.encodeCall(IDealRegistry.submitRaaSMany, (one)),
            abi.encodeCall(IDealRegistry.updateRequest, (id, Policy(2, 0, 0, 0))),
            abi.encodeCall(IDealRegistry.bindPiece, (id, pieceCid(PIECE), SIZE)),
            abi.encodeCall(IDealStatus.complete, (id, dealId, MINER, none, verifier(PIECE, SIZE))),
            abi.encodeWithSignature("onchain_complete(uint256,uint64,uint64,uint64)", id, 5, dealId, MINER),
            abi.encodeWithSignature("submitRaaS(bytes,bytes,uint256,uint256,uint256)", CID, CID, 1, 0, 0)
        ];
        for (uint256 i = 0; i < writes.length; ++i) {
            vm.prank(i == 6 || i == 7 || i == 8 ? AGGREGATOR : CLIENT);
            (bool ok, bytes memory why) = address(status).call(writes[i]);
            check(!ok && bytes4(why) == Pausable.EnforcedPause.selector, vm.toString(i));
        }
        MinerStandIn miner = StandIns.miner(vm, MINER);
        (bool taken,) = miner.notify(address(status), 2034386435, 0x51, hex"80");
        check(!taken, "notifications");

        // Queries, pruning and cancelling go on.
        market.remove(dying);
        eqIds(status.getActiveDeals(CID), list(dealId), "queries");
        status.pruneDeals(CID, list(dying));
        eqIds(status.getAllDeals(CID), list(dealId), "pruning");
        vm.prank(CLIENT);
        status.cancelRequest(id);
        check(!status.getRequest(id).open, "cancelling");

        denied(CLIENT, status.PAUSER_ROLE());
        status.unpause();
        vm.prank(PAUSER);
        status.unpause();
        submitted();
    }

    function test_a_restricted_deployment_takes_named_submitters_only() public {
        Settings memory s = settings();
        (s.admin, s.restricted) = (ADMIN, true);
        status = new DealStatus(s);
        bytes32 role = status.SUBMITTER_ROLE();
        denied(CLIENT, role);
        status.submit(CID);
        vm.prank(ADMIN);
        status.grantRole(role, CLIENT);
        submitted();
    }

    function test_named_submitters_have_no_limit() public {
        Settings memory s = settings();
        (s.maxOpenRequests, s.submitter) = (2, address(0x5b));
        status = new DealStatus(s);
        for (uint256 i = 0; i < 3; ++i) {
            vm.prank(address(0x5b));
            status.submit(CID);
        }
        submitted();
        uint256 second = submitted();
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.TooManyOpenRequests.selector, CLIENT, 2));
        vm.prank(CLIENT);
        status.submit(CID);
        vm.prank(CLIENT);
        status.cancelRequest(second);
        submitted();
        eq(status.openRequestsOf(CLIENT), 2, "open");
        status.grantRole(status.SUBMITTER_ROLE(), CLIENT);
        submitted();
        eq(status.openRequestsOf(CLIENT), 3, "open");
    }

    function test_the_successor_is_named_once() public {
        address next = address(0x5cc);
        check(status.successor() == address(0), "none");
        denied(CLIENT, bytes32(0));
        status.setSuccessor(next);
        vm.startPrank(ADMIN);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.InvalidSuccessor.selector, address(0)));
        status.setSuccessor(address(0));
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.InvalidSuccessor.selector, address(status)));
        status.setSuccessor(address(status));
        vm.expectEmit();
        emit IDealRegistry.SuccessorSet(next);
        status.setSuccessor(next);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.SuccessorAlreadySet.selector, next));
        status.setSuccessor(address(0x77));
        vm.stopPrank();
        check(status.successor() == next, "told");
        submitted();
    }

    /// In two steps with a delay; until the second the old admin stays and can take it back.
    function test_attack_admin_handed_over() public {
        address next = address(0x2222);
        vm.prank(ADMIN);
        status.beginDefaultAdminTransfer(next);
        vm.expectRevert();
        vm.prank(next);
        status.acceptDefaultAdminTransfer();
        vm.warp(block.timestamp + 3 days);
        vm.expectRevert();
        vm.prank(next);
        status.acceptDefaultAdminTransfer();
        // A thief who began it is stopped by the owner within the delay.
        vm.prank(ADMIN);
        status.cancelDefaultAdminTransfer();
        vm.warp(block.timestamp + 3 days);
        vm.expectRevert();
        vm.prank(next);
        status.acceptDefaultAdminTransfer();
        vm.prank(ADMIN);
        status.beginDefaultAdminTransfer(next);
        vm.warp(block.timestamp + 3 days + 1);
        vm.prank(next);
        status.acceptDefaultAdminTransfer();
        check(status.defaultAdmin() == next, "handed over");
        denied(ADMIN, bytes32(0));
        status.changeMaxReplications(1);
        // The role cannot be given away past the rules.
        vm.expectRevert();
        vm.prank(next);
        status.grantRole(bytes32(0), address(0x3333));
    }

    /// Without an admin everything goes on; only roles and limits stay as they are.
    function test_attack_admin_key_lost() public {
        vm.prank(ADMIN);
        status.beginDefaultAdminTransfer(address(0));
        vm.warp(block.timestamp + 3 days + 1);
        vm.prank(ADMIN);
        status.renounceRole(bytes32(0), ADMIN);
        check(status.defaultAdmin() == address(0), "nobody");
        uint256 id = submitted();
        uint64 dealId = activeDeal(LATER);
        complete(id, dealId);
        eqIds(status.getActiveDeals(CID), list(dealId), "queries");
        vm.prank(PAUSER);
        status.pause();
        vm.prank(CLIENT);
        status.cancelRequest(id);
        bytes32 role = status.AGGREGATOR_ROLE();
        denied(ADMIN, bytes32(0));
        status.grantRole(role, ADMIN);
    }

    function submitted() private returns (uint256) {
        vm.prank(CLIENT);
        return status.submitRaaS(CID, 1, 0, 0);
    }

    function complete(uint256 id, uint64 dealId) private {
        vm.prank(AGGREGATOR);
        completeDirect(id, dealId);
    }

    /// The next call, by `who`, is refused for the lack of a role.
    function denied(address who, bytes32 role) private {
        vm.expectRevert(
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, who, role)
        );
        vm.prank(who);
    }
}
