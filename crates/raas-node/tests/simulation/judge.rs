//! The judge: reads the devnet's ledger, which changes only at events, and knows nothing of the node but its
//! address and what was asked for. It shares no code with the rules it judges.

use raas_core::units::AttoFil;
use raas_devnet::ledger::Fact;
use raas_devnet::world::World;
use std::collections::BTreeMap;

/// What was asked for, as plain numbers.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub target: usize,
    pub repair_after: i64,
    pub renewal_window: i64,
    pub finality_lag: i64,
    /// The accepted, silent renewal of a last copy may get one more order beside it after so many epochs.
    pub hedge_after: i64,
    pub budget: AttoFil,
}

#[derive(Clone, Debug)]
struct Copy {
    proposal: String,
    proposed: i64,
    provider: u64,
    operator: u64,
    start: i64,
    end: i64,
    refused: bool,
    /// A successor was ordered for it: when it recovers it is one too many, and none is missing when it goes.
    replaced: bool,
    /// One more was ordered beside it: it is not waited for any more, and if it comes all the same, it is a spare.
    hedged: bool,
    deal: Option<u64>,
    published: Option<i64>,
    sector: Option<u64>,
    activated: Option<i64>,
    /// When the chain lost it: terminated, never activated.
    gone: Option<i64>,
}

/// A sector's faults: from, to.
type Faults = Vec<(i64, Option<i64>)>;

/// The judge's own books.
pub struct Judge {
    asked: Asked,
    client: String,
    read: usize,
    copies: BTreeMap<String, Vec<Copy>>,
    faults: BTreeMap<(u64, u64), Faults>,
    uuids: BTreeMap<String, String>,
    published: BTreeMap<String, u64>,
    paid_for: u128,
    escrowed: u128,
    /// What happened in this run, for coverage.
    pub met: Vec<&'static str>,
}

impl Judge {
    pub fn new(asked: Asked, client: String) -> Self {
        Self {
            asked,
            client,
            read: 0,
            copies: BTreeMap::new(),
            faults: BTreeMap::new(),
            uuids: BTreeMap::new(),
            published: BTreeMap::new(),
            paid_for: 0,
            escrowed: 0,
            met: Vec::new(),
        }
    }

    /// Reads what is new in the ledger, and judges it.
    pub fn look(&mut self, world: &World) -> Result<(), String> {
        // Entries are sorted within their epoch, so an epoch is read once it is over.
        let clock = world.chain().clock();
        let mut entries = world.ledger.since(self.read).to_vec();
        entries.retain(|entry| entry.epoch < clock);
        // Within an epoch the ledger has no order of time; a refusal may be why another provider was asked.
        entries
            .sort_by_key(|entry| (entry.epoch, matches!(entry.fact, Fact::Proposed { accepted: true, .. })));
        for entry in &entries {
            self.fact(world, entry.epoch, &entry.fact)?;
            self.read += 1;
        }
        Ok(())
    }

    fn fact(&mut self, world: &World, epoch: i64, fact: &Fact) -> Result<(), String> {
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
            } if *client == self.client => {
                let first = self.uuids.insert(deal_uuid.clone(), proposal_cid.clone());
                if first.is_some_and(|first| first != *proposal_cid) {
                    return Err(format!("A5: deal {deal_uuid} was signed twice with different bytes"));
                }
                let operator = world
                    .miner(*provider)
                    .map(|miner| miner.config.operator.0)
                    .ok_or("an unknown provider")?;
                let copy = Copy {
                    proposal: proposal_cid.clone(),
                    proposed: epoch,
                    provider: provider.number(),
                    operator,
                    start: *start_epoch,
                    end: *end_epoch,
                    refused: !accepted,
                    replaced: false,
                    hedged: false,
                    deal: None,
                    published: None,
                    sector: None,
                    activated: None,
                    gone: None,
                };
                self.proposed(epoch, piece_cid, copy)
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
                if let Some(before) = self.published.insert(proposal_cid.clone(), deal_id.0) {
                    return Err(format!("A2: {proposal_cid} is deal {before} and deal {deal_id}"));
                }
                let Some(copy) = self.copy(piece_cid, proposal_cid) else { return Ok(()) };
                copy.deal = Some(deal_id.0);
                copy.published = Some(epoch);
                if copy.refused {
                    self.met.push("refused and published all the same");
                }
                let term = u128::try_from(end_epoch - start_epoch).map_err(|_| "a negative term")?;
                self.paid_for += price_per_epoch.0 * term;
                if self.paid_for > self.asked.budget.0 {
                    return Err("A3: more was bought than the budget allows".to_owned());
                }
                Ok(())
            }
            Fact::Activated { deal_id, piece_cid, sector, .. } => {
                self.on_deal(piece_cid, deal_id.0, |copy| {
                    copy.sector = Some(sector.0);
                    copy.activated = Some(epoch);
                });
                Ok(())
            }
            Fact::Terminated { deal_id, piece_cid, .. } => {
                self.met.push("a copy was terminated");
                self.on_deal(piece_cid, deal_id.0, |copy| copy.gone = Some(epoch));
                Ok(())
            }
            Fact::NeverActivated { deal_id, piece_cid, .. } => {
                self.met.push("a copy was never activated");
                self.on_deal(piece_cid, deal_id.0, |copy| copy.gone = Some(epoch));
                Ok(())
            }
            Fact::Faulted { provider, sector } => {
                let faults = self.faults.entry((provider.number(), sector.0)).or_default();
                faults.push((epoch, None));
                Ok(())
            }
            Fact::Recovered { provider, sector } => {
                if let Some(last) = self.faults.entry((provider.number(), sector.0)).or_default().last_mut() {
                    last.1 = Some(epoch);
                }
                Ok(())
            }
            Fact::BalanceAdded { amount, .. } => {
                self.escrowed += amount.0;
                if self.escrowed > self.asked.budget.0 {
                    return Err("A3: more went into escrow than the budget allows".to_owned());
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn copy(&mut self, piece: &str, proposal: &str) -> Option<&mut Copy> {
        self.copies.get_mut(piece)?.iter_mut().find(|copy| copy.proposal == proposal)
    }

    fn on_deal(&mut self, piece: &str, deal: u64, change: impl FnOnce(&mut Copy)) {
        let copies = self.copies.entry(piece.to_owned()).or_default();
        if let Some(copy) = copies.iter_mut().find(|copy| copy.deal == Some(deal)) {
            change(copy);
        }
    }

    /// A proposal seen for the first time must have been needed, and must go where no other copy is.
    fn proposed(&mut self, epoch: i64, piece: &str, new: Copy) -> Result<(), String> {
        let known = self.copies.entry(piece.to_owned()).or_default();
        if let Some(again) = known.iter_mut().find(|copy| copy.proposal == new.proposal) {
            again.refused &= new.refused;
            return Ok(());
        }
        let others = known.clone();
        let count = others.iter().filter(|copy| self.counts(copy, epoch)).count();
        if count >= self.asked.target && self.hedges(piece, epoch) {
            self.met.push("a last copy's renewal was hedged");
            self.copies.entry(piece.to_owned()).or_default().push(new);
            return Ok(());
        }
        let standing: Vec<&Copy> = others.iter().filter(|copy| self.counts(copy, epoch)).collect();
        if standing.len() >= self.asked.target {
            return Err(format!(
                "A1/A7: at {epoch} a copy of {piece} was ordered from f0{} though {} stand or are on their way: \
                 {standing:#?}",
                new.provider,
                standing.len()
            ));
        }
        if let Some(same) = standing.iter().find(|copy| copy.operator == new.operator) {
            return Err(format!(
                "A14: at {epoch} a copy of {piece} was ordered from f0{} while its operator has one at f0{}",
                new.provider, same.provider
            ));
        }
        if others.iter().any(|copy| self.alive(copy, epoch) && copy.end - epoch <= self.asked.renewal_window)
        {
            self.met.push("a copy was renewed");
        }
        if others.iter().any(|copy| self.alive(copy, epoch) && self.faulty_for(copy, epoch).is_some()) {
            self.met.push("a suspect copy was repaired");
        }
        let replaced = others.iter().position(|copy| {
            self.alive(copy, epoch) && !copy.replaced && !copy.refused && !self.counts(copy, epoch)
        });
        let known = self.copies.entry(piece.to_owned()).or_default();
        if let Some(replaced) = replaced.and_then(|place| known.get_mut(place)) {
            replaced.replaced = true;
        }
        known.push(new);
        Ok(())
    }

    /// Whether `copy` stands for a place: alive without need of a successor, or on its way. What the node knows
    /// is as old as the finalized tipset, so need is looked for there.
    fn counts(&self, copy: &Copy, epoch: i64) -> bool {
        let finalized = epoch - self.asked.finality_lag;
        // The place of a refused one may move on; if it is published all the same, it is a spare.
        if copy.refused || copy.replaced || copy.hedged {
            return false;
        }
        if copy.deal.is_none() {
            return finalized <= copy.start;
        }
        if copy.gone.is_some_and(|gone| gone <= finalized) || copy.end <= epoch {
            return false;
        }
        if copy.sector.is_none() {
            return finalized <= copy.start;
        }
        if copy.end - epoch <= self.asked.renewal_window {
            return false;
        }
        self.faulty_for(copy, epoch).is_none_or(|length| length < self.asked.repair_after)
    }

    /// Whether an order beside those that stand hedges one of them, which is then remembered.
    fn hedges(&mut self, piece: &str, epoch: i64) -> bool {
        let finalized = epoch - self.asked.finality_lag;
        let copies = self.copies.get(piece).map(Vec::as_slice).unwrap_or_default();
        let proven = |copy: &&Copy| {
            let faults = copy.sector.and_then(|sector| self.faults.get(&(copy.provider, sector)));
            copy.activated.is_some_and(|at| at <= finalized)
                && copy.gone.is_none_or(|gone| gone > finalized)
                && copy.end > epoch
                && faults
                    .into_iter()
                    .flatten()
                    .all(|(from, to)| *from > finalized || to.is_some_and(|to| to <= finalized))
        };
        let mut operators: Vec<u64> = copies.iter().filter(proven).map(|copy| copy.operator).collect();
        operators.sort_unstable();
        operators.dedup();
        let renews = copies
            .iter()
            .any(|copy| self.alive(copy, epoch) && copy.end - epoch <= self.asked.renewal_window);
        let silent = copies.iter().position(|copy| {
            let unseen = copy.published.is_none_or(|at| at >= finalized);
            unseen && self.counts(copy, epoch) && epoch - copy.proposed >= self.asked.hedge_after
        });
        let (Some(silent), true, true) = (silent, renews, operators.len() <= 1) else { return false };
        let copies = self.copies.get_mut(piece).map(Vec::as_mut_slice).unwrap_or_default();
        copies.get_mut(silent).is_some_and(|copy| {
            copy.hedged = true;
            true
        })
    }

    fn alive(&self, copy: &Copy, epoch: i64) -> bool {
        copy.sector.is_some() && copy.gone.is_none() && copy.end > epoch
    }

    /// For how long the sector had been faulty at the finalized tipset, if the fault was there then.
    fn faulty_for(&self, copy: &Copy, epoch: i64) -> Option<i64> {
        // A proving period of tipsets may have no round of the node; what it saw can be that old.
        let finalized = epoch - self.asked.finality_lag;
        let faults = self.faults.get(&(copy.provider, copy.sector?))?;
        faults
            .iter()
            .filter(|(from, to)| *from <= finalized && to.is_none_or(|to| to > finalized - 2))
            .map(|(from, _)| finalized - from)
            .max()
    }

    /// Copies of a piece that are proven now, on how many operators.
    pub fn proven(&self, piece: &str, epoch: i64) -> usize {
        let mut operators: Vec<u64> = self
            .copies
            .get(piece)
            .into_iter()
            .flatten()
            .filter(|copy| self.alive(copy, epoch))
            .filter(|copy| {
                let faults = copy.sector.and_then(|sector| self.faults.get(&(copy.provider, sector)));
                faults.is_none_or(|faults| faults.iter().all(|(_, to)| to.is_some()))
            })
            .map(|copy| copy.operator)
            .collect();
        operators.sort_unstable();
        operators.dedup();
        operators.len()
    }

    /// The provider and end of the newest copy that is alive.
    pub fn newest_copy(&self, epoch: i64) -> Option<(u64, i64)> {
        let alive = self.copies.values().flatten().filter(|copy| self.alive(copy, epoch));
        alive.map(|copy| (copy.provider, copy.end)).max_by_key(|(_, end)| *end)
    }

    /// For a failing seed.
    pub fn tell(&self, piece: &str) -> String {
        format!("{:#?}\nfaults {:?}", self.copies.get(piece), self.faults)
    }
}
