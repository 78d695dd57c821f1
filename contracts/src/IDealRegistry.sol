// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {InclusionProof, InclusionVerifierData, InclusionAuxData} from "./IDealStatus.sol";
import {MarketDeal} from "./IFrc0087.sol";
import {SectorStatus} from "./Miner.sol";

/// @notice What a client wants for its data. Epochs are 30 seconds.
struct Policy {
    /// Wanted copies, 1 to `getMaxReplications()`; 0 for a request without a policy.
    uint32 target;
    /// Epochs without proofs before a copy is replaced.
    uint64 repairThreshold;
    /// Epochs before the end of a deal at which its successor is made.
    uint64 renewThreshold;
    /// Epoch after which nothing is repaired or renewed any more; 0 for no end.
    uint64 endsAt;
}

/// @notice One item of `submitRaaSMany`.
struct Submission {
    /// The content, 1 to 128 bytes; preferably the binary CID without multibase prefix.
    bytes cid;
    Policy policy;
    /// Binary piece CID, v1 or v2, that holds the content; empty if the client does not know it.
    bytes pieceCid;
    /// Padded size of that piece in bytes; 0 if unknown, or if `pieceCid` is a v2 CID, which tells it.
    uint64 pieceSize;
}

/// @notice A request as it stands.
struct Request {
    address owner;
    bytes cid;
    Policy policy;
    /// Binary piece CID v1; empty while no piece is bound.
    bytes pieceCid;
    /// Padded size in bytes; 0 while it is not bound.
    uint64 pieceSize;
    /// False once it was cancelled.
    bool open;
}

/// @notice The life of a deal as its market tells it. Faults are not in it: see `sectorOf`.
enum DealState {
    /// Never seen by the market actor.
    Unknown,
    /// Published; its sector is not proven yet.
    Published,
    /// Activated, not terminated, before its end.
    Active,
    /// Its term is over.
    Ended,
    /// Removed: terminated, settled after its end, or not activated in time.
    Gone
}

/// @title What this DealStatus offers beyond the reference and FRC-0087
/// @notice Requests own policies. Deals are listed once for each CID, at most {MAX_LIVE_DEALS} of them; each
/// request is completed on its own.
interface IDealRegistry {
    /// @notice Beside the reference's event of the same transaction: filters by CID or owner.
    event RequestRegistered(uint256 indexed id, bytes32 indexed cidKey, address indexed owner);
    /// @notice Where the data of a request can be fetched. Not stored.
    event FetchLink(uint256 indexed id, bytes fetchLink);
    /// @notice The policy of a request, at its registration if it has an end, and whenever its owner changes it.
    event RequestUpdated(
        uint256 indexed id, uint32 target, uint64 repairThreshold, uint64 renewThreshold, uint64 endsAt
    );
    /// @notice The request wants nothing more. Its deals stay listed.
    event RequestCancelled(uint256 indexed id, address indexed by);
    /// @notice From now on only deals that contain this piece can complete the request.
    event PieceBound(uint256 indexed id, bytes pieceCid, uint64 size, address indexed by);
    /// @notice What was verified, beside CompleteAggregatorRequest.
    event DealRecorded(
        uint256 indexed id,
        uint64 indexed marketActorId,
        uint64 indexed dealId,
        uint64 providerId,
        bytes commPa,
        uint64 sizePa,
        uint64 endEpoch
    );
    /// @notice A deal that is gone or over was taken off the list of its CID.
    event DealPruned(bytes32 indexed cidKey, uint64 indexed dealId);
    /// @notice A provider's sector holds this piece, as its miner actor said; deal `dealId` of this contract.
    event SectorPieceRecorded(
        uint64 indexed dealId,
        uint64 indexed providerId,
        uint256 indexed id,
        uint64 sector,
        bytes pieceCid,
        uint64 size,
        int64 minimumCommitmentEpoch
    );
    /// @notice The bound on replication targets changed.
    event MaxReplicationsChanged(uint256 maxReplications);
    /// @notice Value that belongs to `owner` was paid out.
    event Withdrawn(address indexed owner, address indexed to, uint256 amount);
    /// @notice This contract is to be replaced by `successor`.
    event SuccessorSet(address indexed successor);

    /// @notice A CID has 1 to 128 bytes.
    error InvalidCidLength(uint256 length);
    /// @notice A fetch link has at most 2,048 bytes.
    error InvalidFetchLinkLength(uint256 length);
    /// @notice A target is 1 to `getMaxReplications()`.
    error InvalidTarget(uint256 target, uint256 max);
    /// @notice A threshold is at most 2^62 epochs.
    error InvalidThreshold(uint256 epochs);
    /// @notice The end of a policy must lie ahead.
    error InvalidEnd(uint256 endsAt);
    /// @notice A bound on targets that cannot be.
    error InvalidMaxReplications(uint256 wanted);
    /// @notice The account has as many open requests as it may without `SUBMITTER_ROLE`.
    error TooManyOpenRequests(address owner, uint256 max);
    /// @notice This deployment wants a deposit for each request, in attoFIL.
    error DepositMissing(uint256 wanted, uint256 sent);
    /// @notice The receiver did not take the attoFIL; nothing has changed.
    error PaymentFailed(address to, uint256 amount);
    /// @notice No closed request of the account has a deposit left.
    error NothingToWithdraw(address owner);
    /// @notice Request ids run from 1 to `requestCount()`.
    error RequestNotFound(uint256 id);
    /// @notice The request was cancelled.
    error RequestClosed(uint256 id);
    /// @notice Only the account that submitted the request may do this; anyone may cancel one past its end.
    error NotOwner(uint256 id, address caller);
    /// @notice The request is bound to a piece already.
    error PieceAlreadyBound(uint256 id);
    /// @notice Without an inclusion proof, piece and size must have been bound before.
    error PieceNotBound(uint256 id);
    /// @notice The piece or its size differs from the one bound to the request.
    error WrongPiece(uint256 id);
    /// @notice The deal was recorded for this request with another outcome.
    error AlreadyRecorded(uint256 id, uint64 dealId);
    /// @notice Only market actor 5 and this contract's own actor can be asked about deals.
    error UnsupportedMarket(uint64 marketActorId);
    /// @notice The market says that the deal is not active: exit 0 = not activated or terminated, 17/32 = gone.
    error DealNotActive(uint64 dealId, int256 exitCode);
    /// @notice The term of the deal is over since `endEpoch`.
    error DealEnded(uint64 dealId, uint64 endEpoch);
    /// @notice The deal is not at this provider (actor id).
    error WrongProvider(uint64 dealId, uint64 providerId);
    /// @notice The deal on chain is not the one that the proof leads to.
    error WrongDealPiece(uint64 dealId);
    /// @notice As many deals are listed for the CID as can be; `pruneDeals` makes room.
    error DealListFull(bytes32 cidKey);
    /// @notice The deal is not on the list of the CID.
    error DealNotListed(uint64 dealId);
    /// @notice Only deals that can never be active again are pruned.
    error DealStillLive(uint64 dealId);
    /// @notice A page has at most `max` items.
    error PageTooLarge(uint256 wanted, uint256 max);
    /// @notice Only a miner actor may tell of its sectors.
    error NotAMiner(address caller);
    /// @notice A native message that this contract does not take.
    error UnsupportedMethod(uint64 method, uint64 codec);
    /// @notice The network cannot tell this contract's actor id, so sectors cannot be recorded.
    error SectorsUnsupported();
    /// @notice The sector is not live at this place.
    error WrongPlace(uint64 dealId);
    /// @notice The successor is named once, for ever.
    error SuccessorAlreadySet(address successor);
    /// @notice The successor must be another contract.
    error InvalidSuccessor(address successor);

    // ---- Requests

    /// @notice Like `submitRaaS` for a client that knows the piece of its data: no aggregator can choose it.
    /// @param pieceCid Binary piece CID, v1 (39 bytes) or v2.
    /// @param paddedSize Padded piece size in bytes: a power of two from 128 bytes to 64 GiB; may be 0 for v2.
    function submitRaaSWithPiece(
        bytes calldata cid,
        uint256 replicationTarget,
        uint256 repairThreshold,
        uint256 renewThreshold,
        bytes calldata pieceCid,
        uint64 paddedSize
    ) external payable returns (uint256 id);

    /// @notice Registers up to {MAX_PAGE} requests of the caller; their ids are `firstId` and the following.
    function submitRaaSMany(Submission[] calldata submissions) external payable returns (uint256 firstId);

    /// @notice Replaces the policy of an open request. By its owner.
    function updateRequest(uint256 id, Policy calldata policy) external;

    /// @notice Closes a request: by its owner, or by anyone once its `endsAt` has passed. Its deposit can be
    /// withdrawn by the owner.
    function cancelRequest(uint256 id) external;

    /// @notice Attests that the piece holds the data of the request. Once, before any completion, by an aggregator.
    function bindPiece(uint256 id, bytes calldata pieceCid, uint64 size) external;

    /// @notice Pays all that belongs to the caller to `to`.
    function withdraw(address payable to) external;

    // ---- Deals

    /// @notice Takes deals that are gone, terminated or over off the list of `cid`. Open to all; each removal
    /// is checked with market or miner, and one that is still live reverts the whole call.
    function pruneDeals(bytes calldata cid, uint64[] calldata dealIds) external;

    /// @notice Notes in which partition the sector of a recorded piece is, which makes later questions cheap. Open
    /// to all: the miner actor checks it.
    function locateSector(uint64 dealId, uint64 deadline, uint64 partition) external;

    // ---- Views

    /// @notice The number of requests, which is also the highest request id.
    function requestCount() external view returns (uint256);

    /// @notice The request with this id.
    function getRequest(uint256 id) external view returns (Request memory);

    /// @notice Ids of at most `n` requests for `cid` from position `from`, open or not, in order.
    function requestsOf(bytes calldata cid, uint256 from, uint256 n) external view returns (uint256[] memory);

    /// @notice The greatest target of the open requests for `cid`, and how many are open.
    function policyOf(bytes calldata cid) external view returns (uint32 target, uint256 openRequests);

    /// @notice True if this deal was verified and recorded for this request, even if it was pruned since.
    function isCompleted(uint256 id, uint64 dealId) external view returns (bool);

    /// @notice The number of distinct CIDs.
    function cidCount() external view returns (uint256);

    /// @notice At most `n` distinct CIDs from position `from`, counted from 0.
    function getCIDsPage(uint256 from, uint256 n) external view returns (bytes[] memory);

    /// @notice The active deals, of all market actors, among `n` listed ones of `cid` from position `from`.
    function getActiveDealsPage(bytes calldata cid, uint256 from, uint256 n)
        external
        view
        returns (MarketDeal[] memory);

    /// @notice The same, of those that end within `epochs`.
    function getExpiringDealsPage(bytes calldata cid, uint64 epochs, uint256 from, uint256 n)
        external
        view
        returns (MarketDeal[] memory);

    /// @notice All listed deals of up to {MAX_PAGE} CIDs; no question to a market.
    function dealsOf(bytes[] calldata cids) external view returns (MarketDeal[][] memory);

    /// @notice The number of active deals of `cid`, and of their distinct providers.
    function replicas(bytes calldata cid) external view returns (uint256 active, uint256 providers);

    /// @notice The same, and how many of them end within `epochs`.
    function replicas(bytes calldata cid, uint64 epochs)
        external
        view
        returns (uint256 active, uint256 providers, uint256 expiring);

    /// @notice The state of a deal of f05, and its end (exclusive), 0 where there is none.
    function dealState(uint64 dealId) external view returns (DealState state, uint64 endEpoch);

    /// @notice The state of a deal of a market actor.
    function dealState(uint64 marketActorId, uint64 dealId)
        external
        view
        returns (DealState state, uint64 endEpoch);

    /// @notice Provider, sector and sector status of an activated deal: what the market's word does not have.
    /// @dev The miner may have to search all its partitions: ask by eth_call, and do not send it.
    function sectorOf(uint64 marketActorId, uint64 dealId)
        external
        view
        returns (uint64 providerId, uint64 sector, SectorStatus status);

    /// @notice The deal's piece that the proof implies. Reverts where `complete` would refuse the proof.
    function computeExpectedAuxDataPublic(
        InclusionProof calldata proof,
        InclusionVerifierData calldata verifierData
    ) external view returns (InclusionAuxData memory);

    /// @notice The key under which deals of `cid` are kept; equal for the binary, link and base32 text forms of a
    /// CID.
    function cidKey(bytes calldata cid) external pure returns (bytes32);

    /// @notice This contract's own actor id, the market actor of sector pieces; 0 where the network cannot tell.
    function sectorMarket() external view returns (uint64);

    /// @notice What the caller's closed requests and refunds left here, in attoFIL.
    function withdrawable(address owner) external view returns (uint256);

    /// @notice How many requests of `owner` are open.
    function openRequestsOf(address owner) external view returns (uint256);

    /// @notice The version of this contract's interface and behaviour.
    function version() external pure returns (string memory);

    /// @notice The contract that replaces this one; zero while there is none.
    function successor() external view returns (address);
}
