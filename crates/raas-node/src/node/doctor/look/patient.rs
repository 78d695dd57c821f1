//! Who is looked at, and in which order: what is known of the network decides what else can be asked.

use super::{chain, contracts, disk, listener, node, providers, wallet};
use crate::config::{Config, EndpointSetting, Network};
use crate::node::doctor::examine::{DoctorError, Examine};
use crate::node::doctor::looked::{Looked, Node};
use crate::node::{bootstrap, endpoints};
use raas_clients::rpc::Pool;

/// What everything is asked with.
pub(super) struct Patient<'a> {
    pub(super) config: &'a Config,
    pub(super) network: Network,
    pub(super) settings: Vec<EndpointSetting>,
    pub(super) pool: Pool,
    pub(super) devnet: bool,
}

/// Looks at everything.
pub(in crate::node::doctor) async fn look(config: &Config, wanted: &Examine) -> Result<Looked, DoctorError> {
    let network = config.network()?;
    let settings = match network {
        Network::Devnet if config.chain.endpoints.is_empty() => {
            vec![EndpointSetting::Url(format!("http://127.0.0.1:{}/rpc/v1", wanted.devnet_port))]
        }
        _ => endpoints::settings(config, &network),
    };
    let pool = endpoints::pool_of_few(config, &settings)?;
    let devnet = network == Network::Devnet || bootstrap::is_devnet(&pool).await;
    let patient = Patient { config, network, settings, pool, devnet };

    let mut voices = chain::voices(&patient).await;
    let identity = voices.identity().cloned();
    let node = node::node(&patient, wanted.node.as_deref(), identity.as_ref()).await;
    let running = match &node {
        Node::Runs(running) => Some(running.as_ref()),
        _ => None,
    };
    let (mut clock, mut pinned, mut round) = (None, None, None);
    if let Some(identity) = &identity {
        patient.pool.expect_network(identity);
        let (now, seen) = chain::clock(&patient, identity).await;
        let pin = chain::pin(&patient, now, &mut voices).await;
        // What can be looked at all the same is looked at, also where a node would hold.
        round = pin.pin.as_ref().ok().map(|pin| pin.round.clone());
        (clock, pinned) = (Some(seen), Some(pin));
    }
    let (wallet, account) = wallet::wallet(&patient, identity.as_ref()).await;
    let contracts = contracts::contracts(&patient, round.as_ref(), account, running).await;
    let providers = providers::providers(&patient, round.as_ref()).await;
    if let Some(round) = &round {
        chain::logs(&patient, round, &contracts, &mut voices).await;
    }
    let listener = listener::listener(&patient, &node).await;
    Ok(Looked {
        network: patient.network.to_string(),
        devnet,
        disk: disk::disk(config),
        voices,
        pinned,
        clock,
        wallet,
        contracts,
        providers,
        listener,
        node,
    })
}
