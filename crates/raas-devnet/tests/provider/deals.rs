//! The whole way of a deal, and what a provider says and serves on it.

use crate::source::Source;
use crate::support::{BOOST, CURIO, LARGE, Net, ROOT, car, piece_of};
use raas_core::ids::{DealId, ProviderId};
use raas_core::units::AttoFil;
use raas_devnet::codec::{DealStatusRequest, DealUuid};
use raas_devnet::codec::{Piece, SecretKey, TokenAmount, piece_cid_v1, piece_cid_v2, to_cbor};
use raas_devnet::ledger::Fact;
use raas_devnet::provider::Host as _;
use raas_devnet::world::{Command, Sectors};

const PUBLISH_DELAY: i64 = 10;
const SEAL_DELAY: i64 = 60;

#[tokio::test]
async fn a_deal_goes_from_proposal_to_a_served_piece_as_boost_does() {
    let net = Net::start().await;
    let bytes = car(1, 300_000);
    let (piece, source) = (piece_of(&bytes, None), Source::of(&bytes).await);
    let offer = net.offer(BOOST, 1, &piece, &source.url());
    let uuid = offer.uuid;
    let params = offer.signed();
    let answer = net.store(BOOST, &params).await.expect("an answer");
    assert_eq!((answer.accepted, answer.message.as_str()), (true, ""));
    net.advance(0).await;
    assert_eq!(source.log(), ["HEAD -", "GET 0"]);

    let status = net.status(BOOST, uuid).await.expect("an answer");
    assert_eq!((status.transfer_size, status.bytes_received), (300_000, 300_000));
    let deal = status.deal_status.expect("known");
    assert_eq!((deal.status.as_str(), deal.chain_deal_id, deal.publish_cid), ("Transferred", 0, None));
    assert_eq!(deal.proposal, params.client_deal_proposal.proposal);
    assert_eq!(deal.signed_proposal_cid, params.client_deal_proposal.cid().expect("encodes"));

    net.advance(PUBLISH_DELAY + 1).await;
    let deal = net.status(BOOST, uuid).await.expect("an answer").deal_status.expect("known");
    assert_eq!(deal.status, "AddedPiece");
    assert!(deal.publish_cid.is_some());
    let id = DealId(deal.chain_deal_id);
    let cid = piece_cid_v1(piece.commitment);
    assert_eq!(net.get(BOOST, &cid, None).await.expect("an answer").status(), 404, "not sealed yet");

    net.advance(SEAL_DELAY + 1).await;
    let (sealed, sector) = net.sealed(BOOST, uuid).expect("sealed");
    assert_eq!(sealed, id);
    assert_eq!(net.words(BOOST, uuid).await, ("Complete".to_owned(), String::new()));
    let body = net.bytes(BOOST, &cid).await;
    assert_eq!(body.len(), 520_192, "the whole unpadded piece");
    assert_eq!(body[..bytes.len()], bytes);
    assert!(body[bytes.len()..].iter().all(|byte| *byte == 0));
    assert_eq!(net.bytes(BOOST, &piece_cid_v2(&piece)).await, body);

    let facts = net.facts();
    assert!(facts.iter().any(|fact| matches!(fact, Fact::Proposed { accepted: true, .. })));
    assert!(facts.iter().any(|fact| matches!(fact, Fact::Transferred { provider: BOOST, .. })));
    assert!(facts.iter().any(|fact| matches!(
        fact,
        Fact::Published { deal_id, provider: BOOST, label, .. } if *deal_id == id && label == ROOT
    )));
    assert!(facts.iter().any(|fact| matches!(fact, Fact::Activated { deal_id, .. } if *deal_id == id)));

    let all = Sectors { provider: BOOST, sectors: Some(vec![sector]) };
    net.command(&Command::Fault(all.clone()));
    net.advance(2 * 2_880).await;
    assert!(net.facts().iter().any(|fact| matches!(fact, Fact::Faulted { .. })));
    assert_eq!(net.bytes(BOOST, &cid).await, body, "a faulty sector still serves");
    net.command(&Command::Terminate(all));
    net.advance(2).await;
    assert_eq!(net.get(BOOST, &cid, None).await.expect("an answer").status(), 404, "terminated");
    net.stop().await;
}

#[tokio::test]
async fn curio_says_little_and_serves_the_raw_size() {
    let net = Net::start().await;
    let bytes = car(2, 10_000);
    let (piece, source) = (piece_of(&bytes, None), Source::of(&bytes).await);
    let offer = net.offer(CURIO, 1, &piece, &source.url());
    let uuid = offer.uuid;
    assert!(net.store(CURIO, &offer.signed()).await.expect("an answer").accepted);
    for _ in 0..3 {
        let status = net.status(CURIO, uuid).await.expect("an answer");
        assert_eq!((status.transfer_size, status.bytes_received), (1, 1));
        let deal = status.deal_status.expect("known");
        assert_eq!(
            (deal.status.as_str(), deal.sealing_status.as_str()),
            ("Processing", "Not assigned to sector")
        );
        assert_eq!((deal.chain_deal_id, deal.publish_cid), (0, None));
        net.advance(PUBLISH_DELAY + 5).await;
    }
    net.advance(SEAL_DELAY).await;
    let deal = net.status(CURIO, uuid).await.expect("an answer").deal_status.expect("known");
    assert_eq!((deal.status.as_str(), deal.chain_deal_id), ("Sealed", 0), "never an id");
    assert!(net.sealed(CURIO, uuid).is_some());
    assert_eq!(net.bytes(CURIO, &piece_cid_v1(piece.commitment)).await, bytes);

    let stranger = DealStatusRequest { deal_uuid: uuid, signature: SecretKey::from_seed(b"x").sign(&uuid.0) };
    assert!(
        net.status_as(CURIO, &stranger).await.expect("an answer").deal_status.is_some(),
        "it does not verify"
    );
    net.stop().await;
}

#[tokio::test]
async fn pieces_are_served_by_range_and_head() {
    let net = Net::start().await;
    let bytes = car(3, 5_000);
    let (piece, source) = (piece_of(&bytes, None), Source::of(&bytes).await);
    assert!(
        net.store(BOOST, &net.offer(BOOST, 1, &piece, &source.url()).signed())
            .await
            .expect("answer")
            .accepted
    );
    net.advance(PUBLISH_DELAY + SEAL_DELAY + 2).await;
    let cid = piece_cid_v1(piece.commitment);
    let part = net.get(BOOST, &cid, Some("bytes=4990-5009")).await.expect("an answer");
    assert_eq!(part.status(), 206);
    assert_eq!(part.headers()["content-range"], "bytes 4990-5009/8128");
    assert_eq!(part.bytes().await.expect("a body")[..], [&bytes[4_990..], &[0; 10]].concat());
    let tail = net.get(BOOST, &cid, Some("bytes=-8")).await.expect("an answer");
    assert_eq!(tail.bytes().await.expect("a body")[..], [0; 8]);
    let beyond = net.get(BOOST, &cid, Some("bytes=8128-")).await.expect("an answer");
    assert_eq!(beyond.status(), 416);
    let head = net.http().head(net.url(BOOST, &format!("/piece/{cid}"))).send().await.expect("an answer");
    assert_eq!(
        (head.status().as_u16(), &head.headers()["content-length"]),
        (200, &"8128".parse().expect("a value"))
    );
    assert_eq!(head.headers()["content-type"], "application/piece");
    let other = piece_cid_v1(piece_of(b"other", None).commitment);
    assert_eq!(net.get(BOOST, &other, None).await.expect("an answer").status(), 404);
    net.stop().await;
}

#[tokio::test]
async fn the_same_proposal_is_one_deal() {
    let net = Net::start().await;
    let bytes = car(4, 2_000);
    let (piece, source) = (piece_of(&bytes, None), Source::of(&bytes).await);
    let offer = net.offer(BOOST, 1, &piece, &source.url());
    let params = offer.clone().signed();
    for _ in 0..3 {
        assert!(
            net.store(BOOST, &params).await.expect("an answer").accepted,
            "the same bytes, the same answer"
        );
    }
    let mut changed = offer.clone();
    changed.transfer.client_id = "other".to_owned();
    let answer = net.store(BOOST, &changed.signed()).await.expect("an answer");
    assert!(!answer.accepted && answer.message.contains("already used"), "{}", answer.message);
    let mut again = offer;
    again.uuid = DealUuid([9; 16]);
    let answer = net.store(BOOST, &again.signed()).await.expect("an answer");
    assert!(!answer.accepted && answer.message.contains("already proposed"), "{}", answer.message);
    net.advance(PUBLISH_DELAY + SEAL_DELAY + 2).await;
    let published = net.facts().into_iter().filter(|fact| matches!(fact, Fact::Published { .. })).count();
    assert_eq!(published, 1);
    net.stop().await;
}

#[tokio::test]
async fn deals_of_one_epoch_share_message_and_sector() {
    let net = Net::start().await;
    let mut uuids = Vec::new();
    let mut sources = Vec::new();
    for seed in 1..=3u8 {
        let bytes = car(u64::from(seed), 1_000 * usize::from(seed));
        let source = Source::of(&bytes).await;
        let offer = net.offer(BOOST, seed, &piece_of(&bytes, None), &source.url());
        uuids.push(offer.uuid);
        assert!(net.store(BOOST, &offer.signed()).await.expect("an answer").accepted);
        sources.push(source);
    }
    net.advance(PUBLISH_DELAY + SEAL_DELAY + 2).await;
    let sealed: Vec<_> = uuids.iter().map(|uuid| net.sealed(BOOST, *uuid).expect("sealed")).collect();
    assert!(sealed.iter().all(|(_, sector)| *sector == sealed[0].1));
    let mut ids: Vec<u64> = sealed.iter().map(|(deal, _)| deal.0).collect();
    ids.sort_unstable();
    assert_eq!(ids, [ids[0], ids[0] + 1, ids[0] + 2]);
    net.stop().await;
}

#[tokio::test]
async fn a_publish_skips_what_is_no_longer_covered() {
    let net = Net::start().await;
    let mut offers = Vec::new();
    let mut sources = Vec::new();
    for seed in 1..=2u8 {
        let bytes = car(u64::from(seed), 2_000);
        let source = Source::of(&bytes).await;
        let mut offer = net.offer(BOOST, seed, &piece_of(&bytes, None), &source.url());
        // Six of ten FIL each: either is covered, both are not.
        offer.proposal.price_per_epoch =
            AttoFil(AttoFil::fil(6).0 / u128::from(offer.proposal.duration().unsigned_abs()));
        offers.push(offer);
        sources.push(source);
    }
    for offer in &offers {
        assert!(net.store(BOOST, &offer.clone().signed()).await.expect("an answer").accepted);
    }
    net.advance(PUBLISH_DELAY + SEAL_DELAY + 2).await;
    let sealed = offers.iter().filter(|offer| net.sealed(BOOST, offer.uuid).is_some()).count();
    assert_eq!(sealed, 1);
    let dropped = offers.iter().find(|offer| net.sealed(BOOST, offer.uuid).is_none()).expect("one of them");
    let (_, error) = net.words(BOOST, dropped.uuid).await;
    assert!(error.contains("escrow"), "{error}");
    assert!(net.facts().iter().any(|fact| matches!(fact, Fact::PublishSkipped { .. })));
    net.stop().await;
}

#[tokio::test]
async fn boost_takes_a_larger_piece_than_needed_and_curio_does_not() {
    let net = Net::start().await;
    let bytes = car(5, 2_000);
    let (piece, source) = (piece_of(&bytes, Some(65_536)), Source::of(&bytes).await);
    let offer = net.offer(BOOST, 1, &piece, &source.url());
    let uuid = offer.uuid;
    assert!(net.store(BOOST, &offer.signed()).await.expect("an answer").accepted);
    net.advance(PUBLISH_DELAY + SEAL_DELAY + 2).await;
    assert!(net.sealed(BOOST, uuid).is_some());
    assert_eq!(net.bytes(BOOST, &piece_cid_v1(piece.commitment)).await.len(), 65_024);
    let answer =
        net.store(CURIO, &net.offer(CURIO, 2, &piece, &source.url()).signed()).await.expect("an answer");
    assert!(answer.message.contains("over-padded"), "{}", answer.message);
    net.stop().await;
}

#[tokio::test]
async fn asks_are_signed_by_the_worker() {
    let net = Net::start().await;
    for provider in [BOOST, CURIO, LARGE] {
        let signed = net.ask(provider, provider).await.ask.expect("its own ask");
        let (ask, signature) = (signed.ask.expect("an ask"), signed.signature.expect("a signature"));
        let worker = net.owner.read(|world| world.miner(provider).expect("it exists").worker_key.address());
        assert_eq!(signature.verify(&to_cbor(&ask).expect("encodes"), &worker), Ok(()));
        assert!(ask.price > TokenAmount(AttoFil::ZERO));
        let least = if provider == LARGE { 1 << 30 } else { 128 };
        assert_eq!((ask.min_piece_size, ask.max_piece_size), (least, 32 << 30));
        assert_eq!(ask.timestamp, net.head());
        assert!(net.ask(provider, ProviderId::new(9999)).await.ask.is_none());
    }
    net.stop().await;
}

#[tokio::test]
async fn a_stranger_learns_nothing_from_boost() {
    let net = Net::start().await;
    let bytes = car(6, 2_000);
    let (piece, source) = (piece_of(&bytes, None), Source::of(&bytes).await);
    let offer = net.offer(BOOST, 1, &piece, &source.url());
    let uuid = offer.uuid;
    assert!(net.store(BOOST, &offer.signed()).await.expect("an answer").accepted);
    let stranger = DealStatusRequest { deal_uuid: uuid, signature: SecretKey::from_seed(b"x").sign(&uuid.0) };
    let status = net.status_as(BOOST, &stranger).await.expect("an answer");
    assert!(status.deal_status.is_none() && status.error.contains("signature"));
    let unknown = net.status(BOOST, DealUuid([7; 16])).await.expect("an answer");
    assert!(unknown.deal_status.is_none() && unknown.error.contains("07070707-0707"));
    net.stop().await;
}

/// A journal of commands brings a book back, and bytes are found again by their commitment.
#[tokio::test]
async fn commands_survive_as_json_and_bytes_on_disk() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = raas_devnet::Config {
        allow_private: true,
        data_dir: Some(dir.path().to_owned()),
        ..raas_devnet::Config::default()
    };
    let net = Net::with(config.clone()).await;
    let bytes = car(7, 2_000);
    let (piece, source): (Piece, _) = (piece_of(&bytes, None), Source::of(&bytes).await);
    let cid = piece_cid_v1(piece.commitment);
    net.record();
    assert!(
        net.store(CURIO, &net.offer(CURIO, 1, &piece, &source.url()).signed())
            .await
            .expect("answer")
            .accepted
    );
    net.advance(PUBLISH_DELAY + SEAL_DELAY + 2).await;
    assert_eq!(net.bytes(CURIO, &cid).await, bytes);
    let (hash, journal) = (net.hash(), net.recorded());
    net.stop().await;

    let again = Net::with(config).await;
    for line in journal.iter().map(|command| serde_json::to_string(command).expect("JSON")) {
        again.command(&serde_json::from_str(&line).expect("the same command"));
    }
    assert_eq!(again.hash(), hash);
    assert_eq!(again.bytes(CURIO, &cid).await, bytes);
    again.stop().await;
}
