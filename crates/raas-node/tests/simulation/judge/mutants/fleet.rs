//! Many holdings at once: A8.

use super::{DAY, History, LAG, T};
use crate::crossing::Crossing;

/// `count` pieces with a copy at each of three providers.
fn fleet(count: u64) -> History {
    (0..count).fold(History::default(), |history, n| {
        let piece = format!("p{n}");
        let two = history.copy(T, &piece, 1_000, 100 + n).copy(T, &piece, 1_002, 200 + n);
        two.copy(T, &piece, 1_004, 300 + n)
    })
}

fn lost(count: u64, at: i64) -> History {
    (0..count).fold(fleet(count), |history, n| {
        history
            .terminated(at, &format!("p{n}"), 1_000, 100 + n)
            .told_dead(at + 1, 1_000, 100 + n)
            .told_gone(at + 1, 100 + n)
    })
}

fn repaired(history: History, n: u64, at: i64) -> History {
    history.proposed(at, &format!("p{n}"), &format!("repair {n}"), 1_003, true)
}

#[test]
fn a8_too_many_losses_are_repaired_in_one_window() {
    // A window of 120 epochs begins at multiples of that.
    let begins = T + DAY + 120 - (T + DAY) % 120;
    let lost = || lost(3, T + DAY - 200);
    let two = || repaired(repaired(lost(), 0, begins), 1, begins + 50);
    repaired(two(), 2, begins + 120).passes(3);
    repaired(two(), 2, begins + 119).breaks(3, "A8");
    // It counts when it was signed, not when the provider heard of it.
    let signed = Crossing::Signed { proposal: "repair 2".to_owned(), piece: "p2".to_owned(), cost: 0 };
    repaired(two().cross(begins + 100, signed), 2, begins + 130).breaks(3, "A8");
}

/// All copies at f01000 fail at one time; the node looks at once, and again when they are due.
fn storm(count: u64, fault: i64) -> History {
    let mut history = (0..count).fold(fleet(count), |history, n| history.faulted(fault, 1_000, 100 + n));
    for tipset in [fault + 10, fault + DAY, fault + DAY + 10] {
        history = history.cross(tipset + LAG, Crossing::Round { tipset, truthful: true });
        history = (0..count).fold(history, |history, n| history.told_faulty(tipset, 1_000, 100 + n));
    }
    history
}

#[test]
fn a8_suspects_are_repaired_while_the_breaker_is_open() {
    let fault = T + DAY;
    let opened = fault + 10;
    let due = fault + DAY + LAG;
    // Too few to be a storm.
    repaired(storm(19, fault), 0, due).passes(3);
    repaired(storm(20, fault), 0, due).breaks(3, "A8");
    repaired(storm(20, fault), 0, opened + DAY + LAG - 1).breaks(3, "A8");
    // After a day one in the first hour, two more in the second.
    let released = opened + DAY + LAG;
    let one = || repaired(storm(20, fault), 0, released);
    one().passes(3);
    repaired(one(), 1, released + 1).breaks(3, "A8");
    let three = || repaired(repaired(one(), 1, released + 120), 2, released + 121);
    three().passes(3);
    repaired(three(), 3, released + 122).breaks(3, "A8");
    repaired(three(), 3, released + 240).passes(3);
}

/// Seed 187: the node saw the storm in a round with lies, and its day begins there.
#[test]
fn a8_the_day_may_begin_in_a_round_with_lies() {
    let fault = T + DAY;
    let tipset = fault + 5;
    let earlier = storm(20, fault).cross(tipset + LAG, Crossing::Round { tipset, truthful: false });
    let released = fault + 5 + DAY + LAG;
    repaired(earlier.clone(), 0, released).passes(3);
    repaired(earlier, 0, released - 1).breaks(3, "A8");
}

#[test]
fn a8_the_last_copy_is_repaired_in_any_storm() {
    let fault = T + DAY;
    let due = fault + DAY + LAG;
    let last = storm(20, fault).faulted(fault + 50, 1_002, 200).faulted(fault + 50, 1_004, 300);
    repaired(last, 0, due).passes(3);
}

#[test]
fn a8_a_fleet_is_in_a_storm_when_two_operators_are() {
    let fault = T + DAY;
    let due = fault + DAY + LAG;
    // 12 pieces with copies at two providers that fail, 12 at others: no provider has 20 copies in its sectors.
    let spread = |operators: u64| {
        let mut history = History::default();
        for n in 0..24 {
            let piece = format!("p{n}");
            let first = if n % 2 == 0 { 1_000 } else { 1_004 };
            history = history.copy(T, &piece, first, 100 + n).copy(T, &piece, 1_005 + n % 2, 200 + n);
            history = history.copy(T, &piece, 1_007 + n % 2, 300 + n);
        }
        for n in (0..24).filter(|n| n % 2 < operators) {
            let first = if n % 2 == 0 { 1_000 } else { 1_004 };
            history = history.faulted(fault, first, 100 + n);
            for tipset in [fault + 10, fault + DAY] {
                history = history.told_faulty(tipset, first, 100 + n);
            }
        }
        for tipset in [fault + 10, fault + DAY] {
            history = history.cross(tipset + LAG, Crossing::Round { tipset, truthful: true });
        }
        history
    };
    repaired(spread(1), 0, due).passes(3);
    repaired(spread(2), 0, due).breaks(3, "A8");
}
