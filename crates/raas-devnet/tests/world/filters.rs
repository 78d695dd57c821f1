//! Ethereum filters: logs, blocks and transactions that are fetched again and again.

use crate::network::Network;
use alloy_primitives::{Address, U256};
use raas_core::units::AttoFil;
use raas_devnet::{
    fevm::EthKey,
    rpc::{Answer, Behaviour, Endpoint, Profile, RpcError},
    world::{Command, ReorgOrder},
};
use serde_json::{Value, json};

/// Init code of a contract that emits one log with the topic 42 whenever it is called.
const LOGGER: [u8; 15] =
    [0x60, 0x06, 0x80, 0x60, 0x09, 0x5f, 0x39, 0x5f, 0xf3, 0x60, 0x2a, 0x5f, 0x5f, 0xa1, 0x00];

struct Scene {
    network: Network,
    node: Endpoint,
    key: EthKey,
    logger: Address,
}

impl Scene {
    fn new() -> Self {
        let mut network = Network::poor(&raas_devnet::Config::default());
        let key = EthKey::from_bytes(&[7; 32]).unwrap();
        let address = format!("{:#x}", key.address());
        network.apply(Command::Fund { address, amount: AttoFil::fil(100) });
        network.advance(2);
        let hash = network.world.eth_send(&key, None, U256::ZERO, LOGGER.to_vec()).unwrap();
        network.advance(2);
        let logger = network.world.eth_receipt(&hash).unwrap().contract.unwrap();
        let node = Endpoint::new(Behaviour::default(), 0);
        Self { network, node, key, logger }
    }

    fn call(&mut self, method: &str, params: Value) -> Result<Value, RpcError> {
        match self.node.call(&mut self.network.world, method, &params) {
            Answer::Json { result, .. } => result,
            other => panic!("{other:?}"),
        }
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.call(method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Calls the contract: one log. The transaction's hash.
    fn log(&mut self) -> String {
        let to = Some(self.logger);
        let hash = self.network.world.eth_send(&self.key, to, U256::ZERO, Vec::new()).unwrap();
        self.network.advance(2);
        hash.to_string()
    }

    /// What a filter has new, as (transaction, removed).
    fn news(&mut self, id: &Value) -> Vec<(String, bool)> {
        let news = self.ask("eth_getFilterChanges", json!([id]));
        let one = |log: &Value| {
            (log["transactionHash"].as_str().unwrap().to_owned(), log["removed"].as_bool().unwrap())
        };
        news.as_array().unwrap().iter().map(one).collect()
    }
}

#[test]
fn a_log_filter_tells_each_log_once_and_takes_back_what_was_left() {
    let mut scene = Scene::new();
    scene.network.advance(10);
    let start = scene.network.world.chain().head();
    let first = scene.log();
    let topic = format!("{:#066x}", 42);
    let wanted = json!({ "fromBlock": format!("{start:#x}"), "address": scene.logger, "topics": [topic] });
    let past = scene.ask("eth_newFilter", json!([wanted]));
    let new = scene.ask("eth_newFilter", json!([{ "address": scene.logger }]));
    let other = scene.ask("eth_newFilter", json!([{ "topics": [format!("{:#066x}", 43)] }]));
    let until = scene.network.world.chain().head() + 1;
    let bounded = json!({ "fromBlock": format!("{start:#x}"), "toBlock": format!("{until:#x}") });
    let bounded = scene.ask("eth_newFilter", json!([bounded]));
    assert_eq!(scene.news(&past), [(first.clone(), false)], "from the past on");
    assert_eq!(scene.news(&new), []);
    scene.network.advance(5);
    let second = scene.log();
    for id in [&past, &new] {
        assert_eq!(scene.news(id), [(second.clone(), false)]);
        assert_eq!(scene.news(id), [], "once");
    }
    assert_eq!(scene.news(&bounded), [(first.clone(), false)], "not beyond its last block");
    assert_eq!(scene.news(&other), []);
    let all = scene.ask("eth_getFilterLogs", json!([past]));
    assert_eq!(all, scene.ask("eth_getLogs", json!([wanted])));
    assert_eq!(all.as_array().unwrap().len(), 2);

    // The newest tipsets are left; the second transaction comes again, some epochs later.
    scene.network.apply(Command::Reorg(ReorgOrder { depth: 3, empty: 1, ..ReorgOrder::default() }));
    scene.network.advance(2);
    assert_eq!(scene.news(&past), [(second.clone(), true), (second, false)]);

    assert_eq!(scene.ask("eth_uninstallFilter", json!([past])), true);
    assert_eq!(scene.ask("eth_uninstallFilter", json!([past])), false);
    let gone = scene.call("eth_getFilterChanges", json!([past])).expect_err("it is gone");
    assert_eq!(gone.message, "filter not found");
}

#[test]
fn blocks_and_transactions_have_filters_too() {
    let mut scene = Scene::new();
    let blocks = scene.ask("eth_newBlockFilter", json!([]));
    let transactions = scene.ask("eth_newPendingTransactionFilter", json!([]));
    scene.network.apply(Command::NullRounds { count: 1 });
    scene.network.advance(2);
    let sent = scene.log();
    let latest = scene.ask("eth_getBlockByNumber", json!(["latest", false]));
    let hashes = scene.ask("eth_getFilterChanges", json!([blocks]));
    assert_eq!(hashes.as_array().unwrap().len(), 3, "null rounds are no blocks");
    assert_eq!(hashes[2], latest["hash"]);
    assert_eq!(hashes[1], latest["parentHash"]);
    assert_eq!(scene.ask("eth_getFilterChanges", json!([transactions])), json!([sent]), "though it is mined");
    assert_eq!(scene.ask("eth_getFilterChanges", json!([transactions])), json!([]));
    let error = scene.call("eth_getFilterLogs", json!([blocks])).expect_err("no logs");
    assert_eq!(error.message, "the filter is not one of logs");
}

#[test]
fn filters_are_few_live_an_hour_and_are_for_sockets_at_a_gateway() {
    let mut scene = Scene::new();
    let kept = scene.ask("eth_newBlockFilter", json!([]));
    let idle = scene.ask("eth_newBlockFilter", json!([]));
    for _ in 2..100 {
        scene.ask("eth_newBlockFilter", json!([]));
    }
    let error = scene.call("eth_newFilter", json!([{}])).expect_err("one too many");
    assert_eq!(error.message, "maximum number of filters registered: 100");
    // 120 epochs are an hour.
    scene.network.advance(100);
    scene.ask("eth_getFilterChanges", json!([kept]));
    scene.network.advance(21);
    assert_eq!(scene.ask("eth_getFilterChanges", json!([kept])).as_array().unwrap().len(), 21);
    assert!(scene.call("eth_getFilterChanges", json!([idle])).is_err());
    scene.ask("eth_newBlockFilter", json!([]));
    for bad in [json!([]), json!(["abc"]), json!(["0x0"])] {
        assert!(scene.call("eth_getFilterChanges", bad.clone()).is_err(), "{bad}");
    }
    assert!(scene.call("eth_newFilter", json!([{ "fromBlock": "soon" }])).is_err());
    let wide = scene.call("eth_newFilter", json!([{ "fromBlock": "0x1" }])).expect_err("too wide");
    assert_eq!(wide.code, -32005);
    scene.node = Endpoint::new(Behaviour { profile: Profile::Gateway, ..Behaviour::default() }, 0);
    let error = scene.call("eth_newBlockFilter", json!([])).expect_err("over HTTP");
    assert!(error.message.contains("only available on websocket"), "{error}");
}
