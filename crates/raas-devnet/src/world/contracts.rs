//! Between the world and the FEVM: contracts read built-in actors, transactions move money and leave facts.

use super::{
    command::CommandError,
    messages::eth_form,
    state::{BURNT, CallResult, World},
    timeline::StateAt,
};
use crate::{
    codec::Address,
    fevm::{ActorCalls, Executed, Kind, Tipset},
    ledger::Fact,
};
use alloy_primitives::{Log, U256};
use raas_core::{ids::ActorId, units::AttoFil};

/// The built-in actors of a world in one state.
#[derive(Clone, Copy, Debug)]
pub struct ActorsAt<'a> {
    /// Whose.
    pub world: &'a World,
    /// When.
    pub at: StateAt,
}

impl ActorCalls for ActorsAt<'_> {
    fn call(&self, actor: ActorId, method: u64, params: &[u8]) -> CallResult {
        self.world.call_actor(self.at, actor, method, params)
    }

    fn resolve(&self, address: &[u8]) -> Option<ActorId> {
        let address = Address::from_bytes(address).ok()?;
        self.world.actors.lookup(&address, self.at)
    }

    fn delegated(&self, actor: ActorId) -> Option<Vec<u8>> {
        let robust = self.world.actors.robust(actor)?;
        matches!(robust, Address::Delegated { .. }).then(|| robust.to_bytes())
    }

    fn native_balance(&self, actor: ActorId) -> Option<U256> {
        if self.world.actors.robust(actor).is_some_and(|robust| eth_form(robust).is_some()) {
            return None;
        }
        self.world.actors.wallet(actor, self.at).map(|wallet| U256::from(wallet.balance.0))
    }
}

impl World {
    /// The built-in actors as contracts see them in state `at`.
    #[must_use]
    pub const fn actors_at(&self, at: StateAt) -> ActorsAt<'_> {
        ActorsAt { world: self, at }
    }

    /// Admits a raw Ethereum transaction and answers its hash.
    pub(super) fn push_eth(&mut self, raw: &[u8]) -> Result<[u8; 32], CommandError> {
        self.fevm.push(raw).map(Into::into).map_err(CommandError::Eth)
    }

    /// Runs waiting transactions in the tipset of `epoch`.
    pub(super) fn execute_eth(&mut self, epoch: i64) {
        if !self.fevm.has_pending() {
            return;
        }
        let mut fevm = std::mem::take(&mut self.fevm);
        let miner = self.block_miner();
        let tipset = Tipset { chain: &self.chain, height: epoch, miner };
        let effects = fevm.execute_tipset(tipset, &self.actors_at(StateAt::after(epoch)));
        self.fevm = fevm;
        let (burned, tips) = (effects.burned, effects.tips);
        self.settle_effects(epoch, effects);
        self.give(epoch, BURNT, atto(burned));
        self.give(epoch, miner, atto(tips));
        let sent = |executed: &&Executed| executed.transaction.kind != Kind::Native;
        let facts: Vec<Fact> = self.fevm.executed(epoch).iter().filter(sent).flat_map(facts_of).collect();
        for fact in facts {
            self.ledger.record(epoch, fact);
        }
    }

    /// Who mined the block at `index` of the tipset at `height`.
    #[must_use]
    pub fn block_miner_of(&self, height: i64, index: usize) -> ActorId {
        let drawn = self.chain.derive("winner", height);
        let drawn = drawn.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let count = self.miners.len().max(1);
        let nth = usize::try_from(drawn % count as u64).unwrap_or(0);
        let miner = self.miners.keys().nth((nth + index) % count);
        miner.map_or(ActorId(0), |provider| provider.0)
    }

    /// Whom contracts see as the miner of every tipset, and who gets its tips: the first.
    #[must_use]
    pub fn block_miner(&self) -> ActorId {
        self.miners.keys().next().map_or(ActorId(0), |provider| provider.0)
    }
}

pub(super) fn atto(amount: U256) -> AttoFil {
    AttoFil(u128::try_from(amount).unwrap_or(u128::MAX))
}

/// What a judge wants to know of a transaction: that it ran, and what its contracts said.
fn facts_of(executed: &Executed) -> Vec<Fact> {
    let transaction = &executed.transaction;
    let selector = transaction.input.get(..4).unwrap_or_default();
    let ran = Fact::Transaction {
        hash: transaction.hash.to_string(),
        from: transaction.from.to_checksum(None),
        to: transaction.to.to().map(|to| to.to_checksum(None)),
        nonce: transaction.nonce,
        selector: hex::encode(selector),
        success: executed.exit.is_ok(),
    };
    std::iter::once(ran).chain(facts_of_logs(executed)).collect()
}

/// What contracts said in it.
pub(super) fn facts_of_logs(executed: &Executed) -> Vec<Fact> {
    let fact = |log: &Log| Fact::Log {
        contract: log.address.to_checksum(None),
        topics: log.data.topics().iter().map(ToString::to_string).collect(),
        data: hex::encode(&log.data.data),
    };
    executed.logs.iter().map(fact).collect()
}
