//! What was committed to deals so far, in each scope that has a limit.
//!
//! An order counts from the moment it is planned, at the price of its whole term, and no more once it was cancelled or
//! let expire. One that serves several holdings counts for the first, and its owner.

use futures_util::TryStreamExt;
use raas_core::ids::HoldingId;
use raas_core::spend::{Limits, Spent};
use raas_core::units::{AttoFil, EPOCHS_PER_DAY, Epoch, Epochs};
use sqlx::SqliteConnection;
use std::collections::BTreeMap;

use super::error::Error;
use super::open::Store;
use super::schema::{int, parse, uint};

macro_rules! costs_sql {
    ($where:literal) => {
        concat!(
            "SELECT o.cost FROM orders o WHERE o.adopted = 0 AND o.state_name NOT IN ('cancelled', 'expired') AND ",
            $where
        )
    };
}

/// Copies whose terms end on one day and last as long, and what they cost together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// The day's first epoch.
    pub end: Epoch,
    /// Of each.
    pub duration: Epochs,
    /// Of all.
    pub cost: AttoFil,
}

impl Store {
    /// What orders can still cost that are not seen published: the sum over all that reserve escrow.
    pub async fn reserved(&self) -> Result<AttoFil, Error> {
        let costs: Vec<String> = sqlx::query_scalar("SELECT cost FROM orders WHERE reserves = 1")
            .fetch_all(&mut *self.read().await?)
            .await?;
        sum(&costs)
    }

    /// What was committed since `epoch`: the cost of all orders planned from there on that were neither
    /// cancelled nor let expire. Adopted copies cost nothing.
    pub async fn spent_since(&self, epoch: Epoch) -> Result<AttoFil, Error> {
        let costs: Vec<String> = sqlx::query_scalar(
            "SELECT cost FROM orders WHERE planned_at >= $1 AND adopted = 0
             AND state_name NOT IN ('cancelled', 'expired')",
        )
        .bind(epoch.0)
        .fetch_all(&mut *self.read().await?)
        .await?;
        sum(&costs)
    }

    /// What renewing the copies of open jobs costs at their present prices, by day. Counted by the database: there may be
    /// millions, of few prices.
    pub async fn renewals(&self) -> Result<Vec<Renewal>, Error> {
        let mut connection = self.read().await?;
        let mut rows = sqlx::query_as::<_, (i64, i64, String, i64)>(
            "SELECT term_end / $1 * $1, duration, cost, COUNT(*) FROM orders
             WHERE mark > 0 AND term_end IS NOT NULL AND holding IN (SELECT holding FROM job WHERE open = 1)
             GROUP BY 1, 2, 3",
        )
        .bind(EPOCHS_PER_DAY)
        .fetch(&mut *connection);
        let mut sums: BTreeMap<(i64, i64), AttoFil> = BTreeMap::new();
        while let Some((day, duration, cost, count)) = rows.try_next().await? {
            let cost: AttoFil = parse("cost", &cost)?;
            let sum = sums.entry((day, duration)).or_default();
            *sum = sum.plus(AttoFil(cost.0.saturating_mul(u128::from(uint("orders", count)?))));
        }
        let renewal = |((end, duration), cost)| {
            let duration = Epochs::new(duration).unwrap_or(Epochs::ZERO);
            Renewal { end: Epoch(end), duration, cost }
        };
        Ok(sums.into_iter().map(renewal).collect())
    }

    /// The first epoch at which a part of what was committed since `since` leaves the daily window; `None` when
    /// nothing was.
    pub async fn first_order_since(&self, since: Epoch) -> Result<Option<Epoch>, Error> {
        let first: Option<i64> = sqlx::query_scalar(
            "SELECT MIN(planned_at) FROM orders WHERE planned_at > $1 AND adopted = 0
             AND state_name NOT IN ('cancelled', 'expired')",
        )
        .bind(since.0)
        .fetch_one(&mut *self.read().await?)
        .await?;
        Ok(first.map(Epoch))
    }
}

/// What was committed, as one commit of many orders sees it: read once, then more by every order.
pub(super) struct Ledger {
    limits: Limits,
    day_began: Epoch,
    /// In all, and since the day began.
    node: Option<(AttoFil, AttoFil)>,
    tenants: BTreeMap<String, AttoFil>,
}

impl Ledger {
    pub(super) const fn new(limits: Limits, day_began: Epoch) -> Self {
        Self { limits, day_began, node: None, tenants: BTreeMap::new() }
    }

    /// What was committed for `holding` and its owner, in the day and in all; zero where there is no limit.
    pub(super) async fn spent(
        &mut self,
        connection: &mut SqliteConnection,
        holding: HoldingId,
    ) -> Result<Spent, Error> {
        let id = int("holding", holding.0)?;
        let (total, day) = match self.node {
            Some(node) => node,
            None => {
                let total = match self.limits.total {
                    Some(_) => read(connection, costs_sql!("$1 = $1"), id).await?,
                    None => AttoFil::ZERO,
                };
                let day = match self.limits.per_day {
                    Some(_) => read(connection, costs_sql!("o.planned_at > $1"), self.day_began.0).await?,
                    None => AttoFil::ZERO,
                };
                *self.node.insert((total, day))
            }
        };
        let mut spent = Spent { total, day, ..Spent::default() };
        if self.limits.per_tenant.is_some() {
            let owner = owner(connection, id).await?;
            spent.tenant = match self.tenants.get(&owner) {
                Some(spent) => *spent,
                None => {
                    let of_owner = costs_sql!(
                        "o.holding IN (SELECT h.id FROM holding h
                         WHERE h.owner = (SELECT owner FROM holding WHERE id = $1))"
                    );
                    let sum = read(connection, of_owner, id).await?;
                    *self.tenants.entry(owner).or_insert(sum)
                }
            };
        }
        if self.limits.per_holding.is_some() {
            spent.holding = read(connection, costs_sql!("o.holding = $1"), id).await?;
        }
        Ok(spent)
    }

    /// Counts an order in that was just stored for `holding`.
    pub(super) async fn add(
        &mut self,
        connection: &mut SqliteConnection,
        holding: HoldingId,
        cost: AttoFil,
    ) -> Result<(), Error> {
        if let Some((total, day)) = &mut self.node {
            (*total, *day) = (total.plus(cost), day.plus(cost));
        }
        if !self.tenants.is_empty() {
            let owner = owner(connection, int("holding", holding.0)?).await?;
            if let Some(sum) = self.tenants.get_mut(&owner) {
                *sum = sum.plus(cost);
            }
        }
        Ok(())
    }
}

async fn owner(connection: &mut SqliteConnection, holding: i64) -> Result<String, Error> {
    Ok(sqlx::query_scalar("SELECT owner FROM holding WHERE id = $1")
        .bind(holding)
        .fetch_one(connection)
        .await?)
}

async fn read(connection: &mut SqliteConnection, sql: &'static str, key: i64) -> Result<AttoFil, Error> {
    let costs: Vec<String> = sqlx::query_scalar(sql).bind(key).fetch_all(connection).await?;
    sum(&costs)
}

fn sum(costs: &[String]) -> Result<AttoFil, Error> {
    costs.iter().try_fold(AttoFil::ZERO, |sum, cost| Ok(sum.plus(parse("cost", cost)?)))
}
