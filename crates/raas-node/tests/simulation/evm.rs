//! The wallet's second account: calls of the contract over the world's FEVM. What is called is encoded by the node's
//! own code; signing and sending are the devnet's.

use crate::shared::Shared;
use alloy_primitives::{Address, B256, TxKind, U256, keccak256};
use raas_clients::evm::{AbiKind, calldata};
use raas_core::ids::ContractAddress;
use raas_core::ports::{Fees, Inclusion, NoQuote, Nonces, Quote, SignedTx, Taker, TxIntent};
use raas_core::units::{AttoFil, Epoch};
use raas_devnet::fevm::{EthKey, Tipset, Trial, Unsigned};
use raas_devnet::world::{Command, CommandError, Outcome, StateAt, World};
use std::sync::Arc;

pub struct EvmLane {
    pub shared: Arc<Shared>,
    pub key: EthKey,
    pub contract: ContractAddress,
}

impl EvmLane {
    pub fn address(&self) -> Address {
        self.key.address()
    }

    /// Whom an intent calls, and with what.
    fn call(&self, intent: &TxIntent) -> Result<(Address, Vec<u8>), String> {
        match intent {
            TxIntent::Cancel { .. } => Ok((self.address(), Vec::new())),
            _ => {
                let data = calldata(AbiKind::Raas, intent).map_err(|why| why.to_string())?;
                Ok((Address::from(self.contract.0), data.to_vec()))
            }
        }
    }

    pub fn nonces(&self, head: i64) -> Nonces {
        let world = self.shared.world();
        let nonce = |at| world.fevm.account(&self.address(), at).map_or(0, |account| account.nonce);
        let finalized = (head - world.config().finality_lag).max(0);
        Nonces { head: nonce(StateAt::before(head)), finalized: nonce(StateAt::before(finalized)) }
    }

    /// What the call costs, or why the contract refuses it at the head.
    pub fn quote(&self, intent: &TxIntent, fees: Fees, head: i64) -> Result<Quote, NoQuote> {
        let (to, data) = self.call(intent).map_err(NoQuote::Refused)?;
        let world = self.shared.world();
        let height = world.chain().parent(head);
        let trial = Trial { from: Some(self.address()), to: Some(to), value: U256::ZERO, data: data.into() };
        let tipset = Tipset { chain: world.chain(), height, miner: world.block_miner() };
        let estimate = world.fevm.estimate(&trial, tipset, &world.actors_at(StateAt::after(height)));
        let gas_limit = estimate
            .map_err(|failure| NoQuote::Refused(format!("the contract refuses: exit {:?}", failure.exit)))?;
        // A list grows between the estimate and the inclusion.
        Ok(Quote { gas_limit: gas_limit + gas_limit / 4, fees })
    }

    pub fn sign(&self, intent: &TxIntent, nonce: u64, quote: Quote) -> Result<SignedTx, String> {
        let (to, data) = self.call(intent)?;
        let unsigned = Unsigned {
            to: TxKind::Call(to),
            nonce,
            value: U256::ZERO,
            data: data.into(),
            gas_limit: quote.gas_limit,
            fee_cap: quote.fees.fee_cap.0,
            premium: quote.fees.premium.0,
        };
        let raw = self.key.sign(&unsigned, self.shared.world().fevm.chain_id());
        let hash = keccak256(&raw).to_string();
        let cancels = matches!(intent, TxIntent::Cancel { .. });
        Ok(SignedTx { raw, hash, fees: quote.fees, gas_max: quote.gas_max(), cancels })
    }

    pub fn push(&self, raw: &[u8]) -> Result<Outcome, CommandError> {
        self.shared.world().apply(Command::PushEth { raw: hex::encode(raw) })
    }

    pub fn included(&self, hash: &str, head: i64) -> Option<Inclusion> {
        let hash: B256 = hash.parse().expect("a hash");
        let world = self.shared.world();
        let latest = world.chain().parent(head);
        let (height, _, executed) = world.fevm.find(&hash).filter(|(height, ..)| *height <= latest)?;
        Some(Inclusion { block: Epoch(height), success: executed.exit.is_ok() })
    }

    pub fn taker(&self, nonce: u64, finalized: i64) -> Taker {
        let world = self.shared.world();
        let found = world.fevm.blocks_between(0, finalized - 1).find_map(|(height, block)| {
            let ours = block.iter().find(|executed| {
                executed.transaction.from == self.address() && executed.transaction.nonce == nonce
            })?;
            Some((height, ours))
        });
        found.map_or(Taker::Nobody, |(height, executed)| Taker::Tx {
            hash: executed.transaction.hash.to_string(),
            inclusion: Inclusion { block: Epoch(height), success: executed.exit.is_ok() },
        })
    }

    pub fn balance(&self, head: i64) -> AttoFil {
        let world: &World = &self.shared.world();
        let account = world.fevm.account(&self.address(), StateAt::before(head)).unwrap_or_default();
        AttoFil(account.balance.to())
    }
}
