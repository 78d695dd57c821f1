//! History that was rewritten: what of an order and of a transaction still holds.

use crate::model::build::{
    DAY, NOW, ended as ended_order, lost as lost_order, proven as proven_order, published as published_order,
    signed,
};
use raas_core::health::{Fault, Health, UnknownReason};
use raas_core::ids::SectorNumber;
use raas_core::machine::rewind::{Copy, Rewritten, order, transaction};
use raas_core::machine::sender::{Receipt, Sent, State};
use raas_core::observation::NotSeen;
use raas_core::order::OrderState;
use raas_core::ports::{Fees, SignedTx};
use raas_core::units::{AttoFil, Epoch};

const START: i64 = NOW + 3 * DAY;
/// All that the builders' orders saw is at heights from here on.
const ALL: Rewritten = Rewritten { from: Epoch(1), height: Epoch(NOW) };
const THERE: Copy = Copy::There { sector: Some(SectorNumber(7)) };
const PUBLISHED: Copy = Copy::There { sector: None };

/// The state after a rewind of everything, by name, for each answer of the chain; with a signature and without.
#[test]
fn the_whole_table() {
    let signature = signed(1, START);
    let not_on_chain = [
        OrderState::Planned,
        OrderState::Signed(signature.clone()),
        OrderState::Delivered(signature.clone()),
        OrderState::Accepted(signature.clone()),
        OrderState::RejectedWatched(signature.clone()),
        OrderState::Hedged(signature.clone()),
        OrderState::Cancelled,
    ];
    for state in not_on_chain {
        for copy in [THERE, PUBLISHED, Copy::Removed, Copy::Never] {
            assert_eq!(order(&state, ALL, copy, Some(&signature)), state, "nothing of it is on chain");
        }
    }
    let table: [(OrderState, [&str; 4], &str); 4] = [
        (published_order(1, 1_000).state, ["active", "published", "published", "accepted"], "cancelled"),
        (
            proven_order(1, 1_000, NOW + 100 * DAY).state,
            ["active", "published", "active", "accepted"],
            "cancelled",
        ),
        (lost_order(1, 1_000).state, ["active", "published", "lost", "rejected_watched"], "cancelled"),
        (ended_order(1, 1_000).state, ["ended", "ended", "ended", "rejected_watched"], "cancelled"),
    ];
    for (state, after, found) in table {
        for (copy, name) in [THERE, PUBLISHED, Copy::Removed, Copy::Never].into_iter().zip(after) {
            assert_eq!(order(&state, ALL, copy, Some(&signature)).name(), name, "{} {copy:?}", state.name());
        }
        assert_eq!(order(&state, ALL, Copy::Never, None).name(), found, "{} of somebody else", state.name());
    }
}

#[test]
fn an_expired_proposal_is_watched_again_only_where_it_could_have_been_published() {
    let signature = signed(1, START);
    let after = |from: i64| {
        let history = Rewritten { from: Epoch(from), height: Epoch(START + 10) };
        order(&OrderState::Expired, history, Copy::Never, Some(&signature))
    };
    assert_eq!(after(START), OrderState::RejectedWatched(signature.clone()));
    assert_eq!(after(START + 1), OrderState::Expired, "both histories are the same up to its start");
}

#[test]
fn what_was_seen_on_the_history_that_is_gone_is_no_sighting() {
    let OrderState::Active(before) = proven_order(1, 1_000, NOW + 100 * DAY).state else { panic!("active") };
    let mut seen = before;
    let at = before.health.at.0;
    seen.health.health = Health::Suspect;
    seen.health.fault =
        Some(Fault { since: Epoch(at - 100), first_round: Epoch(at - 50), last_round: Epoch(at) });
    let state = OrderState::Active(seen);
    let rewound = |from: i64| {
        let history = Rewritten { from: Epoch(from), height: Epoch(at + 5) };
        match order(&state, history, THERE, None) {
            OrderState::Active(after) => after.health,
            other => panic!("{other:?}"),
        }
    };
    let unread = Health::Unknown(UnknownReason::NotSeen(NotSeen::NotAsked));
    let part = rewound(at - 10);
    assert_eq!((part.health, part.at), (unread, Epoch(at - 11)), "unknown, and older than the rewrite");
    assert_eq!(part.fault.map(|fault| fault.last_round), Some(Epoch(at - 11)), "the first sighting holds");
    assert_eq!(rewound(at - 60).fault, None, "no sighting is left");
    assert_eq!(rewound(at + 1), seen.health, "nothing of it is gone");
    assert!(!rewound(at - 10).repair_due(raas_core::units::Epochs::ZERO), "unknown starts nothing");
}

#[test]
fn a_transaction_of_a_tipset_that_is_gone_waits_again_with_its_bytes() {
    let first = SignedTx {
        raw: vec![1],
        hash: "0xa".to_owned(),
        fees: Fees::default(),
        gas_max: AttoFil::ZERO,
        cancels: false,
    };
    let sent =
        Sent { nonce: 3, first_at: Epoch(80), waits_since: Epoch(80), first, replacements: Vec::new() };
    let receipt = |success| Receipt { hash: "0xa".to_owned(), block: Epoch(90), success };
    let done = State::Final { sent: sent.clone(), receipt: receipt(true) };
    let failed = State::Failed { sent: sent.clone(), receipt: receipt(false) };
    for state in [&done, &failed] {
        assert_eq!(transaction(state, Epoch(90)), Some(State::Broadcast(sent.clone())));
        assert_eq!(transaction(state, Epoch(91)), None, "its tipset is on both histories");
    }
    for state in [State::Planned, State::Stored(sent.clone()), State::Replaced(sent)] {
        assert_eq!(transaction(&state, Epoch(0)), None);
    }
}
