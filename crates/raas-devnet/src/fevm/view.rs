//! One state of the FEVM as revm's database.
//!
//! Masked id addresses show the native balance of their actor; the FVM precompiles hold one attoFIL each, so that
//! code which looks at their EXTCODEHASH finds an account without code, as on Filecoin.

use super::{
    actor_calls::{ActorCalls, unmasked},
    precompiles,
    state::Fevm,
};
use crate::world::{Chain, StateAt};
use alloy_primitives::{Address, B256, U256};
use raas_core::ids::ActorId;
use revm::{DatabaseRef, bytecode::Bytecode, state::AccountInfo};
use std::{collections::BTreeMap, convert::Infallible};

/// What an execution reads.
pub(super) struct View<'a, A> {
    pub(super) fevm: &'a Fevm,
    pub(super) at: StateAt,
    pub(super) chain: &'a Chain,
    pub(super) actors: &'a A,
    /// Native balances that transactions of the same tipset already raised.
    pub(super) credits: &'a BTreeMap<ActorId, U256>,
}

impl<A: ActorCalls> View<'_, A> {
    fn native(&self, actor: ActorId) -> Option<U256> {
        let credit = self.credits.get(&actor).copied().unwrap_or_default();
        self.actors.native_balance(actor).map(|balance| balance.saturating_add(credit))
    }
}

impl<A: ActorCalls> DatabaseRef for View<'_, A> {
    type Error = Infallible;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        if precompiles::is_fvm(&address) {
            return Ok(Some(AccountInfo::from_balance(U256::ONE)));
        }
        if let Some(actor) = unmasked(&address) {
            return Ok(self.native(actor).map(AccountInfo::from_balance));
        }
        Ok(self.fevm.account(&address, self.at).map(|account| AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            code: None,
            ..AccountInfo::default()
        }))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, Infallible> {
        Ok(self.fevm.codes.get(&code_hash).cloned().unwrap_or_default())
    }

    fn storage_ref(&self, address: Address, index: U256) -> Result<U256, Infallible> {
        Ok(self.fevm.storage(&address, &index, self.at))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Infallible> {
        let height = self.chain.at_or_before(i64::try_from(number).unwrap_or(i64::MAX));
        Ok(B256::from(self.chain.eth_hash(height)))
    }
}
