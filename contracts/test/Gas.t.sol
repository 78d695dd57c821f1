// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDealStatus, InclusionProof} from "../src/IDealStatus.sol";
import {ReferenceDealStatus} from "./reference/ReferenceDealStatus.sol";
import {Fixture} from "./support/Fixture.sol";
import {Tree} from "./support/Tree.sol";

/// EVM gas beside the reference's behaviour, for lists of 1 to 64 deals. The market stand-in is in these figures, and
/// Filecoin gas is another scale. `snapshots/` keeps them; `bin/gas.mjs` makes a table of them.
contract GasTest is Fixture {
    uint64 private constant LATER = NOW + 100_000;

    bytes32 private piece;
    bytes32 private root;
    InclusionProof private proof;

    function setUp() public override {
        super.setUp();
        bytes32[] memory leaves = new bytes32[](4);
        leaves[1] = bytes32(uint256(0x1200));
        piece = Tree.rootOf(leaves);
        InclusionProof memory made;
        (root, made) = Tree.aggregate(leaves, piece, 128);
        proof = made;
    }

    function test_gas_of_ours_is_linear_to_64_deals() public {
        table("DealStatus", IDealStatus(address(status)), true);
    }

    function test_gas_of_the_reference() public {
        table("Reference", IDealStatus(address(new ReferenceDealStatus())), false);
    }

    function table(string memory group, IDealStatus subject, bool linear) private {
        uint256 before = gasleft();
        uint256 id = subject.submitRaaS(CID, 3, 2880, 1000);
        vm.snapshotValue(group, "submitRaaS", before - gasleft());
        uint256[7] memory counts = [uint256(1), 2, 4, 8, 16, 32, 64];
        uint256[7] memory completing;
        uint256[7] memory active;
        uint256[7] memory expiring;
        uint256 listed = 0;
        for (uint256 i = 0; i < 7; ++i) {
            while (listed < counts[i]) {
                completing[i] = complete(subject, id);
                ++listed;
            }
            active[i] = cold(subject, abi.encodeCall(IDealStatus.getActiveDeals, (CID)));
            // The reference's arithmetic allows windows below the duration only.
            expiring[i] = cold(subject, abi.encodeCall(IDealStatus.getExpiringDeals, (CID, 100_000)));
            string memory n = vm.toString(counts[i]);
            vm.snapshotValue(group, string.concat("complete, deal ", n), completing[i]);
            vm.snapshotValue(group, string.concat("getActiveDeals of ", n), active[i]);
            vm.snapshotValue(group, string.concat("getExpiringDeals of ", n), expiring[i]);
        }
        if (!linear) return;
        for (uint256 i = 1; i < 7; ++i) {
            // The list's length is in none of a completion's costs; the first one also binds and initialises.
            check(completing[i] <= completing[1] + completing[1] / 20, "completions of equal cost");
        }
        // Twice the deals, at most twice the gas over a fixed part.
        linearTo64(active);
        linearTo64(expiring);
    }

    function linearTo64(uint256[7] memory used) private pure {
        uint256 perDeal = (used[4] - used[3]) / 8;
        check((used[5] - used[4]) / 16 <= perDeal + perDeal / 20, "linear to 32");
        check((used[6] - used[5]) / 32 <= perDeal + perDeal / 20, "linear to 64");
    }

    function complete(IDealStatus subject, uint256 id) private returns (uint256) {
        uint64 dealId = market.publish(root, Tree.DEAL_SIZE, MINER, 0, int64(LATER));
        market.activate(dealId, 1);
        return
            cold(
                subject,
                abi.encodeCall(IDealStatus.complete, (id, dealId, MINER, proof, verifier(piece, 128)))
            );
    }

    /// As the first call of a transaction finds the storage.
    function cold(IDealStatus subject, bytes memory data) private returns (uint256) {
        vm.cool(address(subject));
        uint256 before = gasleft();
        (bool ok,) = address(subject).call(data);
        uint256 used = before - gasleft();
        check(ok, "a call of the table");
        return used;
    }
}
