//! Lead times: how long providers take from a planned order to a replica seen active, learned from orders of ours.

use crate::ids::ProviderId;
use crate::units::Epochs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Samples of a provider without which its lead time is not known.
const SAMPLES_MIN: usize = 10;

/// The 95th percentile of each provider's lead times, where it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Leads(BTreeMap<ProviderId, Epochs>);

impl Leads {
    /// Taken for a provider of which too little is known.
    pub const UNKNOWN: Epochs = Epochs::days(4);

    /// What the samples say, in whatever order they come.
    #[must_use]
    pub fn learn(samples: impl IntoIterator<Item = (ProviderId, Epochs)>) -> Self {
        let mut of: BTreeMap<ProviderId, Vec<Epochs>> = BTreeMap::new();
        for (provider, lead) in samples {
            of.entry(provider).or_default().push(lead);
        }
        let known = of.into_iter().filter(|(_, leads)| leads.len() >= SAMPLES_MIN);
        Self(known.filter_map(|(provider, leads)| Some((provider, p95(leads)?))).collect())
    }

    /// What `provider` stays within 19 times of 20.
    #[must_use]
    pub fn p95(&self, provider: ProviderId) -> Epochs {
        self.0.get(&provider).copied().unwrap_or(Self::UNKNOWN)
    }
}

/// By nearest rank, so that it is one of them.
fn p95(mut leads: Vec<Epochs>) -> Option<Epochs> {
    leads.sort_unstable();
    let rank = (leads.len() * 95).div_ceil(100);
    leads.get(rank.checked_sub(1)?).copied()
}
