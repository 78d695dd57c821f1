//! The judge: reads the devnet's ledger, which changes only at events, and what crossed the node's border. It knows
//! nothing of the node but its address and what was asked for, and shares no code with the rules it judges.
//!
//! One file per subject: `copies` (A1, A2, A14), `evidence` (A7), `storm` (A8), `keeping` (A9), `money` (A3), `intents`
//! (A4, A5), `nonces` (A6), `requests` (A11, the contract), `uploads` (A12), `losses` (L2). `mutants` shows that each of
//! them can fail.

mod copies;
mod evidence;
mod intents;
mod keeping;
mod losses;
mod money;
mod mutants;
mod nonces;
mod requests;
mod storm;
mod uploads;

use crate::crossing::Crossing;
use copies::{Copies, Copy, Place};
use evidence::Evidence;
use intents::Intents;
use keeping::Keeping;
use losses::Losses;
use money::Money;
use nonces::Nonces;
use raas_core::units::AttoFil;
use raas_devnet::ledger::{Entry, Fact};
use raas_devnet::world::World;
use requests::Requests;
use std::collections::BTreeMap;
use storm::Storm;

pub use uploads::Disk;

/// What was asked for, as plain numbers.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub target: usize,
    pub repair_after: i64,
    pub renewal_window: i64,
    pub finality_lag: i64,
    /// The accepted, silent renewal of a last copy may get one more order beside it after so many epochs.
    pub hedge_after: i64,
    /// Repairs of lost copies in one window, and the window's length.
    pub repairs_per_window: usize,
    pub pace_window: i64,
    /// Proven copies without which the local one stays.
    pub keep_until: usize,
    pub budget: AttoFil,
    /// Escrow that others have paid for.
    pub endowed: u128,
    /// What one day and one holding may cost.
    pub per_day: Option<u128>,
    pub per_holding: Option<u128>,
    /// Whether a copy that ends without a successor is the node's fault.
    pub must_renew: bool,
    /// Whether a loss that nothing is done about is the node's fault.
    pub must_act: bool,
}

/// Whom the judge watches.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Its client address at the market.
    pub client: String,
    /// Its account at the FEVM, in checksum form.
    pub account: String,
    /// The contract, in checksum form.
    pub contract: String,
    /// The operator of each provider.
    pub operators: BTreeMap<u64, u64>,
}

/// The judge's own books.
pub struct Judge {
    asked: Asked,
    watched: Watched,
    read: usize,
    crossed: usize,
    copies: Copies,
    evidence: Evidence,
    storm: Storm,
    keeping: Keeping,
    losses: Losses,
    money: Money,
    intents: Intents,
    nonces: Nonces,
    requests: Requests,
    /// What happened in this run, for coverage.
    pub met: Vec<&'static str>,
}

impl Judge {
    pub fn new(asked: Asked, watched: Watched) -> Self {
        Self {
            copies: Copies::new(asked),
            evidence: Evidence::new(asked),
            storm: Storm::new(asked),
            keeping: Keeping::default(),
            losses: Losses::new(asked),
            money: Money::new(asked),
            intents: Intents::default(),
            nonces: Nonces::default(),
            requests: Requests::new(watched.contract.clone(), watched.account.clone()),
            asked,
            watched,
            read: 0,
            crossed: 0,
            met: Vec::new(),
        }
    }

    /// Reads what is new in the ledger and at the border up to an epoch, and judges it. What a reorganisation may still
    /// take back is not history yet.
    pub fn look(&mut self, world: &World, crossed: &[(i64, Crossing)], until: i64) -> Result<(), String> {
        // Entries are sorted within their epoch, so an epoch is read once it is over.
        let mut entries: Vec<_> =
            world.ledger.since(self.read).iter().map(|entry| Entry::clone(entry)).collect();
        entries.retain(|entry| entry.epoch < until);
        let crossed = crossed.get(self.crossed..).unwrap_or_default();
        let crossed: Vec<_> = crossed.iter().take_while(|(at, _)| *at <= until).cloned().collect();
        self.read += entries.len();
        self.crossed += crossed.len();
        self.judge(entries, &crossed)?;
        self.copies.every_place_has_one_order(until)?;
        self.losses_until(until)
    }

    fn losses_until(&mut self, until: i64) -> Result<(), String> {
        let stormy = self.storm.is_open();
        if self.asked.must_act && self.losses.look(until, stormy, &self.copies, &self.watched.operators)? > 0
        {
            self.met.push("a loss was acted on");
        }
        Ok(())
    }

    /// Judges a piece of history, of whole epochs. What crossed the border in an epoch stands before that epoch's facts.
    fn judge(&mut self, mut entries: Vec<Entry>, crossed: &[(i64, Crossing)]) -> Result<(), String> {
        // Within an epoch the ledger has no order of time; a refusal may be why another provider was asked.
        entries
            .sort_by_key(|entry| (entry.epoch, matches!(entry.fact, Fact::Proposed { accepted: true, .. })));
        let mut crossed = crossed.iter().peekable();
        for entry in &entries {
            while let Some((at, crossing)) = crossed.next_if(|(at, _)| *at <= entry.epoch) {
                self.crossing(*at, crossing)?;
            }
            self.fact(entry.epoch, &entry.fact)?;
        }
        crossed.try_for_each(|(at, crossing)| self.crossing(*at, crossing))?;
        self.nonces.no_hole()
    }

    fn crossing(&mut self, at: i64, crossing: &Crossing) -> Result<(), String> {
        match crossing {
            Crossing::Round { tipset, truthful } => {
                if *truthful {
                    self.keeping.round(at);
                    self.losses.round(at);
                }
                self.storm.round(*tipset, *truthful, &self.copies);
                Ok(())
            }
            Crossing::Faulty { tipset, provider, sector } => {
                self.evidence.faulty(at, *tipset, (*provider, *sector));
                Ok(())
            }
            Crossing::Dead { tipset, provider, sector } => {
                self.evidence.dead(at, *tipset, (*provider, *sector));
                Ok(())
            }
            Crossing::Active { deal } => {
                self.evidence.active(*deal);
                Ok(())
            }
            Crossing::Gone { tipset, deal } => {
                self.evidence.gone(at, *tipset, *deal);
                Ok(())
            }
            Crossing::Signed { proposal, piece, cost } => {
                self.storm.signed(at, proposal);
                self.losses.signed(at, proposal, piece);
                self.money.signed(at, proposal, piece, *cost)
            }
            Crossing::Proposal { uuid, bytes, durable } => self.intents.proposal(uuid, bytes, *durable),
            Crossing::Transaction(sent) => {
                self.intents.transaction(sent)?;
                self.nonces.leaves(sent)?;
                self.requests.leaves(sent, at - self.asked.finality_lag, &self.copies)
            }
            Crossing::Evicted { piece } => {
                self.met.push("a local copy was evicted");
                self.keeping.evicted(at, piece, &self.copies)
            }
        }
    }

    fn fact(&mut self, epoch: i64, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Proposed {
                provider,
                deal_uuid,
                proposal_cid,
                piece_cid,
                client,
                start_epoch,
                end_epoch,
                accepted,
                ..
            } if *client == self.watched.client => {
                self.intents.received(deal_uuid, proposal_cid)?;
                let provider = provider.number();
                let operator = *self.watched.operators.get(&provider).ok_or("an unknown provider")?;
                let place = Place { provider, operator, start: *start_epoch, end: *end_epoch };
                self.proposed(epoch, piece_cid, Copy::new(proposal_cid, epoch, place, *accepted))
            }
            Fact::Transferred { proposal_cid, .. } => {
                self.copies.transferred(proposal_cid);
                Ok(())
            }
            Fact::Published {
                deal_id,
                proposal_cid,
                piece_cid,
                price_per_epoch,
                start_epoch,
                end_epoch,
                ..
            } => {
                let Some(refused) = self.copies.published(epoch, piece_cid, proposal_cid, deal_id.0)? else {
                    return Ok(());
                };
                if refused {
                    self.met.push("refused and published all the same");
                }
                let term = u128::try_from(end_epoch - start_epoch).map_err(|_| "a negative term")?;
                self.money.published(proposal_cid, price_per_epoch.0 * term)
            }
            Fact::Activated { deal_id, sector, .. } => {
                self.copies.activated(epoch, deal_id.0, sector.0);
                Ok(())
            }
            Fact::Terminated { deal_id, piece_cid, .. } => {
                self.met.push("a copy was terminated");
                self.gone(epoch, piece_cid, deal_id.0);
                Ok(())
            }
            Fact::NeverActivated { deal_id, piece_cid, .. } => {
                self.met.push("a copy was never activated");
                self.gone(epoch, piece_cid, deal_id.0);
                Ok(())
            }
            Fact::Ended { deal_id, piece_cid, .. } => {
                self.keeping.ended(epoch, piece_cid, deal_id.0, &self.copies)
            }
            Fact::Faulted { provider, sector } => {
                self.copies.faulted(epoch, (provider.number(), sector.0));
                Ok(())
            }
            Fact::Recovered { provider, sector } => {
                self.copies.recovered(epoch, (provider.number(), sector.0));
                Ok(())
            }
            Fact::BalanceAdded { amount, .. } => self.money.escrowed(amount.0),
            Fact::BalanceWithdrawn { .. } => Err("A9: escrow was taken back".to_owned()),
            Fact::Message { cid, .. } => self.nonces.mined(cid, None),
            Fact::Transaction { hash, from, nonce, success, .. } if *from == self.watched.account => {
                self.requests.mined(hash, *success);
                self.nonces.mined(hash, Some(*nonce))
            }
            Fact::Log { contract, topics, data } if *contract == self.watched.contract => {
                self.requests.log(epoch, topics, data)
            }
            _ => Ok(()),
        }
    }

    fn gone(&mut self, epoch: i64, piece: &str, deal: u64) {
        self.losses.gone(epoch, piece, deal, self.evidence.is_shown(deal), &self.copies);
        self.copies.gone(epoch, deal);
    }

    /// A proposal seen for the first time must have been needed, and must go where no other copy is.
    fn proposed(&mut self, epoch: i64, piece: &str, new: Copy) -> Result<(), String> {
        if self.copies.again(piece, &new) {
            return Ok(());
        }
        while self.copies.standing(piece, epoch) >= self.asked.target
            && self.copies.reattributes(piece, epoch)
        {}
        let standing = self.copies.standing(piece, epoch);
        if standing >= self.asked.target {
            if !self.copies.hedges(piece, epoch) {
                return Err(self.copies.too_many(piece, epoch, &new));
            }
            self.met.push("a last copy's renewal was hedged");
            self.keeping.ordered(epoch, piece);
            self.copies.add(piece, new);
            return Ok(());
        }
        self.copies.placed_apart(piece, epoch, &new)?;
        self.evidence.needed(piece, epoch, &self.copies)?;
        self.met.extend(self.copies.why(piece, epoch));
        if let Some(replaced) = self.copies.replace(piece, epoch) {
            let repaired = self.storm.repair(epoch, piece, &new, &replaced, &self.copies)?;
            self.met.extend(repaired);
        }
        self.keeping.ordered(epoch, piece);
        self.copies.add(piece, new);
        Ok(())
    }

    /// Bytes of `piece` were asked for under `cid`, and can be had.
    pub fn offers(&mut self, cid: &[u8], piece: &str) {
        self.requests.offers(cid, piece);
    }

    /// Whether the chain has a request for `piece`.
    pub fn is_requested(&self, piece: &str) -> bool {
        self.requests.are_for(piece)
    }

    /// A job for `cid` is to be registered on the contract by the node itself.
    pub fn registers(&mut self, cid: &[u8]) {
        self.requests.registers(cid);
    }

    /// The node's jobs that come from the contract, as its public listing tells them: (request, CID).
    pub fn jobs(&mut self, clock: i64, jobs: &[(u64, Vec<u8>)]) -> Result<(), String> {
        self.requests.jobs(clock - self.asked.finality_lag, jobs)
    }

    /// What is not done yet of what must be done in the end: requests, transactions.
    pub fn unfinished(&self, clock: i64) -> Option<String> {
        let finalized = clock - 2 * self.asked.finality_lag - 10;
        self.requests.unserved(finalized, self.asked.target, &self.copies).or_else(|| self.nonces.unmined())
    }

    /// Copies of a piece that are proven now, on how many operators.
    pub fn proven(&self, piece: &str, epoch: i64) -> usize {
        self.copies.proven(piece, epoch)
    }

    /// The provider and end of the newest copy that is alive.
    pub fn newest_copy(&self, epoch: i64) -> Option<(u64, i64)> {
        self.copies.newest(epoch)
    }

    /// Whether a breaker is open for certain.
    pub fn in_a_storm(&self) -> bool {
        self.storm.is_open()
    }

    /// For a failing seed.
    pub fn tell(&self, piece: &str) -> String {
        self.copies.tell(piece)
    }
}
