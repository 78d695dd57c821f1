//! What holds of every plan, over random worlds.

use crate::model::build::{
    DAY, FAR, NOW, attestation, fleet, holding, holding_with, lost, operator_of, order, proven, providers,
    published, renews, repairs, round, rules, sick, signed, unknown,
};
use crate::model::text::Shown;
use crate::model::world::{Step, World};
use proptest::prelude::*;
use raas_core::admit::{admit, anew};
use raas_core::fleet::{Fleet, Trip};
use raas_core::health::{Health, LossReason, UnknownReason};
use raas_core::holding::Holding;
use raas_core::ids::{DealId, HoldingId, OrderId, ProviderId};
use raas_core::observation::NotSeen;
use raas_core::order::{Cause, Order, OrderState};
use raas_core::plan::{Action, Plan, Wait, WaitFor, Wake, Want, plan};
use raas_core::policy::{Duties, KeepLocal, Replicas};
use raas_core::units::Epoch;
use raas_core::want::want;
use std::collections::{BTreeMap, BTreeSet};

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<u16>().prop_map(|epochs| Step::Advance(epochs % 3_000)),
        1 => Just(Step::Advance(60_000)),
        4 => any::<u8>().prop_map(Step::Deliver),
        2 => any::<u8>().prop_map(Step::Accept),
        1 => any::<u8>().prop_map(Step::Reject),
        5 => any::<u8>().prop_map(Step::Publish),
        5 => any::<u8>().prop_map(Step::Activate),
        2 => any::<u8>().prop_map(Step::Fault),
        1 => any::<u8>().prop_map(Step::Recover),
        1 => any::<u8>().prop_map(Step::Terminate),
        1 => any::<u8>().prop_map(Step::Hide),
        1 => Just(Step::ShowAll),
        1 => any::<bool>().prop_map(Step::ForgetDeals),
        8 => Just(Step::Round),
    ]
}

fn three_holdings() -> Vec<Holding> {
    let mut holdings = vec![holding(1), holding(2), holding(3)];
    holdings[1].attestations = vec![attestation(1, &[])];
    holdings[1].policy.keep_local = KeepLocal::Never;
    holdings[1].pieces[0].piece.retrievable = true;
    holdings[2].policy.replicas.target = 4;
    holdings
}

/// A copy in any state, with `id` from 1 and a provider of its own operator.
fn any_generation(id: u64, kind: u8) -> Order {
    let provider = 1_000 + 10 * id;
    match kind {
        0 => proven(id, provider, FAR),
        1 => proven(id, provider, NOW + 20 * DAY),
        2 => sick(id, provider),
        3 => lost(id, provider),
        4 => published(id, provider),
        5 => unknown(id, provider, FAR),
        6 => order(id, provider, Cause::Replicate, OrderState::RejectedWatched(signed(id, NOW + DAY))),
        7 => order(id, provider, Cause::Replicate, OrderState::Planned),
        8 => order(id, provider, Cause::Replicate, OrderState::Expired),
        9 => order(id, provider, Cause::Replicate, OrderState::Accepted(signed(id, NOW + DAY))),
        _ => order(id, provider, Cause::Replicate, OrderState::Hedged(signed(id, NOW + DAY))),
    }
}

fn any_holding(number: u64) -> impl Strategy<Value = Holding> {
    let slots = proptest::collection::vec((0_u8..11, proptest::option::of((0_u8..11, any::<bool>()))), 0..4);
    let spares = proptest::collection::vec(0_u8..6, 0..3);
    (slots, spares, any::<(bool, bool, bool)>(), any::<bool>(), 0_u32..3).prop_map(
        move |(slots, spares, (replicate, renew, repair), evicts, extra)| {
            let base = number * 100;
            let mut made = Vec::new();
            for (index, (first, second)) in (0_u64..).zip(slots) {
                let first = any_generation(base + 2 * index + 1, first);
                let mut generations = vec![first];
                if let Some((kind, is_repair)) = second {
                    let of = generations[0].id.0;
                    let mut later = any_generation(base + 2 * index + 2, kind);
                    later.cause = if is_repair { repairs(of) } else { renews(of) };
                    if !(generations[0].state.occupies() && later.state.occupies()) {
                        generations.push(later);
                    }
                }
                made.push(generations);
            }
            let mut holding = holding_with(number, made);
            holding.pieces[0].spares =
                (0_u64..).zip(spares).map(|(n, kind)| any_generation(base + 50 + n, kind)).collect();
            let commitment = holding.pieces[0].piece.commitment;
            holding.pieces[0].spares.iter_mut().for_each(|order| order.piece = commitment);
            holding.duties = Duties { replicate, renew, repair };
            holding.policy.replicas.target += extra;
            holding.policy.replicas.max += extra;
            holding.attestations = vec![attestation(number, &[])];
            if evicts {
                holding.policy.keep_local = KeepLocal::UntilProven(2);
                holding.pieces[0].piece.retrievable = true;
            }
            holding
        },
    )
}

/// A holding that wants one copy.
fn one_copy(number: u64) -> Holding {
    let mut holding = holding(number);
    holding.policy.replicas = Replicas { min: 1, target: 1, max: 2 };
    holding.pieces[0].slots.truncate(1);
    holding
}

/// Lets every holding get its copy, and time pass to the window of its renewal.
fn one_copy_each(world: &mut World) {
    for _ in 0..4 {
        world.honest();
        world.step(Step::Round);
    }
    world.height += 1_500_000;
    world.step(Step::Round);
}

#[test]
fn a_renewal_that_was_lost_is_repaired_though_its_repair_was_never_activated() {
    let mut world = World::new(vec![one_copy(1), one_copy(2)], providers(5));
    one_copy_each(&mut world);
    // The first holding's renewal is proven and lost again, like the second's copy.
    for step in [Step::Deliver(0), Step::Publish(0), Step::Activate(0), Step::Round] {
        world.step(step);
    }
    for step in [Step::Terminate(2), Step::Round, Step::Terminate(1), Step::Round] {
        world.step(step);
    }
    // Its repair is published and never activated. The world itself asserts that nothing is renewed twice.
    for step in [Step::Deliver(1), Step::Publish(0), Step::Advance(60_000), Step::Round] {
        world.step(step);
    }
    let lost =
        |order: &&Order| matches!(order.state, OrderState::Lost { reason: LossReason::NeverActivated, .. });
    assert_eq!(world.orders.values().filter(lost).count(), 1);
    let repairs = world.orders.values().filter(|order| matches!(order.cause, Cause::Repair { .. }));
    assert!(repairs.count() > 1, "{:?}", world.orders);
}

#[test]
fn a_copy_and_its_proven_successor_elsewhere_are_not_the_last_copy() {
    let mut world = World::new(vec![one_copy(1)], providers(5));
    one_copy_each(&mut world);
    let [copy, renewal] = [1, 2].map(|id| world.orders[&OrderId(id)].clone());
    for step in [Step::Deliver(0), Step::Accept(0), Step::Advance(1_440)] {
        world.step(step);
    }
    world.observe();
    let hedges = |world: &World| {
        let is_hedge = |action: &&Action| matches!(action, Action::Order { cause: Cause::Hedge { .. }, .. });
        world.plan().actions.iter().filter(is_hedge).count()
    };
    assert_eq!(hedges(&world), 1, "the last copy");
    let mut spare = world.orders[&copy.id].clone();
    spare.id = OrderId(900);
    (spare.provider, spare.operator) = (ProviderId::new(9_999), operator_of(9_999));
    world.holdings[0].pieces[0].spares.push(spare.clone());
    assert_eq!(hedges(&world), 0, "another operator has it too");
    world.holdings[0].pieces[0].spares[0].operator = copy.operator;
    assert_eq!(hedges(&world), 1, "the same operator twice is one copy");
    assert_eq!(renewal.cause, Cause::Renew { of: copy.id });
}

#[test]
fn a_last_copy_is_hedged_and_whatever_comes_late_is_kept_and_used() {
    let mut world = World::new(vec![one_copy(1)], providers(5));
    one_copy_each(&mut world);
    assert_eq!(world.orders_made, 2, "the copy and its renewal");
    world.step(Step::Deliver(0));
    world.step(Step::Accept(0));
    world.step(Step::Advance(1_439));
    world.step(Step::Round);
    assert_eq!(world.hedges, 0);
    world.step(Step::Advance(1));
    world.step(Step::Round);
    assert_eq!((world.hedges, world.orders_made), (1, 3));
    // The silent one comes after all, while its hedge is on its way, which then comes to nothing.
    world.step(Step::Publish(0));
    world.step(Step::Activate(0));
    world.step(Step::Deliver(0));
    world.step(Step::Accept(0));
    world.step(Step::Round);
    let pieces = |world: &World| world.holdings[0].pieces[0].clone();
    assert_eq!(pieces(&world).spares.len(), 1, "adopted beside its hedge");
    world.step(Step::Advance(4 * DAY as u16));
    world.step(Step::Round);
    world.step(Step::Round);
    let after = pieces(&world);
    assert!(after.spares.is_empty(), "it came home");
    assert_eq!(after.slots[0].current().map(|order| order.id.0), Some(2));
    assert_eq!((world.hedges, world.orders_made), (1, 3), "nothing more is bought");
}

fn any_holdings() -> impl Strategy<Value = Shown> {
    (any_holding(1), any_holding(2), any_holding(3)).prop_map(|(a, b, c)| Shown(vec![a, b, c]))
}

/// What an action is about, without the provider that load and price decide.
fn about(action: &Action) -> String {
    match action {
        Action::Order { slots, cause, reason, .. } => format!("order {slots:?} {cause:?} {reason:?}"),
        other => format!("{other:?}"),
    }
}

fn about_all(actions: &[Action]) -> BTreeSet<String> {
    actions.iter().map(about).collect()
}

/// A fleet that is short of everything but money: few providers with little room, a pace, a storm.
fn any_scarce_fleet() -> impl Strategy<Value = Fleet> {
    let backs_off = proptest::option::of(Just(Epoch(NOW + 2_000)));
    let known = proptest::collection::vec((1_u32..4, backs_off), 1..8);
    let trip = proptest::option::of(proptest::option::of(Just(Epoch(NOW - 130))));
    (known, 0_u32..6, trip, 0_u32..3).prop_map(|(known, cap, trip, released_started)| {
        let mut fleet = fleet(providers(known.len() as u64));
        for (provider, (capacity, backs_off_until)) in fleet.providers.iter_mut().zip(known) {
            provider.capacity = capacity;
            provider.backs_off_until = backs_off_until;
        }
        fleet.pace.cap = cap;
        fleet.breaker.fleet = trip.map(|released_at| Trip { since: Epoch(NOW - 200), released_at });
        fleet.released_started = released_started;
        fleet
    })
}

fn wants_of(holdings: &[Holding]) -> BTreeMap<HoldingId, Vec<Want>> {
    let wants = |holding: &Holding| want(holding, &round(NOW), &rules()).0;
    holdings.iter().map(|holding| (holding.id, wants(holding))).collect()
}

#[test]
fn a_fleet_with_more_room_anywhere_holds_less() {
    type Change = fn(&mut Fleet);
    let mut before = fleet(providers(2));
    before.providers[0].backs_off_until = Some(Epoch(NOW + 1));
    before.providers[1].in_flight = 1;
    (before.pace.started, before.released_started) = (1, 1);
    assert!(before.holds_as_much_as(&before));
    let changes: [Change; 10] = [
        |fleet| fleet.providers[0].backs_off_until = None,
        |fleet| fleet.providers[1].in_flight = 0,
        |fleet| fleet.providers[1].capacity += 1,
        |fleet| fleet.providers[1].ask = None,
        |fleet| fleet.providers.truncate(1),
        |fleet| fleet.pace.started = 0,
        |fleet| fleet.pace.cap -= 1,
        |fleet| fleet.pace.next_window = Epoch(NOW),
        |fleet| fleet.released_started = 0,
        |fleet| fleet.breaker.fleet = Some(Trip { since: Epoch(NOW), released_at: None }),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut now = before.clone();
        change(&mut now);
        assert!(!now.holds_as_much_as(&before), "change {number}");
    }
}

proptest! {
    /// What was held back need not compete with what comes later: the same is done, and the same is said of the new.
    #[test]
    fn those_held_back_take_nothing_from_the_new(
        Shown(holdings) in any_holdings(),
        new in (any_holding(4), any_holding(5)),
        shares in any::<bool>(),
        tighter in 0_u32..2,
        fleet in any_scarce_fleet(),
    ) {
        let mut wants = wants_of(&holdings);
        let mut left = fleet;
        let first = admit(wants.values().flatten(), &mut left, &round(NOW));
        for action in &first.actions {
            // What is done touches its holding, which then has to be planned.
            match action {
                Action::Order { slots, .. } => slots.iter().for_each(|slot| drop(wants.remove(&slot.holding))),
                Action::Fill { slot, .. } => drop(wants.remove(&slot.holding)),
                Action::Attest { holding, .. } | Action::Evict { holding, .. } | Action::Cancel { holding, .. } => {
                    wants.remove(holding);
                }
            }
        }
        let mut later = left.clone();
        later.pace.started += tighter;
        later.released_started += tighter;
        later.providers.iter_mut().for_each(|provider| provider.in_flight += tighter);
        prop_assert!(later.holds_as_much_as(&left));
        prop_assert_eq!(admit(wants.values().flatten(), &mut later, &round(NOW)).actions, vec![]);

        let mut new = vec![new.0, new.1];
        if shares {
            new[0] = Holding { id: HoldingId(4), cid: crate::model::build::cid(4), ..holdings[0].clone() };
            // It is the last copy there, which a storm does not hold back.
            new[0].pieces[0].slots.truncate(1);
            new[0].policy.replicas = Replicas { min: 1, target: 1, max: 2 };
        }
        wants.extend(wants_of(&new));
        let full = admit(wants.values().flatten(), &mut left.clone(), &round(NOW));
        let ids: Vec<HoldingId> = new.iter().map(|holding| holding.id).collect();
        let again = admit(anew(&wants, &ids), &mut left.clone(), &round(NOW));
        prop_assert_eq!(&again.actions, &full.actions);
        let told = |plan: &Plan| -> Vec<Wait> {
            plan.waits.iter().filter(|wait| wait.holding.is_some_and(|of| ids.contains(&of))).cloned().collect()
        };
        prop_assert_eq!(told(&again), told(&full));
    }
}

proptest! {
    /// `World::apply` asserts the invariants after every plan.
    #[test]
    fn no_history_makes_a_plan_break_an_invariant(steps in proptest::collection::vec(any_step(), 1..120)) {
        let mut world = World::new(three_holdings(), providers(7));
        for step in steps {
            world.step(step);
        }
    }

    /// The same where every copy is the last one and providers are mostly silent, so that hedges are common.
    #[test]
    fn no_history_of_a_last_copy_makes_a_plan_break_an_invariant(steps in proptest::collection::vec(any_step(), 1..160)) {
        let mut world = World::new(vec![one_copy(1), one_copy(2)], providers(5));
        one_copy_each(&mut world);
        for step in steps {
            world.step(step);
        }
    }

    /// After whatever happened, honest providers and open eyes bring every holding to its target, and then
    /// nothing is left to do.
    #[test]
    fn quiet_times_end_in_an_empty_plan_at_the_target(steps in proptest::collection::vec(any_step(), 1..60)) {
        let mut world = World::new(three_holdings(), providers(9));
        for step in steps {
            world.step(step);
        }
        world.hidden.clear();
        world.forgets = false;
        let mut quiet = 0;
        for _ in 0..60 {
            world.step(Step::Advance(2_000));
            world.honest();
            world.observe();
            let plan = world.plan();
            quiet = if plan.actions.is_empty() { quiet + 1 } else { 0 };
            world.apply(&plan);
            let heal: Vec<u8> = (0..world.deals.len()).map(|_| 0).collect();
            heal.iter().for_each(|n| world.step(Step::Recover(*n)));
            if quiet > 5 {
                break;
            }
        }
        prop_assert!(quiet > 5, "{:?}", world.plan());
        for holding in &world.holdings {
            prop_assert!(holding.pieces[0].proven() >= holding.policy.replicas.target, "{holding:?}");
            prop_assert!(!holding.pieces[0].piece.local || holding.id.0 != 2, "let go when the copies are proven");
        }
    }

    #[test]
    fn the_same_input_gives_the_same_plan(Shown(holdings) in any_holdings(), turn in 0_usize..3) {
        let fleet = fleet(providers(40));
        let first = plan(&holdings, &fleet, &round(NOW), &rules(), None);
        let mut turned = holdings.clone();
        turned.rotate_left(turn);
        let mut other_fleet = fleet;
        other_fleet.providers.reverse();
        prop_assert_eq!(plan(&turned, &other_fleet, &round(NOW), &rules(), None), first);
    }

    /// Each holding planned alone wants what it wants among all.
    #[test]
    fn incremental_and_full_planning_agree(Shown(holdings) in any_holdings()) {
        let fleet = fleet(providers(40));
        let full = plan(&holdings, &fleet, &round(NOW), &rules(), None);
        let mut alone = BTreeSet::new();
        let mut waits = Vec::new();
        for holding in &holdings {
            let one = plan(std::slice::from_ref(holding), &fleet, &round(NOW), &rules(), None);
            alone.extend(about_all(&one.actions));
            waits.extend(one.waits);
        }
        prop_assert_eq!(about_all(&full.actions), alone);
        prop_assert_eq!(full.waits, waits);
    }

    /// A holding that nobody touches and that waits neither for an order nor for sight wants what it wanted, until the
    /// earliest of its waits wakes: wants can be kept in place of planning again.
    #[test]
    fn wants_stand_until_a_wake(Shown(holdings) in any_holding(1).prop_map(|holding| Shown(vec![holding])), later in 1_i64..60 * DAY) {
        let holding = &holdings[0];
        let (wants, waits) = want(holding, &round(NOW), &rules());
        let then = round(NOW + later);
        let sleeps = waits.iter().all(|wait| match (&wait.for_, wait.wake) {
            (WaitFor::OrderUnderWay { .. } | WaitFor::Unknown { .. }, _) => false,
            (WaitFor::Patience { .. }, Wake::OnRound) => false,
            (_, Wake::At(epoch)) => epoch > then.head,
            _ => true,
        });
        if sleeps {
            let kept: Vec<Want> = wants.into_iter().map(|want| Want { due: want.due_in(&then), ..want }).collect();
            prop_assert_eq!(want(holding, &then, &rules()).0, kept);
        }
    }

    /// Losing sight of some replicas takes actions away and adds none. Which of two spares fills a place, and
    /// is shown for it, may change.
    #[test]
    fn not_seen_never_causes_an_action(Shown(holdings) in any_holdings(), hide in proptest::collection::vec(any::<bool>(), 40)) {
        let fleet = fleet(providers(60));
        let seeing = plan(&holdings, &fleet, &round(NOW), &rules(), None);
        let mut blind = holdings.clone();
        let mut hide = hide.into_iter();
        for pieces in blind.iter_mut().flat_map(|holding| &mut holding.pieces) {
            let slots = pieces.slots.iter_mut().flat_map(|slot| &mut slot.generations);
            for order in slots.chain(&mut pieces.spares) {
                if let (OrderState::Active(on_chain) | OrderState::Published(on_chain), Some(true)) = (&mut order.state, hide.next()) {
                    on_chain.health.health = Health::Unknown(UnknownReason::NotSeen(NotSeen::RpcFailed));
                }
            }
        }
        let spare_deals: Vec<DealId> = holdings
            .iter()
            .flat_map(|holding| &holding.pieces[0].spares)
            .filter_map(|spare| spare.state.on_chain().and_then(|on_chain| on_chain.replica.deal()))
            .collect();
        let unseeing = plan(&blind, &fleet, &round(NOW), &rules(), None);
        let essence = |plan: &Plan| -> BTreeSet<String> {
            let shown_spare = |action: &&Action| matches!(action, Action::Attest { deal, .. } if spare_deals.contains(deal));
            plan.actions.iter().filter(|action| !shown_spare(action)).map(|action| match action {
                Action::Fill { slot, .. } => format!("fill {slot:?}"),
                Action::Evict { holding, .. } => format!("evict {holding}"),
                other => about(other),
            }).collect()
        };
        let added: Vec<String> = essence(&unseeing).difference(&essence(&seeing)).cloned().collect();
        prop_assert!(added.is_empty(), "{added:?}");
    }

    /// Planning again right after a plan was carried out finds nothing to do. A fill or a cancellation may
    /// uncover one more thing in its place, once.
    #[test]
    fn a_plan_carried_out_leaves_nothing_to_do(Shown(holdings) in any_holdings()) {
        let mut world = World::new(holdings, providers(60));
        let all: Vec<Order> = world.holdings.iter().flat_map(|holding| holding.pieces[0].orders().cloned()).collect();
        world.orders = all.into_iter().map(|order| (order.id, order)).collect();
        world.start_orders_at(10_000);
        let first = world.plan();
        world.apply(&first);
        let second = world.plan();
        let uncovers = first.actions.iter().any(|action| matches!(action, Action::Fill { .. } | Action::Cancel { .. }));
        if uncovers {
            world.apply(&second);
            let third = world.plan();
            prop_assert_eq!(third.actions, vec![]);
        } else {
            prop_assert_eq!(second.actions, vec![]);
        }
    }
}
