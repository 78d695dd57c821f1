//! Executing the transactions of one tipset.

use super::{
    actor_calls::{ActorCalls, unmasked},
    gas::{self, Charge},
    pool::PoolError,
    precompiles,
    receipt::{Executed, TipsetEffects},
    run::{BlockContext, Call, Exit, Outcome, run_traced},
    state::Fevm,
    transaction::Transaction,
    view::View,
};
use crate::world::{Chain, StateAt};
use alloy_primitives::{Address, B256};
use raas_core::ids::ActorId;
use revm::{database::WrapDatabaseRef, state::EvmState};

/// Where a tipset's transactions run.
#[derive(Clone, Copy, Debug)]
pub struct Tipset<'a> {
    /// For timestamps, block hashes and randomness.
    pub chain: &'a Chain,
    /// The epoch of the tipset.
    pub height: i64,
    /// Who mined its block.
    pub miner: ActorId,
}

impl Fevm {
    /// Takes a signed transaction into the mempool and answers its hash. The next tipset includes it.
    pub fn push(&mut self, raw: &[u8]) -> Result<B256, PoolError> {
        let transaction = Transaction::decode(raw, self.chain_id)?;
        let account = self.newest(&transaction.from);
        let hash = transaction.hash;
        self.pool.admit(transaction, account.nonce, account.balance, gas::fee_cap_floor(self.base_fee))?;
        Ok(hash)
    }

    /// Executes what the mempool holds, as far as its blocks have room, in the tipset at `tipset.height`. Built-in
    /// actors are read through `actors`, which must show the state in which these transactions run.
    pub fn execute_tipset(&mut self, tipset: Tipset<'_>, actors: &impl ActorCalls) -> TipsetEffects {
        let mut effects = TipsetEffects::default();
        // A built-in actor may have told a contract something in this tipset already.
        let mut block: Vec<Executed> = self.blocks.remove(&tipset.height).unwrap_or_default();
        let mut first_log = block.iter().map(|executed| executed.logs.len()).sum();
        let room = gas::BLOCK_LIMIT.saturating_mul(tipset.chain.block_count(tipset.height));
        for transaction in self.pool.take(room) {
            if !self.can_run(&transaction) {
                // A miner leaves it out: an earlier transaction of the sender was left out or spent its funds.
                self.pool.put_back(transaction);
                continue;
            }
            let executed = self.execute(transaction, tipset, actors, &mut effects, first_log);
            first_log += executed.logs.len();
            self.places.insert(executed.transaction.hash, (tipset.height, block.len()));
            block.push(executed);
        }
        if !block.is_empty() {
            self.blocks.insert(tipset.height, block);
        }
        effects
    }

    fn execute(
        &mut self,
        transaction: Transaction,
        tipset: Tipset<'_>,
        actors: &impl ActorCalls,
        effects: &mut TipsetEffects,
        first_log: usize,
    ) -> Executed {
        let (from, height) = (transaction.from, tipset.height);
        let reserve = transaction.required_for_gas();
        self.update(from, height, |account| account.balance = account.balance.saturating_sub(reserve));
        let (outcome, trace) = if self.newest(&from).balance < transaction.value {
            let creates = transaction.to.is_create();
            let used = gas::from_evm(gas::intrinsic(&transaction.input, creates));
            (Outcome::refused(Exit::INSUFFICIENT_FUNDS, used.min(transaction.gas_limit)), Vec::new())
        } else {
            let view = View {
                fevm: self,
                at: StateAt::after(height),
                chain: tipset.chain,
                actors,
                credits: &effects.credits,
            };
            let block =
                BlockContext { chain: tipset.chain, chain_id: self.chain_id, height, miner: tipset.miner };
            run_traced(WrapDatabaseRef(view), block, actors, &Call::of(&transaction, self.base_fee))
        };
        self.write(height, &outcome.changes, actors, effects);
        let charge = Charge::new(
            outcome.gas_used,
            transaction.gas_limit,
            transaction.fee_cap,
            transaction.premium,
            self.base_fee,
        );
        self.update(from, height, |account| {
            account.balance = account.balance.saturating_add(reserve.saturating_sub(charge.total()));
            account.nonce = transaction.nonce + 1;
        });
        effects.burned = effects.burned.saturating_add(charge.burned);
        effects.tips = effects.tips.saturating_add(charge.tip);
        Executed {
            transaction,
            exit: outcome.exit,
            gas_used: outcome.gas_used,
            charge,
            contract: outcome.contract,
            logs: outcome.logs,
            trace,
            output: outcome.output,
            first_log,
        }
    }

    pub(super) fn write(
        &mut self,
        height: i64,
        changes: &EvmState,
        actors: &impl ActorCalls,
        effects: &mut TipsetEffects,
    ) {
        // Rising addresses, so that the order does not depend on a hash map.
        let mut touched: Vec<(&Address, _)> =
            changes.iter().filter(|(_, change)| change.is_touched()).collect();
        touched.sort_by_key(|(address, _)| **address);
        for (address, change) in touched {
            if precompiles::is_fvm(address) {
                continue;
            }
            if let Some(actor) = unmasked(address) {
                let before = actors.native_balance(actor).unwrap_or_default();
                let gained = change.info.balance.saturating_sub(before);
                if !gained.is_zero() {
                    effects.credits.insert(actor, gained);
                }
                continue;
            }
            self.commit(*address, height, change);
            if self.records.contains_key(address) && !effects.addresses.contains(address) {
                effects.addresses.push(*address);
            }
        }
    }
}

impl Call {
    pub(super) fn of(transaction: &Transaction, base_fee: u64) -> Self {
        let tip = transaction.premium.min(transaction.fee_cap.saturating_sub(u128::from(base_fee)));
        Self {
            from: transaction.from,
            to: transaction.to,
            value: transaction.value,
            data: transaction.input.clone(),
            gas_limit: transaction.gas_limit,
            nonce: Some(transaction.nonce),
            gas_price: u128::from(base_fee).saturating_add(tip),
        }
    }
}
