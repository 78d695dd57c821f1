//! Calls that leave no trace: `eth_call` and `eth_estimateGas`.

use super::{
    actor_calls::{ActorCalls, masked},
    gas,
    run::{BlockContext, Call, Exit, Outcome, run, run_traced},
    state::Fevm,
    tipset::Tipset,
    trace::Frame,
    view::View,
};
use crate::world::StateAt;
use alloy_primitives::{Address, Bytes, TxKind, U256};
use raas_core::ids::ActorId;
use revm::{
    DatabaseCommit, DatabaseRef,
    database::{CacheDB, WrapDatabaseRef},
};
use std::collections::BTreeMap;

/// A message to try. Fees, nonce and signature play no part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The sender; the system actor if absent.
    pub from: Option<Address>,
    /// The callee; `None` creates a contract.
    pub to: Option<Address>,
    /// attoFIL, which the sender must own.
    pub value: U256,
    /// Calldata or init code.
    pub data: Bytes,
}

/// A trial that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How it ended.
    pub exit: Exit,
    /// Revert data.
    pub data: Bytes,
}

impl Trial {
    fn sender(&self) -> Address {
        self.from.unwrap_or_else(|| masked(ActorId(0)))
    }

    fn call(&self, gas_limit: u64) -> Call {
        Call {
            from: self.sender(),
            to: self.to.map_or(TxKind::Create, TxKind::Call),
            value: self.value,
            data: self.data.clone(),
            gas_limit,
            nonce: None,
            gas_price: 0,
        }
    }

    fn run<D>(&self, db: D, block: BlockContext<'_>, actors: &impl ActorCalls, gas_limit: u64) -> Outcome
    where
        D: DatabaseRef<Error = std::convert::Infallible>,
    {
        let Ok(sender) = db.basic_ref(self.sender());
        if sender.map(|account| account.balance).unwrap_or_default() < self.value {
            return Outcome::refused(Exit::INSUFFICIENT_FUNDS, 0);
        }
        run(WrapDatabaseRef(db), block, actors, &self.call(gas_limit))
    }
}

impl Fevm {
    /// Runs `trial` after the messages of block `tipset.height` and answers its return data.
    pub fn call(
        &self,
        trial: &Trial,
        tipset: Tipset<'_>,
        actors: &impl ActorCalls,
    ) -> Result<Bytes, Failure> {
        let outcome = trial.run(
            self.view(tipset, actors, StateAt::after(tipset.height), &BTreeMap::new()),
            self.block(tipset),
            actors,
            gas::BLOCK_LIMIT,
        );
        outcome.into_result().map(|outcome| outcome.output)
    }

    /// As [`Fevm::call`], whatever becomes of it: what it returns or reverts with, and the calls made in it.
    pub fn trace(&self, trial: &Trial, tipset: Tipset<'_>, actors: &impl ActorCalls) -> (Bytes, Vec<Frame>) {
        let credits = BTreeMap::new();
        let view = self.view(tipset, actors, StateAt::after(tipset.height), &credits);
        let call = trial.call(gas::BLOCK_LIMIT);
        let (outcome, frames) = run_traced(WrapDatabaseRef(view), self.block(tipset), actors, &call);
        (outcome.output, frames)
    }

    /// The gas limit to send `trial` with: a quarter above its use in this state with the sender's pooled
    /// transactions applied, or more where inner calls need headroom.
    pub fn estimate(
        &self,
        trial: &Trial,
        tipset: Tipset<'_>,
        actors: &impl ActorCalls,
    ) -> Result<u64, Failure> {
        let credits = BTreeMap::new();
        let block = self.block(tipset);
        let view = self.view(tipset, actors, StateAt::after(tipset.height), &credits);
        let mut db = CacheDB::new(view);
        for pending in self.pool.of(trial.sender()) {
            let outcome = run(&mut db, block, actors, &Call::of(pending, self.base_fee));
            db.commit(outcome.changes);
        }
        let used = trial.run(&db, block, actors, gas::BLOCK_LIMIT).into_result()?.gas_used;
        let mut limit = (used.saturating_add(used / 4)).min(gas::BLOCK_LIMIT);
        // A callee gets at most 63/64 of what is left, so a limit near the use can fail where a larger one works.
        while limit < gas::BLOCK_LIMIT && !trial.run(&db, block, actors, limit).exit.is_ok() {
            limit = limit.saturating_add(limit / 4).min(gas::BLOCK_LIMIT);
        }
        Ok(limit)
    }

    fn block<'a>(&self, tipset: Tipset<'a>) -> BlockContext<'a> {
        BlockContext {
            chain: tipset.chain,
            chain_id: self.chain_id,
            height: tipset.height,
            miner: tipset.miner,
        }
    }

    fn view<'a, A: ActorCalls>(
        &'a self,
        tipset: Tipset<'a>,
        actors: &'a A,
        at: StateAt,
        credits: &'a BTreeMap<ActorId, U256>,
    ) -> View<'a, A> {
        View { fevm: self, at, chain: tipset.chain, actors, credits }
    }
}

impl Outcome {
    fn into_result(self) -> Result<Self, Failure> {
        if self.exit.is_ok() { Ok(self) } else { Err(Failure { exit: self.exit, data: self.output }) }
    }
}
