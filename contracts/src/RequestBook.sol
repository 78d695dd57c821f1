// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {
    AccessControlDefaultAdminRules
} from "@openzeppelin/contracts/access/extensions/AccessControlDefaultAdminRules.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {Evidence} from "./Evidence.sol";
import {IDealRegistry, Policy, Request, Submission} from "./IDealRegistry.sol";
import {IDealStatus} from "./IDealStatus.sol";
import {IFrc0087} from "./IFrc0087.sol";
import {ILighthouseDealStatus} from "./ILighthouseDealStatus.sol";
import {PieceCid} from "./PieceCid.sol";
import {Podsi} from "./Podsi.sol";
import {Purse} from "./Purse.sol";
import {Content, StoredRequest} from "./Types.sol";
import "./Types.sol" as Types;

/// @title Requests: who wants what kept, under which policy, in which piece
/// @notice A request belongs to its submitter. Several requests, of one or several owners, may name one CID.
abstract contract RequestBook is
    IDealStatus,
    IFrc0087,
    ILighthouseDealStatus,
    IDealRegistry,
    AccessControlDefaultAdminRules,
    Pausable,
    Purse
{
    /// @notice May complete requests and bind pieces.
    bytes32 public constant AGGREGATOR_ROLE = keccak256("AGGREGATOR_ROLE");
    /// @notice May submit without a limit on open requests; in a restricted deployment nobody else may submit.
    bytes32 public constant SUBMITTER_ROLE = keccak256("SUBMITTER_ROLE");
    /// @notice Upper bound of {getMaxReplications}.
    uint256 public constant MAX_TARGET = 32;
    /// @notice Bytes of a CID: 1 to this.
    uint256 public constant MAX_CID_LENGTH = 128;
    /// @notice Bytes of a fetch link: 0 to this.
    uint256 public constant MAX_FETCH_LINK_LENGTH = 2048;
    /// @notice Epochs; leaves room for arithmetic in signed 64-bit numbers.
    uint256 public constant MAX_THRESHOLD = 1 << 62;
    /// @notice Items of one page or batch.
    uint256 public constant MAX_PAGE = 50;
    /// @notice Listed deals of one CID.
    uint256 public constant MAX_LIVE_DEALS = Types.MAX_LIVE_DEALS;

    /// @notice True if only {SUBMITTER_ROLE} may submit.
    bool public immutable restricted;
    /// @notice Open requests of one owner without {SUBMITTER_ROLE}.
    uint256 public immutable maxOpenRequests;

    uint256 internal _requestCount;
    uint256 private _maxReplications = MAX_TARGET;
    mapping(uint256 id => StoredRequest) internal _requests;
    Content[] internal _contents;
    /// Position in `_contents` plus one.
    mapping(bytes32 cidKey => uint256) private _contentOf;
    mapping(address owner => uint256) private _openRequestsOf;
    /// Stays empty.
    Content private _nowhere;

    constructor(bool restricted_, uint256 maxOpenRequests_) {
        restricted = restricted_;
        maxOpenRequests = maxOpenRequests_;
    }

    // ---- Submitting

    /// @inheritdoc IDealStatus
    function submit(bytes memory _cid) external returns (uint256 id) {
        id = _submit(_cid);
        _take(1);
    }

    /// @inheritdoc IFrc0087
    function submit(bytes calldata cid, bytes calldata fetchLink) external payable returns (uint256 id) {
        id = _submit(cid);
        _link(id, fetchLink);
        _take(1);
    }

    /// @inheritdoc IDealStatus
    function submitRaaS(
        bytes memory _cid,
        uint256 _replication_target,
        uint256 _repair_threshold,
        uint256 _renew_threshold
    ) external returns (uint256 id) {
        id = _register(_cid, _policy(_replication_target, _repair_threshold, _renew_threshold, 0), "", 0);
        _take(1);
    }

    /// @inheritdoc IFrc0087
    function submitRaaS(
        bytes calldata cid,
        bytes calldata fetchLink,
        uint256 replicationTarget,
        uint256 repairThreshold,
        uint256 renewThreshold
    ) external payable returns (uint256 id) {
        id = _register(cid, _policy(replicationTarget, repairThreshold, renewThreshold, 0), "", 0);
        _link(id, fetchLink);
        _take(1);
    }

    /// @inheritdoc IDealRegistry
    function submitRaaSWithPiece(
        bytes calldata cid,
        uint256 replicationTarget,
        uint256 repairThreshold,
        uint256 renewThreshold,
        bytes calldata pieceCid,
        uint64 paddedSize
    ) external payable returns (uint256 id) {
        if (pieceCid.length == 0) revert PieceCid.InvalidPieceCid();
        Policy memory policy = _policy(replicationTarget, repairThreshold, renewThreshold, 0);
        id = _register(cid, policy, pieceCid, paddedSize);
        _take(1);
    }

    /// @inheritdoc IDealRegistry
    function submitRaaSMany(Submission[] calldata submissions) external payable returns (uint256 firstId) {
        _requirePage(submissions.length);
        firstId = _requestCount + 1;
        for (uint256 i = 0; i < submissions.length; ++i) {
            Submission calldata s = submissions[i];
            Policy calldata p = s.policy;
            Policy memory policy = _policy(p.target, p.repairThreshold, p.renewThreshold, p.endsAt);
            _register(s.cid, policy, s.pieceCid, s.pieceSize);
        }
        _take(submissions.length);
    }

    // ---- Changing

    /// @inheritdoc IDealRegistry
    function updateRequest(uint256 id, Policy calldata policy) external whenNotPaused {
        StoredRequest storage request = _openRequest(id);
        if (request.owner != msg.sender) revert NotOwner(id, msg.sender);
        Policy memory checked =
            _policy(policy.target, policy.repairThreshold, policy.renewThreshold, policy.endsAt);
        Content storage content = _contents[request.content];
        --content.openByTarget[request.target];
        ++content.openByTarget[checked.target];
        _store(request, checked);
        _emitUpdated(id, checked);
    }

    /// @inheritdoc IDealRegistry
    /// @dev Also while paused: what is the owner's stays the owner's.
    function cancelRequest(uint256 id) external {
        StoredRequest storage request = _openRequest(id);
        bool ended = request.endsAt != 0 && block.number >= request.endsAt;
        address owner = request.owner;
        if (owner != msg.sender && !ended) revert NotOwner(id, msg.sender);
        request.open = false;
        Content storage content = _contents[request.content];
        --content.openByTarget[request.target];
        --content.openRequests;
        --_openRequestsOf[owner];
        _release(owner);
        emit RequestCancelled(id, msg.sender);
    }

    /// @inheritdoc IDealRegistry
    function bindPiece(uint256 id, bytes calldata pieceCid, uint64 size)
        external
        onlyRole(AGGREGATOR_ROLE)
        whenNotPaused
    {
        (bytes32 piece, uint64 pieceSize) = Evidence.pieceOf(pieceCid, size);
        if (_openRequest(id).pieceSize != 0) revert PieceAlreadyBound(id);
        _bind(id, piece, pieceSize);
    }

    /// @inheritdoc ILighthouseDealStatus
    function changeMaxReplications(uint256 maxReplications) external onlyRole(DEFAULT_ADMIN_ROLE) {
        if (maxReplications == 0 || maxReplications > MAX_TARGET) {
            revert InvalidMaxReplications(maxReplications);
        }
        _maxReplications = maxReplications;
        emit MaxReplicationsChanged(maxReplications);
    }

    // ---- Views

    /// @inheritdoc ILighthouseDealStatus
    function getMaxReplications() external view returns (uint256) {
        return _maxReplications;
    }

    /// @inheritdoc IDealRegistry
    function requestCount() external view returns (uint256) {
        return _requestCount;
    }

    /// @inheritdoc IDealRegistry
    function getRequest(uint256 id) external view returns (Request memory) {
        StoredRequest storage r = _request(id);
        return Request({
            owner: r.owner,
            cid: _contents[r.content].cid,
            policy: Policy(r.target, r.repairThreshold, r.renewThreshold, r.endsAt),
            pieceCid: r.piece == 0 ? bytes("") : PieceCid.encode(r.piece),
            pieceSize: r.pieceSize,
            open: r.open
        });
    }

    /// @inheritdoc IDealRegistry
    function requestsOf(bytes calldata cid, uint256 from, uint256 n)
        external
        view
        returns (uint256[] memory ids)
    {
        _requirePage(n);
        (Content storage content,) = _find(cid);
        uint256 length = _pageLength(content.requests.length, from, n);
        ids = new uint256[](length);
        for (uint256 i = 0; i < length; ++i) {
            ids[i] = content.requests[from + i];
        }
    }

    /// @inheritdoc IDealRegistry
    function policyOf(bytes calldata cid) external view returns (uint32 target, uint256 openRequests) {
        (Content storage content,) = _find(cid);
        uint256 highest = MAX_TARGET;
        while (highest > 0 && content.openByTarget[highest] == 0) --highest;
        // forge-lint: disable-next-line(unsafe-typecast)
        return (uint32(highest), content.openRequests);
    }

    /// @inheritdoc IDealRegistry
    function openRequestsOf(address owner) external view returns (uint256) {
        return _openRequestsOf[owner];
    }

    /// @inheritdoc IDealRegistry
    /// @dev Other spellings are compared byte by byte. The documented form is the binary CID without prefix.
    function cidKey(bytes memory cid) external pure returns (bytes32 key) {
        (key,,) = Evidence.identify(cid);
    }

    // ---- Internal

    function _submit(bytes memory cid) private returns (uint256 id) {
        Policy memory none;
        id = _register(cid, none, "", 0);
    }

    /// The policy, if every number of it can be meant.
    function _policy(uint256 target, uint256 repair, uint256 renew, uint256 endsAt)
        private
        view
        returns (Policy memory)
    {
        if (target == 0 || target > _maxReplications) revert InvalidTarget(target, _maxReplications);
        if (repair > MAX_THRESHOLD) revert InvalidThreshold(repair);
        if (renew > MAX_THRESHOLD) revert InvalidThreshold(renew);
        if (endsAt != 0 && (endsAt <= block.number || endsAt > MAX_THRESHOLD)) revert InvalidEnd(endsAt);
        // The bounds above make the casts lossless.
        // forge-lint: disable-next-line(unsafe-typecast)
        return Policy(uint32(target), uint64(repair), uint64(renew), uint64(endsAt));
    }

    /// Binds what the submitter knows: the piece it names, or the one that its CID is.
    function _register(bytes memory cid, Policy memory policy, bytes memory pieceCid, uint64 size)
        private
        whenNotPaused
        returns (uint256 id)
    {
        if (cid.length == 0 || cid.length > MAX_CID_LENGTH) revert InvalidCidLength(cid.length);
        _count(msg.sender);
        (bytes32 key, bytes32 piece, uint64 told) = Evidence.identify(cid);
        id = _add(cid, key, policy);
        if (policy.target == 0) emit SubmitAggregatorRequest(id, cid);
        else _emitRaaS(id, cid, policy);
        emit RequestRegistered(id, key, msg.sender);
        if (policy.endsAt != 0) _emitUpdated(id, policy);

        _requests[id].piece = piece;
        if (pieceCid.length != 0) {
            (piece, size) = Evidence.pieceOf(pieceCid, size);
            _bind(id, piece, size);
        } else if (told != 0) {
            _bind(id, piece, told);
        } else if (size != 0) {
            // A size without a piece means something that is not understood here.
            revert PieceCid.InvalidPieceCid();
        }
    }

    /// One more open request of `owner`, if it may have one.
    function _count(address owner) private {
        uint256 open = ++_openRequestsOf[owner];
        if (restricted) _checkRole(SUBMITTER_ROLE);
        if (open > maxOpenRequests && !hasRole(SUBMITTER_ROLE, owner)) {
            revert TooManyOpenRequests(owner, maxOpenRequests);
        }
    }

    function _add(bytes memory cid, bytes32 key, Policy memory policy) private returns (uint256 id) {
        uint256 place = _contentOf[key];
        if (place == 0) {
            _contents.push().cid = cid;
            place = _contents.length;
            _contentOf[key] = place;
        }
        id = ++_requestCount;
        Content storage content = _contents[place - 1];
        // Each costs a transaction, so requests and contents stay far below 2^32 of one, and 2^64 in all.
        // forge-lint: disable-start(unsafe-typecast)
        content.requests.push(uint64(id));
        ++content.openRequests;
        ++content.openByTarget[policy.target];
        StoredRequest storage request = _requests[id];
        request.owner = msg.sender;
        request.open = true;
        request.content = uint64(place - 1);
        // forge-lint: disable-end(unsafe-typecast)
        _store(request, policy);
    }

    function _emitRaaS(uint256 id, bytes memory cid, Policy memory p) private {
        emit SubmitAggregatorRequestWithRaaS(id, cid, p.target, p.repairThreshold, p.renewThreshold);
    }

    function _emitUpdated(uint256 id, Policy memory p) private {
        emit RequestUpdated(id, p.target, p.repairThreshold, p.renewThreshold, p.endsAt);
    }

    function _store(StoredRequest storage request, Policy memory policy) private {
        // At most MAX_TARGET.
        // forge-lint: disable-next-line(unsafe-typecast)
        request.target = uint24(policy.target);
        request.repairThreshold = policy.repairThreshold;
        request.renewThreshold = policy.renewThreshold;
        request.endsAt = policy.endsAt;
    }

    function _link(uint256 id, bytes calldata fetchLink) private {
        if (fetchLink.length > MAX_FETCH_LINK_LENGTH) revert InvalidFetchLinkLength(fetchLink.length);
        if (fetchLink.length != 0) emit FetchLink(id, fetchLink);
    }

    function _bind(uint256 id, bytes32 piece, uint64 size) internal {
        Podsi.requirePieceSize(size);
        StoredRequest storage request = _requests[id];
        if (request.piece != 0 && request.piece != piece) revert WrongPiece(id);
        request.piece = piece;
        request.pieceSize = size;
        emit PieceBound(id, PieceCid.encode(piece), size, msg.sender);
    }

    function _request(uint256 id) internal view returns (StoredRequest storage) {
        if (id == 0 || id > _requestCount) revert RequestNotFound(id);
        return _requests[id];
    }

    function _openRequest(uint256 id) internal view returns (StoredRequest storage request) {
        request = _request(id);
        if (!request.open) revert RequestClosed(id);
    }

    /// The content of a CID and its key. For an unknown CID that is a place where nothing is ever written.
    function _find(bytes memory cid) internal view returns (Content storage content, bytes32 key) {
        (key,,) = Evidence.identify(cid);
        uint256 place = _contentOf[key];
        content = place != 0 ? _contents[place - 1] : _nowhere;
    }

    function _requirePage(uint256 n) internal pure {
        if (n > MAX_PAGE) revert PageTooLarge(n, MAX_PAGE);
    }

    /// How many of `n` items from `from` there are.
    function _pageLength(uint256 length, uint256 from, uint256 n) internal pure returns (uint256) {
        if (from >= length) return 0;
        return n < length - from ? n : length - from;
    }
}
