//! Deal proposals as they stood on chain when they were first seen. The market forgets a proposal with its deal.

use raas_core::ids::{DealId, HoldingId, OrderId};
use raas_core::observation::OnChainDeal;
use raas_core::units::Epoch;
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;
use std::collections::BTreeMap;

use super::error::Error;
use super::open::Store;
use super::schema::{PROPOSAL, int, uint};

/// A deal with its whole proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenProposal {
    /// The deal.
    pub deal: DealId,
    /// Height of the finalized tipset that first showed it.
    pub seen_at: Epoch,
    /// As the market has it. Its activation and sector are those of that tipset.
    pub on_chain: OnChainDeal,
}

impl Store {
    /// The proposals of a holding's orders, as they were first seen on chain.
    pub async fn seen_proposals(&self, holding: HoldingId) -> Result<BTreeMap<OrderId, SeenProposal>, Error> {
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT s.order_id, s.proposal FROM seen_proposal s JOIN orders o ON o.id = s.order_id
             WHERE o.holding = $1 OR o.id IN (SELECT order_id FROM order_slot WHERE holding = $1)",
        )
        .bind(int("holding", holding.0)?)
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.into_iter()
            .map(|(order, proposal)| Ok((OrderId(uint("order", order)?), PROPOSAL.decode(&proposal)?)))
            .collect()
    }
}

/// Keeps the proposal of an order's deal, unless that of the same deal is kept already.
pub(super) async fn keep(
    connection: &mut SqliteConnection,
    order: OrderId,
    seen: &SeenProposal,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO seen_proposal (order_id, deal, seen_at, proposal) VALUES ($1, $2, $3, $4)
         ON CONFLICT (order_id) DO UPDATE SET deal = excluded.deal, seen_at = excluded.seen_at,
         proposal = excluded.proposal WHERE seen_proposal.deal <> excluded.deal",
    )
    .bind(int("order", order.0)?)
    .bind(int("deal", seen.deal.0)?)
    .bind(seen.seen_at.0)
    .bind(PROPOSAL.encode(seen)?)
    .execute(connection)
    .await?;
    Ok(())
}
