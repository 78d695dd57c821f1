// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DealStatus} from "../src/DealStatus.sol";
import {Evidence} from "../src/Evidence.sol";
import {InclusionProof, InclusionVerifierData, ProofData} from "../src/IDealStatus.sol";
import {Market} from "../src/Market.sol";
import {PieceCid} from "../src/PieceCid.sol";
import {Podsi} from "../src/Podsi.sol";
import {ReferenceDealStatus} from "./reference/ReferenceDealStatus.sol";
import {ReferenceMarket} from "./reference/ReferenceMarket.sol";
import {ReferenceProof} from "./reference/ReferenceProof.sol";
import {ContractRows} from "./rows/ContractRows.sol";
import {IMarketReader, MarketRows} from "./rows/MarketRows.sol";
import {IProofs, ProofRows} from "./rows/ProofRows.sol";
import {Rows} from "./rows/Rows.sol";
import {Test} from "./support/Vm.sol";

// ---- Ours: every row passes

contract B1_DealStatus is ContractRows {
    function make() internal override returns (address) {
        return address(new DealStatus(settings()));
    }

    function abiPath() internal pure override returns (string memory) {
        return "artifacts/DealStatus.json";
    }

    function abiKey() internal pure override returns (string memory) {
        return ".abi";
    }
}

contract B2_DealStatus is MarketRows {
    function makeReader() internal override returns (IMarketReader) {
        return new OurMarket();
    }
}

contract F_DealStatus is ProofRows {
    function make() internal override returns (address) {
        return address(new DealStatus(settings()));
    }

    function makeProofs() internal override returns (IProofs) {
        return new OurProofs();
    }
}

contract OurMarket is IMarketReader {
    function activation(uint64 dealId) external view returns (int64 activated, int64 terminated) {
        (, activated, terminated) = Market.activation(dealId);
    }

    function end(uint64 dealId) external view returns (uint64 epoch) {
        (,, epoch) = Market.term(dealId);
    }

    function commitment(uint64 dealId) external view returns (bytes memory) {
        (, bytes32 digest,) = Market.dataCommitment(dealId);
        return PieceCid.encode(digest);
    }

    function exit(uint64 dealId) external view returns (int256 code) {
        (code,,) = Market.activation(dealId);
    }
}

contract OurProofs is IProofs {
    function implied(bytes32 commitment, uint64 size, InclusionProof calldata proof)
        external
        view
        returns (bytes32, uint64)
    {
        return Podsi.impliedDeal(commitment, size, proof);
    }

    function rootOf(ProofData calldata proof, bytes32 node) external view returns (bytes32) {
        return Podsi.rootOf(node, proof);
    }

    function aux(InclusionProof calldata proof, InclusionVerifierData calldata data)
        external
        view
        returns (bytes memory, uint64)
    {
        (,, bytes32 commitment, uint64 size) = Evidence.implied(proof, data);
        return (PieceCid.encode(commitment), size);
    }

    function isActivated(uint64 dealId) external view returns (bool) {
        (, int64 activated,) = Market.activation(dealId);
        return activated >= 0;
    }
}

// ---- The reference's behaviour: no row passes. Not run by themselves, see Bites.

abstract contract B1_Reference is ContractRows {
    function make() internal override returns (address) {
        return address(new ReferenceDealStatus());
    }

    function abiPath() internal pure override returns (string memory) {
        return "artifacts/reference-abi.json";
    }

    function abiKey() internal pure override returns (string memory) {
        return "";
    }
}

abstract contract F_Reference is ProofRows {
    function make() internal override returns (address) {
        return address(new ReferenceDealStatus());
    }

    function makeProofs() internal override returns (IProofs) {
        return new TheirProofs(mutation());
    }

    function mutation() internal view virtual returns (ReferenceProof.Mutation);
}

contract TheirMarket is IMarketReader {
    function activation(uint64 dealId) external returns (int64, int64) {
        return ReferenceMarket.activation(dealId);
    }

    function end(uint64 dealId) external returns (uint64) {
        (, int64 epoch) = ReferenceMarket.term(dealId);
        return uint64(epoch);
    }

    function commitment(uint64 dealId) external returns (bytes memory) {
        return ReferenceMarket.commitment(dealId);
    }

    function exit(uint64 dealId) external returns (int256) {
        try this.activation(dealId) returns (int64, int64) {
            return 0;
        } catch (bytes memory why) {
            check32(why);
            return 32;
        }
    }

    function check32(bytes memory why) private pure {
        // Only the library's own word for the exit code counts as having told it.
        require(
            keccak256(why)
                == keccak256(abi.encodeWithSelector(ReferenceMarket.ActorError.selector, int256(32)))
        );
    }
}

contract TheirProofs is IProofs {
    ReferenceProof private immutable _proofs;

    constructor(ReferenceProof.Mutation mutation) {
        _proofs = new ReferenceProof(mutation);
    }

    function implied(bytes32 commitment, uint64 size, InclusionProof calldata proof)
        external
        view
        returns (bytes32, uint64)
    {
        return _proofs.implied(commitment, size, proof);
    }

    function rootOf(ProofData calldata proof, bytes32 node) external view returns (bytes32) {
        return _proofs.processProof(proof, node);
    }

    function aux(InclusionProof calldata proof, InclusionVerifierData calldata data)
        external
        view
        returns (bytes memory, uint64)
    {
        return (_proofs.aux(proof, data).commPa, _proofs.aux(proof, data).sizePa);
    }

    function isActivated(uint64 dealId) external returns (bool) {
        return ReferenceMarket.isActivated(dealId);
    }
}

/// The suites as contracts that forge does not take for tests, since their constructors want something: Bites calls
/// their functions.
contract B1Suite is B1_Reference {
    constructor(bool) {}
}

contract B2Suite is MarketRows {
    constructor(bool) {}

    function makeReader() internal override returns (IMarketReader) {
        return new TheirMarket();
    }
}

contract FSuite is F_Reference {
    ReferenceProof.Mutation private immutable _mutation;

    constructor(ReferenceProof.Mutation mutation_) {
        _mutation = mutation_;
    }

    function mutation() internal view override returns (ReferenceProof.Mutation) {
        return _mutation;
    }
}

// ---- The same tests must fail where the reference's behaviour is

/// Each row's test, run against the reference's behaviour, must end in an assertion of that row.
contract Bites is Test {
    bytes4 private constant SET_UP = bytes4(keccak256("setUp()"));

    function test_B01_bites() public {
        bites(address(new B1Suite(true)), "test_B01_end_is_start_plus_duration()", "B01:");
    }

    function test_B02_bites() public {
        bites(address(new B1Suite(true)), "test_B02_never_activated_deals_are_not_active()", "B02:");
    }

    function test_B03_bites() public {
        bites(address(new B1Suite(true)), "test_B03_one_gone_deal_does_not_spoil_the_query()", "B03:");
    }

    function test_B04_bites() public {
        bites(address(new B1Suite(true)), "test_B04_strangers_cannot_poison_a_cid()", "B04:");
    }

    function test_B05_bites() public {
        bites(address(new B1Suite(true)), "test_B05_deal_piece_and_request_are_tied()", "B05:");
    }

    function test_B06_bites() public {
        bites(address(new B1Suite(true)), "test_B06_provider_is_the_deals_provider()", "B06:");
    }

    function test_B07_bites() public {
        bites(address(new B1Suite(true)), "test_B07_answers_have_no_holes()", "B07:");
    }

    function test_B08_bites() public {
        bites(address(new B1Suite(true)), "test_B08_ended_but_unsettled_deals_are_not_active()", "B08:");
    }

    function test_B09_bites() public {
        bites(address(new B1Suite(true)), "test_B09_long_windows_do_not_overflow()", "B09:");
    }

    function test_B10_bites() public {
        bites(address(new B1Suite(true)), "test_B10_strangers_cannot_make_it_dear()", "B10:");
    }

    function test_B11_bites() public {
        bites(address(new B1Suite(true)), "test_B11_policies_can_be_read()", "B11:");
    }

    function test_B12_bites() public {
        bites(address(new B1Suite(true)), "test_B12_parameters_are_validated()", "B12:");
    }

    function test_B13_bites() public {
        bites(address(new B1Suite(true)), "test_B13_requests_have_owners_and_ends()", "B13:");
    }

    function test_B14_bites() public {
        bites(address(new B1Suite(true)), "test_B14_submissions_are_bounded()", "B14:");
    }

    function test_B15_bites() public {
        bites(address(new B1Suite(true)), "test_B15_distinct_providers_are_counted()", "B15:");
    }

    function test_B16_bites() public {
        bites(address(new B1Suite(true)), "test_B16_unknown_request_ids_are_refused()", "B16:");
    }

    function test_B17_bites() public {
        bites(address(new B1Suite(true)), "test_B17_spellings_of_a_cid_are_one_content()", "B17:");
    }

    function test_B18_bites() public {
        bites(address(new B1Suite(true)), "test_B18_one_event_for_one_verified_deal()", "B18:");
    }

    function test_B19_bites() public {
        bites(address(new B1Suite(true)), "test_B19_cids_are_distinct_and_paged()", "B19:");
    }

    function test_B20_bites() public {
        bites(address(new B1Suite(true)), "test_B20_dead_deals_can_be_pruned()", "B20:");
    }

    function test_B21_bites() public {
        bites(address(new B1Suite(true)), "test_B21_queries_are_views_without_a_call_of_themselves()", "B21:");
    }

    function test_B22_bites() public {
        bites(address(new B1Suite(true)), "test_B22_only_active_deals_expire()", "B22:");
    }

    function test_B23_bites() public {
        bites(address(new B1Suite(true)), "test_B23_plain_requests_can_be_found()", "B23:");
    }

    function test_B24_bites() public {
        bites(address(new B1Suite(true)), "test_B24_sector_pieces_can_be_recorded()", "B24:");
    }

    function test_B25_bites() public {
        bites(address(new B1Suite(true)), "test_B25_a_deal_without_index_can_be_completed()", "B25:");
    }

    function test_B26_bites() public {
        bites(address(new B1Suite(true)), "test_B26_faults_can_be_asked_for()", "B26:");
    }

    function test_B27_bites() public {
        bites(address(new B1Suite(true)), "test_B27_errors_version_pause_and_outcome()", "B27:");
    }

    function test_B28_bites() public {
        bites(address(new B2Suite(true)), "test_B28_negative_numbers_are_decoded()", "B28:");
    }

    function test_B29_bites() public {
        bites(address(new B2Suite(true)), "test_B29_term_is_start_and_duration()", "B29:");
    }

    function test_B30_bites() public {
        bites(address(new B2Suite(true)), "test_B30_the_link_prefix_is_stripped()", "B30:");
    }

    function test_B31_bites() public {
        bites(address(new B2Suite(true)), "test_B31_malformed_answers_are_refused()", "B31:");
    }

    function test_B32_bites() public {
        bites(address(new B2Suite(true)), "test_B32_the_exit_code_comes_first()", "B32:");
    }

    function test_F01_bites() public {
        bites(
            address(new FSuite(ReferenceProof.Mutation.None)),
            "test_F01_size_is_not_taken_from_the_prover()",
            "F01:"
        );
    }

    function test_F02_bites() public {
        bites(
            address(new FSuite(ReferenceProof.Mutation.None)),
            "test_F02_pieces_below_128_bytes_are_refused()",
            "F02:"
        );
    }

    function test_F03_bites() public {
        bites(
            address(new FSuite(ReferenceProof.Mutation.None)),
            "test_F03_the_deal_on_chain_is_checked()",
            "F03:"
        );
    }

    function test_F04_bites() public {
        bites(
            address(new FSuite(ReferenceProof.Mutation.None)),
            "test_F04_size_0_is_refused_as_a_size()",
            "F04:"
        );
    }

    function test_F05_bites() public {
        bites(
            address(new FSuite(ReferenceProof.Mutation.PositionUnbounded)),
            "test_F05_positions_are_bounded()",
            "F05:"
        );
    }

    function test_F06_bites() public {
        bites(
            address(new FSuite(ReferenceProof.Mutation.ChecksumUnmasked)),
            "test_F06_checksums_are_masked_and_computed()",
            "F06:"
        );
    }

    function test_F07_bites() public {
        bites(
            address(new FSuite(ReferenceProof.Mutation.SizesTruncated)),
            "test_F07_sizes_are_not_truncated()",
            "F07:"
        );
    }

    function test_F08_bites() public {
        bites(
            address(new FSuite(ReferenceProof.Mutation.None)),
            "test_F08_small_deals_are_refused_by_name()",
            "F08:"
        );
    }

    function test_F09_bites() public {
        bites(
            address(new FSuite(ReferenceProof.Mutation.IndexDoubled)),
            "test_F09_the_index_begins_where_it_should()",
            "F09:"
        );
    }

    function test_F10_bites() public {
        bites(
            address(new FSuite(ReferenceProof.Mutation.None)),
            "test_F10_commitments_of_256_bits_are_refused()",
            "F10:"
        );
    }

    function test_F11_bites() public {
        bites(
            address(new FSuite(ReferenceProof.Mutation.None)),
            "test_F11_piece_cids_of_both_versions_are_read()",
            "F11:"
        );
    }

    function test_F12_bites() public {
        bites(address(new FSuite(ReferenceProof.Mutation.None)), "test_F12_nodes_have_sides()", "F12:");
    }

    function test_F13_bites() public {
        bites(address(new FSuite(ReferenceProof.Mutation.None)), "test_F13_a_proof_is_cheap()", "F13:");
    }

    function test_F14_bites() public {
        bites(address(new FSuite(ReferenceProof.Mutation.None)), "test_F14_epoch_0_is_an_epoch()", "F14:");
    }

    function bites(address suite, string memory row, string memory tag) private {
        (bool ok,) = suite.call(abi.encodePacked(SET_UP));
        check(ok, "set-up");
        bytes memory why;
        (ok, why) = suite.call(abi.encodePacked(bytes4(keccak256(bytes(row)))));
        check(!ok, string.concat(row, " passes on the reference's behaviour"));
        bytes4 kind = bytes4(why);
        check(
            kind == AssertionFailed.selector || kind == NotEqual.selector || kind == BytesNotEqual.selector,
            string.concat(row, " fails, but not in an assertion")
        );
        // The first argument of all three is the text: its offset, then length and bytes.
        uint256 offset;
        assembly ("memory-safe") {
            offset := mload(add(why, 0x24))
        }
        for (uint256 i = 0; i < bytes(tag).length; ++i) {
            check(why[4 + offset + 32 + i] == bytes(tag)[i], string.concat(row, " fails in another row"));
        }
    }
}
