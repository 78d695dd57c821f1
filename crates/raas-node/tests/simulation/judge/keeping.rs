//! A9: no action of the node's own lowers the number of proven copies. What it could do to that end is to delete bytes
//! that a copy still needs, and to let a copy end that it could have renewed.

use super::copies::Copies;
use std::collections::BTreeMap;

/// Epochs before a deal's start within which no provider takes it any more, and some for a round to come.
const TOO_LATE: i64 = 4 * 2_880;
/// Rounds in a renewal window without one order that cannot be chance.
const ROUNDS: usize = 20;

#[derive(Default)]
pub struct Keeping {
    /// Epochs at which the node had a round.
    rounds: Vec<i64>,
    /// The last order of each piece.
    ordered: BTreeMap<String, i64>,
}

impl Keeping {
    pub fn round(&mut self, at: i64) {
        if self.rounds.last() != Some(&at) {
            self.rounds.push(at);
        }
    }

    pub fn ordered(&mut self, epoch: i64, piece: &str) {
        self.ordered.insert(piece.to_owned(), epoch);
    }

    /// The local copy may go when enough others are proven at finality, and no provider has still to fetch it.
    pub fn evicted(&self, at: i64, piece: &str, copies: &Copies) -> Result<(), String> {
        let asked = copies.asked();
        let finalized = at - asked.finality_lag;
        let proven = copies.proven_at(piece, finalized, at);
        let needed = asked.keep_until.max(1);
        if proven < needed {
            return Err(format!(
                "A9: at {at} the local copy of {piece} was deleted with {proven} of {needed} others proven"
            ));
        }
        let fetches = copies
            .of(piece)
            .iter()
            .find(|copy| copies.stands(copy, at) && copy.deal.is_none() && !copy.transferred);
        match fetches {
            None => Ok(()),
            Some(copy) => Err(format!(
                "A9: at {at} the local copy of {piece} was deleted before f0{} had it",
                copy.place.provider
            )),
        }
    }

    /// A copy that reaches its end must have a successor, unless the node could not look or nobody took the order.
    pub fn ended(&self, epoch: i64, piece: &str, deal: u64, copies: &Copies) -> Result<(), String> {
        let asked = copies.asked();
        let Some(copy) = copies.of_deal(deal) else { return Ok(()) };
        if copy.is_over_by_itself(&asked, copy.place.start) || copy.gone.is_some() {
            return Ok(());
        }
        let opens = epoch - asked.renewal_window;
        let looked = self.rounds.iter().filter(|at| (opens..epoch - TOO_LATE).contains(*at)).count();
        let ordered = self.ordered.get(piece).is_some_and(|at| *at >= opens);
        let kept = copies.standing(piece, epoch) >= asked.target;
        if !asked.must_renew || looked < ROUNDS || ordered || kept {
            return Ok(());
        }
        Err(format!(
            "A9: deal {deal} of {piece} ended at {epoch} without a successor, though the node looked {looked} times \
             while it could be renewed\n{}",
            copies.tell(piece)
        ))
    }
}
