//! What is taken off a contract's list: only a long one, and only what is over for good.

use crate::health::deal;
use raas_core::ids::DealId;
use raas_core::observation::{DealSeen, NotSeen};
use raas_core::prune::{is_long, over};
use raas_core::units::Epoch;

fn ends(end: i64, activated: Option<i64>) -> DealSeen {
    let mut seen = deal(activated);
    seen.end = Epoch(end);
    DealSeen::Present(Box::new(seen))
}

#[test]
fn a_list_is_long_before_it_is_full() {
    for (listed, long) in [(0, false), (47, false), (48, true), (63, true), (64, true), (65, true)] {
        assert_eq!(is_long(listed), long, "{listed}");
    }
}

#[test]
fn only_what_is_over_for_good_goes() {
    let finalized = Epoch(1_000);
    for (seen, goes) in [
        (DealSeen::Gone, true),
        (ends(999, Some(10)), true),
        (ends(1_000, Some(10)), true),
        (ends(1_001, Some(10)), false),
        // Ended is ended, whatever became of it before.
        (ends(1_000, None), true),
        (ends(1_001, None), false),
        (DealSeen::NeverAllocated, false),
        (DealSeen::NotSeen(NotSeen::RpcFailed), false),
        (DealSeen::NotSeen(NotSeen::MissingState), false),
        (DealSeen::NotSeen(NotSeen::NotAsked), false),
    ] {
        let gone = if goes { vec![DealId(7)] } else { vec![] };
        assert_eq!(over(finalized, [(DealId(7), &seen)]), gone, "{seen:?}");
    }
}

#[test]
fn the_order_of_the_list_is_kept_and_the_living_stay() {
    let seen =
        [DealSeen::Gone, ends(2_000, Some(10)), ends(900, Some(10)), DealSeen::NotSeen(NotSeen::RpcFailed)];
    let listed = [9, 3, 7, 1].map(DealId);
    assert_eq!(over(Epoch(1_000), listed.into_iter().zip(&seen)), [DealId(9), DealId(7)]);
    assert_eq!(over(Epoch(1_000), []), []);
}
