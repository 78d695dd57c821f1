//! Rule 5: a published deal that is not active is on its way until its start epoch is behind the finalized tipset, and
//! lost from then on. At the start epoch itself a sector may still be activated.

use crate::health::{Health, LossReason, Term};
use crate::units::Epoch;

/// What a deal of this term is at the finalized `height`, when it is published and its sector was never active.
#[must_use]
pub fn inactive(term: Term, height: Epoch) -> Health {
    if height > term.start { Health::Lost(LossReason::NeverActivated) } else { Health::Pending }
}
