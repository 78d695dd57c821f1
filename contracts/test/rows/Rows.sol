// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDealStatus, InclusionProof, InclusionVerifierData} from "../../src/IDealStatus.sol";
import {Fixture} from "../support/Fixture.sol";
import {Tree} from "../support/Tree.sol";

/// Tests that run against a contract of the reference ABI, whichever it is. Each asserts in the words "Bnn: ..." what
/// row nn of the defect list is about, so that a failure tells its row. Deals in them hold one aggregate of 1024
/// bytes, since the reference can complete no other.
abstract contract Rows is Fixture {
    address internal constant STRANGER = address(0xbad);
    uint64 internal constant LATER = NOW + 100_000;

    IDealStatus internal subject;
    uint256 internal id;
    bytes32 internal piece;
    bytes32 internal root;
    InclusionProof internal proof;

    /// The contract under test.
    function make() internal virtual returns (address);

    function setUp() public virtual override {
        super.setUp();
        subject = IDealStatus(make());
        bytes32[] memory leaves = new bytes32[](4);
        for (uint256 i = 0; i < 4; ++i) {
            leaves[i] = bytes32((i + 1) << 8);
        }
        piece = Tree.rootOf(leaves);
        InclusionProof memory made;
        (root, made) = Tree.aggregate(leaves, piece, 128);
        proof = made;
        id = subject.submitRaaS(CID, 3, 2880, 1000);
    }

    // ---- Deals

    function aggregateDeal(int64 start, int64 duration) internal returns (uint64) {
        return market.publish(root, Tree.DEAL_SIZE, MINER, start, duration);
    }

    function activeAggregate(uint64 end) internal returns (uint64 dealId) {
        dealId = aggregateDeal(int64(NOW) - 10_000, int64(end) - int64(NOW) + 10_000);
        market.activate(dealId, int64(NOW) - 9_000);
    }

    function completion(uint256 request, uint64 dealId, uint64 minerId) internal view returns (bytes memory) {
        return abi.encodeCall(IDealStatus.complete, (request, dealId, minerId, proof, verifier(piece, 128)));
    }

    /// Whether the completion was accepted.
    function completed(uint256 request, uint64 dealId) internal returns (bool ok) {
        (ok,) = address(subject).call(completion(request, dealId, MINER));
    }

    /// An active deal that was recorded, on any contract.
    function recorded(uint64 end) internal returns (uint64 dealId) {
        dealId = activeAggregate(end);
        check(completed(id, dealId), "set-up: an honest completion");
    }

    // ---- Calls that must not end a test by themselves

    function must(bytes memory data, string memory what) internal returns (bytes memory output) {
        bool ok;
        (ok, output) = address(subject).call(data);
        check(ok, what);
    }

    function refused(bytes memory data, string memory what) internal {
        (bool ok,) = address(subject).call(data);
        check(!ok, what);
    }

    function active(string memory what) internal returns (uint64[] memory) {
        return dealIds(must(abi.encodeCall(IDealStatus.getActiveDeals, (CID)), what));
    }

    function expiring(uint64 epochs, string memory what) internal returns (uint64[] memory) {
        return dealIds(must(abi.encodeCall(IDealStatus.getExpiringDeals, (CID, epochs)), what));
    }

    function dealIds(bytes memory answer) internal pure returns (uint64[] memory) {
        return ids(abi.decode(answer, (IDealStatus.Deal[])));
    }

    function eqList(uint64[] memory got, uint64[] memory wanted, string memory what) internal pure {
        eq(abi.encode(got), abi.encode(wanted), what);
    }
}
