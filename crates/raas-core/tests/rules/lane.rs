//! The order of one account: no gap, no nonce twice, nobody overtaken silently.

use crate::model::build::NOW;
use proptest::prelude::*;
use raas_core::machine::lane::{
    Floor, ForeignNonce, IN_FLIGHT_MAX, NextNonce, Queued, may_leave, may_sign, next_nonce,
};
use raas_core::machine::sender::{Event, State, next};
use raas_core::ports::{Fees, Nonces, SignedTx};
use raas_core::units::{AttoFil, Epoch};

fn chain(head: u64, finalized: u64) -> Nonces {
    Nonces { head, finalized }
}

fn stored(nonce: u64) -> State {
    let tx = SignedTx {
        raw: vec![1],
        hash: format!("0x{nonce}"),
        fees: Fees::default(),
        gas_max: AttoFil(1),
        cancels: false,
    };
    next(&State::Planned, &Event::Stored { nonce, tx, at: Epoch(NOW) }).expect("legal").0
}

fn broadcast(nonce: u64) -> State {
    next(&stored(nonce), &Event::BroadcastOk).expect("legal").0
}

#[test]
fn fault_35_the_next_nonce_is_the_highest_of_store_and_endpoints_and_never_lower() {
    let at = |reserved, accepted| Floor { reserved, accepted };
    let foreign = |chain, expected| NextNonce::Foreign(ForeignNonce { chain, expected });
    let table = [
        ("a new store starts where the chain is", at(None, 0), chain(12, 10), NextNonce::Take(12)),
        ("a lagging node does not pull it back", at(Some(4), 0), chain(3, 2), NextNonce::Take(5)),
        ("store and chain agree", at(Some(4), 0), chain(5, 5), NextNonce::Take(5)),
        (
            "a head ahead is not final yet",
            at(Some(4), 0),
            chain(6, 5),
            NextNonce::Settling { head: 6, expected: 5 },
        ),
        ("at finality it is foreign", at(Some(4), 0), chain(6, 6), foreign(6, 5)),
        ("what the admin accepted is the floor", at(Some(4), 6), chain(6, 6), NextNonce::Take(6)),
        ("and once more", at(Some(4), 6), chain(7, 7), foreign(7, 6)),
        ("a floor alone makes a store old", at(None, 6), chain(7, 7), foreign(7, 6)),
    ];
    for (why, floor, chain, wanted) in table {
        assert_eq!(next_nonce(floor, chain), wanted, "{why}");
    }
}

#[test]
fn what_is_behind_waits_until_what_is_before_has_left() {
    assert_eq!(may_sign(&[]), Ok(()));
    assert_eq!(may_sign(&[broadcast(3), stored(4)]), Err(Queued::Behind { nonce: 4 }));
    let many: Vec<State> = (0..IN_FLIGHT_MAX as u64).map(broadcast).collect();
    assert_eq!(may_sign(&many), Err(Queued::Full(IN_FLIGHT_MAX)));
    assert_eq!(may_sign(&many[1..]), Ok(()));
    assert_eq!(may_leave(5, &[stored(4), stored(5)]), Err(Queued::Behind { nonce: 4 }));
    assert_eq!(may_leave(4, &[stored(4), stored(5)]), Ok(()));
    assert_eq!(may_leave(5, &[broadcast(4), stored(5)]), Ok(()));
}

proptest! {
    #[test]
    fn a_nonce_is_never_given_twice_nor_with_a_hole(heads in proptest::collection::vec((0_u64..20, 0_u64..20), 1..60)) {
        let mut floor = Floor { reserved: Some(3), accepted: 0 };
        for (head, finalized) in heads {
            if let NextNonce::Take(nonce) = next_nonce(floor, chain(head, finalized)) {
                prop_assert_eq!(nonce, floor.next());
                floor.reserved = Some(nonce);
            }
        }
    }
}
