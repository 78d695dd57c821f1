//! Packing: who waits, who is put together, and what one order buys then.

use crate::model::build::{
    FAR, NOW, commitment, fleet, holding, lost, order, proven, providers, round, rules,
};
use proptest::prelude::*;
use raas_core::admit::admit;
use raas_core::fleet::Provider;
use raas_core::holding::Holding;
use raas_core::ids::{HoldingId, OrderId};
use raas_core::order::{Cause, Order, OrderState, Within};
use raas_core::pack::{self, Company, Packing, WhenSmall, deal_size, pack};
use raas_core::plan::{Action, Plan, Priority, WaitFor, Wake, Want, Wanted, plan};
use raas_core::units::{AttoFil, Epoch, Epochs, PaddedSize};
use raas_core::want::want;
use std::collections::{BTreeMap, BTreeSet};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const PATIENCE: i64 = 480;

fn size(bytes: u64) -> PaddedSize {
    PaddedSize::new(bytes).expect("a size")
}

fn packing(when_small: WhenSmall) -> pack::Rules {
    let patience = Epochs::new(PATIENCE).expect("a distance");
    pack::Rules { below: size(16 * MIB), size: size(64 * MIB), least: size(8 * MIB), patience, when_small }
}

/// A holding of one piece, registered at `since`.
fn small(number: u64, bytes: u64, since: i64) -> Holding {
    let mut small = holding(number);
    small.pieces[0].piece.size = size(bytes);
    small.since = Epoch(since);
    small
}

fn wants(holdings: &[Holding]) -> Vec<Want> {
    holdings.iter().flat_map(|holding| want(holding, &round(NOW), &rules()).0).collect()
}

fn packed(holdings: &[Holding], rules: &pack::Rules, providers: &[Provider]) -> Packing {
    pack(&wants(holdings), Some(rules), providers, &round(NOW))
}

/// Of each aggregate its size in MiB and the holdings in it.
fn made(packing: &Packing) -> Vec<(u64, Vec<u64>)> {
    let of = |action: &Action| match action {
        Action::Pack { size, members } => {
            (size.get() / MIB, members.iter().map(|member| member.holding.0).collect())
        }
        other => panic!("{other:?}"),
    };
    packing.actions.iter().map(of).collect()
}

fn company(packing: &Packing) -> Company {
    match packing.waits.first().map(|wait| &wait.for_) {
        Some(WaitFor::Company(company)) => *company,
        other => panic!("{other:?}"),
    }
}

/// The head of the round at [`NOW`].
fn head() -> i64 {
    round(NOW).head.0
}

#[test]
fn the_young_wait_together_and_are_told_what_for() {
    let young = [small(1, 4 * MIB, head() - 10), small(2, MIB, head())];
    let waiting = packed(&young, &packing(WhenSmall::Wait), &providers(3));
    assert_eq!(made(&waiting), []);
    let Company { until, together, pieces, least, cost_padded, cost_alone, .. } = company(&waiting);
    assert_eq!(until, Epoch(head() - 10 + PATIENCE));
    assert_eq!((together, pieces, least), (5 * MIB, 2, size(8 * MIB)));
    // Ten attoFIL per GiB and epoch: less than one for both.
    let term = young[0].policy.duration.get().unsigned_abs();
    let cost = |bytes| Some(size(bytes).cost_per_epoch(AttoFil(10)).times(term));
    assert_eq!((cost_padded, cost_alone), (cost(8 * MIB), cost(4 * MIB)));
    // One wait for each place of each, and nothing of it is bought by itself.
    assert_eq!(waiting.waits.len(), 6);
    assert!(waiting.waits.iter().all(|wait| matches!(wait.wake, Wake::At(_))));
    let mut with = rules();
    with.pack = Some(packing(WhenSmall::Wait));
    let told = plan(&young, &fleet(providers(3)), &round(NOW), &with, None);
    assert_eq!((told.actions, told.waits.len()), (vec![], 6));
    // Without packing they are.
    assert_eq!(plan(&young, &fleet(providers(3)), &round(NOW), &rules(), None).actions.len(), 6);
}

#[test]
fn when_the_patience_of_one_is_over_all_go_with_it() {
    let old = head() - PATIENCE;
    let pieces = [small(1, 4 * MIB, head()), small(2, 2 * MIB, old), small(3, MIB, head())];
    let made_now = made(&packed(&pieces, &packing(WhenSmall::Wait), &providers(3)));
    assert_eq!(made_now, [(8, vec![1, 2, 3])], "the largest first");
}

#[test]
fn what_is_too_little_waits_is_padded_or_goes_by_itself() {
    let old = [small(1, MIB, head() - PATIENCE), small(2, MIB, head())];
    let waiting = packed(&old, &packing(WhenSmall::Wait), &providers(3));
    assert_eq!((made(&waiting), waiting.waits.len()), (vec![], 6));
    assert_eq!(waiting.waits[0].wake, Wake::OnRound, "only more pieces help");
    let padded = packed(&old, &packing(WhenSmall::Pad), &providers(3));
    assert_eq!(made(&padded), [(8, vec![1, 2])]);
    let alone = packed(&old, &packing(WhenSmall::SmallProviders), &providers(3));
    let wants = wants(&old);
    let held = |holding| {
        wants.iter().filter(|want| want.holding == HoldingId(holding)).all(|want| alone.holds(want))
    };
    assert_eq!(
        (made(&alone), held(1), held(2)),
        (vec![], false, true),
        "only the one that waited long enough"
    );
}

#[test]
fn what_providers_take_is_the_least_and_what_none_takes_is_small() {
    let mut large = providers(3);
    for provider in &mut large[1..] {
        provider.ask.as_mut().expect("an ask").size_min = size(64 * MIB);
    }
    // Not small by the rules, but two of the three operators do not take it.
    let piece = [small(1, 16 * MIB, head() - PATIENCE)];
    let company = company(&packed(&piece, &packing(WhenSmall::Wait), &large));
    assert_eq!(company.least, size(64 * MIB));
    assert_eq!(made(&packed(&piece, &packing(WhenSmall::Pad), &large)), [(64, vec![1])]);
    assert!(packed(&piece, &packing(WhenSmall::Wait), &providers(3)).waits.is_empty(), "all take it");
}

#[test]
fn a_full_aggregate_waits_for_nobody_and_the_rest_waits_on() {
    let pieces: Vec<Holding> =
        (1..=9).map(|number| small(number, 8 * MIB, head() - 9 + number as i64)).collect();
    let full = packed(&pieces, &packing(WhenSmall::Wait), &providers(3));
    // Eight of eight mebibytes leave no room for the index.
    assert_eq!(made(&full), [(64, vec![1, 2, 3, 4, 5, 6, 7])], "those that wait longest");
    assert_eq!(company(&full).together, 16 * MIB);
}

#[test]
fn a_last_copy_does_not_wait_and_takes_others_along() {
    let mut wants = wants(&[small(1, MIB, head()), small(2, MIB, head())]);
    for want in wants.iter_mut().filter(|want| want.holding == HoldingId(2)) {
        want.priority = Priority::LastCopy;
    }
    let urgent = pack(&wants, Some(&packing(WhenSmall::Wait)), &providers(3), &round(NOW));
    assert_eq!(made(&urgent), [(8, vec![1, 2])]);
}

#[test]
fn one_piece_of_two_owners_lies_there_once_and_other_placements_apart() {
    let mut pieces = [small(1, MIB, 0), small(2, MIB, 0), small(3, MIB, 0)];
    pieces[1].pieces[0].piece.commitment = commitment(1);
    pieces[2].policy.placement.price_max = AttoFil(11);
    let two = made(&packed(&pieces, &packing(WhenSmall::Pad), &providers(3)));
    assert_eq!(two, [(8, vec![3]), (8, vec![1, 2])]);
}

fn in_aggregate(holding: &mut Holding) -> Within {
    let within = Within { aggregate: commitment(900), size: size(8 * MIB) };
    holding.pieces[0].piece.packed = Some(within);
    within
}

/// Of each order its cause, and the holdings it fills places of.
fn orders(plan: &Plan) -> Vec<(Cause, Vec<u64>)> {
    let of = |action: &Action| match action {
        Action::Order { cause, slots, pieces, within, .. } => {
            assert_eq!((slots.len(), within.is_some()), (pieces.len(), true));
            (*cause, slots.iter().map(|slot| slot.holding.0).collect())
        }
        other => panic!("{other:?}"),
    };
    plan.actions.iter().map(of).collect()
}

#[test]
fn an_aggregate_is_bought_renewed_and_repaired_by_one_order_for_all() {
    let mut two = [small(1, MIB, 0), small(2, MIB, 0)];
    let within = two.each_mut().map(in_aggregate)[0];
    let mut with = rules();
    with.pack = Some(packing(WhenSmall::Wait));
    let first = plan(&two, &fleet(providers(3)), &round(NOW), &with, None);
    let bought: Vec<_> = (0..3).map(|_| (Cause::Replicate, vec![1, 2])).collect();
    assert_eq!(orders(&first), bought);
    // Each is told its own part of it.
    for (holding, own) in first.actions[0].by_holding() {
        let Action::Order { slots, pieces, .. } = own else { panic!("{own:?}") };
        assert_eq!((slots[0].holding, slots.len(), pieces), (holding, 1, vec![commitment(holding.0)]));
    }
    let strict = |plan: &Plan| {
        plan.actions
            .iter()
            .all(|action| matches!(action, Action::Order { duration, .. } if *duration == Epochs::days(700)))
    };
    two[1].policy.duration = Epochs::days(700);
    assert!(strict(&plan(&two, &fleet(providers(3)), &round(NOW), &with, None)), "the longest term for all");

    // One loss under two holdings is one repair; a copy that was bought by itself stays by itself.
    for (holding, piece) in two.iter_mut().zip([1, 2]) {
        let copies = [lost(70, 1_000), proven(71, 1_010, FAR), proven(72, 1_020, FAR)];
        let copies = copies.map(|copy| Order { piece: commitment(piece), within: Some(within), ..copy });
        for (slot, copy) in holding.pieces[0].slots.iter_mut().zip(copies) {
            slot.generations = vec![copy];
        }
    }
    let of = OrderId(70);
    let repaired = plan(&two, &fleet(providers(4)), &round(NOW), &with, None);
    assert_eq!(orders(&repaired), [(Cause::Repair { of }, vec![1, 2])]);
    two[0].pieces[0].slots[0].generations[0].within = None;
    let apart = plan(&two, &fleet(providers(4)), &round(NOW), &with, None);
    let of_alone =
        |action: &Action| matches!(action, Action::Order { within: None, slots, .. } if slots.len() == 1);
    assert_eq!((apart.actions.len(), apart.actions.iter().filter(|action| of_alone(action)).count()), (2, 1));
}

/// Who comes later finds the order of the others, and pays nothing.
#[test]
fn an_order_for_the_aggregate_is_joined_before_it_is_published() {
    let mut late = small(1, MIB, 0);
    let within = in_aggregate(&mut late);
    let mut under_way = order(5, 1_000, Cause::Replicate, OrderState::Planned);
    (under_way.piece, under_way.within) = (commitment(1), Some(within));
    late.pieces[0].spares.push(under_way);
    let wants = wants(&[late]);
    let joins = |want: &Want| matches!(want.what, Wanted::Fill { spare, .. } if spare.0 == 5);
    assert_eq!((wants.len(), wants.iter().filter(|want| joins(want)).count()), (3, 1));
    let admitted = admit(&wants, &mut fleet(providers(3)), &round(NOW));
    assert_eq!(admitted.actions.len(), 3, "two more are bought, elsewhere");
}

proptest! {
    #[test]
    fn nothing_is_packed_twice_or_lost_and_everything_fits(
        pieces in prop::collection::vec((0_u64..40, 0_i64..700, 0_u128..2), 1..120),
        when in 0_usize..3,
        shift in 0_usize..120,
    ) {
        let when_small = [WhenSmall::Wait, WhenSmall::Pad, WhenSmall::SmallProviders][when];
        let holdings: Vec<Holding> = pieces.iter().enumerate().map(|(at, (piece, age, price))| {
            // A piece has one size, whoever has it.
            let bytes = KIB << (piece * 7 % 16);
            let mut holding = small(at as u64 + 1, bytes, head() - age);
            holding.pieces[0].piece.commitment = commitment(*piece);
            holding.policy.placement.price_max = AttoFil(100 + price);
            holding
        }).collect();
        let rules = packing(when_small);
        let all = wants(&holdings);
        let packing = pack(&all, Some(&rules), &providers(3), &round(NOW));
        let mut rotated = all.clone();
        rotated.rotate_left(shift % all.len());
        let again = pack(&rotated, Some(&rules), &providers(3), &round(NOW));
        prop_assert_eq!(&packing.actions, &again.actions);

        let mut seen = BTreeSet::new();
        for action in &packing.actions {
            let Action::Pack { size, members } = action else { panic!("{action:?}") };
            let inside: BTreeMap<_, _> = members.iter().map(|member| (member.piece, member.size)).collect();
            for member in members {
                prop_assert!(seen.insert((member.holding, member.piece)), "twice: {member:?}");
                prop_assert_eq!(inside[&member.piece], member.size);
            }
            prop_assert!(members.is_sorted_by_key(|member| std::cmp::Reverse(member.size)), "gaps");
            let bytes = inside.values().map(|size| size.get()).sum();
            let needed = deal_size(bytes, inside.len() as u64).expect("a deal");
            prop_assert!(needed <= *size && *size <= rules.size);
            prop_assert!(*size == needed || when_small == WhenSmall::Pad);
            prop_assert!(*size >= rules.least);
        }
        // Each is packed, waits with a reason, or is bought by itself.
        let waiting: BTreeSet<_> = packing.waits.iter().filter_map(|wait| wait.slot).collect();
        for want in &all {
            let Wanted::Copy(copy) = &want.what else { panic!("{want:?}") };
            let is_packed = seen.contains(&(want.holding, copy.piece));
            let waits = waiting.contains(&copy.slot);
            prop_assert!(!(is_packed && waits));
            prop_assert_eq!(packing.holds(want), is_packed || waits);
            let is_over = head() >= copy.since.0 + PATIENCE;
            let goes_alone = copy.size >= rules.below || (is_over && when_small == WhenSmall::SmallProviders);
            prop_assert!(is_packed || waits || goes_alone);
        }
    }
}
