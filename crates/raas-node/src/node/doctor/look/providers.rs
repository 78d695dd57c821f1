//! The providers that may be used, as they are on chain.

use super::chain::chain;
use super::patient::Patient;
use crate::node::bootstrap;
use crate::node::doctor::looked::Providers;
use raas_core::observation::Round;
use raas_core::ports::Chain as _;

/// Those that are named; of a devnet all, where none is.
pub(super) async fn providers(patient: &Patient<'_>, round: Option<&Round>) -> Providers {
    let copies = patient.config.policy.replicas_target;
    let mut named = match patient.config.providers() {
        Ok(named) => named,
        Err(error) => return Providers { wrong: Some(error.to_string()), list: Vec::new(), copies },
    };
    if named.is_empty() && patient.devnet {
        named = bootstrap::providers(&patient.pool).await.unwrap_or_default();
    }
    let chain = chain(patient);
    let mut list = Vec::new();
    for provider in named {
        let found = match round {
            None => None,
            Some(round) => Some(chain.provider(round, provider).await.map_err(|why| why.to_string())),
        };
        list.push((provider, found));
    }
    Providers { wrong: None, list, copies }
}
