//! Spares fill empty places before money is spent.

use crate::model::build::{
    FAR, NOW, attestation, holding, lost, order, proven, published, renews, round, sick, unknown,
};
use crate::model::text::wanted;
use proptest::prelude::*;
use raas_core::holding::{Holding, Slot};
use raas_core::order::{Order, OrderState};
use raas_core::policy::Duties;

fn with(slots: Vec<Vec<Order>>, spares: Vec<Order>) -> Holding {
    let mut holding = holding(1);
    for (slot, generations) in holding.pieces[0].slots.iter_mut().zip(slots) {
        slot.generations = generations;
    }
    holding.pieces[0].spares = spares;
    holding
}

#[test]
fn which_spare_fills_which_place() {
    let filled = || vec![vec![proven(1, 1_000, FAR)], vec![proven(2, 1_010, FAR)]];
    let table: Vec<(&str, Vec<Order>, &str)> = vec![
        ("proven", vec![proven(9, 1_020, FAR)], "slot 2: fill with 9, spare 9 fits, Normal"),
        ("published", vec![published(9, 1_020)], "slot 2: fill with 9, spare 9 fits, Normal"),
        ("used operator", vec![proven(9, 1_011, FAR)], "slot 2: replicate, empty, Normal"),
        ("suspect", vec![sick(9, 1_020)], "slot 2: replicate, empty, Normal"),
        ("lost", vec![lost(9, 1_020)], "slot 2: replicate, empty, Normal"),
        ("not seen", vec![unknown(9, 1_020, FAR)], "slot 2 waits: 9 unknown -> round"),
        (
            "proven before published, the longer term first",
            vec![published(7, 1_040), proven(8, 1_030, FAR), proven(9, 1_020, FAR + 1)],
            "slot 2: fill with 9, spare 9 fits, Normal",
        ),
        (
            "renewed already",
            vec![proven(9, 1_020, FAR), order(10, 1_021, renews(9), OrderState::Expired)],
            "slot 2: replicate, empty, Normal",
        ),
    ];
    for (name, spares, expected) in table {
        let lines = wanted(&with(filled(), spares), &round(NOW));
        assert!(lines.contains(&expected.to_owned()), "{name}: {lines:?}");
        assert_eq!(lines.iter().filter(|line| line.starts_with("slot 2")).count(), 1, "{name}: {lines:?}");
    }
}

#[test]
fn watching_holdings_take_what_is_there_and_it_is_attested_at_once() {
    let mut watching = with(vec![], vec![proven(8, 1_030, FAR), published(9, 1_020)]);
    watching.duties = Duties { replicate: false, renew: true, repair: true };
    watching.attestations = vec![attestation(5, &[])];
    assert_eq!(
        wanted(&watching, &round(NOW)),
        [
            "slot 0: fill with 8, spare 8 fits, BelowMin",
            "slot 1: fill with 9, spare 9 fits, BelowMin",
            "attest deal 500008 for request 5, not attested, BelowMin",
            "slot 2 waits: not asked -> round",
        ]
    );
}

#[test]
fn a_spare_fills_no_place_beyond_the_target() {
    let kept = vec![vec![proven(1, 1_000, FAR)], vec![proven(2, 1_010, FAR)], vec![proven(3, 1_020, FAR)]];
    let mut lowered = with(kept, vec![proven(9, 1_090, FAR)]);
    lowered.pieces[0].slots.push(Slot { index: 3, generations: vec![lost(4, 1_030)] });
    lowered.attestations = vec![attestation(5, &[500_001, 500_002, 500_003])];
    let lines = wanted(&lowered, &round(NOW));
    assert!(!lines.iter().any(|line| line.contains("attest") || line.contains("fill")), "{lines:?}");
}

#[test]
fn a_proven_spare_is_a_copy_that_was_held() {
    let lines = wanted(&with(vec![], vec![proven(9, 1_020, FAR)]), &round(NOW));
    assert_eq!(lines[0], "slot 0: fill with 9, spare 9 fits, BelowMin");
    let lines = wanted(&with(vec![], vec![published(9, 1_020)]), &round(NOW));
    assert_eq!(lines[0], "slot 0: fill with 9, spare 9 fits, Normal", "new, not in danger");
}

proptest! {
    #[test]
    fn one_spare_per_place_and_one_place_per_operator(spares in proptest::collection::vec((0_u64..30, any::<bool>()), 0..10)) {
        let spares: Vec<Order> = (10_u64..).zip(spares).map(|(id, (provider, proven_))| {
            if proven_ { proven(id, 1_000 + provider, FAR) } else { published(id, 1_000 + provider) }
        }).collect();
        let operators: std::collections::BTreeSet<_> = spares.iter().map(|order| order.operator).collect();
        let holding = with(vec![], spares);
        let (wants, _) = raas_core::want::want(&holding, &round(NOW), &crate::model::build::rules());
        let mut filled = Vec::new();
        for want in &wants {
            if let raas_core::plan::Wanted::Fill { slot, spare } = want.what {
                let operator = holding.pieces[0].spares.iter().find(|order| order.id == spare).map(|order| order.operator);
                filled.push((slot.index, operator));
            }
        }
        prop_assert_eq!(filled.len(), operators.len().min(3));
        let distinct: std::collections::BTreeSet<_> = filled.iter().map(|(_, operator)| operator).collect();
        prop_assert_eq!(distinct.len(), filled.len());
        prop_assert_eq!(wants.len(), 3, "what no spare fills is bought");
    }
}
