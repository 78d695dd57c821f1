// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IDealRegistry} from "./IDealRegistry.sol";

/// @title Value sent with requests: a deposit for each, everything else straight back
/// @notice Nothing is ever the contract's own. A deposit belongs to the request's owner and can be withdrawn once
/// the request is closed. Money moves last in every function, so a receiver that calls back finds all settled.
abstract contract Purse is IDealRegistry {
    /// @notice attoFIL kept for each open request; 0: nothing is kept.
    uint256 public immutable requestDeposit;

    mapping(address owner => uint256 amount) private _withdrawable;

    constructor(uint256 requestDeposit_) {
        requestDeposit = requestDeposit_;
    }

    /// @inheritdoc IDealRegistry
    function withdraw(address payable to) external {
        uint256 amount = _withdrawable[msg.sender];
        if (amount == 0) revert NothingToWithdraw(msg.sender);
        _withdrawable[msg.sender] = 0;
        emit Withdrawn(msg.sender, to, amount);
        _pay(to, amount);
    }

    /// @inheritdoc IDealRegistry
    function withdrawable(address owner) external view returns (uint256) {
        return _withdrawable[owner];
    }

    /// Keeps the deposits of `requests` requests out of the message's value and sends the rest back.
    function _take(uint256 requests) internal {
        uint256 due = requestDeposit * requests;
        if (msg.value < due) revert DepositMissing(due, msg.value);
        if (msg.value > due) _pay(msg.sender, msg.value - due);
    }

    /// One deposit becomes the owner's to withdraw.
    function _release(address owner) internal {
        _withdrawable[owner] += requestDeposit;
    }

    function _pay(address to, uint256 amount) private {
        (bool success,) = to.call{value: amount}("");
        if (!success) revert PaymentFailed(to, amount);
    }
}
