//! The scenario that forge wrote down, step by step on this FEVM: every return, revert and log must be the same bytes.
//! anvil runs the same file (contracts/bin/scenario.mjs).

use crate::bench::{Bench, HandDeal};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use raas_devnet::fevm::{EthKey, Unsigned};
use serde_json::Value;

const SCENARIO: &str = include_str!("../../../../contracts/test/vectors/scenario.json");

fn key(who: &str) -> EthKey {
    let seed = match who {
        "operator" => 7,
        "client" => 8,
        "stranger" => 9,
        other => panic!("nobody is called {other}"),
    };
    EthKey::from_bytes(&[seed; 32]).unwrap()
}

fn bytes(value: &Value) -> Bytes {
    value.as_str().unwrap().parse().unwrap()
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap()
}

#[test]
fn the_scenario_comes_out_as_on_forge() {
    let scenario: Value = serde_json::from_str(SCENARIO).unwrap();
    let mut bench = Bench::new();
    for who in ["client", "stranger"] {
        bench.fevm.grant(key(who).address(), bench.height, U256::from(10).pow(U256::from(21)));
    }
    let contract = bench.deploy_deal_status();
    // Ids of a market that never gave one begin at 1.
    bench.market.next = 1;
    bench.height = number(&scenario["base"]);
    let steps = scenario["steps"].as_array().unwrap();
    for (at, step) in steps.iter().enumerate() {
        match step["do"].as_str().unwrap() {
            "send" => send(&mut bench, contract, step, at),
            "ask" => {
                let answer = bench.call_at(bench.height, contract, bytes(&step["data"]));
                let (ok, output) =
                    answer.map_or_else(|failure| (false, failure.data), |output| (true, output));
                assert_eq!(
                    (ok, output),
                    (step["ok"].as_bool().unwrap(), bytes(&step["output"])),
                    "step {at}"
                );
            }
            "advance" => bench.height += number(&step["epochs"]),
            "market" => {
                bench.height += 1;
                on_market(&mut bench, step);
            }
            other => panic!("step {at}: {other}"),
        }
    }
    assert!(steps.len() > 50);
}

fn send(bench: &mut Bench, contract: Address, step: &Value, at: usize) {
    let key = key(step["from"].as_str().unwrap());
    let nonce = bench.fevm.next_nonce(&key.address());
    let unsigned = Unsigned::new(TxKind::Call(contract), nonce, bytes(&step["data"]), 1_000_000_000);
    let hash = bench.fevm.push(&key.sign(&unsigned, bench.fevm.chain_id())).unwrap();
    bench.step();
    let executed = bench.fevm.find(&hash).unwrap().2.clone();
    assert_eq!(executed.exit.is_ok(), step["ok"].as_bool().unwrap(), "step {at}");
    assert_eq!(executed.output, bytes(&step["output"]), "step {at}");
    let logs: Vec<(Vec<B256>, Bytes)> =
        executed.logs.iter().map(|log| (log.data.topics().to_vec(), log.data.data.clone())).collect();
    let wanted: Vec<(Vec<B256>, Bytes)> = step["logs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|log| {
            let topics = log["topics"].as_array().unwrap();
            (
                topics.iter().map(|topic| topic.as_str().unwrap().parse().unwrap()).collect(),
                bytes(&log["data"]),
            )
        })
        .collect();
    assert_eq!(logs, wanted, "step {at}");
}

fn on_market(bench: &mut Bench, step: &Value) {
    let id = step["deal"].as_u64().unwrap_or(bench.market.next);
    match step["op"].as_str().unwrap() {
        "publish" => {
            let piece: B256 = step["piece"].as_str().unwrap().parse().unwrap();
            let deal = HandDeal {
                digest: piece.0,
                size: step["size"].as_u64().unwrap(),
                provider: step["provider"].as_u64().unwrap(),
                start: number(&step["start"]),
                duration: number(&step["duration"]),
                activated: None,
            };
            bench.market.deals.insert(id, deal);
            bench.market.next += 1;
        }
        "activate" => bench.market.deals.get_mut(&id).unwrap().activated = Some(number(&step["epoch"])),
        "remove" => drop(bench.market.deals.remove(&id)),
        other => panic!("the market cannot {other}"),
    }
}
