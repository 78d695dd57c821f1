//! Every copy that was ever ordered, by the ledger: never more than was asked for (A1), none paid twice (A2), no two of
//! them with one operator (A14).

use super::Asked;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// A provider that gave up a copy is passed over for a week.
const BACKS_OFF: i64 = 7 * 2_880;

/// Where and for how long a copy is ordered.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub provider: u64,
    pub operator: u64,
    pub start: i64,
    pub end: i64,
}

#[derive(Clone, Debug)]
pub struct Copy {
    pub proposal: String,
    pub proposed: i64,
    pub place: Place,
    pub refused: bool,
    /// A successor was ordered for it: when it recovers it is one too many, and none is missing when it goes.
    replaced: bool,
    /// Other copies that needed a successor as well when this one's was ordered: nothing outside the node tells for
    /// which of them it was.
    instead: Vec<String>,
    /// An order was made because it does not stand: the next order has another reason.
    answered: bool,
    /// One more was ordered beside it: it is not waited for any more, and if it comes all the same, it is a spare.
    hedged: bool,
    /// The provider has the bytes.
    pub transferred: bool,
    pub deal: Option<u64>,
    published: Option<i64>,
    pub sector: Option<u64>,
    pub activated: Option<i64>,
    /// When the chain lost it: terminated, never activated.
    pub gone: Option<i64>,
}

impl Copy {
    pub fn new(proposal: &str, proposed: i64, place: Place, accepted: bool) -> Self {
        Self {
            proposal: proposal.to_owned(),
            proposed,
            place,
            refused: !accepted,
            replaced: false,
            instead: Vec::new(),
            answered: false,
            hedged: false,
            transferred: false,
            deal: None,
            published: None,
            sector: None,
            activated: None,
            gone: None,
        }
    }

    /// Its sector at its provider, once it has one.
    pub fn at(&self) -> Option<(u64, u64)> {
        Some((self.place.provider, self.sector?))
    }

    /// In a sector, neither lost nor over.
    pub fn alive(&self, epoch: i64) -> bool {
        self.sector.is_some() && self.gone.is_none() && self.place.end > epoch
    }

    /// Whether its place is free for a reason that needs no witness: time, or the provider's refusal.
    pub fn is_over_by_itself(&self, asked: &Asked, epoch: i64) -> bool {
        let in_time = self.place.end - epoch > asked.renewal_window;
        self.moved_on() || self.sector.is_none() || !in_time
    }

    /// Whether another one has its place, or may have: it is not missed when it goes.
    pub const fn moved_on(&self) -> bool {
        self.refused || self.replaced || self.hedged
    }
}

/// A sector's faults: from, to.
type Faults = Vec<(i64, Option<i64>)>;

/// What a new order takes the place of.
#[derive(Clone, Debug)]
pub struct Replaced {
    pub copy: Copy,
    /// The copy was lost, or suspect for too long; else its place was free by time or refusal.
    pub lost: bool,
    pub suspect: bool,
}

/// All copies of one run.
pub struct Copies {
    asked: Asked,
    by_piece: BTreeMap<String, Vec<Copy>>,
    /// The piece of each published deal.
    deals: BTreeMap<u64, String>,
    faults: BTreeMap<(u64, u64), Faults>,
    published: BTreeMap<String, u64>,
    /// Publications whose proposal is told later: after a reorganisation the world can bring a message into a tipset below
    /// the one of its making.
    early: BTreeMap<String, (u64, i64)>,
}

impl Copies {
    pub fn new(asked: Asked) -> Self {
        Self {
            asked,
            by_piece: BTreeMap::new(),
            deals: BTreeMap::new(),
            faults: BTreeMap::new(),
            published: BTreeMap::new(),
            early: BTreeMap::new(),
        }
    }

    pub const fn asked(&self) -> Asked {
        self.asked
    }

    pub fn of(&self, piece: &str) -> &[Copy] {
        self.by_piece.get(piece).map(Vec::as_slice).unwrap_or_default()
    }

    pub fn all(&self) -> impl Iterator<Item = &Copy> {
        self.by_piece.values().flatten()
    }

    pub fn by_piece(&self) -> impl Iterator<Item = (&String, &Copy)> {
        self.by_piece.iter().flat_map(|(piece, copies)| copies.iter().map(move |copy| (piece, copy)))
    }

    /// The copy of a deal.
    pub fn of_deal(&self, deal: u64) -> Option<&Copy> {
        self.of(self.deals.get(&deal)?).iter().find(|copy| copy.deal == Some(deal))
    }

    /// Whether the proposal was received before; a repetition may be accepted where the first was not.
    pub fn again(&mut self, piece: &str, new: &Copy) -> bool {
        let known = self.by_piece.entry(piece.to_owned()).or_default();
        let Some(again) = known.iter_mut().find(|copy| copy.proposal == new.proposal) else { return false };
        again.refused &= new.refused;
        true
    }

    pub fn add(&mut self, piece: &str, mut new: Copy) {
        if let Some((deal, epoch)) = self.early.remove(&new.proposal) {
            self.deals.insert(deal, piece.to_owned());
            (new.deal, new.published) = (Some(deal), Some(epoch));
        }
        self.by_piece.entry(piece.to_owned()).or_default().push(new);
    }

    pub fn transferred(&mut self, proposal: &str) {
        let mut all = self.by_piece.values_mut().flatten();
        if let Some(copy) = all.find(|copy| copy.proposal == proposal) {
            copy.transferred = true;
        }
    }

    /// A deal got its id. Whether its proposal had been refused; `None` for deals of others.
    pub fn published(
        &mut self,
        epoch: i64,
        piece: &str,
        proposal: &str,
        deal: u64,
    ) -> Result<Option<bool>, String> {
        if let Some(before) = self.published.insert(proposal.to_owned(), deal) {
            return Err(format!("A2: {proposal} is deal {before} and deal {deal}"));
        }
        let known = self.by_piece.get_mut(piece).map(Vec::as_mut_slice).unwrap_or_default();
        let Some(copy) = known.iter_mut().find(|copy| copy.proposal == proposal) else {
            self.early.insert(proposal.to_owned(), (deal, epoch));
            return Ok(None);
        };
        self.deals.insert(deal, piece.to_owned());
        copy.deal = Some(deal);
        copy.published = Some(epoch);
        Ok(Some(copy.refused))
    }

    pub fn activated(&mut self, epoch: i64, deal: u64, sector: u64) {
        self.on_deal(deal, |copy| {
            copy.sector = Some(sector);
            copy.activated = Some(epoch);
        });
    }

    pub fn gone(&mut self, epoch: i64, deal: u64) {
        self.on_deal(deal, |copy| copy.gone = Some(epoch));
    }

    pub fn faulted(&mut self, epoch: i64, sector: (u64, u64)) {
        self.faults.entry(sector).or_default().push((epoch, None));
    }

    pub fn recovered(&mut self, epoch: i64, sector: (u64, u64)) {
        if let Some(last) = self.faults.entry(sector).or_default().last_mut() {
            last.1 = Some(epoch);
        }
    }

    fn on_deal(&mut self, deal: u64, change: impl FnOnce(&mut Copy)) {
        let Some(piece) = self.deals.get(&deal) else { return };
        let copies = self.by_piece.get_mut(piece).map(Vec::as_mut_slice).unwrap_or_default();
        if let Some(copy) = copies.iter_mut().find(|copy| copy.deal == Some(deal)) {
            change(copy);
        }
    }

    /// How many copies of a piece stand or are on their way.
    pub fn standing(&self, piece: &str, epoch: i64) -> usize {
        self.of(piece).iter().filter(|copy| self.stands(copy, epoch)).count()
    }

    /// Whether `copy` stands for a place: alive without need of a successor, or on its way. What the node knows
    /// is as old as the finalized tipset, so need is looked for there.
    pub fn stands(&self, copy: &Copy, epoch: i64) -> bool {
        let finalized = epoch - self.asked.finality_lag;
        // The place of a refused one may move on; if it is published all the same, it is a spare.
        if copy.moved_on() {
            return false;
        }
        if copy.deal.is_none() {
            return finalized <= copy.place.start;
        }
        if copy.gone.is_some_and(|gone| gone <= finalized) || copy.place.end <= epoch {
            return false;
        }
        if copy.sector.is_none() {
            return finalized <= copy.place.start;
        }
        if copy.place.end - epoch <= self.asked.renewal_window {
            return false;
        }
        self.faulty_since(copy, epoch).is_none_or(|since| finalized - since < self.asked.repair_after)
    }

    /// Whether a provider, with its operator, could have taken a copy of a piece at some time of `span`: the operator did
    /// not hold one all the time, and the provider had not given up a copy of ours in the week before.
    pub fn could_take(
        &self,
        piece: &str,
        (provider, operator): (&u64, &u64),
        span: RangeInclusive<i64>,
    ) -> bool {
        let (from, to) = (*span.start(), *span.end());
        let holds =
            |copy: &Copy| copy.place.operator == *operator && copy.proposed <= from && self.stands(copy, to);
        let gave_up = |copy: &Copy| {
            copy.place.provider == *provider
                && copy.gone.is_some_and(|gone| (to - BACKS_OFF..=from).contains(&gone))
        };
        !self.of(piece).iter().any(holds) && !self.all().any(gave_up)
    }

    /// Since when the sector had been faulty at the finalized tipset, if the fault was there then.
    pub fn faulty_since(&self, copy: &Copy, epoch: i64) -> Option<i64> {
        // A proving period of tipsets may have no round of the node; what it saw can be that old.
        let finalized = epoch - self.asked.finality_lag;
        let faults = self.faults.get(&copy.at()?)?;
        faults
            .iter()
            .filter(|(from, to)| *from <= finalized && to.is_none_or(|to| to > finalized - 2))
            .map(|(from, _)| *from)
            .min()
    }

    pub fn too_many(&self, piece: &str, epoch: i64, new: &Copy) -> String {
        let standing: Vec<&Copy> = self.of(piece).iter().filter(|copy| self.stands(copy, epoch)).collect();
        format!(
            "A1/A7: at {epoch} a copy of {piece} was ordered from f0{} though {} stand or are on their way: \
             {standing:#?}",
            new.place.provider,
            standing.len()
        )
    }

    /// A14: no two standing copies with one operator.
    pub fn placed_apart(&self, piece: &str, epoch: i64, new: &Copy) -> Result<(), String> {
        let mut standing = self.of(piece).iter().filter(|copy| self.stands(copy, epoch));
        match standing.find(|copy| copy.place.operator == new.place.operator) {
            None => Ok(()),
            Some(same) => Err(format!(
                "A14: at {epoch} a copy of {piece} was ordered from f0{} while its operator has one at f0{}",
                new.place.provider, same.place.provider
            )),
        }
    }

    /// A1: no place has two orders under way, and with their successors no piece has more than two generations.
    pub fn every_place_has_one_order(&self, clock: i64) -> Result<(), String> {
        let finalized = clock - self.asked.finality_lag;
        for (piece, copies) in &self.by_piece {
            let kept = copies.iter().filter(|copy| !copy.refused && !copy.hedged);
            let (mut open, mut live) = (0, 0);
            for copy in kept {
                open += usize::from(
                    copy.activated.is_none() && copy.gone.is_none() && finalized <= copy.place.start,
                );
                live += usize::from(copy.alive(clock) && !copy.replaced);
            }
            if open > self.asked.target {
                return Err(format!("A1: at {clock} {open} orders for {piece} are under way at once"));
            }
            if open + live > 2 * self.asked.target {
                return Err(format!("A1: at {clock} {piece} has {live} live copies and {open} under way"));
            }
        }
        Ok(())
    }

    /// Why a copy may be ordered now, for coverage.
    pub fn why(&self, piece: &str, epoch: i64) -> Vec<&'static str> {
        let mut why = Vec::new();
        let alive = || self.of(piece).iter().filter(|copy| copy.alive(epoch));
        if alive().any(|copy| copy.place.end - epoch <= self.asked.renewal_window) {
            why.push("a copy was renewed");
        }
        if alive().any(|copy| self.faulty_since(copy, epoch).is_some()) {
            why.push("a suspect copy was repaired");
        }
        why
    }

    /// Marks the copy whose place a new order takes: one whose place is free by itself first, so that nothing is called
    /// a repair that need not be one. `None` when the order is a first one.
    pub fn replace(&mut self, piece: &str, epoch: i64) -> Option<Replaced> {
        let asked = self.asked;
        let copies = self.of(piece);
        let free = |copy: &Copy| !copy.answered && !self.stands(copy, epoch);
        let by_itself = copies.iter().position(|copy| free(copy) && copy.is_over_by_itself(&asked, epoch));
        let place = by_itself.or_else(|| copies.iter().position(free));
        // A live copy with a successor on its way is one too many from now on, whatever the successor is for.
        let needs =
            |copy: &&Copy| copy.alive(epoch) && !copy.replaced && !copy.refused && !self.stands(copy, epoch);
        let mut needy: Vec<String> = copies.iter().filter(needs).map(|copy| copy.proposal.clone()).collect();
        let copies = self.by_piece.get_mut(piece)?;
        if !needy.is_empty() {
            let first = needy.remove(0);
            if let Some(copy) = copies.iter_mut().find(|copy| copy.proposal == first) {
                copy.replaced = true;
                copy.instead = needy;
            }
        }
        let copy = copies.get_mut(place?)?;
        let before = copy.clone();
        copy.answered = true;
        let witnessed = by_itself.is_none();
        let lost = witnessed && before.gone.is_some();
        Some(Replaced { copy: before, lost, suspect: witnessed && !lost })
    }

    /// Whether an earlier successor can have been for a copy that stands again, so that the one it was taken to be for
    /// still needs one: what was recovered after its successor was ordered is one too many. It is so from now on.
    pub fn reattributes(&mut self, piece: &str, epoch: i64) -> bool {
        let copies = self.of(piece);
        let needs_still = |copy: &Copy| {
            let freed = Copy { replaced: false, ..copy.clone() };
            copy.replaced && !self.stands(&freed, epoch)
        };
        let found = copies.iter().filter(|copy| needs_still(copy)).find_map(|needy| {
            let stands = |copy: &&Copy| needy.instead.contains(&copy.proposal) && self.stands(copy, epoch);
            Some((needy.proposal.clone(), copies.iter().find(stands)?.proposal.clone()))
        });
        let Some((needy, recovered)) = found else { return false };
        for copy in self.by_piece.get_mut(piece).into_iter().flatten() {
            if copy.proposal == needy {
                (copy.replaced, copy.answered) = (false, false);
            } else if copy.proposal == recovered {
                (copy.replaced, copy.answered) = (true, true);
            }
        }
        true
    }

    /// Whether an order beside those that stand hedges one of them, which is then remembered.
    pub fn hedges(&mut self, piece: &str, epoch: i64) -> bool {
        let finalized = epoch - self.asked.finality_lag;
        let copies = self.of(piece);
        let renews = copies
            .iter()
            .any(|copy| copy.alive(epoch) && copy.place.end - epoch <= self.asked.renewal_window);
        let silent = copies.iter().position(|copy| {
            let unseen = copy.published.is_none_or(|at| at >= finalized);
            unseen && self.stands(copy, epoch) && epoch - copy.proposed >= self.asked.hedge_after
        });
        let last = self.proven_at(piece, finalized, epoch) <= 1;
        let (Some(silent), true, true) = (silent, renews, last) else { return false };
        let copies = self.by_piece.get_mut(piece).map(Vec::as_mut_slice).unwrap_or_default();
        copies.get_mut(silent).is_some_and(|copy| {
            copy.hedged = true;
            true
        })
    }

    /// On how many operators copies were proven at a finalized tipset and had not ended at the head.
    pub fn proven_at(&self, piece: &str, finalized: i64, head: i64) -> usize {
        let proven = |copy: &&Copy| {
            let faults = copy.at().and_then(|sector| self.faults.get(&sector));
            copy.activated.is_some_and(|at| at <= finalized)
                && copy.gone.is_none_or(|gone| gone > finalized)
                && copy.place.end > head
                && faults
                    .into_iter()
                    .flatten()
                    .all(|(from, to)| *from > finalized || to.is_some_and(|to| to <= finalized))
        };
        operators(self.of(piece).iter().filter(proven))
    }

    /// Copies of a piece that are proven now, on how many operators.
    pub fn proven(&self, piece: &str, epoch: i64) -> usize {
        operators(self.of(piece).iter().filter(|copy| self.is_proven(copy, epoch)))
    }

    pub fn is_proven(&self, copy: &Copy, epoch: i64) -> bool {
        let faults = copy.at().and_then(|sector| self.faults.get(&sector));
        copy.alive(epoch) && faults.is_none_or(|faults| faults.iter().all(|(_, to)| to.is_some()))
    }

    /// The provider and end of the newest copy that is alive.
    pub fn newest(&self, epoch: i64) -> Option<(u64, i64)> {
        let alive = self.all().filter(|copy| copy.alive(epoch));
        alive.map(|copy| (copy.place.provider, copy.place.end)).max_by_key(|(_, end)| *end)
    }

    pub fn tell(&self, piece: &str) -> String {
        format!("{:#?}\nfaults {:?}", self.of(piece), self.faults)
    }
}

fn operators<'a>(copies: impl Iterator<Item = &'a Copy>) -> usize {
    let mut operators: Vec<u64> = copies.map(|copy| copy.place.operator).collect();
    operators.sort_unstable();
    operators.dedup();
    operators.len()
}
