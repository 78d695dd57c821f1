//! What the market takes out of a publish message, what it skips, whom it forbids.

use crate::network::{BOOST, CURIO, Network, piece};
use raas_core::{
    ids::ProviderId,
    units::{AttoFil, Epoch},
};
use raas_devnet::{
    Config,
    codec::{Address, ClientDealProposal, DealProposal, Label, SecretKey, method_number, to_cbor},
    ledger::Fact,
    provider::Mode,
    world::{Command, StateAt},
};
use serde_json::json;

/// Whoever is the network's client publishes by a message of its own. Exit code of the message.
fn publish_by_message(network: &mut Network, batch: &[ClientDealProposal]) -> i64 {
    let params = to_cbor(&(batch,)).unwrap();
    let cid = network.send(method_number("PublishStorageDeals"), AttoFil::ZERO, params).unwrap();
    network.advance(2);
    let found = network.ask("Filecoin.StateSearchMsg", json!([null, { "/": cid.to_string() }, -1, true]));
    found["Receipt"]["ExitCode"].as_i64().unwrap()
}

#[test]
fn a_stranger_may_not_publish() {
    let mut network = Network::new();
    let signed = network.sign(network.proposal(BOOST, &piece(1)));
    assert_eq!(publish_by_message(&mut network, &[signed]), 18);
    assert!(!network.facts().iter().any(|fact| matches!(fact, Fact::Published { .. })));
}

#[test]
fn proposals_no_longer_covered_are_skipped_without_a_word() {
    let mut network = Network::new();
    let pieces: Vec<_> = (1..=3).map(piece).collect();
    let mut cids = Vec::new();
    for piece in &pieces {
        let mut proposal = network.proposal(BOOST, piece);
        // Two of three fit into 10 FIL.
        proposal.price_per_epoch = AttoFil(AttoFil::fil(4).0 / u128::try_from(proposal.duration()).unwrap());
        let signed = network.sign(proposal);
        cids.push(signed.proposal.cid().unwrap());
        assert!(network.offer(signed, piece), "each alone is covered");
    }
    network.advance(network.world.config().publish_delay);
    let published: Vec<bool> = cids.iter().map(|cid| network.world.deal_by_proposal(cid).is_some()).collect();
    assert_eq!(published.iter().filter(|published| **published).count(), 2);
    let skipped: Vec<_> = network
        .facts()
        .into_iter()
        .filter_map(|fact| match fact {
            Fact::PublishSkipped { reason, .. } => Some(reason.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(skipped.len(), 1);
    assert!(skipped[0].contains("client escrow"), "{skipped:?}");
    // The message succeeded; only the bitfield of valid proposals tells.
    let (deal, _) = cids.iter().find_map(|cid| network.world.deal_by_proposal(cid)).unwrap();
    let message = deal.publish_message.to_string();
    network.advance(1);
    let found = network.ask("Filecoin.StateSearchMsg", json!([null, { "/": message }, -1, true]));
    assert_eq!(found["Receipt"]["ExitCode"], 0);
    assert_eq!(found["ReturnDec"]["IDs"].as_array().unwrap().len(), 2);
}

#[test]
fn the_same_proposal_is_never_stored_twice() {
    let mut network = Network::new();
    let piece = piece(1);
    let proposal = network.proposal(BOOST, &piece);
    let signed = network.sign(proposal);
    assert!(network.offer(signed.clone(), &piece));
    assert!(!network.offer(signed.clone(), &piece), "the provider knows it");
    network.advance(100);
    // A worker that publishes it again all the same gets nothing: nothing valid is exit 16.
    let worker = network.world.miner(BOOST).unwrap().worker_key.clone();
    let client = std::mem::replace(&mut network.client, worker);
    assert_eq!(publish_by_message(&mut network, &[signed]), 16);
    network.client = client;
    let published = network.facts().iter().filter(|fact| matches!(fact, Fact::Published { .. })).count();
    assert_eq!(published, 1);
}

#[test]
fn an_ethereum_account_is_refused_as_a_client() {
    let mut network = Network::new();
    let eth = "0x52963ef50e27e06d72d59fcb4f3c2a687be3cfef";
    network.apply(Command::Fund { address: eth.to_owned(), amount: AttoFil::fil(1) });
    let client: Address = "f410fkkld55ioe7qg24wvt7fu6pbknb56ht7pt4zamxa".parse().unwrap();
    let add = method_number("AddBalance");
    network.send(add, AttoFil::fil(10), to_cbor(&client).unwrap()).unwrap();
    network.advance(2);
    let funded = network.world.actors.lookup(&client, network.world.at_head()).unwrap();
    assert_eq!(network.world.market().balance(funded, network.world.at_head()).escrow, AttoFil::fil(10));
    let proposal = DealProposal { client, ..network.proposal(BOOST, &piece(1)) };
    assert!(!network.offer(network.sign(proposal), &piece(1)));
    network.advance(100);
    assert!(!network.facts().iter().any(|fact| matches!(fact, Fact::Published { .. })));
}

/// The market's own checks, reached by a provider that publishes what it refused, whatever it is.
#[test]
fn the_market_checks_what_a_careless_provider_publishes() {
    let mut network = Network::new();
    network.set_mode(CURIO, Mode::RejectThenPublish);
    let piece = piece(1);
    let good = network.proposal(CURIO, &piece);
    let signed = network.sign(good.clone());
    assert!(!network.offer(signed.clone(), &piece), "refused in words");
    network.advance_to(good.start.0 + 1);
    let (deal, _) = network.world.deal_by_proposal(&signed.proposal.cid().unwrap()).expect("and published");
    assert_eq!(deal.proposal.client, Address::Id(network.client_id()), "stored with id addresses");
}

#[test]
fn a_provider_s_collateral_is_finite() {
    let mut network = Network::new();
    let piece = piece(1);
    let mut proposal = network.proposal(BOOST, &piece);
    // More than a provider has, so the provider itself refuses it.
    proposal.provider_collateral = AttoFil::fil(2_000);
    assert!(!network.offer(network.sign(proposal), &piece));
}

#[test]
fn escrow_can_be_taken_back_as_far_as_it_is_free() {
    let mut network = Network::new();
    network.published(BOOST, 1);
    network.advance(1);
    let client = network.client_id();
    let at = network.world.at_head();
    let free = network.world.market().balance(client, at).available();
    let withdraw = method_number("WithdrawBalance");
    let all = raas_devnet::codec::TokenAmount(AttoFil::fil(100));
    let params = to_cbor(&(network.client.address(), all)).unwrap();
    network.send(withdraw, AttoFil::ZERO, params).unwrap();
    network.advance(2);
    let left = network.world.market().balance(client, network.world.at_head());
    assert_eq!((left.escrow, left.available()), (left.locked, AttoFil::ZERO));
    let taken = network.facts().into_iter().any(|fact| {
        matches!(fact, Fact::BalanceWithdrawn { account, amount } if *account == client && *amount == free)
    });
    assert!(taken);
    // Nobody takes another's.
    let thief = SecretKey::from_seed(b"thief");
    network.apply(Command::Fund { address: thief.address().to_string(), amount: AttoFil::fil(1) });
    let owner = network.client.address();
    let victim = std::mem::replace(&mut network.client, thief);
    let cid = network.send(withdraw, AttoFil::ZERO, to_cbor(&(owner, all)).unwrap()).unwrap();
    network.client = victim;
    network.advance(2);
    let found = network.ask("Filecoin.StateSearchMsg", json!([null, { "/": cid.to_string() }, -1, true]));
    assert_eq!(found["Receipt"]["ExitCode"], 18);
}

#[test]
fn deal_ids_do_not_depend_on_the_order_of_arrival() {
    let run = |order: [u8; 3]| {
        let mut network = Network::new();
        let mut offers = Vec::new();
        for seed in order {
            let piece = piece(seed);
            let at = ProviderId::new(1_000 + u64::from(seed % 2));
            let signed = network.sign(network.proposal(at, &piece));
            offers.push((seed, signed.proposal.cid().unwrap()));
            assert!(network.offer(signed, &piece));
        }
        network.advance(1_000);
        offers.sort_unstable();
        let ids: Vec<u64> =
            offers.iter().map(|(_, cid)| network.world.deal_by_proposal(cid).unwrap().0.id.0).collect();
        ids
    };
    assert_eq!(run([1, 2, 3]), run([3, 1, 2]));
}

#[test]
fn the_same_seed_and_commands_give_the_same_ledger() {
    let run = |seed| {
        let mut network = Network::with(&Config { seed, ..Config::default() });
        network.active(BOOST, 1);
        network.apply(Command::NullRounds { count: 2 });
        network.advance(100_000);
        (network.world.ledger.len(), network.world.ledger.hash())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).1, run(2).1);
}

#[test]
fn labels_and_starts_out_of_bounds_are_skipped_by_the_market() {
    // Straight at the market, through the message path of the provider's own worker key.
    let mut network = Network::new();
    let worker = network.world.miner(BOOST).unwrap().worker_key.clone();
    let good = network.proposal(BOOST, &piece(1));
    let bad = [
        DealProposal { label: Label::Text("x".repeat(257)), ..good.clone() },
        DealProposal { start: Epoch(network.clock()), ..good.clone() },
        DealProposal { end: Epoch(good.start.0 + 518_399), ..good.clone() },
        DealProposal { end: Epoch(good.start.0 + 3_680_641), ..good.clone() },
        DealProposal { provider_collateral: AttoFil(1), ..good.clone() },
        DealProposal { verified: true, ..good.clone() },
        DealProposal { piece_size: 100, ..good.clone() },
        DealProposal { provider: Address::id(1_001), ..good.clone() },
    ];
    let mut batch: Vec<_> = std::iter::once(good.clone()).chain(bad).map(|one| network.sign(one)).collect();
    let mut forged = network.sign(DealProposal { label: Label::Bytes(vec![1]), ..good });
    forged.signature = SecretKey::from_seed(b"other").sign(b"anything");
    batch.push(forged);
    let client = std::mem::replace(&mut network.client, worker);
    let exit = publish_by_message(&mut network, &batch);
    network.client = client;
    assert_eq!(exit, 0, "the worker is no stranger");
    let count = |wanted: fn(&Fact) -> bool| network.facts().into_iter().filter(|fact| wanted(fact)).count();
    assert_eq!(count(|fact| matches!(fact, Fact::Published { .. })), 1);
    assert_eq!(count(|fact| matches!(fact, Fact::PublishSkipped { .. })), 9);
    assert_eq!(network.world.market().next_id(StateAt(i64::MAX)).0, 101);
}
