//! Rule 4.

use crate::model::build::{
    DAY, FAR, LAG, NOW, fleet, holding_with, lost, never_activated, operator_of, order, proven, provider,
    published, repairs, replica, round, rules, sick, signed, suspect, unknown,
};
use crate::model::text::{plan_lines, wanted};
use proptest::prelude::*;
use raas_core::health::{Health, HealthRecord};
use raas_core::holding::Holding;
use raas_core::order::{Cause, Order, OrderState};
use raas_core::plan::{Wanted, plan};
use raas_core::policy::Duties;
use raas_core::units::Epoch;
use raas_core::want::want;

fn one(generations: Vec<Order>) -> Holding {
    holding_with(1, vec![generations, vec![proven(50, 1_500, FAR)], vec![proven(51, 1_510, FAR)]])
}

fn slot_0(generations: Vec<Order>) -> String {
    let lines = wanted(&one(generations), &round(NOW));
    let mut of_slot = lines.iter().filter(|line| line.starts_with("slot 0") || line.starts_with("cancel"));
    let line = of_slot.next().cloned().unwrap_or_default();
    assert_eq!(of_slot.next(), None, "one answer per place: {lines:?}");
    line
}

#[test]
fn the_edges_of_patience() {
    // A fault since F is repaired at F + 2,880, if an earlier round saw it, too.
    let f = NOW - DAY;
    let repair = format!("slot 0: repair 1, 1 suspect since {f}, Normal");
    assert_eq!(slot_0(vec![suspect(1, 1_000, f, f + 10)]), repair);
    assert_eq!(slot_0(vec![suspect(1, 1_000, f, NOW - 1)]), repair);
    let until = NOW + 1;
    assert_eq!(
        slot_0(vec![suspect(1, 1_000, f + 1, f + 10)]),
        format!("slot 0 waits: 1 suspect {}..{until} -> head {}", f + 1, until + LAG)
    );
    assert_eq!(
        slot_0(vec![suspect(1, 1_000, f, NOW)]),
        format!("slot 0 waits: 1 suspect {f}..{NOW} -> round"),
        "only this round has seen it"
    );
}

#[test]
fn what_a_place_with_a_troubled_copy_gets() {
    let until = NOW + DAY - 5;
    let waits = format!("slot 0 waits: 1 suspect {}..{until} -> head {}", NOW - 5, until + LAG);
    let sick_line = format!("slot 0: repair 1, 1 suspect since {}, Normal", NOW - 2 * DAY);
    let opens = FAR - 30 * DAY;
    let table: Vec<(&str, Vec<Order>, String)> = vec![
        ("lost", vec![lost(1, 1_000)], "slot 0: repair 1, 1 lost (Terminated), Normal".into()),
        (
            "never activated",
            vec![never_activated(1, 1_000, Cause::Replicate)],
            "slot 0: repair 1, 1 lost (NeverActivated), Normal".into(),
        ),
        ("sick", vec![sick(1, 1_000)], sick_line.clone()),
        ("just faulty", vec![suspect(1, 1_000, NOW - 5, NOW - 5)], waits),
        ("not seen", vec![unknown(1, 1_000, FAR)], "slot 0 waits: 1 unknown -> round".into()),
        (
            "repair under way",
            vec![sick(1, 1_000), published(2, 1_020)],
            format!("slot 0 waits: 2 under way -> head {}", NOW + DAY + 1 + LAG),
        ),
        (
            "repair rejected",
            vec![
                sick(1, 1_000),
                order(2, 1_020, repairs(1), OrderState::RejectedWatched(signed(2, NOW + 9))),
            ],
            sick_line.clone(),
        ),
        ("repair expired", vec![sick(1, 1_000), order(2, 1_020, repairs(1), OrderState::Expired)], sick_line),
        (
            "replaced by a proven one",
            vec![sick(1, 1_000), proven(2, 1_020, FAR)],
            format!("slot 0 waits: 2 window opens {opens} -> head {opens}"),
        ),
        (
            "successor not seen",
            vec![sick(1, 1_000), unknown(2, 1_020, FAR)],
            "slot 0 waits: 2 unknown -> round".into(),
        ),
        (
            "successor sick, the old one recovered",
            vec![proven(1, 1_000, FAR), sick(2, 1_020)],
            format!("slot 0 waits: 1 window opens {opens} -> head {opens}"),
        ),
        (
            "successor sick, the old one not seen",
            vec![unknown(1, 1_000, FAR), sick(2, 1_020)],
            "slot 0 waits: 1 unknown -> round".into(),
        ),
        (
            "both sick",
            vec![sick(1, 1_000), sick(2, 1_020)],
            format!("slot 0: repair 2, 2 suspect since {}, Normal", NOW - 2 * DAY),
        ),
        (
            "successor sick, the old one about to end",
            vec![proven(1, 1_000, NOW + LAG + DAY), sick(2, 1_020)],
            format!("slot 0: repair 2, 2 suspect since {}, Normal", NOW - 2 * DAY),
        ),
        (
            "recovered before anything was signed",
            vec![proven(1, 1_000, FAR), order(2, 1_020, repairs(1), OrderState::Planned)],
            format!("cancel 2, 1 proven again at {NOW}, Normal"),
        ),
        (
            "recovered, but signed",
            vec![proven(1, 1_000, FAR), order(2, 1_020, repairs(1), OrderState::Signed(signed(2, NOW + 9)))],
            format!("slot 0 waits: 2 under way -> head {}", NOW + 10 + LAG),
        ),
        (
            "still sick, planned",
            vec![sick(1, 1_000), order(2, 1_020, repairs(1), OrderState::Planned)],
            "slot 0 waits: 2 under way -> round".into(),
        ),
    ];
    for (name, generations, expected) in table {
        assert_eq!(slot_0(generations), expected, "{name}");
    }
}

#[test]
fn without_the_duty_nothing_is_repaired() {
    for generations in [vec![sick(1, 1_000)], vec![lost(1, 1_000)]] {
        let mut holding = one(generations);
        holding.duties = Duties { replicate: false, renew: true, repair: false };
        assert!(wanted(&holding, &round(NOW)).contains(&"slot 0 waits: not asked -> round".to_owned()));
    }
    let mut replicating = one(vec![lost(1, 1_000)]);
    replicating.duties = Duties { replicate: true, renew: false, repair: false };
    assert_eq!(wanted(&replicating, &round(NOW))[0], "slot 0: replicate, 1 lost (Terminated), Normal");
}

#[test]
fn the_successor_goes_to_another_operator() {
    for generation in [sick(1, 1_000), lost(1, 1_000)] {
        let (wants, _) = want(&one(vec![generation]), &round(NOW), &rules());
        let Wanted::Copy(copy) = &wants[0].what else { panic!("a copy") };
        assert!(copy.operators_in_use.contains(&operator_of(1_000)));
        assert_eq!(copy.replaces.map(|provider| provider.number()), Some(1_000));
    }
    // 1001 is run by the operator of 1000, so only 1020 is left.
    let holdings = [one(vec![lost(1, 1_000)])];
    let fleet = fleet(vec![provider(1_001), provider(1_500), provider(1_020)]);
    let plan = plan(&holdings, &fleet, &round(NOW), &rules(), None);
    assert_eq!(plan_lines(&plan)[0], "order at f01020 for 1/0: repair 1, 1 lost (Terminated), Normal");
}

#[test]
fn all_copies_lost_while_the_local_one_exists_are_all_repaired() {
    let gone = holding_with(1, vec![vec![lost(1, 1_000)], vec![lost(2, 1_010)], vec![lost(3, 1_020)]]);
    let lines = wanted(&gone, &round(NOW));
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().all(|line| line.contains("repair") && line.ends_with("LastCopy")), "{lines:?}");
    let mut without_bytes = gone;
    without_bytes.pieces[0].piece.local = false;
    assert!(wanted(&without_bytes, &round(NOW)).iter().all(|line| line.ends_with("waits: bytes -> bytes")));
}

proptest! {
    /// Against the rule's own words: T >= F + X, and an earlier round in [F, T) saw it.
    #[test]
    fn repair_is_due_exactly_by_the_rule(
        f in NOW - 3 * DAY..NOW + 10,
        rounds in proptest::collection::btree_set(NOW - 3 * DAY..NOW, 0..6),
    ) {
        use raas_core::health::Term;
        use raas_core::observation::{DealSeen, SectorSeen};
        let term = Term { start: Epoch(FAR - 540 * DAY), end: Epoch(FAR) };
        let base = proven(1, 1_000, FAR);
        let Some(on_chain) = base.state.on_chain() else { panic!("on chain") };
        let mut record = HealthRecord { at: Epoch(NOW - 4 * DAY), proven_at: Some(Epoch(NOW - 4 * DAY)), ..on_chain.health };
        let present = DealSeen::Present(Box::new(super::health::deal(Some(NOW - 100 * DAY))));
        let faulty = SectorSeen::Faulty { since: Some(Epoch(f)) };
        for height in rounds.iter().copied().chain([NOW]) {
            record = record.next(term, &present, faulty, &round(height));
        }
        prop_assert_eq!(record.health, Health::Suspect);
        let expected = NOW >= f + DAY && rounds.iter().any(|height| (f..NOW).contains(height));
        let (wants, _) = want(&one(vec![replica(1, 1_000, FAR, record)]), &round(NOW), &rules());
        prop_assert_eq!(wants.iter().any(|want| matches!(want.what, Wanted::Copy(_))), expected);
    }
}
