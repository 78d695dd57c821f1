//! Accounts, code and storage of everything that lives at an eth address, over time.
//!
//! Owner of balance, nonce, code and storage of `f410` actors. Every value is a [`Timeline`], so that a read at
//! any past block sees that block's state; nothing is ever overwritten in the past.

use super::{
    pool::Pool,
    receipt::Executed,
    transaction::{Kind, Transaction},
};
use crate::world::{StateAt, Timeline};
use alloy_primitives::{Address, B256, U256};
use revm::{bytecode::Bytecode, primitives::KECCAK_EMPTY, state::Account as Change};
use std::collections::BTreeMap;

/// Balance, nonce and code of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// In attoFIL.
    pub balance: U256,
    /// Of the next transaction; for a contract, of its next creation.
    pub nonce: u64,
    /// keccak of the code; that of no bytes for an account without.
    pub code_hash: B256,
}

impl Default for Account {
    fn default() -> Self {
        Self { balance: U256::ZERO, nonce: 0, code_hash: KECCAK_EMPTY }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    pub(super) account: Timeline<Account>,
    pub(super) storage: BTreeMap<U256, Timeline<U256>>,
}

/// The FEVM's state: accounts, mempool, executed transactions. Part of the world, pure like it.
#[derive(Clone, Debug, Default)]
pub struct Fevm {
    pub(super) chain_id: u64,
    /// In attoFIL, of the next tipset.
    pub(super) base_fee: u64,
    pub(super) records: BTreeMap<Address, Record>,
    pub(super) codes: BTreeMap<B256, Bytecode>,
    pub(super) pool: Pool,
    /// Executed transactions by the height of the tipset that includes them.
    pub(super) blocks: BTreeMap<i64, Vec<Executed>>,
    /// Where each executed transaction stands: height and index.
    pub(super) places: BTreeMap<B256, (i64, usize)>,
}

impl Fevm {
    /// An empty state for the chain with this id.
    #[must_use]
    pub fn new(chain_id: u64) -> Self {
        Self { chain_id, base_fee: super::gas::BASE_FEE, ..Self::default() }
    }

    /// The base fee of the next tipset, in attoFIL.
    pub(crate) fn set_base_fee(&mut self, base_fee: u64) {
        self.base_fee = base_fee;
    }

    /// What `eth_chainId` answers.
    #[must_use]
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The account in state `at`; `None` when nothing has ever touched the address.
    #[must_use]
    pub fn account(&self, address: &Address, at: StateAt) -> Option<Account> {
        self.records.get(address)?.account.get(at).copied()
    }

    /// The newest account, executed transactions included.
    #[must_use]
    pub fn newest(&self, address: &Address) -> Account {
        self.records.get(address).and_then(|record| record.account.latest()).copied().unwrap_or_default()
    }

    /// A storage slot in state `at`.
    #[must_use]
    pub fn storage(&self, address: &Address, slot: &U256, at: StateAt) -> U256 {
        let value = self.records.get(address).and_then(|record| record.storage.get(slot)?.get(at));
        value.copied().unwrap_or_default()
    }

    /// The epoch of the last change to an account's nonce, code or storage in state `at`: what its state root follows.
    /// Its balance is no part of that.
    #[must_use]
    pub fn changed(&self, address: &Address, at: StateAt) -> Option<i64> {
        let record = self.records.get(address)?;
        let own = record.account.changes(at, |a, b| a.nonce == b.nonce && a.code_hash == b.code_hash);
        let slots = record.storage.values().filter_map(|slot| slot.changes(at, |a, b| a == b));
        slots.chain(own).max()
    }

    /// The code of an account in state `at`, empty for accounts without.
    #[must_use]
    pub fn code(&self, address: &Address, at: StateAt) -> Vec<u8> {
        let hash = self.account(address, at).unwrap_or_default().code_hash;
        self.codes.get(&hash).map(|code| code.original_bytes().to_vec()).unwrap_or_default()
    }

    /// Adds `amount` out of nothing, readable from `epoch` on, also in states already made since then.
    pub fn grant(&mut self, address: Address, epoch: i64, amount: U256) {
        let record = self.records.entry(address).or_default();
        record.account.amend_since(epoch, |account| {
            account.balance = account.balance.saturating_add(amount);
        });
    }

    /// Adds what a native message of `epoch` sent to the account.
    pub fn credit(&mut self, address: Address, epoch: i64, amount: U256) {
        self.update(address, epoch, |account| account.balance = account.balance.saturating_add(amount));
    }

    /// Changes an account by a message of `epoch`.
    pub(super) fn update(&mut self, address: Address, epoch: i64, change: impl FnOnce(&mut Account)) {
        let mut account = self.newest(&address);
        change(&mut account);
        self.records.entry(address).or_default().account.set(epoch, account);
    }

    /// Writes what one execution in `epoch` left of an account the FEVM keeps.
    pub(super) fn commit(&mut self, address: Address, epoch: i64, change: &Change) {
        if change.info.is_empty() && !self.records.contains_key(&address) {
            return;
        }
        let gone = change.is_selfdestructed();
        let record = self.records.entry(address).or_default();
        let account = if gone {
            Account::default()
        } else {
            Account {
                balance: change.info.balance,
                nonce: change.info.nonce,
                code_hash: change.info.code_hash,
            }
        };
        record.account.set(epoch, account);
        for (slot, value) in &change.storage {
            if gone || value.is_changed() {
                let present = if gone { U256::ZERO } else { value.present_value };
                record.storage.entry(*slot).or_default().set(epoch, present);
            }
        }
        if let Some(code) = change.info.code.as_ref().filter(|code| !code.is_empty()) {
            self.codes.entry(change.info.code_hash).or_insert_with(|| code.clone());
        }
    }

    /// Forgets everything that was executed after `epoch`, and answers it by height.
    pub(crate) fn revert(&mut self, epoch: i64) -> BTreeMap<i64, Vec<Transaction>> {
        self.records.retain(|_, record| {
            record.storage.retain(|_, slot| slot.revert(epoch));
            record.account.revert(epoch)
        });
        let left = self.blocks.split_off(&(epoch + 1));
        for executed in left.values().flatten() {
            self.places.remove(&executed.transaction.hash);
        }
        // A native message comes back by whoever sent it, not by the mempool of transactions.
        let transactions = |block: Vec<Executed>| {
            let all = block.into_iter().map(|executed| executed.transaction);
            all.filter(|transaction| transaction.kind != Kind::Native).collect()
        };
        left.into_iter().map(|(height, block)| (height, transactions(block))).collect()
    }

    /// Takes everything out of the mempool, in the order in which it came.
    pub(crate) fn take_pool(&mut self) -> Vec<Transaction> {
        self.pool.drain()
    }

    /// Puts a transaction into the mempool that was in it before, whatever the account says now.
    pub(crate) fn put_back(&mut self, transaction: Transaction) {
        if transaction.nonce >= self.newest(&transaction.from).nonce {
            self.pool.put_back(transaction);
        }
    }

    /// Whether the next tipset has a transaction to execute. One whose sender can no longer pay waits without
    /// giving the chain work.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        self.pool.heads().any(|transaction| self.can_run(transaction))
    }

    /// Whether the sender's account allows the transaction to be included now.
    pub(super) fn can_run(&self, transaction: &Transaction) -> bool {
        let account = self.newest(&transaction.from);
        let pays = transaction.fee_cap >= u128::from(self.base_fee);
        pays && account.nonce == transaction.nonce && account.balance >= transaction.required_for_gas()
    }

    /// The transactions of the tipset at `height`, in order of execution.
    #[must_use]
    pub fn executed(&self, height: i64) -> &[Executed] {
        self.blocks.get(&height).map(Vec::as_slice).unwrap_or_default()
    }

    /// An executed transaction by its hash: the height that includes it, its index, and what became of it.
    #[must_use]
    pub fn find(&self, hash: &B256) -> Option<(i64, usize, &Executed)> {
        let (height, index) = *self.places.get(hash)?;
        self.executed(height).get(index).map(|executed| (height, index, executed))
    }

    /// The tipsets with transactions from height `from` to height `to`, both included.
    pub fn blocks_between(&self, from: i64, to: i64) -> impl Iterator<Item = (i64, &[Executed])> {
        let range = (from <= to).then(|| self.blocks.range(from..=to));
        range.into_iter().flatten().map(|(height, block)| (*height, block.as_slice()))
    }

    /// A transaction in the mempool by its hash.
    #[must_use]
    pub fn waiting(&self, hash: &B256) -> Option<&Transaction> {
        self.pool.iter().find(|transaction| transaction.hash == *hash)
    }

    /// How many transactions have come into the mempool so far.
    #[must_use]
    pub const fn arrivals(&self) -> u64 {
        self.pool.arrivals()
    }

    /// The transactions that came after the first `seen`, in the order in which they came; the newest 10,000 are known.
    #[must_use]
    pub fn arrived_since(&self, seen: u64) -> Vec<B256> {
        self.pool.arrived_since(seen)
    }

    /// The nonce of the next transaction, counting what waits in the mempool.
    #[must_use]
    pub fn next_nonce(&self, sender: &Address) -> u64 {
        self.pool.next_nonce(*sender, self.newest(sender).nonce)
    }
}
