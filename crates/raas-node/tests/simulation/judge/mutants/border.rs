//! What leaves the node: A3, A4, A5, A6; and uploads.

use super::{DAY, History, T, sent};
use crate::crossing::{Crossing, Sent};
use crate::judge::Disk;
use raas_core::ids::ActorId;
use raas_core::units::AttoFil;
use raas_devnet::ledger::Fact;

fn signs(history: History, at: i64, proposal: &str, piece: &str, cost: u128) -> History {
    let (proposal, piece) = (proposal.to_owned(), piece.to_owned());
    history.cross(at, Crossing::Signed { proposal, piece, cost })
}

#[test]
fn a3_more_is_committed_than_the_day_may_cost() {
    let one = || signs(History::default(), T, "a", "p", 300);
    signs(one(), T + DAY, "b", "q", 300).passes(1);
    signs(one(), T + DAY - 1, "b", "q", 300).breaks(1, "A3");
    // The same signature again is the same money.
    signs(one(), T, "a", "p", 300).passes(1);
}

#[test]
fn a3_more_is_committed_than_holding_or_node_may_cost() {
    let mut history = History::default();
    for (day, piece) in [(0, "p"), (1, "p"), (2, "q")] {
        history = signs(history, T + day * DAY, &format!("{day}"), piece, 400);
        history = match day {
            2 => history,
            _ => history.proposed(T + day * DAY, piece, &format!("{day}"), 1_000 + 2 * day as u64, true),
        };
    }
    // 800 for one holding are its limit, 1,200 are over the node's.
    history.clone().breaks(2, "A3: at 1005760 1200");
    history.crossed.truncate(2);
    signs(history, T + DAY, "more", "p", 1).breaks(2, "A3");
}

#[test]
fn a3_a_signature_that_lapsed_is_no_money_and_a_deal_always_is() {
    let late = T + 10 * DAY;
    let lapsed = || signs(signs(History::default(), T, "a", "p", 500), late, "b", "p", 400);
    lapsed().passes(1);
    let deal =
        |history: History| history.proposed(T, "p", "a", 1_000, true).published(T + 10, "p", "a", 1_000, 1);
    deal(lapsed()).breaks(1, "A3");
}

#[test]
fn a3_more_goes_into_escrow_than_may() {
    let added = |amount| Fact::BalanceAdded { account: ActorId(7), amount: AttoFil(amount) };
    History::default().fact(T, added(600)).fact(T + 1, added(400)).passes(1);
    History::default().fact(T, added(600)).fact(T + 1, added(401)).breaks(1, "A3");
}

fn hands(history: History, bytes: &[u8], durable: bool) -> History {
    history.cross(T, Crossing::Proposal { uuid: "u".to_owned(), bytes: bytes.to_vec(), durable })
}

fn leaves(history: History, sent: Sent) -> History {
    history.cross(T, Crossing::Transaction(sent))
}

#[test]
fn a4_something_leaves_that_is_not_stored() {
    hands(History::default(), b"x", true).passes(1);
    hands(History::default(), b"x", false).breaks(1, "A4");
    leaves(History::default(), sent("native", 0, Some(1))).passes(1);
    leaves(History::default(), sent("native", 0, None)).breaks(1, "A4");
}

#[test]
fn a5_one_key_has_two_different_bytes() {
    hands(hands(History::default(), b"x", true), b"x", true).passes(1);
    hands(hands(History::default(), b"x", true), b"y", true).breaks(1, "A5");
    let mut twice = History::default().proposed(T, "p", "one", 1_000, true);
    twice = twice.proposed(T + 1, "p", "two", 1_000, true);
    for entry in &mut twice.entries {
        if let Fact::Proposed { deal_uuid, .. } = &mut entry.fact {
            "u".clone_into(deal_uuid);
        }
    }
    twice.breaks(1, "A5");
}

#[test]
fn a5_an_intent_does_two_things_or_is_repeated_for_nothing() {
    let first = || leaves(History::default(), sent("evm", 0, Some(1)));
    let dearer = Sent { hash: "dearer".to_owned(), premium: 126, ..sent("evm", 0, Some(1)) };
    leaves(first(), dearer.clone()).passes(1);
    leaves(leaves(first(), dearer.clone()), sent("evm", 0, Some(1))).passes(1);
    leaves(first(), Sent { data: vec![1], ..dearer.clone() }).breaks(1, "A5");
    leaves(first(), Sent { premium: 100, ..dearer.clone() }).breaks(1, "A5");
    let cancel = Sent { to: "itself".to_owned(), cancels: true, ..dearer };
    leaves(first(), cancel).passes(1);
}

#[test]
fn a6_a_nonce_is_left_out_or_used_twice() {
    let first = || leaves(History::default(), sent("evm", 0, Some(1)));
    leaves(leaves(first(), sent("evm", 1, Some(2))), sent("native", 0, Some(3))).passes(1);
    leaves(first(), sent("evm", 2, Some(2))).breaks(1, "A6");
    leaves(History::default(), sent("evm", 1, Some(1))).breaks(1, "A6");
    let other = Sent { premium: 200, ..sent("evm", 0, Some(2)) };
    leaves(first(), other).breaks(1, "A6");
    let moved = Sent { premium: 200, ..sent("evm", 1, Some(1)) };
    leaves(first(), moved).breaks(1, "A6");
}

fn mined(history: History, at: i64, sent: &Sent) -> History {
    history.fact(
        at,
        Fact::Transaction {
            hash: sent.hash.clone(),
            from: super::ACCOUNT.to_owned(),
            to: None,
            nonce: sent.nonce,
            selector: String::new(),
            success: true,
        },
    )
}

#[test]
fn a6_something_is_mined_twice_or_never_left() {
    let tx = sent("evm", 0, Some(1));
    let dearer = Sent { hash: "dearer".to_owned(), premium: 126, ..tx.clone() };
    let both = || leaves(leaves(History::default(), tx.clone()), dearer.clone());
    let judge = mined(both(), T + 1, &dearer).passes(1);
    assert_eq!(judge.unfinished(T + 100), None);
    mined(mined(both(), T + 1, &dearer), T + 2, &tx).breaks(1, "A6");
    mined(History::default(), T + 1, &tx).breaks(1, "A6");
    let next = Sent { premium: 90, ..sent("evm", 1, Some(2)) };
    let behind = || leaves(both(), next.clone());
    mined(mined(behind(), T + 1, &next), T + 1, &tx).passes(1);
    mined(behind(), T + 1, &next).breaks(1, "A6");
    let waits = both().passes(1).unfinished(T + 100);
    assert!(waits.is_some_and(|why| why.starts_with("A6")), "a nonce that is never mined is a hole");
}

fn disk() -> Disk {
    let set = |pieces: &[&str]| pieces.iter().map(ToString::to_string).collect();
    Disk {
        with_job: set(&["a", "b"]),
        without_job: set(&["c"]),
        jobs: set(&["a", "b", "d"]),
        known: set(&["a", "b", "c", "d"]),
        files: set(&["a", "c", "d"]),
        litter: 0,
        evicted: set(&["b"]),
    }
}

#[test]
fn a12_an_upload_is_half_there() {
    disk().check().expect("all of them are whole");
    let set = |pieces: &[&str]| pieces.iter().map(ToString::to_string).collect();
    let cases = [
        ("orphan bytes", Disk { files: set(&["a", "c", "d", "e"]), ..disk() }),
        ("a job without bytes", Disk { files: set(&["a", "c"]), ..disk() }),
        ("an answer without a job", Disk { jobs: set(&["a", "d"]), known: set(&["a", "c", "d"]), ..disk() }),
        ("a record of nothing", Disk { known: set(&["a", "b", "c", "d", "e"]), ..disk() }),
        ("litter", Disk { litter: 1, ..disk() }),
    ];
    for (what, disk) in cases {
        assert!(disk.check().is_err_and(|why| why.starts_with("A12")), "{what}");
    }
}
