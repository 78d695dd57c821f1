//! Every reason for which a provider refuses a deal, one change at a time to a good one.

use crate::source::Source;
use crate::support::{BOOST, CURIO, LARGE, Net, Offer, car, params_json, piece_of};
use raas_core::ids::ProviderId;
use raas_core::units::{AttoFil, Epoch};
use raas_devnet::Config;
use raas_devnet::codec::{Address, Label, SecretKey, piece_cid_v2, raw_sha256};
use raas_devnet::ledger::Fact;
use raas_devnet::provider::Host as _;

async fn refusal(net: &Net, at: ProviderId, offer: Offer) -> String {
    let answer = net.store(at, &offer.signed()).await.expect("an answer");
    assert!(!answer.accepted, "it was accepted");
    answer.message
}

#[tokio::test]
async fn each_field_is_checked() {
    let net = Net::start().await;
    let bytes = car(1, 2_000);
    let (piece, source) = (piece_of(&bytes, None), Source::of(&bytes).await);
    let head = net.head().0;
    let cid_v2 = piece_cid_v2(&piece);
    type Change = Box<dyn Fn(&mut Offer)>;
    let cases: Vec<(&str, Change)> = vec![
        ("for provider f01001", Box::new(|offer| offer.proposal.provider = Address::id(1001))),
        ("no piece CID", Box::new(|offer| offer.proposal.piece_cid = raw_sha256(b"x"))),
        ("must be v1", Box::new(move |offer| offer.proposal.piece_cid = cid_v2)),
        ("power of two", Box::new(|offer| offer.proposal.piece_size = 3_000)),
        ("power of two", Box::new(|offer| offer.proposal.piece_size = 64)),
        ("above the maximum", Box::new(|offer| offer.proposal.piece_size = 1 << 36)),
        ("does not fit", Box::new(|offer| offer.proposal.piece_size = 1_024)),
        ("transfer size is 0", Box::new(|offer| offer.transfer.size = 0)),
        ("offline", Box::new(|offer| offer.is_offline = true)),
        ("transfer type \"libp2p\"", Box::new(|offer| offer.transfer.r#type = "libp2p".to_owned())),
        ("not JSON", Box::new(|offer| offer.transfer.params = b"{}".to_vec())),
        ("only http", Box::new(|offer| offer.transfer.params = params_json("ftp://example.com/x", None))),
        (
            "must go into a header",
            Box::new(|offer| {
                offer.transfer.params = params_json("http://user:word@example.com/x", None);
            }),
        ),
        ("label has 257", Box::new(|offer| offer.proposal.label = Label::Text("x".repeat(257)))),
        ("too soon", Box::new(move |offer| offer.proposal.start = Epoch(head + 69))),
        ("duration", Box::new(|offer| offer.proposal.end = Epoch(offer.proposal.start.0 + 518_399))),
        ("duration", Box::new(|offer| offer.proposal.end = offer.proposal.start)),
        (
            "ahead of the head",
            Box::new(|offer| offer.proposal.end = Epoch(offer.proposal.start.0 + 3_680_640)),
        ),
        ("collateral", Box::new(|offer| offer.proposal.provider_collateral = AttoFil(1))),
        (
            "collateral",
            Box::new(|offer| {
                offer.proposal.provider_collateral = offer.proposal.provider_collateral.times(2);
            }),
        ),
        ("DataCap", Box::new(|offer| offer.proposal.verified = true)),
        ("below the ask", Box::new(|offer| offer.proposal.price_per_epoch = AttoFil(1))),
        ("escrow", Box::new(|offer| offer.proposal.price_per_epoch = AttoFil::fil(1))),
        ("escrow", Box::new(|offer| offer.proposal.client_collateral = AttoFil::fil(11))),
        ("was made by", Box::new(|offer| offer.signer = SecretKey::from_seed(b"other"))),
        ("has no key", Box::new(|offer| offer.proposal.client = Address::from_eth([7; 20]))),
        (
            "has no key",
            Box::new(|offer| {
                offer.signer = SecretKey::from_seed(b"stranger");
                offer.proposal.client = offer.signer.address();
            }),
        ),
    ];
    for (expected, change) in cases {
        let mut offer = net.offer(BOOST, 1, &piece, &source.url());
        change(&mut offer);
        let message = refusal(&net, BOOST, offer).await;
        assert!(message.contains(expected), "expected {expected:?} in {message:?}");
    }
    let offer = net.offer(LARGE, 1, &piece, &source.url());
    assert!(refusal(&net, LARGE, offer).await.contains("below the minimum of 1073741824"));
    let refused =
        net.facts().into_iter().filter(|fact| matches!(fact, Fact::Proposed { accepted: false, .. })).count();
    assert_eq!(refused, 28, "the ledger knows of every one");
    let good = net.offer(BOOST, 1, &piece, &source.url()).signed();
    assert!(net.store(BOOST, &good).await.expect("an answer").accepted, "a refused UUID can be used again");
    net.stop().await;
}

#[tokio::test]
async fn an_id_address_is_as_good_as_its_key() {
    let net = Net::start().await;
    let bytes = car(2, 2_000);
    let (piece, source) = (piece_of(&bytes, None), Source::of(&bytes).await);
    let id = net.owner.read(|world| {
        world.actors.lookup(&net.client.address(), world.at_head()).expect("the client has an actor")
    });
    let mut offer = net.offer(CURIO, 1, &piece, &source.url());
    offer.proposal.client = Address::Id(id);
    assert!(net.store(CURIO, &offer.signed()).await.expect("an answer").accepted);
    net.stop().await;
}

#[tokio::test]
async fn the_least_good_values_are_taken() {
    let net = Net::start().await;
    let bytes = car(3, 2_000);
    let (piece, source) = (piece_of(&bytes, None), Source::of(&bytes).await);
    let mut offer = net.offer(BOOST, 1, &piece, &source.url());
    offer.proposal.start = Epoch(net.head().0 + 70);
    offer.proposal.end = Epoch(offer.proposal.start.0 + 518_400);
    offer.proposal.label = Label::Bytes(vec![0xff; 256]);
    let ask = net.owner.read(|world| world.book.get(BOOST).expect("it exists").terms().ask);
    offer.proposal.price_per_epoch = AttoFil((ask.0 * u128::from(piece.padded_size.get())) >> 30);
    let uuid = offer.uuid;
    assert!(net.store(BOOST, &offer.signed()).await.expect("an answer").accepted);
    net.advance(72).await;
    assert!(net.sealed(BOOST, uuid).is_some(), "the start leaves just enough time");
    net.stop().await;
}

#[tokio::test]
async fn private_addresses_are_refused_unless_allowed() {
    let net = Net::with(Config { allow_private: false, ..Config::default() }).await;
    let bytes = car(4, 2_000);
    let (piece, source) = (piece_of(&bytes, None), Source::of(&bytes).await);
    let offer = net.offer(BOOST, 1, &piece, &source.url());
    let message = refusal(&net, BOOST, offer).await;
    assert!(message.contains("allow_private"), "{message}");
    assert!(source.log().is_empty());
    net.stop().await;
}
