//! Tipsets, null rounds, finality, and how much work time costs.

use crate::network::{BOOST, Network};
use raas_devnet::{Config, world::Command};
use serde_json::json;

#[test]
fn null_rounds_are_skipped_the_way_each_api_skips_them() {
    let mut network = Network::new();
    let head = network.clock();
    network.apply(Command::NullRounds { count: 3 });
    network.advance(5);
    assert_eq!(network.ask("Filecoin.ChainHead", json!([]))["Height"], head + 5);
    for round in head + 1..=head + 3 {
        let earlier = network.ask("Filecoin.ChainGetTipSetByHeight", json!([round, null]));
        assert_eq!(earlier["Height"], head);
        let later = network.ask("Filecoin.ChainGetTipSetAfterHeight", json!([round, null]));
        assert_eq!(later["Height"], head + 4);
        let error = network
            .call("eth_getBlockByNumber", json!([format!("{round:#x}"), false]))
            .expect_err("there is no such block");
        assert_eq!(error.code, 12);
        assert_eq!(error.message, format!("requested epoch was a null round ({round})"));
        assert_eq!(error.data, Some(json!(round)));
    }
    let after = network.ask("Filecoin.ChainGetTipSetByHeight", json!([head + 4, null]));
    let before = network.ask("Filecoin.ChainGetTipSetByHeight", json!([head, null]));
    assert_eq!(after["Blocks"][0]["Parents"], before["Cids"]);
    let seconds = |tipset: &serde_json::Value| tipset["Blocks"][0]["Timestamp"].as_u64().unwrap();
    assert_eq!(seconds(&after) - seconds(&before), 4 * 30);
}

#[test]
fn while_the_clock_stands_on_a_null_round_the_head_is_the_tipset_before() {
    let mut network = Network::new();
    let head = network.clock();
    network.apply(Command::NullRounds { count: 2 });
    network.advance(1);
    assert_eq!(network.clock(), head + 1);
    assert_eq!(network.ask("Filecoin.ChainHead", json!([]))["Height"], head);
}

#[test]
fn messages_wait_for_the_tipset_after_the_null_rounds() {
    let mut network = Network::new();
    let head = network.clock();
    network.apply(Command::NullRounds { count: 2 });
    let cid = network.send(0, raas_core::units::AttoFil(5), Vec::new()).unwrap();
    network.advance(4);
    let found = network.ask("Filecoin.StateSearchMsg", json!([null, { "/": cid.to_string() }, -1, true]));
    // Included at +3, executed by its child at +4.
    assert_eq!(found["Height"], head + 4);
}

#[test]
fn keys_name_their_tipsets_and_no_others() {
    let mut network = Network::new();
    network.advance(10);
    let tipset = network.ask("Filecoin.ChainGetTipSetByHeight", json!([network.clock() - 4, null]));
    assert_eq!(network.ask("Filecoin.ChainGetTipSet", json!([tipset["Cids"]])), tipset);
    let mut other = Network::with(&Config { seed: 2, ..Config::default() });
    let foreign = other.ask("Filecoin.ChainHead", json!([]))["Cids"].clone();
    assert!(network.call("Filecoin.ChainGetTipSet", json!([foreign])).is_err());
    // A tipset that does not exist yet is not known by its key either.
    let clock = network.clock();
    let future = network.world.chain().key(clock + 1)[0].to_string();
    assert!(network.call("Filecoin.ChainGetTipSet", json!([[{ "/": future }]])).is_err());
}

#[test]
fn asking_for_the_future_or_below_zero_is_refused_in_the_words_of_lotus() {
    let mut network = Network::new();
    let head = network.clock();
    let future =
        network.call("Filecoin.ChainGetTipSetByHeight", json!([head + 1, null])).expect_err("future");
    assert_eq!(
        (future.code, future.message),
        (
            1,
            format!(
                "looking for tipset with height greater than start point, req: {}, head: {head}",
                head + 1
            )
        )
    );
    let negative =
        network.call("Filecoin.ChainGetTipSetAfterHeight", json!([-1, null])).expect_err("negative");
    assert_eq!((negative.code, negative.message.as_str()), (1, "height -1 is negative"));
}

#[test]
fn the_finalized_tipset_lags_by_the_configured_distance_and_is_never_null() {
    let mut network = Network::with(&Config { finality_lag: 5, ..Config::default() });
    let head = network.clock();
    network.apply(Command::NullRounds { count: 2 });
    network.advance(7);
    // Head at +7, five back is +2, which is null, so the tipset before.
    assert_eq!(network.ask("Filecoin.ChainGetFinalizedTipSet", json!([]))["Height"], head);
    network.advance(1);
    assert_eq!(network.ask("Filecoin.ChainGetFinalizedTipSet", json!([]))["Height"], head + 3);
}

#[test]
fn half_a_million_empty_epochs_are_no_work() {
    let mut network = Network::new();
    network.active(BOOST, 1);
    network.advance(10_000);
    let before = network.world.steps();
    network.advance(500_000);
    let worked = network.world.steps() - before;
    assert!(worked < 10, "{worked} steps for one healthy deal");
    // Every tipset in between can be read all the same.
    let middle = network.clock() - 250_000;
    assert_eq!(network.ask("Filecoin.ChainGetTipSetByHeight", json!([middle, null]))["Height"], middle);
}

#[test]
fn next_event_leads_from_change_to_change_and_to_its_finality() {
    let mut network = Network::new();
    network.advance(100);
    assert_eq!(network.world.next_event(), None);
    let clock = network.clock();
    network.send(0, raas_core::units::AttoFil(5), Vec::new()).unwrap();
    let mut seen = Vec::new();
    while let Some(next) = network.world.next_event() {
        seen.push(next - clock);
        network.advance_to(next);
    }
    // Included, visible, final.
    assert_eq!(seen, [1, 2, 22]);
}
