//! `trace_*`: who calls whom in executed transactions.

use crate::{
    network::Network,
    precompiles::{CALL_ACTOR_ID, DELEGATECALL, forwarder, input},
};
use alloy_primitives::{Address, U256};
use raas_devnet::{
    fevm::Exit,
    rpc::{Answer, Behaviour, Client, Endpoint},
    world::Command,
};
use serde_json::{Value, json};

const CALL: u8 = 0xf1;
/// Init code of a contract that reverts with nothing.
const REVERTS: [u8; 12] = [0x60, 0x03, 0x80, 0x60, 0x09, 0x5f, 0x39, 0x5f, 0xf3, 0x5f, 0x5f, 0xfd];

fn deploy(network: &mut Network, code: Vec<u8>) -> Address {
    network.send(None, code).2.contract.unwrap()
}

fn text(address: Address) -> String {
    format!("{address:#x}")
}

#[test]
fn calls_are_told_in_their_order_with_their_places() {
    let mut network = Network::new();
    let market = deploy(&mut network, forwarder(CALL_ACTOR_ID, DELEGATECALL));
    let outer = deploy(&mut network, forwarder(market, CALL));
    // GetDealActivation of a deal that never was.
    let calldata = input(2_567_238_399, 0, 1, 0x51, &[0x18, 0x63], 5);
    let (height, hash, done) = network.send(Some(outer), calldata.clone());
    assert_eq!(done.exit, Exit::OK);
    let traces = network.rpc("trace_transaction", json!([hash.to_string()])).unwrap();
    let traces = traces.as_array().unwrap().clone();
    let places: Vec<(&Value, &Value, &Value)> = traces
        .iter()
        .map(|trace| (&trace["action"]["callType"], &trace["traceAddress"], &trace["subtraces"]))
        .collect();
    assert_eq!(
        places,
        [
            (&json!("call"), &json!([]), &json!(1)),
            (&json!("call"), &json!([0]), &json!(1)),
            (&json!("delegatecall"), &json!([0, 0]), &json!(0)),
        ]
    );
    let parties: Vec<(&Value, &Value)> =
        traces.iter().map(|trace| (&trace["action"]["from"], &trace["action"]["to"])).collect();
    let key = text(network.key.address());
    assert_eq!(
        parties,
        [
            (&json!(key), &json!(text(outer))),
            (&json!(text(outer)), &json!(text(market))),
            (&json!(text(market)), &json!(text(CALL_ACTOR_ID))),
        ]
    );
    for trace in &traces {
        assert_eq!(trace["action"]["input"], format!("0x{}", hex::encode(&calldata)), "forwarded as it came");
        assert_eq!((&trace["blockNumber"], &trace["transactionPosition"]), (&json!(height), &json!(0)));
        assert_eq!((&trace["type"], &trace["error"]), (&json!("call"), &Value::Null));
        assert_eq!(trace["transactionHash"], hash.to_string());
    }
    assert_eq!(traces[0]["result"]["output"], done.output.to_string());

    let block = json!([format!("{height:#x}")]);
    assert_eq!(network.rpc("trace_block", block).unwrap(), Value::Array(traces.clone()));
    let replayed = network.rpc("trace_replayBlockTransactions", json!([format!("{height:#x}"), ["trace"]]));
    let replayed = replayed.unwrap();
    assert_eq!(replayed[0]["output"], traces[0]["result"]["output"]);
    assert_eq!(replayed[0]["trace"][2]["action"], traces[2]["action"]);
    let range = |extra: Value| {
        let mut filter =
            json!({ "fromBlock": format!("{:#x}", height - 8), "toBlock": format!("{height:#x}") });
        filter.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!([filter])
    };
    let found = network.rpc("trace_filter", range(json!({ "toAddress": [text(market)] }))).unwrap();
    let kinds: Vec<&Value> = found.as_array().unwrap().iter().map(|trace| &trace["type"]).collect();
    assert_eq!(kinds, ["create", "call"], "its creation, and the call of it");
    let found = network.rpc("trace_filter", range(json!({ "fromAddress": [key], "after": "0x2" }))).unwrap();
    assert_eq!(found, json!([traces[0]]), "after the two creations");
    let found = network.rpc("trace_filter", range(json!({ "count": "0x1" }))).unwrap();
    assert_eq!(found.as_array().unwrap().len(), 1);

    let unknown = network.rpc("trace_transaction", json!([format!("0x{}", "ab".repeat(32))])).unwrap();
    assert_eq!(unknown, Value::Null);
    network.world.apply(Command::NullRounds { count: 1 }).unwrap();
    network.advance(4);
    let null = network.head() - 3;
    let error = network.rpc("trace_block", json!([format!("{null:#x}")])).expect_err("a null round");
    assert_eq!(error.code, 12);
    let other = network.rpc("trace_replayBlockTransactions", json!([format!("{height:#x}"), ["vmTrace"]]));
    assert_eq!(other.expect_err("not kept").message, "only 'trace' type is supported");
}

#[test]
fn a_creation_has_its_code_and_a_failure_its_word() {
    let mut network = Network::new();
    let (_, made, done) = network.send(None, REVERTS.to_vec());
    let contract = done.contract.unwrap();
    let traces = network.rpc("trace_transaction", json!([made.to_string()])).unwrap();
    assert_eq!((&traces[0]["type"], &traces[0]["action"]["callType"]), (&json!("create"), &Value::Null));
    assert_eq!(traces[0]["action"]["init"], format!("0x{}", hex::encode(REVERTS)));
    let result = (&traces[0]["result"]["address"], &traces[0]["result"]["code"]);
    assert_eq!(result, (&json!(text(contract)), &json!("0x5f5ffd")));

    let outer = deploy(&mut network, forwarder(contract, CALL));
    let (_, hash, done) = network.send(Some(outer), vec![1]);
    assert_eq!(done.exit, Exit::OK, "the outer call goes on");
    let traces = network.rpc("trace_transaction", json!([hash.to_string()])).unwrap();
    assert_eq!((&traces[0]["error"], &traces[1]["error"]), (&Value::Null, &json!("Reverted")));

    // Forest has two more methods, and Lotus has not.
    let debug = json!([hash.to_string(), { "tracer": "callTracer" }]);
    let call = json!([{ "to": text(outer), "data": "0x01" }, ["trace"], "latest"]);
    for (method, params) in [("debug_traceTransaction", &debug), ("trace_call", &call)] {
        assert_eq!(network.rpc(method, params.clone()).expect_err("not of Lotus").code, -32601);
    }
    let mut forest = Endpoint::new(Behaviour { client: Client::Forest, ..Behaviour::default() }, 0);
    let mut ask = |method: &str, params: &Value| match forest.call(&mut network.world, method, params) {
        Answer::Json { result: Ok(result), .. } => result,
        other => panic!("{other:?}"),
    };
    let nested = ask("debug_traceTransaction", &debug);
    assert_eq!((&nested["type"], &nested["calls"][0]["error"]), (&json!("CALL"), &json!("Reverted")));
    assert_eq!(nested["calls"][0]["to"], text(contract));
    let tried = ask("trace_call", &call);
    assert_eq!(tried["trace"][1]["traceAddress"], json!([0]));
    assert_eq!(tried["output"], format!("{:#066x}", U256::ZERO), "the inner call failed");
}
