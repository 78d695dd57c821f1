//! What the chain loses and nobody replaces: L2.

use super::{DAY, History, LAG, T, broken};
use crate::crossing::Crossing;
use raas_core::ids::{ProviderId, SectorNumber};
use raas_devnet::ledger::Fact;

/// When the copy at f01002 is lost.
const LOST: i64 = T + DAY;
/// The last epoch at which that may be acted on: a proving period after the first tipset that tells it is final.
const DEADLINE: i64 = LOST + LAG + 1 + DAY;

/// Two copies, at whose providers the node looks every hundred epochs from `T` on.
fn kept() -> History {
    let both = History::default().copy(T, "p", 1_000, 1).copy(T, "p", 1_002, 2);
    looks(both, 100)
}

fn looks(history: History, every: usize) -> History {
    (0..6 * DAY).step_by(every).fold(history, |history, since| {
        let tipset = T + since;
        history.cross(tipset + LAG, Crossing::Round { tipset, truthful: true })
    })
}

fn lost() -> History {
    kept().terminated(LOST, "p", 1_002, 2)
}

fn signs(history: History, at: i64, proposal: &str) -> History {
    history.cross(at, Crossing::Signed { proposal: proposal.to_owned(), piece: "p".to_owned(), cost: 0 })
}

/// What is found once history up to `until` is known.
fn found(history: History, until: i64) -> Result<(), String> {
    history.passes(2).losses_until(until)
}

#[test]
fn l2_nothing_is_done_about_a_loss() {
    found(kept(), T + 6 * DAY).expect("nothing is lost");
    found(lost(), DEADLINE).expect("there is time yet");
    broken(found(lost(), DEADLINE + 1), "L2");
    found(signs(lost(), DEADLINE, "successor"), DEADLINE + 1).expect("at the last moment");
    broken(found(signs(lost(), DEADLINE + 1, "successor"), DEADLINE + 2), "L2");
    // An order from before is for something else.
    broken(found(signs(lost(), LOST - 1, "earlier"), DEADLINE + 1), "L2");
}

#[test]
fn l2_two_losses_are_not_answered_by_one_order() {
    let both = || lost().terminated(LOST + 5, "p", 1_000, 1);
    let one = || signs(both(), LOST + 200, "first");
    broken(found(one(), DEADLINE + 10), "L2");
    // The same proposal again is the same order.
    broken(found(signs(one(), LOST + 300, "first"), DEADLINE + 10), "L2");
    found(signs(one(), LOST + 300, "second"), DEADLINE + 10).expect("one for each");
}

#[test]
fn l2_an_order_answers_the_loss_that_has_less_time() {
    let third = History::default().copy(T, "p", 1_000, 1).copy(T, "p", 1_002, 2).copy(T, "p", 1_003, 3);
    let mut both = looks(third, 100).terminated(LOST - 100, "p", 1_003, 3).terminated(LOST, "p", 1_002, 2);
    // Of the first one the node knows once its start is final: it was never shown it.
    both.crossed.retain(|(_, crossing)| *crossing != Crossing::Active { deal: 3 });
    let found = |history: History, until| history.passes(3).losses_until(until);
    broken(found(both.clone(), DEADLINE + 1), "L2");
    found(signs(both, LOST + 50, "successor"), DEADLINE + 1).expect("there is time yet for the other");
}

#[test]
fn l2_a_deal_that_never_became_active_is_a_loss() {
    let never = Fact::NeverActivated {
        deal_id: raas_core::ids::DealId(2),
        provider: ProviderId::new(1_002),
        piece_cid: "p".to_owned(),
    };
    broken(found(kept().fact(LOST, never), DEADLINE + 1), "L2");
}

#[test]
fn l2_a_fault_that_lasts_is_a_loss_and_one_that_ends_is_none() {
    let since = LOST - DAY + 1;
    let faulty = || kept().faulted(since, 1_002, 2);
    let due = since + DAY;
    let judged = |history: History, until| {
        let mut judge = history.passes(2);
        judge.losses_until(due + LAG + 1)?;
        judge.losses_until(until)
    };
    let deadline = due + LAG + 1 + DAY;
    judged(faulty(), deadline).expect("there is time yet");
    broken(judged(faulty(), deadline + 1), "L2");
    judged(signs(faulty(), due + 30, "successor"), deadline + 1).expect("a successor");
    let ended = Fact::Recovered { provider: ProviderId::new(1_002), sector: SectorNumber(2) };
    judged(faulty().fact(deadline - 100, ended), deadline + 1).expect("it is proven again");
}

#[test]
fn l2_who_is_replaced_or_cannot_look_is_excused() {
    let spare = looks(History::default(), 100).proposed(T, "p", "proposal 2", 1_002, false);
    let spare = spare.published(T + 10, "p", "proposal 2", 1_002, 2).activated(T + 100, "p", 1_002, 2);
    found(spare.terminated(LOST, "p", 1_002, 2), DEADLINE + 1)
        .expect("refused, published all the same, lost");
    // Of what it was never shown it knows once its start is final.
    let mut unseen = lost();
    unseen.crossed.retain(|(_, crossing)| *crossing != Crossing::Active { deal: 2 });
    let start = T + 3 * DAY;
    found(unseen.clone(), start + LAG + 1 + DAY).expect("until its start it may still be published");
    broken(found(unseen, start + LAG + 2 + DAY), "L2");
    // Nineteen looks are chance, twenty are not.
    let rarely = |every| {
        let both = History::default().copy(T, "p", 1_000, 1).copy(T, "p", 1_002, 2);
        looks(both, every).terminated(LOST, "p", 1_002, 2)
    };
    found(rarely(160), DEADLINE + 1).expect("it hardly looked");
    broken(found(rarely(140), DEADLINE + 1), "L2");
}

#[test]
fn l2_a_storm_excuses() {
    let mut judge = lost().passes(2);
    assert_eq!(judge.losses.look(DEADLINE + 1, true, &judge.copies, &judge.watched.operators), Ok(0));
}

#[test]
fn l2_nobody_left_to_ask_excuses() {
    let among = |ids: &[u64]| {
        let mut judge = lost().passes(2);
        let operators = ids.iter().map(|id| (*id, id + 1_000)).collect();
        judge.losses.look(DEADLINE + 1, false, &judge.copies, &operators)
    };
    among(&[1_000, 1_002]).expect("one holds a copy, and the other lost it");
    broken(among(&[1_000, 1_002, 1_003]), "L2");
}
