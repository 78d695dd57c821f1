//! Rule 8.

use crate::model::build::{NOW, on_chain, signed};
use proptest::prelude::*;
use raas_core::health::HealthRecord;
use raas_core::machine::order::{Event, next};
use raas_core::order::OrderState;
use raas_core::units::Epoch;

#[test]
fn what_is_signed_stays_reserved_until_the_chain_says_otherwise() {
    let at = || signed(1, NOW);
    let live = || on_chain(1, NOW + 518_400, HealthRecord::pending(Epoch(NOW)));
    // State, reserves escrow, is watched, waits for the chain.
    let table = [
        (OrderState::Planned, true, false, false),
        (OrderState::Signed(at()), true, false, true),
        (OrderState::Delivered(at()), true, false, true),
        (OrderState::Accepted(at()), true, false, true),
        (OrderState::RejectedWatched(at()), true, true, true),
        (OrderState::Hedged(at()), true, true, true),
        (OrderState::Published(live()), false, false, false),
        (OrderState::Active(live()), false, false, false),
        (OrderState::Ended(live()), false, false, false),
        (OrderState::Expired, false, false, false),
        (OrderState::Cancelled, false, false, false),
    ];
    for (state, reserves, watched, waits) in table {
        let name = state.name();
        assert_eq!(state.reserves_escrow(), reserves, "{name}");
        assert_eq!(state.is_watched(), watched, "{name}");
        assert_eq!(state.signed().is_some(), waits, "{name}");
    }
}

#[test]
fn a_signature_is_over_one_epoch_after_its_start() {
    for (height, over) in [(NOW - 1, false), (NOW, false), (NOW + 1, true)] {
        assert_eq!(signed(1, NOW).is_over(Epoch(height)), over, "at {height}");
    }
}

proptest! {
    /// No word of a provider frees the escrow, and nothing but a finalized height past the start does.
    #[test]
    fn only_the_chain_frees_the_escrow(words in proptest::collection::vec((0_u8..5, -3_i64..3), 0..12)) {
        let mut state = OrderState::Signed(signed(1, NOW));
        let mut over = false;
        for (word, after) in words {
            let event = match word {
                0 => Event::DeliverySent,
                1 => Event::AcceptedByProvider,
                2 => Event::RejectedByProvider,
                3 => Event::Hedged,
                _ => Event::FinalizedAt(Epoch(NOW + after)),
            };
            over |= word == 4 && after > 0;
            if let Ok((moved, _)) = next(&state, &event) {
                state = moved;
            }
            prop_assert_eq!(state.reserves_escrow(), !over, "{}", state.name());
        }
    }
}
