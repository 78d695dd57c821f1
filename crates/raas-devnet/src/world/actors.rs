//! Actors: ids, keys, balances and nonces of everything that is not an EVM account.
//!
//! The FEVM keeps balance, nonce, code and storage of `f410` actors itself; here they only have their id.
//! Ids are given in order of first sight, from 10,000 up, so that the same commands give the same ids.

use super::timeline::{StateAt, Timeline};
use raas_core::{ids::ActorId, units::AttoFil};
use std::collections::BTreeMap;

/// Ids of accounts start here; below are system actors and configured miners, owners and workers.
const FIRST_ACCOUNT: u64 = 10_000;

/// Namespace of the Ethereum address manager.
pub const EAM_NAMESPACE: u64 = 10;

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
    /// Address bytes (protocol byte, payload) of its robust form: f1 or f3 key, or f410. None for actors that
    /// only have an id.
    pub robust: Option<Vec<u8>>,
    /// The epoch whose messages created it.
    pub created: i64,
    /// Balance and nonce over time.
    pub wallet: Timeline<Wallet>,
}

/// All actors by id and by robust address.
#[derive(Clone, Debug)]
pub struct Actors {
    by_id: BTreeMap<ActorId, Actor>,
    by_robust: BTreeMap<Vec<u8>, ActorId>,
    next: u64,
}

impl Default for Actors {
    fn default() -> Self {
        Self { by_id: BTreeMap::new(), by_robust: BTreeMap::new(), next: FIRST_ACCOUNT }
    }
}

impl Actors {
    /// Adds an actor with a fixed id that existed from the beginning.
    pub(super) fn add_genesis(&mut self, id: ActorId, robust: Option<Vec<u8>>, balance: AttoFil) {
        if let Some(key) = &robust {
            self.by_robust.insert(key.clone(), id);
        }
        let wallet = Timeline::since(0, Wallet { balance, nonce: 0 });
        self.by_id.insert(id, Actor { id, robust, created: 0, wallet });
    }

    /// The actor with this robust address, created in `epoch` if there is none yet.
    pub fn ensure(&mut self, robust: &[u8], epoch: i64) -> ActorId {
        if let Some(id) = self.by_robust.get(robust) {
            return *id;
        }
        let id = ActorId(self.next);
        self.next += 1;
        self.by_robust.insert(robust.to_vec(), id);
        let wallet = Timeline::since(epoch, Wallet::default());
        self.by_id.insert(id, Actor { id, robust: Some(robust.to_vec()), created: epoch, wallet });
        id
    }

    /// The actor of an Ethereum address, created in `epoch` if there is none yet.
    pub fn ensure_eth(&mut self, address: &[u8; 20], epoch: i64) -> ActorId {
        self.ensure(&eth_robust(address), epoch)
    }

    /// The actor with this id.
    #[must_use]
    pub fn get(&self, id: ActorId) -> Option<&Actor> {
        self.by_id.get(&id)
    }

    /// The id behind a robust address, as far as state `at` knows it.
    #[must_use]
    pub fn lookup(&self, robust: &[u8], at: StateAt) -> Option<ActorId> {
        let id = *self.by_robust.get(robust)?;
        self.by_id.get(&id).filter(|actor| actor.created <= at.0).map(|actor| actor.id)
    }

    /// The id of an Ethereum address, as far as state `at` knows it.
    #[must_use]
    pub fn lookup_eth(&self, address: &[u8; 20], at: StateAt) -> Option<ActorId> {
        self.lookup(&eth_robust(address), at)
    }

    /// The Ethereum address of an actor; `None` for actors that have none.
    #[must_use]
    pub fn eth_address(&self, id: ActorId) -> Option<[u8; 20]> {
        let robust = self.by_id.get(&id)?.robust.as_ref()?;
        robust.strip_prefix(&[4, EAM_NAMESPACE as u8])?.try_into().ok()
    }

    /// Balance and nonce in state `at`.
    #[must_use]
    pub fn wallet(&self, id: ActorId, at: StateAt) -> Option<Wallet> {
        self.by_id.get(&id)?.wallet.get(at).copied()
    }

    /// Changes balance or nonce by a message of `epoch`.
    pub(super) fn update(&mut self, id: ActorId, epoch: i64, change: impl FnOnce(&mut Wallet)) {
        if let Some(actor) = self.by_id.get_mut(&id) {
            let mut wallet = actor.wallet.latest().copied().unwrap_or_default();
            change(&mut wallet);
            actor.wallet.set(epoch, wallet);
        }
    }

    /// Adds `amount` out of nothing, readable from `epoch` on, also in states already made since then.
    pub(super) fn grant(&mut self, id: ActorId, epoch: i64, amount: AttoFil) {
        if let Some(actor) = self.by_id.get_mut(&id) {
            actor.created = actor.created.min(epoch);
            actor.wallet.amend_since(epoch, |wallet| wallet.balance = wallet.balance.plus(amount));
        }
    }
}

/// The f410 address bytes of an Ethereum address.
#[must_use]
pub fn eth_robust(address: &[u8; 20]) -> Vec<u8> {
    let mut robust = vec![4, EAM_NAMESPACE as u8];
    robust.extend_from_slice(address);
    robust
}
