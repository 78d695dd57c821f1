//! `raas doctor`: looks at everything a node depends on, and says of each trouble what mends it.
//!
//! It asks and reads only: no store is opened, since that would take it over from a running node, and nothing is sent.

mod chain;
mod contract;
mod machine;
mod rights;
mod running;

use super::endpoints::{self, EndpointError};
use crate::config::{Config, ConfigError, EndpointSetting, Network};
use raas_clients::filecoin::Identity;
use raas_clients::rpc::Pool;
use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, but not as safely or as fast as it could.
    Warning,
    /// The node does not start, holds, or cannot do a part of its work.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `endpoint`, `chain`, `contract`, `wallet`, `providers`, `clock`, `disk` or `node`.
    pub area: &'static str,
    /// Which one, where there are several.
    pub subject: String,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub found: String,
    /// What mends it; empty when nothing needs to be.
    pub fix: String,
}

/// All that was found.
#[derive(Debug, Default)]
pub struct Findings {
    list: Vec<Finding>,
}

impl Findings {
    fn push(&mut self, area: &'static str, subject: &str, level: Level, found: String, fix: &str) {
        let (subject, fix) = (subject.to_owned(), fix.to_owned());
        self.list.push(Finding { area, subject, level, found, fix });
    }

    fn ok(&mut self, area: &'static str, subject: &str, found: impl Into<String>) {
        self.push(area, subject, Level::Ok, found.into(), "");
    }

    fn warning(&mut self, area: &'static str, subject: &str, found: impl Into<String>, fix: &str) {
        self.push(area, subject, Level::Warning, found.into(), fix);
    }

    fn problem(&mut self, area: &'static str, subject: &str, found: impl Into<String>, fix: &str) {
        self.push(area, subject, Level::Problem, found.into(), fix);
    }
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

/// What the network is known to be, and how to ask it.
struct Patient<'a> {
    config: &'a Config,
    network: &'a Network,
    pool: Pool,
    /// As the first endpoint tells that serves the right network.
    identity: Option<Identity>,
    /// Whether it is a devnet, where time is its own.
    devnet: bool,
    /// The first endpoint, which tells a devnet's time.
    first: Option<url::Url>,
}

/// Looks at everything. `devnet_port` is where a devnet of this machine listens, if the network is one.
pub async fn examine(config: &Config, devnet_port: u16) -> Result<Vec<Finding>, DoctorError> {
    let network = config.network()?;
    let settings = match network {
        Network::Devnet if config.chain.endpoints.is_empty() => {
            vec![EndpointSetting::Url(format!("http://127.0.0.1:{devnet_port}/rpc/v1"))]
        }
        _ => endpoints::settings(config, &network),
    };
    let pool = endpoints::pool(config, &settings)?;
    let mut findings = Findings::default();
    let devnet = super::bootstrap::is_devnet(&pool).await;
    let first = settings.first().and_then(|first| url::Url::parse(first.url()).ok());
    let mut patient = Patient { config, network: &network, pool, identity: None, devnet, first };
    machine::disk(config, &mut findings);
    patient.identity = chain::endpoints(&patient, &settings, &mut findings).await;
    if let Some(identity) = &patient.identity {
        patient.pool.expect_network(identity);
        let now = machine::clock(&patient, identity, &mut findings).await;
        if let Some(round) = chain::round(&patient, now, &mut findings).await {
            contract::contracts(&patient, &round, &mut findings).await;
            if let Some(account) = machine::wallet(&patient, &mut findings).await {
                rights::of(&patient, account, &mut findings).await;
            }
            machine::providers(&patient, &round, &mut findings).await;
        }
    }
    machine::listeners(&patient, &mut findings);
    running::node(&patient, &mut findings).await;
    Ok(findings.list)
}
