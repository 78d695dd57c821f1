//! Sockets: the same calls, and what comes unasked, in the forms of go-jsonrpc and of Ethereum.

use crate::rpc::Endpoint;
use alloy_primitives::{Address, U256};
use futures_util::{SinkExt as _, StreamExt as _};
use raas_core::units::AttoFil;
use raas_devnet::{Config, fevm::EthKey, world::Command};
use serde_json::{Value, json};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

struct Socket {
    stream: WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>,
    /// What came unasked while an answer was awaited.
    unasked: std::collections::VecDeque<Value>,
    last: u64,
}

impl Socket {
    async fn open(endpoint: &Endpoint, name: &str) -> Self {
        let url = endpoint.devnet.rpc_url().replace("http://", "ws://") + name;
        let (stream, _) = connect_async(url).await.unwrap();
        Self { stream, unasked: std::collections::VecDeque::new(), last: 0 }
    }

    async fn read(&mut self) -> Option<Value> {
        loop {
            match self.stream.next().await? {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    async fn send(&mut self, value: Value) {
        self.stream.send(Message::text(value.to_string())).await.unwrap();
    }

    async fn request(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let id = self.last;
        self.send(json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await;
        loop {
            let message = self.read().await.expect("an answer");
            if message["id"] == id {
                return message;
            }
            self.unasked.push_back(message);
        }
    }

    async fn ask(&mut self, method: &str, params: Value) -> Value {
        let answer = self.request(method, params).await;
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// The next message that is no answer.
    async fn news(&mut self) -> Value {
        match self.unasked.pop_front() {
            Some(message) => message,
            None => self.read().await.expect("news"),
        }
    }

    /// The next value of a native channel.
    async fn value(&mut self, channel: &Value) -> Value {
        let message = self.news().await;
        assert_eq!(
            (&message["method"], &message["params"][0]),
            (&json!("xrpc.ch.val"), channel),
            "{message}"
        );
        assert!(message.get("id").is_none());
        message["params"][1].clone()
    }

    async fn event(&mut self, id: &Value) -> Value {
        let message = self.news().await;
        assert_eq!(
            (&message["method"], &message["params"]["subscription"]),
            (&json!("eth_subscription"), id),
            "{message}"
        );
        message["params"]["result"].clone()
    }
}

#[tokio::test]
async fn chain_notify_tells_the_head_then_what_is_applied_and_reverted() {
    let endpoint = Endpoint::new(Config::default()).await;
    endpoint.ask("devnet_advance", json!([20])).await;
    let mut socket = Socket::open(&endpoint, "").await;
    let channel = socket.ask("Filecoin.ChainNotify", json!([])).await;
    assert!(channel.is_u64());
    let head = endpoint.ask("Filecoin.ChainHead", json!([])).await;
    assert_eq!(socket.value(&channel).await, json!([{ "Type": "current", "Val": head }]));
    endpoint.ask("devnet_nullRounds", json!([1])).await;
    endpoint.ask("devnet_advance", json!([3])).await;
    let changes = socket.value(&channel).await;
    let heights: Vec<_> = changes
        .as_array()
        .unwrap()
        .iter()
        .map(|change| (change["Type"].clone(), change["Val"]["Height"].clone()))
        .collect();
    let start = head["Height"].as_i64().unwrap();
    assert_eq!(heights, [(json!("apply"), json!(start + 2)), (json!("apply"), json!(start + 3))]);
    let old = [changes[1]["Val"].clone(), changes[0]["Val"].clone(), head];
    endpoint.ask("devnet_reorg", json!([3])).await;
    let changes = socket.value(&channel).await;
    let kinds: Vec<_> = changes
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["Type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["revert", "revert", "revert", "apply", "apply", "apply"]);
    for (index, old) in old.iter().enumerate() {
        assert_eq!(&changes[index]["Val"], old, "newest first, as they were");
    }
    assert_eq!(changes[5]["Val"], endpoint.ask("Filecoin.ChainHead", json!([])).await);
    // Cancelled by the id of the request.
    socket.send(json!({ "jsonrpc": "2.0", "method": "xrpc.cancel", "params": [1] })).await;
    assert_eq!(
        socket.news().await,
        json!({ "jsonrpc": "2.0", "method": "xrpc.ch.close", "params": [channel] })
    );
    endpoint.ask("devnet_advance", json!([1])).await;
    assert_eq!(socket.ask("eth_chainId", json!([])).await, "0x1df5e76", "and nothing came before it");
    assert!(socket.unasked.is_empty());
    endpoint.devnet.shutdown().await;
}

#[tokio::test]
async fn ethereum_subscriptions_tell_heads_logs_and_transactions() {
    let endpoint = Endpoint::new(Config::default()).await;
    let key = EthKey::from_bytes(&[7; 32]).unwrap();
    endpoint
        .devnet
        .apply(Command::Fund { address: key.address().to_string(), amount: AttoFil::fil(100) })
        .unwrap();
    // A contract that logs one topic, whoever calls it: PUSH1 7, PUSH1 0, PUSH1 0, LOG1.
    let init = hex::decode("6008600c60003960086000f3600760006000a100").unwrap();
    let world = |act: &mut dyn FnMut(&mut raas_devnet::world::World) -> alloy_primitives::B256| {
        endpoint.devnet.host().act(|world| act(world)).unwrap()
    };
    let deployed = world(&mut |world| world.eth_send(&key, None, U256::ZERO, init.clone()).unwrap());
    endpoint.ask("devnet_advance", json!([2])).await;
    let contract =
        endpoint.ask("eth_getTransactionReceipt", json!([deployed])).await["contractAddress"].clone();
    let address: Address = contract.as_str().unwrap().parse().unwrap();
    let mut socket = Socket::open(&endpoint, "").await;
    let heads = socket.ask("eth_subscribe", json!(["newHeads"])).await;
    let latest = socket.ask("eth_blockNumber", json!([])).await;
    endpoint.ask("devnet_advance", json!([2])).await;
    let (first, second) = (socket.event(&heads).await, socket.event(&heads).await);
    assert_eq!(
        first["parentHash"],
        endpoint.ask("eth_getBlockByNumber", json!([latest, false])).await["hash"]
    );
    assert_eq!(second["parentHash"], first["hash"]);
    assert_eq!(second["number"], socket.ask("eth_blockNumber", json!([])).await, "executed blocks only");
    assert_eq!(socket.ask("eth_unsubscribe", json!([heads])).await, true);
    assert_eq!(socket.ask("eth_unsubscribe", json!([heads])).await, false);
    let pending = socket.ask("eth_subscribe", json!(["newPendingTransactions"])).await;
    let sent = world(&mut |world| world.eth_send(&key, Some(address), U256::ZERO, Vec::new()).unwrap());
    assert_eq!(socket.event(&pending).await, json!(sent.to_string()));
    socket.ask("eth_unsubscribe", json!([pending])).await;
    let logs = socket.ask("eth_subscribe", json!(["logs", { "address": contract }])).await;
    endpoint.ask("devnet_advance", json!([2])).await;
    let log = socket.event(&logs).await;
    assert_eq!((&log["transactionHash"], &log["removed"]), (&json!(sent.to_string()), &json!(false)));
    // Re-mined two tipsets later: first taken back, then there again in another block.
    endpoint.ask("devnet_reorg", json!([2, { "empty": 2 }])).await;
    let removed = socket.event(&logs).await;
    assert_eq!((&removed["blockHash"], &removed["removed"]), (&log["blockHash"], &json!(true)));
    endpoint.ask("devnet_advance", json!([2])).await;
    let again = socket.event(&logs).await;
    assert_eq!((&again["transactionHash"], &again["removed"]), (&log["transactionHash"], &json!(false)));
    assert_ne!(again["blockHash"], log["blockHash"]);
    endpoint.devnet.shutdown().await;
}

#[tokio::test]
async fn actor_events_come_from_the_past_and_live_and_are_taken_back() {
    let endpoint = Endpoint::new(Config::default()).await;
    let start = endpoint.ask("devnet_advance", json!([20])).await.as_i64().unwrap();
    let first = endpoint.ask("devnet_onboard", json!(["f01000"])).await;
    assert_eq!(first, json!({ "sector": 0, "claims": [], "notified": [] }));
    endpoint.ask("devnet_advance", json!([3])).await;
    let mut socket = Socket::open(&endpoint, "").await;
    let filter = json!([{ "fromHeight": start, "addresses": ["f01000"] }]);
    let channel = socket.ask("Filecoin.SubscribeActorEventsRaw", filter).await;
    let past = socket.value(&channel).await;
    assert_eq!(
        (&past["height"], &past["emitter"], &past["reverted"]),
        (&json!(start), &json!("t01000"), &json!(false))
    );
    assert_eq!(socket.value(&channel).await["height"], start, "precommitted and activated");
    endpoint.ask("devnet_onboard", json!(["f01000"])).await;
    endpoint.ask("devnet_onboard", json!(["f01001"])).await;
    endpoint.ask("devnet_advance", json!([1])).await;
    let live = socket.value(&channel).await;
    assert_eq!(live["height"], start + 3);
    assert_eq!(socket.value(&channel).await["height"], start + 3);
    endpoint.ask("devnet_reorg", json!([2, { "missing": 2 }])).await;
    let taken = socket.value(&channel).await;
    assert_eq!((&taken["tipsetKey"], &taken["reverted"]), (&live["tipsetKey"], &json!(true)));
    endpoint.devnet.shutdown().await;
}

#[tokio::test]
async fn sockets_of_named_endpoints_have_their_profile() {
    let endpoint = Endpoint::new(Config::default()).await;
    endpoint.ask("devnet_setEndpoint", json!(["far", { "profile": "gateway", "client": "forest" }])).await;
    let mut socket = Socket::open(&endpoint, "/far").await;
    let unknown = socket.request("Filecoin.StateMinerFaults", json!(["f01000", null])).await;
    assert_eq!(unknown["error"]["code"], -32601);
    let forest = socket.request("Filecoin.SubscribeActorEventsRaw", json!([{}])).await;
    assert_eq!(forest["error"]["code"], -32601);
    for _ in 0..16 {
        socket.ask("eth_subscribe", json!(["newHeads"])).await;
    }
    let many = socket.request("eth_subscribe", json!(["newHeads"])).await;
    assert!(many["error"]["message"].as_str().unwrap().contains("16"), "{many}");
    let calls = endpoint.ask("devnet_endpoints", json!([])).await;
    let far = calls.as_array().unwrap().iter().find(|one| one["name"] == "far").unwrap().clone();
    assert_eq!(far["calls"]["eth_subscribe"], 17);
    endpoint.ask("devnet_setEndpoint", json!(["far", { "faults": [{ "mode": "down" }] }])).await;
    socket.send(json!({ "jsonrpc": "2.0", "id": 99, "method": "eth_chainId", "params": [] })).await;
    assert_eq!(socket.read().await, None, "the connection closes");
    endpoint.devnet.shutdown().await;
}

/// A gateway keeps filters for the connection that made them.
#[tokio::test]
async fn filters_of_a_gateway_are_of_the_connection() {
    let endpoint = Endpoint::new(Config::default()).await;
    endpoint.ask("devnet_setEndpoint", json!(["gate", { "profile": "gateway" }])).await;
    let (mut one, mut other) =
        (Socket::open(&endpoint, "/gate").await, Socket::open(&endpoint, "/gate").await);
    let id = one.ask("eth_newBlockFilter", json!([])).await;
    endpoint.ask("devnet_advance", json!([2])).await;
    let foreign = other.request("eth_getFilterChanges", json!([id])).await;
    assert_eq!(foreign["error"]["message"], "filter not found");
    assert_eq!(one.ask("eth_getFilterChanges", json!([id])).await.as_array().unwrap().len(), 2);
    for _ in 1..16 {
        one.ask("eth_newBlockFilter", json!([])).await;
    }
    let refused = one.request("eth_newBlockFilter", json!([])).await;
    assert_eq!(refused["error"]["message"], "maximum number of filters registered: 16");
    // At a node of one's own they are the node's, whoever asks.
    let mut own = Socket::open(&endpoint, "").await;
    let id = own.ask("eth_newBlockFilter", json!([])).await;
    endpoint.ask("devnet_advance", json!([1])).await;
    assert_eq!(endpoint.ask("eth_getFilterChanges", json!([id])).await.as_array().unwrap().len(), 1);
    endpoint.devnet.shutdown().await;
}
