// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDealRegistry, Policy, Request} from "../../src/IDealRegistry.sol";
import {IDealStatus, InclusionProof} from "../../src/IDealStatus.sol";
import {IFrc0087} from "../../src/IFrc0087.sol";
import {SectorStatus} from "../../src/Miner.sol";
import {Bytes, MinerStandIn, StandIns} from "../support/StandIns.sol";
import {AccountAccess, Log} from "../support/Vm.sol";
import {Rows} from "./Rows.sol";

/// Rows 1 to 14 of list B1: the contract.
abstract contract ContractRows is Rows {
    /// `end` was a duration.
    function test_B01_end_is_start_plus_duration() public {
        uint64 dealId = aggregateDeal(4_500_000, 500_100);
        market.activate(dealId, 4_499_000);
        check(completed(id, dealId), "set-up");
        eqList(expiring(1000, "B01: answers"), list(dealId), "B01: it ends in 100 epochs");
        eqList(expiring(99, "B01: answers"), list(), "B01: not within 99");
    }

    /// -1 was read as 0.
    function test_B02_never_activated_deals_are_not_active() public {
        uint64 dealId = aggregateDeal(int64(NOW) - 10, 100_000);
        completed(id, dealId);
        eqList(active("B02: answers"), list(), "B02: published is not active");
    }

    /// One removed deal ended the query.
    function test_B03_one_gone_deal_does_not_spoil_the_query() public {
        uint64 settled = recorded(LATER);
        uint64 live = recorded(LATER);
        market.remove(settled);
        eqList(active("B03: exit 32 is no error"), list(live), "B03: the other one");
        market.skipTo(1);
        eqList(active("B03: exit 17 is no error"), list(live), "B03: the other one");
    }

    /// Anybody could complete, with any deal id.
    function test_B04_strangers_cannot_poison_a_cid() public {
        uint64 live = recorded(LATER);
        vm.prank(STRANGER);
        completed(id, type(uint64).max);
        eqList(active("B04: queries still answer"), list(live), "B04: nothing was added");
    }

    /// Nothing tied deal, piece and request.
    function test_B05_deal_piece_and_request_are_tied() public {
        uint64 foreign = market.publish(bytes32(uint256(0x4200)), 1024, MINER, int64(NOW) - 10, 100_000);
        market.activate(foreign, int64(NOW) - 20);
        completed(id, foreign);
        eqIds(subject.getAllDeals(CID), list(), "B05: a deal with other data was recorded");
    }

    /// The first one said who the provider is.
    function test_B06_provider_is_the_deals_provider() public {
        uint64 dealId = activeAggregate(LATER);
        (bool ok,) = address(subject).call(completion(id, dealId, 666));
        completed(id, dealId);
        check(!ok, "B06: another provider was accepted");
        eq(subject.getAllDeals(CID)[0].minerId, MINER, "B06: provider");
    }

    /// What drops out of an answer left a hole in it.
    function test_B07_answers_have_no_holes() public {
        recorded(NOW + 10);
        recorded(NOW + 20);
        uint64[] memory got = expiring(1, "B07: answers");
        for (uint256 i = 0; i < got.length; ++i) {
            check(got[i] != 0, "B07: a hole");
        }
        eq(got.length, 0, "B07: nothing ends so soon");
    }

    /// Over but not settled was active.
    function test_B08_ended_but_unsettled_deals_are_not_active() public {
        uint64 dealId = recorded(NOW + 50);
        vm.roll(NOW + 49);
        eqList(active("B08: answers"), list(dealId), "B08: last epoch");
        vm.roll(NOW + 50);
        eqList(active("B08: answers"), list(), "B08: end epoch");
    }

    /// A window longer than the duration was a panic.
    function test_B09_long_windows_do_not_overflow() public {
        uint64 dealId = recorded(NOW + 50);
        eqList(expiring(type(uint64).max, "B09: no panic"), list(dealId), "B09: everything ends");
        eqList(expiring(NOW, "B09: no panic"), list(dealId), "B09: before epoch 0");
    }

    /// Forged entries made everything dearer.
    function test_B10_strangers_cannot_make_it_dear() public {
        uint256 before = gasOfCompletion();
        vm.startPrank(STRANGER);
        for (uint64 i = 0; i < 100; ++i) {
            completed(id, 1_000_000 + i);
        }
        vm.stopPrank();
        uint256 afterwards = gasOfCompletion();
        check(afterwards < before + before / 10, "B10: a completion became dearer");
        check(subject.getAllDeals(CID).length == 2, "B10: forged entries");
    }

    /// The policy was only in an event.
    function test_B11_policies_can_be_read() public {
        Request memory r = request("B11: a request can be read");
        check(r.owner == address(this) && r.open, "B11: owner");
        eq(r.cid, CID, "B11: cid");
        check(
            r.policy.target == 3 && r.policy.repairThreshold == 2880 && r.policy.renewThreshold == 1000,
            "B11: policy"
        );
    }

    /// Any number was a parameter.
    function test_B12_parameters_are_validated() public {
        uint256[4] memory targets = [uint256(0), 33, 1 << 32, type(uint256).max];
        for (uint256 i = 0; i < targets.length; ++i) {
            refused(abi.encodeCall(IDealStatus.submitRaaS, (CID, targets[i], 0, 0)), "B12: target");
        }
        uint256 over = uint256(uint64(type(int64).max)) + 1;
        refused(abi.encodeCall(IDealStatus.submitRaaS, (CID, 1, over, 0)), "B12: repair threshold");
        refused(abi.encodeCall(IDealStatus.submitRaaS, (CID, 1, 0, over)), "B12: renew threshold");
        must(abi.encodeCall(IDealStatus.submitRaaS, (CID, 32, 0, 0)), "B12: control");
    }

    /// Nobody owned a request; another's parameters for the same CID made it undefined which hold.
    function test_B13_requests_have_owners_and_ends() public {
        vm.prank(STRANGER);
        subject.submitRaaS(CID, 1, 5, 5);
        Request memory r = request("B13: a request can be read");
        check(r.owner == address(this) && r.policy.repairThreshold == 2880, "B13: mine is as it was");

        Policy memory other = Policy(5, 10, 20, NOW + 100);
        vm.prank(STRANGER);
        refused(abi.encodeCall(IDealRegistry.updateRequest, (id, other)), "B13: changed by another");
        vm.prank(STRANGER);
        refused(abi.encodeCall(IDealRegistry.cancelRequest, (id)), "B13: cancelled by another");
        must(abi.encodeCall(IDealRegistry.updateRequest, (id, other)), "B13: changed by its owner");
        eq(abi.encode(request("B13: answers").policy), abi.encode(other), "B13: the new policy");
        vm.roll(NOW + 99);
        vm.prank(STRANGER);
        refused(abi.encodeCall(IDealRegistry.cancelRequest, (id)), "B13: closed before its end");
        vm.roll(NOW + 100);
        vm.prank(STRANGER);
        must(abi.encodeCall(IDealRegistry.cancelRequest, (id)), "B13: whoever comes closes what is over");
        check(!request("B13: answers").open, "B13: closed");
    }

    /// Bytes without end, and requests without end.
    function test_B14_submissions_are_bounded() public {
        refused(abi.encodeCall(IDealStatus.submit, (new bytes(129))), "B14: a long CID");
        vm.startPrank(STRANGER);
        for (uint256 i = 0; i < 1000; ++i) {
            subject.submit(CID);
        }
        refused(abi.encodeCall(IDealStatus.submit, (CID)), "B14: one open request too many");
        vm.stopPrank();
        must(abi.encodeCall(IDealStatus.submit, (CID)), "B14: others still may");
    }

    // ---- Rows 15 to 27

    /// Two deals with one provider were two copies.
    function test_B15_distinct_providers_are_counted() public {
        recorded(LATER);
        recorded(LATER);
        bytes memory answer = must(abi.encodeWithSignature("replicas(bytes)", CID), "B15: answers");
        (uint256 count, uint256 providers) = abi.decode(answer, (uint256, uint256));
        check(count == 2 && providers == 1, "B15: two deals, one provider");
    }

    /// Request 0 "completed" the empty CID.
    function test_B16_unknown_request_ids_are_refused() public {
        uint256[3] memory unknown = [uint256(0), id + 1, type(uint256).max];
        for (uint256 i = 0; i < unknown.length; ++i) {
            check(!completed(unknown[i], activeAggregate(LATER)), "B16: an unknown request was completed");
        }
        eqIds(subject.getAllDeals(""), list(), "B16: empty CID");
    }

    /// Three spellings of one CID were three contents.
    function test_B17_spellings_of_a_cid_are_one_content() public {
        bytes memory text = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
        subject.submit(text);
        subject.submit(abi.encodePacked(hex"00", CID));
        uint64 dealId = recorded(LATER);
        eq(subject.getAllCIDs().length, 1, "B17: one content");
        eqIds(subject.getAllDeals(text), list(dealId), "B17: text");
        eqIds(subject.getAllDeals(abi.encodePacked(hex"00", CID)), list(dealId), "B17: link");
    }

    /// The event came before the verification, and again for a duplicate.
    function test_B18_one_event_for_one_verified_deal() public {
        uint64 dealId = activeAggregate(LATER);
        vm.recordLogs();
        completed(id, dealId);
        completed(id, dealId);
        Log[] memory logs = vm.getRecordedLogs();
        uint256 events = 0;
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] == IDealStatus.CompleteAggregatorRequest.selector) ++events;
        }
        eq(events, 1, "B18: events");
    }

    /// Every request again, and all at once.
    function test_B19_cids_are_distinct_and_paged() public {
        subject.submit(CID);
        subject.submit("another");
        eq(subject.getAllCIDs().length, 2, "B19: distinct");
        bytes memory answer = must(abi.encodeCall(IDealRegistry.getCIDsPage, (1, 50)), "B19: pages");
        eq(abi.encode(abi.decode(answer, (bytes[]))[0]), abi.encode(bytes("another")), "B19: the second");
    }

    /// Nothing was ever removed.
    function test_B20_dead_deals_can_be_pruned() public {
        uint64 gone = recorded(LATER);
        uint64 ended = recorded(NOW + 5);
        uint64 live = recorded(LATER);
        vm.roll(NOW + 5);
        market.remove(gone);
        vm.startPrank(STRANGER);
        must(abi.encodeCall(IDealRegistry.pruneDeals, (CID, list(gone, ended))), "B20: pruned by anyone");
        refused(abi.encodeCall(IDealRegistry.pruneDeals, (CID, list(live))), "B20: pruned though live");
        vm.stopPrank();
        eqIds(subject.getAllDeals(CID), list(live), "B20: the live one stays");
    }

    /// The queries called their own contract, and their ABI made transactions of them.
    function test_B21_queries_are_views_without_a_call_of_themselves() public {
        recorded(LATER);
        for (uint256 i = 0; i < 2; ++i) {
            bytes memory query = i == 0
                ? abi.encodeCall(IDealStatus.getActiveDeals, (CID))
                : abi.encodeCall(IDealStatus.getExpiringDeals, (CID, 1));
            vm.startStateDiffRecording();
            must(query, "B21: answers");
            check(!callsItself(), "B21: calls itself");
        }
        string memory json = vm.readFile(abiPath());
        string[2] memory names = ["getActiveDeals", "getExpiringDeals"];
        for (uint256 i = 0; i < 2; ++i) {
            check(isView(json, names[i]), "B21: not a view");
        }
    }

    /// Not activated "expired", and a deal at its end still did.
    function test_B22_only_active_deals_expire() public {
        // Start 0: here a duration is an end.
        uint64 dealId = aggregateDeal(0, int64(NOW) + 10);
        market.activate(dealId, 0);
        check(completed(id, dealId), "set-up");
        vm.roll(NOW + 9);
        eqList(expiring(100, "B22: answers"), list(dealId), "B22: last epoch");
        vm.roll(NOW + 10);
        eqList(expiring(100, "B22: answers"), list(), "B22: at its end epoch");
        vm.roll(NOW);
        market.activate(dealId, -1);
        eqList(expiring(100, "B22: answers"), list(), "B22: not activated");
    }

    /// Nobody served a plain request: there was nothing to find it by.
    function test_B23_plain_requests_can_be_found() public {
        vm.recordLogs();
        uint256 plain = subject.submit(CID);
        Log[] memory logs = vm.getRecordedLogs();
        bool found = false;
        for (uint256 i = 0; i < logs.length; ++i) {
            found = found
                || (logs[i].topics[0] == IDealRegistry.RequestRegistered.selector
                    && uint256(logs[i].topics[1]) == plain
                    && logs[i].topics[2] == keccak256(CID));
        }
        check(found, "B23: an event that filters by CID and owner");
    }

    /// Only f05 deals could be recorded.
    function test_B24_sector_pieces_can_be_recorded() public {
        MinerStandIn miner = StandIns.miner(vm, MINER);
        miner.put(7, 1, 2, 3, LATER);
        (bool ok,) = miner.notify(address(subject), 2034386435, 0x51, notification(uint64(id)));
        check(ok, "B24: the notification is taken");
        bytes memory answer = must(abi.encodeCall(IDealRegistry.sectorMarket, ()), "B24: own market");
        uint64 own = abi.decode(answer, (uint64));
        uint64 dealId = 1 << 63;
        must(
            abi.encodeCall(IFrc0087.complete, (id, own, dealId, MINER, proof, verifier(piece, 128))),
            "B24: completed"
        );
        answer = must(abi.encodeWithSignature("replicas(bytes)", CID), "B24: counted");
        eq(abi.decode(answer, (uint256)), 1, "B24: one copy");
    }

    /// A piece that is the deal has no index.
    function test_B25_a_deal_without_index_can_be_completed() public {
        uint64 dealId = activeDeal(LATER);
        InclusionProof memory none;
        must(
            abi.encodeCall(IDealStatus.complete, (id, dealId, MINER, none, verifier(PIECE, SIZE))),
            "B25: the piece is the deal"
        );
        eqList(active("B25: answers"), list(dealId), "B25: active");
    }

    /// "Active" says nothing of faults: who wants to know asks for the sector.
    function test_B26_faults_can_be_asked_for() public {
        MinerStandIn miner = StandIns.miner(vm, MINER);
        uint64 dealId = recorded(LATER);
        market.putInto(dealId, 9);
        miner.put(9, 2, 1, 1, LATER);
        eqList(active("B26: answers"), list(dealId), "B26: active at the market");
        bytes memory answer = must(abi.encodeCall(IDealRegistry.sectorOf, (5, dealId)), "B26: the sector");
        (uint64 provider, uint64 sector, SectorStatus status_) =
            abi.decode(answer, (uint64, uint64, SectorStatus));
        check(provider == MINER && sector == 9, "B26: which sector");
        check(status_ == SectorStatus.Faulty, "B26: faulty");
    }

    /// Text reverts, no version, no pause, and an answer that no sender of a transaction sees.
    function test_B27_errors_version_pause_and_outcome() public {
        (bool ok, bytes memory why) = address(subject).call(completion(id + 1, activeAggregate(LATER), MINER));
        check(!ok && bytes4(why) == IDealRegistry.RequestNotFound.selector, "B27: an error with its argument");
        must(abi.encodeCall(IDealRegistry.version, ()), "B27: version");
        vm.recordLogs();
        recorded(LATER);
        Log[] memory logs = vm.getRecordedLogs();
        bool told = false;
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != IDealRegistry.DealRecorded.selector) continue;
            (, bytes memory commPa, uint64 sizePa,) =
                abi.decode(logs[i].data, (uint64, bytes, uint64, uint64));
            told = keccak256(commPa) == keccak256(pieceCid(root)) && sizePa == 1024;
        }
        check(told, "B27: the outcome is an event");
        must(abi.encodeWithSignature("pause()"), "B27: pause");
        refused(abi.encodeCall(IDealStatus.submit, (CID)), "B27: paused");
    }

    // ---- Helpers

    /// The checked-in ABI of the contract under test.
    function abiPath() internal view virtual returns (string memory);

    function request(string memory what) private returns (Request memory) {
        return abi.decode(must(abi.encodeCall(IDealRegistry.getRequest, (id)), what), (Request));
    }

    function gasOfCompletion() private returns (uint256) {
        bytes memory data = completion(id, activeAggregate(LATER), MINER);
        vm.cool(address(subject));
        uint256 before = gasleft();
        (bool ok,) = address(subject).call(data);
        uint256 used = before - gasleft();
        check(ok, "set-up");
        return used;
    }

    /// One sector, 7, with the aggregate and the request's id as payload.
    function notification(uint64 request_) private view returns (bytes memory) {
        bytes memory payload = Bytes.uint_(request_);
        return abi.encodePacked(
            hex"818307",
            Bytes.uint_(LATER),
            hex"8183",
            Bytes.link_(root),
            Bytes.uint_(1024),
            bytes1(uint8(0x40 + payload.length)),
            payload
        );
    }

    function callsItself() private returns (bool found) {
        AccountAccess[] memory accesses = vm.stopAndReturnStateDiff();
        for (uint256 i = 0; i < accesses.length; ++i) {
            // 0: call, 3: static call.
            bool isCall = accesses[i].kind == 0 || accesses[i].kind == 3;
            if (isCall && accesses[i].account == address(subject) && accesses[i].accessor == address(subject))
            {
                found = true;
            }
        }
    }

    function isView(string memory json, string memory name) private view returns (bool) {
        for (uint256 i = 0; i < 400; ++i) {
            string memory key = string.concat(abiKey(), "[", vm.toString(i), "]");
            if (!vm.keyExistsJson(json, key)) return false;
            if (!vm.keyExistsJson(json, string.concat(key, ".name"))) continue;
            if (
                keccak256(bytes(vm.parseJsonString(json, string.concat(key, ".name"))))
                    != keccak256(bytes(name))
            ) {
                continue;
            }
            return keccak256(bytes(vm.parseJsonString(json, string.concat(key, ".stateMutability"))))
                == keccak256("view");
        }
        return false;
    }

    /// Where the list of entries is in that file.
    function abiKey() internal view virtual returns (string memory);
}
