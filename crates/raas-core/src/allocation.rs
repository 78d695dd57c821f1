//! Allocations: DataCap that is set aside for a piece at one provider, who claims it by proving the piece.

use crate::cid::Commitment;
use crate::ids::ProviderId;
use crate::units::{Epoch, Epochs, PaddedSize};
use serde::{Deserialize, Serialize};

/// The smallest piece that DataCap can be spent on, in padded bytes.
pub const SIZE_MIN: u64 = 1 << 20;
/// The shortest term.
pub const TERM_MIN: Epochs = Epochs::days(180);
/// No sector lives longer, so that a longer shortest term could never be claimed.
pub const TERM_MIN_MAX: Epochs = Epochs::days(1_278);
/// The longest term: five years.
pub const TERM_MAX: i64 = 5_259_485;
/// How far ahead of the head an allocation may expire.
pub const EXPIRATION_MAX: Epochs = Epochs::days(60);
/// From this version of the network on there is no DataCap to spend (FIP-0118).
pub const FROZEN_SINCE: u64 = 29;

/// What a client asks the verified registry for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allocation {
    /// Who may claim it.
    pub provider: ProviderId,
    /// The piece.
    pub piece: Commitment,
    /// Its padded size.
    pub size: PaddedSize,
    /// The shortest time that its sector must live from the claim on.
    pub term_min: Epochs,
    /// The longest.
    pub term_max: Epochs,
    /// The last epoch in which it can be claimed; unclaimed, its DataCap can be taken back from then on.
    pub expiration: Epoch,
}

/// Why the registry would refuse an allocation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Refused {
    /// The field at fault.
    pub field: &'static str,
    /// What would be right.
    pub why: String,
}

impl Allocation {
    /// Whether the registry takes it at `head`.
    pub fn check(&self, head: Epoch) -> Result<(), Refused> {
        let refused = |field, why: String| Err(Refused { field, why });
        let Self { size, term_min, term_max, expiration, .. } = self;
        if size.get() < SIZE_MIN {
            return refused("size", format!("{} bytes; the smallest is {SIZE_MIN}", size.get()));
        }
        if !(TERM_MIN..=TERM_MIN_MAX).contains(term_min) {
            let (least, most) = (TERM_MIN.get(), TERM_MIN_MAX.get());
            return refused("term_min", format!("{} epochs; use {least} to {most}", term_min.get()));
        }
        if term_max < term_min || term_max.get() > TERM_MAX {
            let least = term_min.get();
            return refused("term_max", format!("{} epochs; use {least} to {TERM_MAX}", term_max.get()));
        }
        let last = head.after(EXPIRATION_MAX);
        if !(head..=last).contains(expiration) {
            let why = format!("epoch {}; the head is {}, use at most {}", expiration.0, head.0, last.0);
            return refused("expiration", why);
        }
        Ok(())
    }
}

/// An allocation that waits for its provider, as the registry tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// Its number: the provider needs it to claim it.
    pub id: u64,
    /// Who may claim it.
    pub provider: ProviderId,
    /// The piece's CID.
    pub piece: String,
    /// Padded bytes.
    pub size: u64,
    /// In epochs.
    pub term_min: i64,
    /// In epochs.
    pub term_max: i64,
    /// The last epoch in which it can be claimed.
    pub expiration: Epoch,
}

/// A client's DataCap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataCap {
    /// What can still be set aside, in bytes.
    pub bytes: u128,
    /// What is set aside and not claimed, by number.
    pub waiting: Vec<Waiting>,
    /// Whether the network has done away with it.
    pub frozen: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Allocation {
        Allocation {
            provider: ProviderId::new(1_000),
            piece: Commitment([1; 32]),
            size: PaddedSize::new(1 << 20).expect("a size"),
            term_min: TERM_MIN,
            term_max: Epochs::days(540),
            expiration: Epoch(1_000),
        }
    }

    #[test]
    fn what_the_registry_would_refuse_is_refused_by_its_field() {
        let (head, size) = (Epoch(900), |bytes| PaddedSize::new(bytes).expect("a size"));
        assert_eq!(good().check(head), Ok(()));
        assert_eq!(Allocation { expiration: Epoch(173_700), ..good() }.check(head), Ok(()), "the last epoch");
        let long = Epochs::new(TERM_MAX).expect("a distance");
        assert_eq!(Allocation { term_max: long, ..good() }.check(head), Ok(()), "the longest term");
        for (bad, field) in [
            (Allocation { size: size(1 << 19), ..good() }, "size"),
            (Allocation { term_min: Epochs::days(179), ..good() }, "term_min"),
            (Allocation { term_min: Epochs::days(1_279), ..good() }, "term_min"),
            (Allocation { term_max: Epochs::days(179), ..good() }, "term_max"),
            (Allocation { term_max: Epochs::days(1_827), ..good() }, "term_max"),
            (Allocation { expiration: Epoch(899), ..good() }, "expiration"),
            (Allocation { expiration: Epoch(173_701), ..good() }, "expiration"),
        ] {
            assert_eq!(bad.check(head).expect_err(field).field, field);
        }
    }
}
