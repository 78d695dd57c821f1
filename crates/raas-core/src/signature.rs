//! Rule 8: money is a signature. A signed proposal can be published until its start epoch, whatever its provider said.
//!
//! So its escrow stays reserved and the chain is watched for it until it is seen published, or its start epoch is behind
//! the finalized tipset. A rejection, or another order in its place, changes neither.

use crate::order::{OrderState, Signed};
use crate::units::Epoch;

impl Signed {
    /// Whether nobody can publish it any more, as of the finalized `height`.
    #[must_use]
    pub fn is_over(&self, height: Epoch) -> bool {
        height > self.term.start
    }
}

impl OrderState {
    /// Whether a signature is out, or about to be, that can still be published: its escrow must stay reserved.
    #[must_use]
    pub const fn reserves_escrow(&self) -> bool {
        matches!(self, Self::Planned) || self.signed().is_some()
    }

    /// Whether the place has moved on while a signature can still be published: what is published late comes
    /// back if the place is still free for it, else it is a spare.
    #[must_use]
    pub const fn is_watched(&self) -> bool {
        matches!(self, Self::RejectedWatched(_) | Self::Hedged(_))
    }

    /// The signed proposal that waits for the chain.
    #[must_use]
    pub const fn signed(&self) -> Option<&Signed> {
        match self {
            Self::Signed(signed)
            | Self::Delivered(signed)
            | Self::Accepted(signed)
            | Self::RejectedWatched(signed)
            | Self::Hedged(signed) => Some(signed),
            _ => None,
        }
    }
}
