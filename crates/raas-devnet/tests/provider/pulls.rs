//! Fetching the bytes: what a good source must do, and what becomes of a bad one.

use crate::source::{Habits, Source};
use crate::support::{BOOST, Net, car, params_json, piece_of};
use raas_devnet::ledger::Fact;
use raas_devnet::provider::Stage;
use std::collections::BTreeMap;

const SIZE: usize = 200_000;

/// Proposes a deal of these bytes at this source, waits until its transfer has ended, and gives its stage.
async fn stage_after(net: &Net, claimed: &[u8], source: &Source) -> Stage {
    let offer = net.offer(BOOST, 1, &piece_of(claimed, None), &source.url());
    let uuid = offer.uuid;
    let answer = net.store(BOOST, &offer.signed()).await.expect("an answer");
    assert!(answer.accepted, "{}", answer.message);
    net.advance(0).await;
    net.stage(BOOST, uuid).expect("it is in the book")
}

fn reason(stage: Stage) -> String {
    match stage {
        Stage::Failed { error, published: None } => error,
        other => panic!("the transfer did not fail: {other:?}"),
    }
}

#[tokio::test]
async fn a_broken_transfer_resumes_where_it_was() {
    let bytes = car(1, SIZE);
    let habits = Habits { break_offs: vec![50_000, 100_000], unavailable: 1, ..Habits::default() };
    let (net, source) = (Net::start().await, Source::with(&bytes, habits).await);
    let stage = stage_after(&net, &bytes, &source).await;
    assert!(matches!(stage, Stage::Fetched { .. }), "{stage:?}");
    let log = source.log();
    let gets: Vec<usize> = log.iter().filter_map(|line| line.strip_prefix("GET ")?.parse().ok()).collect();
    assert_eq!(gets, [0, 100_000, 150_000], "{log:?}");
    net.stop().await;
}

#[tokio::test]
async fn two_redirects_are_followed_and_not_three() {
    for (hops, good) in [(2, true), (3, false)] {
        let bytes = car(2, SIZE);
        let (net, source) =
            (Net::start().await, Source::with(&bytes, Habits { hops, ..Habits::default() }).await);
        let stage = stage_after(&net, &bytes, &source).await;
        assert_eq!(matches!(stage, Stage::Fetched { .. }), good, "{stage:?}");
        if !good {
            assert!(reason(stage).contains("redirects"));
        }
        net.stop().await;
    }
}

#[tokio::test]
async fn headers_are_sent_along() {
    let bytes = car(3, SIZE);
    let secret = ("x-secret".to_owned(), "open sesame".to_owned());
    let habits = Habits { secret: Some(secret.clone()), ..Habits::default() };
    let (net, source) = (Net::start().await, Source::with(&bytes, habits).await);
    let mut offer = net.offer(BOOST, 2, &piece_of(&bytes, None), &source.url());
    offer.transfer.params = params_json(&source.url(), Some(BTreeMap::from([secret])));
    let uuid = offer.uuid;
    assert!(net.store(BOOST, &offer.signed()).await.expect("an answer").accepted);
    net.advance(0).await;
    assert!(matches!(net.stage(BOOST, uuid), Some(Stage::Fetched { .. })));
    net.stop().await;
}

#[tokio::test]
async fn a_bad_source_fails_the_deal_at_once() {
    let bytes = car(4, SIZE);
    let mut other = bytes.clone();
    other[SIZE - 1] ^= 1;
    let cases: Vec<(&str, &[u8], Habits, usize)> = vec![
        ("HEAD tells length 5", &bytes, Habits { claimed_length: Some(5), ..Habits::default() }, 1),
        ("status 404", &bytes, Habits { status: Some(404), ..Habits::default() }, 1),
        ("status 410", &bytes, Habits { status: Some(410), ..Habits::default() }, 1),
        ("commp mismatch", &other, Habits::default(), 2),
        (
            "asked for a range",
            &bytes,
            Habits { no_ranges: true, break_offs: vec![100_000], ..Habits::default() },
            4,
        ),
    ];
    for (expected, served, habits, requests) in cases {
        let (net, source) = (Net::start().await, Source::with(served, habits).await);
        let error = reason(stage_after(&net, &bytes, &source).await);
        assert!(error.contains(expected), "expected {expected:?} in {error:?}");
        assert_eq!(source.log().len(), requests, "{:?}", source.log());
        assert!(net.facts().iter().any(|fact| matches!(fact, Fact::TransferFailed { .. })));
        net.advance(100).await;
        assert!(!net.facts().iter().any(|fact| matches!(fact, Fact::Published { .. })));
        net.stop().await;
    }
}

#[tokio::test]
async fn only_a_car_is_taken() {
    for bytes in [b"this is plain text and no archive, however long it may become".repeat(9), car(5, 20)] {
        let (net, source) = (Net::start().await, Source::of(&bytes).await);
        let error = reason(stage_after(&net, &bytes, &source).await);
        assert!(error.contains("not a CAR"), "{error}");
        net.stop().await;
    }
}

#[tokio::test]
async fn a_source_that_stays_away_is_given_up_in_the_end() {
    let bytes = car(6, SIZE);
    let net = Net::start().await;
    // Nobody listens there; a port that was just given back may be somebody else's by now.
    let offer = net.offer(BOOST, 1, &piece_of(&bytes, None), "http://127.0.0.1:1/piece");
    let uuid = offer.uuid;
    assert!(net.store(BOOST, &offer.signed()).await.expect("an answer").accepted);
    net.advance(0).await;
    let error = reason(net.stage(BOOST, uuid).expect("it is in the book"));
    assert!(error.contains("given up after 15 attempts"), "{error}");
    net.stop().await;
}
