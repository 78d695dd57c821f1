//! Copies of one holding: A1, A2, A7, A9, A14.

use super::{DAY, END, History, LAG, T, broken};
use crate::crossing::Crossing;
use raas_core::ids::{ActorId, DealId, ProviderId};
use raas_core::units::AttoFil;
use raas_devnet::ledger::Fact;

fn kept() -> History {
    History::default().copy(T, "p", 1_000, 1).copy(T, "p", 1_002, 2)
}

#[test]
fn a1_one_more_than_asked_for() {
    kept().passes(2);
    kept().proposed(T + DAY, "p", "third", 1_003, true).breaks(2, "A1");
}

#[test]
fn a1_a_place_with_two_orders_under_way() {
    let refused = History::default().proposed(T, "p", "first", 1_000, false);
    let both = refused.proposed(T + 1, "p", "second", 1_002, true);
    both.clone().passes(1).copies.every_place_has_one_order(T + 2).expect("one is under way");
    // Taken after all, although its place has moved on.
    let judge = both.proposed(T + 2, "p", "first", 1_000, true).passes(1);
    broken(judge.copies.every_place_has_one_order(T + 3), "A1");
}

#[test]
fn a1_more_than_two_generations() {
    let mut history = History::default();
    for deal in 1..=3 {
        let proposal = format!("proposal {deal}");
        history = history
            .proposed(T, "p", &proposal, 1_000 + 2 * deal, false)
            .published(T + 10, "p", &proposal, 1_000 + 2 * deal, deal)
            .activated(T + 100, "p", 1_000 + 2 * deal, deal);
    }
    history.clone().passes(1).copies.every_place_has_one_order(T + 200).expect("spares of providers' making");
    for deal in 1..=3 {
        let proposal = format!("proposal {deal}");
        history = history.proposed(T + 150, "p", &proposal, 1_000 + 2 * deal, true);
    }
    broken(history.passes(1).copies.every_place_has_one_order(T + 200), "A1");
}

#[test]
fn a2_one_proposal_is_paid_twice() {
    kept().published(T + DAY, "p", "proposal 1", 1_000, 9).breaks(2, "A2");
}

#[test]
fn a14_two_copies_with_one_operator() {
    let one = History::default().copy(T, "p", 1_000, 1);
    one.clone().copy(T + 5, "p", 1_002, 2).passes(2);
    one.copy(T + 5, "p", 1_001, 2).breaks(2, "A14");
}

/// The copy at f01002 is terminated a day later.
fn lost() -> History {
    kept().terminated(T + DAY, "p", 1_002, 2)
}

fn replaced(history: History) -> History {
    history.proposed(T + DAY + 200, "p", "successor", 1_003, true)
}

#[test]
fn a7_a_loss_needs_both_witnesses_at_one_tipset() {
    let seen = T + DAY + 100;
    replaced(lost().told_dead(seen, 1_002, 2).told_gone(seen, 2)).passes(2);
    replaced(lost()).breaks(2, "A7");
    replaced(lost().told_gone(seen, 2)).breaks(2, "A7");
    replaced(lost().told_dead(seen, 1_002, 2)).breaks(2, "A7");
    replaced(lost().told_dead(seen, 1_002, 2).told_gone(seen + 1, 2)).breaks(2, "A7");
    // Without a sector that it was ever shown, the market's word after the start is all that there is.
    let unseen = |mut history: History| {
        history.crossed.retain(|(_, crossing)| *crossing != Crossing::Active { deal: 2 });
        history
    };
    let after = T + 3 * DAY + 1;
    let late = |history: History| history.proposed(after + 100, "p", "successor", 1_003, true);
    late(unseen(lost().told_gone(after, 2))).passes(2);
    late(lost().told_gone(after, 2)).breaks(2, "A7");
    late(unseen(lost().told_gone(after - 1, 2))).breaks(2, "A7");
    // Witnesses that came after the order.
    let late = T + DAY + 250;
    replaced(lost().told_dead(late, 1_002, 2).told_gone(late, 2)).breaks(2, "A7");
}

#[test]
fn a7_a_lie_is_no_reason() {
    let seen = T + DAY - 100;
    let lied = kept().told_dead(seen, 1_002, 2).told_gone(seen, 2);
    lied.proposed(T + DAY, "p", "successor", 1_003, true).breaks(2, "A1/A7");
}

#[test]
fn a7_a_fault_needs_two_rounds_and_its_time() {
    let fault = T + DAY;
    let faulty = || kept().faulted(fault, 1_002, 2);
    let repaired = |history: History, at| history.proposed(at, "p", "successor", 1_003, true);
    let due = fault + DAY + LAG;
    let (first, second) = (fault + 100, fault + DAY);
    repaired(faulty().told_faulty(first, 1_002, 2).told_faulty(second, 1_002, 2), due).passes(2);
    repaired(faulty().told_faulty(second, 1_002, 2), due).breaks(2, "A7");
    // The later of the two is too early.
    repaired(faulty().told_faulty(first, 1_002, 2).told_faulty(second - 1, 1_002, 2), due).breaks(2, "A7");
    // Rounds of an earlier fault do not count.
    let again = faulty().fact(
        fault + 500,
        Fact::Recovered { provider: ProviderId::new(1_002), sector: raas_core::ids::SectorNumber(2) },
    );
    let again = again.faulted(fault + 1_000, 1_002, 2);
    let again = again.told_faulty(first, 1_002, 2).told_faulty(fault + 1_000 + DAY, 1_002, 2);
    repaired(again, due + 1_000).breaks(2, "A7");
    // One epoch before its time.
    let told = faulty().told_faulty(first, 1_002, 2).told_faulty(second - 1, 1_002, 2);
    repaired(told, due - 1).breaks(2, "A1/A7");
}

/// Seed 103: two copies are suspect, a successor is ordered, one of the two recovers, the other gets its own.
#[test]
fn a1_of_two_suspects_one_recovers() {
    let fault = T + DAY;
    let mut both = kept().faulted(fault, 1_000, 1).faulted(fault, 1_002, 2);
    for (provider, sector) in [(1_000, 1), (1_002, 2)] {
        both = both.told_faulty(fault + 100, provider, sector).told_faulty(fault + DAY, provider, sector);
    }
    let due = fault + DAY + LAG;
    let one = || both.clone().proposed(due, "p", "successor", 1_003, true);
    let recovered = |history: History, provider, sector| {
        let (provider, sector) = (ProviderId::new(provider), raas_core::ids::SectorNumber(sector));
        history.fact(due + 50, Fact::Recovered { provider, sector })
    };
    let second = |history: History| history.proposed(due + 200, "p", "second", 1_004, true);
    second(recovered(one(), 1_000, 1)).passes(2);
    second(recovered(one(), 1_002, 2)).passes(2);
    let again = second(recovered(one(), 1_002, 2));
    again.proposed(due + 201, "p", "third", 1_005, true).breaks(2, "A1/A7");
    second(recovered(recovered(one(), 1_002, 2), 1_000, 1)).breaks(2, "A1/A7");
}

#[test]
fn a9_the_local_copy_goes_too_early() {
    let evicted = |history: History, at| history.cross(at, Crossing::Evicted { piece: "p".to_owned() });
    evicted(kept(), T + DAY).passes(2);
    // Active, but not final yet.
    evicted(kept(), T + 100 + LAG - 1).breaks(2, "A9");
    evicted(kept().faulted(T + DAY, 1_002, 2), T + DAY + LAG + 1).breaks(2, "A9");
    // A successor was ordered, and its provider has nothing yet.
    let third = || kept().copy(T, "p", 1_003, 3).terminated(T + DAY, "p", 1_003, 3);
    let third = || third().told_dead(T + DAY, 1_003, 3).told_gone(T + DAY, 3);
    let ordered = || third().proposed(T + DAY + 200, "p", "successor", 1_004, true);
    evicted(ordered(), T + DAY + 250).breaks(3, "A9");
    let has = Fact::Transferred {
        provider: ProviderId::new(1_004),
        deal_uuid: String::new(),
        proposal_cid: "successor".to_owned(),
    };
    evicted(ordered().fact(T + DAY + 220, has), T + DAY + 250).passes(3);
}

#[test]
fn a9_a_copy_ends_that_could_have_been_renewed() {
    let ended = |history: History| {
        let (deal_id, provider) = (DealId(1), ProviderId::new(1_000));
        history.fact(END, Fact::Ended { deal_id, provider, piece_cid: "p".to_owned() })
    };
    let alone = History::default().copy(T, "p", 1_000, 1);
    // Nobody looked.
    ended(alone.clone()).passes(1);
    let mut watched = alone;
    for round in 0..40 {
        let tipset = END - 15 * DAY + round * 200;
        watched = watched.cross(tipset + LAG, Crossing::Round { tipset, truthful: true });
    }
    ended(watched.clone()).breaks(1, "A9");
    let renewed = watched.proposed_until(END - 10 * DAY, "p", "successor", 1_000, true, END + 180 * DAY);
    ended(renewed).passes(1);
}

#[test]
fn a9_escrow_is_taken_back() {
    let withdrawn = Fact::BalanceWithdrawn { account: ActorId(7), amount: AttoFil(1) };
    kept().fact(T + DAY, withdrawn).breaks(2, "A9");
}
