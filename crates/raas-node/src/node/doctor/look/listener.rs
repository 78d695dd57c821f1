//! Whether the public address leads to the data listener: it is fetched back, as a provider would.
//!
//! Where no node runs, the listener's port is borrowed for the moment.

use super::patient::Patient;
use crate::node::doctor::looked::{Answer, Listener, Running};
use axum::Router;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Providers give up sooner or later, too.
const DEADLINE: Duration = Duration::from_secs(10);
/// Every answer of a node names its network in this header.
const OURS: &str = "raas-network";

/// Fetches the public address back.
pub(super) async fn listener(patient: &Patient<'_>, running: Option<&Running>) -> Listener {
    let listen = &patient.config.listen;
    let own = || patient.devnet.then(|| format!("http://{}", listen.data));
    let url = match running {
        Some(running) => Some(running.public_url.clone()),
        None => listen.public_url.clone().or_else(own),
    };
    // Port 0 becomes an address only when the node binds it.
    let Some(url) = url.filter(|url| !url.ends_with(":0")) else {
        return Listener { url: None, answer: None };
    };
    let mut answer = fetch(&url).await;
    if running.is_none() && matches!(answer, Answer::Silent(_)) {
        answer = borrowed(&url, listen.data).await.unwrap_or(answer);
    }
    Listener { url: Some(url), answer: Some(answer) }
}

/// The same with a listener of our own at `address`; `None` when the port is taken.
async fn borrowed(url: &str, address: SocketAddr) -> Option<Answer> {
    let listener = TcpListener::bind(address).await.ok()?;
    let ours = axum::http::HeaderName::from_static(OURS);
    let router = Router::new().fallback(move || async move { ([(ours, "doctor")], "") });
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let served = async move {
        axum::serve(listener, router).with_graceful_shutdown(async move { stopped.cancelled().await }).await
    };
    let (answer, _) = tokio::join!(
        async {
            let answer = fetch(url).await;
            stop.cancel();
            answer
        },
        served
    );
    Some(answer)
}

async fn fetch(url: &str) -> Answer {
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
    match sent {
        Ok(response) if response.headers().contains_key(OURS) => Answer::Ours,
        Ok(response) => Answer::Other(format!("it answers {} without the node's header", response.status())),
        Err(error) => Answer::Silent(crate::causes::chain(&error.without_url())),
    }
}
