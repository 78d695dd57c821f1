//! How long orders of ours took from their plan to being seen active.

use raas_core::ids::ProviderId;
use raas_core::order::OrderState;
use raas_core::units::{Epoch, Epochs};

use super::error::Error;
use super::open::Store;
use super::schema::uint;

impl Store {
    /// The lead times of the newest orders of each provider that were seen active, at most `per_provider` of each.
    pub async fn lead_samples(&self, per_provider: u32) -> Result<Vec<(ProviderId, Epochs)>, Error> {
        // From provider to provider by the index: what is read does not grow with the orders.
        let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
            "WITH RECURSIVE sampled (provider) AS (
                 SELECT MIN(provider) FROM orders WHERE active_at IS NOT NULL
                 UNION ALL
                 SELECT (SELECT MIN(o.provider) FROM orders o
                     WHERE o.active_at IS NOT NULL AND o.provider > sampled.provider)
                 FROM sampled WHERE sampled.provider IS NOT NULL
             )
             SELECT o.provider, o.planned_at, o.active_at FROM sampled CROSS JOIN orders o
             WHERE o.id IN (
                 SELECT newest.id FROM orders newest
                 WHERE newest.provider = sampled.provider AND newest.active_at IS NOT NULL
                 ORDER BY newest.active_at DESC, newest.id DESC LIMIT $1
             )
             ORDER BY o.provider, o.active_at DESC, o.id DESC",
        )
        .bind(per_provider)
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.into_iter()
            .map(|(provider, planned_at, active_at)| {
                Ok((ProviderId::new(uint("provider", provider)?), Epoch(active_at).since(Epoch(planned_at))))
            })
            .collect()
    }
}

/// By when an order in `state` was active. A node that was away sees it late, but an order that is active at all was
/// so at the start of its term.
pub(super) fn active_at(state: &OrderState) -> Option<i64> {
    let on_chain = state.on_chain().filter(|_| state.is_active())?;
    Some(on_chain.health.at.min(on_chain.term.start).0)
}
