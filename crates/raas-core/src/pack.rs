//! Packing: small pieces wait for company, and are put together into aggregates that one order buys.
//!
//! Only first copies are packed: what was bought stays with its order, which is renewed and repaired as one. A bin takes
//! pieces under one placement, urgent ones first, then the longest waiting. It is due when it has no room for another, when
//! the patience of its oldest piece is over, or when one of its pieces is a last copy. The same wants make the same
//! aggregates, in whatever order they come.

use crate::cid::Commitment;
use crate::fleet::Provider;
use crate::ids::{HoldingId, OperatorId, ProviderId};
use crate::observation::Round;
use crate::order::Cause;
use crate::plan::{Action, CopyWanted, Plan, Priority, Wait, WaitFor, Wake, Want, Wanted};
use crate::policy::Placement;
use crate::select::piece_max;
use crate::units::{AttoFil, Epoch, Epochs, PaddedSize};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Padded bytes of one entry of an aggregate's index.
const ENTRY_BYTES: u64 = 64;
/// The largest sector, which bounds every size here.
const SIZE_MAX: u64 = 64 << 30;

/// How small pieces are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Smaller pieces wait for company.
    pub below: PaddedSize,
    /// What an aggregate is filled to.
    pub size: PaddedSize,
    /// The least that is bought without zeros instead of pieces.
    pub least: PaddedSize,
    /// How long a piece waits at most while there is enough for the least.
    pub patience: Epochs,
    /// What is done with what is less than that when the patience is over.
    pub when_small: WhenSmall,
}

/// What is done with pieces that are too few for an aggregate that providers take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenSmall {
    /// They wait for more.
    Wait,
    /// The aggregate is filled up with zeros, which are paid for.
    Pad,
    /// Each is bought by itself, from providers that take it.
    SmallProviders,
}

/// A piece of a holding in an aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Member {
    /// Whose.
    pub holding: HoldingId,
    /// Which.
    pub piece: Commitment,
    /// Its padded size.
    pub size: PaddedSize,
}

/// What a small piece waits for, and what not to wait would cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Company {
    /// When its patience is over.
    pub until: Epoch,
    /// Padded bytes that wait together, with this piece.
    pub together: u64,
    /// Pieces among them.
    pub pieces: u64,
    /// The least aggregate that is bought.
    pub least: PaddedSize,
    /// What is done when the patience is over and there is less.
    pub when_small: WhenSmall,
    /// One copy of the least aggregate for the whole term, whatever lies in it; `None` where no provider takes it.
    pub cost_padded: Option<AttoFil>,
    /// One copy of this piece by itself for the whole term; `None` where no provider takes it.
    pub cost_alone: Option<AttoFil>,
}

/// What is put together, and what waits.
#[derive(Clone, Debug, Default)]
pub struct Packing {
    /// Each an [`Action::Pack`].
    pub actions: Vec<Action>,
    /// For [`WaitFor::Company`], one for each place.
    pub waits: Vec<Wait>,
    held: BTreeSet<(HoldingId, Commitment)>,
}

impl Packing {
    /// Whether `want` is of a piece that waits or is just being packed: it is not bought by itself.
    #[must_use]
    pub fn holds(&self, want: &Want) -> bool {
        first_copy(want).is_some_and(|copy| self.held.contains(&(want.holding, copy.piece)))
    }

    /// This and the plan of what is not held, as one.
    #[must_use]
    pub fn before(self, rest: Plan) -> Plan {
        Plan {
            actions: self.actions.into_iter().chain(rest.actions).collect(),
            waits: self.waits.into_iter().chain(rest.waits).collect(),
        }
    }
}

/// Decides about the first copies of small pieces among `wants`; others are not touched.
#[must_use]
pub fn pack<'a>(
    wants: impl IntoIterator<Item = &'a Want>,
    rules: Option<&Rules>,
    providers: &[Provider],
    round: &Round,
) -> Packing {
    let mut packing = Packing::default();
    let Some(rules) = rules else { return packing };
    let mut crowds: BTreeMap<PlacementKey<'_>, Vec<Candidate<'_>>> = BTreeMap::new();
    for (want, copy) in wants.into_iter().filter_map(|want| Some((want, first_copy(want)?))) {
        let crowd = crowds.entry(key(&copy.placement)).or_default();
        match crowd.last_mut().filter(|last| last.is_of(want, copy)) {
            Some(last) => last.wants.push(want),
            None => crowd.push(Candidate { copy, wants: vec![want] }),
        }
    }
    for crowd in crowds.into_values() {
        pack_crowd(merged(crowd), rules, providers, round, &mut packing);
    }
    packing
}

/// A copy that is bought for the first time and not in an aggregate of several yet.
fn first_copy(want: &Want) -> Option<&CopyWanted> {
    match &want.what {
        // Parts of one holding are cut to be large.
        Wanted::Copy(copy) if copy.cause == Cause::Replicate && !copy.packed && want.part.is_none() => {
            Some(copy)
        }
        _ => None,
    }
}

type PlacementKey<'a> = (&'a [ProviderId], &'a [ProviderId], AttoFil);

fn key(placement: &Placement) -> PlacementKey<'_> {
    (&placement.allow, &placement.deny, placement.price_max)
}

/// One piece of one holding, with all places that want it.
struct Candidate<'a> {
    copy: &'a CopyWanted,
    wants: Vec<&'a Want>,
}

impl Candidate<'_> {
    fn is_of(&self, want: &Want, copy: &CopyWanted) -> bool {
        (self.copy.slot.holding, self.copy.piece) == (want.holding, copy.piece)
    }

    fn member(&self) -> Member {
        Member { holding: self.copy.slot.holding, piece: self.copy.piece, size: self.copy.size }
    }

    fn is_urgent(&self) -> bool {
        self.wants.iter().any(|want| want.priority < Priority::Normal)
    }
}

/// Wants of one piece of one holding may come apart.
fn merged(crowd: Vec<Candidate<'_>>) -> Vec<Candidate<'_>> {
    let mut whole: BTreeMap<(HoldingId, Commitment), Candidate<'_>> = BTreeMap::new();
    for candidate in crowd {
        let member = candidate.member();
        match whole.get_mut(&(member.holding, member.piece)) {
            Some(known) => known.wants.extend(candidate.wants),
            None => drop(whole.insert((member.holding, member.piece), candidate)),
        }
    }
    whole.into_values().collect()
}

/// Bytes that lie in one aggregate, once, whoever wants them.
struct Lot<'a> {
    piece: Commitment,
    size: PaddedSize,
    since: Epoch,
    urgent: bool,
    candidates: Vec<Candidate<'a>>,
}

/// An aggregate that is being filled.
#[derive(Default)]
struct Bin<'a> {
    lots: Vec<Lot<'a>>,
    bytes: u64,
    /// Something had no room in it.
    full: bool,
}

impl<'a> Bin<'a> {
    fn fits(&self, size: PaddedSize, limit: PaddedSize) -> bool {
        fits(self.bytes.saturating_add(size.get()), self.lots.len() as u64 + 1, limit)
    }

    fn add(&mut self, lot: Lot<'a>) {
        self.bytes = self.bytes.saturating_add(lot.size.get());
        self.lots.push(lot);
    }
}

/// Whether so many pieces of so many padded bytes, the largest first and so without gaps, fit a deal with their index.
fn fits(bytes: u64, pieces: u64, deal: PaddedSize) -> bool {
    let entries = entries(deal);
    let index = entries.saturating_mul(ENTRY_BYTES);
    pieces <= entries && bytes.saturating_add(index) <= deal.get()
}

/// Index entries of a deal (FRC-0058): one for 128 KiB, and at least four.
const fn entries(deal: PaddedSize) -> u64 {
    let entries = deal.get() / (2_048 * ENTRY_BYTES);
    if entries < 4 { 4 } else { entries }
}

/// The smallest deal that so many pieces of so many padded bytes fit; `None` past the largest sector.
#[must_use]
pub fn deal_size(bytes: u64, pieces: u64) -> Option<PaddedSize> {
    let mut size = 512;
    while size <= SIZE_MAX {
        let deal = PaddedSize::new(size).ok()?;
        if fits(bytes, pieces, deal) {
            return Some(deal);
        }
        size *= 2;
    }
    None
}

/// What is known of the providers that a crowd may go to.
struct Market<'a> {
    providers: Vec<&'a Provider>,
    least: PaddedSize,
    size: PaddedSize,
}

impl<'a> Market<'a> {
    fn of(providers: &'a [Provider], placement: &Placement, copies: usize, rules: &Rules) -> Self {
        let may = |provider: &&Provider| {
            let is_cheap = provider.ask.is_some_and(|ask| ask.price <= placement.price_max);
            placement.allows(provider.id) && is_cheap
        };
        let providers: Vec<&Provider> = providers.iter().filter(may).collect();
        let taken = smallest_taken(&providers, copies);
        let asks = providers.iter().filter_map(|provider| Some((provider.operator, provider.ask?)));
        let largest = piece_max(rules.size, u32::try_from(copies).unwrap_or(u32::MAX), asks);
        let least = taken.map_or(rules.least, |taken| taken.max(rules.least));
        Self { providers, least, size: largest.max(least) }
    }

    /// What a deal of `size` costs for `term` at the cheapest that takes it.
    fn cost(&self, size: PaddedSize, term: Epochs) -> Option<AttoFil> {
        let asks = self.providers.iter().filter_map(|provider| provider.ask);
        let taking = asks.filter(|ask| ask.size_min <= size && size <= ask.size_max);
        let price = taking.map(|ask| ask.price).min()?;
        Some(size.cost_per_epoch(price).times(term.get().unsigned_abs()))
    }
}

/// The smallest deal that as many operators take as there are to be copies; of fewer operators, all of them.
fn smallest_taken(providers: &[&Provider], copies: usize) -> Option<PaddedSize> {
    let mut smallest: BTreeMap<OperatorId, PaddedSize> = BTreeMap::new();
    for (operator, ask) in providers.iter().filter_map(|provider| Some((provider.operator, provider.ask?))) {
        let size = smallest.entry(operator).or_insert(ask.size_min);
        *size = ask.size_min.min(*size);
    }
    let mut sizes: Vec<PaddedSize> = smallest.into_values().collect();
    sizes.sort_unstable();
    sizes.get(copies.saturating_sub(1)).or(sizes.last()).copied()
}

/// Packs the pieces of one placement.
fn pack_crowd(
    crowd: Vec<Candidate<'_>>,
    rules: &Rules,
    providers: &[Provider],
    round: &Round,
    packing: &mut Packing,
) {
    let copies = crowd.iter().map(|candidate| candidate.wants.len()).max().unwrap_or(0);
    let Some(placement) = crowd.first().map(|candidate| &candidate.copy.placement) else { return };
    let market = Market::of(providers, placement, copies, rules);
    let taken = smallest_taken(&market.providers, copies);
    let is_small = |copy: &CopyWanted| {
        let is_refused = taken.is_some_and(|taken| copy.deal_size() < taken);
        (copy.size < rules.below || is_refused) && fits(copy.size.get(), 1, market.size)
    };
    let mut bins: Vec<Bin<'_>> = Vec::new();
    for lot in lots(crowd.into_iter().filter(|candidate| is_small(candidate.copy))) {
        match bins.iter().position(|bin| bin.fits(lot.size, market.size)) {
            Some(at) => {
                bins.iter_mut().take(at).for_each(|bin| bin.full = true);
                if let Some(bin) = bins.get_mut(at) {
                    bin.add(lot);
                }
            }
            None => {
                bins.iter_mut().for_each(|bin| bin.full = true);
                let mut bin = Bin::default();
                bin.add(lot);
                bins.push(bin);
            }
        }
    }
    for bin in bins {
        settle(bin, &market, rules, round, packing);
    }
}

/// The pieces of all candidates, each once: urgent ones first, then those that wait longest, the largest first of these.
fn lots<'a>(candidates: impl Iterator<Item = Candidate<'a>>) -> Vec<Lot<'a>> {
    let mut by_piece: BTreeMap<Commitment, Lot<'a>> = BTreeMap::new();
    for candidate in candidates {
        let Member { piece, size, .. } = candidate.member();
        let (since, urgent) = (candidate.copy.since, candidate.is_urgent());
        let lot = by_piece.entry(piece).or_insert(Lot { piece, size, since, urgent, candidates: Vec::new() });
        lot.since = lot.since.min(since);
        lot.urgent |= urgent;
        lot.candidates.push(candidate);
    }
    let mut lots: Vec<Lot<'a>> = by_piece.into_values().collect();
    lots.sort_by_key(|lot| (!lot.urgent, lot.since, Reverse(lot.size), lot.piece));
    lots
}

/// What becomes of one bin.
fn settle(bin: Bin<'_>, market: &Market<'_>, rules: &Rules, round: &Round, packing: &mut Packing) {
    let urgent = bin.lots.iter().any(|lot| lot.urgent);
    let over = |since: Epoch| round.head >= since.after(rules.patience);
    let is_over = bin.lots.iter().any(|lot| over(lot.since));
    let natural = deal_size(bin.bytes, bin.lots.len() as u64);
    let is_enough = natural.is_some_and(|natural| natural >= market.least);
    let is_due = urgent || is_over || bin.full;
    let size = match natural {
        Some(natural) if is_due && is_enough => Some(natural),
        _ if urgent || (is_over && rules.when_small == WhenSmall::Pad) => Some(market.least),
        _ => None,
    };
    if let Some(size) = size {
        let mut members: Vec<Member> =
            bin.lots.iter().flat_map(|lot| lot.candidates.iter().map(Candidate::member)).collect();
        members.sort_by_key(|member| (Reverse(member.size), member.piece, member.holding));
        packing.held.extend(members.iter().map(|member| (member.holding, member.piece)));
        packing.actions.push(Action::Pack { size, members });
        return;
    }
    let (together, pieces) = (bin.bytes, bin.lots.len() as u64);
    for candidate in bin.lots.iter().flat_map(|lot| &lot.candidates) {
        let copy = candidate.copy;
        let until = copy.since.after(rules.patience);
        if rules.when_small == WhenSmall::SmallProviders && round.head >= until {
            continue;
        }
        packing.held.insert((copy.slot.holding, copy.piece));
        let company = Company {
            until,
            together,
            pieces,
            least: market.least,
            when_small: rules.when_small,
            cost_padded: market.cost(market.least, copy.duration),
            cost_alone: market.cost(copy.deal_size(), copy.duration),
        };
        let wake = if until > round.head { Wake::At(until) } else { Wake::OnRound };
        packing.waits.extend(candidate.wants.iter().map(|want| {
            let slot = match &want.what {
                Wanted::Copy(copy) => Some(copy.slot),
                _ => None,
            };
            let for_ = WaitFor::Company(company);
            Wait { holding: Some(want.holding), slot, part: want.part, for_, wake }
        }));
    }
}
