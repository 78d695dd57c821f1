//! Each way in which a provider misbehaves.

use crate::source::{Habits, Source};
use crate::support::{BOOST, CURIO, Net, Offer, car, piece_of};
use raas_core::ids::ProviderId;
use raas_devnet::codec::{Piece, piece_cid_v1};
use raas_devnet::ledger::Fact;
use raas_devnet::provider::{Mode, SLOW_EPOCHS, Stage};

/// Enough for fetching, publishing and sealing.
const LEAD: i64 = 75;

struct Case {
    net: Net,
    bytes: Vec<u8>,
    piece: Piece,
    source: Source,
}

impl Case {
    async fn new(seed: u64) -> Self {
        Self::with(seed, Habits::default()).await
    }

    async fn with(seed: u64, habits: Habits) -> Self {
        let bytes = car(seed, 3_000);
        let (piece, source) = (piece_of(&bytes, None), Source::with(&bytes, habits).await);
        Self { net: Net::start().await, bytes, piece, source }
    }

    /// Offers of one piece differ by their start epoch, so that each is a proposal of its own.
    fn offer(&self, at: ProviderId, number: u8) -> Offer {
        let mut offer = self.net.offer(at, number, &self.piece, &self.source.url());
        offer.proposal.start.0 += i64::from(number);
        offer
    }
}

#[tokio::test]
async fn offline_answers_nothing_and_does_nothing() {
    let case = Case::new(1).await;
    let net = &case.net;
    net.set_mode(BOOST, Mode::Offline, Some(3));
    let offer = case.offer(BOOST, 1);
    let uuid = offer.uuid;
    let params = offer.signed();
    assert!(net.store(BOOST, &params).await.is_none());
    assert!(net.status(BOOST, uuid).await.is_none());
    assert!(net.get(BOOST, &piece_cid_v1(case.piece.commitment), None).await.is_err());
    assert_eq!(net.mode(BOOST), Mode::Normal, "three requests were three times");
    assert!(net.stage(BOOST, uuid).is_none());
    assert!(net.store(BOOST, &params).await.expect("an answer").accepted);
    case.net.stop().await;
}

#[tokio::test]
async fn a_dropped_reply_is_an_act_all_the_same() {
    let case = Case::new(2).await;
    let net = &case.net;
    net.set_mode(BOOST, Mode::DropReply, Some(1));
    let offer = case.offer(BOOST, 1);
    let uuid = offer.uuid;
    let params = offer.signed();
    assert!(net.store(BOOST, &params).await.is_none());
    assert!(net.stage(BOOST, uuid).is_some());
    assert!(net.store(BOOST, &params).await.expect("an answer").accepted, "asking again is harmless");
    net.advance(LEAD).await;
    assert!(net.sealed(BOOST, uuid).is_some());
    let published = net.facts().into_iter().filter(|fact| matches!(fact, Fact::Published { .. })).count();
    assert_eq!(published, 1);
    case.net.stop().await;
}

#[tokio::test]
async fn a_rejection_leaves_nothing() {
    let case = Case::new(3).await;
    let net = &case.net;
    net.set_mode(BOOST, Mode::Reject, Some(1));
    let offer = case.offer(BOOST, 1);
    let uuid = offer.uuid;
    let answer = net.store(BOOST, &offer.signed()).await.expect("an answer");
    assert!(!answer.accepted && answer.message.contains("rejected"), "{}", answer.message);
    net.advance(10_000).await;
    assert!(net.stage(BOOST, uuid).is_none());
    assert!(case.source.log().is_empty());
    case.net.stop().await;
}

#[tokio::test]
async fn a_rejected_deal_may_be_published_before_its_start() {
    let case = Case::new(4).await;
    let net = &case.net;
    net.set_mode(BOOST, Mode::RejectThenPublish, Some(1));
    let offer = case.offer(BOOST, 1);
    let (uuid, start, head) = (offer.uuid, offer.proposal.start, net.head());
    let params = offer.signed();
    assert!(!net.store(BOOST, &params).await.expect("an answer").accepted);
    assert!(!net.store(BOOST, &params).await.expect("an answer").accepted, "it stays with its word");
    assert!(net.status(BOOST, uuid).await.expect("an answer").deal_status.is_none(), "and knows of nothing");
    net.advance(LEAD).await;
    assert_eq!(net.stage(BOOST, uuid), Some(Stage::Fetched { at: head }));
    net.advance((start.0 - head.0) / 2).await;
    let published = net.facts().into_iter().any(|fact| matches!(fact, Fact::Published { .. }));
    assert!(published && net.head() < start);
    net.advance(LEAD).await;
    assert!(net.sealed(BOOST, uuid).is_some(), "it has the bytes, so it seals");
    case.net.stop().await;
}

#[tokio::test]
async fn a_rejected_deal_without_bytes_is_published_and_never_proven() {
    let case = Case::with(5, Habits { status: Some(404), ..Habits::default() }).await;
    let net = &case.net;
    net.set_mode(BOOST, Mode::RejectThenPublish, Some(1));
    assert!(!net.store(BOOST, &case.offer(BOOST, 1).signed()).await.expect("an answer").accepted);
    net.advance(10_000).await;
    let facts = net.facts();
    assert!(facts.iter().any(|fact| matches!(fact, Fact::Published { .. })));
    assert!(facts.iter().any(|fact| matches!(fact, Fact::NeverActivated { .. })));
    assert!(!facts.iter().any(|fact| matches!(fact, Fact::Activated { .. })));
    case.net.stop().await;
}

#[tokio::test]
async fn one_that_vanishes_says_yes_and_then_nothing() {
    let case = Case::new(6).await;
    let net = &case.net;
    net.set_mode(BOOST, Mode::AcceptAndVanish, Some(1));
    let offer = case.offer(BOOST, 1);
    let uuid = offer.uuid;
    assert!(net.store(BOOST, &offer.signed()).await.expect("an answer").accepted);
    net.advance(10_000).await;
    assert!(net.status(BOOST, uuid).await.is_none());
    assert!(case.source.log().is_empty());
    assert!(!net.facts().iter().any(|fact| matches!(fact, Fact::Published { .. })));
    let next = case.offer(BOOST, 2);
    let uuid = next.uuid;
    assert!(net.store(BOOST, &next.signed()).await.expect("an answer").accepted);
    net.advance(LEAD).await;
    assert!(net.sealed(BOOST, uuid).is_some(), "the next deal is a normal one");
    case.net.stop().await;
}

#[tokio::test]
async fn one_that_never_seals_publishes_only() {
    let case = Case::new(7).await;
    let net = &case.net;
    net.set_mode(CURIO, Mode::NeverSeal, None);
    let offer = case.offer(CURIO, 1);
    let uuid = offer.uuid;
    assert!(net.store(CURIO, &offer.signed()).await.expect("an answer").accepted);
    net.advance(10_000).await;
    assert!(matches!(net.stage(CURIO, uuid), Some(Stage::Published { .. })));
    assert!(net.facts().iter().any(|fact| matches!(fact, Fact::NeverActivated { provider: CURIO, .. })));
    assert_eq!(net.mode(CURIO), Mode::NeverSeal, "without a count it goes on");
    case.net.stop().await;
}

#[tokio::test]
async fn a_slow_one_fetches_a_day_later() {
    let case = Case::new(8).await;
    let net = &case.net;
    net.set_mode(BOOST, Mode::Slow, Some(1));
    let offer = case.offer(BOOST, 1);
    let uuid = offer.uuid;
    assert!(net.store(BOOST, &offer.signed()).await.expect("an answer").accepted);
    net.advance(SLOW_EPOCHS - 1).await;
    assert!(case.source.log().is_empty());
    assert_eq!(net.words(BOOST, uuid).await.0, "Accepted");
    net.advance(LEAD + 2).await;
    assert!(net.sealed(BOOST, uuid).is_some());
    case.net.stop().await;
}

#[tokio::test]
async fn wrong_bytes_have_the_right_length_and_another_commitment() {
    let case = Case::new(9).await;
    let net = &case.net;
    for provider in [BOOST, CURIO] {
        assert!(net.store(provider, &case.offer(provider, 1).signed()).await.expect("an answer").accepted);
    }
    net.advance(LEAD).await;
    let cid = piece_cid_v1(case.piece.commitment);
    for provider in [BOOST, CURIO] {
        let right = net.bytes(provider, &cid).await;
        net.set_mode(provider, Mode::WrongBytes, Some(1));
        let head =
            net.http().head(net.url(provider, &format!("/piece/{cid}"))).send().await.expect("an answer");
        assert_eq!(head.status(), 200, "a HEAD spends nothing");
        let wrong = net.bytes(provider, &cid).await;
        assert_eq!(wrong.len(), right.len());
        assert_ne!(piece_of(&wrong, None).commitment, case.piece.commitment);
        assert_eq!(net.bytes(provider, &cid).await, right);
        assert_eq!(right[..3_000], case.bytes);
        net.set_mode(provider, Mode::WrongBytes, None);
        let part = net.get(provider, &cid, Some("bytes=2990-2999")).await.expect("an answer");
        assert_eq!(
            part.bytes().await.expect("a body")[..],
            wrong[2_990..3_000],
            "the same wrong bytes by range"
        );
    }
    case.net.stop().await;
}

#[tokio::test]
async fn without_an_unsealed_copy_nothing_is_served() {
    let case = Case::new(10).await;
    let net = &case.net;
    let cid = piece_cid_v1(case.piece.commitment);
    for (provider, status) in [(BOOST, 500), (CURIO, 404)] {
        let offer = case.offer(provider, 1);
        assert!(net.store(provider, &offer.signed()).await.expect("an answer").accepted);
        net.advance(LEAD).await;
        net.set_mode(provider, Mode::NoUnsealed, Some(1));
        assert_eq!(net.get(provider, &cid, None).await.expect("an answer").status(), status);
        assert_eq!(net.bytes(provider, &cid).await[..3_000], case.bytes);
    }
    case.net.stop().await;
}
