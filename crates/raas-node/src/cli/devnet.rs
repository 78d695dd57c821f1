//! `raas devnet`: a small Filecoin alone, for whoever develops against one.

use super::args::Devnet as Args;
use super::failure::Failure;
use super::output;
use super::signals::Signals;
use crate::causes::chain;
use raas_devnet::{Config, SpawnError};
use serde_json::json;

/// Runs it until a signal.
pub async fn devnet(args: Args, json: bool) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let config = Config {
        seed: args.seed,
        epoch_ms: args.epoch_ms,
        network_version: args.network_version,
        port: args.port,
        data_dir: args.data,
        allow_private: args.allow_private,
        ..Config::default()
    };
    let name = config.network_name.clone();
    let chain_id = config.chain_id;
    let devnet = raas_devnet::spawn(config).await.map_err(|error| refused(error, "--port", "--data"))?;
    let providers: Vec<(String, String)> =
        devnet.provider_urls().iter().map(|(id, url)| (id.to_string(), url.clone())).collect();
    if json {
        let urls: serde_json::Map<String, serde_json::Value> =
            providers.into_iter().map(|(id, url)| (id, url.into())).collect();
        output::json_line(&json!({
            "network": format!("devnet ({name})"),
            "rpc": devnet.rpc_url(),
            "chainId": chain_id,
            "epochMs": args.epoch_ms,
            "allowPrivate": args.allow_private,
            "providers": urls,
        }));
    } else {
        output::data(&format!(
            "network   devnet ({name}), chain id {chain_id}; all money here is play money"
        ));
        output::data(&format!("rpc       {}", devnet.rpc_url()));
        for (id, url) in providers {
            output::data(&format!("provider  {id} {url}"));
        }
        let pace = match args.epoch_ms {
            0 => "time moves by devnet_advance only".to_owned(),
            ms => format!("one epoch takes {ms} ms"),
        };
        output::say(&format!("{pace}; {}; Ctrl-C ends it", reach(args.allow_private)));
    }
    signals.next().await;
    tokio::select! {
        () = devnet.shutdown() => Ok(()),
        () = signals.next() => Err(Failure::failed("stopped at once")),
    }
}

const fn reach(allow_private: bool) -> &'static str {
    if allow_private {
        "providers pull from loopback too, as real ones would not"
    } else {
        "providers refuse to pull from private addresses; --allow-private lets them"
    }
}

/// Why a devnet does not start, with the flag to change.
pub fn refused(error: SpawnError, port_flag: &str, data_flag: &str) -> Failure {
    let text = chain(&error);
    match error {
        SpawnError::Bind { .. } => Failure::failed(format!(
            "{port_flag}: {text}; stop what listens there, or choose another port (0 takes free ones)"
        )),
        SpawnError::Config(_) => Failure::Usage(text),
        SpawnError::Journal(_) | SpawnError::Replay { .. } => Failure::failed(format!("{data_flag}: {text}")),
        SpawnError::Fleet(_) => Failure::failed(text),
    }
}
