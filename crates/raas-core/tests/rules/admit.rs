//! What of all wants starts: order, groups, money, capacity, pace, storms.

use crate::model::build::{
    DAY, FAR, LAG, NOW, attestation, commitment, fleet, holding, holding_with, lost, order, proven, provider,
    providers, published, renews, repairs, round, rules, sick, signed, suspect,
};
use crate::model::text::{plan_lines, wait_line};
use proptest::prelude::*;
use raas_core::fleet::{Breaker, Fleet, Money, Pace, Trip};
use raas_core::holding::{Holding, PieceSlots, Slot};
use raas_core::ids::{ContractAddress, HoldingId, OrderId, ProviderId};
use raas_core::order::{Cause, Order, OrderState, Within};
use raas_core::plan::{Action, Plan, Priority, WaitFor, Wake, plan};
use raas_core::units::{AttoFil, Epoch, Epochs, PaddedSize};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

fn planned(holdings: &[Holding], fleet: &Fleet) -> Plan {
    plan(holdings, fleet, &round(NOW), &rules(), None)
}

fn orders(plan: &Plan) -> Vec<&Action> {
    plan.actions.iter().filter(|action| matches!(action, Action::Order { .. })).collect()
}

/// Price of one copy of 1 MiB at 10 attoFIL per GiB and epoch for 540 days.
const COST: u128 = 540 * DAY as u128;

/// A holding of one place.
fn single(number: u64, generations: Vec<Order>) -> Holding {
    let mut holding = holding_with(number, vec![generations]);
    holding.pieces[0].slots.truncate(1);
    holding.policy.replicas = raas_core::policy::Replicas { min: 1, target: 1, max: 2 };
    holding
}

/// `count` holdings whose place 0 shares `order`, beside `sound` proven copies of their own.
fn sharing(count: u64, order: &Order, sound: u64) -> Vec<Holding> {
    (1..=count)
        .map(|number| {
            let mut slots = vec![vec![order.clone()]];
            slots.extend((0..sound).map(|n| vec![proven(10_000 + number * 10 + n, 5_000 + 10 * n, FAR)]));
            let mut holding = holding_with(number, slots);
            holding.pieces[0].slots[0].generations = vec![order.clone()];
            holding
        })
        .collect()
}

#[test]
fn wants_are_served_in_one_total_order() {
    // Due earlier, proven fewer and more urgent come first, in this order of weight: priority, due, proven.
    let last_copy =
        holding_with(1, vec![vec![proven(1, 1_000, FAR)], vec![lost(2, 1_010)], vec![published(3, 1_020)]]);
    let below_min = {
        let mut holding = holding_with(
            2,
            vec![vec![proven(4, 1_000, FAR)], vec![proven(5, 1_010, FAR)], vec![lost(6, 1_020)]],
        );
        holding.policy.replicas.min = 3;
        holding
    };
    let renewal = holding_with(
        3,
        vec![
            vec![proven(7, 1_000, NOW + LAG + 20 * DAY)],
            vec![proven(8, 1_010, FAR)],
            vec![proven(9, 1_020, FAR)],
        ],
    );
    let first_copy = single(4, vec![]);
    let holdings = [first_copy, renewal, below_min, last_copy];
    let plan = planned(&holdings, &fleet(providers(8)));
    let served: Vec<(u64, Priority)> = plan
        .actions
        .iter()
        .map(|action| match action {
            Action::Order { slots, priority, .. } => (slots[0].holding.0, *priority),
            other => panic!("an order, got {other:?}"),
        })
        .collect();
    assert_eq!(
        served,
        [(1, Priority::LastCopy), (2, Priority::BelowMin), (3, Priority::Normal), (4, Priority::Normal)]
    );
}

#[test]
fn a_lost_order_shared_by_a_thousand_slots_is_one_action() {
    let holdings = sharing(1_000, &lost(7, 1_000), 2);
    let plan = planned(&holdings, &fleet(providers(6)));
    let [Action::Order { slots, cause, provider, .. }] = orders(&plan)[..] else {
        panic!("one order, got {}", plan.actions.len())
    };
    assert_eq!(slots.len(), 1_000);
    assert_eq!(*cause, repairs(7));
    assert_ne!(*provider, ProviderId::new(1_000), "elsewhere");
    let distinct: BTreeSet<HoldingId> = slots.iter().map(|slot| slot.holding).collect();
    assert_eq!(distinct.len(), 1_000);
}

#[test]
fn a_group_is_bought_under_the_strictest_of_its_limits() {
    let mut holdings = sharing(3, &sick(7, 1_000), 2);
    holdings[0].policy.placement.price_max = AttoFil(10);
    holdings[1].policy.duration = Epochs::days(600);
    holdings[1].policy.start_delay = Epochs::days(2);
    holdings[2].policy.placement.deny = vec![ProviderId::new(1_010)];
    // Place 1 of the third is gone; it is not part of the group.
    holdings[2].pieces[0].slots[1].generations = vec![published(90, 1_020)];
    let mut fleet = fleet(providers(5));
    fleet.providers[4].ask.as_mut().expect("an ask").price = AttoFil(11);
    // Whoever is left is the last that would be taken by itself.
    fleet.providers[3].failures = 1;
    let plan = planned(&holdings, &fleet);
    let [Action::Order { slots, provider, duration, start_delay, priority, .. }] = orders(&plan)[..] else {
        panic!("one order: {:?}", plan_lines(&plan))
    };
    assert_eq!(slots.len(), 3);
    assert_eq!(provider.number(), 1_030, "1000 failed, 1010 denied, 1020 in use, 1040 too dear");
    assert_eq!((*duration, *start_delay), (Epochs::days(600), Epochs::days(2)));
    assert_eq!(*priority, Priority::LastCopy, "the most urgent of the three");
}

#[test]
fn a_group_is_bought_in_an_aggregate_when_one_of_it_must_be() {
    let mut holdings = sharing(3, &sick(7, 1_000), 2);
    let around = Within { aggregate: commitment(77), size: PaddedSize::new(1 << 33).expect("a size") };
    holdings[1].pieces[0].piece.within = Some(around);
    let mut fleet = fleet(providers(5));
    for provider in &mut fleet.providers {
        provider.ask.as_mut().expect("an ask").price = AttoFil(3);
    }
    let plan = planned(&holdings, &fleet);
    let [Action::Order { slots, within, price_per_epoch, .. }] = orders(&plan)[..] else {
        panic!("one order: {:?}", plan_lines(&plan))
    };
    assert_eq!((slots.len(), *within), (3, Some(around)));
    assert_eq!(*price_per_epoch, AttoFil(24), "eight GiB, whatever is in them");
}

#[test]
fn a_shared_renewal_goes_to_the_provider_all_of_them_prefer() {
    let mut fleet = fleet(providers(6));
    fleet.providers[3].failures = 9;
    let plan = planned(&sharing(3, &proven(7, 1_030, NOW + LAG + 20 * DAY), 2), &fleet);
    let [Action::Order { slots, cause, provider, .. }] = orders(&plan)[..] else {
        panic!("one order: {:?}", plan_lines(&plan))
    };
    assert_eq!((slots.len(), *cause, provider.number()), (3, renews(7), 1_030));
}

#[test]
fn requests_of_two_contracts_are_shown_in_one_order_however_they_are_listed() {
    let mut holding = single(1, vec![proven(1, 1_000, FAR)]);
    let mut other = attestation(7, &[]);
    other.at.contract = ContractAddress([0xc1; 20]);
    holding.attestations = vec![attestation(7, &[]), other];
    let fleet = fleet(providers(3));
    let first = planned(std::slice::from_ref(&holding), &fleet);
    assert_eq!(first.actions.len(), 2);
    holding.attestations.reverse();
    assert_eq!(planned(&[holding], &fleet).actions, first.actions);
}

#[test]
fn renewals_that_are_silent_apart_are_hedged_apart() {
    // Two holdings share copy 1, and each has an accepted renewal of its own.
    let holdings = [2, 3].map(|number| {
        let accepted = OrderState::Accepted(signed(number, NOW + LAG + DAY));
        let silent = order(number, 1_000 + 10 * number, renews(1), accepted);
        let mut holding = single(number, vec![]);
        holding.pieces[0].slots[0].generations = vec![proven(1, 1_000, NOW + LAG + 20 * DAY), silent];
        holding
    });
    let plan = planned(&holdings, &fleet(providers(6)));
    let bought: Vec<(u64, Cause)> = orders(&plan)
        .iter()
        .flat_map(|action| match action {
            Action::Order { slots, cause, .. } => slots.iter().map(|slot| (slot.holding.0, *cause)).collect(),
            _ => vec![],
        })
        .collect();
    let hedge = |silent| Cause::Hedge { of: OrderId(1), silent: OrderId(silent) };
    assert_eq!(bought, [(2, hedge(2)), (3, hedge(3))]);
}

#[test]
fn an_owner_with_impossible_limits_does_not_keep_the_others_waiting() {
    let mut holdings = sharing(10, &lost(7, 1_000), 2);
    holdings[0].policy.placement.price_max = AttoFil(1);
    holdings[4].policy.placement.allow = vec![ProviderId::new(1_010)];
    holdings[5].policy.placement.allow = vec![ProviderId::new(1_020)];
    let plan = planned(&holdings, &fleet(providers(4)));
    let mut served: Vec<usize> = orders(&plan)
        .iter()
        .map(|action| match action {
            Action::Order { slots, .. } => slots.len(),
            _ => 0,
        })
        .collect();
    served.sort_unstable();
    assert_eq!(served, [1, 8], "{:?}", plan_lines(&plan));
    let waiting: Vec<_> =
        plan.waits.iter().filter(|wait| matches!(wait.for_, WaitFor::Provider { .. })).collect();
    let [wait] = waiting[..] else { panic!("one waits: {waiting:?}") };
    assert_eq!(wait.holding, Some(HoldingId(1)));
}

#[test]
fn the_places_of_one_holding_go_to_distinct_operators() {
    let plan = planned(&[holding(1)], &fleet(vec![provider(1_000), provider(1_001), provider(1_010)]));
    assert_eq!(orders(&plan).len(), 2, "1000 and 1001 are one operator's");
    let [wait] = &plan.waits[..] else { panic!("one wait") };
    let WaitFor::Provider { rejected } = &wait.for_ else { panic!("for a provider: {}", wait_line(wait)) };
    assert_eq!(rejected.len(), 3);
    assert_eq!(wait.wake, Wake::OnProvider);
}

#[test]
fn a_wait_for_a_provider_wakes_when_one_comes_back() {
    let mut fleet = fleet(providers(2));
    fleet.providers[0].backs_off_until = Some(Epoch(NOW + LAG + 50));
    fleet.providers[1].backs_off_until = Some(Epoch(NOW + LAG + 40));
    let plan = planned(&[single(1, vec![])], &fleet);
    assert_eq!(plan.waits[0].wake, Wake::At(Epoch(NOW + LAG + 40)));
    assert_eq!(plan.next_wake(), Some(Epoch(NOW + LAG + 40)));
}

#[test]
fn money_for_two_of_three_copies_makes_two_and_a_clear_wait() {
    let mut fleet = fleet(providers(3));
    fleet.money = Money { available: AttoFil(2 * COST + 1), ..Money::default() };
    let plan = planned(&[holding(1)], &fleet);
    assert_eq!(orders(&plan).len(), 2);
    assert_eq!(
        plan.waits.iter().map(wait_line).collect::<Vec<_>>(),
        [format!("slot 2 waits: money: {COST} needed, 1 there -> money")]
    );
    fleet.money = Money { available: AttoFil(3 * COST), ..Money::default() };
    assert_eq!(orders(&planned(&[holding(1)], &fleet)).len(), 3);
}

#[test]
fn capacity_counts_what_this_plan_puts_on_its_way() {
    let mut fleet = fleet(providers(1));
    fleet.providers[0].capacity = 3;
    fleet.providers[0].in_flight = 1;
    let holdings: Vec<Holding> = (1..=5).map(|number| single(number, vec![])).collect();
    let plan = planned(&holdings, &fleet);
    assert_eq!(orders(&plan).len(), 2);
    assert_eq!(plan.waits.len(), 3);
}

#[test]
fn an_order_shared_by_many_is_cancelled_once() {
    let mut holdings = sharing(4, &proven(7, 1_000, FAR), 2);
    for holding in &mut holdings {
        holding.pieces[0].slots[0].generations.push(order(8, 1_010, repairs(7), OrderState::Planned));
    }
    let plan = planned(&holdings, &fleet(providers(4)));
    assert_eq!(plan_lines(&plan)[0], "cancel 8");
    assert_eq!(plan.actions.len(), 1);
}

fn paced(cap: u32, started: u32) -> Fleet {
    let mut fleet = fleet(providers(6));
    fleet.pace = Pace { started, cap, next_window: Epoch(NOW + LAG + 120) };
    fleet
}

#[test]
fn losses_are_paced_and_the_fewest_proven_go_first() {
    let one_left = |number| {
        holding_with(
            number,
            vec![
                vec![lost(number * 10, 1_000)],
                vec![lost(number * 10 + 1, 1_010)],
                vec![proven(number * 10 + 2, 1_020, FAR)],
            ],
        )
    };
    let none_left = |number| {
        holding_with(
            number,
            vec![
                vec![lost(number * 10, 1_000)],
                vec![lost(number * 10 + 1, 1_010)],
                vec![lost(number * 10 + 2, 1_020)],
            ],
        )
    };
    let holdings = [one_left(1), none_left(2), single(3, vec![])];
    let plan = planned(&holdings, &paced(5, 1));
    let served: Vec<u64> = orders(&plan)
        .iter()
        .map(|action| match action {
            Action::Order { slots, .. } => slots[0].holding.0,
            _ => 0,
        })
        .collect();
    assert_eq!(served, [2, 2, 2, 1, 3], "four losses under the cap, first copies besides");
    let waits: Vec<String> = plan.waits.iter().map(wait_line).filter(|line| line.contains("pace")).collect();
    assert_eq!(waits, [format!("slot 1 waits: pace 5 of 5 -> head {}", NOW + LAG + 120)]);
}

#[test]
fn a_repair_that_came_to_nothing_is_paced_when_it_is_tried_again() {
    let again = || [single(1, vec![order(9, 1_010, repairs(2), OrderState::Expired)])];
    assert_eq!(orders(&planned(&again(), &paced(3, 2))).len(), 1);
    let held = planned(&again(), &paced(3, 3));
    assert_eq!(plan_lines(&held), [format!("slot 0 waits: pace 3 of 3 -> head {}", NOW + LAG + 120)]);
}

/// 300 holdings with a place at provider 1000, all of it suspect for two days.
fn storm() -> (Vec<Holding>, Fleet) {
    let holdings = (1..=300)
        .map(|number| {
            let id = number * 10;
            let mut slots = vec![
                vec![sick(id, 1_000)],
                vec![proven(id + 1, 1_010, FAR)],
                vec![proven(id + 2, 1_020, FAR)],
            ];
            if number <= 4 {
                slots[1] = vec![suspect(id + 1, 1_010, NOW - 5, NOW - 5)];
            }
            holding_with(number, slots)
        })
        .collect();
    (holdings, fleet(providers(8)))
}

fn opened(released_at: Option<i64>) -> Breaker {
    let trip = Trip { since: Epoch(NOW - DAY), released_at: released_at.map(Epoch) };
    Breaker { providers: [(ProviderId::new(1_000), trip)].into(), fleet: None }
}

#[test]
fn an_open_breaker_lets_only_last_copies_through_and_a_released_one_doubles() {
    let (holdings, mut fleet) = storm();
    assert_eq!(orders(&planned(&holdings, &fleet)).len(), 300, "no breaker");
    fleet.breaker = opened(None);
    let plan = planned(&holdings, &fleet);
    assert_eq!(orders(&plan).len(), 4);
    let held = plan.waits.iter().filter(|wait| matches!(wait.for_, WaitFor::Breaker { .. })).count();
    assert_eq!(held, 296);
    for (hours, started, expected) in [(0, 0, 1), (0, 1, 0), (3, 0, 8), (3, 5, 3), (20, 0, 296)] {
        fleet.breaker = opened(Some(NOW - 120 * hours));
        fleet.released_started = started;
        let plan = planned(&holdings, &fleet);
        assert_eq!(orders(&plan).len(), 4 + expected, "{hours} h after the release, {started} started");
    }
}

#[test]
fn losses_do_not_wait_for_the_breaker() {
    let (mut holdings, mut fleet) = storm();
    fleet.breaker = opened(None);
    for (number, holding) in (1..).zip(&mut holdings) {
        holding.pieces[0].slots[0].generations = vec![lost(number * 10, 1_000)];
    }
    assert_eq!(orders(&planned(&holdings, &fleet)).len(), 300);
}

#[test]
fn a_hundred_thousand_dead_replicas_are_paced_and_all_done_in_the_end() {
    const CAP: u32 = 30_000;
    let mut holdings: Vec<Holding> =
        (1..=100_000).map(|number| single(number, vec![lost(number, 1_000)])).collect();
    let mut windows = 0;
    let mut next_order = 1_000_000;
    loop {
        let started = Instant::now();
        let plan = planned(&holdings, &paced(CAP, 0));
        // Debug builds take about a second; a quadratic planner would take hours.
        assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
        let count = orders(&plan).len();
        assert!(count <= CAP as usize, "{count} in one window");
        if count == 0 {
            break;
        }
        windows += 1;
        for action in &plan.actions {
            let Action::Order { slots, cause, provider, .. } = action else { continue };
            for slot in slots {
                let at = usize::try_from(slot.holding.0 - 1).expect("small");
                let place: &mut Slot = &mut holdings[at].pieces[0].slots[0];
                assert!(place.is_empty(), "ordered twice");
                place.generations.push(order(next_order, provider.number(), *cause, OrderState::Planned));
                next_order += 1;
            }
        }
    }
    assert_eq!(windows, 4);
    assert!(holdings.iter().all(|holding| holding.pieces[0].slots[0].occupying().is_some()));
}

fn total_cost(plan: &Plan) -> u128 {
    plan.actions
        .iter()
        .map(|action| match action {
            Action::Order { price_per_epoch, duration, .. } => {
                price_per_epoch.0 * duration.get().unsigned_abs() as u128
            }
            _ => 0,
        })
        .sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_limit_is_ever_exceeded(
        kinds in proptest::collection::vec((0_u8..4, 20_u32..32), 1..30),
        money in 0_u128..200, capacity in 0_u32..8, cap in 0_u32..8, hours in proptest::option::of(0_i64..5),
    ) {
        let holdings: Vec<Holding> = (1_u64..).zip(&kinds).map(|(number, (kind, bits))| {
            let id = number * 10;
            let first = match kind {
                0 => vec![],
                1 => vec![lost(id, 1_000)],
                2 => vec![sick(id, 1_000)],
                _ => vec![proven(id, 1_000, NOW + LAG + DAY)],
            };
            let mut holding = holding_with(number, vec![first, vec![proven(id + 1, 5_000, FAR)], vec![proven(id + 2, 5_010, FAR)]]);
            for order in holding.pieces[0].slots.iter_mut().flat_map(|slot| &mut slot.generations) {
                order.size = PaddedSize::new(1 << bits).expect("a size");
            }
            holding.pieces[0].piece.size = PaddedSize::new(1 << bits).expect("a size");
            holding
        }).collect();
        let mut fleet = paced(cap, 0);
        fleet.money = Money { available: AttoFil(money * COST), ..Money::default() };
        fleet.providers.iter_mut().for_each(|provider| provider.capacity = capacity);
        fleet.breaker = opened(hours.map(|hours| NOW - 120 * hours));
        let plan = planned(&holdings, &fleet);
        prop_assert!(total_cost(&plan) <= money * COST);
        let mut at: std::collections::BTreeMap<ProviderId, u32> = std::collections::BTreeMap::new();
        let (mut losses, mut suspects) = (0, 0);
        for action in orders(&plan) {
            let Action::Order { provider, reason, .. } = action else { continue };
            *at.entry(*provider).or_default() += 1;
            losses += u32::from(matches!(reason, raas_core::plan::Reason::Lost { .. }));
            suspects += u32::from(matches!(reason, raas_core::plan::Reason::Suspect { .. }));
        }
        prop_assert!(at.values().all(|count| *count <= capacity));
        prop_assert!(losses <= cap);
        prop_assert!(suspects <= hours.map_or(0, |hours| 1 << hours));
        // Everything wanted is either done or waits with a reason.
        let wanting = kinds.len();
        let answered: BTreeSet<_> = plan.waits.iter().filter_map(|wait| wait.slot).filter(|slot| slot.index == 0).map(|slot| slot.holding).collect();
        prop_assert_eq!(answered.len() + orders(&plan).len(), wanting);
    }

    #[test]
    fn a_shared_order_is_one_action_however_many_slots(count in 1_u64..60, suspect_not_lost: bool) {
        let shared = if suspect_not_lost { sick(7, 1_000) } else { lost(7, 1_000) };
        let plan = planned(&sharing(count, &shared, 2), &fleet(providers(6)));
        let orders = orders(&plan);
        prop_assert_eq!(orders.len(), 1);
        let Action::Order { slots, .. } = orders[0] else { panic!("an order") };
        prop_assert_eq!(slots.len() as u64, count);
    }
}

#[test]
fn pieces_of_one_holding_are_bought_each() {
    let mut split = holding(1);
    let second = PieceSlots {
        piece: raas_core::holding::Piece { commitment: commitment(2), ..split.pieces[0].piece },
        slots: split.pieces[0].slots.clone(),
        spares: vec![],
    };
    split.pieces.push(second);
    let plan = planned(&[split], &fleet(providers(3)));
    assert_eq!(orders(&plan).len(), 6);
    assert!(
        orders(&plan).iter().all(|action| matches!(action, Action::Order { cause: Cause::Replicate, .. }))
    );
}
