//! Which network: a name that says what is at stake, or the URL of an endpoint.

use raas_clients::filecoin::Identity;
use std::fmt;
use std::str::FromStr;

/// The network a node works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// A devnet in the node's own process.
    Devnet,
    /// The public test network.
    Calibration,
    /// The network where money is real.
    Mainnet,
    /// Whatever this endpoint serves; a devnet is recognised by its control methods.
    Url(String),
}

/// A text that is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is none of devnet, calibration, mainnet or an http(s) or ws(s) URL of an RPC endpoint")]
pub struct UnknownNetwork(pub String);

impl Network {
    /// The EVM chain id this network must have; a URL may be any.
    #[must_use]
    pub const fn chain_id(&self) -> Option<u64> {
        match self {
            Self::Devnet => Some(31_415_926),
            Self::Calibration => Some(314_159),
            Self::Mainnet => Some(314),
            Self::Url(_) => None,
        }
    }

    /// What makes this network this one, where that is known without asking anybody.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        let (name, genesis_cid, genesis_unix) = match self {
            Self::Mainnet => {
                ("mainnet", "bafy2bzacecnamqgqmifpluoeldx7zzglxcljo6oja4vrmtj7432rphldpdmm2", 1_598_306_400)
            }
            Self::Calibration => (
                "calibrationnet",
                "bafy2bzacecyaggy24wol5ruvs6qm73gjibs2l2iyhcqmvi7r7a4ph7zx3yqd4",
                1_667_326_380,
            ),
            Self::Devnet | Self::Url(_) => return None,
        };
        Some(Identity {
            network_name: name.to_owned(),
            chain_id: self.chain_id()?,
            genesis_cid: genesis_cid.to_owned(),
            genesis_unix,
            block_delay_secs: 30,
        })
    }

    /// Public endpoints used when the configuration names none.
    #[must_use]
    pub fn default_endpoints(&self) -> Vec<String> {
        match self {
            Self::Devnet => Vec::new(),
            Self::Calibration => vec!["https://api.calibration.node.glif.io/rpc/v1".to_owned()],
            Self::Mainnet => vec!["https://api.node.glif.io/rpc/v1".to_owned()],
            Self::Url(url) => vec![url.clone()],
        }
    }
}

impl FromStr for Network {
    type Err = UnknownNetwork;

    fn from_str(text: &str) -> Result<Self, UnknownNetwork> {
        match text {
            "devnet" => Ok(Self::Devnet),
            "calibration" => Ok(Self::Calibration),
            "mainnet" => Ok(Self::Mainnet),
            url if ["http://", "https://", "ws://", "wss://"]
                .iter()
                .any(|scheme| url.starts_with(scheme)) =>
            {
                match url::Url::parse(url) {
                    Ok(parsed) if parsed.host_str().is_some() => Ok(Self::Url(url.to_owned())),
                    _ => Err(UnknownNetwork(url.to_owned())),
                }
            }
            other => Err(UnknownNetwork(other.to_owned())),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Devnet => f.write_str("devnet"),
            Self::Calibration => f.write_str("calibration"),
            Self::Mainnet => f.write_str("mainnet"),
            Self::Url(url) => f.write_str(url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_urls_are_networks_and_nothing_else_is() {
        assert_eq!("devnet".parse(), Ok(Network::Devnet));
        assert_eq!("mainnet".parse::<Network>().map(|n| n.chain_id()), Ok(Some(314)));
        let url = "http://127.0.0.1:1234/rpc/v1";
        assert_eq!(url.parse(), Ok(Network::Url(url.to_owned())));
        for bad in ["", "main", "http://", "ftp://x", "127.0.0.1:1234"] {
            assert_eq!(bad.parse::<Network>(), Err(UnknownNetwork(bad.to_owned())));
        }
    }
}
