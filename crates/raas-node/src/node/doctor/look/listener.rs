//! Whether the public address leads to this node's data listener: it is fetched back, as a provider would, and what answers
//! must name itself as the listener does.
//!
//! Where no node runs, the listener's address is borrowed for the moment, under a name that nobody else knows.

use super::patient::Patient;
use crate::data::LISTENER;
use crate::node::doctor::looked::{Answer, Listener, Node};
use axum::Router;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Providers give up sooner or later, too.
const DEADLINE: Duration = Duration::from_secs(10);
/// Every answer of a node names its network in this header.
const NETWORK: &str = "raas-network";

/// What stands at an address.
enum Found {
    /// A node of this name and network.
    Node { listener: Option<String>, network: String },
    /// Something else, in words.
    Other(String),
    /// Nothing.
    Silent(String),
}

/// Fetches the public address back.
pub(super) async fn listener(patient: &Patient<'_>, node: &Node) -> Listener {
    let listen = &patient.config.listen;
    let own = || format!("http://{}", listen.data);
    let url = match node {
        Node::Runs(running) => Some(running.public_url.clone()),
        _ => listen.public_url.clone().or_else(|| patient.devnet.then(own)),
    };
    let name = match node {
        Node::Runs(running) => running.listener.clone(),
        Node::Waits { listener, .. } => listener.clone(),
        Node::Away { .. } | Node::Unread { .. } | Node::Foreign { .. } => None,
    };
    // Port 0 becomes an address only when the node binds it.
    let url = url.filter(|url| !url.ends_with(":0"));
    let is_away = matches!(node, Node::Away { .. });
    if is_away && listen.data.port() != 0 {
        return match TcpListener::bind(listen.data).await {
            Ok(bound) => Listener { answer: borrowed(url.as_deref(), bound).await, url, taken: None },
            Err(error) => {
                let (name, why) = match fetch(&own()).await {
                    Found::Node { listener, .. } => {
                        let why = "a raas node has it, whose API is not where it was looked for: name that with --node";
                        (listener, why.to_owned())
                    }
                    Found::Other(_) | Found::Silent(_) => (None, error.to_string()),
                };
                let taken = Some((listen.data.to_string(), why));
                Listener { answer: answer(url.as_deref(), name).await, url, taken }
            }
        };
    }
    let name = match name {
        None if listen.data.port() != 0 => match fetch(&own()).await {
            Found::Node { listener, .. } => listener,
            Found::Other(_) | Found::Silent(_) => None,
        },
        name => name,
    };
    Listener { answer: answer(url.as_deref(), name).await, url, taken: None }
}

async fn answer(url: Option<&str>, name: Option<String>) -> Option<Answer> {
    Some(judged(fetch(url?).await, name.as_deref()))
}

/// The answer with a listener of our own on `bound`.
async fn borrowed(url: Option<&str>, bound: TcpListener) -> Option<Answer> {
    let url = url?;
    #[expect(clippy::disallowed_methods, reason = "a name that nobody else can know")]
    let name = hex::encode(rand::random::<[u8; 16]>());
    let ours = name.clone();
    let router = Router::new().fallback(move || {
        let name = ours.clone();
        async move { ([(LISTENER, name), (NETWORK, "doctor".to_owned())], "") }
    });
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let served = async move {
        axum::serve(bound, router).with_graceful_shutdown(async move { stopped.cancelled().await }).await
    };
    let (found, _) = tokio::join!(
        async {
            let found = fetch(url).await;
            stop.cancel();
            found
        },
        served
    );
    Some(judged(found, Some(&name)))
}

/// Whether what was found is the listener called `name`. Without a name nothing is.
fn judged(found: Found, name: Option<&str>) -> Answer {
    match found {
        Found::Node { listener: Some(listener), .. } if name == Some(&listener) => Answer::Ours,
        Found::Node { network, .. } => Answer::OtherNode(format!("one on {network}")),
        Found::Other(what) => Answer::Other(what),
        Found::Silent(why) => Answer::Silent(why),
    }
}

async fn fetch(url: &str) -> Found {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(DEADLINE)
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .build();
    let sent = match client {
        Ok(client) => client.get(format!("{}/piece", url.trim_end_matches('/'))).send().await,
        Err(error) => Err(error),
    };
    let response = match sent {
        Ok(response) => response,
        Err(error) => return Found::Silent(crate::causes::chain(&error.without_url())),
    };
    let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    match header(NETWORK) {
        Some(network) => Found::Node { listener: header(LISTENER), network },
        None => Found::Other(format!("it answers {} without the node's header", response.status())),
    }
}
