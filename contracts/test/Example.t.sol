// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Archive} from "../examples/Archive.sol";
import {InclusionProof} from "../src/IDealStatus.sol";
import {Fixture} from "./support/Fixture.sol";

/// The example of the documentation does what it says.
contract ExampleTest is Fixture {
    address private constant USER = address(0x05e2);
    Archive private archive;

    function setUp() public override {
        super.setUp();
        archive = new Archive(address(status));
    }

    function test_a_document_is_kept_treasured_and_released() public {
        vm.prank(USER);
        uint256 id = archive.keep(CID);
        check(status.getRequest(id).owner == address(archive), "the request is the archive's");
        vm.expectRevert(abi.encodeWithSelector(Archive.AlreadyThere.selector, CID));
        archive.keep(CID);
        check(!archive.kept(CID).enough, "nothing yet");

        for (uint64 provider = 1; provider <= 3; ++provider) {
            record(id, provider);
        }
        Archive.Kept memory kept = archive.kept(CID);
        check(kept.copies == 3 && kept.providers == 3 && kept.enough, "three copies at three providers");
        vm.expectRevert(abi.encodeWithSelector(Archive.NotYours.selector, CID));
        archive.treasure(CID);
        vm.prank(USER);
        archive.treasure(CID);
        check(!archive.kept(CID).enough, "six are wanted now");
        // Copies at one provider do not count twice.
        record(id, 1);
        record(id, 1);
        kept = archive.kept(CID);
        check(kept.copies == 5 && kept.providers == 3 && !kept.enough, "five copies, three providers");
        vm.prank(USER);
        archive.release(CID);
        check(!status.getRequest(id).open && archive.kept(CID).copies == 5, "what is stored stays");
    }

    function record(uint256 id, uint64 provider) private {
        uint64 dealId = market.publish(PIECE, SIZE, provider, int64(NOW) - 10, 600_000);
        market.activate(dealId, int64(NOW) - 20);
        InclusionProof memory none;
        status.complete(id, dealId, provider, none, verifier(PIECE, SIZE));
    }
}
