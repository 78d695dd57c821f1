//! Importing: holdings that come with copies which exist already, many in one transaction.

use raas_core::ids::HoldingId;
use raas_core::order::{Order, SlotRef};

use super::error::Error;
use super::open::Store;
use super::schema::int;
use super::types::{NewJob, NewPiece, Registered};
use super::{jobs, orders, pieces, places};

/// A holding with its piece and copies of it, each verified on chain by whoever imports them.
#[derive(Clone, Debug)]
pub struct Import {
    /// What is asked for.
    pub job: NewJob,
    /// Its piece, whose bytes are not here.
    pub piece: NewPiece,
    /// Copies, one for each place from 0 on; adopted, so that nothing was paid for them here. Ids are given by the
    /// store. A copy whose deal is known already is an error, and nothing is imported.
    pub copies: Vec<Order>,
}

impl Store {
    /// Imports all of `imports`, or nothing. The ids of their holdings, in the same order.
    pub async fn import(&self, imports: &[Import]) -> Result<Vec<HoldingId>, Error> {
        let mut tx = self.write().await?;
        let mut holdings = Vec::with_capacity(imports.len());
        for import in imports {
            pieces::insert(&mut tx, &import.piece, false).await?;
            let (Registered::Created { holding, .. } | Registered::AlreadyExists { holding, .. }) =
                jobs::register(&mut tx, &import.job).await?;
            // Its copies are known: the contract's list of it can wait for the slow sweep.
            sqlx::query("UPDATE holding SET listed_at = 0 WHERE id = $1 AND listed_at IS NULL")
                .bind(int("holding", holding.0)?)
                .execute(&mut *tx)
                .await?;
            for (index, copy) in (0_u32..).zip(&import.copies) {
                let order = orders::insert(&mut tx, holding, copy).await?;
                places::enter(&mut tx, order, SlotRef { holding, index }, copy.piece, &copy.state).await?;
            }
            holdings.push(holding);
        }
        tx.commit().await?;
        Ok(holdings)
    }
}
