// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IDealStatus, InclusionProof, InclusionVerifierData, InclusionAuxData} from "./IDealStatus.sol";
import {Market} from "./Market.sol";
import {PieceCid} from "./PieceCid.sol";
import {Podsi} from "./Podsi.sol";

/// @title DealStatus: requests to keep data on Filecoin, and the market deals that were verified for them
/// @notice Requests own policies; deals are listed once for each CID, and each request is completed on its own.
///
/// What is proven: that a recorded deal (f05) was active when it was recorded, is held by the named provider,
/// and contains the request's piece. What is attested only, by the client or by an aggregator: that this
/// piece holds the data of the CID.
///
/// "Active" is the market's state. The market knows nothing of faults, so these views must not be what decides
/// a repair. Deals without an f05 deal id (direct data onboarding) cannot be recorded.
contract DealStatus is IDealStatus, AccessControl {
    /// @notice A request as it was submitted, and the piece that was bound to it.
    struct Request {
        address owner;
        bytes cid;
        /// Wanted copies; 0 for a request without a policy.
        uint32 target;
        /// Epochs of inactivity before a repair.
        uint64 repairThreshold;
        /// Epochs before expiry at which a deal is renewed.
        uint64 renewThreshold;
        /// Binary piece CID v1; empty while no piece is bound.
        bytes pieceCid;
        /// Padded size in bytes; 0 while no piece is bound.
        uint64 pieceSize;
    }

    struct StoredRequest {
        address owner;
        uint32 target;
        uint64 content;
        uint64 repairThreshold;
        uint64 renewThreshold;
        uint64 pieceSize;
        bytes32 piece;
    }

    /// A verified deal. Its term stands in the signed proposal and never changes, so it is read only once.
    struct Record {
        uint64 dealId;
        uint64 minerId;
        uint64 endEpoch;
    }

    /// What an aggregator says of a deal: its provider, and the piece it must have on chain.
    struct Claim {
        uint64 dealId;
        uint64 minerId;
        bytes32 piece;
        uint64 size;
    }

    struct Content {
        bytes cid;
        Record[] records;
        /// Position in `records` plus one.
        mapping(uint64 dealId => uint256) position;
    }

    /// @notice A request with an owner, beside the frozen event of the same transaction; filters by CID or owner.
    event RequestRegistered(uint256 indexed id, bytes32 indexed cidKey, address indexed owner);
    /// @notice From now on only deals that contain this piece can complete the request.
    event PieceBound(uint256 indexed id, bytes pieceCid, uint64 size, address indexed by);
    /// @notice A deal that is gone or over was taken off the list of its CID.
    event DealPruned(bytes32 indexed cidKey, uint64 indexed dealId);
    /// @notice The bound on replication targets of new requests changed.
    event MaxReplicationsChanged(uint256 maxReplications);

    error InvalidCidLength(uint256 length);
    error InvalidTarget(uint256 target, uint256 max);
    error InvalidThreshold(uint256 epochs);
    error InvalidMaxReplications(uint256 wanted);
    error RequestNotFound(uint256 id);
    error PieceAlreadyBound(uint256 id);
    /// @notice The piece or its size differs from the one bound to the request.
    error WrongPiece(uint256 id);
    /// @notice The deal was recorded for this request by someone else, or with another outcome.
    error AlreadyRecorded(uint256 id, uint64 dealId);
    /// @notice The market says that the deal is not active: exit 0 = not activated or terminated, 17/32 = gone.
    error DealNotActive(uint64 dealId, int256 exitCode);
    error DealEnded(uint64 dealId, uint64 endEpoch);
    error WrongProvider(uint64 dealId, uint64 minerId);
    /// @notice The deal on chain is not the one that the proof leads to.
    error WrongDealPiece(uint64 dealId);
    error DealListFull(bytes32 cidKey);
    error DealNotListed(uint64 dealId);
    error DealStillLive(uint64 dealId);
    error PageTooLarge(uint256 wanted, uint256 max);

    /// @notice May complete requests and bind pieces.
    bytes32 public constant AGGREGATOR_ROLE = keccak256("AGGREGATOR_ROLE");
    /// @notice Listed deals of one CID: two generations of {MAX_TARGET} copies.
    uint256 public constant MAX_LIVE_DEALS = 64;
    /// @notice Upper bound of {getMaxReplications}.
    uint256 public constant MAX_TARGET = 32;
    /// @notice Bytes of a CID: 1 to this.
    uint256 public constant MAX_CID_LENGTH = 128;
    /// @notice Epochs; leaves room for arithmetic in signed 64-bit numbers.
    uint256 public constant MAX_THRESHOLD = 1 << 62;
    /// @notice Items of one page or batch.
    uint256 public constant MAX_PAGE = 50;

    uint256 private _requestCount;
    uint256 private _maxReplications = MAX_TARGET;
    mapping(uint256 id => StoredRequest) private _requests;
    Content[] private _contents;
    /// Position in `_contents` plus one.
    mapping(bytes32 cidKey => uint256) private _contentOf;
    /// What was recorded by whom, so that a repeat can be told from a contradiction.
    mapping(uint256 id => mapping(uint64 dealId => bytes32)) private _receipts;

    /// @notice The deployer becomes admin and aggregator, and should hand both over.
    constructor() {
        _grantRole(DEFAULT_ADMIN_ROLE, msg.sender);
        _grantRole(AGGREGATOR_ROLE, msg.sender);
    }

    // ---- Requests

    /// @inheritdoc IDealStatus
    function submit(bytes memory _cid) external returns (uint256 id) {
        bytes32 key;
        (id, key) = _register(_cid);
        emit SubmitAggregatorRequest(id, _cid);
        emit RequestRegistered(id, key, msg.sender);
    }

    /// @inheritdoc IDealStatus
    function submitRaaS(
        bytes memory _cid,
        uint256 _replication_target,
        uint256 _repair_threshold,
        uint256 _renew_threshold
    ) external returns (uint256 id) {
        id = _registerRaaS(_cid, _replication_target, _repair_threshold, _renew_threshold);
    }

    /// @notice Like `submitRaaS` for a client that knows the piece of its data: no aggregator can choose it.
    /// @param pieceCid Binary piece CID v1 (39 bytes).
    /// @param paddedSize Padded piece size in bytes: a power of two from 128 bytes to 64 GiB.
    function submitRaaSWithPiece(
        bytes memory cid,
        uint256 replicationTarget,
        uint256 repairThreshold,
        uint256 renewThreshold,
        bytes calldata pieceCid,
        uint64 paddedSize
    ) external returns (uint256 id) {
        id = _registerRaaS(cid, replicationTarget, repairThreshold, renewThreshold);
        _bind(id, PieceCid.parse(pieceCid), paddedSize);
    }

    /// @notice Attests that the piece holds the data of the request. Once, and before any completion.
    function bindPiece(uint256 id, bytes calldata pieceCid, uint64 size) external onlyRole(AGGREGATOR_ROLE) {
        if (_request(id).pieceSize != 0) revert PieceAlreadyBound(id);
        _bind(id, PieceCid.parse(pieceCid), size);
    }

    /// @inheritdoc IDealStatus
    /// @dev If no piece is bound yet, the piece of `_verifierData` is bound: the caller's role attests it. The
    /// same call again by the same account changes nothing, emits nothing and returns the same.
    function complete(
        uint256 _id,
        uint64 _dealId,
        uint64 _minerId,
        InclusionProof calldata _proof,
        InclusionVerifierData calldata _verifierData
    ) external onlyRole(AGGREGATOR_ROLE) returns (InclusionAuxData memory aux) {
        bytes32 piece = PieceCid.parse(_verifierData.commPc);
        uint64 size = _verifierData.sizePc;
        bool unbound = _requirePiece(_id, piece, size);
        Claim memory claim = Claim(_dealId, _minerId, piece, size);
        // The size of a direct piece is checked where it is bound.
        if (!Podsi.isDirect(_proof)) (claim.piece, claim.size) = Podsi.impliedDeal(piece, size, _proof);

        if (_record(_id, claim) && unbound) _bind(_id, piece, size);
        return InclusionAuxData(PieceCid.encode(claim.piece), claim.size);
    }

    /// @notice Takes deals that are gone, terminated or over off the list of `cid`. Open to all; each removal
    /// is checked with the market, and one that is still live reverts the whole call.
    function pruneDeals(bytes calldata cid, uint64[] calldata dealIds) external {
        bytes32 key = cidKey(cid);
        uint256 place = _contentOf[key];
        for (uint256 i = 0; i < dealIds.length; ++i) {
            uint64 dealId = dealIds[i];
            if (place == 0) revert DealNotListed(dealId);
            _unlist(_contents[place - 1], dealId);
            emit DealPruned(key, dealId);
        }
    }

    /// @notice Sets the bound on replication targets of new requests, 1 to {MAX_TARGET}.
    function changeMaxReplications(uint256 maxReplications) external onlyRole(DEFAULT_ADMIN_ROLE) {
        if (maxReplications == 0 || maxReplications > MAX_TARGET) {
            revert InvalidMaxReplications(maxReplications);
        }
        _maxReplications = maxReplications;
        emit MaxReplicationsChanged(maxReplications);
    }

    // ---- Views

    /// @inheritdoc IDealStatus
    function getAllDeals(bytes memory _cid) external view returns (Deal[] memory) {
        return _listed(_cid);
    }

    /// @inheritdoc IDealStatus
    /// @dev Grows without bound; page with {getCIDsPage}.
    function getAllCIDs() external view returns (bytes[] memory) {
        return _cids(0, _contents.length);
    }

    /// @inheritdoc IDealStatus
    /// @dev Activated, not terminated, and before the end of its term. Reverts rather than guess if the market
    /// cannot be asked.
    function getActiveDeals(bytes memory _cid) external view returns (Deal[] memory) {
        return _activeUntil(_cid, type(uint256).max);
    }

    /// @inheritdoc IDealStatus
    /// @dev Active deals with end - block.number <= epochs; the end epoch itself is no longer active.
    function getExpiringDeals(bytes memory _cid, uint64 epochs) external view returns (Deal[] memory) {
        return _activeUntil(_cid, block.number + epochs);
    }

    /// @notice The number of requests, which is also the highest request id.
    function requestCount() external view returns (uint256) {
        return _requestCount;
    }

    /// @notice The request with this id.
    function getRequest(uint256 id) external view returns (Request memory) {
        StoredRequest storage r = _request(id);
        return Request({
            owner: r.owner,
            cid: _contents[r.content].cid,
            target: r.target,
            repairThreshold: r.repairThreshold,
            renewThreshold: r.renewThreshold,
            pieceCid: r.pieceSize == 0 ? bytes("") : PieceCid.encode(r.piece),
            pieceSize: r.pieceSize
        });
    }

    /// @notice True if this deal was verified and recorded for this request, even if it was pruned since.
    function isCompleted(uint256 id, uint64 dealId) external view returns (bool) {
        return _receipts[id][dealId] != 0;
    }

    /// @notice The number of distinct CIDs.
    function cidCount() external view returns (uint256) {
        return _contents.length;
    }

    /// @notice At most `n` distinct CIDs (`n` <= {MAX_PAGE}) from position `from`, counted from 0.
    function getCIDsPage(uint256 from, uint256 n) external view returns (bytes[] memory) {
        if (n > MAX_PAGE) revert PageTooLarge(n, MAX_PAGE);
        uint256 count = _contents.length;
        if (from >= count) return new bytes[](0);
        return _cids(from, n < count - from ? n : count - from);
    }

    /// @notice `getAllDeals` of up to {MAX_PAGE} CIDs; no question to the market.
    function dealsOf(bytes[] calldata cids) external view returns (Deal[][] memory deals) {
        if (cids.length > MAX_PAGE) revert PageTooLarge(cids.length, MAX_PAGE);
        deals = new Deal[][](cids.length);
        for (uint256 i = 0; i < cids.length; ++i) {
            deals[i] = _listed(cids[i]);
        }
    }

    /// @notice The key under which deals of `cid` are kept. CIDs are compared byte by byte: one content under two
    /// encodings has two keys. The documented form is the binary CID without multibase prefix.
    function cidKey(bytes memory cid) public pure returns (bytes32) {
        return keccak256(cid);
    }

    /// @notice The present bound on replication targets of new requests.
    function getMaxReplications() external view returns (uint256) {
        return _maxReplications;
    }

    /// @notice The version of this contract's interface and behaviour.
    function version() external pure returns (string memory) {
        return "2.0.0";
    }

    // ---- Internal

    function _registerRaaS(bytes memory cid, uint256 target, uint256 repair, uint256 renew)
        private
        returns (uint256 id)
    {
        if (target == 0 || target > _maxReplications) revert InvalidTarget(target, _maxReplications);
        if (repair > MAX_THRESHOLD) revert InvalidThreshold(repair);
        if (renew > MAX_THRESHOLD) revert InvalidThreshold(renew);
        bytes32 key;
        (id, key) = _register(cid);
        StoredRequest storage request = _requests[id];
        // The bounds above make the casts lossless.
        // forge-lint: disable-start(unsafe-typecast)
        request.target = uint32(target);
        request.repairThreshold = uint64(repair);
        request.renewThreshold = uint64(renew);
        // forge-lint: disable-end(unsafe-typecast)
        emit SubmitAggregatorRequestWithRaaS(id, cid, target, repair, renew);
        emit RequestRegistered(id, key, msg.sender);
    }

    function _register(bytes memory cid) private returns (uint256 id, bytes32 key) {
        if (cid.length == 0 || cid.length > MAX_CID_LENGTH) revert InvalidCidLength(cid.length);
        key = cidKey(cid);
        uint256 place = _contentOf[key];
        if (place == 0) {
            _contents.push().cid = cid;
            place = _contents.length;
            _contentOf[key] = place;
        }
        id = ++_requestCount;
        StoredRequest storage request = _requests[id];
        request.owner = msg.sender;
        // Every content costs a request, so their number stays far below 2^64.
        // forge-lint: disable-next-line(unsafe-typecast)
        request.content = uint64(place - 1);
    }

    function _bind(uint256 id, bytes32 piece, uint64 size) private {
        Podsi.requirePieceSize(size);
        StoredRequest storage request = _requests[id];
        request.piece = piece;
        request.pieceSize = size;
        emit PieceBound(id, PieceCid.encode(piece), size, msg.sender);
    }

    function _request(uint256 id) private view returns (StoredRequest storage) {
        if (id == 0 || id > _requestCount) revert RequestNotFound(id);
        return _requests[id];
    }

    /// Refuses a piece other than the bound one; true if none is bound.
    function _requirePiece(uint256 id, bytes32 piece, uint64 size) private view returns (bool unbound) {
        StoredRequest storage request = _request(id);
        unbound = request.pieceSize == 0;
        if (!unbound && (request.piece != piece || request.pieceSize != size)) revert WrongPiece(id);
    }

    /// Verifies and records the claim; false if the same account recorded the same before.
    function _record(uint256 id, Claim memory claim) private returns (bool) {
        bytes32 receipt = keccak256(abi.encode(msg.sender, claim));
        bytes32 earlier = _receipts[id][claim.dealId];
        if (earlier == receipt) return false;
        if (earlier != 0) revert AlreadyRecorded(id, claim.dealId);

        uint64 endEpoch = _verifyDeal(claim);
        _receipts[id][claim.dealId] = receipt;
        _list(_contents[_requests[id].content], Record(claim.dealId, claim.minerId, endEpoch));
        emit CompleteAggregatorRequest(id, claim.dealId);
        return true;
    }

    function _verifyDeal(Claim memory claim) private view returns (uint64 endEpoch) {
        uint64 dealId = claim.dealId;
        (int256 exitCode, int64 activated, int64 terminated) = Market.activation(dealId);
        if (exitCode != Market.OK || activated < 0 || terminated >= 0) {
            revert DealNotActive(dealId, exitCode);
        }

        uint64 minerId;
        (exitCode, minerId) = Market.provider(dealId);
        if (exitCode != Market.OK) revert DealNotActive(dealId, exitCode);
        if (minerId != claim.minerId) revert WrongProvider(dealId, minerId);

        bytes32 piece;
        uint64 size;
        (exitCode, piece, size) = Market.dataCommitment(dealId);
        if (exitCode != Market.OK) revert DealNotActive(dealId, exitCode);
        if (piece != claim.piece || size != claim.size) revert WrongDealPiece(dealId);

        (exitCode, endEpoch) = Market.endEpoch(dealId);
        if (exitCode != Market.OK) revert DealNotActive(dealId, exitCode);
        if (block.number >= endEpoch) revert DealEnded(dealId, endEpoch);
    }

    function _list(Content storage content, Record memory record) private {
        if (content.position[record.dealId] != 0) return;
        if (content.records.length == MAX_LIVE_DEALS) revert DealListFull(cidKey(content.cid));
        content.records.push(record);
        content.position[record.dealId] = content.records.length;
    }

    function _unlist(Content storage content, uint64 dealId) private {
        uint256 position = content.position[dealId];
        if (position == 0) revert DealNotListed(dealId);
        if (!_isOver(content.records[position - 1])) revert DealStillLive(dealId);
        Record memory last = content.records[content.records.length - 1];
        content.records[position - 1] = last;
        content.position[last.dealId] = position;
        content.records.pop();
        delete content.position[dealId];
    }

    /// Never to be active again.
    function _isOver(Record memory record) private view returns (bool) {
        if (block.number >= record.endEpoch) return true;
        (int256 exitCode,, int64 terminated) = Market.activation(record.dealId);
        return exitCode != Market.OK || terminated >= 0;
    }

    function _isActive(Record memory record) private view returns (bool) {
        if (block.number >= record.endEpoch) return false;
        (int256 exitCode, int64 activated, int64 terminated) = Market.activation(record.dealId);
        return exitCode == Market.OK && activated >= 0 && terminated < 0;
    }

    function _activeUntil(bytes memory cid, uint256 lastEnd) private view returns (Deal[] memory deals) {
        uint256 place = _contentOf[cidKey(cid)];
        if (place == 0) return deals;
        Record[] storage records = _contents[place - 1].records;
        deals = new Deal[](records.length);
        uint256 found = 0;
        for (uint256 i = 0; i < deals.length; ++i) {
            Record memory record = records[i];
            if (record.endEpoch > lastEnd || !_isActive(record)) continue;
            deals[found++] = Deal(record.dealId, record.minerId);
        }
        // Shortening in place leaves no holes; the tail is unused memory.
        assembly ("memory-safe") {
            mstore(deals, found)
        }
    }

    function _listed(bytes memory cid) private view returns (Deal[] memory deals) {
        uint256 place = _contentOf[cidKey(cid)];
        if (place == 0) return deals;
        Record[] storage records = _contents[place - 1].records;
        deals = new Deal[](records.length);
        for (uint256 i = 0; i < deals.length; ++i) {
            deals[i] = Deal(records[i].dealId, records[i].minerId);
        }
    }

    function _cids(uint256 from, uint256 n) private view returns (bytes[] memory cids) {
        cids = new bytes[](n);
        for (uint256 i = 0; i < n; ++i) {
            cids[i] = _contents[from + i].cid;
        }
    }
}
