//! One at a time per piece: who brings its bytes, or who deletes them.
//!
//! Bytes that were just kept are recorded a moment later. Whoever collects what nothing keeps must not come between.

use raas_core::cid::Commitment;
use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Which pieces are claimed.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims {
    inner: Arc<(Mutex<BTreeSet<Commitment>>, Condvar)>,
}

/// The right to bring or delete a piece's bytes; it ends when this is dropped.
#[derive(Debug)]
pub struct Claim {
    claims: Claims,
    piece: Commitment,
}

impl Claims {
    /// Claims a piece, once nobody else has it. Blocks the thread.
    pub(super) fn wait(&self, piece: Commitment) -> Claim {
        let mut held = self.held();
        while !held.insert(piece) {
            held = self.inner.1.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
        Claim { claims: self.clone(), piece }
    }

    /// Claims a piece unless somebody has it.
    pub(super) fn try_now(&self, piece: Commitment) -> Option<Claim> {
        self.held().insert(piece).then(|| Claim { claims: self.clone(), piece })
    }

    /// Nothing panics while it is held, so what a poisoned one holds is whole.
    fn held(&self) -> MutexGuard<'_, BTreeSet<Commitment>> {
        self.inner.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    /// Of which piece.
    #[must_use]
    pub const fn piece(&self) -> Commitment {
        self.piece
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.held().remove(&self.piece);
        self.claims.inner.1.notify_all();
    }
}
