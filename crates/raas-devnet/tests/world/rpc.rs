//! The endpoint: JSON-RPC over HTTP, control methods, and the ways it fails on purpose.

use raas_devnet::{Config, Devnet, spawn};
use serde_json::{Value, json};

pub struct Endpoint {
    pub devnet: Devnet,
    http: reqwest::Client,
}

impl Endpoint {
    pub async fn new(config: Config) -> Self {
        // Another test of this process may have installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { devnet: spawn(config).await.unwrap(), http }
    }

    /// The raw answer to a body; `None` when the connection closed without one.
    pub async fn post(&self, body: String) -> Option<Value> {
        let response = self.http.post(self.devnet.rpc_url()).body(body).send().await.ok()?;
        Some(serde_json::from_str(&response.text().await.ok()?).unwrap())
    }

    pub async fn request(&self, method: &str, params: Value) -> Option<Value> {
        self.post(json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }).to_string()).await
    }

    pub async fn ask(&self, method: &str, params: Value) -> Value {
        let answer = self.request(method, params).await.unwrap_or_else(|| panic!("{method}: no answer"));
        assert_eq!(answer["id"], 7);
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    pub async fn error(&self, method: &str, params: Value) -> (i64, String) {
        let answer = self.request(method, params).await.unwrap();
        let error = &answer["error"];
        (error["code"].as_i64().unwrap(), error["message"].as_str().unwrap().to_owned())
    }
}

#[tokio::test]
async fn the_envelope_is_that_of_json_rpc() {
    let endpoint = Endpoint::new(Config::default()).await;
    assert_eq!(
        endpoint.error("Filecoin.ChainHead", json!([1])).await,
        (-32602, "wrong param count (method 'Filecoin.ChainHead'): 1 != 0".to_owned())
    );
    assert_eq!(endpoint.error("Filecoin.NoSuch", json!([])).await.0, -32601);
    assert_eq!(endpoint.error("devnet_noSuch", json!([])).await.0, -32601);
    let (code, message) = endpoint.error("Filecoin.ChainNotify", json!([])).await;
    assert_eq!(code, -32601);
    assert!(message.contains("no out channel support"));
    assert_eq!(endpoint.post("{".to_owned()).await.unwrap()["error"]["code"], -32700);
    assert_eq!(endpoint.post("[]".to_owned()).await.unwrap()["error"]["code"], -32600);
    assert_eq!(endpoint.post("{\"id\":1}".to_owned()).await.unwrap()["error"]["code"], -32600);
    let batch = json!([
        { "jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": [] },
        { "jsonrpc": "2.0", "method": "eth_chainId", "params": [] },
        { "jsonrpc": "2.0", "id": "two", "method": "Filecoin.StateNetworkName" },
    ]);
    let answers = endpoint.post(batch.to_string()).await.unwrap();
    let expected = json!([
        { "jsonrpc": "2.0", "id": 1, "result": "0x1df5e76" },
        { "jsonrpc": "2.0", "id": "two", "result": "raas-devnet" },
    ]);
    assert_eq!(answers, expected);
    endpoint.devnet.shutdown().await;
}

#[tokio::test]
async fn time_moves_by_command_and_the_true_time_is_told() {
    let endpoint = Endpoint::new(Config::default()).await;
    let start = endpoint.ask("devnet_now", json!([])).await;
    assert_eq!((&start["height"], &start["epoch_ms"]), (&json!(5_000_000), &json!(0)));
    assert_eq!(endpoint.ask("devnet_advance", json!([500_000])).await, 5_500_000);
    assert_eq!(endpoint.ask("Filecoin.ChainHead", json!([])).await["Height"], 5_500_000);
    assert_eq!(endpoint.ask("eth_blockNumber", json!([])).await, format!("{:#x}", 5_499_999));
    assert_eq!(endpoint.ask("devnet_nullRounds", json!([2])).await, 5_500_003);
    let now = endpoint.ask("devnet_now", json!([])).await;
    let elapsed = now["unix_ms"].as_u64().unwrap() - start["unix_ms"].as_u64().unwrap();
    assert_eq!(elapsed, 500_000 * 30_000);
    assert_eq!(endpoint.error("devnet_advance", json!([0])).await.0, -32602);
    assert_eq!(endpoint.error("devnet_advance", json!([-5])).await.0, -32602);
    assert_eq!(endpoint.ask("devnet_nextEvent", json!([])).await, Value::Null);
    endpoint.devnet.shutdown().await;
}

#[tokio::test]
async fn a_wall_clock_ticks_until_it_is_stopped() {
    let endpoint = Endpoint::new(Config { epoch_ms: 1, ..Config::default() }).await;
    let height = async || endpoint.ask("devnet_now", json!([])).await["height"].as_i64().unwrap();
    let first = height().await;
    while height().await < first + 3 {
        tokio::task::yield_now().await;
    }
    endpoint.ask("devnet_setEpochMs", json!([0])).await;
    // A tick that was under way when the command came may still count, none after it.
    let stopped = endpoint.ask("devnet_advance", json!([1])).await;
    assert_eq!(endpoint.ask("devnet_advance", json!([1])).await, stopped.as_i64().unwrap() + 1);
    endpoint.devnet.shutdown().await;
}

#[tokio::test]
async fn a_stale_endpoint_freezes_its_head_and_not_the_true_time() {
    let endpoint = Endpoint::new(Config::default()).await;
    endpoint.ask("devnet_setRpc", json!(["stale", null, null])).await;
    endpoint.ask("devnet_advance", json!([50])).await;
    assert_eq!(endpoint.ask("Filecoin.ChainHead", json!([])).await["Height"], 5_000_000);
    assert_eq!(endpoint.ask("Filecoin.ChainGetFinalizedTipSet", json!([])).await["Height"], 4_999_980);
    assert_eq!(endpoint.ask("eth_blockNumber", json!([])).await, format!("{:#x}", 4_999_999));
    assert_eq!(endpoint.ask("devnet_now", json!([])).await["height"], 5_000_050);
    endpoint.ask("devnet_setRpc", json!(["normal", null, null])).await;
    assert_eq!(endpoint.ask("Filecoin.ChainHead", json!([])).await["Height"], 5_000_050);
    endpoint.devnet.shutdown().await;
}

#[tokio::test]
async fn down_gives_no_answer_and_control_goes_on() {
    let endpoint = Endpoint::new(Config::default()).await;
    endpoint.ask("devnet_setRpc", json!(["down"])).await;
    assert_eq!(endpoint.request("Filecoin.ChainHead", json!([])).await, None);
    assert_eq!(endpoint.request("eth_chainId", json!([])).await, None);
    assert_eq!(endpoint.ask("devnet_advance", json!([1])).await, 5_000_001);
    endpoint.ask("devnet_setRpc", json!(["down", "eth_chainId", 1])).await;
    assert_eq!(endpoint.ask("Filecoin.ChainHead", json!([])).await["Height"], 5_000_001);
    assert_eq!(endpoint.request("eth_chainId", json!([])).await, None);
    assert_eq!(endpoint.ask("eth_chainId", json!([])).await, "0x1df5e76");
    assert_eq!(endpoint.error("devnet_setRpc", json!(["sideways"])).await.0, -32602);
    endpoint.devnet.shutdown().await;
}

/// A devnet with one active deal, made in its world without HTTP.
async fn with_a_deal() -> (Endpoint, u64, u64) {
    let endpoint = Endpoint::new(Config::default()).await;
    let (deal, sector) = endpoint
        .devnet
        .host()
        .act(|world| {
            let config = world.config().clone();
            let mut network = crate::network::Network::with(&config);
            let (deal, sector) = network.active(crate::network::BOOST, 1);
            network.advance(1);
            std::mem::swap(world, &mut network.world);
            (deal.0, sector.0)
        })
        .unwrap();
    (endpoint, deal, sector)
}

#[tokio::test]
async fn an_endpoint_that_forgets_deals_tells_the_truth_of_sectors() {
    let (endpoint, deal, sector) = with_a_deal().await;
    let call = json!([{
        "Version": 0, "To": "f05", "From": "f099", "Nonce": 0, "Value": "0", "GasLimit": 0, "GasFeeCap": "0",
        "GasPremium": "0", "Method": 2_567_238_399_u64, "Params": "GGQ=",
    }, null]);
    assert_eq!(endpoint.ask("Filecoin.StateCall", call.clone()).await["MsgRct"]["ExitCode"], 0);
    for (mode, exit) in [("forgetDeals", 17), ("forgetDeals32", 32)] {
        endpoint.ask("devnet_setRpc", json!([mode, null, null])).await;
        let (code, message) = endpoint.error("Filecoin.StateMarketStorageDeal", json!([deal, null])).await;
        assert_eq!(code, 1);
        assert!(message.starts_with(&format!("deal {deal} not found")));
        assert_eq!(endpoint.ask("Filecoin.StateCall", call.clone()).await["MsgRct"]["ExitCode"], exit);
        let count = endpoint.ask("Filecoin.StateMinerSectorCount", json!(["f01000", null])).await;
        assert_eq!(count["Live"], 1);
        assert!(
            endpoint.ask("Filecoin.StateSectorGetInfo", json!(["f01000", sector, null])).await.is_object()
        );
    }
    endpoint.ask("devnet_setRpc", json!(["normal", null, null])).await;
    assert!(endpoint.ask("Filecoin.StateMarketStorageDeal", json!([deal, null])).await.is_object());
    endpoint.devnet.shutdown().await;
}

#[tokio::test]
async fn an_endpoint_with_empty_logs_finds_no_events() {
    let (endpoint, ..) = with_a_deal().await;
    let filter = json!([{ "fromHeight": 5_000_000, "toHeight": 5_000_500, "addresses": ["f05"] }]);
    let events = endpoint.ask("Filecoin.GetActorEventsRaw", filter.clone()).await;
    assert_eq!(events.as_array().unwrap().len(), 2, "published and activated");
    endpoint.ask("devnet_setRpc", json!(["emptyLogs", null, null])).await;
    assert_eq!(endpoint.ask("Filecoin.GetActorEventsRaw", filter).await, Value::Null);
    let logs = endpoint.ask("eth_getLogs", json!([{ "fromBlock": "0x4c4b40", "toBlock": "0x4c4b41" }])).await;
    assert_eq!(logs, json!([]));
    endpoint.devnet.shutdown().await;
}

#[tokio::test]
async fn a_dropped_reply_was_acted_on() {
    let endpoint = Endpoint::new(Config::default()).await;
    let key = raas_devnet::codec::SecretKey::from_seed(b"sender");
    let address = key.address().to_string();
    endpoint.ask("devnet_fund", json!([address, "1000000000000000000"])).await;
    let message = raas_devnet::codec::Message {
        version: 0,
        to: raas_devnet::codec::Address::id(99),
        from: key.address(),
        nonce: 0,
        value: raas_core::units::AttoFil(5),
        gas_limit: 10_000_000,
        gas_fee_cap: raas_core::units::AttoFil(1_000_000),
        gas_premium: raas_core::units::AttoFil(200_000),
        method: 0,
        params: Vec::new(),
    };
    let signature = key.sign(&message.signing_bytes().unwrap());
    let signed = raas_devnet::codec::SignedMessage { message, signature };
    let cid = signed.cid().unwrap().to_string();
    endpoint.ask("devnet_setRpc", json!(["dropReply", "Filecoin.MpoolPush", 1])).await;
    assert_eq!(endpoint.request("Filecoin.MpoolPush", json!([signed])).await, None);
    assert_eq!(endpoint.ask("Filecoin.MpoolGetNonce", json!([address])).await, 1);
    // Sent again after the lost answer, it is known: nothing happens twice.
    let (_, again) = endpoint.error("Filecoin.MpoolPush", json!([signed])).await;
    assert!(again.contains("message with nonce already exists"));
    endpoint.ask("devnet_advance", json!([2])).await;
    let found = endpoint.ask("Filecoin.StateSearchMsg", json!([null, { "/": cid }, -1, true])).await;
    assert_eq!(found["Receipt"]["ExitCode"], 0);
    endpoint.devnet.shutdown().await;
}

#[tokio::test]
async fn providers_are_listed_and_controlled_by_id() {
    let (endpoint, deal, sector) = with_a_deal().await;
    let providers = endpoint.ask("devnet_providers", json!([])).await;
    let providers = providers.as_array().unwrap();
    assert!(providers.len() >= 6);
    let operators: std::collections::BTreeSet<&str> =
        providers.iter().map(|one| one["operator"].as_str().unwrap()).collect();
    assert!(operators.len() >= 5 && operators.len() < providers.len(), "some share an operator");
    assert!(providers.iter().all(|one| one["askPerGibEpoch"] != "0"));
    assert_eq!(providers[0]["sectors"][0]["deals"], json!([deal]));
    for named in [json!(1_000), json!("f01000"), json!("t01000")] {
        assert_eq!(endpoint.ask("devnet_fault", json!([named, null])).await, json!([sector]));
    }
    assert_eq!(endpoint.ask("devnet_recover", json!(["f01000", [sector]])).await, json!([sector]));
    assert_eq!(endpoint.error("devnet_fault", json!(["f09999", null])).await.0, -32602);
    assert_eq!(endpoint.error("devnet_terminate", json!(["f01000", [77]])).await.0, -32602);
    endpoint.ask("devnet_setProvider", json!(["f01000", "offline", 3])).await;
    let shown = endpoint.ask("devnet_providers", json!([])).await;
    assert_eq!((&shown[0]["mode"], &shown[0]["modeCount"]), (&json!("offline"), &json!(3)));
    assert_eq!(endpoint.error("devnet_setProvider", json!(["f01000", "lazy", null])).await.0, -32602);
    assert_eq!(endpoint.ask("devnet_terminate", json!(["f01000", null])).await, json!([sector]));
    endpoint.ask("devnet_advance", json!([2])).await;
    let (_, gone) = endpoint.error("Filecoin.StateMarketStorageDeal", json!([deal, null])).await;
    assert!(gone.contains("not found"));
    let ledger = endpoint.ask("devnet_ledger", json!([null])).await;
    let kinds: Vec<&str> =
        ledger.as_array().unwrap().iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    for kind in
        ["proposed", "transferred", "published", "activated", "sectorTerminated", "terminated", "paid"]
    {
        assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
    }
    let tail = endpoint.ask("devnet_ledger", json!([kinds.len() - 1])).await;
    assert_eq!(tail.as_array().unwrap().len(), 1);
    assert_eq!(endpoint.ask("devnet_ledgerHash", json!([])).await.as_str().unwrap().len(), 64);
    endpoint.devnet.shutdown().await;
}

#[tokio::test]
async fn a_taken_port_and_a_bad_version_are_told() {
    let endpoint = Endpoint::new(Config::default()).await;
    let taken: u16 =
        endpoint.devnet.rpc_url().split(':').nth(2).unwrap().split('/').next().unwrap().parse().unwrap();
    let config = Config { port: taken, ..Config::default() };
    if config.check().is_ok() {
        let error = spawn(config).await.expect_err("the port is taken").to_string();
        assert!(error.contains("the chain RPC") && error.contains(&taken.to_string()), "{error}");
    }
    let error =
        spawn(Config { network_version: 27, ..Config::default() }).await.expect_err("too old").to_string();
    assert!(error.contains("network_version"), "{error}");
    endpoint.devnet.shutdown().await;
}

/// `StateWaitMsg` holds the request until the message is executed and so many epochs stand on it.
#[tokio::test]
async fn a_message_is_waited_for_until_it_is_there() {
    let endpoint = Endpoint::new(Config::default()).await;
    let key = raas_devnet::codec::SecretKey::from_seed(b"sender");
    endpoint.ask("devnet_fund", json!([key.address().to_string(), "100000000000000000000"])).await;
    endpoint.ask("devnet_advance", json!([2])).await;
    let message = json!({ "Version": 0, "To": "f099", "From": key.address().to_string(), "Nonce": 0, "Value": "5",
        "GasLimit": 10_000_000, "GasFeeCap": "1000000", "GasPremium": "200000", "Method": 0, "Params": null });
    let message: raas_devnet::codec::Message = serde_json::from_value(message).unwrap();
    let signature = key.sign(&message.signing_bytes().unwrap());
    let cid =
        endpoint.ask("Filecoin.MpoolPush", json!([{ "Message": message, "Signature": signature }])).await;
    let waits = endpoint.ask("Filecoin.StateWaitMsg", json!([cid, 3, -1, true]));
    let passes = async {
        // Included, executed, and three epochs on top of that.
        for _ in 0..5 {
            endpoint.ask("devnet_advance", json!([1])).await;
        }
    };
    let (found, ()) = tokio::join!(waits, passes);
    assert_eq!((&found["Message"], &found["Receipt"]["ExitCode"]), (&cid, &json!(0)));
    let head = endpoint.ask("Filecoin.ChainHead", json!([])).await["Height"].as_i64().unwrap();
    assert_eq!(found["Height"], head - 3);
    endpoint.ask("devnet_setEndpoint", json!(["gate", { "profile": "gateway" }])).await;
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "Filecoin.StateWaitMsg", "params": [cid, 21, -1, true] });
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let sent = http.post(endpoint.devnet.rpc_url() + "/gate").body(body.to_string()).send().await.unwrap();
    let answer: Value = serde_json::from_str(&sent.text().await.unwrap()).unwrap();
    assert_eq!(answer["error"]["message"], "confidence 21 exceeds gateway maximum 20");
    // Who waits for what never comes is let go when the devnet ends.
    let never = json!([{ "/": raas_devnet::world::bulk_piece(1).to_string() }, 0, -1, true]);
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "Filecoin.StateWaitMsg", "params": never });
    let request = http.post(endpoint.devnet.rpc_url()).body(body.to_string());
    let waits = async { request.send().await.ok()?.text().await.ok() };
    let ends = async {
        endpoint.ask("devnet_advance", json!([1])).await;
        endpoint.devnet.shutdown().await;
    };
    let (answer, ()) = tokio::join!(waits, ends);
    assert!(answer.is_none_or(|answer| answer.contains("the node is shutting down")));
}
