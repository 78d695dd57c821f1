//! All deals of one provider, found by UUID, by proposal and by piece, those that still need work apart.
//!
//! Invariant: a deal is in `at_work` exactly while [`Deal::rests`] is false, so that what is due is found in time
//! that does not grow with the history.

use super::deal::Deal;
use crate::codec::{Commitment, DealUuid};
use cid::Cid;
use raas_core::units::Epoch;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, Default)]
pub(super) struct Deals {
    all: BTreeMap<DealUuid, Deal>,
    at_work: BTreeSet<DealUuid>,
    by_proposal: BTreeMap<Cid, DealUuid>,
    by_piece: BTreeMap<Commitment, BTreeSet<DealUuid>>,
}

impl Deals {
    pub(super) fn get(&self, uuid: DealUuid) -> Option<&Deal> {
        self.all.get(&uuid)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (DealUuid, &Deal)> {
        self.all.iter().map(|(uuid, deal)| (*uuid, deal))
    }

    /// The deals that still need work, by UUID.
    pub(super) fn at_work(&self) -> impl Iterator<Item = (DealUuid, &Deal)> {
        self.at_work.iter().filter_map(|uuid| Some((*uuid, self.all.get(uuid)?)))
    }

    pub(super) fn with_proposal(&self, proposal: &Cid) -> Option<DealUuid> {
        self.by_proposal.get(proposal).copied()
    }

    pub(super) fn with_piece(&self, commitment: Commitment) -> impl Iterator<Item = &Deal> {
        self.by_piece.get(&commitment).into_iter().flatten().filter_map(|uuid| self.all.get(uuid))
    }

    pub(super) fn insert(&mut self, deal: Deal) {
        let uuid = deal.params.deal_uuid;
        self.by_proposal.insert(deal.proposal_cid, uuid);
        if let Some(commitment) = deal.commitment() {
            self.by_piece.entry(commitment).or_default().insert(uuid);
        }
        self.at_work.insert(uuid);
        self.all.insert(uuid, deal);
    }

    /// Takes every deal back to where it stood at `epoch`.
    pub(super) fn revert(&mut self, epoch: Epoch) {
        for (uuid, deal) in &mut self.all {
            deal.revert(epoch);
            if !deal.rests() {
                self.at_work.insert(*uuid);
            }
        }
    }

    /// Changes one deal. `None` when there is no such deal.
    pub(super) fn change<T>(&mut self, uuid: DealUuid, change: impl FnOnce(&mut Deal) -> T) -> Option<T> {
        let deal = self.all.get_mut(&uuid)?;
        let result = change(deal);
        if deal.rests() {
            self.at_work.remove(&uuid);
        }
        Some(result)
    }
}
