// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {
    IDealStatus,
    InclusionProof,
    InclusionVerifierData,
    InclusionAuxData
} from "../../src/IDealStatus.sol";
import {ReferenceMarket} from "./ReferenceMarket.sol";
import {ReferenceProof} from "./ReferenceProof.sol";

/// Behaves as the reference contract was found to behave, defects included: what the tests of ./rows must not pass
/// on. Written from the list of defects, not from its source.
contract ReferenceDealStatus {
    uint256 private _transactionId;
    mapping(uint256 => bytes) private _cidOf;
    bytes[] private _cids;
    mapping(bytes => IDealStatus.Deal[]) private _dealsOf;
    ReferenceProof private immutable _proofs = new ReferenceProof(ReferenceProof.Mutation.None);

    function submit(bytes memory cid) external returns (uint256) {
        // Row 14, 16, 17: any bytes, any number of times.
        _remember(cid);
        emit IDealStatus.SubmitAggregatorRequest(_transactionId, cid);
        return _transactionId;
    }

    function submitRaaS(bytes memory cid, uint256 target, uint256 repair, uint256 renew)
        external
        returns (uint256)
    {
        // Row 11, 12, 13: neither stored nor looked at, and nobody's.
        _remember(cid);
        emit IDealStatus.SubmitAggregatorRequestWithRaaS(_transactionId, cid, target, repair, renew);
        return _transactionId;
    }

    function complete(
        uint256 id,
        uint64 dealId,
        uint64 minerId,
        InclusionProof memory proof,
        InclusionVerifierData memory verifierData
    ) external returns (InclusionAuxData memory aux) {
        // Row 16: only the upper bound. Row 27: another contract's prefix.
        require(id <= _transactionId, "Delta.complete: invalid transaction id");
        // Row 18: before anything is verified, and for duplicates again.
        emit IDealStatus.CompleteAggregatorRequest(id, dealId);
        // Row 5, F1, F3: piece and size are the prover's, and no deal is asked for.
        aux = _proofs.aux(proof, verifierData);
        IDealStatus.Deal[] storage deals = _dealsOf[_cidOf[id]];
        // Row 10: a scan of a list without end.
        for (uint256 i = 0; i < deals.length; ++i) {
            if (deals[i].dealId == dealId) return aux;
        }
        // Row 6: the first one says who the provider is.
        deals.push(IDealStatus.Deal(dealId, minerId));
    }

    function getAllDeals(bytes memory cid) external view returns (IDealStatus.Deal[] memory) {
        return _dealsOf[cid];
    }

    function getAllCIDs() external view returns (bytes[] memory) {
        return _cids;
    }

    function getActiveDeals(bytes memory cid) external returns (IDealStatus.Deal[] memory deals) {
        deals = this.getAllDeals(cid);
        for (uint256 i = 0; i < deals.length; ++i) {
            // Row 3: an exit code ends the whole query.
            (int64 activated, int64 terminated) = ReferenceMarket.activation(deals[i].dealId);
            // Row 2: never -1. Row 7: a hole, and the length stays. Row 8: the end is not asked.
            if (terminated > 0 || activated == -1) delete deals[i];
        }
    }

    function getExpiringDeals(bytes memory cid, uint64 epochs)
        external
        returns (IDealStatus.Deal[] memory deals)
    {
        deals = this.getAllDeals(cid);
        for (uint256 i = 0; i < deals.length; ++i) {
            // Row 1: it is the duration. Row 9: checked subtraction. Row 22: neither activation nor termination.
            (, int64 end) = ReferenceMarket.term(deals[i].dealId);
            if (block.number < uint64(end) - epochs || block.number > uint64(end)) delete deals[i];
        }
    }

    function _remember(bytes memory cid) private {
        _cidOf[++_transactionId] = cid;
        // Row 19: every request again.
        _cids.push(cid);
    }
}
