//! Native reads at a tipset see the state before its messages; receipts come one tipset later.

use crate::network::{BOOST, Network};
use raas_core::units::AttoFil;
use raas_devnet::{
    Config,
    codec::{method_number, to_cbor},
    world::{Command, StateAt},
};
use serde_json::json;

#[test]
fn a_message_in_t_is_invisible_to_native_reads_at_t() {
    let mut network = Network::poor(&Config::default());
    let client = network.client.address();
    let add = method_number("AddBalance");
    let cid = network.send(add, AttoFil::fil(3), to_cbor(&client).unwrap()).unwrap();
    let link = json!({ "/": cid.to_string() });
    network.advance(1);
    let included = network.clock();
    let text = client.to_string();
    assert_eq!(network.ask("Filecoin.StateMarketBalance", json!([text, null]))["Escrow"], "0");
    assert!(network.ask("Filecoin.StateSearchMsg", json!([null, link, -1, true])).is_null());
    let id = network.client_id();
    assert_eq!(network.world.market().balance(id, StateAt::after(included)).escrow, AttoFil::fil(3));

    network.advance(1);
    let balance = network.ask("Filecoin.StateMarketBalance", json!([text, null]));
    assert_eq!(balance["Escrow"], AttoFil::fil(3).to_string());
    let found = network.ask("Filecoin.StateSearchMsg", json!([null, link, -1, true]));
    assert_eq!((&found["Height"], &found["Receipt"]["ExitCode"]), (&json!(included + 1), &json!(0)));
    // Pinned at the including tipset, the past has not changed.
    let key = network.ask("Filecoin.ChainGetTipSetByHeight", json!([included, null]))["Cids"].clone();
    assert_eq!(network.ask("Filecoin.StateMarketBalance", json!([text, key]))["Escrow"], "0");
    assert!(network.ask("Filecoin.StateSearchMsg", json!([key, link, -1, true])).is_null());
}

#[test]
fn a_deal_is_visible_one_tipset_after_its_publish_message() {
    let mut network = Network::new();
    let deal = network.published(BOOST, 1);
    let included = network.clock();
    assert_eq!(network.getter("GetDealActivation", deal).0, 17);
    let next_id = |network: &mut Network| {
        network.ask("Filecoin.StateReadState", json!(["f05", null]))["State"]["NextID"].clone()
    };
    assert_eq!(next_id(&mut network), deal.0);
    assert!(network.event_types(included, included).is_empty());
    network.advance(1);
    assert_eq!(network.getter("GetDealActivation", deal).0, 0);
    assert_eq!(next_id(&mut network), deal.0 + 1);
    assert_eq!(network.event_types(included, included), ["deal-published"]);
}

#[test]
fn the_faucet_is_seen_at_once_and_survives_messages_of_the_same_epoch() {
    let mut network = Network::poor(&Config::default());
    let client = network.client.address().to_string();
    let balance = |network: &mut Network| -> u128 {
        network.ask("Filecoin.WalletBalance", json!([client])).as_str().unwrap().parse().unwrap()
    };
    assert_eq!(balance(&mut network), AttoFil::fil(100).0);
    network.send(0, AttoFil(7), Vec::new()).unwrap();
    network.advance(1);
    network.apply(Command::Fund { address: client.clone(), amount: AttoFil::fil(1) });
    assert_eq!(balance(&mut network), AttoFil::fil(101).0);
    network.advance(1);
    let spent = AttoFil::fil(101).0 - balance(&mut network);
    assert!(spent > 7, "value and gas");
}

#[test]
fn an_ethereum_address_is_funded_in_its_own_form() {
    let mut network = Network::new();
    let address = "0x52963ef50e27e06d72d59fcb4f3c2a687be3cfef";
    network.apply(Command::Fund { address: address.to_owned(), amount: AttoFil::fil(2) });
    let balance = network.ask("eth_getBalance", json!([address, "latest"]));
    assert_eq!(balance, format!("{:#x}", AttoFil::fil(2).0));
    let native =
        network.ask("Filecoin.WalletBalance", json!(["f410fkkld55ioe7qg24wvt7fu6pbknb56ht7pt4zamxa"]));
    assert_eq!(native, AttoFil::fil(2).to_string());
}

#[test]
fn the_mempool_keeps_nonces_in_order_and_balances_covered() {
    let mut network = Network::new();
    let first = network.message(0, AttoFil(1), Vec::new());
    let resign = |network: &Network, mut signed: raas_devnet::codec::SignedMessage| {
        signed.signature = network.client.sign(&signed.message.signing_bytes().unwrap());
        signed
    };
    let mut gap = first.clone();
    gap.message.nonce += 1;
    let gap = resign(&network, gap);
    let refused =
        |result: Result<_, raas_devnet::world::CommandError>| result.expect_err("refused").to_string();
    assert!(refused(network.push(&gap)).contains("unfulfilled nonce gap"));
    let mut forged = first.clone();
    forged.message.value = AttoFil(2);
    assert!(refused(network.push(&forged)).contains("signature"));
    network.push(&first).unwrap();
    assert!(refused(network.push(&first)).contains("message with nonce already exists"));
    let mut replacement = first.clone();
    replacement.message.gas_premium = AttoFil(first.message.gas_premium.0 * 11 / 10);
    assert!(refused(network.push(&resign(&network, replacement.clone()))).contains("replace by fee"));
    replacement.message.gas_premium = AttoFil(replacement.message.gas_premium.0 + 1);
    let replacement = resign(&network, replacement);
    let cid = network.push(&replacement).unwrap();
    network.advance(2);
    let found = network.ask("Filecoin.StateSearchMsg", json!([null, { "/": cid.to_string() }, -1, true]));
    assert_eq!(found["Receipt"]["ExitCode"], 0);
    assert!(refused(network.push(&first)).contains("message nonce too low"));
    let too_much = network.message(0, AttoFil::fil(1_000_000), Vec::new());
    assert!(refused(network.push(&too_much)).contains("not enough funds"));
}

#[test]
fn a_base_fee_above_the_cap_lets_messages_wait() {
    use raas_devnet::fevm::EthKey;
    let mut network = Network::new();
    let key = EthKey::from_bytes(&[7; 32]).unwrap();
    network.apply(Command::Fund { address: key.address().to_string(), amount: AttoFil::fil(100) });
    network.advance(2);
    let hash =
        network.world.eth_send(&key, Some(key.address()), alloy_primitives::U256::ONE, Vec::new()).unwrap();
    network.apply(Command::BaseFee { fee: 1_000_000 });
    network.advance(50);
    assert_eq!(network.ask("eth_getTransactionByHash", json!([hash]))["blockHash"], json!(null));
    assert_eq!(network.ask("eth_baseFee", json!([])), json!("0xf4240"));
    let block = network.ask("eth_getBlockByNumber", json!(["latest", false]));
    assert_eq!(block["baseFeePerGas"], "0xf4240");
    assert_eq!(network.ask("Filecoin.ChainHead", json!([]))["Blocks"][0]["ParentBaseFee"], "1000000");
    // Far above, not even the mempool takes it.
    network.apply(Command::BaseFee { fee: 10_000_000 });
    let cheap = network.world.eth_send(&key, Some(key.address()), alloy_primitives::U256::ONE, Vec::new());
    assert!(cheap.unwrap_err().to_string().contains("gas fee cap too low"));
    network.apply(Command::BaseFee { fee: 100 });
    network.advance(2);
    assert_ne!(network.ask("eth_getTransactionReceipt", json!([hash])), json!(null));
}
