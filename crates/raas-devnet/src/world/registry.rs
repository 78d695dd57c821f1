//! The verified registry f06: claims of pieces that were onboarded directly.

use super::timeline::StateAt;
use cid::Cid;
use raas_core::ids::{ActorId, ProviderId, SectorNumber};
use std::collections::BTreeMap;

/// A claim: a provider's promise to store a client's piece. It says nothing of whether the sector still lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its number, that of the allocation it came from.
    pub id: u64,
    /// Who stores.
    pub provider: ProviderId,
    /// For whom.
    pub client: ActorId,
    /// The piece.
    pub data: Cid,
    /// Padded bytes.
    pub size: u64,
    /// Shortest and longest term in epochs.
    pub term: (i64, i64),
    /// Where the term begins.
    pub start: i64,
    /// The sector in which it was claimed.
    pub sector: SectorNumber,
}

/// All claims.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    claims: BTreeMap<(ProviderId, u64), Claim>,
}

impl Registry {
    /// The number of the next claim.
    pub(super) fn next(&self) -> u64 {
        self.claims.keys().map(|(_, id)| *id).max().map_or(1, |last| last + 1)
    }

    pub(super) fn insert(&mut self, claim: Claim) {
        self.claims.insert((claim.provider, claim.id), claim);
    }

    /// A claim in state `at`.
    #[must_use]
    pub fn claim(&self, provider: ProviderId, id: u64, at: StateAt) -> Option<&Claim> {
        self.claims.get(&(provider, id)).filter(|claim| claim.start <= at.0)
    }

    /// All claims of a provider in state `at`.
    pub fn claims(&self, provider: ProviderId, at: StateAt) -> impl Iterator<Item = &Claim> {
        let own = self.claims.range((provider, 0)..=(provider, u64::MAX));
        own.map(|(_, claim)| claim).filter(move |claim| claim.start <= at.0)
    }

    pub(super) fn revert(&mut self, epoch: i64) {
        self.claims.retain(|_, claim| claim.start <= epoch);
    }
}
