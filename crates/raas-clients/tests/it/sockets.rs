//! Endpoints over WebSockets: calls, words of new heads, and connections that are lost.

use crate::support::{Net, start_devnet};
use futures_util::{SinkExt as _, StreamExt as _};
use raas_clients::filecoin::{LotusChain, identify};
use raas_clients::key::Key;
use raas_clients::rpc::{Call, CallError, EndpointConfig, Limits, Pool, Reached};
use raas_core::gate::Hold;
use raas_core::ports::{Chain, Look};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_tungstenite::tungstenite::Message;

/// A WebSocket server before a devnet, in the dialect of go-jsonrpc.
struct Bridge {
    url: String,
    upstream: Arc<Mutex<String>>,
    /// Texts that every connection sends, or `None` to close.
    tell: broadcast::Sender<Option<String>>,
    /// Methods that were asked for.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Bridge {
    async fn before(upstream: &str, native: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("ws://{}/rpc/v1", listener.local_addr().expect("bound"));
        let upstream = Arc::new(Mutex::new(upstream.to_owned()));
        let (tell, _) = broadcast::channel(16);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (to, telling, noted) = (upstream.clone(), tell.clone(), asked.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (to, told, noted) = (to.clone(), telling.subscribe(), noted.clone());
                tokio::spawn(serve(stream, to, told, noted, native));
            }
        });
        Self { url, upstream, tell, asked }
    }

    fn pool(&self) -> Pool {
        let limits = Limits { deadline: Duration::from_secs(20), ..Limits::default() };
        let config = EndpointConfig::new(self.url.parse().expect("a URL"));
        Pool::new(&[config], limits, 1).expect("a pool")
    }

    /// Waits until somebody is connected and has asked for `method`.
    async fn until_asked(&self, method: &str) {
        while !self.asked.lock().expect("free").iter().any(|asked| asked == method) {
            tokio::task::yield_now().await;
        }
        self.asked.lock().expect("free").clear();
    }
}

async fn serve(
    stream: tokio::net::TcpStream,
    upstream: Arc<Mutex<String>>,
    mut told: broadcast::Receiver<Option<String>>,
    asked: Arc<Mutex<Vec<String>>>,
    native: bool,
) {
    let mut socket = tokio_tungstenite::accept_async(stream).await.expect("a handshake");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    loop {
        tokio::select! {
            text = told.recv() => match text {
                Ok(Some(text)) => socket.send(Message::text(text)).await.expect("sent"),
                _ => return,
            },
            message = socket.next() => {
                let Some(Ok(Message::Text(text))) = message else { return };
                let call: Value = serde_json::from_str(&text).expect("JSON");
                assert!(call.is_object(), "no batches over a WebSocket");
                let method = call["method"].as_str().expect("a method").to_owned();
                asked.lock().expect("free").push(method.clone());
                let answer = match method.as_str() {
                    "Filecoin.Hang" => continue,
                    "Filecoin.ChainNotify" if native => json!({"jsonrpc": "2.0", "id": call["id"], "result": 1}),
                    "eth_subscribe" => json!({"jsonrpc": "2.0", "id": call["id"], "result": "0x1"}),
                    _ => {
                        let to = upstream.lock().expect("free").clone();
                        let sent = client.post(to).json(&call).send().await.expect("the devnet answers");
                        sent.json().await.expect("JSON")
                    }
                };
                socket.send(Message::text(answer.to_string())).await.expect("sent");
            }
        }
    }
}

fn chain_of(pool: &Pool) -> LotusChain {
    LotusChain::new(pool.clone(), Key::from_bytes(&[7; 32]).expect("a key").native_address())
}

#[tokio::test]
async fn a_socket_carries_calls_as_http_does() {
    let net = Net::start().await;
    let bridge = Bridge::before(&net.devnet.rpc_url(), true).await;
    let pool = bridge.pool();
    assert_eq!(identify(&pool).await, identify(&net.pool).await);
    assert_eq!(chain_of(&pool).pin(&Look::default()).await, net.chain.pin(&Look::default()).await);
    // Many at once are told apart by their ids.
    let deals: Vec<raas_core::ids::DealId> = (0..60).map(raas_core::ids::DealId).collect();
    let round = net.round().await;
    assert_eq!(chain_of(&pool).deals(&round, &deals).await, net.chain.deals(&round, &deals).await);
}

#[tokio::test]
async fn a_word_of_a_new_head_wakes_in_either_dialect() {
    let net = Net::start().await;
    for (native, method) in [(true, "Filecoin.ChainNotify"), (false, "eth_subscribe")] {
        let bridge = Bridge::before(&net.devnet.rpc_url(), native).await;
        // Beside HTTP: calls go over HTTP, the socket only wakes.
        let config = EndpointConfig {
            socket: Some(bridge.url.parse().expect("a URL")),
            ..EndpointConfig::new(net.devnet.rpc_url().parse().expect("a URL"))
        };
        let pool = Pool::new(&[config], Limits::default(), 1).expect("a pool");
        let (heads, listened) = (pool.heads(), pool.clone());
        let listening = tokio::spawn(async move { listened.listen().await });
        bridge.until_asked(method).await;
        let word = if native {
            json!({"jsonrpc": "2.0", "method": "xrpc.ch.val", "params": [1, [{"Type": "apply", "Val": {}}]]})
        } else {
            json!({"jsonrpc": "2.0", "method": "eth_subscription", "params": {"subscription": "0x1", "result": {}}})
        };
        bridge.tell.send(Some(word.to_string())).expect("somebody listens");
        heads.notified().await;
        // What is no word of a head wakes nobody, and garbage ends nothing.
        bridge.tell.send(Some("garbage".to_owned())).expect("somebody listens");
        bridge.tell.send(Some(word.to_string())).expect("somebody listens");
        heads.notified().await;
        // A connection that is lost is made again, and wakes once, since something may have been missed.
        bridge.tell.send(None).expect("somebody listens");
        heads.notified().await;
        bridge.until_asked(method).await;
        bridge.tell.send(Some(word.to_string())).expect("somebody listens");
        heads.notified().await;
        listening.abort();
        let asked = bridge.asked.lock().expect("free").clone();
        assert!(!asked.iter().any(|method| method == "Filecoin.ChainHead"), "{asked:?}");
    }
}

#[tokio::test]
async fn a_call_on_a_connection_that_closes_may_have_been_done() {
    let net = Net::start().await;
    let bridge = Bridge::before(&net.devnet.rpc_url(), true).await;
    let pool = bridge.pool();
    let asking = pool.clone();
    let call = tokio::spawn(async move { asking.read::<Value>(Call::new("Filecoin.Hang", vec![])).await });
    bridge.until_asked("Filecoin.Hang").await;
    bridge.tell.send(None).expect("somebody is connected");
    let lost = call.await.expect("no panic");
    assert!(matches!(lost, Err(CallError::Retry { reached: Reached::Perhaps, .. })), "{lost:?}");
    assert!(identify(&pool).await.is_ok(), "the next call connects again");
}

#[tokio::test]
async fn fault_27_a_new_connection_is_asked_for_its_network_again() {
    let (one, other) = (start_devnet(1).await, start_devnet(2).await);
    let bridge = Bridge::before(&one.rpc_url(), true).await;
    let pool = bridge.pool();
    pool.expect_network(&identify(&pool).await.expect("a network"));
    let chain = chain_of(&pool);
    assert!(chain.pin(&Look::default()).await.is_ok());
    // The connection closes between two calls, and behind the address is another machine now. No call failed.
    *bridge.upstream.lock().expect("free") = other.rpc_url();
    bridge.tell.send(None).expect("somebody is connected");
    while pool.seen()[0].socket != Some(false) {
        tokio::task::yield_now().await;
    }
    assert_eq!(chain.pin(&Look::default()).await, Err(Hold::OtherNetwork));
}

/// A server that answers `Filecoin.Huge` with more than is read, `Filecoin.Small` with little, after it was asked for
/// `together` things; and how often it was asked for each.
async fn lavish(together: usize) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("ws://{}/rpc/v1", listener.local_addr().expect("bound"));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = asked.clone();
    tokio::spawn(async move {
        let mut first = true;
        while let Ok((stream, _)) = listener.accept().await {
            let mut socket = tokio_tungstenite::accept_async(stream).await.expect("a handshake");
            let mut waiting = if std::mem::take(&mut first) { together } else { 1 };
            let mut calls: Vec<Value> = Vec::new();
            while let Some(Ok(Message::Text(text))) = socket.next().await {
                let call: Value = serde_json::from_str(&text).expect("JSON");
                noted.lock().expect("free").push(call["method"].as_str().expect("a method").to_owned());
                calls.push(call);
                if calls.len() < waiting {
                    continue;
                }
                waiting = 1;
                // What is too much comes first, so that all others are unanswered when it ends the connection.
                calls.sort_by_key(|call| call["method"] != "Filecoin.Huge");
                for call in calls.drain(..) {
                    let length = if call["method"] == "Filecoin.Huge" { 200_000 } else { 10 };
                    let answer = json!({"jsonrpc": "2.0", "id": call["id"], "result": "x".repeat(length)});
                    // The connection may be gone.
                    let _ = socket.send(Message::text(answer.to_string())).await;
                }
            }
        }
    });
    (url, asked)
}

fn capped(url: &str) -> Pool {
    let limits = Limits { deadline: Duration::from_secs(20), response_bytes: 100_000, ..Limits::default() };
    Pool::new(&[EndpointConfig::new(url.parse().expect("a URL"))], limits, 1).expect("a pool")
}

#[tokio::test]
async fn an_answer_beyond_the_cap_is_told_apart_from_a_lost_connection() {
    let (url, asked) = lavish(1).await;
    let pool = capped(&url);
    let read = async |method| pool.read::<String>(Call::new(method, vec![])).await;
    let huge = read("Filecoin.Huge").await;
    assert!(matches!(&huge, Err(CallError::TooMuch(words)) if words.contains("100000 bytes")), "{huge:?}");
    assert_eq!(pool.seen()[0].standing, raas_core::endpoint::Standing::Good, "it did what it was asked for");
    assert_eq!(read("Filecoin.Small").await.expect("the next one is answered").len(), 10);
    assert_eq!(*asked.lock().expect("free"), ["Filecoin.Huge", "Filecoin.Small"], "each once");
}

#[tokio::test]
async fn calls_beside_one_whose_answer_is_beyond_the_cap_have_theirs() {
    let (url, asked) = lavish(4).await;
    let pool = capped(&url);
    let read = async |method| pool.read::<String>(Call::new(method, vec![])).await;
    let (huge, one, two, sent) = tokio::join!(
        read("Filecoin.Huge"),
        read("Filecoin.Small"),
        read("Filecoin.Small"),
        // What sends is not sent again, whoever is to blame.
        read("Filecoin.MpoolPush"),
    );
    assert!(matches!(huge, Err(CallError::TooMuch(_))), "{huge:?}");
    assert_eq!((one.map(|text| text.len()), two.map(|text| text.len())), (Ok(10), Ok(10)));
    assert!(matches!(sent, Err(CallError::Retry { reached: Reached::Perhaps, .. })), "{sent:?}");
    let asked = asked.lock().expect("free").clone();
    let times = |method: &str| asked.iter().filter(|asked| *asked == method).count();
    assert_eq!(
        (times("Filecoin.Huge"), times("Filecoin.Small"), times("Filecoin.MpoolPush")),
        (2, 4, 1),
        "{asked:?}"
    );
}
