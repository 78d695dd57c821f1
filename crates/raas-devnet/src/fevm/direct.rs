//! Contracts without servers: what simulations and tests do with a world in memory.
//!
//! Sending signs and goes through [`Command::PushEth`] like any client's transaction; nothing here advances the clock.

use super::{
    key::{EthKey, Unsigned},
    receipt::Executed,
    simulate::{Failure, Trial},
    tipset::Tipset,
};
use crate::world::{Command, CommandError, StateAt, World};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};

/// Why a transaction was not sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// It would fail: the estimate says so.
    #[error("the transaction would fail with exit code {}", .0.exit.0)]
    WouldFail(Failure),
    /// The mempool refused it.
    #[error(transparent)]
    Refused(#[from] CommandError),
}

impl World {
    /// What a call to `to` answers in the newest executed state, as `eth_call` at `latest`.
    pub fn eth_call(&self, to: Address, data: impl Into<Bytes>) -> Result<Bytes, Failure> {
        self.eth_call_at(self.chain().parent(self.chain().head()), to, data)
    }

    /// What a call to `to` answers after the messages of block `height`.
    pub fn eth_call_at(&self, height: i64, to: Address, data: impl Into<Bytes>) -> Result<Bytes, Failure> {
        let trial = Trial { from: None, to: Some(to), value: U256::ZERO, data: data.into() };
        self.fevm.call(&trial, self.eth_tipset(height), &self.actors_at(StateAt::after(height)))
    }

    /// Signs a call of `to` (`None` creates a contract) with an estimated limit and sends it. The next tipset
    /// includes it; [`World::eth_receipt`] shows it one tipset later.
    pub fn eth_send(
        &mut self,
        key: &EthKey,
        to: Option<Address>,
        value: U256,
        data: impl Into<Bytes>,
    ) -> Result<B256, SendError> {
        let height = self.chain().head();
        let trial = Trial { from: Some(key.address()), to, value, data: data.into() };
        let gas_limit = self
            .fevm
            .estimate(&trial, self.eth_tipset(height), &self.actors_at(StateAt::after(height)))
            .map_err(SendError::WouldFail)?;
        let nonce = self.fevm.next_nonce(&key.address());
        let kind = to.map_or(TxKind::Create, TxKind::Call);
        let unsigned = Unsigned { value, ..Unsigned::new(kind, nonce, trial.data, gas_limit) };
        let raw = key.sign(&unsigned, self.fevm.chain_id());
        let hash = keccak256(&raw);
        self.apply(Command::PushEth { raw: hex::encode(raw) })?;
        Ok(hash)
    }

    /// What became of a transaction, once the tipset that includes it has a child.
    #[must_use]
    pub fn eth_receipt(&self, hash: &B256) -> Option<&Executed> {
        let latest = self.chain().parent(self.chain().head());
        self.fevm.find(hash).filter(|(height, ..)| *height <= latest).map(|(_, _, executed)| executed)
    }

    fn eth_tipset(&self, height: i64) -> Tipset<'_> {
        Tipset { chain: self.chain(), height, miner: self.block_miner() }
    }
}
