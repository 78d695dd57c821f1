//! Which network a node is on, when it starts: by its endpoints, by its name, or by what its store knows of earlier.
//!
//! An endpoint that serves another network is a wrong configuration, and the node refuses to start. One that does not
//! answer is the weather: a node that knows its network starts and holds; one that cannot know it yet waits.

use super::bootstrap;
use super::start::StartError;
use super::waiting::Doors;
use crate::config::Network;
use crate::store::Store;
use raas_clients::filecoin::{Identity, IdentityError, identify};
use raas_clients::rpc::Pool;
use std::time::Duration;

const IDENTITY: &str = "network identity";
const DEVNET: &str = "network is a devnet";
/// Pause between two tries to reach an endpoint.
const AGAIN: Duration = Duration::from_secs(1);

/// The network, and whether it is a devnet.
pub struct Established {
    pub identity: Identity,
    pub devnet: bool,
}

/// Establishes the network and binds the store to it. From here on the pool uses no endpoint of another one.
pub async fn establish(
    pool: &Pool,
    network: &Network,
    store: &Store,
    doors: &Doors,
) -> Result<Established, StartError> {
    let stored: Option<Identity> = match store.meta(IDENTITY).await? {
        Some(text) => serde_json::from_str(&text).ok(),
        None => None,
    };
    let was_devnet = store.meta(DEVNET).await?.is_some();
    let known = network.identity().or(stored);
    let mut waits = false;
    loop {
        match identify(pool).await {
            Ok(found) => {
                check(network, known.as_ref(), &found)?;
                store.bind_network(&found.network_name, &found.genesis_cid).await?;
                pool.expect_network(&found);
                store.put_meta(IDENTITY, &serde_json::to_string(&found).unwrap_or_default()).await?;
                let devnet = was_devnet || bootstrap::is_devnet(pool).await;
                if devnet && !was_devnet {
                    store.put_meta(DEVNET, "yes").await?;
                }
                return Ok(Established { identity: found, devnet });
            }
            // What has no value needs its endpoint to start; what has must not wait for one to serve its data.
            Err(IdentityError::TooFew { .. }) if !was_devnet && known.is_some() => {
                let Some(identity) = known else { continue };
                tracing::warn!("too few chain endpoints answer: the node starts and holds until they do");
                store.bind_network(&identity.network_name, &identity.genesis_cid).await?;
                pool.expect_network(&identity);
                return Ok(Established { identity, devnet: false });
            }
            Err(error @ IdentityError::TooFew { .. }) => {
                if !waits {
                    tracing::warn!(%error, "the node waits for a chain endpoint");
                    waits = true;
                }
                doors.wait_for(&error.to_string());
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// That the endpoints serve the network that is configured, and the one that it always was.
fn check(network: &Network, known: Option<&Identity>, found: &Identity) -> Result<(), StartError> {
    let other = |wanted: u64| StartError::OtherNetwork {
        network: network.to_string(),
        wanted,
        found: found.chain_id,
        name: found.network_name.clone(),
    };
    if let Some(wanted) = network.chain_id().filter(|wanted| *wanted != found.chain_id) {
        return Err(other(wanted));
    }
    match (network.identity(), known) {
        (Some(wanted), _) if !wanted.is_same_network(found) => Err(other(wanted.chain_id)),
        // What the store is bound to is told by the store, in its own words.
        _ => Ok(()),
    }
}
