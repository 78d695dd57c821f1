//! Rule 2.

use crate::model::build::{
    DAY, FAR, LAG, NOW, commitment, holding, holding_with, lost, order, proven, published, repairs, round,
    rules, sick, signed, unknown,
};
use crate::model::text::wanted;
use proptest::prelude::*;
use raas_core::health::{Health, UnknownReason};
use raas_core::holding::Holding;
use raas_core::ids::{ActorId, OperatorId};
use raas_core::observation::NotSeen;
use raas_core::order::{Cause, OrderState};
use raas_core::plan::Wanted;
use raas_core::policy::Duties;
use raas_core::units::Epoch;
use raas_core::want::want;

fn at_now(holding: &Holding) -> Vec<String> {
    wanted(holding, &round(NOW))
}

const WATCH: Duties = Duties { replicate: false, renew: true, repair: true };

#[test]
fn every_empty_place_gets_one_order() {
    assert_eq!(
        at_now(&holding(1)),
        [
            "slot 0: replicate, empty, Normal",
            "slot 1: replicate, empty, Normal",
            "slot 2: replicate, empty, Normal",
        ]
    );
    let mut no_rows = holding(1);
    no_rows.pieces[0].slots.clear();
    assert_eq!(at_now(&no_rows), at_now(&holding(1)), "a place without a row is empty, too");
}

#[test]
fn urgency_follows_the_proven_count() {
    let table = [
        (vec![vec![proven(1, 1_000, FAR)], vec![proven(2, 1_010, FAR)]], "slot 2: replicate, empty, Normal"),
        (vec![vec![proven(1, 1_000, FAR)], vec![published(2, 1_010)]], "slot 2: replicate, empty, BelowMin"),
        (
            vec![vec![proven(1, 1_000, FAR)], vec![lost(2, 1_010), published(3, 1_020)]],
            "slot 2: replicate, empty, LastCopy",
        ),
        (
            vec![vec![unknown(1, 1_000, FAR)], vec![lost(2, 1_010), published(3, 1_020)]],
            "slot 2: replicate, empty, Normal",
        ),
    ];
    for (slots, expected) in table {
        let lines = at_now(&holding_with(1, slots));
        assert_eq!(lines.first().map(String::as_str), Some(expected), "{lines:?}");
    }
}

#[test]
fn a_holding_that_only_watches_never_orders_a_first_copy() {
    let mut watching = holding_with(1, vec![vec![], vec![lost(2, 1_010)], vec![proven(3, 1_020, FAR)]]);
    watching.duties = WATCH;
    assert_eq!(
        at_now(&watching),
        [
            "slot 1: repair 2, 2 lost (Terminated), LastCopy",
            "slot 0 waits: not asked -> round",
            &format!("slot 2 waits: 3 window opens {} -> head {}", FAR - 30 * DAY, FAR - 30 * DAY),
        ]
    );
    let expired = order(1, 1_000, Cause::Adopt, OrderState::Expired);
    let mut expired = holding_with(1, vec![vec![expired], vec![], vec![]]);
    expired.duties = WATCH;
    assert_eq!(at_now(&expired).len(), 3);
    assert!(at_now(&expired).iter().all(|line| line.ends_with("not asked -> round")));
}

#[test]
fn a_repair_that_came_to_nothing_is_tried_again_as_a_repair() {
    let cancelled = order(9, 1_010, repairs(2), OrderState::Expired);
    let mut watching = holding_with(1, vec![vec![cancelled], vec![], vec![]]);
    watching.duties = WATCH;
    assert_eq!(at_now(&watching)[0], "slot 0: repair 2, empty, Normal");
    watching.duties = Duties { replicate: true, renew: true, repair: false };
    assert_eq!(
        at_now(&watching)[0],
        "slot 0: replicate, empty, Normal",
        "repairs are not asked for any more"
    );
}

#[test]
fn a_published_copy_that_was_not_seen_is_said_to_be_unknown() {
    let mut unseen = published(1, 1_000);
    if let OrderState::Published(on_chain) = &mut unseen.state {
        on_chain.health.health = Health::Unknown(UnknownReason::NotSeen(NotSeen::RpcFailed));
    }
    let holding = holding_with(1, vec![vec![unseen]]);
    let line = format!("slot 0 waits: 1 unknown -> head {}", NOW + DAY + 1 + LAG);
    assert!(at_now(&holding).contains(&line), "{:?}", at_now(&holding));
}

#[test]
fn whatever_stops_the_whole_holding_is_said() {
    let mut stopped = holding(1);
    stopped.open = false;
    assert_eq!(at_now(&stopped), ["holding waits: stopped -> round"]);
    let mut over = holding(1);
    over.policy.ends_at = Some(Epoch(NOW + LAG));
    assert_eq!(at_now(&over), [format!("holding waits: policy ends {} -> round", NOW + LAG)]);
    over.policy.ends_at = Some(Epoch(NOW + LAG + 1));
    assert_eq!(at_now(&over).len(), 3);
    let mut no_piece = holding(1);
    no_piece.pieces.clear();
    assert_eq!(at_now(&no_piece), ["holding waits: bytes -> bytes"]);
    let mut no_bytes = holding(1);
    no_bytes.pieces[0].piece.local = false;
    assert_eq!(at_now(&no_bytes).len(), 3);
    assert!(at_now(&no_bytes).iter().all(|line| line.ends_with("waits: bytes -> bytes")));
    no_bytes.pieces[0].piece.retrievable = true;
    assert!(at_now(&no_bytes)[0].starts_with("slot 0: replicate"));
}

#[test]
fn occupied_places_never_exceed_the_maximum() {
    // The target was lowered from 5 to 3 and the maximum to 3; places 3 and 4 live on.
    let mut lowered = holding_with(1, vec![vec![], vec![proven(2, 1_010, FAR)], vec![]]);
    for index in [3, 4] {
        let mut slot = lowered.pieces[0].slots[1].clone();
        slot.index = index;
        slot.generations = vec![proven(u64::from(index) + 10, 1_100 + u64::from(index) * 10, FAR)];
        lowered.pieces[0].slots.push(slot);
    }
    lowered.policy.replicas.max = 4;
    let lines = at_now(&lowered);
    assert_eq!(lines[0], "slot 0: replicate, empty, Normal");
    assert_eq!(lines[1..].iter().filter(|line| line.contains("maximum: 3 of 4")).count(), 1, "{lines:?}");
    lowered.policy.replicas.max = 3;
    assert_eq!(at_now(&lowered).iter().filter(|line| line.contains("maximum: 3 of 3")).count(), 2);
    // Beyond the target nothing is renewed, repaired or refilled.
    lowered.pieces[0].slots[3].generations = vec![sick(13, 1_130)];
    lowered.pieces[0].slots[4].generations = vec![lost(14, 1_140)];
    let lines = at_now(&lowered);
    assert!(lines.contains(&"slot 3 waits: not asked -> round".to_owned()), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("slot 4")), "{lines:?}");
}

#[test]
fn the_limits_of_a_copy_name_who_is_used_and_who_may_still_publish() {
    let rejected = order(4, 1_030, Cause::Replicate, OrderState::RejectedWatched(signed(4, NOW + DAY)));
    let holding =
        holding_with(1, vec![vec![proven(1, 1_000, FAR)], vec![published(2, 1_010)], vec![rejected]]);
    let (wants, _) = want(&holding, &round(NOW), &rules());
    let [only] = wants.as_slice() else { panic!("one want, got {wants:?}") };
    let Wanted::Copy(copy) = &only.what else { panic!("a copy") };
    assert_eq!(copy.operators_in_use, [OperatorId(ActorId(100)), OperatorId(ActorId(101))]);
    assert_eq!(copy.operators_watched, [OperatorId(ActorId(103))]);
    assert_eq!((copy.piece, copy.prefer, copy.replaces), (commitment(1), None, None));
    assert_eq!(only.due, Epoch(NOW));
}

proptest! {
    #[test]
    fn wants_and_occupied_places_together_stay_under_the_maximum(
        filled in proptest::collection::vec(any::<bool>(), 0..8),
        min in 1_u32..3, more in 0_u32..3, most in 0_u32..3,
    ) {
        let mut holding = holding(1);
        holding.policy.replicas.min = min;
        holding.policy.replicas.target = min + more;
        holding.policy.replicas.max = min + more + most;
        holding.pieces[0].slots = (0_u32..).zip(&filled).map(|(index, filled)| raas_core::holding::Slot {
            index,
            generations: if *filled { vec![proven(u64::from(index) + 1, 1_000 + 10 * u64::from(index), FAR)] } else { vec![] },
        }).collect();
        let (wants, _) = want(&holding, &round(NOW), &rules());
        let copies = wants.iter().filter(|want| matches!(want.what, Wanted::Copy(_))).count() as u32;
        let occupied = holding.pieces[0].occupied();
        prop_assert!(copies == 0 || occupied + copies <= holding.policy.replicas.max);
        let mut places: Vec<u32> = wants.iter().filter_map(|want| match &want.what {
            Wanted::Copy(copy) => Some(copy.slot.index),
            _ => None,
        }).collect();
        places.dedup();
        prop_assert_eq!(places.len() as u32, copies, "one order for each place");
        prop_assert!(places.iter().all(|index| *index < holding.policy.replicas.target));
    }
}
