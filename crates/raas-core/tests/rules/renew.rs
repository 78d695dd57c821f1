//! Rule 3.

use crate::model::build::{
    DAY, FAR, LAG, NOW, ended, fleet, holding_with, lost, never_activated, order, policy, proven, providers,
    published, renews, repairs, round, rules, sick, signed, suspect, unknown,
};
use crate::model::text::{plan_lines, wanted};
use proptest::prelude::*;
use raas_core::fleet::Rules;
use raas_core::holding::Holding;
use raas_core::ids::{OrderId, ProviderId};
use raas_core::lead::Leads;
use raas_core::order::{Cause, Order, OrderState};
use raas_core::plan::{Action, Wanted, plan};
use raas_core::policy::Duties;
use raas_core::units::{Epoch, Epochs};
use raas_core::want::{want, window};

/// End of a copy whose window of 30 days opened ten epochs ago.
const SOON: i64 = NOW + LAG + 30 * DAY - 10;

fn first_line(generations: Vec<Order>) -> String {
    wanted(&one(generations), &round(NOW)).remove(0)
}

/// Slot 0 with these generations beside two sound ones.
fn one(generations: Vec<Order>) -> Holding {
    holding_with(1, vec![generations, vec![proven(50, 1_500, FAR)], vec![proven(51, 1_510, FAR)]])
}

#[test]
fn the_window_is_the_longer_of_wish_and_need() {
    let table = [
        // renew_before, start_delay, p95 lead in days -> window
        (30, 3, 4, 30 * DAY),
        (5, 3, 4, 4 * DAY + 2 * (3 * DAY + 900)),
        (30, 20, 4, 4 * DAY + 2 * (20 * DAY + 900)),
        (30, 30, 500, 270 * DAY),
    ];
    for (renew_before, start_delay, lead, expected) in table {
        let mut policy = policy();
        policy.renew_before = Epochs::days(renew_before);
        policy.start_delay = Epochs::days(start_delay);
        let mut rules = rules();
        rules.leads = leads(1_000, lead, 10);
        assert_eq!(window(&policy, &rules, ProviderId::new(1_000)).get(), expected);
    }
}

/// `samples` orders of `provider`, each active after `days`.
fn leads(provider: u64, days: u32, samples: usize) -> Leads {
    Leads::learn(vec![(ProviderId::new(provider), Epochs::days(days)); samples])
}

#[test]
fn a_copy_at_a_slow_provider_is_renewed_earlier() {
    let need = |lead: i64| lead * DAY + 2 * (3 * DAY + 900);
    let table = [
        // what is known of f01000, f01010 -> window of a copy at f01000
        ("nothing", Leads::default(), need(4)),
        ("slow", leads(1_000, 40, 10), need(40)),
        ("too little", leads(1_000, 40, 9), need(4)),
        ("fast", leads(1_000, 1, 10), need(1)),
        ("another is slow", leads(1_010, 40, 10), need(4)),
    ];
    for (name, leads, expected) in table {
        let rules = Rules { leads, ..rules() };
        let due = |left: i64| {
            let mut holding = one(vec![proven(1, 1_000, NOW + LAG + left)]);
            holding.policy.renew_before = Epochs::ZERO;
            let (wants, _) = want(&holding, &round(NOW), &rules);
            wants.iter().any(|want| matches!(&want.what, Wanted::Copy(copy) if copy.cause == renews(1)))
        };
        assert!(due(expected) && !due(expected + 1), "{name}");
    }
}

#[test]
fn the_window_opens_at_its_epoch_by_the_head() {
    let end = NOW + LAG + 30 * DAY;
    assert_eq!(
        first_line(vec![proven(1, 1_000, end)]),
        format!("slot 0: renew 1, 1 ends {end}, window {}, Normal", 30 * DAY)
    );
    let (_, waits) = want(&one(vec![proven(1, 1_000, end + 1)]), &round(NOW), &rules());
    let wait = format!("slot 0 waits: 1 window opens {0} -> head {0}", NOW + LAG + 1);
    assert_eq!(crate::model::text::wait_line(&waits[0]), wait);
}

#[test]
fn a_kept_want_is_due_now_unless_a_term_or_a_fault_says_when() {
    let holding = holding_with(1, vec![vec![proven(1, 1_000, SOON)], vec![sick(2, 1_010)], vec![]]);
    let (wants, _) = want(&holding, &round(NOW), &rules());
    let due = |later| wants.iter().map(|want| want.due_in(&round(later)).0).collect::<Vec<_>>();
    assert_eq!(due(NOW), wants.iter().map(|want| want.due.0).collect::<Vec<_>>());
    assert_eq!(due(NOW + 7), [SOON - 30 * DAY, NOW - DAY, NOW + 7]);
}

#[test]
fn a_generation_is_renewed_at_most_once() {
    let old = || proven(1, 1_000, SOON);
    let renewal = |state| order(2, 1_000, renews(1), state);
    let start = NOW + DAY;
    let renew = format!("slot 0: renew 1, 1 ends {SOON}, window {}, Normal", 30 * DAY);
    let renew = renew.as_str();
    let successor = |mut order: Order, cause| {
        order.cause = cause;
        order
    };
    let opens = FAR - 30 * DAY;
    let settled = format!("slot 0 waits: 2 window opens {opens} -> head {opens}");
    let over = format!("slot 0: renew 2, 2 ends {}, window {}, Normal", NOW - 10, 30 * DAY);
    let table: Vec<(&str, Vec<Order>, &str)> = vec![
        ("never tried", vec![old()], renew),
        ("expired", vec![old(), renewal(OrderState::Expired)], renew),
        ("cancelled", vec![old(), renewal(OrderState::Cancelled)], renew),
        ("rejected", vec![old(), renewal(OrderState::RejectedWatched(signed(2, start)))], renew),
        ("never activated", vec![old(), never_activated(2, 1_000, renews(1))], renew),
        ("successor proven", vec![old(), successor(proven(2, 1_000, FAR), renews(1))], &settled),
        (
            "successor lost",
            vec![old(), successor(lost(2, 1_000), renews(1))],
            "slot 0: repair 2, 2 lost (Terminated), Normal",
        ),
        ("successor over", vec![old(), successor(ended(2, 1_000), renews(1))], &over),
        (
            "repair of the lost successor expired",
            vec![
                old(),
                successor(lost(2, 1_000), renews(1)),
                order(3, 1_020, repairs(2), OrderState::Expired),
            ],
            "slot 0: repair 2, 2 lost (Terminated), Normal",
        ),
    ];
    for (name, generations, expected) in table {
        let lines = wanted(&one(generations), &round(NOW));
        assert!(lines.iter().any(|line| line == expected), "{name}: {lines:?}");
        assert_eq!(lines.iter().filter(|line| line.starts_with("slot 0")).count(), 1, "{name}: {lines:?}");
    }
    for state in [
        OrderState::Planned,
        OrderState::Signed(signed(2, start)),
        OrderState::Delivered(signed(2, start)),
        OrderState::Accepted(signed(2, start)),
    ] {
        let name = state.name();
        let lines = wanted(&one(vec![old(), renewal(state)]), &round(NOW));
        assert!(lines.iter().any(|line| line.starts_with("slot 0 waits: 2 under way")), "{name}: {lines:?}");
    }
}

#[test]
fn not_seen_and_not_asked_renew_nothing() {
    assert!(!first_line(vec![unknown(1, 1_000, SOON)]).contains("renew"));
    let mut not_asked = one(vec![proven(1, 1_000, SOON)]);
    not_asked.duties = Duties { renew: false, ..Duties::ALL };
    assert_eq!(wanted(&not_asked, &round(NOW))[0], "slot 0 waits: not asked -> round");
}

#[test]
fn a_renewal_that_was_lost_is_not_replaced_without_the_duty_to_repair() {
    let lost_renewal = Order { cause: renews(1), ..lost(2, 1_000) };
    let mut holding = one(vec![proven(1, 1_000, SOON), lost_renewal]);
    holding.duties = Duties { repair: false, ..Duties::ALL };
    assert_eq!(slot_0(&holding), "slot 0 waits: not asked -> round");
}

#[test]
fn no_third_generation_is_bought_while_two_may_live() {
    let out_of_sight = || [unknown(1, 1_000, SOON), unknown(3, 1_020, SOON)];
    let mut dying = suspect(2, 1_040, NOW - 100, NOW - 100);
    if let OrderState::Active(on_chain) = &mut dying.state {
        on_chain.term.end = Epoch(SOON);
    }
    for newest in [dying, sick(2, 1_040)] {
        let holding = one(out_of_sight().into_iter().chain([newest]).collect());
        assert_eq!(slot_0(&holding), "slot 0 waits: 2 under way -> round");
    }
}

#[test]
fn a_deal_that_outlives_the_policy_is_not_renewed() {
    let mut holding = one(vec![proven(1, 1_000, SOON)]);
    holding.policy.ends_at = Some(Epoch(SOON));
    let wait = format!("slot 0 waits: policy ends {SOON} -> head {SOON}");
    assert_eq!(wanted(&holding, &round(NOW))[0], wait);
    holding.policy.ends_at = Some(Epoch(SOON + 1));
    assert!(wanted(&holding, &round(NOW))[0].starts_with("slot 0: renew 1"));
}

#[test]
fn a_holding_that_only_renews_renews_late_rather_than_never() {
    let mut late = one(vec![ended(1, 1_000)]);
    late.pieces[0].piece.retrievable = true;
    assert_eq!(wanted(&late, &round(NOW))[0], "slot 0: replicate, empty, Normal");
    late.duties = Duties { replicate: false, renew: true, repair: false };
    assert!(wanted(&late, &round(NOW))[0].starts_with("slot 0: renew 1, 1 ends"));
    late.duties = Duties { replicate: false, renew: false, repair: true };
    assert_eq!(wanted(&late, &round(NOW))[0], "slot 0 waits: not asked -> round");
}

#[test]
fn a_suspect_copy_is_renewed_when_its_window_opens_before_its_patience_ends() {
    let mut dying = suspect(1, 1_000, NOW - 100, NOW - 100);
    if let OrderState::Active(on_chain) = &mut dying.state {
        on_chain.term.end = Epoch(SOON);
    }
    assert!(first_line(vec![dying]).starts_with("slot 0: renew 1"));
}

#[test]
fn the_same_provider_is_preferred_while_healthy_and_another_taken_else() {
    let holdings = [one(vec![proven(1, 1_030, SOON)])];
    let at = |fleet: &raas_core::fleet::Fleet| {
        let plan = plan(&holdings, fleet, &round(NOW), &rules(), None);
        let lines = plan_lines(&plan);
        let Some(Action::Order { provider, .. }) = plan.actions.first() else {
            panic!("no order: {lines:?}")
        };
        provider.number()
    };
    let mut fleet = fleet(providers(6));
    fleet.providers[3].failures = 9;
    assert_eq!(at(&fleet), 1_030, "preferred in spite of its failures");
    fleet.providers[3].healthy = false;
    assert_ne!(at(&fleet), 1_030);
    fleet.providers[3].healthy = true;
    fleet.providers[3].backs_off_until = Some(Epoch(NOW + LAG + 1));
    assert_ne!(at(&fleet), 1_030);
}

fn hedging(accepted: Order) -> Holding {
    let mut holding =
        holding_with(1, vec![vec![proven(1, 1_000, SOON), accepted], vec![lost(3, 1_010)], vec![]]);
    holding.duties = Duties { replicate: false, renew: true, repair: false };
    holding
}

fn silent(signed_at: i64) -> Order {
    let mut order = order(2, 1_000, renews(1), OrderState::Accepted(signed(2, signed_at + 3 * DAY)));
    order.planned_at = Epoch(signed_at - 50);
    order
}

/// What is said of slot 0.
fn slot_0(holding: &Holding) -> String {
    let mut lines = wanted(holding, &round(NOW));
    lines.retain(|line| line.starts_with("slot 0"));
    assert_eq!(lines.len(), 1, "one answer: {lines:?}");
    lines.remove(0)
}

const HEDGE: &str = "slot 0: renew 1 beside 2, 2 for 1 is silent, LastCopy";

#[test]
fn a_silent_renewal_of_a_last_copy_is_hedged_after_twelve_hours() {
    let head = NOW + LAG;
    assert_eq!(slot_0(&hedging(silent(head - 1_440))), HEDGE);
    let next = format!("slot 0 waits: 2 under way -> head {}", head + 1);
    assert_eq!(slot_0(&hedging(silent(head - 1_439))), next, "not before, and it wakes then");
    let start = head - 1_440 + 3 * DAY;
    let waits = format!("slot 0 waits: 2 under way -> head {}", start + 1 + LAG);
    let mut not_last = hedging(silent(head - 1_440));
    not_last.pieces[0].slots[2].generations = vec![proven(4, 1_020, FAR)];
    assert_eq!(slot_0(&not_last), waits, "two proven copies need no hedge");
    let mut unsure = hedging(silent(head - 1_440));
    unsure.pieces[0].slots[2].generations = vec![unknown(4, 1_020, FAR)];
    assert_eq!(slot_0(&unsure), waits, "whether it is the last copy is not known");
    let mut not_asked = hedging(silent(head - 1_440));
    not_asked.duties.renew = false;
    assert_eq!(slot_0(&not_asked), waits);
    let mut signed_only = silent(head - 1_440);
    signed_only.state = OrderState::Delivered(signed(2, start));
    assert_eq!(slot_0(&hedging(signed_only)), waits, "nobody has accepted it");
}

/// The old copy, its silent renewal that was hedged, and the order that hedged it.
fn after_the_hedge(silent: OrderState, hedge: OrderState) -> Holding {
    let cause = Cause::Hedge { of: OrderId(1), silent: OrderId(2) };
    let mut holding = hedging(order(2, 1_000, renews(1), silent));
    holding.pieces[0].slots[0].generations.push(order(5, 1_040, cause, hedge));
    holding
}

#[test]
fn a_renewal_is_hedged_once_and_a_hedge_is_not_hedged() {
    let head = NOW + LAG;
    let soon = || signed(2, head + DAY);
    let hedged = || OrderState::Hedged(soon());
    let under_way = "slot 0 waits: 5 under way";
    let renewal = format!("slot 0: renew 1, 1 ends {SOON}, window {}, LastCopy", 30 * DAY);
    let opens = FAR - 30 * DAY;
    let successor = match proven(5, 1_040, FAR).state {
        OrderState::Active(on_chain) => OrderState::Active(on_chain),
        other => panic!("{other:?}"),
    };
    let table = [
        ("planned", hedged(), OrderState::Planned, under_way),
        ("as silent as the first", hedged(), OrderState::Accepted(signed(5, head + 10)), under_way),
        ("published", hedged(), published(5, 1_040).state, under_way),
        // A hedge that was refused is none: the first one alone is still a last copy's only hope.
        ("rejected", hedged(), OrderState::RejectedWatched(signed(5, head + DAY)), HEDGE),
        ("expired", hedged(), OrderState::Expired, HEDGE),
        ("both expired", OrderState::Expired, OrderState::Expired, renewal.as_str()),
        ("proven", hedged(), successor, &format!("slot 0 waits: 5 window opens {opens} -> head {opens}")),
    ];
    for (name, silent, hedge, expected) in table {
        let mut holding = after_the_hedge(silent, hedge);
        let line = slot_0(&holding);
        assert!(line.starts_with(expected), "{name}: {line}");
        // No longer the last copy: the silent one is waited for, as if there had been no hedge.
        holding.pieces[0].slots[2].generations = vec![proven(4, 1_020, FAR)];
        if expected == HEDGE {
            let line = slot_0(&holding);
            assert!(line.starts_with("slot 0 waits: 2 under way"), "{name}: {line}");
        }
    }
}

#[test]
fn a_successor_that_came_late_is_used_before_another_is_bought() {
    let with_spare = |spare: Order| {
        let hedge = Cause::Hedge { of: OrderId(1), silent: OrderId(2) };
        let mut holding = one(vec![proven(1, 1_000, SOON), order(5, 1_040, hedge, OrderState::Expired)]);
        holding.pieces[0].spares = vec![Order { cause: renews(1), ..spare }];
        holding
    };
    assert_eq!(slot_0(&with_spare(proven(2, 1_050, FAR))), "slot 0: fill with 2, spare 2 fits, Normal");
    assert_eq!(slot_0(&with_spare(published(2, 1_050))), "slot 0: fill with 2, spare 2 fits, Normal");
    let unseen = slot_0(&with_spare(unknown(2, 1_050, FAR)));
    assert_eq!(unseen, "slot 0 waits: 2 unknown -> round");
    let mut elsewhere = with_spare(published(2, 1_050));
    elsewhere.pieces[0].slots[1].generations = vec![published(6, 1_050)];
    assert!(slot_0(&elsewhere).starts_with("slot 0: renew 1"), "its operator holds another place");
    let mut of_another = with_spare(published(2, 1_050));
    of_another.pieces[0].spares[0].cause = renews(9);
    assert!(slot_0(&of_another).starts_with("slot 0: renew 1"), "{}", slot_0(&of_another));
    let mut repaired = with_spare(published(2, 1_050));
    repaired.pieces[0].slots[0].generations = vec![sick(1, 1_000)];
    repaired.pieces[0].spares[0].cause = repairs(1);
    assert!(slot_0(&repaired).starts_with("slot 0: fill with 2"), "{}", slot_0(&repaired));
}

#[test]
fn a_late_successor_that_goes_to_an_empty_place_is_not_counted_on_twice() {
    let with_spares = |spares: Vec<Order>| {
        let mut holding = holding_with(1, vec![vec![proven(1, 1_000, SOON)], vec![proven(50, 1_500, FAR)]]);
        holding.pieces[0].spares = spares;
        holding
    };
    let late = |spare: Order| Order { cause: renews(1), ..spare };
    let said = |holding: &Holding, place: &str| {
        wanted(holding, &round(NOW)).into_iter().find(|line| line.starts_with(place)).unwrap_or_default()
    };
    let needed = with_spares(vec![late(proven(2, 1_050, FAR))]);
    assert!(said(&needed, "slot 2").starts_with("slot 2: fill with 2"));
    assert!(said(&needed, "slot 0").starts_with("slot 0: renew 1"));
    let unseen = with_spares(vec![late(unknown(2, 1_050, FAR))]);
    assert_eq!(said(&unseen, "slot 2"), "slot 2 waits: 2 unknown -> round");
    assert!(said(&unseen, "slot 0").starts_with("slot 0: renew 1"));
    // Another spare takes the empty place, so the late one comes home.
    let both = with_spares(vec![late(published(2, 1_050)), proven(7, 1_070, FAR)]);
    assert!(said(&both, "slot 2").starts_with("slot 2: fill with 7"));
    assert!(said(&both, "slot 0").starts_with("slot 0: fill with 2"));
    let one_unseen = with_spares(vec![late(unknown(2, 1_050, FAR)), unknown(7, 1_070, FAR + 1)]);
    assert_eq!(said(&one_unseen, "slot 2"), "slot 2 waits: 7 unknown -> round");
    assert_eq!(said(&one_unseen, "slot 0"), "slot 0 waits: 2 unknown -> round");
}

#[test]
fn only_the_renewal_of_a_copy_that_is_still_wanted_is_hedged() {
    let head = NOW + LAG;
    let under_way = format!("slot 0 waits: 2 under way -> head {}", head - 1_440 + 3 * DAY + 1 + LAG);
    let mut gone = hedging(silent(head - 1_440));
    gone.pieces[0].slots[0].generations[0] = lost(1, 1_000);
    assert_eq!(slot_0(&gone), under_way, "what it renews is lost");
    // The place is one more than the policy asks for since its target was lowered.
    let mut beyond = hedging(silent(head - 1_440));
    beyond.pieces[0].slots[0].index = 3;
    let lines = wanted(&beyond, &round(NOW));
    assert!(lines.contains(&under_way.replace("slot 0", "slot 3")), "{lines:?}");
    // An older copy of the same place is not what is renewed.
    let mut older = hedging(silent(head - 1_440));
    older.pieces[0].slots[0].generations.insert(0, sick(9, 1_090));
    assert_eq!(slot_0(&older), HEDGE);
}

#[test]
fn a_hedge_goes_to_another_operator() {
    let (wants, _) = want(&hedging(silent(NOW + LAG - 1_440)), &round(NOW), &rules());
    let Some(Wanted::Copy(copy)) =
        wants.iter().map(|want| &want.what).find(|what| matches!(what, Wanted::Copy(_)))
    else {
        panic!("a copy")
    };
    assert!(copy.operators_in_use.contains(&crate::model::build::operator_of(1_000)), "the silent one's");
    assert_eq!(copy.prefer, None);
}

proptest! {
    #[test]
    fn renewed_exactly_when_the_window_is_open(left in 0_i64..80 * DAY, before in 0_u32..60, delay in 1_u32..20) {
        let mut holding = one(vec![proven(1, 1_000, NOW + LAG + left)]);
        holding.policy.renew_before = Epochs::days(before);
        holding.policy.start_delay = Epochs::days(delay);
        let (wants, waits) = want(&holding, &round(NOW), &rules());
        let due = left <= (i64::from(before) * DAY).max(4 * DAY + 2 * (i64::from(delay) * DAY + 900));
        let renewals = wants.iter().filter(|want| matches!(&want.what, Wanted::Copy(copy) if copy.cause == renews(1))).count();
        prop_assert_eq!(renewals, usize::from(due));
        // Waking exactly then finds it due.
        if !due {
            let wake = waits.iter().find(|wait| wait.slot.is_some_and(|slot| slot.index == 0)).map(|wait| wait.wake);
            let Some(raas_core::plan::Wake::At(epoch)) = wake else { panic!("an epoch, got {wake:?}") };
            let (early, _) = want(&holding, &round(epoch.0 - LAG - 1), &rules());
            let (then, _) = want(&holding, &round(epoch.0 - LAG), &rules());
            let renews_at = |wants: &[raas_core::plan::Want]| wants.iter().any(|want| matches!(&want.what, Wanted::Copy(copy) if copy.slot.index == 0));
            prop_assert!(!renews_at(&early) && renews_at(&then));
        }
    }
}

#[test]
fn the_cause_of_a_first_copy_is_never_a_renewal() {
    assert_eq!(
        first_line(vec![order(1, 1_000, Cause::Replicate, OrderState::Expired)]),
        "slot 0: replicate, empty, Normal"
    );
}
