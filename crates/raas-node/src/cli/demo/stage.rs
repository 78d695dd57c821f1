//! A devnet and a node in this process and a temporary directory, both on free ports, time by command.

use super::stepper::Stepper;
use crate::cli::beside::Beside;
use crate::cli::client::Client;
use crate::cli::failure::Failure;
use crate::cli::up;
use crate::config::{Config, ListenSection, PolicySection};
use crate::node::{self, Handle, Options};
use raas_core::units::EPOCHS_PER_DAY;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use tempfile::TempDir;

/// Both, running.
pub struct Stage {
    /// The node's public API.
    pub client: Client,
    /// What moves time.
    pub stepper: Stepper,
    /// Where the API listens.
    pub admin: String,
    /// Where bytes are served.
    pub data: String,
    /// The devnet's RPC.
    pub rpc: String,
    /// Its providers and where they listen.
    pub providers: Vec<(String, String)>,
    /// The network's name.
    pub network: String,
    /// The contract, 0x hex.
    pub contract: String,
    node: Handle,
    devnet: Beside,
    folder: TempDir,
}

impl Stage {
    /// Starts both.
    pub async fn set() -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("raas-demo-").tempdir()?;
        let devnet = Beside::by_command(folder.path()).await?;
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let config = Config {
            network: Some("devnet".to_owned()),
            data_dir: folder.path().join("node"),
            listen: ListenSection { admin: any, data: any, public_url: None },
            // The market's shortest term, so that two generations fit into a minute.
            policy: PolicySection { duration_epochs: 180 * EPOCHS_PER_DAY, ..PolicySection::default() },
            ..Config::default()
        };
        let options = Options { devnet_rpc: Some(devnet.rpc_url()), stepped: true, ..Options::default() };
        let node = node::start(&config, &options).await.map_err(up::refused)?;
        let (admin, data, rpc) = (node.admin_url(), node.data_url(), devnet.rpc_url());
        let contract =
            node.app.engine.settings().contracts.first().map(|at| at.address.to_string()).unwrap_or_default();
        Ok(Self {
            client: Client::new(&admin, Some(&data), None)?,
            stepper: Stepper::new(reqwest::Client::builder().no_proxy().build()?, &admin, &rpc),
            providers: devnet.providers(),
            network: node.network.clone(),
            contract,
            admin,
            data,
            rpc,
            node,
            devnet,
            folder,
        })
    }

    /// Where the node keeps its own copies.
    pub fn pieces(&self) -> PathBuf {
        self.folder.path().join("node").join("pieces")
    }

    /// A folder for what the demo fetches.
    pub fn scratch(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Ends both and removes the folder.
    pub async fn strike(self) {
        self.node.shutdown().await;
        self.devnet.stop().await;
    }
}
