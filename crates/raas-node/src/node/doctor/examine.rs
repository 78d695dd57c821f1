//! From a configuration to findings: a look, then the judgement.

use super::finding::Finding;
use super::judge::judge;
use super::look::look;
use crate::config::{Config, ConfigError};
use crate::node::endpoints::EndpointError;

/// What a caller decides besides the configuration.
#[derive(Clone, Debug, Default)]
pub struct Examine {
    /// Where a devnet of this machine listens, if the network is one.
    pub devnet_port: u16,
    /// The API of the node that is meant. Empty: where the configuration lets it listen.
    pub node: Option<String>,
}

/// Why nothing could be looked at.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The endpoints cannot be used.
    #[error("chain.endpoints")]
    Endpoints(#[from] EndpointError),
}

/// Looks at everything.
pub async fn examine(config: &Config, wanted: &Examine) -> Result<Vec<Finding>, DoctorError> {
    Ok(judge(&look(config, wanted).await?))
}
