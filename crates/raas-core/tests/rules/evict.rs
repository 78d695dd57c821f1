//! The local copy goes only when it is not needed any more.

use crate::model::build::{
    DAY, FAR, NOW, holding_with, order, proven, published, renews, round, sick, signed, unknown,
};
use crate::model::text::wanted;
use proptest::prelude::*;
use raas_core::holding::Holding;
use raas_core::order::{Cause, OrderState};
use raas_core::policy::KeepLocal;

fn three_proven(keep_local: KeepLocal) -> Holding {
    let mut holding = holding_with(
        1,
        vec![vec![proven(1, 1_000, FAR)], vec![proven(2, 1_010, FAR)], vec![proven(3, 1_020, FAR)]],
    );
    holding.pieces[0].piece.retrievable = true;
    holding.policy.keep_local = keep_local;
    holding
}

fn about_bytes(holding: &Holding) -> Vec<String> {
    wanted(holding, &round(NOW))
        .into_iter()
        .filter(|line| line.starts_with("evict") || line.starts_with("holding waits"))
        .collect()
}

#[test]
fn the_policy_says_how_many_copies_let_it_go() {
    assert_eq!(about_bytes(&three_proven(KeepLocal::Always)), Vec::<String>::new());
    assert_eq!(about_bytes(&three_proven(KeepLocal::Never)), ["evict, 3 of 3 proven, Normal"]);
    assert_eq!(about_bytes(&three_proven(KeepLocal::UntilProven(2))), ["evict, 3 of 2 proven, Normal"]);
    assert_eq!(about_bytes(&three_proven(KeepLocal::UntilProven(0))), ["evict, 3 of 1 proven, Normal"]);
    assert_eq!(
        about_bytes(&three_proven(KeepLocal::UntilProven(4))),
        ["holding waits: local copy: 3 of 4 proven, read back: true -> round"]
    );
}

#[test]
fn the_last_verified_source_stays() {
    let mut holding = three_proven(KeepLocal::Never);
    holding.pieces[0].piece.retrievable = false;
    assert_eq!(
        about_bytes(&holding),
        ["holding waits: local copy: 3 of 3 proven, read back: false -> round"]
    );
    let mut gone = three_proven(KeepLocal::Never);
    gone.pieces[0].piece.local = false;
    assert_eq!(about_bytes(&gone), Vec::<String>::new());
    let mut blind = three_proven(KeepLocal::Never);
    blind.pieces[0].slots[0].generations = vec![unknown(1, 1_000, FAR)];
    blind.policy.keep_local = KeepLocal::UntilProven(2);
    assert_eq!(
        about_bytes(&blind),
        ["holding waits: 1 unknown -> round"],
        "two of two, but one is out of sight"
    );
    let mut pending = three_proven(KeepLocal::Never);
    pending.pieces[0].slots[0].generations = vec![published(1, 1_000)];
    assert_eq!(about_bytes(&pending), ["holding waits: local copy: 2 of 3 proven, read back: true -> round"]);
}

#[test]
fn an_order_that_needs_the_bytes_keeps_them() {
    let soon = signed(9, NOW + DAY);
    for state in [
        OrderState::Planned,
        OrderState::Signed(soon.clone()),
        OrderState::Delivered(soon.clone()),
        OrderState::Accepted(soon.clone()),
    ] {
        let mut holding = three_proven(KeepLocal::UntilProven(1));
        holding.pieces[0].slots[0].generations.push(order(9, 1_000, renews(1), state));
        assert_eq!(about_bytes(&holding).len(), 1);
        assert!(about_bytes(&holding)[0].starts_with("holding waits: 9 under way"));
    }
    let mut rejected = three_proven(KeepLocal::UntilProven(1));
    rejected.pieces[0].spares =
        vec![order(9, 1_000, Cause::Replicate, OrderState::RejectedWatched(soon)), published(10, 1_090)];
    assert_eq!(about_bytes(&rejected), ["evict, 3 of 1 proven, Normal"]);
    let mut repairing = three_proven(KeepLocal::UntilProven(1));
    repairing.pieces[0].slots[0].generations = vec![sick(1, 1_000)];
    assert_eq!(about_bytes(&repairing), Vec::<String>::new(), "a copy is wanted right now");
}

proptest! {
    #[test]
    fn never_without_enough_proven_and_a_verified_read(kinds in proptest::collection::vec(0_u8..3, 3), needed in 0_u32..5, retrievable: bool) {
        let mut holding = three_proven(KeepLocal::UntilProven(needed));
        holding.pieces[0].piece.retrievable = retrievable;
        for ((id, slot), kind) in (1_u64..).zip(&mut holding.pieces[0].slots).zip(&kinds) {
            match kind {
                0 => slot.generations = vec![unknown(id, 990 + 10 * id, FAR)],
                1 => slot.generations = vec![published(id, 990 + 10 * id)],
                _ => {}
            }
        }
        let proven = kinds.iter().filter(|kind| **kind == 2).count() as u32;
        let evicts = about_bytes(&holding).iter().any(|line| line.starts_with("evict"));
        prop_assert_eq!(evicts, retrievable && proven >= needed.max(1) && !kinds.contains(&0));
    }
}
