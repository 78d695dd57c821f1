//! The contract over the real market, and which state each read sees.

use crate::{
    bench::{DealNotActive, getActiveDealsCall, getAllDealsCall},
    network::{CID, Network},
};
use alloy_primitives::{Address, U256};
use alloy_sol_types::{SolCall, SolError};
use raas_core::ids::ActorId;
use raas_devnet::{
    fevm::{Exit, SendError},
    ledger::Fact,
    rpc::{Answer, Behaviour, Endpoint, Fault, FaultMode},
    world::{Command, Sectors, StateAt},
};
use serde_json::json;

fn active_at(network: &Network, height: i64, contract: Address) -> Vec<u64> {
    let output =
        network.world.eth_call_at(height, contract, getActiveDealsCall { cid: CID.into() }.abi_encode());
    let deals = getActiveDealsCall::abi_decode_returns(&output.unwrap()).unwrap();
    deals.iter().map(|deal| deal.dealId).collect()
}

#[test]
fn a_real_deal_completes_a_request_and_its_termination_is_seen() {
    let mut network = Network::new();
    let contract = network.contract();
    let deal = network.deal();
    let (height, _, done) = network.send(Some(contract), Network::complete(&deal));
    assert_eq!(done.exit, Exit::OK);
    assert_eq!(active_at(&network, height, contract), [deal.id.0]);
    assert!(active_at(&network, height - 1, contract).is_empty());

    let all = Sectors { provider: deal.provider, sectors: None };
    network.world.apply(Command::Terminate(all)).unwrap();
    network.advance(1);
    let terminated = network.head();
    network.advance(1);
    // After the terminating tipset's messages the deal is gone; the block before still shows it.
    assert!(active_at(&network, terminated, contract).is_empty());
    assert_eq!(active_at(&network, terminated - 1, contract), [deal.id.0]);
    // The contract's own list keeps it, and completing with it again is refused with the market's exit code.
    let listed = network.world.eth_call(contract, getAllDealsCall { cid: CID.into() }.abi_encode()).unwrap();
    assert_eq!(getAllDealsCall::abi_decode_returns(&listed).unwrap().len(), 1);
    let other = crate::network::ActiveDeal { digest: [5; 32], ..deal };
    let refused = network.world.eth_send(&network.key, Some(contract), U256::ZERO, Network::complete(&other));
    let Err(SendError::WouldFail(failure)) = refused else { panic!("{refused:?}") };
    assert_eq!(failure.exit, Exit::REVERTED);

    let facts = network.world.ledger.since(0);
    let completed = facts.iter().filter(
        |entry| matches!(&entry.fact, Fact::Log { topics, .. } if topics[0].starts_with("0xfcfb278c")),
    );
    assert_eq!(completed.map(|entry| entry.epoch).collect::<Vec<_>>(), [height]);
}

#[test]
fn a_complete_in_t_is_invisible_to_native_reads_at_t() {
    let mut network = Network::new();
    let contract = network.contract();
    let deal = network.deal();
    let sender = network.key.address();
    let before = network.world.fevm.newest(&sender).nonce;
    let hash =
        network.world.eth_send(&network.key, Some(contract), U256::ZERO, Network::complete(&deal)).unwrap();
    network.advance(1);
    let t = network.head();
    // T is the head: native reads at it see the state before its messages, and so does eth at `latest`.
    let nonce = |network: &Network, at| network.world.fevm.account(&sender, at).unwrap().nonce;
    assert_eq!(nonce(&network, StateAt::before(t)), before);
    assert_eq!(nonce(&network, network.world.at_head()), before);
    assert_eq!(network.rpc("eth_blockNumber", json!([])).unwrap(), json!(format!("{:#x}", t - 1)));
    assert_eq!(network.rpc("eth_getTransactionReceipt", json!([hash])).unwrap(), json!(null));
    let pending = network.rpc("eth_getTransactionByHash", json!([hash])).unwrap();
    assert_eq!(pending["blockHash"], json!(null));
    assert!(active_at(&network, t - 1, contract).is_empty());
    // With a child of T, its messages are executed for everyone.
    network.advance(1);
    assert_eq!(nonce(&network, network.world.at_head()), before + 1);
    let receipt = network.rpc("eth_getTransactionReceipt", json!([hash])).unwrap();
    assert_eq!((&receipt["blockNumber"], &receipt["status"]), (&json!(format!("{t:#x}")), &json!("0x1")));
    assert_eq!(active_at(&network, t, contract), [deal.id.0]);
}

#[test]
fn a_deal_that_never_was_is_exit_17() {
    let mut network = Network::new();
    let contract = network.contract();
    let absent = crate::network::ActiveDeal {
        id: raas_core::ids::DealId(99_999),
        provider: raas_core::ids::ProviderId::new(1_000),
        digest: [5; 32],
        size: raas_core::units::PaddedSize::new(2_048).unwrap(),
    };
    let refused =
        network.world.eth_send(&network.key, Some(contract), U256::ZERO, Network::complete(&absent));
    let Err(SendError::WouldFail(failure)) = refused else { panic!("{refused:?}") };
    let error = DealNotActive::abi_decode(&failure.data).unwrap();
    assert_eq!((error.dealId, error.exitCode.as_i64()), (99_999, 17));
}

#[test]
fn gas_money_goes_to_the_burnt_funds_actor_and_the_miner() {
    let mut network = Network::new();
    let (burnt, miner) = (raas_devnet::world::BURNT, network.world.block_miner());
    let balance =
        |network: &Network, actor| network.world.actors.wallet(actor, StateAt(i64::MAX)).unwrap().balance.0;
    let sender = network.key.address();
    let before =
        (balance(&network, burnt), balance(&network, miner), network.world.fevm.newest(&sender).balance);
    let executed = network.send(None, crate::bench::library_code().to_vec()).2;
    let spent = before.2 - network.world.fevm.newest(&sender).balance;
    assert_eq!(U256::from(balance(&network, burnt) - before.0), executed.charge.burned);
    assert_eq!(U256::from(balance(&network, miner) - before.1), executed.charge.tip);
    assert_eq!(spent, executed.charge.total());
    // The contract is an actor now, with an id and an f410 address.
    let contract = raas_devnet::codec::Address::from_eth(executed.contract.unwrap().into_array());
    assert!(network.world.actors.lookup(&contract, network.world.at_head()).is_some());
}

#[test]
fn a_contract_answers_by_its_id_too() {
    let mut network = Network::new();
    let contract = network.contract();
    let robust = raas_devnet::codec::Address::from_eth(contract.into_array());
    let id = network.world.actors.lookup(&robust, network.world.at_head()).unwrap();
    let masked = raas_devnet::fevm::masked(id);
    let data = alloy_primitives::Bytes::from(crate::bench::requestCountCall {}.abi_encode());
    for to in [contract, masked] {
        let count = network.rpc("eth_call", json!([{ "to": to, "data": data }, "latest"])).unwrap();
        assert_eq!(count, json!(format!("0x{:064x}", 1)), "{to}");
    }
    let code = network.rpc("eth_getCode", json!([masked, "latest"])).unwrap();
    assert_eq!(code, network.rpc("eth_getCode", json!([contract, "latest"])).unwrap());
    // A built-in actor has a balance under its masked address, and no code.
    let burnt = raas_devnet::fevm::masked(raas_devnet::world::BURNT);
    assert_ne!(network.rpc("eth_getBalance", json!([burnt, "latest"])), Ok(json!("0x0")));
    assert_eq!(network.rpc("eth_getCode", json!([burnt, "latest"])), Ok(json!("0x")));
}

#[test]
fn a_frozen_head_hides_what_came_after_it() {
    let mut network = Network::new();
    let contract = network.contract();
    let frozen = network.head();
    let (height, hash, _) = network.send(Some(contract), network.submit());
    assert!(height > frozen - 1);
    let fault = Fault { height: Some(frozen), ..Fault::always(FaultMode::Stale) };
    let behaviour = Behaviour { faults: vec![fault], ..Behaviour::default() };
    let mut endpoint = Endpoint::new(behaviour, network.head());
    let mut stale = |method: &str, params| match endpoint.call(&mut network.world, method, &params) {
        Answer::Json { result, .. } => result.unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(stale("eth_blockNumber", json!([])), json!(format!("{:#x}", frozen - 1)));
    assert_eq!(stale("eth_getTransactionReceipt", json!([hash])), json!(null));
    assert_eq!(stale("eth_getTransactionCount", json!([network_key(), "latest"])), json!("0x3"));
    assert_eq!(network.rpc("eth_getTransactionCount", json!([network_key(), "latest"])), Ok(json!("0x4")));
}

fn network_key() -> Address {
    raas_devnet::fevm::EthKey::from_bytes(&[7; 32]).unwrap().address()
}

#[test]
fn the_same_commands_give_the_same_hashes() {
    let run = || {
        let mut network = Network::new();
        let contract = network.contract();
        let deal = network.deal();
        let (height, hash, executed) = network.send(Some(contract), Network::complete(&deal));
        (height, hash, executed, network.world.ledger.hash())
    };
    assert_eq!(run(), run());
}

#[test]
fn the_power_actor_knows_who_is_a_miner() {
    const MINER_RAW_POWER: u64 = 3_753_401_894;
    let network = Network::new();
    let ask = |actor: u64| {
        let params = raas_devnet::codec::to_cbor(&actor).unwrap();
        network.world.call_actor(network.world.at_head(), ActorId(4), MINER_RAW_POWER, &params)
    };
    let miner = network.world.block_miner();
    let known = ask(miner.0);
    // Power as a big integer, and enough of it to win blocks.
    assert_eq!((known.exit, known.ret.first(), known.ret.last()), (0, Some(&0x82), Some(&0xf5)));
    assert_eq!(ask(5).exit, 16);
    assert_eq!(ask(miner.0 + 1_000_000).exit, 16);
}

/// What would change a built-in actor is refused with "read only" (25), whoever the actor is, and changes nothing.
#[test]
fn no_contract_changes_a_built_in_actor() {
    use crate::precompiles::{CALL_ACTOR_ID, DELEGATECALL, answer, forwarder, input};
    use raas_devnet::codec::method_number;
    let mut network = Network::new();
    let (_, _, done) = network.send(None, forwarder(CALL_ACTOR_ID, DELEGATECALL));
    let contract = done.contract.unwrap();
    let market = [
        "AddBalance",
        "WithdrawBalance",
        "PublishStorageDeals",
        "SettleDealPayments",
        "SectorContentChanged",
    ];
    let registry = ["ExtendClaimTerms", "RemoveExpiredAllocations", "RemoveExpiredClaims"];
    let datacap = ["Transfer", "TransferFrom"];
    let miner = [
        "ChangeWorkerAddress",
        "ConfirmChangeWorkerAddress",
        "ChangePeerID",
        "ChangeMultiaddrs",
        "ChangeOwnerAddress",
        "WithdrawBalance",
        "ChangeBeneficiary",
        "RepayDebt",
    ];
    let actors: [(u64, &[&str]); 4] = [(5, &market), (6, &registry), (7, &datacap), (1_000, &miner)];
    for (actor, methods) in actors {
        for name in methods {
            for flags in [0, 1] {
                let call = input(method_number(name), 0, flags, 0x51, &[0x80], actor);
                let output = network.world.eth_call(contract, call).unwrap();
                assert_eq!(output[31], 1, "the call itself succeeds");
                assert_eq!(answer(&output[32..]), (25, 0, vec![]), "{name} of f0{actor}");
            }
        }
    }
    // In a transaction it is no different.
    let call = input(method_number("Transfer"), 0, 0, 0x51, &[0x80], 7);
    let (_, _, sent) = network.send(Some(contract), call);
    assert_eq!(answer(&sent.output[32..]).0, 25);
    // Since version 29 the registry forbids before it looks at anything.
    network.world.apply(Command::Upgrade).unwrap();
    network.advance(2);
    let call = input(method_number("ExtendClaimTerms"), 0, 1, 0x51, &[0x80], 6);
    let output = network.world.eth_call(contract, call).unwrap();
    assert_eq!(answer(&output[32..]).0, 18);
}
