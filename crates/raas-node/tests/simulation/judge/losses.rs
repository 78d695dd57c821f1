//! L2: every true loss is acted on within one proving period of its finality. A loss is a copy that the chain gave up, or
//! one whose sector was faulty for as long as the policy waits; acted on is it when an order in its place is signed.
//!
//! What excuses the node: that nothing is missing any more, that it hardly ever saw the chain in that time, that no
//! provider was left all that time, that a breaker is open, or, until the copy's start epoch, that it was gone before
//! anything showed it: nobody can tell whose deal an id was that is gone, and a signature is money until then.

use super::Asked;
use super::copies::{Copies, Copy};
use std::collections::{BTreeMap, BTreeSet};

/// Epochs in which every sector is proven once.
const PROVING_PERIOD: i64 = 2_880;
/// Truthful rounds within that time after which not to have seen a loss is no excuse.
const ROUNDS: usize = 20;

#[derive(Clone, Debug)]
struct Loss {
    piece: String,
    at: i64,
    /// Since when the node can know.
    from: i64,
    what: String,
}

pub struct Losses {
    asked: Asked,
    open: Vec<Loss>,
    /// Faults that lasted too long, by proposal, and when they began.
    faults: BTreeSet<(String, i64)>,
    /// When each proposal of a piece was signed; one that answers a loss answers no other.
    signed: BTreeMap<String, BTreeMap<String, i64>>,
    rounds: BTreeSet<i64>,
}

impl Losses {
    pub const fn new(asked: Asked) -> Self {
        Self {
            asked,
            open: Vec::new(),
            faults: BTreeSet::new(),
            signed: BTreeMap::new(),
            rounds: BTreeSet::new(),
        }
    }

    /// The node saw the chain as it is.
    pub fn round(&mut self, at: i64) {
        self.rounds.insert(at);
    }

    pub fn signed(&mut self, at: i64, proposal: &str, piece: &str) {
        self.signed.entry(piece.to_owned()).or_default().entry(proposal.to_owned()).or_insert(at);
    }

    /// The chain gave a deal up. Whoever has a successor or is a spare is not missed.
    pub fn gone(&mut self, at: i64, piece: &str, deal: u64, shown: bool, copies: &Copies) {
        let Some(copy) = copies.of_deal(deal).filter(|copy| !copy.moved_on()) else { return };
        let from = if shown { at } else { at.max(copy.place.start) };
        let what = format!("deal {deal} was lost");
        self.open.push(Loss { piece: piece.to_owned(), at, from, what });
    }

    /// All losses of which history up to `until` is known: how many were acted on since the last look.
    pub fn look(
        &mut self,
        until: i64,
        stormy: bool,
        copies: &Copies,
        operators: &BTreeMap<u64, u64>,
    ) -> Result<usize, String> {
        self.note_faults(until, copies);
        let mut acted = 0;
        // Of two losses that one order could answer, it answers the one that has less time.
        let mut open = std::mem::take(&mut self.open);
        open.sort_by_key(|loss| loss.from);
        for loss in open {
            // State at a tipset is before its messages, so the next one is the first to tell.
            let (told, deadline) = (loss.from + self.asked.finality_lag + 1, self.deadline(&loss));
            let signed = self.signed.entry(loss.piece.clone()).or_default();
            let answer = signed.iter().filter(|(_, at)| (loss.at..=deadline).contains(*at));
            if let Some((proposal, _)) = answer.min_by_key(|(_, at)| **at) {
                let proposal = proposal.clone();
                signed.remove(&proposal);
                acted += 1;
                continue;
            }
            if deadline >= until {
                self.open.push(loss);
                continue;
            }
            let standing = copies.standing(&loss.piece, until);
            let looked = self.rounds.range(told..=deadline).count();
            let mut places = operators.iter();
            let left = places.find(|place| copies.could_take(&loss.piece, *place, told..=deadline));
            if let Some((provider, _)) = left
                && standing < self.asked.target
                && looked >= ROUNDS
                && !stormy
            {
                return Err(format!(
                    "L2: {} at {}, {standing} copies of {} stand, and nothing was signed until {deadline}, though the \
                     node looked {looked} times and f0{provider} was left\n{}",
                    loss.what,
                    loss.at,
                    loss.piece,
                    copies.tell(&loss.piece)
                ));
            }
        }
        Ok(acted)
    }

    const fn deadline(&self, loss: &Loss) -> i64 {
        loss.from + self.asked.finality_lag + 1 + PROVING_PERIOD
    }

    fn note_faults(&mut self, until: i64, copies: &Copies) {
        let finalized = until - self.asked.finality_lag;
        let due = |copy: &Copy| {
            let since = copies.faulty_since(copy, until)?;
            let lasts = copy.alive(until) && !copy.moved_on();
            (lasts && finalized - since >= self.asked.repair_after).then_some(since)
        };
        let found: Vec<(String, String, i64)> = copies
            .by_piece()
            .filter_map(|(piece, copy)| Some((piece.clone(), copy.proposal.clone(), due(copy)?)))
            .collect();
        for (piece, proposal, since) in found {
            if self.faults.insert((proposal.clone(), since)) {
                let what = format!("the sector of {proposal} was faulty since {since}");
                let at = since + self.asked.repair_after;
                self.open.push(Loss { piece, at, from: at, what });
            }
        }
    }
}
