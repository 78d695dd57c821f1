// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DealStatus, Settings} from "../src/DealStatus.sol";
import {IDealRegistry, Policy, Submission} from "../src/IDealRegistry.sol";
import {IDealStatus, InclusionProof} from "../src/IDealStatus.sol";
import {Fixture} from "./support/Fixture.sol";

/// Attacks by strangers and by rival aggregators. Reentrancy is in Purse.t.sol, lost keys in Access.t.sol.
contract AttacksTest is Fixture {
    address private constant STRANGER = address(0xbad);
    uint64 private constant LATER = NOW + 100_000;

    /// 10^5 requests for the victim's CID, from 100 addresses at the limit of each: what the victim and its node
    /// do costs and answers the same.
    function test_attack_spam_of_100000_requests() public {
        uint256 id = status.submitRaaS(CID, 2, 10, 20);
        uint64 first = activeDeal(LATER);
        completeDirect(id, first);
        uint256[5] memory before = costs(id);

        Submission[] memory batch = new Submission[](50);
        for (uint256 i = 0; i < 50; ++i) {
            batch[i] = Submission(CID, Policy(2, 0, 0, 0), "", 0);
        }
        for (uint160 who = 1; who <= 100; ++who) {
            for (uint256 i = 0; i < 20; ++i) {
                vm.prank(address(uint160(STRANGER) + who));
                status.submitRaaSMany(batch);
            }
        }
        eq(status.requestCount(), 100_001, "requests");
        // Each of them is at its limit.
        address last = address(uint160(STRANGER) + 100);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.TooManyOpenRequests.selector, last, 1000));
        vm.prank(last);
        status.submit(CID);

        uint256[5] memory afterwards = costs(id);
        for (uint256 i = 0; i < 5; ++i) {
            check(afterwards[i] <= before[i] + before[i] / 50, vm.toString(i));
        }
        eq(status.getAllCIDs().length, 1, "one content");
        eq(status.getRequest(id).policy.repairThreshold, 10, "the victim's policy");
        eq(status.requestsOf(CID, 100_000, 50).length, 1, "the last page");
    }

    /// The deepest page of many distinct CIDs costs what the first costs.
    function test_attack_spam_of_distinct_cids() public {
        Settings memory s = settings();
        s.maxOpenRequests = 10_000;
        status = new DealStatus(s);
        for (uint256 i = 0; i < 5_000; ++i) {
            vm.prank(STRANGER);
            status.submit(abi.encodePacked("spam number ", bytes32(i)));
        }
        vm.cool(address(status));
        uint256 before = gasleft();
        status.getCIDsPage(0, 50);
        uint256 first = before - gasleft();
        vm.cool(address(status));
        before = gasleft();
        status.getCIDsPage(4_950, 50);
        uint256 last = before - gasleft();
        check(last <= first + first / 50, "the last page is dearer");
    }

    /// Whoever sees a completion in the mempool can neither use it nor hurt it.
    function test_attack_front_running_complete() public {
        uint256 id = status.submitRaaS(CID, 2, 0, 0);
        uint64 dealId = activeDeal(LATER);
        InclusionProof memory none;
        bytes memory seen =
            abi.encodeCall(IDealStatus.complete, (id, dealId, MINER, none, verifier(PIECE, SIZE)));
        vm.prank(STRANGER);
        (bool ok,) = address(status).call(seen);
        check(!ok, "a stranger");
        // A rival with the role who copies it does our work, and our own transaction still succeeds.
        address rival = address(0xa1);
        status.grantRole(status.AGGREGATOR_ROLE(), rival);
        vm.prank(rival);
        (ok,) = address(status).call(seen);
        check(ok, "the rival");
        (ok,) = address(status).call(seen);
        check(ok, "ours");
        // A false claim of the rival is not possible: provider and piece are the market's.
        uint64 second = activeDeal(LATER);
        vm.prank(rival);
        (ok,) = address(status)
            .call(abi.encodeCall(IDealStatus.complete, (id, second, 666, none, verifier(PIECE, SIZE))));
        check(!ok, "a false provider");
        completeDirect(id, second);
        eqIds(status.getActiveDeals(CID), list(dealId, second), "both");
    }

    /// Another's CID with other numbers: a request of its own, which changes nothing of the first.
    function test_attack_resubmission_of_anothers_cid() public {
        uint256 id = status.submitRaaSWithPiece(CID, 2, 10, 20, pieceCid(PIECE), SIZE);
        vm.startPrank(STRANGER);
        // With a worthless piece and absurd numbers.
        uint256 other =
            status.submitRaaSWithPiece(CID, 32, 1 << 62, 1 << 62, pieceCid(bytes32(uint256(0x4400))), 128);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.NotOwner.selector, id, STRANGER));
        status.updateRequest(id, Policy(1, 0, 0, 0));
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.NotOwner.selector, id, STRANGER));
        status.cancelRequest(id);
        vm.stopPrank();
        uint64 dealId = activeDeal(LATER);
        completeDirect(id, dealId);
        check(status.isCompleted(id, dealId) && !status.isCompleted(other, dealId), "the first only");
        refuseDirect(other, dealId, abi.encodeWithSelector(IDealRegistry.WrongPiece.selector, other));
        check(status.getRequest(id).policy.target == 2, "policy of the first");
        // The effective target of the CID is the greatest, so whoever pays looks at its own requests.
        (uint32 target,) = status.policyOf(CID);
        eq(target, 32, "greatest");
        vm.prank(STRANGER);
        status.cancelRequest(other);
        (target,) = status.policyOf(CID);
        eq(target, 2, "and gone with it");
    }

    /// Deal ids that do not exist, are dead, or are somebody else's: even an aggregator cannot list them.
    function testFuzz_attack_poisoning_with_bogus_deals(uint64 bogus) public {
        uint256 id = status.submitRaaS(CID, 2, 0, 0);
        uint64 live = activeDeal(LATER);
        completeDirect(id, live);
        uint64 foreign = market.publish(bytes32(uint256(0x4400)), SIZE, MINER, int64(NOW), 100);
        market.activate(foreign, 1);
        uint64 dead = activeDeal(LATER);
        market.remove(dead);
        uint64[3] memory tried = [bogus == live ? bogus + 1 : bogus, foreign, dead];
        InclusionProof memory none;
        for (uint256 i = 0; i < 3; ++i) {
            try status.complete(id, tried[i], MINER, none, verifier(PIECE, SIZE)) {
                check(false, "recorded");
            } catch {}
        }
        eqIds(status.getActiveDeals(CID), list(live), "queries answer");
        eqIds(status.getExpiringDeals(CID, type(uint64).max), list(live), "both");
        eqIds(status.getAllDeals(CID), list(live), "nothing else");
    }

    /// Pruning is open to all: it removes what is over and nothing else, however it is called.
    function test_attack_griefing_by_pruning() public {
        uint256 id = status.submitRaaS(CID, 3, 0, 0);
        uint64 live = activeDeal(LATER);
        uint64 dead = activeDeal(LATER);
        completeDirect(id, live);
        completeDirect(id, dead);
        market.remove(dead);
        vm.startPrank(STRANGER);
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.DealStillLive.selector, live));
        status.pruneDeals(CID, list(dead, live));
        vm.expectRevert(abi.encodeWithSelector(IDealRegistry.DealNotListed.selector, dead));
        status.pruneDeals(CID, list(dead, dead));
        eq(status.getAllDeals(CID).length, 2, "all or nothing");
        // With too little gas for the market's answer nothing is removed either.
        bytes memory call = abi.encodeCall(IDealRegistry.pruneDeals, (CID, list(live)));
        for (uint256 gas_ = 30_000; gas_ < 300_000; gas_ += 7_000) {
            (bool ok,) = address(status).call{gas: gas_}(call);
            check(!ok, "removed for want of gas");
        }
        status.pruneDeals(CID, list(dead));
        vm.stopPrank();
        eqIds(status.getActiveDeals(CID), list(live), "the live one stays");
        // A dead deal cannot be listed again, and its record stays.
        check(status.isCompleted(id, dead), "history");
        completeDirect(id, dead);
        eqIds(status.getAllDeals(CID), list(live), "a repeat lists nothing");
    }

    /// Starved of gas a query fails; it never answers that less is active.
    function test_attack_too_little_gas_is_never_a_shorter_answer() public {
        uint256 id = status.submitRaaS(CID, 3, 0, 0);
        for (uint256 i = 0; i < 4; ++i) {
            completeDirect(id, activeDeal(LATER));
        }
        bytes memory query = abi.encodeCall(IDealStatus.getActiveDeals, (CID));
        uint256 answered = 0;
        for (uint256 gas_ = 20_000; gas_ < 400_000; gas_ += 1_000) {
            (bool ok, bytes memory output) = address(status).staticcall{gas: gas_}(query);
            if (!ok) continue;
            ++answered;
            eq(abi.decode(output, (IDealStatus.Deal[])).length, 4, "all or nothing");
        }
        check(answered > 0, "with enough gas it answers");
    }

    /// Gas of completing, querying and reading.
    function costs(uint256 id) private returns (uint256[5] memory used) {
        uint64 dealId = activeDeal(LATER);
        InclusionProof memory none;
        bytes[5] memory calls = [
            abi.encodeCall(IDealStatus.complete, (id, dealId, MINER, none, verifier(PIECE, SIZE))),
            abi.encodeWithSignature("getExpiringDeals(bytes,uint64)", CID, uint64(1)),
            abi.encodeCall(IDealRegistry.getRequest, (id)),
            abi.encodeCall(IDealRegistry.policyOf, (CID)),
            abi.encodeCall(IDealRegistry.requestsOf, (CID, 0, 1))
        ];
        for (uint256 i = 0; i < 5; ++i) {
            vm.cool(address(status));
            uint256 before = gasleft();
            (bool ok,) = address(status).call(calls[i]);
            used[i] = before - gasleft();
            check(ok, "set-up");
        }
        market.remove(dealId);
        status.pruneDeals(CID, list(dealId));
    }
}
