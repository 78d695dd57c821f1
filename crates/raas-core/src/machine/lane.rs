//! One account's transactions in their order: which nonce comes next, and which may leave now.
//!
//! Public endpoints take no gap, so a transaction leaves only after all with lower nonces have. The next nonce is
//! the store's floor or the chain's, whichever is higher, and never lower than one given before; a chain that is
//! ahead of the store at finality means that somebody else has the key, or that the store is an old copy.

use crate::ports::Nonces;
use serde::{Deserialize, Serialize};

use super::sender::State;

/// Transactions of one account that wait for a tipset at once. Older public nodes take ten of a sender.
pub const IN_FLIGHT_MAX: usize = 8;

/// What the store knows of one account's nonces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Floor {
    /// The highest ever reserved here.
    pub reserved: Option<u64>,
    /// The next nonce that the admin accepted when the account was released, 0 before.
    pub accepted: u64,
}

impl Floor {
    /// The lowest nonce that a new transaction may have; 0 in a store that never sent.
    #[must_use]
    pub fn next(&self) -> u64 {
        let after = self.reserved.map_or(0, |highest| highest.saturating_add(1));
        after.max(self.accepted)
    }

    /// Whether this store ever had a say about the account.
    const fn is_new(&self) -> bool {
        self.reserved.is_none() && self.accepted == 0
    }
}

/// The nonce of a new transaction, or why there is none yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextNonce {
    /// Take this one.
    Take(u64),
    /// An endpoint's head shows more used nonces than were given here; it is not final yet.
    Settling {
        /// By the head.
        head: u64,
        /// By the store.
        expected: u64,
    },
    /// At finality more nonces are used than were given here.
    Foreign(ForeignNonce),
}

/// The account's nonce contradicts what this node stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error(
    "the chain's next nonce is {chain}, but this store's is {expected}: the key is used elsewhere, or the store is an \
     old copy"
)]
pub struct ForeignNonce {
    /// By the chain, at finality.
    pub chain: u64,
    /// By the store.
    pub expected: u64,
}

/// The nonce of a new transaction: the store's floor or the chain's, whichever is higher. An empty store may start
/// anywhere; after that a chain ahead of it is not overtaken silently.
#[must_use]
pub fn next_nonce(floor: Floor, chain: Nonces) -> NextNonce {
    let expected = floor.next();
    let highest = chain.head.max(chain.finalized);
    if floor.is_new() {
        return NextNonce::Take(highest);
    }
    if chain.finalized > expected {
        return NextNonce::Foreign(ForeignNonce { chain: chain.finalized, expected });
    }
    if highest > expected {
        return NextNonce::Settling { head: highest, expected };
    }
    NextNonce::Take(expected)
}

/// Why a transaction does not leave, or is not signed, now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Queued {
    /// One with a lower nonce is not known to have left.
    #[error("the transaction with nonce {nonce} has to leave first")]
    Behind {
        /// Its nonce.
        nonce: u64,
    },
    /// Enough wait for a tipset.
    #[error("{0} transactions of the account wait for a tipset; no more at once")]
    Full(usize),
}

/// Whether a transaction that has no nonce yet may be signed, beside the open ones of its account.
pub fn may_sign<'a>(open: impl IntoIterator<Item = &'a State>) -> Result<(), Queued> {
    let mut waiting = 0;
    for state in open {
        match state {
            State::Stored(sent) => return Err(Queued::Behind { nonce: sent.nonce }),
            State::Broadcast(_) => waiting += 1,
            _ => {}
        }
    }
    if waiting >= IN_FLIGHT_MAX { Err(Queued::Full(waiting)) } else { Ok(()) }
}

/// Whether the stored transaction with `nonce` may leave, beside the open ones of its account.
pub fn may_leave<'a>(nonce: u64, open: impl IntoIterator<Item = &'a State>) -> Result<(), Queued> {
    let before = open.into_iter().filter_map(|state| match state {
        State::Stored(sent) if sent.nonce < nonce => Some(sent.nonce),
        _ => None,
    });
    before.min().map_or(Ok(()), |nonce| Err(Queued::Behind { nonce }))
}
