// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DealStatus, Settings} from "../src/DealStatus.sol";
import {IDealRegistry, Policy, Submission} from "../src/IDealRegistry.sol";
import {Fixture} from "./support/Fixture.sol";

/// Pays with nothing but what it was given; may refuse money, or use it to call back.
contract Client {
    DealStatus private immutable _status;
    bool public refuses;
    bytes public onReceive;
    bool public calledBack;

    constructor(DealStatus status) payable {
        _status = status;
    }

    function set(bool refuses_, bytes calldata onReceive_) external {
        (refuses, onReceive) = (refuses_, onReceive_);
    }

    function call(bytes calldata data, uint256 value) external returns (bool ok, bytes memory output) {
        return address(_status).call{value: value}(data);
    }

    receive() external payable {
        require(!refuses, "no money here");
        if (onReceive.length == 0 || calledBack) return;
        calledBack = true;
        (bool ok,) = address(_status).call(onReceive);
        require(ok, "the call back failed");
    }
}

/// Value sent with requests: never the contract's, never stuck.
contract PurseTest is Fixture {
    uint256 private constant DEPOSIT = 1 ether;
    bytes private constant LINK = "https://example.org/piece";

    DealStatus private kept;
    Client private client;

    function setUp() public override {
        super.setUp();
        Settings memory s = settings();
        s.requestDeposit = DEPOSIT;
        kept = new DealStatus(s);
        client = new Client(kept);
        vm.deal(address(client), 100 ether);
    }

    function test_without_a_deposit_all_value_comes_back() public {
        Client payer = new Client(status);
        vm.deal(address(payer), 10 ether);
        (bool ok,) = payer.call(abi.encodeWithSignature("submit(bytes,bytes)", CID, LINK), 3 ether);
        check(ok, "submitted");
        (ok,) = payer.call(
            abi.encodeWithSignature(
                "submitRaaS(bytes,bytes,uint256,uint256,uint256)",
                CID,
                LINK,
                uint256(2),
                uint256(0),
                uint256(0)
            ),
            4 ether
        );
        check(ok, "submitted with a policy");
        eq(address(payer).balance, 10 ether, "all of it");
        eq(address(status).balance, 0, "nothing kept");
        // Who cannot take money back does not lose it either: nothing happens.
        payer.set(true, "");
        (ok,) = payer.call(abi.encodeWithSignature("submit(bytes,bytes)", CID, LINK), 1);
        check(!ok, "refused");
        eq(address(payer).balance, 10 ether, "still all of it");
        (ok,) = payer.call(abi.encodeWithSignature("submit(bytes,bytes)", CID, LINK), 0);
        check(ok, "without value nothing is sent back");
    }

    function test_a_deposit_is_kept_and_the_rest_comes_back() public {
        (bool ok, bytes memory output) = client.call(frcSubmit(), DEPOSIT + 3);
        check(ok && abi.decode(output, (uint256)) == 1, "submitted");
        eq(address(client).balance, 100 ether - DEPOSIT, "the rest");
        eq(address(kept).balance, DEPOSIT, "the deposit");
        eq(kept.withdrawable(address(client)), 0, "not while the request is open");

        (ok, output) = client.call(frcSubmit(), DEPOSIT - 1);
        eq(
            output,
            abi.encodeWithSelector(IDealRegistry.DepositMissing.selector, DEPOSIT, DEPOSIT - 1),
            "too little"
        );
        // The reference's functions take no value, so here they cannot be used, and say why.
        (ok, output) = client.call(abi.encodeWithSignature("submit(bytes)", CID), 0);
        eq(output, abi.encodeWithSelector(IDealRegistry.DepositMissing.selector, DEPOSIT, 0), "reference");
        eq(kept.requestCount(), 1, "nothing half-registered");
    }

    function test_many_requests_need_many_deposits() public {
        Submission[] memory three = new Submission[](3);
        for (uint256 i = 0; i < 3; ++i) {
            three[i] = Submission(CID, Policy(1, 0, 0, 0), "", 0);
        }
        bytes memory call = abi.encodeCall(IDealRegistry.submitRaaSMany, (three));
        (bool ok,) = client.call(call, 3 * DEPOSIT - 1);
        check(!ok, "too little");
        (ok,) = client.call(call, 4 * DEPOSIT);
        check(ok, "submitted");
        eq(address(kept).balance, 3 * DEPOSIT, "three");
        (ok,) = client.call(
            abi.encodeCall(IDealRegistry.submitRaaSWithPiece, (CID, 1, 0, 0, pieceCid(PIECE), SIZE)), DEPOSIT
        );
        check(ok, "with a piece");
        eq(address(kept).balance, 4 * DEPOSIT, "four");
    }

    function test_a_closed_request_gives_its_deposit_back() public {
        client.call(frcSubmit(), DEPOSIT);
        client.call(frcSubmit(), DEPOSIT);
        (bool ok,) = client.call(abi.encodeCall(IDealRegistry.cancelRequest, (1)), 0);
        check(ok, "cancelled");
        eq(kept.withdrawable(address(client)), DEPOSIT, "one");
        // The owner cannot receive: it names somebody who can.
        client.set(true, "");
        bytes memory output;
        (ok, output) = client.call(abi.encodeCall(IDealRegistry.withdraw, (payable(address(client)))), 0);
        eq(
            output,
            abi.encodeWithSelector(IDealRegistry.PaymentFailed.selector, address(client), DEPOSIT),
            "refused"
        );
        eq(kept.withdrawable(address(client)), DEPOSIT, "still there");
        address payable other = payable(address(0x77));
        vm.expectEmit();
        emit IDealRegistry.Withdrawn(address(client), other, DEPOSIT);
        (ok,) = client.call(abi.encodeCall(IDealRegistry.withdraw, (other)), 0);
        check(ok && other.balance == DEPOSIT, "paid out");
        (ok, output) = client.call(abi.encodeCall(IDealRegistry.withdraw, (other)), 0);
        eq(
            output,
            abi.encodeWithSelector(IDealRegistry.NothingToWithdraw.selector, address(client)),
            "only once"
        );
        eq(address(kept).balance, DEPOSIT, "the open request's");
    }

    /// Also while paused, and also when somebody else closes it after its end.
    function test_deposits_come_back_while_paused_and_after_the_end() public {
        Submission[] memory one = new Submission[](1);
        one[0] = Submission(CID, Policy(1, 0, 0, NOW + 5), "", 0);
        client.call(abi.encodeCall(IDealRegistry.submitRaaSMany, (one)), DEPOSIT);
        kept.pause();
        vm.roll(NOW + 5);
        kept.cancelRequest(1);
        (bool ok,) = client.call(abi.encodeCall(IDealRegistry.withdraw, (payable(address(client)))), 0);
        check(ok, "withdrawn");
        eq(address(client).balance, 100 ether, "all of it");
    }

    /// Reentrancy where value moves: a second withdrawal finds nothing, a second submission is one more.
    function test_attack_reentrancy_on_withdrawal() public {
        client.call(frcSubmit(), DEPOSIT);
        client.call(frcSubmit(), DEPOSIT);
        client.call(abi.encodeCall(IDealRegistry.cancelRequest, (1)), 0);
        bytes memory again = abi.encodeCall(IDealRegistry.withdraw, (payable(address(client))));
        client.set(false, again);
        (bool ok,) = client.call(again, 0);
        check(!ok, "the second one fails, and with it the first");
        eq(address(kept).balance, 2 * DEPOSIT, "nothing left");
        client.set(false, "");
        (ok,) = client.call(again, 0);
        check(ok && address(kept).balance == DEPOSIT, "honestly it is paid");
    }

    function test_attack_reentrancy_on_refund() public {
        Client payer = new Client(status);
        vm.deal(address(payer), 1 ether);
        payer.set(false, abi.encodeWithSignature("submit(bytes)", CID));
        (bool ok, bytes memory output) = payer.call(frcSubmit(), 5);
        check(ok && payer.calledBack(), "called back");
        eq(abi.decode(output, (uint256)), 1, "the outer request");
        eq(status.requestCount(), 2, "and the inner one, which is complete itself");
        eq(status.openRequestsOf(address(payer)), 2, "both counted");
        eq(address(payer).balance, 1 ether, "nothing lost");
    }

    /// Nothing but the payable functions takes value.
    function test_no_other_way_in() public {
        (bool ok,) = address(kept).call{value: 1}("");
        check(!ok, "a plain transfer");
        (ok,) = address(kept).call{value: 1}(abi.encodeWithSignature("submit(bytes)", CID));
        check(!ok, "the reference's submit");
    }

    function frcSubmit() private pure returns (bytes memory) {
        return abi.encodeWithSelector(bytes4(keccak256("submit(bytes,bytes)")), CID, LINK);
    }
}
