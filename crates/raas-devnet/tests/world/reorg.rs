//! Reorganisations: everything goes back together, and what must come again does.

use crate::{
    bulk::partitions,
    network::{BOOST, CURIO, Network, piece},
    registry::{allocate, onboard, request, with_datacap},
};
use alloy_primitives::{Address, U256};
use raas_core::{ids::SectorNumber, units::AttoFil};
use raas_devnet::{
    codec::{method_number, to_cbor},
    fevm::EthKey,
    ledger::Fact,
    world::{BulkOrder, Command, CommandError, OnboardOrder, Outcome, ReorgOrder, Reorganised, Sectors},
};
use serde_json::{Value, json};

const OTHER: Address = Address::repeat_byte(0x42);

fn reorg(network: &mut Network, order: ReorgOrder) -> Reorganised {
    match network.apply(Command::Reorg(order)) {
        Outcome::Reorganised(done) => done,
        other => panic!("{other:?}"),
    }
}

fn deep(depth: i64) -> ReorgOrder {
    ReorgOrder { depth, ..ReorgOrder::default() }
}

fn key() -> EthKey {
    EthKey::from_bytes(&[7; 32]).unwrap()
}

fn pay(network: &mut Network, amount: u64) -> String {
    network.world.eth_send(&key(), Some(OTHER), U256::from(amount), Vec::new()).unwrap().to_string()
}

/// Something of everything, one step at a time; `after` runs after each.
fn live(network: &mut Network, after: &mut dyn FnMut(&mut Network)) {
    let bulk = BulkOrder {
        provider: CURIO,
        count: 500,
        first_piece: 0,
        piece_size: 32 << 30,
        deals_per_sector: 1,
        duration: 700_000,
        pending: 3,
        seal_in: Some(25),
        client: None,
    };
    let funded = key().address().to_string();
    network.apply(Command::Fund { address: funded, amount: AttoFil::fil(100) });
    after(network);
    for round in 0..3_u8 {
        pay(network, 5 + u64::from(round));
        network.published(BOOST, 10 + round);
        after(network);
        network.advance(7);
        if round == 1 {
            network.apply(Command::Bulk(bulk.clone()));
            after(network);
        }
        pay(network, 50);
        network.published(CURIO, 20 + round);
        network.advance(31);
        after(network);
        network
            .send(method_number("AddBalance"), AttoFil::fil(1), to_cbor(&network.client.address()).unwrap())
            .unwrap();
        network.advance(40);
        after(network);
    }
    let sectors = Some(vec![SectorNumber(0)]);
    network.apply(Command::Fault(Sectors { provider: BOOST, sectors: sectors.clone() }));
    after(network);
    network.advance(2_900);
    after(network);
    network.apply(Command::Terminate(Sectors { provider: BOOST, sectors: Some(vec![SectorNumber(1)]) }));
    network.apply(Command::Recover(Sectors { provider: BOOST, sectors }));
    network.apply(Command::Onboard(OnboardOrder {
        provider: BOOST,
        pieces: Vec::new(),
        update: None,
        duration: None,
    }));
    network.apply(Command::NullRounds { count: 3 });
    after(network);
    network.advance(20);
    after(network);
    network.advance(6_000);
    after(network);
}

/// What a client can see of it all, except keys.
fn seen(network: &mut Network) -> Value {
    let ledger: Vec<Value> = network
        .world
        .ledger
        .since(0)
        .iter()
        .filter(|entry| !matches!(entry.fact, Fact::Reorganised { .. }))
        .map(|entry| serde_json::to_value(entry).unwrap())
        .collect();
    let deals: Vec<Value> = (100..700)
        .map(|deal| {
            network.call("Filecoin.StateMarketStorageDeal", json!([deal, null])).unwrap_or(Value::Null)
        })
        .collect();
    let client = network.client.address().to_string();
    json!({
        "ledger": ledger,
        "deals": deals,
        "boost": partitions(network, "f01000"),
        "curio": partitions(network, "f01002"),
        "counts": network.ask("Filecoin.StateMinerSectorCount", json!(["f01000", null])),
        "escrow": network.ask("Filecoin.StateMarketBalance", json!([client, null])),
        "wallet": network.ask("Filecoin.WalletBalance", json!([client])),
        "nonce": network.ask("eth_getTransactionCount", json!([key().address(), "latest"])),
        "balance": network.ask("eth_getBalance", json!([OTHER, "latest"])),
        "burnt": network.ask("Filecoin.WalletBalance", json!(["f099"])),
        "next": network.world.next_event(),
        "head": network.world.chain().head(),
    })
}

#[test]
fn with_nothing_else_asked_the_new_branch_has_the_same_content() {
    let mut plain = Network::new();
    live(&mut plain, &mut |_| {});
    let expected = seen(&mut plain);
    for depth in [1, 2, 5, 17, 60] {
        let mut network = Network::new();
        let mut done = 0;
        live(&mut network, &mut |network| {
            let room = network.world.chain().head() - network.world.config().start_height;
            if depth <= room {
                reorg(network, deep(depth));
                done += 1;
            }
        });
        assert!(done > 5, "{done} reorganisations of depth {depth}");
        let got = seen(&mut network);
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&got[name], value, "depth {depth}: {name}");
        }
    }
}

#[test]
fn keys_above_the_base_are_others_and_the_old_ones_are_known_but_have_no_state() {
    let mut network = Network::new();
    network.advance(40);
    let old = network.ask("Filecoin.ChainHead", json!([]));
    let height = old["Height"].as_i64().unwrap();
    let at = |network: &mut Network, height: i64| {
        network.ask("Filecoin.ChainGetTipSetByHeight", json!([height, null]))
    };
    let (base, above) = (at(&mut network, height - 10), at(&mut network, height - 9));
    let block = network.ask("eth_getBlockByNumber", json!([format!("{:#x}", height - 5), false]));
    let done = reorg(&mut network, deep(10));
    assert_eq!((done.base, done.reverted, done.head), (height - 10, 10, height));
    assert_eq!(at(&mut network, height - 10), base);
    let new = at(&mut network, height - 9);
    assert_ne!(new["Cids"], above["Cids"]);
    assert_eq!(new["Blocks"][0]["Parents"], base["Cids"]);
    assert_eq!(network.ask("Filecoin.ChainGetTipSet", json!([old["Cids"]])), old, "what was told stays true");
    let state = network.call("Filecoin.StateMinerSectorCount", json!(["f01000", old["Cids"]])).unwrap_err();
    assert!(state.message.contains("ipld: could not find"), "{state}");
    assert!(network.call("eth_getBlockByHash", json!([block["hash"], false])).is_err());
    let again = network.ask("eth_getBlockByNumber", json!([block["number"], false]));
    assert_ne!(again["hash"], block["hash"]);
    // A second one, deeper.
    reorg(&mut network, deep(20));
    assert_eq!(network.ask("Filecoin.ChainGetTipSet", json!([old["Cids"]])), old);
    assert_eq!(network.ask("Filecoin.ChainGetTipSet", json!([new["Cids"]])), new);
    assert_ne!(at(&mut network, height - 10)["Cids"], base["Cids"]);
}

#[test]
fn messages_come_back_later_and_some_never() {
    let mut network = Network::new();
    network.apply(Command::Fund { address: key().address().to_string(), amount: AttoFil::fil(100) });
    network.advance(30);
    let first = pay(&mut network, 1);
    network.advance(3);
    let second = pay(&mut network, 2);
    let native = network
        .send(method_number("AddBalance"), AttoFil::fil(1), to_cbor(&network.client.address()).unwrap())
        .unwrap();
    network.advance(3);
    let receipt = |network: &mut Network, hash: &str| network.ask("eth_getTransactionReceipt", json!([hash]));
    let (one, two) = (receipt(&mut network, &first), receipt(&mut network, &second));
    assert_ne!(one["blockNumber"], two["blockNumber"]);
    let search = |network: &mut Network| {
        network.ask("Filecoin.StateSearchMsg", json!([null, { "/": native.to_string() }, -1, true]))
    };
    let found = search(&mut network);
    // Six tipsets without messages: both wait in the mempool.
    reorg(&mut network, ReorgOrder { empty: 6, ..deep(6) });
    assert_eq!(receipt(&mut network, &first), Value::Null);
    let pending = network.ask("eth_getTransactionByHash", json!([first]));
    assert_eq!(pending["blockHash"], Value::Null);
    assert_eq!(search(&mut network), Value::Null);
    assert_eq!(network.ask("eth_getTransactionCount", json!([key().address(), "pending"])), "0x2");
    network.advance(2);
    let (one_again, two_again) = (receipt(&mut network, &first), receipt(&mut network, &second));
    assert_eq!(one_again["blockNumber"], two_again["blockNumber"], "one block now");
    assert_eq!(
        (&one_again["transactionIndex"], &two_again["transactionIndex"]),
        (&json!("0x0"), &json!("0x1"))
    );
    assert_ne!(search(&mut network)["Height"], found["Height"]);
    assert_eq!(search(&mut network)["Receipt"], found["Receipt"]);
    // Dropped for good: its nonce is free again.
    reorg(&mut network, ReorgOrder { drop: vec![second.clone()], ..deep(3) });
    network.advance(3);
    assert_ne!(receipt(&mut network, &first), Value::Null);
    assert_eq!(network.ask("eth_getTransactionByHash", json!([second])), Value::Null);
    assert_eq!(network.ask("eth_getTransactionCount", json!([key().address(), "pending"])), "0x1");
}

#[test]
fn heads_fall_and_null_rounds_appear_while_the_clock_stands() {
    let mut network = Network::new();
    network.advance(50);
    let (clock, head) = (network.clock(), network.world.chain().head());
    let done = reorg(&mut network, ReorgOrder { nulls: 2, missing: 3, ..deep(8) });
    assert_eq!(done.head, head - 3);
    assert_eq!(network.clock(), clock);
    assert_eq!(network.ask("Filecoin.ChainHead", json!([]))["Height"], head - 3);
    let above = network.ask("Filecoin.ChainGetTipSetAfterHeight", json!([head - 7, null]));
    assert_eq!(above["Height"], head - 5);
    network.advance(1);
    assert_eq!(network.world.chain().head(), clock + 1);
    assert_eq!(network.world.chain().parent(clock + 1), head - 3);
}

#[test]
fn providers_publish_and_seal_again_and_what_they_were_told_stays() {
    let mut network = Network::new();
    let deal = network.published(BOOST, 3);
    network.advance(2);
    let shown = network.ask("Filecoin.StateMarketStorageDeal", json!([deal, null]));
    let proposed = |network: &Network| {
        network.facts().iter().filter(|fact| matches!(fact, Fact::Proposed { .. })).count()
    };
    let before = proposed(&network);
    reorg(&mut network, ReorgOrder { empty: 13, ..deep(13) });
    assert!(
        network.call("Filecoin.StateMarketStorageDeal", json!([deal, null])).is_err(),
        "not published any more"
    );
    assert_eq!(proposed(&network), before, "the proposal is no matter of the chain");
    network.advance(2);
    assert_eq!(network.ask("Filecoin.StateMarketStorageDeal", json!([deal, null])), shown);
    network.advance(100);
    assert_eq!(network.getter("GetDealActivation", deal).0, 0);
    assert_eq!(network.ask("Filecoin.StateMinerSectorCount", json!(["f01000", null]))["Live"], 1);
}

/// Day 10 of the node's simulation: a deal was on the chain before it was proposed.
#[test]
fn bytes_that_came_after_a_publish_message_are_not_in_it_when_its_tipset_passes_again() {
    let mut network = Network::new();
    network.published(BOOST, 3);
    network.advance(2);
    let late = piece(4);
    let signed = network.sign(network.proposal(BOOST, &late));
    let proposal = signed.proposal.cid().unwrap();
    assert!(network.offer(signed, &late));
    reorg(&mut network, deep(5));
    assert!(network.world.deal_by_proposal(&proposal).is_none());
    network.advance(network.world.config().publish_delay);
    assert!(network.world.deal_by_proposal(&proposal).is_some(), "by the next message");
}

#[test]
fn reorganisations_stay_within_bounds_and_name_the_field() {
    let mut network = Network::new();
    network.advance(10);
    for (depth, field) in [(0, "depth"), (901, "depth")] {
        match network.world.apply(Command::Reorg(deep(depth))) {
            Err(CommandError::Count { field: named, .. }) => assert_eq!(named, field),
            other => panic!("{other:?}"),
        }
    }
    let below = network.world.apply(Command::Reorg(deep(900)));
    assert!(matches!(below, Err(CommandError::TooDeep { .. })), "{below:?}");
    let before = network.world.ledger.hash();
    let wide = network.world.apply(Command::Reorg(ReorgOrder { nulls: 4, ..deep(3) }));
    assert!(matches!(wide, Err(CommandError::Count { field: "nulls", .. })), "{wide:?}");
    assert_eq!(network.world.ledger.hash(), before, "a refused command changes nothing");
}

#[test]
fn a_snapshot_brings_everything_back() {
    let mut network = Network::new();
    let deal = network.published(BOOST, 3);
    let Outcome::Snapshot(number) = network.apply(Command::Snapshot) else { panic!("no number") };
    let before = (network.world.ledger.hash(), network.world.chain().head(), network.world.next_event());
    network.advance(5_000);
    reorg(&mut network, deep(100));
    assert_eq!(network.getter("GetDealActivation", deal).0, 0);
    network.apply(Command::Restore { snapshot: number });
    assert_eq!(
        (network.world.ledger.hash(), network.world.chain().head(), network.world.next_event()),
        before
    );
    network.advance(5_000);
    assert_eq!(network.getter("GetDealActivation", deal).0, 0, "and it goes on from there");
    let unknown = network.world.apply(Command::Restore { snapshot: 9 });
    assert!(matches!(unknown, Err(CommandError::UnknownSnapshot(9))));
}

#[test]
fn the_same_commands_give_the_same_history_also_from_a_journal() {
    let run = || {
        let mut network = Network::new();
        network.world.record_commands();
        let mut step = 0;
        live(&mut network, &mut |network| {
            step += 1;
            let room = network.world.chain().head() - network.world.config().start_height;
            let order = ReorgOrder { empty: step % 3, nulls: step % 2, ..deep(3 + step % 5) };
            if order.depth <= room {
                reorg(network, order);
            }
        });
        let recorded = network.world.take_recorded();
        (network.world.ledger.hash(), recorded)
    };
    let (one, commands) = run();
    assert_eq!(run().0, one);
    let mut again = Network::new();
    for command in commands {
        let written = serde_json::to_string(&command).unwrap();
        again.apply(serde_json::from_str(&written).unwrap());
    }
    assert_eq!(again.world.ledger.hash(), one);
}

#[test]
fn direct_onboarding_leaves_claims_and_events_and_both_are_reverted() {
    let mut network = with_datacap(1);
    network.advance(20);
    let wanted = request(&network, 1_000, 7, 100);
    assert_eq!(allocate(&mut network, &[wanted]), [1]);
    network.advance(10);
    let order = onboard(&network, 1_000, 7, 1, 518_400);
    let Outcome::Onboarded { sector, claims, .. } = network.apply(Command::Onboard(order)) else {
        panic!("nothing")
    };
    assert_eq!(claims, [Some(1)]);
    let at = network.clock();
    network.advance(2);
    let claim = network.ask("Filecoin.StateGetClaim", json!(["f01000", 1, null]));
    assert_eq!(
        (&claim["Sector"], &claim["TermStart"], &claim["Provider"]),
        (&json!(sector), &json!(at), &json!(1_000))
    );
    assert_eq!(network.ask("Filecoin.StateGetClaims", json!(["f01000", null]))["1"], claim);
    assert_eq!(network.event_types(at, at), ["sector-precommitted", "claim", "sector-activated"]);
    let params = to_cbor(&(1_000_u64, vec![1_u64, 2])).unwrap();
    let (exit, ret) = network.actor_call("t06", "GetClaims", &params);
    assert_eq!(exit, 0);
    let bytes =
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, ret.as_str().unwrap()).unwrap();
    assert_eq!(bytes[..7], [0x82, 0x82, 0x01, 0x81, 0x82, 0x01, 0x11], "one there, the second is 17");
    network.apply(Command::Terminate(Sectors { provider: BOOST, sectors: Some(vec![sector]) }));
    network.advance(2);
    assert_eq!(
        network.ask("Filecoin.StateGetClaim", json!(["f01000", 1, null])),
        claim,
        "a claim outlives its sector"
    );
    reorg(&mut network, ReorgOrder { empty: 6, ..deep(6) });
    // The order was given again on the new branch, as the provider still means it.
    assert_eq!(network.ask("Filecoin.StateMinerSectorCount", json!(["f01000", null]))["Live"], 1);
}
