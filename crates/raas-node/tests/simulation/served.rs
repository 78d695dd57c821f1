//! The same run over HTTP and SQLite: a devnet that is served, a real node's adapters and disk, and the judge beside them.

use crate::contract;
use crate::recorded::Recorded;
use crate::run::{Ground, Run};
use crate::setting::Setting;
use crate::shared::{Rpc, Shared};
use crate::uploads::Uploads;
use crate::wallet::{eth_key, secret};
use raas_core::ids::ContractAddress;
use raas_core::units::Epoch;
use raas_devnet::{Config, Devnet};
use raas_node::api::App;
use raas_node::config::{Config as NodeConfig, ListenSection};
use raas_node::node::{Handle, Options, RealWorld, start};
use raas_node::world::World;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// How long transfers may take in wall time.
const TRANSFERS: Duration = Duration::from_secs(60);

/// A devnet and a node whose loop stands still: its adapters, its store and its listeners are used by the run's own engine.
pub struct Served {
    devnet: Devnet,
    /// Serves providers the bytes they pull.
    node: Handle,
    http: reqwest::Client,
    folder: TempDir,
    /// CIDs whose bytes the node has and of which no job is: what others may ask for.
    pub kept: Vec<Vec<u8>>,
}

/// The node's adapters.
pub struct OfNode(Arc<App<RealWorld>>);

impl World for OfNode {
    type Chain = <RealWorld as World>::Chain;
    type Contract = <RealWorld as World>::Contract;
    type DealMaker = <RealWorld as World>::DealMaker;
    type Bytes = <RealWorld as World>::Bytes;
    type Wallet = <RealWorld as World>::Wallet;
    type Clock = <RealWorld as World>::Clock;

    fn chain(&self) -> &Self::Chain {
        self.0.engine.world().chain()
    }

    fn contract(&self, at: ContractAddress) -> Option<&Self::Contract> {
        self.0.engine.world().contract(at)
    }

    fn deal_maker(&self) -> &Self::DealMaker {
        self.0.engine.world().deal_maker()
    }

    fn bytes(&self) -> &Self::Bytes {
        self.0.engine.world().bytes()
    }

    fn wallet(&self) -> &Self::Wallet {
        self.0.engine.world().wallet()
    }

    fn clock(&self) -> &Self::Clock {
        self.0.engine.world().clock()
    }
}

impl Served {
    /// Whether transfers were due; they have ended.
    pub async fn transfers(&self) -> Result<bool, String> {
        let due = self.devnet.read(|world| world.book.pulls(Epoch(world.chain().clock())).next().is_some());
        if due && !self.devnet.settled(TRANSFERS).await {
            return Err("transfers do not end".to_owned());
        }
        Ok(due)
    }

    /// Gives the endpoint the fault that the ports in memory would have.
    pub async fn set_rpc(&self, rpc: Rpc) {
        let fault = match rpc {
            Rpc::Normal | Rpc::Blind(_) => "normal",
            Rpc::Down => "down",
            Rpc::Stale(_) => "stale",
            Rpc::Forget17 => "forgetDeals",
            Rpc::Forget32 => "forgetDeals32",
            Rpc::EmptyLogs => "emptyLogs",
            Rpc::Forgetful => "missingState",
            Rpc::DropReply => "dropReply",
        };
        let call =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "devnet_setRpc", "params": [fault, null, null] });
        let sent = self.http.post(self.devnet.rpc_url()).json(&call).send().await;
        let answer: Value = sent.expect("the devnet answers").json().await.expect("JSON");
        assert!(answer["error"].is_null(), "{answer}");
    }

    async fn end(self) {
        self.node.shutdown().await;
        self.devnet.shutdown().await;
        drop(self.folder);
    }
}

fn key_file(folder: &Path, seed: u64) -> std::path::PathBuf {
    let path = folder.join("node.key");
    std::fs::write(&path, hex::encode(secret(seed))).expect("a key file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    path
}

/// A seed's day over HTTP and SQLite; gives what it met.
pub async fn day(seed: u64) -> Result<Vec<&'static str>, String> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = Config { seed, allow_private: true, ..Config::default() };
    let setting = Setting::day(seed, config.providers.iter().map(|provider| provider.id).collect());
    let devnet = raas_devnet::spawn(config.clone()).await.map_err(|error| error.to_string())?;
    let shared = Shared::served(devnet.host());
    let at = shared.act(|world| contract::deploy(world, seed, eth_key(seed).address()));
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut of_node = NodeConfig {
        listen: ListenSection { admin: any, data: any, public_url: None },
        network: Some(devnet.rpc_url()),
        data_dir: folder.path().join("node"),
        ..NodeConfig::default()
    };
    of_node.wallet.key_file = Some(key_file(folder.path(), seed));
    of_node.contract.address = Some(at.address.to_string());
    of_node.contract.from_block = Some(at.from_block.0);
    let options =
        Options { stepped: true, reproducible: Some(crate::run::store_id(seed)), ..Options::default() };
    let node = start(&of_node, &options).await.map_err(|error| raas_node::causes::chain(&error))?;
    let app = Arc::clone(&node.app);
    let uploads = Uploads::over(app.pieces.clone()).map_err(|error| error.to_string())?;
    let mut settings = crate::run::settings(&setting, &at);
    settings.public_url = node.data_url();
    let store = app.engine.store().clone();
    let world = Recorded::new(OfNode(app), &shared);
    let http = reqwest::Client::builder().no_proxy().build().map_err(|error| error.to_string())?;
    let served = Served { devnet, node, http, folder, kept: Vec::new() };
    let ground = Ground::Served(Box::new(served));
    let mut run = Run::over(world, ground, shared, setting, &config, at, store, settings, uploads);
    run.passes_a_day().await?;
    let met = std::mem::take(&mut run.judge.met);
    if let Ground::Served(served) = run.ground {
        served.end().await;
    }
    Ok(met)
}

impl<W: World> Run<W> {
    /// A file that nobody has stored yet, through the node's own route.
    pub async fn store_a_file(&mut self) -> Result<(), String> {
        let (cid, piece) = self.uploaded(true).await?;
        self.judge.offers(&cid, &piece.to_string());
        self.pieces.push(piece);
        self.shared.local().insert(piece);
        // Another owner's request for the same CID would be a holding of its own, with copies of its own.
        let (cid, piece) = self.uploaded(false).await?;
        self.judge.offers(&cid, &piece.to_string());
        self.pieces.push(piece);
        self.at_gateway.insert(piece);
        if let Ground::Served(served) = &mut self.ground {
            served.kept.push(cid);
        }
        Ok(())
    }
}
