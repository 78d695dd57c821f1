//! Actors: ids, keys, balances and nonces of everything that is not an EVM account.
//!
//! The FEVM keeps balance, nonce, code and storage of `f410` actors itself; here they only have their id.
//! Ids are given in order of first sight, from 10,000 up, so that the same commands give the same ids.

use super::timeline::{StateAt, Timeline};
use crate::codec::Address;
use raas_core::{ids::ActorId, units::AttoFil};
use std::collections::BTreeMap;

/// Ids of accounts start here; below are system actors and configured miners, owners and workers.
const FIRST_ACCOUNT: u64 = 10_000;

/// An actor's balance and message counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wallet {
    /// What it can spend.
    pub balance: AttoFil,
    /// The nonce of its next message.
    pub nonce: u64,
}

/// One actor.
#[derive(Clone, Debug)]
pub struct Actor {
    /// Its number.
    pub id: ActorId,
    /// Its robust form: f1 or f3 key, f2 or f410. None for actors that only have an id.
    pub robust: Option<Address>,
    /// The epoch whose messages created it.
    pub created: i64,
    /// Balance and nonce over time; stays empty for f410 actors.
    pub wallet: Timeline<Wallet>,
}

/// All actors by id and by robust address.
#[derive(Clone, Debug)]
pub struct Actors {
    by_id: BTreeMap<ActorId, Actor>,
    by_robust: BTreeMap<Address, ActorId>,
    next: u64,
}

impl Default for Actors {
    fn default() -> Self {
        Self { by_id: BTreeMap::new(), by_robust: BTreeMap::new(), next: FIRST_ACCOUNT }
    }
}

impl Actors {
    /// Adds an actor with a fixed id that existed from the beginning.
    pub(super) fn add_genesis(&mut self, id: ActorId, robust: Option<Address>, balance: AttoFil) {
        if let Some(address) = &robust {
            self.by_robust.insert(address.clone(), id);
        }
        let wallet = Timeline::since(0, Wallet { balance, nonce: 0 });
        self.by_id.insert(id, Actor { id, robust, created: 0, wallet });
    }

    /// The actor with this address, created in `epoch` if there is none yet. `None` only for an id address
    /// without an actor, since those cannot be made by being named.
    pub fn ensure(&mut self, address: &Address, epoch: i64) -> Option<ActorId> {
        if let Address::Id(id) = address {
            return self.by_id.contains_key(id).then_some(*id);
        }
        if let Some(id) = self.by_robust.get(address) {
            return Some(*id);
        }
        let id = ActorId(self.next);
        self.next += 1;
        self.by_robust.insert(address.clone(), id);
        let robust = Some(address.clone());
        self.by_id.insert(id, Actor { id, robust, created: epoch, wallet: Timeline::default() });
        Some(id)
    }

    /// The actor with this id.
    #[must_use]
    pub fn get(&self, id: ActorId) -> Option<&Actor> {
        self.by_id.get(&id)
    }

    /// The id behind an address of any kind, as far as state `at` knows it.
    #[must_use]
    pub fn lookup(&self, address: &Address, at: StateAt) -> Option<ActorId> {
        let id = match address {
            Address::Id(id) => *id,
            robust => *self.by_robust.get(robust)?,
        };
        self.by_id.get(&id).filter(|actor| actor.created <= at.0).map(|actor| actor.id)
    }

    /// The robust address of an actor.
    #[must_use]
    pub fn robust(&self, id: ActorId) -> Option<&Address> {
        self.by_id.get(&id)?.robust.as_ref()
    }

    /// Balance and nonce in state `at`; zeros for an actor without entries, `None` for one that is not there.
    #[must_use]
    pub fn wallet(&self, id: ActorId, at: StateAt) -> Option<Wallet> {
        let actor = self.by_id.get(&id).filter(|actor| actor.created <= at.0)?;
        Some(actor.wallet.get(at).copied().unwrap_or_default())
    }

    /// Changes balance or nonce by a message of `epoch`.
    pub(super) fn update(&mut self, id: ActorId, epoch: i64, change: impl FnOnce(&mut Wallet)) {
        if let Some(actor) = self.by_id.get_mut(&id) {
            let mut wallet = actor.wallet.latest().copied().unwrap_or_default();
            change(&mut wallet);
            actor.wallet.set(epoch, wallet);
        }
    }

    /// Forgets everything that happened after `epoch`, actors that were made since included.
    pub(super) fn revert(&mut self, epoch: i64) {
        self.by_id.retain(|_, actor| {
            actor.wallet.revert(epoch);
            actor.created <= epoch
        });
        let by_id = &self.by_id;
        self.by_robust.retain(|_, id| by_id.contains_key(id));
        let last = self.by_id.keys().next_back().map_or(0, |last| last.0 + 1);
        self.next = last.max(FIRST_ACCOUNT);
    }

    /// Adds `amount` out of nothing, readable from `epoch` on, also in states already made since then.
    pub(super) fn grant(&mut self, id: ActorId, epoch: i64, amount: AttoFil) {
        if let Some(actor) = self.by_id.get_mut(&id) {
            actor.created = actor.created.min(epoch);
            actor.wallet.amend_since(epoch, |wallet| wallet.balance = wallet.balance.plus(amount));
        }
    }
}
