//! The event cursor: every request once, in order, and a lying answer is noticed.

use proptest::prelude::*;
use raas_core::ids::RequestId;
use raas_core::machine::cursor::{Doubt, Effect, Event, Illegal, State, next};
use raas_core::units::Epoch;

const START: State = State { next_block: Epoch(100), highest_request: 3 };

fn window(from: i64, to: i64, count: u64, ids: &[u64]) -> Event<u64> {
    Event::WindowRead {
        from: Epoch(from),
        to: Epoch(to),
        request_count_at_to: Some(count),
        witnessed: true,
        events: ids.iter().map(|id| (RequestId(*id), *id)).collect(),
    }
}

fn applied(effects: &[Effect<u64>]) -> Vec<u64> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Apply(request, _) => Some(request.0),
            Effect::Reread { .. } => None,
        })
        .collect()
}

#[test]
fn a_complete_window_moves_the_cursor() {
    type Case = (&'static str, Event<u64>, &'static [u64], i64, u64);
    let table: &[Case] = &[
        ("nothing happened", window(100, 109, 3, &[]), &[], 110, 3),
        ("two requests", window(100, 109, 5, &[4, 5]), &[4, 5], 110, 5),
        ("any order, twice", window(100, 109, 5, &[5, 4, 5]), &[4, 5], 110, 5),
        ("an overlapping window", window(90, 109, 4, &[2, 3, 4]), &[4], 110, 4),
        ("a window read before", window(90, 99, 3, &[3]), &[], 100, 3),
        ("one block", window(100, 100, 4, &[4]), &[4], 101, 4),
    ];
    for (name, event, ids, next_block, highest) in table {
        let (state, effects) = next(&START, event).expect("legal");
        assert_eq!(state, State { next_block: Epoch(*next_block), highest_request: *highest }, "{name}");
        assert_eq!(applied(&effects), *ids, "{name}");
    }
}

#[test]
fn a_lying_answer_is_read_again() {
    let table: &[(&str, Event<u64>, Doubt)] = &[
        ("empty logs", window(100, 109, 4, &[]), Doubt::Missing { count: 4, missing: 4 }),
        ("one left out", window(100, 109, 6, &[4, 6]), Doubt::Missing { count: 6, missing: 5 }),
        ("the last left out", window(100, 109, 6, &[4, 5]), Doubt::Missing { count: 6, missing: 6 }),
        ("a count that lags", window(100, 109, 4, &[4, 5]), Doubt::TooMany { count: 4, seen: 5 }),
        ("a count that went back", window(100, 109, 2, &[]), Doubt::TooMany { count: 2, seen: 3 }),
    ];
    for (name, event, doubt) in table {
        let (state, effects) = next(&START, event).expect("legal");
        assert_eq!(state, START, "{name}");
        assert_eq!(effects, [Effect::Reread { from: Epoch(100), to: Epoch(104), why: *doubt }], "{name}");
    }
    let one_block = next(&START, &window(100, 100, 4, &[])).expect("legal").1;
    let why = Doubt::Missing { count: 4, missing: 4 };
    assert_eq!(one_block, [Effect::Reread { from: Epoch(100), to: Epoch(100), why }]);
}

#[test]
fn what_nothing_vouches_for_does_not_move_the_cursor() {
    let Event::WindowRead { from, to, events, .. } = window(100, 109, 4, &[4]);
    let read = |request_count_at_to, witnessed, events: Vec<(RequestId, u64)>| Event::WindowRead {
        from,
        to,
        request_count_at_to,
        witnessed,
        events,
    };
    // The count knows nothing of completions, so it is not enough by itself.
    let (state, effects) = next(&START, &read(Some(4), false, events.clone())).expect("legal");
    assert_eq!(state, START);
    let why = Doubt::Unwitnessed;
    assert_eq!(effects, [Effect::Reread { from, to: Epoch(104), why }]);
    // A contract that does not count is followed by the other witness, and its ids are dense all the same.
    let (state, effects) = next(&START, &read(None, true, events)).expect("legal");
    assert_eq!((state.highest_request, applied(&effects)), (4, vec![4]));
    let hole = next(&START, &read(None, true, vec![(RequestId(5), 5)])).expect("legal").1;
    let why = Doubt::Hole { missing: 4, seen: 5 };
    assert_eq!(hole, [Effect::Reread { from, to: Epoch(104), why }]);
}

#[test]
fn windows_leave_no_gap() {
    let gap = Illegal::Gap { from: Epoch(101), next_block: Epoch(100) };
    assert_eq!(next(&START, &window(101, 109, 3, &[])), Err(gap));
    let empty = Illegal::Empty { from: Epoch(100), to: Epoch(99) };
    assert_eq!(next(&START, &window(100, 99, 3, &[])), Err(empty));
}

proptest! {
    /// Against a true history read through an endpoint that leaves logs out, repeats them, and answers
    /// overlapping windows: every request is applied exactly once, in order.
    #[test]
    fn every_request_exactly_once(
        gaps in proptest::collection::vec(0_i64..6, 0..30),
        reads in proptest::collection::vec((0_i64..8, 1_i64..20, 0_u8..4, any::<u8>()), 1..60),
    ) {
        let mut block = 1;
        let history: Vec<(u64, i64)> = (1_u64..).zip(gaps).map(|(id, gap)| { block += gap; (id, block) }).collect();
        let mut state = State { next_block: Epoch(0), highest_request: 0 };
        let mut seen = Vec::new();
        for (back, length, lie, which) in reads {
            let from = (state.next_block.0 - back).max(0);
            let to = from + length;
            let count = history.iter().filter(|(_, block)| *block <= to).count() as u64;
            let mut ids: Vec<u64> = history.iter().filter(|(_, block)| (from..=to).contains(block)).map(|(id, _)| *id).collect();
            let pick = usize::from(which) % ids.len().max(1);
            match lie {
                0 => ids.clear(),
                1 if !ids.is_empty() => drop(ids.remove(pick)),
                2 => ids.extend(ids.clone()),
                _ => {}
            }
            let (after, effects) = next(&state, &window(from, to, count, &ids)).expect("legal");
            seen.extend(applied(&effects));
            prop_assert!(after == state || effects.iter().all(|effect| matches!(effect, Effect::Apply(..))));
            state = after;
        }
        let expected: Vec<u64> = history.iter().filter(|(_, block)| *block < state.next_block.0).map(|(id, _)| *id).collect();
        prop_assert_eq!(seen, expected);
    }
}
