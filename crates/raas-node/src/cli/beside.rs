//! The devnet that `raas up --network devnet` runs in its own process, or the words that say why there is none.

use super::args::Up;
use super::failure::Failure;
use std::path::Path;

/// A devnet beside the node.
#[derive(Debug)]
pub struct Beside {
    #[cfg(feature = "devnet")]
    devnet: raas_devnet::Devnet,
}

#[cfg(feature = "devnet")]
impl Beside {
    /// Starts it with its journal under `data_dir`. Providers may pull from loopback, where the node is.
    pub async fn start(up: &Up, data_dir: &Path) -> Result<Self, Failure> {
        let config = raas_devnet::Config {
            epoch_ms: up.epoch_ms,
            port: up.devnet_port,
            data_dir: Some(data_dir.join("devnet")),
            allow_private: true,
            ..raas_devnet::Config::default()
        };
        let devnet = raas_devnet::spawn(config)
            .await
            .map_err(|error| super::devnet::refused(error, "--devnet-port", "--data-dir"))?;
        Ok(Self { devnet })
    }

    /// One for a demo: free ports, time by command only.
    pub async fn by_command(data_dir: &Path) -> Result<Self, Failure> {
        let config = raas_devnet::Config {
            data_dir: Some(data_dir.join("devnet")),
            allow_private: true,
            ..raas_devnet::Config::default()
        };
        let devnet = raas_devnet::spawn(config)
            .await
            .map_err(|error| super::devnet::refused(error, "port", "data"))?;
        Ok(Self { devnet })
    }

    /// Where its chain RPC is.
    pub fn rpc_url(&self) -> String {
        self.devnet.rpc_url()
    }

    /// Its providers and where they listen.
    pub fn providers(&self) -> Vec<(String, String)> {
        self.devnet.provider_urls().iter().map(|(id, url)| (id.to_string(), url.clone())).collect()
    }

    /// Ends it.
    pub async fn stop(self) {
        self.devnet.shutdown().await;
    }
}

#[cfg(not(feature = "devnet"))]
impl Beside {
    /// This program has none.
    pub async fn start(_up: &Up, _data_dir: &Path) -> Result<Self, Failure> {
        let text = "--network devnet: this program was built without a devnet; build it with the feature \
                    `devnet`, or name an RPC endpoint with --network URL";
        Err(Failure::Usage(text.to_owned()))
    }

    /// Never reached.
    pub fn rpc_url(&self) -> String {
        String::new()
    }

    /// Never reached.
    pub fn providers(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Never reached.
    pub async fn stop(self) {}
}
