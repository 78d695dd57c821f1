// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDealStatus} from "../src/IDealStatus.sol";
import {DealStatus} from "../src/DealStatus.sol";
import {Test} from "./support/Vm.sol";

/// What deployed clients depend on, and what the node embeds.
contract AbiTest is Test {
    function test_reference_selectors() public pure {
        selector(IDealStatus.submit.selector, 0xef7fa71b);
        selector(IDealStatus.submitRaaS.selector, 0xde52f264);
        selector(IDealStatus.complete.selector, 0x60b93184);
        selector(IDealStatus.getAllDeals.selector, 0x496a9d21);
        selector(IDealStatus.getAllCIDs.selector, 0x3410e7ce);
        selector(IDealStatus.getActiveDeals.selector, 0xf5034301);
        selector(IDealStatus.getExpiringDeals.selector, 0x81bcd88c);
        selector(DealStatus.changeMaxReplications.selector, 0x1e9464f0);
        selector(DealStatus.getMaxReplications.selector, 0xf93b8051);
    }

    function test_reference_topics() public pure {
        eq(
            IDealStatus.SubmitAggregatorRequest.selector,
            0x104e370246a6acb34978d26af9fb437cb9f46e15e94cc27f24f305528db420a1,
            "SubmitAggregatorRequest"
        );
        eq(
            IDealStatus.SubmitAggregatorRequestWithRaaS.selector,
            0xc0e29b40de38cfd5b8266e5afb21298b2c180d25d2ad808406c21f3db0c3530a,
            "SubmitAggregatorRequestWithRaaS"
        );
        eq(
            IDealStatus.CompleteAggregatorRequest.selector,
            0xfcfb278ce1c62d14ce854540f204ef9fc7d58f09adc7bd773da126dd906bb980,
            "CompleteAggregatorRequest"
        );
    }

    /// The bytecode under test is the bytecode that is checked in.
    function test_artifact_is_this_contract() public {
        string memory json = vm.readFile("artifacts/DealStatus.json");
        eq(vm.parseJsonBytes(json, ".bytecode"), type(DealStatus).creationCode, "creation code");
        eq(vm.parseJsonBytes(json, ".deployedBytecode"), address(new DealStatus()).code, "deployed code");
    }

    function selector(bytes4 got, bytes4 wanted) private pure {
        eq(bytes32(got), bytes32(wanted), "selector");
    }
}
