//! Prune: which deals are taken off a contract's list of a CID.
//!
//! Our own contract lists at most 64 deals of a CID and keeps those that are over until somebody takes them off; when a
//! list is full, nothing more can be completed for its CID. Taking off costs gas, so a short list is left alone.

use crate::ids::DealId;
use crate::observation::DealSeen;
use crate::units::Epoch;

/// Deals that our own contract lists for one CID at most, of all market actors together.
pub const LISTED_MAX: usize = 64;
/// A list of so many deals is pruned. Sixteen more have room while that is on its way.
pub const PRUNED_FROM: usize = LISTED_MAX - 16;

/// Whether a list of so many deals is to be pruned.
#[must_use]
pub const fn is_long(listed: usize) -> bool {
    listed >= PRUNED_FROM
}

/// The listed deals that are over for good, by what the market says of each at a round with this finalized height. What
/// could not be read stays, and so does a deal that the market denies: it was active when it was listed, so one of the two
/// is wrong. The contract checks each once more and refuses all if one of them lives.
#[must_use]
pub fn over<'a>(finalized: Epoch, listed: impl IntoIterator<Item = (DealId, &'a DealSeen)>) -> Vec<DealId> {
    listed.into_iter().filter(|(_, seen)| is_over(finalized, seen)).map(|(deal, _)| deal).collect()
}

fn is_over(finalized: Epoch, seen: &DealSeen) -> bool {
    match seen {
        DealSeen::Gone => true,
        DealSeen::Present(deal) => deal.end <= finalized,
        DealSeen::NeverAllocated | DealSeen::NotSeen(_) => false,
    }
}
