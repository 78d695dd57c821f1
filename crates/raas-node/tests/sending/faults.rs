//! Each fault with what must come of it; the numbers are those of the project's list of faults.

use crate::scene::{Scene, adds};
use crate::script::{LAG, Quirk};
use raas_core::ports::{Broadcast, Lane, Now, TxIntent};
use raas_core::units::{AttoFil, Epoch};
use raas_node::engine::Error;
use raas_node::execute::send::send;
use raas_node::execute::work;
use raas_node::settings::SpendingLimits;
use raas_node::store;

#[tokio::test]
async fn transactions_of_an_account_go_out_in_order_and_are_final_once() {
    let scene = Scene::new().await;
    let ids = [scene.plan(1).await, scene.plan(2).await, scene.plan(3).await];
    scene.pass(LAG + 6).await;
    assert_eq!(scene.mined(), [(0, adds(1)), (1, adds(2)), (2, adds(3))]);
    for id in ids {
        assert_eq!(scene.state(id).await, "final");
    }
    assert_eq!(scene.script.chain().received.len(), 3, "each sent once");
}

#[tokio::test]
async fn fault_20_a_stale_leaders_send_is_refused_and_its_successor_sends_the_same_bytes() {
    let old = Scene::new().await;
    old.script.chain().quirks.push_back(Quirk::LoseRequest);
    let id = old.plan(1).await;
    old.work().await;
    assert_eq!(old.state(id).await, "stored");
    let signed = old.tx(id).await.signed;
    let new = old.successor().await;
    // The old process wakes up after a long pause, in the middle of a step that only has to send.
    old.script.chain().advance();
    let outcome = send(&old.engine, &old.round(), old.now(), id, 0).await;
    assert!(matches!(outcome, Err(Error::Store(store::Error::Fenced { .. }))), "{outcome:?}");
    assert!(old.plan_refused().await, "nor does it write");
    assert_eq!(old.script.chain().received, Vec::<String>::new(), "nothing left");
    new.pass(LAG + 6).await;
    assert_eq!(new.tx(id).await.signed, signed, "the very bytes");
    assert_eq!(new.mined(), [(0, adds(1))]);
}

/// Who leads is decided by fences, never by time: an hour forwards or back gives nobody the lead and sends nothing twice.
#[tokio::test]
async fn fault_20_a_clock_that_jumps_an_hour_changes_no_leader_and_sends_nothing_twice() {
    for hours in [-1, 1] {
        let old = Scene::new().await;
        old.script.chain().quirks.push_back(Quirk::LoseRequest);
        let id = old.plan(1).await;
        old.work().await;
        let signed = old.tx(id).await.signed;
        let new = old.successor().await;
        old.script.chain().advance();
        let jumped = |scene: &Scene| {
            let now = scene.now();
            let epoch = Epoch(now.epoch.0 + hours * 120);
            Now { epoch, unix_seconds: now.unix_seconds + hours * 3_600 }
        };
        let outcome = send(&old.engine, &old.round(), jumped(&old), id, 0).await;
        assert!(matches!(outcome, Err(Error::Store(store::Error::Fenced { .. }))), "{outcome:?}");
        assert!(old.plan_refused().await);
        assert_eq!(old.script.chain().received, Vec::<String>::new(), "nothing left");
        // The clock of the one that leads jumps for a while, in the middle of its work.
        for _ in 0..3 {
            work(&new.engine, &new.round(), jumped(&new)).await.expect("the store works");
            new.script.chain().advance();
        }
        new.pass(LAG + 200).await;
        assert_eq!(new.state(id).await, "final", "{hours} hours");
        assert_eq!(new.tx(id).await.signed, signed, "the very bytes, and no replacement of them");
        assert_eq!(new.mined(), [(0, adds(1))]);
    }
}

#[tokio::test]
async fn fault_21_a_foreign_transaction_halts_the_account_until_it_is_released() {
    let scene = Scene::new().await;
    let first = scene.plan(1).await;
    scene.pass(LAG + 6).await;
    assert_eq!(scene.state(first).await, "final");
    // Somebody takes the next nonce before us, and one more.
    {
        let mut chain = scene.script.chain();
        chain.foreign(1);
        chain.foreign(2);
        chain.advance();
    }
    let second = scene.plan(2).await;
    scene.pass(5).await;
    assert!(scene.waits(second).await.contains("waiting for finality"), "not blamed before it is final");
    scene.pass(LAG + 30).await;
    let halts = scene.store.halts().await.expect("readable");
    let halt = &halts[&Lane::Native];
    assert!(halt.why.contains("used elsewhere"), "{halt:?}");
    assert!(scene.waits(second).await.contains("halted"));
    let received = scene.script.chain().received.len();
    scene.pass(60).await;
    assert_eq!(scene.script.chain().received.len(), received, "a halted account sends nothing");
    scene.store.release_lane(Lane::Native, 3).await.expect("released");
    scene.pass(LAG + 30).await;
    assert_eq!(scene.mined().last(), Some(&(3, adds(2))), "the next nonce, and nothing twice");
}

#[tokio::test]
async fn fault_21_a_nonce_taken_under_our_own_transaction_closes_it_and_halts() {
    let scene = Scene::new().await;
    let id = scene.plan(1).await;
    scene.work().await;
    scene.script.chain().base_fee = 1_000_000;
    scene.pass(2).await;
    // Replaced in the mempool by somebody who pays more, with the same key.
    scene.script.chain().foreign(0);
    scene.pass(LAG + 30).await;
    assert_eq!(scene.state(id).await, "replaced");
    let halts = scene.store.halts().await.expect("readable");
    assert!(halts[&Lane::Native].why.contains("foreign-0"), "{halts:?}");
    assert_eq!(scene.mined(), [(0, "theirs".to_owned())]);
}

#[tokio::test]
async fn fault_29_a_dropped_transaction_is_sent_again_before_those_behind_it() {
    let scene = Scene::new().await;
    scene.script.chain().base_fee = 10_000;
    let (first, second) = (scene.plan(1).await, scene.plan(2).await);
    scene.work().await;
    scene.script.chain().base_fee = 100_000;
    scene.pass(2).await;
    scene.script.chain().pool.remove(&0);
    assert!(scene.script.chain().pool.contains_key(&1), "the one behind waits for it");
    scene.script.chain().base_fee = 100;
    scene.pass(LAG + 6).await;
    assert_eq!(scene.mined(), [(0, adds(1)), (1, adds(2))]);
    assert_eq!(
        (scene.tx(first).await.signed.len(), scene.tx(second).await.signed.len()),
        (1, 1),
        "same bytes"
    );
}

#[tokio::test]
async fn fault_29_what_never_left_holds_those_behind_it_back() {
    let scene = Scene::new().await;
    let lost = std::iter::repeat_n(Quirk::LoseRequest, 4);
    scene.script.chain().quirks.extend(lost);
    let (first, second) = (scene.plan(1).await, scene.plan(2).await);
    scene.work().await;
    assert_eq!((scene.state(first).await, scene.state(second).await), ("stored".into(), "planned".into()));
    assert!(scene.waits(second).await.contains("has to leave first"));
    scene.pass(LAG + 12).await;
    assert_eq!(scene.mined(), [(0, adds(1)), (1, adds(2))]);
}

#[tokio::test]
async fn fault_29_what_cannot_be_made_dearer_gives_its_nonce_up() {
    let scene = Scene::new().await;
    scene.script.chain().base_fee = 100;
    let intent = TxIntent::Withdraw { amount: AttoFil(1) };
    let first = scene.store.plan_tx(&intent, "withdraw").await.expect("planned");
    scene.work().await;
    scene.script.chain().base_fee = 1_000;
    let second = scene.plan(2).await;
    scene.pass(60).await;
    assert_eq!(scene.state(first).await, "failed", "it did nothing of what was meant");
    let mined = scene.mined();
    assert!(mined[0].1.contains("Cancel"), "{mined:?}");
    assert_eq!(mined[1..], [(1, adds(2))]);
    let _ = second;
}

#[tokio::test]
async fn fault_30_dear_gas_is_met_up_to_the_cap_and_then_waited_out() {
    let limits = SpendingLimits { gas_max: Some(AttoFil(3_000_000)), ..SpendingLimits::default() };
    let scene = Scene::with(limits).await;
    let id = scene.plan(1).await;
    scene.work().await;
    scene.script.chain().base_fee = 1_000;
    scene.pass(22).await;
    let versions = scene.tx(id).await.signed;
    assert_eq!(versions.len(), 2, "replaced after 20 epochs");
    let (old, new) = (versions[0].fees.premium.0, versions[1].fees.premium.0);
    assert!(new > old * 5 / 4, "{new} after {old}: a quarter and one more");
    // Ten times as dear for hours: the cap holds, the nonce is kept, nothing more is signed.
    let scene = Scene::with(limits).await;
    let id = scene.plan(1).await;
    scene.work().await;
    scene.script.chain().base_fee = 10_000;
    scene.pass(400).await;
    assert_eq!(scene.tx(id).await.signed.len(), 1);
    let waits = scene.waits(id).await;
    assert!(waits.contains("wallet.gas_max_attofil"), "{waits}");
    assert_eq!(scene.engine.dear().into_values().collect::<Vec<_>>(), [waits], "the alarm");
    scene.script.chain().base_fee = 100;
    scene.pass(LAG + 30).await;
    assert_eq!(scene.mined(), [(0, adds(1))]);
    assert_eq!(scene.state(id).await, "final");
    assert!(scene.engine.dear().is_empty());
}

#[tokio::test]
async fn fault_30_the_gas_of_a_day_is_limited_too() {
    // Each costs at most 300,000: two fit.
    let limits = SpendingLimits { gas_per_day: Some(AttoFil(700_000)), ..SpendingLimits::default() };
    let scene = Scene::with(limits).await;
    for amount in 1..=3 {
        scene.plan(amount).await;
    }
    scene.pass(100).await;
    assert_eq!(scene.mined().len(), 2);
    let waits = scene.store.send_waits().await.expect("readable");
    assert!(waits.values().any(|why| why.contains("budget.gas_per_day_attofil")), "{waits:?}");
    scene.pass(2_880).await;
    assert_eq!(scene.mined(), [(0, adds(1)), (1, adds(2)), (2, adds(3))], "the next day it goes on");
}

#[tokio::test]
async fn fault_31_the_original_is_mined_after_its_replacement_was_sent() {
    let scene = Scene::new().await;
    let id = scene.plan(1).await;
    scene.work().await;
    let original = scene.script.chain().pool[&0].clone();
    scene.script.chain().base_fee = 1_000;
    scene.pass(19).await;
    while scene.tx(id).await.signed.len() < 2 {
        scene.script.chain().advance();
        scene.work().await;
    }
    assert_ne!(scene.script.chain().pool[&0], original, "the replacement waits");
    // A miner had the first one all along.
    {
        let mut chain = scene.script.chain();
        chain.pool.insert(0, original.clone());
        chain.base_fee = 100;
        chain.advance();
    }
    scene.pass(LAG + 6).await;
    assert_eq!(scene.state(id).await, "final");
    assert_eq!(scene.tx(id).await.state["receipt"]["hash"], original.hash.as_str());
    assert_eq!(scene.mined(), [(0, adds(1))], "success once");
}

#[tokio::test]
async fn fault_32_a_receipt_that_a_reorganisation_takes_back_comes_again_with_the_same_nonce() {
    for lost in [false, true] {
        let scene = Scene::new().await;
        let id = scene.plan(1).await;
        scene.pass(4).await;
        assert_eq!(scene.state(id).await, "included");
        let signed = scene.tx(id).await.signed;
        {
            let mut chain = scene.script.chain();
            chain.reorganise(4, lost);
            chain.base_fee = 1_000_000;
        }
        // It looks again when its block would be final, at the latest.
        scene.pass(LAG + 10).await;
        assert_eq!(scene.state(id).await, "broadcast", "pending again (lost: {lost})");
        let versions = scene.tx(id).await.signed.len();
        assert!(versions <= 2, "its wait began anew: {versions} versions");
        scene.script.chain().base_fee = 100;
        scene.pass(LAG + 10).await;
        assert_eq!(scene.state(id).await, "final");
        assert_eq!(scene.mined(), [(0, adds(1))], "no new nonce");
        assert_eq!(scene.tx(id).await.signed[0], signed[0]);
    }
}

#[tokio::test]
async fn fault_33_a_send_that_times_out_is_looked_for_and_only_then_repeated() {
    for quirk in [Quirk::LoseReply, Quirk::LoseRequest] {
        let scene = Scene::new().await;
        scene.script.chain().quirks.push_back(quirk.clone());
        let id = scene.plan(1).await;
        scene.work().await;
        assert_eq!(scene.state(id).await, "stored", "nobody knows");
        scene.pass(LAG + 8).await;
        assert_eq!((scene.state(id).await, scene.mined()), ("final".into(), vec![(0, adds(1))]), "{quirk:?}");
        assert_eq!(scene.tx(id).await.signed.len(), 1, "the same bytes");
    }
}

#[tokio::test]
async fn fault_34_what_one_endpoint_says_of_nonce_and_knowledge_is_checked_by_the_hash() {
    let low = Quirk::Say(Broadcast::NonceTooLow);
    let known = Quirk::Say(Broadcast::AlreadyKnown);
    for quirks in [vec![low.clone()], vec![known.clone()], vec![low, known]] {
        let scene = Scene::new().await;
        scene.script.chain().quirks.extend(quirks.clone());
        let id = scene.plan(1).await;
        scene.pass(LAG + 10).await;
        assert_eq!(
            (scene.state(id).await, scene.mined()),
            ("final".into(), vec![(0, adds(1))]),
            "{quirks:?}"
        );
        assert_eq!(scene.tx(id).await.signed.len(), 1);
        assert_eq!(scene.store.halts().await.expect("readable").len(), 0, "nobody is blamed");
    }
}

#[tokio::test]
async fn fault_35_a_nonce_from_a_lagging_node_never_pulls_the_store_back() {
    let scene = Scene::new().await;
    for amount in 1..=3 {
        scene.plan(amount).await;
    }
    scene.pass(3).await;
    scene.script.chain().nonces_lag = 20;
    scene.plan(4).await;
    scene.pass(LAG + 60).await;
    assert_eq!(scene.mined(), [(0, adds(1)), (1, adds(2)), (2, adds(3)), (3, adds(4))]);
}

#[tokio::test]
async fn an_endpoint_that_forgets_hashes_is_not_taken_for_a_foreign_transaction() {
    let scene = Scene::new().await;
    let id = scene.plan(1).await;
    scene.pass(3).await;
    // Included, and then nobody looked for a day; a public gateway keeps receipts for 20 epochs.
    scene.script.chain().forgets_after = Some(20);
    for _ in 0..1_000 {
        scene.script.chain().advance();
    }
    scene.pass(3).await;
    assert_eq!(scene.state(id).await, "final");
    assert_eq!(scene.store.halts().await.expect("readable").len(), 0);
    assert_eq!(scene.script.chain().received.len(), 1);
}

impl Scene {
    /// Whether the store takes no plan of this process any more.
    async fn plan_refused(&self) -> bool {
        let intent = TxIntent::AddBalance { amount: AttoFil(9) };
        matches!(self.store.plan_tx(&intent, "late").await, Err(store::Error::Fenced { .. }))
    }
}
