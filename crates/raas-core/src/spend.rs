//! How much may be spent: limits of the whole node, of a day, of a tenant and of a holding, and what is left.
//!
//! The store checks them in the transaction that writes an intent, so that no two commits use the same money.
//! A refusal is a wait that names its limit.

use crate::units::{AttoFil, EPOCHS_PER_DAY, Epochs};
use serde::{Deserialize, Serialize};

/// The window of the daily limits: any 2,880 epochs, not calendar days.
pub const DAY: Epochs = match Epochs::new(EPOCHS_PER_DAY) {
    Some(day) => day,
    None => Epochs::ZERO,
};

/// What binds when money is short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// The money there is: free escrow, and what the wallet can add.
    #[default]
    Funds,
    /// `budget.total_attofil`: all deals ever.
    Total,
    /// `budget.per_day_attofil`: deals of the last 2,880 epochs.
    Day,
    /// `budget.per_tenant_attofil`: all deals ever for one owner.
    Tenant,
    /// `budget.per_holding_attofil`: all deals ever for what one owner wants kept of one CID.
    Holding,
}

impl Limit {
    /// The configuration key that raises it; none for money itself.
    #[must_use]
    pub const fn key(self) -> Option<&'static str> {
        match self {
            Self::Funds => None,
            Self::Total => Some("budget.total_attofil"),
            Self::Day => Some("budget.per_day_attofil"),
            Self::Tenant => Some("budget.per_tenant_attofil"),
            Self::Holding => Some("budget.per_holding_attofil"),
        }
    }
}

/// The configured limits; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of all deals ever.
    pub total: Option<AttoFil>,
    /// Of the last 2,880 epochs.
    pub per_day: Option<AttoFil>,
    /// Of one owner, ever.
    pub per_tenant: Option<AttoFil>,
    /// Of one holding, ever.
    pub per_holding: Option<AttoFil>,
}

/// What was committed so far, in each scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Ever.
    pub total: AttoFil,
    /// In the last 2,880 epochs.
    pub day: AttoFil,
    /// For the owner, ever.
    pub tenant: AttoFil,
    /// For the holding, ever.
    pub holding: AttoFil,
}

/// What new orders may use: money, and the limits the store checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spending {
    /// Money for new orders.
    pub available: AttoFil,
    /// The limits.
    pub limits: Limits,
}

impl From<AttoFil> for Spending {
    /// Money alone.
    fn from(available: AttoFil) -> Self {
        Self { available, limits: Limits::default() }
    }
}

/// Why something is not bought now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short {
    /// What binds.
    pub limit: Limit,
    /// What it costs.
    pub needed: AttoFil,
    /// What is left under the limit.
    pub available: AttoFil,
}

impl Limits {
    fn left(&self, spent: &Spent) -> [(Limit, Option<AttoFil>); 4] {
        let left = |limit: Option<AttoFil>, spent: AttoFil| limit.map(|limit| limit.minus(spent));
        [
            (Limit::Total, left(self.total, spent.total)),
            (Limit::Day, left(self.per_day, spent.day)),
            (Limit::Tenant, left(self.per_tenant, spent.tenant)),
            (Limit::Holding, left(self.per_holding, spent.holding)),
        ]
    }

    /// Whether `cost` fits under every limit; else the one that leaves least.
    pub fn check(&self, spent: &Spent, cost: AttoFil) -> Result<(), Short> {
        let (limit, available) = self.tightest(spent, AttoFil(u128::MAX));
        if cost <= available { Ok(()) } else { Err(Short { limit, needed: cost, available }) }
    }

    /// What is left under the limits when there is `funds`, and what binds.
    #[must_use]
    pub fn tightest(&self, spent: &Spent, funds: AttoFil) -> (Limit, AttoFil) {
        self.left(spent).into_iter().filter_map(|(limit, left)| Some((limit, left?))).fold(
            (Limit::Funds, funds),
            |tightest, (limit, left)| if left < tightest.1 { (limit, left) } else { tightest },
        )
    }
}
