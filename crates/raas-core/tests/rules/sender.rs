//! The sender machine: one nonce, one mined transaction, nothing repeated with other bytes.

use crate::model::build::NOW;
use proptest::prelude::*;
use raas_core::machine::sender::{
    Alarm, Effect, Event, Illegal, Receipt, STUCK_AFTER, State, VERSIONS_MAX, next,
};
use raas_core::ports::{Fees, SignedTx};
use raas_core::units::{AttoFil, Epoch};

fn tx(version: u64) -> SignedTx {
    SignedTx {
        raw: vec![version as u8; 3],
        hash: format!("0x{version}"),
        fees: Fees { fee_cap: AttoFil(1_000), premium: AttoFil(100) },
        gas_max: AttoFil(1_000_000),
        cancels: false,
    }
}

fn stored(version: u64) -> Event {
    Event::Stored { nonce: 7, tx: tx(version), at: Epoch(NOW) }
}

fn missing(finalized_nonce: u64) -> Event {
    Event::Missing { finalized_nonce, at: Epoch(NOW + 9) }
}

fn receipt(version: u64, block: i64, success: bool) -> Receipt {
    Receipt { hash: format!("0x{version}"), block: Epoch(block), success }
}

/// The state after `events`, all of them legal, and the effects of the last.
fn after(events: &[Event]) -> (State, Vec<Effect>) {
    events.iter().fold((State::Planned, vec![]), |(state, _), event| next(&state, event).expect("legal"))
}

fn stuck() -> Event {
    Event::WaitedTo { at: Epoch(NOW).after(STUCK_AFTER) }
}

#[test]
fn the_usual_way() {
    let (state, effects) = after(&[stored(1)]);
    assert_eq!((state.name(), effects), ("stored", vec![Effect::Broadcast(tx(1))]));
    let (state, effects) = after(&[stored(1), Event::BroadcastOk]);
    assert_eq!((state.name(), effects), ("broadcast", vec![]));
    let mined = [stored(1), Event::BroadcastOk, Event::ReceiptSeen(receipt(1, NOW, true))];
    assert_eq!(after(&mined).0.name(), "included");
    let early = [mined.as_slice(), &[Event::FinalizedAt { block: Epoch(NOW - 1) }]].concat();
    assert_eq!(after(&early).0.name(), "included");
    let done = [mined.as_slice(), &[Event::FinalizedAt { block: Epoch(NOW) }]].concat();
    assert_eq!(after(&done).0.name(), "final");
    let reverted =
        [stored(1), Event::ReceiptSeen(receipt(1, NOW, false)), Event::FinalizedAt { block: Epoch(NOW) }];
    assert_eq!(after(&reverted).0.name(), "failed");
    let is_closed = |events: &[Event]| after(events).0.is_closed();
    assert!(is_closed(&done) && is_closed(&reverted));
    assert!(!is_closed(&early) && !is_closed(&[]));
}

#[test]
fn before_anything_is_signed_only_time_may_pass() {
    for event in [Event::Resumed, Event::FinalizedAt { block: Epoch(NOW) }] {
        assert_eq!(next(&State::Planned, &event), Ok((State::Planned, vec![])), "{event:?}");
    }
    assert!(next(&State::Planned, &missing(7)).is_err());
}

#[test]
fn what_is_included_knows_its_own_versions_from_those_of_others() {
    let mined = [stored(1), Event::BroadcastOk, stored(2), Event::ReceiptSeen(receipt(2, NOW, true))];
    let (included, _) = after(&mined);
    let looks = vec![Effect::LookUp(vec!["0x2".into(), "0x1".into()])];
    assert_eq!(next(&included, &Event::Resumed), Ok((included.clone(), looks)));
    let other = next(&included, &Event::ReceiptSeen(receipt(9, NOW, true)));
    assert_eq!(other, Err(Illegal::OtherHash("0x9".into())));
    let taken = |hash: &str| Event::NonceTaken { hash: hash.to_owned() };
    assert_eq!(next(&included, &taken("0x1")), Ok((included.clone(), vec![])), "it is ours");
    let (replaced, effects) = next(&included, &taken("0x9")).expect("legal");
    let alarm = Alarm::ForeignNonce { nonce: 7, hash: "0x9".to_owned() };
    assert_eq!((replaced.name(), effects), ("replaced", vec![Effect::Alarm(alarm)]));
    assert!(replaced.is_closed());
}

#[test]
fn uncertain_is_settled_by_looking_and_then_by_the_same_bytes() {
    for doubt in [Event::BroadcastUncertain, Event::NonceTooLow, Event::Resumed] {
        let (state, effects) = after(&[stored(1), doubt.clone()]);
        assert_eq!(
            (state.name(), effects),
            ("stored", vec![Effect::LookUp(vec!["0x1".into()])]),
            "{doubt:?}"
        );
        let (state, effects) = after(&[stored(1), doubt.clone(), missing(7)]);
        assert_eq!((state.name(), effects), ("stored", vec![Effect::Broadcast(tx(1))]), "{doubt:?}");
        // The nonce is used at finality: nothing is sent, and nobody is blamed before the taker is known.
        let (state, effects) = after(&[stored(1), doubt.clone(), missing(8)]);
        let find = Effect::FindTaker { nonce: 7, since: Epoch(NOW) };
        assert_eq!((state.name(), effects), ("stored", vec![find]), "{doubt:?}");
        let taken = |hash: &str| Event::NonceTaken { hash: hash.to_owned() };
        let (state, effects) = after(&[stored(1), doubt.clone(), missing(8), taken("0x1")]);
        assert_eq!((state.name(), effects.len()), ("stored", 1), "ours after all: {doubt:?}");
        let (state, effects) = after(&[stored(1), doubt, missing(8), taken("0x9")]);
        let alarm = Effect::Alarm(Alarm::ForeignNonce { nonce: 7, hash: "0x9".to_owned() });
        assert_eq!((state.name(), effects), ("replaced", vec![alarm]));
    }
    let (state, effects) = after(&[stored(1), Event::AlreadyKnown]);
    assert_eq!((state.name(), effects), ("broadcast", vec![]));
    let (state, effects) = after(&[stored(1), Event::Refused]);
    assert_eq!((state.name(), effects), ("stored", vec![]));
}

#[test]
fn a_stuck_transaction_is_replaced_by_one_that_pays_more() {
    let (_, effects) = after(&[stored(1), Event::BroadcastOk, stuck()]);
    let fees = Fees { fee_cap: AttoFil(1_251), premium: AttoFil(126) };
    assert_eq!(effects, [Effect::Replace { nonce: 7, fees }]);
    let almost = Event::WaitedTo { at: Epoch(NOW + STUCK_AFTER.get() - 1) };
    assert_eq!(after(&[stored(1), Event::BroadcastOk, almost]).1, []);
    // A replacement waits as long again before the next one.
    let again = Event::Stored { nonce: 7, tx: tx(2), at: Epoch(NOW + 5) };
    assert_eq!(after(&[stored(1), Event::BroadcastOk, again, Event::BroadcastOk, stuck()]).1, []);
    let (state, effects) = after(&[stored(1), Event::BroadcastOk, stored(2), Event::BroadcastUncertain]);
    assert_eq!(effects, [Effect::LookUp(vec!["0x2".into(), "0x1".into()])]);
    // The original may be mined after all.
    let (state, _) = next(&state, &Event::ReceiptSeen(receipt(1, NOW, true))).expect("legal");
    assert_eq!(state.name(), "included");
}

#[test]
fn a_reorganisation_takes_a_receipt_back() {
    let mined = [stored(1), Event::BroadcastOk, Event::ReceiptSeen(receipt(1, NOW, true))];
    let (state, effects) = after(&[mined.as_slice(), &[missing(7)]].concat());
    assert_eq!((state.name(), effects), ("broadcast", vec![Effect::Broadcast(tx(1))]));
    // Its wait begins anew, so that it is not replaced at once.
    assert_eq!(next(&state, &stuck()).expect("legal").1, []);
    // An endpoint that forgets old hashes is no reorganisation: the nonce stays used.
    let (state, effects) = after(&[mined.as_slice(), &[missing(8)]].concat());
    assert_eq!((state.name(), effects.len()), ("included", 1));
    let moved = [
        mined.as_slice(),
        &[Event::ReceiptSeen(receipt(1, NOW + 3, true)), Event::FinalizedAt { block: Epoch(NOW + 2) }],
    ]
    .concat();
    assert_eq!(after(&moved).0.name(), "included", "the later tipset counts");
}

#[test]
fn what_could_be_mined_twice_is_an_error() {
    let state = after(&[stored(1)]).0;
    assert_eq!(
        next(&state, &Event::Stored { nonce: 8, tx: tx(2), at: Epoch(NOW) }),
        Err(Illegal::OtherNonce { first: 7, second: 8 })
    );
    assert_eq!(
        next(&state, &Event::ReceiptSeen(receipt(9, NOW, true))),
        Err(Illegal::OtherHash("0x9".into()))
    );
    let full = (2..=VERSIONS_MAX as u64)
        .fold(state, |state, version| next(&state, &stored(version)).expect("legal").0);
    assert_eq!(next(&full, &stored(99)), Err(Illegal::TooManyVersions(VERSIONS_MAX)));
    assert_eq!(next(&full, &stuck()).expect("legal").1, [], "enough is enough");
    let error = next(&State::Planned, &Event::BroadcastOk).expect_err("nothing was sent");
    assert_eq!(error.to_string(), "a transaction that is planned cannot be broadcast");
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (1_u64..5).prop_map(stored),
        2 => Just(Event::BroadcastOk),
        1 => Just(Event::BroadcastUncertain),
        1 => Just(Event::AlreadyKnown),
        1 => Just(Event::NonceTooLow),
        2 => (1_u64..5, 0_i64..20, any::<bool>()).prop_map(|(version, block, success)| Event::ReceiptSeen(receipt(version, block, success))),
        1 => (6_u64..9).prop_map(missing),
        1 => (1_u64..9).prop_map(|hash| Event::NonceTaken { hash: format!("0x{hash}") }),
        1 => (0_i64..20).prop_map(|block| Event::FinalizedAt { block: Epoch(block) }),
        1 => Just(stuck()),
        1 => Just(Event::Resumed),
    ]
}

proptest! {
    #[test]
    fn only_stored_bytes_leave_and_closed_stays_closed(events in proptest::collection::vec(any_event(), 1..40)) {
        let mut state = State::Planned;
        for event in events {
            let Ok((after, effects)) = next(&state, &event) else { continue };
            for effect in &effects {
                match effect {
                    Effect::Broadcast(tx) => prop_assert!(after.sent().is_some_and(|sent| sent.hashes().contains(&tx.hash))),
                    Effect::Replace { nonce, fees } => {
                        prop_assert_eq!(*nonce, 7);
                        prop_assert!(fees.premium.0 * 4 >= 100 * 5);
                    }
                    Effect::FindTaker { nonce, .. } => prop_assert_eq!(*nonce, 7),
                    Effect::LookUp(hashes) => prop_assert!(!hashes.is_empty()),
                    Effect::Alarm(_) => prop_assert_eq!(after.name(), "replaced"),
                }
            }
            if state.is_closed() {
                prop_assert_eq!(&after, &state);
                prop_assert!(effects.is_empty());
            }
            prop_assert!(after.sent().is_none_or(|sent| sent.nonce == 7));
            state = after;
        }
    }
}
