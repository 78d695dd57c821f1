//! How a scene begins: devnet, key, configuration, node.

use super::scene::Scene;
use raas_devnet::spawn;
use raas_node::causes::chain;
use raas_node::config::{Config, ListenSection};
use raas_node::node::{self, Handle, Options, StartError};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The node's key in every scene, so that the same seed gives the same bytes.
pub const NODE_KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";
/// Its store's id, for the same reason.
const STORE_ID: [u8; 16] = [7; 16];

/// A scene before it starts.
pub struct Setting {
    devnet: raas_devnet::Config,
    config: Config,
}

impl Setting {
    /// The defaults of devnet and node, but with the market's shortest term, so that generations are cheap.
    pub fn new() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut config =
            Config { listen: ListenSection { admin: any, data: any, public_url: None }, ..Config::default() };
        config.policy.duration_epochs = 180 * 2_880;
        let devnet = raas_devnet::Config { allow_private: true, ..raas_devnet::Config::default() };
        Self { devnet, config }
    }

    /// Everything that looks random on the devnet follows from this.
    pub fn seed(mut self, seed: u64) -> Self {
        self.devnet.seed = seed;
        self
    }

    /// Changes the node's configuration.
    pub fn config(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Changes the devnet's configuration.
    pub fn devnet(mut self, change: impl FnOnce(&mut raas_devnet::Config)) -> Self {
        change(&mut self.devnet);
        self
    }

    /// Starts the devnet alone; the node can be configured by what is on it.
    pub async fn devnet_only(self) -> Scene {
        raas_node_tls();
        let devnet = spawn(self.devnet).await.expect("a devnet");
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = self.config;
        config.network = Some(devnet.rpc_url());
        config.data_dir = folder.path().join("node");
        let key = folder.path().join("node.key");
        write_key(&key);
        config.wallet.key_file = Some(key);
        Scene::new(devnet, config, folder)
    }

    /// Starts both.
    pub async fn start(self) -> Scene {
        let mut scene = self.devnet_only().await;
        scene.start_node().await;
        scene
    }
}

/// Starts a node that moves only when it is told to.
pub async fn start_with(config: &Config) -> Result<Handle, StartError> {
    let options = Options { stepped: true, reproducible: Some(STORE_ID), ..Options::default() };
    node::start(config, &options).await
}

/// As [`start_with`], of a node that must start.
pub async fn node(config: &Config) -> Handle {
    match start_with(config).await {
        Ok(handle) => handle,
        Err(error) => panic!("the node does not start: {}", chain(&error)),
    }
}

/// The process's TLS provider; whoever comes second finds it there.
pub fn raas_node_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn write_key(path: &Path) {
    std::fs::write(path, NODE_KEY).expect("a key file");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
}
