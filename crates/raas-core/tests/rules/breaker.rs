//! Rule 7: the storm breaker's memory.

use crate::model::build::{DAY, NOW, operator_of};
use proptest::prelude::*;
use raas_core::breaker::{next, release};
use raas_core::fleet::{Breaker, Census, SlotCensus, Trip};
use raas_core::ids::ProviderId;
use raas_core::units::Epoch;

/// (provider, slots, newly suspect, suspect of any age)
type Row = (u64, u32, u32, u32);

fn census(rows: &[Row]) -> Census {
    let row = |(provider, slots, newly_suspect, suspect): &Row| {
        let count = SlotCensus { slots: *slots, newly_suspect: *newly_suspect, suspect: *suspect };
        (ProviderId::new(*provider), (operator_of(*provider), count))
    };
    Census { providers: rows.iter().map(row).collect() }
}

fn open(breaker: &Breaker) -> (Vec<u64>, bool) {
    (breaker.providers.keys().map(|provider| provider.number()).collect(), breaker.fleet.is_some())
}

#[test]
fn the_edges_of_a_trip() {
    let table: Vec<(&str, &[Row], Vec<u64>, bool)> = vec![
        ("a quarter is not more than a quarter", &[(1_000, 20, 5, 5)], vec![], false),
        ("more than a quarter of 20", &[(1_000, 20, 6, 6)], vec![1_000], false),
        ("19 slots never trip", &[(1_000, 19, 19, 19)], vec![], false),
        ("old suspects do not trip", &[(1_000, 20, 5, 20)], vec![], false),
        ("fleet: a tenth is not more", &[(1_000, 100, 10, 10), (1_010, 100, 10, 10)], vec![], false),
        ("fleet: more than a tenth", &[(1_000, 100, 11, 11), (1_010, 100, 10, 10)], vec![], true),
        ("fleet: 19 slots are no storm", &[(1_000, 19, 10, 10), (1_010, 19, 9, 9)], vec![], false),
        ("fleet: 20 of small providers are", &[(1_000, 19, 10, 10), (1_010, 19, 10, 10)], vec![], true),
        ("fleet: one operator is no storm", &[(1_000, 19, 10, 10), (1_001, 19, 10, 10)], vec![], false),
        (
            "fleet: operators without suspects do not count",
            &[(1_000, 19, 10, 10), (1_001, 19, 10, 10), (1_010, 19, 0, 0)],
            vec![],
            false,
        ),
    ];
    for (name, rows, providers, fleet) in table {
        let after = next(&Breaker::default(), &census(rows), Epoch(NOW));
        assert_eq!(open(&after), (providers, fleet), "{name}");
    }
}

#[test]
fn a_day_or_the_admin_releases_and_calm_closes() {
    let storm = census(&[(1_000, 40, 20, 20)]);
    let aged = census(&[(1_000, 40, 0, 20)]);
    let calm = census(&[(1_000, 40, 0, 10)]);
    let provider = ProviderId::new(1_000);
    let trip = |breaker: &Breaker| breaker.providers.get(&provider).copied();
    let opened = next(&Breaker::default(), &storm, Epoch(NOW));
    let held = Trip { since: Epoch(NOW), released_at: None };
    assert_eq!(trip(&opened), Some(held));
    assert_eq!(opened.next_release(), Some(Epoch(NOW + DAY)));
    assert_eq!(trip(&next(&opened, &aged, Epoch(NOW + DAY - 1))), Some(held), "age alone does not close it");
    let released = next(&opened, &aged, Epoch(NOW + DAY));
    assert_eq!(trip(&released), Some(Trip { released_at: Some(Epoch(NOW + DAY)), ..held }));
    assert_eq!(released.next_release(), None);
    let by_admin = release(&opened, Some(provider), Epoch(NOW + 7));
    assert_eq!(trip(&by_admin), Some(Trip { released_at: Some(Epoch(NOW + 7)), ..held }));
    assert_eq!(release(&by_admin, Some(provider), Epoch(NOW + 9)), by_admin, "released once");
    assert_eq!(next(&by_admin, &storm, Epoch(NOW + 8)), by_admin, "the same storm does not trip it again");
    assert_eq!(trip(&next(&opened, &calm, Epoch(NOW + 60))), None);
    assert_eq!(trip(&next(&released, &calm, Epoch(NOW + DAY + 60))), None);
    let second = next(&released, &storm, Epoch(NOW + 2 * DAY));
    assert_eq!(
        trip(&second),
        Some(Trip { since: Epoch(NOW + 2 * DAY), released_at: None }),
        "a second storm"
    );
}

#[test]
fn releasing_names_its_scope() {
    let trip = Trip { since: Epoch(NOW), released_at: None };
    let provider = ProviderId::new(1_000);
    let both = Breaker { providers: [(provider, trip)].into(), fleet: Some(trip) };
    let fleet = release(&both, None, Epoch(NOW + 1));
    assert!(fleet.fleet.is_some_and(|trip| trip.released_at.is_some()));
    assert_eq!(fleet.providers.get(&provider), Some(&trip));
    assert_eq!(release(&both, Some(ProviderId::new(9)), Epoch(NOW + 1)), both, "nothing open there");
}

#[test]
fn a_provider_nobody_counts_is_forgotten_only_after_release_and_a_day() {
    let trip = Trip { since: Epoch(NOW), released_at: None };
    let mut breaker = Breaker { providers: [(ProviderId::new(1_000), trip)].into(), fleet: None };
    breaker = next(&breaker, &Census::default(), Epoch(NOW + 10));
    assert_eq!(breaker.providers.len(), 1);
    breaker = next(&breaker, &Census::default(), Epoch(NOW + DAY));
    breaker = next(&breaker, &Census::default(), Epoch(NOW + 2 * DAY - 1));
    assert_eq!(breaker.providers.len(), 1);
    breaker = next(&breaker, &Census::default(), Epoch(NOW + 2 * DAY));
    assert_eq!(breaker.providers.len(), 0);
}

proptest! {
    #[test]
    fn fewer_than_twenty_slots_never_trip(rows in proptest::collection::vec((0_u64..5, 0_u32..8), 0..5)) {
        let mut left = 19;
        let rows: Vec<Row> = rows.iter().map(|(provider, slots)| {
            let slots = (*slots).min(left);
            left -= slots;
            (1_000 + 10 * provider, slots, slots, slots)
        }).collect();
        prop_assert_eq!(open(&next(&Breaker::default(), &census(&rows), Epoch(NOW))), (vec![], false));
    }

    /// Whatever comes, an unreleased trip is never older than a day, and calm rounds close everything.
    #[test]
    fn trips_are_released_and_closed_in_the_end(storms in proptest::collection::vec((0_u32..60, 0_u32..60, 1_i64..DAY), 1..12)) {
        let mut breaker = Breaker::default();
        let mut height = NOW;
        for (newly, suspect, gap) in storms {
            height += gap;
            breaker = next(&breaker, &census(&[(1_000, 60, newly, suspect.max(newly)), (1_010, 60, suspect, suspect)]), Epoch(height));
            for trip in breaker.providers.values().chain(&breaker.fleet) {
                prop_assert!(trip.released_at.is_some() || height < trip.since.0 + DAY);
            }
        }
        let calm = next(&breaker, &census(&[(1_000, 60, 0, 0), (1_010, 60, 0, 0)]), Epoch(height + 1));
        prop_assert_eq!(calm, Breaker::default());
    }
}
