//! `eth_*` by name, as clients call it: tags, null rounds, logs, fees, errors.

use crate::{
    bench::{InvalidTarget, submitRaaSCall},
    network::{CID, Network},
};
use alloy_primitives::{Bytes, U256};
use alloy_sol_types::{SolCall, SolError};
use raas_devnet::world::Command;
use serde_json::{Value, json};

fn hex(number: i64) -> Value {
    json!(format!("{number:#x}"))
}

fn number(value: &Value) -> i64 {
    i64::from_str_radix(value.as_str().unwrap().strip_prefix("0x").unwrap(), 16).unwrap()
}

#[test]
fn fixed_answers() {
    let mut network = Network::new();
    for (method, expected) in [
        ("eth_chainId", json!("0x1df5e76")),
        ("net_version", json!("31415926")),
        ("net_listening", json!(true)),
        ("eth_syncing", json!(false)),
        ("eth_accounts", json!([])),
        ("eth_protocolVersion", json!("0x1c")),
        ("eth_gasPrice", json!("0x18704")),
        ("eth_maxPriorityFeePerGas", json!("0x186a0")),
    ] {
        assert_eq!(network.rpc(method, json!([])), Ok(expected), "{method}");
    }
    assert_eq!(network.rpc("eth_sign", json!([])).unwrap_err().code, -32601);
    let client = network.rpc("web3_clientVersion", json!([])).unwrap();
    assert!(client.as_str().unwrap().starts_with("raas-devnet/"));
}

#[test]
fn tags_name_tipsets_behind_the_head() {
    let mut network = Network::new();
    network.advance(300);
    let head = network.head();
    let mut at =
        |tag: &str| number(&network.rpc("eth_getBlockByNumber", json!([tag, false])).unwrap()["number"]);
    assert_eq!((at("latest"), at("pending")), (head - 1, head));
    assert_eq!((at("finalized"), at("safe")), (head - 20, head - 20));
    assert!(network.rpc("eth_getBlockByNumber", json!(["earliest", false])).is_err());
    let future = network.rpc("eth_getBlockByNumber", json!([hex(head), false])).unwrap_err();
    assert_eq!(future.message, "requested a future epoch (beyond 'latest')");
    let by_hash = network.rpc("eth_getBlockByNumber", json!([hex(head - 7), true])).unwrap();
    let again = network.rpc("eth_getBlockByHash", json!([by_hash["hash"], true])).unwrap();
    assert_eq!(by_hash, again);
    assert_eq!(number(&by_hash["timestamp"]) % 30, 0);
    let child = network.rpc("eth_getBlockByNumber", json!([hex(head - 6), true])).unwrap();
    assert_eq!(child["parentHash"], by_hash["hash"]);
    let unknown = network.rpc("eth_getBlockByHash", json!([format!("0x{}", "ab".repeat(32)), true]));
    assert!(unknown.unwrap_err().message.contains("could not find"));
}

#[test]
fn null_rounds_have_no_block_but_have_state() {
    let mut network = Network::new();
    network.world.apply(Command::NullRounds { count: 3 }).unwrap();
    let before = network.head();
    network.advance(6);
    let null_round = before + 2;
    let error = network.rpc("eth_getBlockByNumber", json!([hex(null_round), false])).unwrap_err();
    assert_eq!((error.code, error.data), (12, Some(json!(null_round))));
    assert_eq!(error.message, format!("requested epoch was a null round ({null_round})"));
    assert_eq!(network.rpc("eth_getBlockReceipts", json!([hex(null_round)])).unwrap_err().code, 12);
    let sender = network.key.address();
    for method in ["eth_getBalance", "eth_getTransactionCount", "eth_getCode"] {
        assert!(network.rpc(method, json!([sender, hex(null_round)])).is_ok(), "{method}");
    }
    // The block after the gap has the block before it as its parent.
    let after = network.rpc("eth_getBlockByNumber", json!([hex(before + 4), false])).unwrap();
    let parent = network.rpc("eth_getBlockByNumber", json!([hex(before), false])).unwrap();
    assert_eq!(after["parentHash"], parent["hash"]);
    let fees = network.rpc("eth_feeHistory", json!(["0x2", hex(before + 4), []])).unwrap();
    assert_eq!((&fees["oldestBlock"], fees["baseFeePerGas"].as_array().unwrap().len()), (&hex(before), 3));
}

#[test]
fn receipts_and_transactions_agree() {
    let mut network = Network::new();
    let contract = network.contract();
    let (height, hash, executed) = network.send(Some(contract), network.submit());
    let receipt = network.rpc("eth_getTransactionReceipt", json!([hash])).unwrap();
    assert_eq!(receipt["blockNumber"], hex(height));
    assert_eq!(receipt["cumulativeGasUsed"], json!("0x0"));
    assert_eq!(number(&receipt["gasUsed"]), i64::try_from(executed.gas_used).unwrap());
    assert_eq!(receipt["logs"].as_array().unwrap().len(), 2);
    assert_ne!(receipt["logsBloom"], json!(format!("0x{}", "00".repeat(256))));
    assert_eq!(network.rpc("eth_getBlockReceipts", json!([hex(height)])).unwrap(), json!([receipt]));
    let block = network.rpc("eth_getBlockByNumber", json!([hex(height), true])).unwrap();
    let transaction = network.rpc("eth_getTransactionByHash", json!([hash])).unwrap();
    assert_eq!(block["transactions"], json!([transaction]));
    assert_eq!((&transaction["type"], &transaction["to"]), (&json!("0x2"), &json!(format!("{contract:#x}"))));
    let count = network.rpc("eth_getBlockTransactionCountByHash", json!([block["hash"]])).unwrap();
    assert_eq!(count, json!("0x1"));
    let nobody = format!("0x{}", "cd".repeat(32));
    assert_eq!(network.rpc("eth_getTransactionReceipt", json!([nobody])), Ok(json!(null)));
    assert_eq!(network.rpc("eth_getTransactionByHash", json!([nobody])), Ok(json!(null)));
}

#[test]
fn logs_are_filtered_by_range_address_and_topics() {
    let mut network = Network::new();
    let contract = network.contract();
    let (first, ..) = network.send(Some(contract), network.submit());
    let (second, ..) = network.send(Some(contract), network.submit());
    let topic = "0xc0e29b40de38cfd5b8266e5afb21298b2c180d25d2ad808406c21f3db0c3530a";
    let id = |id: u64| format!("0x{id:064x}");
    let mut ids = |filter: Value| -> Vec<u64> {
        let logs = network.rpc("eth_getLogs", json!([filter])).unwrap();
        let ids = logs.as_array().unwrap().iter().map(|log| log["topics"][1].as_str().unwrap().to_owned());
        ids.map(|id| u64::from_str_radix(&id[2..], 16).unwrap()).collect()
    };
    let (from, to) = (hex(first - 100), hex(second));
    assert_eq!(ids(json!({ "fromBlock": from, "toBlock": to, "topics": [topic] })), [1, 2, 3]);
    assert_eq!(ids(json!({ "fromBlock": from, "topics": [[topic, id(9)], [id(1), id(3)]] })), [1, 3]);
    assert_eq!(ids(json!({ "fromBlock": from, "topics": [null, id(2)] })), [2, 2]);
    assert_eq!(ids(json!({ "fromBlock": hex(second), "toBlock": to, "topics": [topic] })), [3]);
    // Unlike in Ethereum, null matches a position that the log does not have.
    assert_eq!(
        ids(json!({ "fromBlock": from, "address": contract, "topics": [topic, null, null] })),
        [1, 2, 3]
    );
    assert_eq!(
        ids(json!({ "fromBlock": from, "address": [contract, contract], "topics": [topic] })),
        [1, 2, 3]
    );
    assert_eq!(ids(json!({ "fromBlock": from, "address": CID_ADDRESS })), [0; 0]);
    let block = network.rpc("eth_getBlockByNumber", json!([hex(first), false])).unwrap();
    let logs = network.rpc("eth_getLogs", json!([{ "blockHash": block["hash"] }])).unwrap();
    assert_eq!(logs.as_array().unwrap().len(), 2);
    assert_eq!(logs[1]["logIndex"], json!("0x1"));
}

const CID_ADDRESS: &str = "0x00000000000000000000000000000000000000aa";

#[test]
fn log_ranges_have_limits() {
    let mut network = Network::new();
    network.advance(10);
    let head = network.head();
    let mut refused = |filter: Value| network.rpc("eth_getLogs", json!([filter])).unwrap_err();
    let wide = refused(json!({ "fromBlock": hex(head - 2_882), "toBlock": hex(head - 1) }));
    assert_eq!(
        (wide.code, wide.message.as_str()),
        (-32005, "block range exceeds maximum of 2880 (got 2881)")
    );
    let future = refused(json!({ "fromBlock": hex(head - 1), "toBlock": hex(head + 1) }));
    assert_eq!(future.message, format!("range end is in the future, highest epoch: {head}"));
    let early = refused(json!({ "fromBlock": hex(head - 1), "toBlock": hex(head) }));
    assert_eq!(early.message, "events for the requested block are not yet available");
    let order = refused(json!({ "fromBlock": hex(head - 1), "toBlock": hex(head - 3) }));
    assert!(order.message.starts_with("invalid epoch range: to block ("));
    assert_eq!(refused(json!({ "fromBlock": "finalized" })).message, "FromBlock is not a hex");
    let five = refused(json!({ "topics": [null, null, null, null, null] }));
    assert_eq!(five.code, -32602);
    let both = refused(json!({ "blockHash": format!("0x{}", "ab".repeat(32)), "fromBlock": "0x1" }));
    assert!(both.message.contains("must not specify block hash"));
    assert_eq!(network.rpc("eth_getLogs", json!([{}])), Ok(json!([])));
}

#[test]
fn failing_calls_carry_their_revert_data() {
    let mut network = Network::new();
    let contract = network.contract();
    let call = submitRaaSCall { cid: CID.into(), target: U256::ZERO, repair: U256::ZERO, renew: U256::ZERO };
    let message = json!({ "to": contract, "data": Bytes::from(call.abi_encode()) });
    for method in ["eth_call", "eth_estimateGas"] {
        let error = network.rpc(method, json!([message, "latest"])).unwrap_err();
        assert_eq!(error.code, 3);
        assert!(
            error.message.starts_with("message execution failed (exit=[33], revert reason=[0x"),
            "{error}"
        );
        let data: Bytes = error.data.unwrap().as_str().unwrap().parse().unwrap();
        assert_eq!(InvalidTarget::abi_decode(&data).unwrap().target, U256::ZERO);
    }
    let ok = json!({ "from": network.key.address(), "to": contract, "input": Bytes::from(network.submit()) });
    let limit = number(&network.rpc("eth_estimateGas", json!([ok])).unwrap());
    let (_, _, executed) = network.send(Some(contract), network.submit());
    let used = i64::try_from(executed.gas_used).unwrap();
    assert!(limit >= used + used / 5 && limit <= used * 2, "estimate {limit} for {used}");
}

#[test]
fn raw_transactions_are_refused_with_the_texts_of_a_node() {
    let mut network = Network::new();
    let unsigned = raas_devnet::fevm::Unsigned::new(
        alloy_primitives::TxKind::Call(network.key.address()),
        5,
        Bytes::new(),
        3_000_000,
    );
    let raw = Bytes::from(network.key.sign(&unsigned, 31_415_926));
    let gap = network.rpc("eth_sendRawTransaction", json!([raw])).unwrap_err();
    assert_eq!(gap.code, 1);
    assert!(gap.message.contains("unfulfilled nonce gap"));
    assert!(network.rpc("eth_sendRawTransaction", json!(["0x1234"])).is_err());
    assert_eq!(network.rpc("eth_sendRawTransaction", json!([])).unwrap_err().code, -32602);
    let sender = network.key.address();
    let raw =
        Bytes::from(network.key.sign(&raas_devnet::fevm::Unsigned { nonce: 0, ..unsigned }, 31_415_926));
    network.rpc("eth_sendRawTransaction", json!([raw])).unwrap();
    assert_eq!(network.rpc("eth_getTransactionCount", json!([sender, "pending"])), Ok(json!("0x1")));
    assert_eq!(network.rpc("eth_getTransactionCount", json!([sender, "latest"])), Ok(json!("0x0")));
}
