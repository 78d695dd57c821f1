//! Several endpoints over one chain: each tells what it is told to tell, and the chain stays what it is.

use crate::{network::Network, rpc::Endpoint as Served};
use raas_devnet::{
    Config,
    rpc::{Answer, Behaviour, Endpoint, RpcError},
    world::Command,
};
use serde_json::{Value, json};

struct Asked(Endpoint);

impl Asked {
    fn new(network: &Network, behaviour: Value) -> Self {
        let behaviour: Behaviour = serde_json::from_value(behaviour).unwrap();
        Self(Endpoint::new(behaviour, network.world.chain().head()))
    }

    fn call(&mut self, network: &mut Network, method: &str, params: Value) -> Result<Value, RpcError> {
        match self.0.call(&mut network.world, method, &params) {
            Answer::Json { result, .. } => result,
            other => panic!("{method}: {other:?}"),
        }
    }

    fn ask(&mut self, network: &mut Network, method: &str, params: Value) -> Value {
        self.call(network, method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    fn refusal(&mut self, network: &mut Network, method: &str, params: Value) -> (i64, String) {
        let error = self.call(network, method, params).expect_err(method);
        (error.code, error.message)
    }
}

#[test]
fn a_gateway_has_its_list_its_day_and_its_short_searches() {
    let mut network = Network::new();
    network.advance(5_000);
    let mut gateway = Asked::new(&network, json!({ "profile": "gateway" }));
    let net = &mut network;
    let (code, text) = gateway.refusal(net, "Filecoin.StateMinerPartitions", json!(["f01000", 0, null]));
    assert_eq!((code, text.as_str()), (-32601, "method 'Filecoin.StateMinerPartitions' not found"));
    let head = gateway.ask(net, "Filecoin.ChainHead", json!([]))["Height"].as_i64().unwrap();
    assert_eq!(
        gateway.ask(net, "Filecoin.ChainGetTipSetByHeight", json!([head - 2_880, null]))["Height"],
        head - 2_880
    );
    let (code, text) = gateway.refusal(net, "Filecoin.ChainGetTipSetByHeight", json!([head - 2_881, null]));
    assert_eq!(code, 1);
    assert_eq!(text, "bad tipset: lookbacks of more than 24h0m0s are disallowed");
    let old = net.ask("Filecoin.ChainGetTipSetByHeight", json!([head - 4_000, null]))["Cids"].clone();
    let (_, text) = gateway.refusal(net, "Filecoin.StateMarketStorageDeal", json!([100, old]));
    assert!(text.starts_with("bad tipset"), "{text}");
    let (_, text) = gateway.refusal(net, "Filecoin.ChainGetTipSetByHeight", json!([head + 1, null]));
    assert!(text.contains("tipset height in future"), "{text}");
    let (_, text) = gateway.refusal(net, "eth_newFilter", json!([{}]));
    assert_eq!(text, "stateful methods are only available on websocket connections");
    let logs =
        json!([{ "fromBlock": format!("{:#x}", head - 4_000), "toBlock": format!("{:#x}", head - 3_990) }]);
    assert!(gateway.refusal(net, "eth_getLogs", logs).1.starts_with("bad tipset"));
    assert!(gateway.refusal(net, "eth_feeHistory", json!(["0x81", "latest", []])).1.contains("128"));
}

#[test]
fn pruned_limited_and_other_implementations_answer_in_their_own_words() {
    let mut network = Network::new();
    network.advance(5_000);
    let head = network.world.chain().head();
    let mut pruned = Asked::new(&network, json!({ "lookback": 100, "logRange": 10, "logResults": 2 }));
    let old = network.ask("Filecoin.ChainGetTipSetByHeight", json!([head - 101, null]))["Cids"].clone();
    let (_, text) = pruned.refusal(&mut network, "Filecoin.StateMinerSectorCount", json!(["f01000", old]));
    assert!(text.contains("ipld: could not find"), "{text}");
    let range =
        |from: i64, to: i64| json!([{ "fromBlock": format!("{from:#x}"), "toBlock": format!("{to:#x}") }]);
    let (code, text) = pruned.refusal(&mut network, "eth_getLogs", range(head - 20, head - 9));
    assert_eq!((code, text.as_str()), (-32005, "block range exceeds maximum of 10 (got 11)"));
    assert_eq!(pruned.ask(&mut network, "eth_getLogs", range(head - 20, head - 10)), json!([]));

    let mut forest = Asked::new(&network, json!({ "client": "forest" }));
    let nothing = json!([{ "fromHeight": head - 5, "toHeight": head - 1 }]);
    assert_eq!(forest.ask(&mut network, "Filecoin.GetActorEventsRaw", nothing.clone()), json!([]));
    assert_eq!(network.ask("Filecoin.GetActorEventsRaw", nothing), Value::Null);
    let (code, text) = forest.refusal(&mut network, "Filecoin.StateMarketStorageDeal", json!([7, null]));
    assert_eq!(code, -32603);
    assert!(text.starts_with("deal 7 not found"));
}

#[test]
fn an_old_forest_answers_a_null_round_with_the_tipset_before() {
    let mut network = Network::new();
    network.apply(Command::NullRounds { count: 1 });
    network.advance(5);
    let null = network.world.chain().head() - 4;
    let mut honest = Asked::new(&network, json!({}));
    let mut old = Asked::new(&network, json!({ "faults": [{ "mode": "nullRoundAsPrevious" }] }));
    let block = json!([format!("{null:#x}"), false]);
    assert_eq!(honest.refusal(&mut network, "eth_getBlockByNumber", block.clone()).0, 12);
    let shown = old.ask(&mut network, "eth_getBlockByNumber", block);
    assert_eq!(shown["number"], format!("{:#x}", null - 1));
}

#[test]
fn finality_and_head_lag_where_they_are_told_to() {
    let mut network = Network::new();
    network.advance(2_000);
    let head = network.world.chain().head();
    let behaviour = json!({ "behind": 7, "finalityLag": 900, "safeLag": 30 });
    let mut lagging = Asked::new(&network, behaviour);
    let number = |value: Value| {
        i64::from_str_radix(value["number"].as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
    };
    let mut at = |tag: &str| number(lagging.ask(&mut network, "eth_getBlockByNumber", json!([tag, false])));
    assert_eq!((at("latest"), at("safe"), at("finalized")), (head - 8, head - 37, head - 907));
    let native = lagging.ask(&mut network, "Filecoin.ChainGetFinalizedTipSet", json!([]));
    assert_eq!(native["Height"], head - 907);
}

#[test]
fn endpoints_that_disagree_or_are_of_another_network_show_other_keys() {
    let mut network = Network::new();
    network.advance(50);
    let head = network.world.chain().head();
    let mut honest = Asked::new(&network, json!({}));
    let mut other = Asked::new(&network, json!({ "faults": [{ "mode": "disagree", "height": head - 10 }] }));
    let mut foreign = Asked::new(&network, json!({ "network": 3 }));
    let key = |asked: &mut Asked, network: &mut Network, height: i64| {
        asked.ask(network, "Filecoin.ChainGetTipSetByHeight", json!([height, null]))["Cids"].clone()
    };
    let below = head - 11;
    assert_eq!(key(&mut honest, &mut network, below), key(&mut other, &mut network, below));
    assert_ne!(key(&mut honest, &mut network, below), key(&mut foreign, &mut network, below));
    let true_key = key(&mut honest, &mut network, head - 10);
    let false_key = key(&mut other, &mut network, head - 10);
    assert_ne!(true_key, false_key);
    // Each knows its own keys and not those of the other.
    let read = json!(["f01000", false_key]);
    assert!(other.call(&mut network, "Filecoin.StateMinerSectorCount", read.clone()).is_ok());
    let (_, text) = honest.refusal(&mut network, "Filecoin.StateMinerSectorCount", read);
    assert!(text.contains("could not find"), "{text}");
    assert_eq!(foreign.ask(&mut network, "eth_chainId", json!([])), json!(format!("{:#x}", 31_415_926 + 3)));
    assert_eq!(foreign.ask(&mut network, "Filecoin.StateNetworkName", json!([])), "raas-devnet-3");
    let genesis = |asked: &mut Asked, network: &mut Network| {
        asked.ask(network, "Filecoin.ChainGetGenesis", json!([]))["Cids"].clone()
    };
    assert_ne!(genesis(&mut honest, &mut network), genesis(&mut foreign, &mut network));
    let number = format!("{:#x}", head - 10);
    let block = |asked: &mut Asked, network: &mut Network| {
        asked.ask(network, "eth_getBlockByNumber", json!([number, false]))
    };
    let (true_block, false_block) = (block(&mut honest, &mut network), block(&mut other, &mut network));
    assert_ne!(true_block["hash"], false_block["hash"]);
    assert_eq!(true_block["parentHash"], false_block["parentHash"]);
    let by_hash = other.ask(&mut network, "eth_getBlockByHash", json!([false_block["hash"], false]));
    assert_eq!(by_hash, false_block);
    assert!(honest.call(&mut network, "eth_getBlockByHash", json!([false_block["hash"], false])).is_err());
}

#[test]
fn tipsets_have_one_to_five_blocks_and_their_keys_name_them() {
    let mut network = Network::new();
    network.advance(60);
    let mut counts = std::collections::BTreeSet::new();
    let mut tipset = network.ask("Filecoin.ChainHead", json!([]));
    for _ in 0..60 {
        let (cids, blocks) = (tipset["Cids"].as_array().unwrap(), tipset["Blocks"].as_array().unwrap());
        assert_eq!(cids.len(), blocks.len());
        counts.insert(blocks.len());
        assert_eq!(network.ask("Filecoin.ChainGetTipSet", json!([cids])), tipset);
        for (cid, block) in cids.iter().zip(blocks) {
            assert_eq!(&network.ask("Filecoin.ChainGetBlock", json!([cid])), block);
            assert_eq!(block["Parents"], blocks[0]["Parents"]);
        }
        if cids.len() > 1 {
            assert!(
                network.call("Filecoin.ChainGetTipSet", json!([[cids[0]]])).is_err(),
                "a part is no tipset"
            );
        }
        tipset = network.ask("Filecoin.ChainGetTipSet", json!([blocks[0]["Parents"]]));
    }
    assert_eq!(counts, (1..=5).collect());
}

#[tokio::test]
async fn named_endpoints_are_served_beside_the_main_one_and_count_calls() {
    let served = Served::new(Config::default()).await;
    let main = served.devnet.rpc_url();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = async |name: &str, body: Value| {
        http.post(format!("{main}/{name}")).body(body.to_string()).send().await
    };
    let one = |method: &str| json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": [] });
    assert_eq!(post("far", one("eth_chainId")).await.unwrap().status(), 404);
    let slips = served.error("devnet_setEndpoint", json!(["far", { "profil": "gateway" }])).await;
    assert!(slips.0 == -32602 && slips.1.contains("profil"), "{slips:?}");
    served
        .ask("devnet_setEndpoint", json!(["far", { "faults": [{ "mode": "http", "count": 1, "retryAfter": 9, "method": "eth_accounts" }] }]))
        .await;
    let batch = json!([one("eth_chainId"), one("eth_chainId"), one("Filecoin.ChainHead")]);
    let answers: Value =
        serde_json::from_str(&post("far", batch).await.unwrap().text().await.unwrap()).unwrap();
    assert_eq!(answers.as_array().unwrap().len(), 3);
    let limited = post("far", json!([one("eth_chainId"), one("eth_accounts")])).await.unwrap();
    assert_eq!((limited.status().as_u16(), &limited.headers()["retry-after"]), (429, &"9".parse().unwrap()));
    assert_eq!(post("far", one("eth_accounts")).await.unwrap().status(), 200);
    served.ask("Filecoin.ChainHead", json!([])).await;
    let listed = served.ask("devnet_endpoints", json!([true])).await;
    let far = listed.as_array().unwrap().iter().find(|one| one["name"] == "far").unwrap().clone();
    assert_eq!(far["path"], "/rpc/v1/far");
    assert_eq!(far["calls"], json!({ "Filecoin.ChainHead": 1, "eth_accounts": 2, "eth_chainId": 3 }));
    assert_eq!((&far["callsTotal"], &far["requests"], &far["batchMax"]), (&json!(6), &json!(3), &json!(3)));
    let main_calls =
        listed.as_array().unwrap().iter().find(|one| one["name"] == "main").unwrap()["calls"].clone();
    assert_eq!(main_calls, json!({ "Filecoin.ChainHead": 1 }));
    let again = served.ask("devnet_endpoints", json!([])).await;
    assert_eq!(again[0]["callsTotal"], 0);
    // Out of tokens, hanging, and gone.
    served.ask("devnet_setEndpoint", json!(["far", { "callsPerSecond": 1 }])).await;
    let batch = json!([one("eth_chainId"), one("eth_chainId"), one("eth_chainId")]);
    assert_eq!(post("far", batch).await.unwrap().status(), 429);
    served.ask("devnet_setEndpoint", json!(["far", { "faults": [{ "mode": "garbage" }] }])).await;
    assert!(post("far", one("eth_chainId")).await.unwrap().text().await.unwrap().starts_with("<html>"));
    served.ask("devnet_setEndpoint", json!(["far", null])).await;
    assert_eq!(post("far", one("eth_chainId")).await.unwrap().status(), 404);
    served.devnet.shutdown().await;
}
