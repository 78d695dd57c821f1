//! The sender machine: one nonce, one mined transaction, nothing repeated with other bytes.

use crate::model::build::NOW;
use proptest::prelude::*;
use raas_core::machine::sender::{
    Alarm, Effect, Event, Illegal, Receipt, STUCK_AFTER, State, VERSIONS_MAX, next, next_nonce,
};
use raas_core::ports::{Fees, SignedTx};
use raas_core::units::{AttoFil, Epoch, Epochs};

fn tx(version: u64) -> SignedTx {
    SignedTx {
        raw: vec![version as u8; 3],
        hash: format!("0x{version}"),
        fees: Fees { fee_cap: AttoFil(1_000), premium: AttoFil(100) },
    }
}

fn stored(version: u64) -> Event {
    Event::Stored { nonce: 7, tx: tx(version) }
}

fn receipt(version: u64, block: i64, success: bool) -> Receipt {
    Receipt { hash: format!("0x{version}"), block: Epoch(block), success }
}

/// The state after `events`, all of them legal, and the effects of the last.
fn after(events: &[Event]) -> (State, Vec<Effect>) {
    events.iter().fold((State::Planned, vec![]), |(state, _), event| next(&state, event).expect("legal"))
}

fn stuck() -> Event {
    Event::StuckFor { epochs: STUCK_AFTER }
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
        let (state, effects) = after(&[stored(1), doubt.clone(), Event::Missing { finalized_nonce: 7 }]);
        assert_eq!((state.name(), effects), ("stored", vec![Effect::Broadcast(tx(1))]), "{doubt:?}");
        let (state, effects) = after(&[stored(1), doubt, Event::Missing { finalized_nonce: 8 }]);
        let alarm = Effect::Alarm(Alarm::ForeignNonce { nonce: 7 });
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
    let almost = Event::StuckFor { epochs: Epochs::new(STUCK_AFTER.get() - 1).expect("positive") };
    assert_eq!(after(&[stored(1), Event::BroadcastOk, almost]).1, []);
    let (state, effects) = after(&[stored(1), Event::BroadcastOk, stored(2), Event::BroadcastUncertain]);
    assert_eq!(effects, [Effect::LookUp(vec!["0x2".into(), "0x1".into()])]);
    // The original may be mined after all.
    let (state, _) = next(&state, &Event::ReceiptSeen(receipt(1, NOW, true))).expect("legal");
    assert_eq!(state.name(), "included");
}

#[test]
fn a_reorganisation_takes_a_receipt_back() {
    let mined = [stored(1), Event::BroadcastOk, Event::ReceiptSeen(receipt(1, NOW, true))];
    for gone in [Event::ReceiptGone, Event::Missing { finalized_nonce: 7 }] {
        let (state, effects) = after(&[mined.as_slice(), &[gone]].concat());
        assert_eq!((state.name(), effects), ("broadcast", vec![Effect::Broadcast(tx(1))]));
    }
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
        next(&state, &Event::Stored { nonce: 8, tx: tx(2) }),
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

#[test]
fn nonces_have_no_holes_and_a_foreign_one_is_noticed() {
    assert_eq!(next_nonce(None, 12), Ok(12));
    assert_eq!(next_nonce(Some(4), 3), Ok(5), "what is stored counts, a lagging node does not");
    assert_eq!(next_nonce(Some(4), 5), Ok(5));
    assert!(next_nonce(Some(4), 6).is_err());
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (1_u64..5).prop_map(stored),
        2 => Just(Event::BroadcastOk),
        1 => Just(Event::BroadcastUncertain),
        1 => Just(Event::AlreadyKnown),
        1 => Just(Event::NonceTooLow),
        2 => (1_u64..5, 0_i64..20, any::<bool>()).prop_map(|(version, block, success)| Event::ReceiptSeen(receipt(version, block, success))),
        1 => Just(Event::ReceiptGone),
        1 => (6_u64..9).prop_map(|finalized_nonce| Event::Missing { finalized_nonce }),
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
