//! `raas up`: a node until a signal; with its own devnet when asked for one.

use super::args::Up;
use super::beside::Beside;
use super::failure::Failure;
use super::output;
use super::signals::Signals;
use crate::causes::chain;
use crate::config::{Config, ConfigError, Network, Overrides, load};
use crate::node::{self, Handle, Options, StartError};
use serde_json::json;

const NO_NETWORK: &str = "no network was named, and a guess could spend real money. One of:

  raas up --network devnet        a small Filecoin of its own; all money is play money
  raas up --network calibration   the public test network; money is free, from faucets
  raas up --network mainnet       money is real";

/// Runs the node.
pub async fn up(up: &Up, json: bool) -> Result<(), Failure> {
    let overrides = Overrides {
        network: up.network.clone(),
        data_dir: up.data_dir.clone(),
        admin: up.admin,
        data: up.data,
    };
    let config = load(up.config.as_deref(), &overrides).map_err(|error| Failure::Usage(chain(&error)))?;
    let network = match config.network() {
        Ok(network) => network,
        Err(ConfigError::NoNetwork) => return Err(Failure::Usage(NO_NETWORK.to_owned())),
        Err(error) => return Err(Failure::Usage(chain(&error))),
    };
    let mut signals = Signals::new()?;
    let started = tokio::select! {
        started = start(up, &config, &network) => started?,
        () = signals.next() => return Err(Failure::failed("stopped while starting")),
    };
    let Running { mut node, beside } = started;
    announce(&node, beside.as_ref(), json);
    let ended = tokio::select! {
        ended = node.ended() => Some(ended),
        () = signals.next() => None,
    };
    output::say("stopping: what is under way ends first, for 30 s at most; once more stops at once");
    let drained = async {
        node.shutdown().await;
        if let Some(beside) = beside {
            beside.stop().await;
        }
    };
    tokio::select! {
        () = drained => {}
        () = signals.next() => return Err(Failure::failed("stopped at once")),
    }
    match ended {
        None => Ok(()),
        Some(Some(error)) => Err(Failure::failed(format!("the node ended by itself: {}", chain(&error)))),
        Some(None) => Err(Failure::failed("a part of the node ended by itself; its log says which")),
    }
}

struct Running {
    node: Handle,
    beside: Option<Beside>,
}

async fn start(up: &Up, config: &Config, network: &Network) -> Result<Running, Failure> {
    let beside = match network {
        Network::Devnet if !config.chain.endpoints.is_empty() => {
            let text = "chain.endpoints: --network devnet runs its own devnet; leave them out, or name the \
                        endpoint of another one with --network URL";
            return Err(Failure::Usage(text.to_owned()));
        }
        Network::Devnet => Some(Beside::start(up, &config.data_dir).await?),
        _ => None,
    };
    let options = Options {
        devnet_rpc: beside.as_ref().map(Beside::rpc_url),
        stepped: up.stepped,
        ..Options::default()
    };
    let node = node::start(config, &options).await.map_err(refused)?;
    Ok(Running { node, beside })
}

/// Why the node does not start: wrong configuration, or something that is in the way.
pub fn refused(error: StartError) -> Failure {
    let text = chain(&error);
    match error {
        StartError::Config(_)
        | StartError::Endpoints(_)
        | StartError::OtherNetwork { .. }
        | StartError::Key(_)
        | StartError::NoKey
        | StartError::NoApiKey(_)
        | StartError::NoProviders => Failure::Usage(text),
        StartError::Bind { key, .. } => {
            let flag = if key == "listen.admin" { "--admin" } else { "--data" };
            Failure::failed(format!("{text} with {flag}"))
        }
        StartError::DataDir { .. } => Failure::failed(format!("{text}; --data-dir names another")),
        StartError::Identity(_)
        | StartError::Store(_)
        | StartError::Keeping(_)
        | StartError::Keys(_)
        | StartError::Bootstrap(_)
        | StartError::Client(_) => Failure::failed(text),
    }
}

fn announce(node: &Handle, beside: Option<&Beside>, json: bool) {
    let contract = node.app.engine.settings().contracts.first().map(|at| at.address.to_string());
    if json {
        let providers: serde_json::Map<String, serde_json::Value> = beside
            .map(Beside::providers)
            .unwrap_or_default()
            .into_iter()
            .map(|(id, url)| (id, url.into()))
            .collect();
        output::json_line(&json!({
            "network": node.network,
            "admin": node.admin_url(),
            "data": node.data_url(),
            "contract": contract,
            "rpc": beside.map(Beside::rpc_url),
            "providers": providers,
        }));
        return;
    }
    let mut rows = vec![
        ["network".to_owned(), node.network.clone()],
        ["api".to_owned(), node.admin_url()],
        ["data".to_owned(), format!("{} (providers pull pieces here; /ipfs)", node.data_url())],
        ["contract".to_owned(), contract.unwrap_or_else(|| "none".to_owned())],
    ];
    if let Some(beside) = beside {
        rows.push(["chain rpc".to_owned(), beside.rpc_url()]);
    }
    output::table(&rows);
    if beside.is_some() {
        output::say(
            "all money here is play money; providers may pull from loopback, as those of a real network would not",
        );
    }
    output::say(&format!("next: raas upload FILE{}; Ctrl-C ends it", node_flag(&node.admin_url())));
}

/// `--node` where the API is not at its usual place.
fn node_flag(url: &str) -> String {
    if url == "http://127.0.0.1:1337" { String::new() } else { format!(" --node {url}") }
}
