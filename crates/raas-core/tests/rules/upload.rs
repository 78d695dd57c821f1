//! The upload machine: registered whole or not at all.

use proptest::prelude::*;
use raas_core::machine::upload::{Effect, Event, Refusal, State, next};

fn all_events() -> [Event; 7] {
    [
        Event::Bytes(5),
        Event::End,
        Event::Truncated,
        Event::CidMismatch,
        Event::DiskFull,
        Event::Packed,
        Event::JobStored,
    ]
}

#[test]
fn the_whole_table() {
    let states = [
        State::Receiving { bytes: 9 },
        State::Received { bytes: 9 },
        State::Packed { bytes: 9 },
        State::Registered { bytes: 9 },
        State::Refused { reason: Refusal::DiskFull },
    ];
    let table = states.iter().map(|state| {
        let after = all_events().map(|event| next(state, event).map_or("-", |(state, _)| state.name()));
        format!("{}: {}", state.name(), after.join(" "))
    });
    let expected = [
        // bytes end truncated cid-mismatch disk-full packed job-stored
        "receiving: receiving received refused refused refused - -",
        "received: - - - refused refused packed -",
        "packed: - - - - - packed registered",
        "registered: - - - - - - registered",
        "refused: - - - - - - -",
    ];
    assert_eq!(table.collect::<Vec<_>>(), expected);
}

#[test]
fn effects_and_errors() {
    let (state, effects) = next(&State::START, Event::End).expect("legal");
    assert_eq!((state, effects), (State::Refused { reason: Refusal::Empty }, vec![Effect::DeleteBytes]));
    let (received, effects) = next(&State::Receiving { bytes: 2 }, Event::End).expect("legal");
    assert_eq!(effects, [Effect::Pack]);
    let (packed, effects) = next(&received, Event::Packed).expect("legal");
    assert_eq!(effects, [Effect::StoreJob]);
    let (registered, effects) = next(&packed, Event::JobStored).expect("legal");
    assert_eq!((registered, effects), (State::Registered { bytes: 2 }, vec![]));
    let error = next(&State::START, Event::JobStored).expect_err("nothing there yet");
    assert_eq!(error.to_string(), "an upload that is receiving cannot get JobStored");
}

proptest! {
    #[test]
    fn registered_only_after_every_step_and_refused_always_cleans_up(events in proptest::collection::vec(0_usize..7, 0..20)) {
        let mut state = State::START;
        let (mut sent, mut packs, mut stores, mut deletes) = (0_u64, 0, 0, 0);
        for event in events {
            let event = all_events()[event];
            let Ok((after, effects)) = next(&state, event) else { continue };
            if let Event::Bytes(bytes) = event {
                sent += bytes;
            }
            packs += effects.iter().filter(|effect| **effect == Effect::Pack).count();
            stores += effects.iter().filter(|effect| **effect == Effect::StoreJob).count();
            deletes += effects.iter().filter(|effect| **effect == Effect::DeleteBytes).count();
            state = after;
        }
        match state {
            State::Registered { bytes } => prop_assert!(packs == 1 && stores >= 1 && deletes == 0 && bytes == sent && bytes > 0),
            State::Refused { .. } => prop_assert!(deletes == 1 && stores == 0),
            _ => prop_assert_eq!(deletes, 0),
        }
    }
}
