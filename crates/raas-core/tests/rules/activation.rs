//! Rule 5.

use crate::model::build::{NOW, round};
use proptest::prelude::*;
use raas_core::activation::inactive;
use raas_core::cid::Commitment;
use raas_core::health::{Health, HealthRecord, LossReason, Term};
use raas_core::ids::{ActorId, ProviderId, SectorNumber};
use raas_core::observation::{DealSeen, OnChainDeal, SectorSeen};
use raas_core::units::{AttoFil, Epoch, PaddedSize};

const LOST: Health = Health::Lost(LossReason::NeverActivated);

fn term(start: i64) -> Term {
    Term { start: Epoch(start), end: Epoch(start + 518_400) }
}

#[test]
fn the_edge_of_the_start_epoch() {
    for (height, expected) in [
        (NOW - 1, Health::Pending),
        (NOW, Health::Pending),
        (NOW + 1, LOST),
        (NOW + 518_399, LOST),
        (i64::MAX, LOST),
    ] {
        assert_eq!(inactive(term(NOW), Epoch(height)), expected, "at {height}");
    }
}

/// A deal of the market that no sector has.
fn seen(term: Term) -> DealSeen {
    DealSeen::Present(Box::new(OnChainDeal {
        piece: Commitment([0; 32]),
        size: PaddedSize::new(1 << 20).expect("a size"),
        verified: false,
        client: ActorId(1),
        provider: ProviderId::new(1_000),
        label: String::new(),
        start: term.start,
        end: term.end,
        price_per_epoch: AttoFil(1),
        provider_collateral: AttoFil(2),
        client_collateral: AttoFil::ZERO,
        activated: None,
        sector: SectorNumber(0),
    }))
}

proptest! {
    /// Whatever is said of a sector, a deal without one is lost after its start epoch at finality, and not before.
    #[test]
    fn lost_after_the_start_and_not_before(start in 0_i64..2_000, heights in proptest::collection::vec(0_i64..4_000, 1..12), live: bool) {
        let (term, sector) = (term(start), if live { SectorSeen::Live } else { SectorSeen::Dead });
        let mut record = HealthRecord::pending(Epoch(0));
        let mut newest = 0;
        for height in heights {
            record = record.next(term, &seen(term), sector, &round(height));
            newest = newest.max(height);
            prop_assert_eq!(record.health, if newest > start { LOST } else { Health::Pending });
        }
    }
}
