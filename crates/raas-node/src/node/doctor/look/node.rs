//! The running node, over its API: what only it knows.

use super::patient::Patient;
use crate::node::doctor::looked::{Follows, Node, NodeAlarm, Running};
use raas_clients::filecoin::Identity;
use raas_core::gate::Hold;
use raas_core::observation::Round;
use serde::Deserialize;
use std::time::Duration;

/// A node of this machine answers at once.
const DEADLINE: Duration = Duration::from_secs(10);

/// What `/v1/node` tells, as far as it is wanted here.
#[derive(Deserialize)]
struct Told {
    network: String,
    version: String,
    hold: Option<Hold>,
    round: Option<Round>,
    alarms: Vec<NodeAlarm>,
    contracts: Vec<Follows>,
    public_url: String,
    listener: Option<String>,
}

/// What a node tells that waits for an endpoint.
#[derive(Deserialize)]
struct Waiting {
    error: String,
    listener: Option<String>,
}

/// The node at `named`, or where the configuration lets it listen.
pub(super) async fn node(patient: &Patient<'_>, named: Option<&str>, identity: Option<&Identity>) -> Node {
    let at = named.map_or_else(|| format!("http://{}", patient.config.listen.admin), str::to_owned);
    let at = at.trim_end_matches('/').to_owned();
    let unread = |at: &str, why: String| Node::Unread { at: at.to_owned(), why };
    let client = match reqwest::Client::builder().no_proxy().timeout(DEADLINE).build() {
        Ok(client) => client,
        Err(error) => return unread(&at, error.without_url().to_string()),
    };
    let response = match client.get(format!("{at}/v1/node")).send().await {
        Ok(response) => response,
        Err(error) if error.is_connect() => return Node::Away { at },
        Err(error) => return unread(&at, error.without_url().to_string()),
    };
    let (status, text) = (response.status(), response.text().await.unwrap_or_default());
    if status == reqwest::StatusCode::SERVICE_UNAVAILABLE
        && let Ok(waiting) = serde_json::from_str::<Waiting>(&text)
    {
        return Node::Waits { why: waiting.error, listener: waiting.listener };
    }
    let told: Told = match serde_json::from_str(&text) {
        Ok(told) => told,
        Err(_) => return unread(&at, format!("it is no answer of a node (status {status})")),
    };
    let is_same = identity.is_none_or(|identity| {
        told.network == identity.network_name || told.network == format!("devnet ({})", identity.network_name)
    });
    if !is_same {
        return Node::Foreign { at, network: told.network };
    }
    Node::Runs(Box::new(Running {
        at,
        version: told.version,
        network: told.network,
        hold: told.hold,
        eth_block: told.round.map(|round| round.eth_block),
        alarms: told.alarms,
        follows: told.contracts,
        public_url: told.public_url,
        listener: told.listener,
    }))
}
