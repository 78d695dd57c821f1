// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {
    IAccessControlDefaultAdminRules
} from "@openzeppelin/contracts/access/extensions/IAccessControlDefaultAdminRules.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {Evidence} from "../src/Evidence.sol";
import {IDealRegistry} from "../src/IDealRegistry.sol";
import {IDealStatus} from "../src/IDealStatus.sol";
import {IFrc0087, IFrc0087Enumeration, IFrc0087OnChain} from "../src/IFrc0087.sol";
import {ILighthouseDealStatus} from "../src/ILighthouseDealStatus.sol";
import {ISectorContentReceiver} from "../src/ISectorContentReceiver.sol";
import {DealStatus} from "../src/DealStatus.sol";
import {Fixture} from "./support/Fixture.sol";

/// What deployed clients depend on, and what the node embeds.
contract AbiTest is Fixture {
    function test_reference_selectors() public pure {
        selector(IDealStatus.submit.selector, 0xef7fa71b);
        selector(IDealStatus.submitRaaS.selector, 0xde52f264);
        selector(IDealStatus.complete.selector, 0x60b93184);
        selector(IDealStatus.getAllDeals.selector, 0x496a9d21);
        selector(IDealStatus.getAllCIDs.selector, 0x3410e7ce);
        selector(IDealStatus.getActiveDeals.selector, 0xf5034301);
        selector(IDealStatus.getExpiringDeals.selector, 0x81bcd88c);
        selector(ILighthouseDealStatus.changeMaxReplications.selector, 0x1e9464f0);
        selector(ILighthouseDealStatus.getMaxReplications.selector, 0xf93b8051);
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

    function test_frc0087_selectors() public pure {
        selector(IFrc0087.complete.selector, 0xff55e538);
        selector(IFrc0087OnChain.onchain_complete.selector, 0xd9a084a3);
        selector(IFrc0087Enumeration.getAllCIDs.selector, 0xe5dd1dde);
        selector(IFrc0087Enumeration.getAllDeals.selector, 0x800509e4);
        selector(IFrc0087.submit.selector, 0x39b973ad);
        selector(IFrc0087.submitRaaS.selector, 0x3fe6797a);
        selector(ISectorContentReceiver.handle_filecoin_method.selector, 0x868e10c4);
        // The kit's ABI file names it, the reference lacks it.
        selector(IDealRegistry.computeExpectedAuxDataPublic.selector, 0x81aed7c3);
    }

    /// ERC-165: the two ids of the reference, FRC-0087 in three parts, and our own.
    function test_every_interface_is_told() public view {
        bytes4[10] memory told = [
            bytes4(0x58518599),
            0xbffe6138,
            type(ILighthouseDealStatus).interfaceId,
            type(IFrc0087).interfaceId,
            type(IFrc0087OnChain).interfaceId,
            type(IFrc0087Enumeration).interfaceId,
            type(ISectorContentReceiver).interfaceId,
            type(IDealRegistry).interfaceId,
            type(IERC165).interfaceId,
            type(IAccessControlDefaultAdminRules).interfaceId
        ];
        eq(bytes32(type(IDealStatus).interfaceId), bytes32(told[0]), "the reference's id");
        for (uint256 i = 0; i < told.length; ++i) {
            check(status.supportsInterface(told[i]), vm.toString(i));
        }
        check(!status.supportsInterface(0xffffffff), "not everything");
        check(!status.supportsInterface(0x12345678), "not anything");
    }

    /// The bytecode under test is the bytecode that is checked in.
    function test_artifact_is_this_contract() public view {
        string memory json = vm.readFile("artifacts/DealStatus.json");
        string memory placeholder = vm.parseJsonString(json, ".library.placeholder");
        // 0x and 40 digits; the placeholder has 40 characters.
        bytes memory hexAddress = bytes(vm.toString(abi.encodePacked(address(Evidence))));
        bytes memory digits = new bytes(40);
        for (uint256 i = 0; i < 40; ++i) {
            digits[i] = hexAddress[i + 2];
        }
        string memory linked = vm.replace(vm.parseJsonString(json, ".bytecode"), placeholder, string(digits));
        eq(vm.parseBytes(linked), type(DealStatus).creationCode, "creation code");
        eq(vm.parseJsonBytes(json, ".library.bytecode"), type(Evidence).creationCode, "library");
    }

    function selector(bytes4 got, bytes4 wanted) private pure {
        eq(bytes32(got), bytes32(wanted), "selector");
    }
}
