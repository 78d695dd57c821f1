//! Plan: the rules over the holdings that something touched or woke, and the intents of the result in one transaction.
//!
//! What a holding wants follows from the holding, the round and the rules alone, so it is kept until something touches
//! the holding; what of all wants starts now is decided anew in each round, and within a round of those that came in. A
//! slice of holdings that nothing touched is planned as well, so that each of them is within a proving period.

use crate::engine::{Engine, Error};
use crate::failpoint;
use crate::store::{Committed, Refusal, StepKind};
use crate::tasks::fleet;
use crate::watch::{EVERY_ROUND, FleetIndex};
use crate::world::World;
use raas_core::admit::{admit, anew};
use raas_core::fleet::{Breaker, Fleet};
use raas_core::gate::Hold;
use raas_core::holding::Holding;
use raas_core::ids::{HoldingId, OrderId, ProviderId};
use raas_core::lead::Leads;
use raas_core::observation::{ProviderView, Round};
use raas_core::order::{Order, OrderState};
use raas_core::plan::{Action, Wait, WaitFor, Wake, Want};
use raas_core::ports::Now;
use raas_core::spend::{DAY, Limit, Spending};
use raas_core::units::{EPOCHS_PER_DAY, Epoch};
use raas_core::want::want;
use std::collections::{BTreeMap, BTreeSet};

/// Holdings read from the store at once.
const PAGE: usize = 1_000;
/// Touched holdings planned in one pass: what comes in meanwhile does not wait for the rest.
const TOUCHED_PER_PASS: usize = 600;
/// Holdings planned in one pass, those that nothing touched among them.
const PER_PASS: usize = 2_000;
/// Holdings planned in a round though nothing touched them: at least so many.
const SLICE_MIN: usize = 64;
/// Orders that a provider's lead time is learned from: its newest, so that a provider that became slow is found out.
const LEAD_SAMPLES: u32 = 100;

/// What planning remembers between passes.
#[derive(Debug, Default)]
pub struct Memory {
    /// Wants that are not satisfied, by holding.
    wants: BTreeMap<HoldingId, Vec<Want>>,
    /// Head and finalized height of the last pass.
    planned: Option<(Epoch, Epoch)>,
    /// The last holding of the slice.
    slice: Option<HoldingId>,
    /// Providers that could not be read, as the wants were made.
    blind: BTreeSet<ProviderId>,
    /// The breaker that the wants were last admitted under.
    breaker: Breaker,
    /// The fleet as it was left by those admitted last, if what was held back stays so under one that holds as much.
    competed: Option<Fleet>,
    /// The earliest epoch at which a want that was not admitted may be.
    next: Option<Epoch>,
    /// What is due at an epoch of its own in holdings that are planned in every round anyway: a hedge, a lapse.
    within_rounds: BTreeMap<HoldingId, Epoch>,
    /// Lead times were read since this memory was made.
    learned: bool,
    /// Every holding is planned next.
    pub all: bool,
    /// What is to be planned and was not touched, and the last of it that was planned.
    waiting: BTreeSet<HoldingId>,
    last: Option<HoldingId>,
}

/// What `admit` last said of one holding.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Admitted {
    /// What was to be done.
    pub actions: Vec<Action>,
    /// What was not.
    pub waits: Vec<Wait>,
}

/// Decides and commits intents. True when an intent was committed.
pub async fn plan<W: World>(
    engine: &Engine<W>,
    index: &mut FleetIndex,
    memory: &mut Memory,
    round: &Round,
    hold: Option<Hold>,
    now: Now,
) -> Result<bool, Error> {
    if hold.is_some() {
        return Ok(false);
    }
    // Rows of the feed are given back below, so the index must have seen them.
    index.sync(&engine.store).await?;
    let is_new = memory.planned != Some((round.head, round.height));
    memory.note_waiting(index, round, is_new);
    let touched = index.touched.take(TOUCHED_PER_PASS);
    // A round makes orders active, and that touches their holdings.
    memory.learn(engine, is_new && !touched.is_empty()).await?;
    let concerned = memory.concerned(touched.iter().map(|(_, holding)| *holding));
    let any = !concerned.is_empty();
    let mut wakes = Vec::new();
    for page in concerned.chunks(PAGE) {
        memory.page(engine, index, page, round, &mut wakes).await?;
    }
    if is_new {
        memory.competed = None;
    }
    let changed = memory.admit(engine, index, round, now, &concerned, any || is_new).await?;
    if any {
        let seqs: Vec<i64> = touched.iter().map(|(seq, _)| *seq).collect();
        engine.store.save_wakes(&wakes, &seqs).await?;
    }
    memory.planned = Some((round.head, round.height));
    Ok(changed)
}

impl Memory {
    /// Whether the last pass planned by `round`.
    pub fn has_planned(&self, round: &Round) -> bool {
        self.planned == Some((round.head, round.height))
    }

    /// Whether holdings are left for the next pass.
    pub fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The earliest epoch after `head` at which planning again may start something, as far as a sleeping holding does
    /// not say so.
    pub fn next_wake(&self, head: Epoch) -> Option<Epoch> {
        self.within_rounds.values().copied().chain(self.next).filter(|epoch| *epoch > head).min()
    }

    /// Notes what this round plans though nothing touched it.
    fn note_waiting(&mut self, index: &FleetIndex, round: &Round, is_new: bool) {
        if is_new {
            self.waiting.extend(index.woken(round.head));
            let elapsed = self.planned.map_or(1, |(_, height)| (round.height.0 - height.0).max(1));
            let share = index.wakes.len() as u64 * elapsed.unsigned_abs() / EPOCHS_PER_DAY.unsigned_abs();
            let count = usize::try_from(share).unwrap_or(usize::MAX).saturating_add(1).max(SLICE_MIN);
            let slice = index.wakes.slice(self.slice.unwrap_or(HoldingId(0)), count);
            self.slice = slice.last().copied();
            self.waiting.extend(slice);
        }
        let unseen = index.shelves.iter().filter(|(_, shelf)| shelf.view.unseen.is_some());
        let blind: BTreeSet<ProviderId> = unseen.map(|(provider, _)| *provider).collect();
        if blind != self.blind {
            self.waiting.extend(self.wants.keys());
            self.blind = blind;
        }
        if std::mem::take(&mut self.all) {
            self.waiting.extend(index.wakes.holdings());
        }
    }

    /// Which holdings are planned in this pass: all that were touched, and the next of those that wait.
    fn concerned(&mut self, touched: impl Iterator<Item = HoldingId>) -> Vec<HoldingId> {
        let mut concerned: BTreeSet<HoldingId> = touched.collect();
        for holding in &concerned {
            self.waiting.remove(holding);
        }
        let room = if concerned.len() < TOUCHED_PER_PASS { PER_PASS - concerned.len() } else { 0 };
        let after = self.last.map_or(HoldingId(0), |last| HoldingId(last.0 + 1));
        // Those that are planned in every round must not stand before the others each time.
        let next: Vec<HoldingId> =
            self.waiting.range(after..).chain(self.waiting.range(..after)).take(room).copied().collect();
        self.last = next.last().copied().or(self.last);
        for holding in &next {
            self.waiting.remove(holding);
        }
        concerned.extend(next);
        concerned.into_iter().collect()
    }

    /// Learns how long providers take, at the first pass and after changes. A holding of theirs comes to know when it is
    /// planned next, which is within a proving period.
    async fn learn<W: World>(&mut self, engine: &Engine<W>, any_changed: bool) -> Result<(), Error> {
        if any_changed || !self.learned {
            engine.note_leads(Leads::learn(engine.store.lead_samples(LEAD_SAMPLES).await?));
            self.learned = true;
        }
        Ok(())
    }

    /// Plans the holdings of one page each for itself.
    async fn page<W: World>(
        &mut self,
        engine: &Engine<W>,
        index: &mut FleetIndex,
        page: &[HoldingId],
        round: &Round,
        wakes: &mut Vec<(HoldingId, Option<Epoch>)>,
    ) -> Result<(), Error> {
        let mut holdings = engine.store.holdings_by_id(page).await?;
        for holding in &mut holdings {
            see_through(holding, |provider| index.shelves.get(&provider).map(|shelf| shelf.view), round);
        }
        probe_before_evicting(engine, &holdings, round).await?;
        let rules = engine.rules();
        let mut gone: BTreeSet<HoldingId> = page.iter().copied().collect();
        for holding in &holdings {
            gone.remove(&holding.id);
            let (wants, waits) = want(holding, round, &rules);
            watch_patience(index, holding, &waits);
            let wake = wake_of(&waits);
            match epoch_of(&waits).filter(|_| wake == Some(EVERY_ROUND)) {
                Some(epoch) => self.within_rounds.insert(holding.id, epoch),
                None => self.within_rounds.remove(&holding.id),
            };
            let stored = if wants.is_empty() { wake } else { Some(EVERY_ROUND) };
            let wanted = if wants.is_empty() {
                self.wants.remove(&holding.id).is_some()
            } else {
                self.wants.insert(holding.id, wants).is_none()
            };
            if index.wakes.set(holding.id, wake) || wanted {
                wakes.push((holding.id, stored));
            }
        }
        for holding in gone {
            self.wants.remove(&holding);
            self.within_rounds.remove(&holding);
            if index.wakes.set(holding, None) {
                wakes.push((holding, None));
            }
        }
        Ok(())
    }

    /// Lets all wants compete, or those of the holdings just planned while that comes to the same, and commits those that
    /// may start.
    async fn admit<W: World>(
        &mut self,
        engine: &Engine<W>,
        index: &FleetIndex,
        round: &Round,
        now: Now,
        planned: &[HoldingId],
        is_due: bool,
    ) -> Result<bool, Error> {
        let breaker = engine.store.breaker().await?;
        if !is_due && breaker == self.breaker {
            return Ok(false);
        }
        self.breaker = breaker;
        // What providers ask is kept fresh for whoever asks next.
        fleet::refresh_providers(engine, round).await?;
        if self.wants.is_empty() {
            self.next = None;
            self.competed = None;
            engine.note_admitted(None, BTreeMap::new());
            return Ok(false);
        }
        let mut fleet = fleet::fleet(engine, index, round, self.breaker.clone()).await?;
        let goes_on = self.competed.take().is_some_and(|earlier| fleet.holds_as_much_as(&earlier));
        let wants: Vec<&Want> =
            if goes_on { anew(&self.wants, planned) } else { self.wants.values().flatten().collect() };
        // What was wanted before something touched the holding may not be wanted any more.
        let is_fresh = |holding: HoldingId| !index.touched.has(holding) && !self.waiting.contains(&holding);
        let wants = wants.into_iter().filter(|want| is_fresh(want.holding));
        let mut admitted = admit(wants, &mut fleet, round);
        let mut committed = Vec::new();
        if !admitted.actions.is_empty() {
            let spending = Spending { available: fleet.money.available, limits: engine.settings.limits() };
            let commit =
                engine.store.commit_intents(&admitted.actions, round.head, now.unix_seconds, spending);
            committed = failpoint::around("plan.commit", commit).await?;
        }
        for (action, outcome) in admitted.actions.iter().zip(&committed) {
            tracing::info!(?action, ?outcome, "intent");
        }
        // What the store refused for money is a wait like any other.
        admitted.waits.extend(short(&admitted.actions, &committed));
        wake_when_day_frees(engine, round, &mut admitted.waits).await?;
        let next = admitted.next_wake();
        self.next = if goes_on { self.next.into_iter().chain(next).min() } else { next };
        let for_money = |wait: &Wait| matches!(wait.for_, WaitFor::Budget { .. });
        let refused = committed.iter().any(|outcome| matches!(outcome, Committed::Refused(_)));
        self.competed = (!refused && !admitted.waits.iter().any(for_money)).then_some(fleet);
        engine.note_admitted(goes_on.then_some(planned), by_holding(&admitted.actions, admitted.waits));
        Ok(committed.iter().any(|outcome| !matches!(outcome, Committed::Refused(_))))
    }
}

/// The holding as of the last looks at its providers: nothing is stored for a replica that they found unchanged.
pub fn see_through(holding: &mut Holding, view: impl Fn(ProviderId) -> Option<ProviderView>, round: &Round) {
    for pieces in &mut holding.pieces {
        let placed = pieces.slots.iter_mut().flat_map(|slot| &mut slot.generations);
        for order in placed.chain(&mut pieces.spares) {
            as_of(order, &view(order.provider).unwrap_or_default(), round);
        }
    }
}

/// The order as of the last looks at its provider.
pub fn as_of(order: &mut Order, view: &ProviderView, round: &Round) {
    if let OrderState::Active(on_chain) = &mut order.state {
        on_chain.health = on_chain.health.as_of(view, round.height);
    }
}

/// When a holding with these waits is looked at again: in every round while something of it is on its way, out of
/// sight, or to be seen once more.
fn wake_of(waits: &[Wait]) -> Option<Epoch> {
    let is_restless = |wait: &Wait| {
        matches!(wait.for_, WaitFor::OrderUnderWay { .. } | WaitFor::Unknown { .. })
            || (matches!(wait.for_, WaitFor::Patience { .. }) && wait.wake == Wake::OnRound)
    };
    if waits.iter().any(is_restless) { Some(EVERY_ROUND) } else { epoch_of(waits) }
}

fn epoch_of(waits: &[Wait]) -> Option<Epoch> {
    waits
        .iter()
        .filter_map(|wait| match wait.wake {
            Wake::At(epoch) => Some(epoch),
            _ => None,
        })
        .min()
}

/// The round that ends a suspect's patience must see it faulty: its provider is read then.
fn watch_patience(index: &mut FleetIndex, holding: &Holding, waits: &[Wait]) {
    for wait in waits {
        let WaitFor::Patience { order, until, .. } = wait.for_ else { continue };
        if let Some(provider) = provider_of(holding, order)
            && let Some(shelf) = index.shelves.get_mut(&provider)
        {
            shelf.faults_due.insert(until);
        }
    }
}

fn provider_of(holding: &Holding, order: OrderId) -> Option<ProviderId> {
    let orders = holding.pieces.iter().flat_map(raas_core::holding::PieceSlots::orders);
    orders.into_iter().find(|other| other.id == order).map(|found| found.provider)
}

fn by_holding(actions: &[Action], waits: Vec<Wait>) -> BTreeMap<HoldingId, Admitted> {
    let mut admitted: BTreeMap<HoldingId, Admitted> = BTreeMap::new();
    for action in actions {
        let holdings: BTreeSet<HoldingId> = match action {
            Action::Order { slots, .. } => slots.iter().map(|slot| slot.holding).collect(),
            Action::Fill { slot, .. } => [slot.holding].into(),
            Action::Attest { holding, .. }
            | Action::Evict { holding, .. }
            | Action::Cancel { holding, .. } => [*holding].into(),
        };
        for holding in holdings {
            admitted.entry(holding).or_default().actions.push(action.clone());
        }
    }
    for wait in waits {
        if let Some(holding) = wait.holding {
            admitted.entry(holding).or_default().waits.push(wait);
        }
    }
    admitted
}

/// What the store refused for money, as waits that name the limit.
fn short(actions: &[Action], committed: &[Committed]) -> Vec<Wait> {
    let refused = actions.iter().zip(committed).filter_map(|(action, outcome)| match (action, outcome) {
        (
            Action::Order { slots, piece, .. },
            Committed::Refused(Refusal::Budget { needed, available, limit }),
        ) => Some((slots, *piece, WaitFor::Budget { needed: *needed, available: *available, limit: *limit })),
        _ => None,
    });
    refused
        .flat_map(|(slots, piece, for_)| {
            slots.iter().map(move |slot| Wait {
                holding: Some(slot.holding),
                slot: Some(*slot),
                part: Some(piece),
                for_: for_.clone(),
                wake: Wake::OnBudget,
            })
        })
        .collect()
}

/// What waits for the daily limit wakes when a part of it is free again.
async fn wake_when_day_frees<W: World>(
    engine: &Engine<W>,
    round: &Round,
    waits: &mut [Wait],
) -> Result<(), Error> {
    let for_day = |wait: &Wait| matches!(wait.for_, WaitFor::Budget { limit: Limit::Day, .. });
    if !waits.iter().any(for_day) {
        return Ok(());
    }
    let Some(first) = engine.store.first_order_since(round.head.before(DAY)).await? else { return Ok(()) };
    for wait in waits.iter_mut().filter(|wait| for_day(wait)) {
        wait.wake = Wake::At(first.after(DAY));
    }
    Ok(())
}

/// Where a policy lets the local copy go, a provider first has to show that it serves the bytes.
async fn probe_before_evicting<W: World>(
    engine: &Engine<W>,
    holdings: &[Holding],
    round: &Round,
) -> Result<(), Error> {
    for holding in holdings {
        let Some(needed) = holding.policy.keep_local.evict_at(holding.policy.replicas.target) else {
            continue;
        };
        for slots in &holding.pieces {
            if !slots.piece.local || slots.piece.retrievable || slots.proven() < needed {
                continue;
            }
            let mark = format!("probe:{}", slots.piece.commitment);
            if engine.store.meta(&mark).await?.is_none() {
                let step = StepKind::Probe { holding: holding.id, piece: slots.piece.commitment };
                engine.store.wake_step(&step).await?;
                engine.store.put_meta(&mark, &round.height.to_string()).await?;
            }
        }
    }
    Ok(())
}
