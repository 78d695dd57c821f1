//! The mempool of Ethereum transactions, with the rules and texts of a node's public push.
//!
//! Invariant: the pooled nonces of one sender are consecutive from its account's nonce on, since a gap is refused
//! and execution takes them in order.

use super::{
    gas,
    transaction::{DecodeError, Transaction},
};
use alloy_primitives::{Address, B256, U256};
use std::collections::{BTreeMap, VecDeque};

/// Waiting transactions one sender may have.
const MAX_PER_SENDER: usize = 100;
/// A replacement must raise the premium to this percentage, plus one.
const REPLACE_PERCENT: u128 = 110;

/// Arrivals that are remembered for those who listen to the mempool.
const RECENT_MAX: usize = 10_000;

/// Why a transaction did not enter the mempool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// It is no transaction for this chain.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The account has used this nonce.
    #[error("minimum expected nonce is {expected}, got {got}: message nonce too low")]
    NonceTooLow {
        /// The next nonce.
        expected: u64,
        /// The transaction's.
        got: u64,
    },
    /// Nonces are taken strictly in order.
    #[error(
        "message nonce has too big a gap from expected nonce (Nonce: {got}, nextNonce: {expected}): unfulfilled nonce gap"
    )]
    NonceGap {
        /// The next nonce, pooled transactions included.
        expected: u64,
        /// The transaction's.
        got: u64,
    },
    /// The same transaction is pooled already.
    #[error("message from {from} with nonce {nonce} already in mpool: message with nonce already exists")]
    Exists {
        /// The sender.
        from: Address,
        /// Its nonce.
        nonce: u64,
    },
    /// Another transaction with this nonce is pooled, and this one does not pay enough more.
    #[error(
        "message from {from} with nonce {nonce} already in mpool, increase GasPremium to {needed} from {current} to trigger replace by fee: replace by fee has too low GasPremium"
    )]
    Replacement {
        /// The sender.
        from: Address,
        /// The nonce.
        nonce: u64,
        /// The least premium that replaces.
        needed: u128,
        /// The pooled premium.
        current: u128,
    },
    /// Below what any block charges.
    #[error("GasFeeCap {got} is below the minimum base fee {floor}: gas fee cap too low")]
    FeeCap {
        /// The transaction's.
        got: u128,
        /// The floor.
        floor: u64,
    },
    /// Cannot even be stored in a block for this much.
    #[error(
        "message will not be included in a block: 'GasLimit' field cannot be less than the cost of storing a message on chain {got} < {least}"
    )]
    GasLimit {
        /// The transaction's.
        got: u64,
        /// The intrinsic cost.
        least: u64,
    },
    /// The sender cannot pay for this and what it has pooled.
    #[error(
        "not enough funds including pending messages (required: {required}, balance: {balance}): not enough funds to execute transaction"
    )]
    Funds {
        /// In attoFIL.
        required: U256,
        /// In attoFIL.
        balance: U256,
    },
    /// One sender cannot fill the mempool.
    #[error("too many pending messages for actor: {0} has 100")]
    TooMany(Address),
}

#[derive(Clone, Debug)]
struct Entry {
    transaction: Transaction,
    arrival: u64,
}

/// Waiting transactions by sender and nonce.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool {
    entries: BTreeMap<(Address, u64), Entry>,
    arrivals: u64,
    /// The last arrivals, executed by now or not.
    recent: VecDeque<(u64, B256)>,
}

impl Pool {
    /// Everything that waits.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Transaction> {
        self.entries.values().map(|entry| &entry.transaction)
    }

    pub(super) const fn arrivals(&self) -> u64 {
        self.arrivals
    }

    pub(super) fn arrived_since(&self, seen: u64) -> Vec<B256> {
        let known = self.recent.partition_point(|(arrival, _)| *arrival <= seen);
        self.recent.iter().skip(known).map(|(_, hash)| *hash).collect()
    }

    /// The waiting transactions of one sender, nonces rising.
    pub(super) fn of(&self, sender: Address) -> impl Iterator<Item = &Transaction> {
        self.entries.range((sender, 0)..=(sender, u64::MAX)).map(|(_, entry)| &entry.transaction)
    }

    /// The nonce after the last pooled one, or the account's.
    pub(super) fn next_nonce(&self, sender: Address, account_nonce: u64) -> u64 {
        self.of(sender).last().map_or(account_nonce, |last| account_nonce.max(last.nonce + 1))
    }

    /// Takes `transaction` in, for an account with this nonce and balance, at this least fee cap.
    pub(super) fn admit(
        &mut self,
        transaction: Transaction,
        account_nonce: u64,
        balance: U256,
        floor: u64,
    ) -> Result<(), PoolError> {
        let Transaction { from, nonce, .. } = transaction;
        if nonce < account_nonce {
            return Err(PoolError::NonceTooLow { expected: account_nonce, got: nonce });
        }
        if transaction.fee_cap < u128::from(floor) {
            return Err(PoolError::FeeCap { got: transaction.fee_cap, floor });
        }
        let least = gas::from_evm(gas::intrinsic(&transaction.input, transaction.to.is_create()));
        if transaction.gas_limit < least {
            return Err(PoolError::GasLimit { got: transaction.gas_limit, least });
        }
        let pooled = self
            .of(from)
            .filter(|other| other.nonce != nonce)
            .fold(U256::ZERO, |sum, other| sum.saturating_add(other.required_funds()));
        let required = pooled.saturating_add(transaction.required_funds());
        if required > balance {
            return Err(PoolError::Funds { required, balance });
        }
        let expected = self.next_nonce(from, account_nonce);
        if nonce > expected {
            return Err(PoolError::NonceGap { expected, got: nonce });
        }
        if let Some(other) = self.entries.get(&(from, nonce)).map(|entry| &entry.transaction) {
            if other.hash == transaction.hash {
                return Err(PoolError::Exists { from, nonce });
            }
            let (current, needed) = (other.premium, other.premium.saturating_mul(REPLACE_PERCENT) / 100 + 1);
            if transaction.premium < needed {
                return Err(PoolError::Replacement { from, nonce, needed, current });
            }
        } else if self.of(from).count() >= MAX_PER_SENDER {
            return Err(PoolError::TooMany(from));
        }
        self.insert(transaction);
        Ok(())
    }

    fn insert(&mut self, transaction: Transaction) {
        self.arrivals += 1;
        self.recent.push_back((self.arrivals, transaction.hash));
        if self.recent.len() > RECENT_MAX {
            self.recent.pop_front();
        }
        let key = (transaction.from, transaction.nonce);
        self.entries.insert(key, Entry { transaction, arrival: self.arrivals });
    }

    /// Removes what fits a tipset with this much gas: per sender in nonce order, the best premium first, then the
    /// earliest.
    pub(super) fn take(&mut self, mut room: u64) -> Vec<Transaction> {
        let mut taken = Vec::new();
        while let Some(key) = self.best(room) {
            let Some(entry) = self.entries.remove(&key) else { break };
            room = room.saturating_sub(entry.transaction.gas_limit);
            taken.push(entry.transaction);
        }
        taken
    }

    /// Everything that waits, in the order in which it came.
    pub(super) fn drain(&mut self) -> Vec<Transaction> {
        let mut entries: Vec<Entry> = std::mem::take(&mut self.entries).into_values().collect();
        entries.sort_by_key(|entry| entry.arrival);
        entries.into_iter().map(|entry| entry.transaction).collect()
    }

    /// Puts back what a block could not execute.
    pub(super) fn put_back(&mut self, transaction: Transaction) {
        self.insert(transaction);
    }

    /// The first waiting transaction of each sender.
    pub(super) fn heads(&self) -> impl Iterator<Item = &Transaction> {
        self.head_entries().map(|entry| &entry.transaction)
    }

    fn head_entries(&self) -> impl Iterator<Item = &Entry> {
        let mut last = None;
        self.entries
            .values()
            .filter(move |entry| last.replace(entry.transaction.from) != Some(entry.transaction.from))
    }

    fn best(&self, room: u64) -> Option<(Address, u64)> {
        self.head_entries()
            .filter(|entry| entry.transaction.gas_limit <= room)
            .max_by_key(|entry| (entry.transaction.premium, std::cmp::Reverse(entry.arrival)))
            .map(|entry| (entry.transaction.from, entry.transaction.nonce))
    }
}
