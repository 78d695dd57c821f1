//! Registrations that wait at once go together: one transaction for up to [`SUBMISSIONS_MAX`] jobs, where the contract
//! can take them. What such a transaction may not do as a whole, its jobs try one by one, so that none waits for another.

use super::send::Sending;
use crate::engine::Error;
use crate::failpoint;
use crate::store::StepOutcome;
use crate::world::World;
use raas_clients::evm::AbiKind;
use raas_core::ports::{NoQuote, SUBMISSIONS_MAX, TxIntent};

/// A carrier that could not be quoted so often is taken apart, whatever the reason.
const QUOTES_MAX: u32 = 3;

impl<W: World> Sending<'_, W> {
    /// Whether this registration went into a carrier with others; that one has a step of its own.
    pub(super) async fn is_merged(&self) -> Result<bool, Error> {
        let takes_many = self.engine.settings.registers_at().is_some_and(|at| at.abi == AbiKind::Raas);
        if !takes_many || !matches!(self.tx.intent, TxIntent::Submit { .. }) {
            return Ok(false);
        }
        let merge = self.engine.store.merge_submits(self.tx.id, SUBMISSIONS_MAX);
        Ok(failpoint::around("send.batch", merge).await?.is_some())
    }

    /// Whether a carrier that has no quote is not to be tried again.
    pub(super) const fn gives_up(&self, why: &NoQuote) -> bool {
        match why {
            NoQuote::Refused(_) | NoQuote::ListFull(_) => true,
            NoQuote::Unknown(_) => self.attempts + 1 >= QUOTES_MAX,
        }
    }

    /// Takes a carrier apart of which nothing is signed; nothing for any other transaction.
    pub(super) async fn part(&self) -> Result<Option<StepOutcome>, Error> {
        if !matches!(self.tx.intent, TxIntent::SubmitMany { .. }) {
            return Ok(None);
        }
        let part = self.engine.store.part_submits(self.tx.id);
        let parted = failpoint::around("send.batch", part).await?;
        Ok(parted.then_some(StepOutcome::Done))
    }
}
