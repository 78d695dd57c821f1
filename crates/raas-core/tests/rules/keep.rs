//! Rule 9.

use crate::model::build::{
    DAY, FAR, NOW, holding_with, order, proven, published, renews, repairs, replica, round, rules, sick,
    suspect,
};
use proptest::prelude::*;
use raas_core::health::{Fault, Health, HealthRecord};
use raas_core::holding::Holding;
use raas_core::order::{Cause, Order, OrderState};
use raas_core::plan::Wanted;
use raas_core::policy::KeepLocal;
use raas_core::units::Epoch;
use raas_core::want::want;

fn holding(generations: Vec<Order>) -> Holding {
    let mut holding =
        holding_with(1, vec![generations, vec![proven(50, 1_500, FAR)], vec![proven(51, 1_510, FAR)]]);
    holding.policy.keep_local = KeepLocal::Always;
    holding
}

/// What is wanted for place 0, by kind.
fn wanted(generations: Vec<Order>) -> Vec<String> {
    let (wants, _) = want(&holding(generations), &round(NOW), &rules());
    let kind = |what: &Wanted| match what {
        Wanted::Copy(copy) => match copy.cause {
            Cause::Renew { of } => format!("renew {of}"),
            Cause::Repair { of } => format!("repair {of}"),
            other => format!("{other:?}"),
        },
        other => format!("{other:?}"),
    };
    wants.iter().map(|want| kind(&want.what)).collect()
}

#[test]
fn which_generation_keeps_a_place() {
    let ends_soon = |id, provider| proven(id, provider, NOW + 10 * DAY);
    let of = |cause, order: Order| Order { cause, ..order };
    let table: Vec<(&str, Vec<Order>, Vec<&str>)> = vec![
        ("the only one", vec![proven(1, 1_000, FAR)], vec![]),
        ("one that ends", vec![ends_soon(1, 1_000)], vec!["renew 1"]),
        ("its proven successor", vec![ends_soon(1, 1_000), of(renews(1), proven(2, 1_000, FAR))], vec![]),
        (
            "the old one while the new one is on its way",
            vec![ends_soon(1, 1_000), of(renews(1), published(2, 1_000))],
            vec![],
        ),
        (
            "the old one while the new one is sick and it has time itself",
            vec![proven(1, 1_000, FAR), of(repairs(9), sick(2, 1_020))],
            vec![],
        ),
        (
            "the sick one when the old one ends",
            vec![ends_soon(1, 1_000), of(renews(1), sick(2, 1_000))],
            vec!["repair 2"],
        ),
    ];
    for (name, generations, expected) in table {
        assert_eq!(wanted(generations), expected, "{name}");
    }
}

/// One generation: kind, and days from now to its end.
fn generation(id: u64, kind: u8, days: i64) -> Order {
    let provider = 990 + 10 * id;
    let end = NOW + days * DAY;
    match kind {
        0 => proven(id, provider, end),
        1 => {
            let fault = Fault { since: Epoch(NOW - 9), first_round: Epoch(NOW - 9), last_round: Epoch(NOW) };
            let health = Health::Suspect;
            replica(
                id,
                provider,
                end,
                HealthRecord { health, fault: Some(fault), proven_at: None, at: Epoch(NOW) },
            )
        }
        2 => suspect(id, provider, NOW - 3 * DAY, NOW - 3 * DAY),
        3 => order(id, provider, Cause::Replicate, OrderState::Expired),
        _ => published(id, provider),
    }
}

proptest! {
    /// Whatever a place holds, nothing that is wanted for it ends a replica: there is no such want, and an unsigned
    /// order is all that is ever given up.
    #[test]
    fn fault_23_no_replica_is_ever_given_up(kinds in proptest::collection::vec((0_u8..5, 1_i64..60), 0..3)) {
        let generations: Vec<Order> =
            (1_u64..).zip(&kinds).map(|(id, (kind, days))| generation(id, *kind, *days)).collect();
        let holding = holding(generations);
        let (wants, _) = want(&holding, &round(NOW), &rules());
        for want in wants {
            let gives_up = match want.what {
                Wanted::Cancel { order } => {
                    let orders = holding.pieces[0].orders();
                    orders.into_iter().any(|other| other.id == order && other.state != OrderState::Planned)
                }
                Wanted::Evict { .. } => true,
                _ => false,
            };
            prop_assert!(!gives_up);
        }
    }
}
