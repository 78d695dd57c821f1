//! Look: reads deals, faults and partitions at the round's tipset, and turns the orders concerned.
//!
//! Orders are loaded only when what was seen may change them: a replica that is as it was costs its part of a
//! provider's answer and nothing else.

use crate::engine::{Engine, Error};
use crate::store::Mark;
use crate::tasks::beside::Beside;
use crate::tasks::changes::Changes;
use crate::watch::{FleetIndex, PARTITION_CALLS, Probe, Reading, Turned};
use crate::world::World;
use futures_util::{StreamExt, stream};
use raas_core::ids::{OrderId, ProviderId, SectorNumber};
use raas_core::machine::order::Event;
use raas_core::observation::{
    DealSeen, LivesSeen, NotSeen, ProviderSeen, ProviderView, Round, SectorSeen, TermSeen, Unseen,
};
use raas_core::order::ReplicaRef;
use raas_core::ports::Chain;
use raas_core::units::{AttoFil, Epoch};
use std::collections::{BTreeMap, BTreeSet};

/// Deals read in one call of the port.
const DEALS_AT_ONCE: usize = 500;
/// Replicas of those that turned, or are gone, that one pass takes up.
const SLICE: usize = 300;
/// Providers read side by side.
const SIDE_BY_SIDE: usize = 4;

/// Whether an endpoint can be believed about deals, by what it says of those that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// It shows at least one of them.
    Confirmed,
    /// Nothing known could be asked for.
    Unproven,
    /// It denies what was seen finalized, or calls every known deal gone while their sectors live.
    Denies,
}

/// Everything of `reading`. The views of the providers that were read are in the index afterwards.
pub(crate) async fn look<W: World>(
    engine: &Engine<W>,
    index: &mut FleetIndex,
    beside: &mut Beside<'_>,
    round: &Round,
    reading: &Reading,
    changes: &mut Changes,
) -> Result<Trust, Error> {
    let probes: Vec<Probe> = reading.copies.iter().copied().collect();
    let copies = beside.wait(engine, index, copies(engine, round, &probes)).await?;
    if copies.contains(&CopySeen::Deal(DealSeen::NeverAllocated)) {
        return Ok(Trust::Denies);
    }
    let mut wanted: BTreeMap<ProviderId, Vec<SectorNumber>> =
        reading.faults.iter().map(|provider| (*provider, Vec::new())).collect();
    for (probe, seen) in probes.iter().zip(&copies) {
        let sector = match seen {
            CopySeen::Deal(DealSeen::Present(deal)) => deal.activated.map(|_| deal.sector),
            _ => None,
        };
        let known = probe.sector.is_some() && !mark_of(index, probe).is_some_and(Mark::is_doubtful);
        if let Some(sector) = sector.filter(|_| !known) {
            wanted.entry(probe.provider).or_default().push(sector);
        }
    }
    let reads = providers(engine, index, round, wanted);
    let providers = beside.wait(engine, index, reads).await?;
    let mut seen = Seen { providers, sectors: BTreeMap::new() };
    beside.wait(engine, index, seen.ask_the_dead(engine, round, &probes, &copies)).await?;
    let suspects = suspects(index, seen.providers.keys());
    beside.wait(engine, index, seen.ask_the_relieved(engine, suspects, round)).await?;
    let trust = turn_copies(engine, index, round, &probes, copies, &seen, changes).await?;
    if trust == Trust::Denies {
        return Ok(trust);
    }
    turn_sectors(engine, index, round, &seen, changes).await?;
    let lives = lives(engine, index, round, reading);
    let lives = beside.wait(engine, index, lives).await?;
    note_lives(index, round, reading, lives, changes);
    Ok(trust)
}

/// What was read of one copy: its deal at the market, or its sector in the miner's table.
#[derive(Clone, Debug, PartialEq, Eq)]
enum CopySeen {
    Deal(DealSeen),
    Sector(TermSeen),
}

impl CopySeen {
    /// What this and the state of its sector mean for the order.
    fn event(self, sector: SectorSeen, round: &Round) -> Event {
        match self {
            Self::Deal(deal) => Event::Observed { deal, sector, round: round.clone() },
            Self::Sector(term) => Event::Listed { term, sector, height: round.height },
        }
    }
}

/// One answer per probe, in their order.
async fn copies<W: World>(engine: &Engine<W>, round: &Round, probes: &[Probe]) -> Vec<CopySeen> {
    let chain = engine.world.chain();
    let mut seen = Vec::with_capacity(probes.len());
    for page in probes.chunks(DEALS_AT_ONCE) {
        let deals: Vec<_> = page.iter().filter_map(|probe| probe.replica.deal()).collect();
        let sectors: Vec<_> = page
            .iter()
            .filter_map(|probe| match probe.replica {
                ReplicaRef::Sector { sector } => Some((probe.provider, sector)),
                ReplicaRef::Deal(_) => None,
            })
            .collect();
        let mut deals = chain.deals(round, &deals).await.into_iter();
        let mut terms = chain.terms(round, &sectors).await.into_iter();
        seen.extend(page.iter().map(|probe| match probe.replica {
            ReplicaRef::Deal(_) => {
                CopySeen::Deal(deals.next().unwrap_or(DealSeen::NotSeen(NotSeen::NotAsked)))
            }
            ReplicaRef::Sector { .. } => {
                CopySeen::Sector(terms.next().unwrap_or(TermSeen::NotSeen(NotSeen::NotAsked)))
            }
        }));
    }
    seen
}

/// Faults of each provider, among its watched sectors and those given.
fn providers<'a, W: World>(
    engine: &'a Engine<W>,
    index: &FleetIndex,
    round: &'a Round,
    wanted: BTreeMap<ProviderId, Vec<SectorNumber>>,
) -> impl Future<Output = BTreeMap<ProviderId, ProviderSeen>> + use<'a, W> {
    let reads = wanted.into_iter().map(|(provider, extra)| {
        let shelf = index.shelves.get(&provider);
        let mut watched: Vec<SectorNumber> = shelf.map(|shelf| shelf.sectors().to_vec()).unwrap_or_default();
        if !extra.is_empty() {
            watched.extend(extra);
            watched.sort_unstable();
        }
        watched.dedup();
        // A fault that was out of sight for long may be another one by now: its start is asked again.
        let is_fresh = shelf.is_some_and(|shelf| {
            shelf
                .view
                .faults_at
                .is_some_and(|read| round.height.0 - read.0 < raas_core::units::EPOCHS_PER_DAY)
        });
        let mut known = shelf.filter(|_| is_fresh).map(|shelf| shelf.known_faulty()).unwrap_or_default();
        known.dedup();
        async move {
            let chain = engine.world.chain();
            (provider, chain.provider_seen(round, provider, &watched, &known).await)
        }
    });
    let reads: Vec<_> = reads.collect();
    let side_by_side = engine.settings.concurrency.clamp(1, SIDE_BY_SIDE);
    stream::iter(reads).buffered(side_by_side).collect()
}

/// Sectors of the suspects of `providers`, each once and in order.
fn suspects<'a>(
    index: &FleetIndex,
    providers: impl Iterator<Item = &'a ProviderId>,
) -> BTreeMap<ProviderId, Vec<SectorNumber>> {
    let of = |provider: &ProviderId| {
        let mut suspects = index.shelves.get(provider)?.known_faulty();
        suspects.dedup();
        Some((*provider, suspects))
    };
    providers.filter_map(of).collect()
}

/// What was seen of miners in this round.
struct Seen {
    providers: BTreeMap<ProviderId, ProviderSeen>,
    /// Sectors asked for singly: those of deals that are gone.
    sectors: BTreeMap<(ProviderId, SectorNumber), SectorSeen>,
}

impl Seen {
    /// The second witness is asked singly: a provider whose faults are clear says nothing of the dead. So is the
    /// sector of a copy without a deal: a miner lists those that are dead, too.
    async fn ask_the_dead<W: World>(
        &mut self,
        engine: &Engine<W>,
        round: &Round,
        probes: &[Probe],
        copies: &[CopySeen],
    ) {
        let mut gone: BTreeMap<ProviderId, Vec<SectorNumber>> = BTreeMap::new();
        let is_asked = |seen: &CopySeen| match seen {
            CopySeen::Deal(deal) => *deal == DealSeen::Gone,
            CopySeen::Sector(term) => !matches!(term, TermSeen::NotSeen(_)),
        };
        for (probe, _) in probes.iter().zip(copies).filter(|(_, seen)| is_asked(seen)) {
            if !probe.over || probe.replica.deal().is_none() {
                gone.entry(probe.provider).or_default().extend(probe.sector);
            }
        }
        for (provider, mut sectors) in gone {
            sectors.sort_unstable();
            sectors.dedup();
            let answers = engine.world.chain().sectors(round, provider, &sectors).await;
            self.sectors.extend(sectors.into_iter().map(|at| (provider, at)).zip(answers));
        }
    }

    /// A sector leaves the faults when it recovers, and when it is terminated: those of suspects that left them are
    /// asked for.
    async fn ask_the_relieved<W: World>(
        &mut self,
        engine: &Engine<W>,
        mut suspects: BTreeMap<ProviderId, Vec<SectorNumber>>,
        round: &Round,
    ) {
        for (provider, seen) in &mut self.providers {
            let mut rows = match seen {
                ProviderSeen::Clear => Vec::new(),
                ProviderSeen::Except(rows) => std::mem::take(rows),
                ProviderSeen::NotSeen(_) => continue,
            };
            let told: BTreeSet<SectorNumber> = rows.iter().map(|(sector, _)| *sector).collect();
            let mut suspects = suspects.remove(provider).unwrap_or_default();
            suspects.retain(|sector| !told.contains(sector));
            if !suspects.is_empty() {
                rows.extend(not_alive(engine, round, *provider, &suspects).await);
            }
            *seen = if rows.is_empty() { ProviderSeen::Clear } else { ProviderSeen::Except(rows) };
        }
    }
}

/// `sectors`, in order, of which the miner was asked whether they live: those that do not, or could not be seen.
async fn not_alive<W: World>(
    engine: &Engine<W>,
    round: &Round,
    provider: ProviderId,
    sectors: &[SectorNumber],
) -> Vec<(SectorNumber, SectorSeen)> {
    let chain = engine.world.chain();
    let of = |seen: SectorSeen| sectors.iter().map(move |sector| (*sector, seen)).collect();
    if sectors.len() <= PARTITION_CALLS {
        let seen = chain.sectors(round, provider, sectors).await;
        let seen = sectors.iter().copied().zip(seen);
        return seen.filter(|(_, seen)| *seen != SectorSeen::Live).collect();
    }
    match chain.lives(round, provider, sectors).await {
        LivesSeen::All => Vec::new(),
        LivesSeen::Except(dead) => dead.into_iter().map(|sector| (sector, SectorSeen::Dead)).collect(),
        LivesSeen::NotSeen(reason) => of(SectorSeen::NotSeen(reason)),
    }
}

fn mark_of(index: &FleetIndex, probe: &Probe) -> Option<Mark> {
    let shelf = index.shelves.get(&probe.provider)?;
    shelf.mark(probe.sector?, probe.order)
}

/// Turns the orders whose copies were read.
async fn turn_copies<W: World>(
    engine: &Engine<W>,
    index: &mut FleetIndex,
    round: &Round,
    probes: &[Probe],
    copies: Vec<CopySeen>,
    seen: &Seen,
    changes: &mut Changes,
) -> Result<Trust, Error> {
    let present = copies.iter().any(|seen| matches!(seen, CopySeen::Deal(DealSeen::Present(_))));
    let mut gone_alive = false;
    let mut events: Vec<(OrderId, Event)> = Vec::new();
    for (probe, copy) in probes.iter().zip(copies) {
        let singly = |sector| seen.sectors.get(&(probe.provider, sector)).copied();
        let not_asked = SectorSeen::NotSeen(NotSeen::NotAsked);
        let sector = match (&copy, probe.sector) {
            (CopySeen::Deal(DealSeen::Present(deal)), _) => sector_of(index, probe, deal.sector, seen),
            (CopySeen::Deal(DealSeen::Gone), Some(sector)) => singly(sector).unwrap_or(not_asked),
            (CopySeen::Deal(DealSeen::Gone), None)
                if start_of(index, probe).is_some_and(|start| round.height > start) =>
            {
                never_seen_active(engine, present).await
            }
            (CopySeen::Sector(_), Some(sector)) => singly(sector).unwrap_or(not_asked),
            _ => not_asked,
        };
        let is_gone = copy == CopySeen::Deal(DealSeen::Gone);
        gone_alive |= is_gone && matches!(sector, SectorSeen::Live | SectorSeen::Faulty { .. });
        if is_gone
            && !probe.over
            && sector == SectorSeen::Dead
            && let Some(shelf) = index.shelves.get_mut(&probe.provider)
        {
            // Where one sector was terminated, others may have been.
            shelf.lives_due = true;
        }
        if !is_unchanged(index, probe, &copy, sector, round.height) {
            events.push((probe.order, copy.event(sector, round)));
        }
    }
    load(engine, changes, events.iter().map(|(order, _)| *order).collect()).await?;
    for (order, event) in &events {
        changes.step(*order, event)?;
    }
    Ok(match (present, gone_alive) {
        (true, _) => Trust::Confirmed,
        (false, true) => Trust::Denies,
        (false, false) => Trust::Unproven,
    })
}

/// What the miner says of the sector of a deal that is present: by this round's view, else by the last one.
fn sector_of(index: &FleetIndex, probe: &Probe, sector: SectorNumber, seen: &Seen) -> SectorSeen {
    if let Some(view) = seen.providers.get(&probe.provider) {
        return view.sector(sector);
    }
    let unseen = index.shelves.get(&probe.provider).and_then(|shelf| shelf.view.unseen);
    match (unseen, mark_of(index, probe)) {
        (Some(unseen), _) => SectorSeen::NotSeen(unseen.reason),
        (None, Some(Mark::Proven)) => SectorSeen::Live,
        (None, Some(Mark::Suspect)) => SectorSeen::Faulty { since: None },
        (None, _) => SectorSeen::NotSeen(NotSeen::NotAsked),
    }
}

fn start_of(index: &FleetIndex, probe: &Probe) -> Option<Epoch> {
    Some(index.shelves.get(&probe.provider)?.pending.get(&probe.order)?.start)
}

/// Whether what was seen says of a replica what is known of it.
fn is_unchanged(
    index: &FleetIndex,
    probe: &Probe,
    copy: &CopySeen,
    sector: SectorSeen,
    height: Epoch,
) -> bool {
    let deal = match copy {
        CopySeen::Deal(DealSeen::Present(deal)) => deal,
        CopySeen::Deal(_) => return false,
        CopySeen::Sector(term) => return is_listed_as_before(index, probe, *term, sector, height),
    };
    if height >= deal.end {
        return false;
    }
    match (mark_of(index, probe), deal.activated) {
        (Some(Mark::Proven), Some(_)) => {
            probe.sector == Some(deal.sector)
                && (sector == SectorSeen::Live || matches!(sector, SectorSeen::NotSeen(_)))
        }
        (Some(Mark::Suspect), Some(_)) => {
            probe.sector == Some(deal.sector) && sector == (SectorSeen::Faulty { since: None })
        }
        (None, None) => start_of(index, probe).is_some_and(|start| height <= start),
        _ => false,
    }
}

/// Whether the miner says of a copy without a deal what is known of it.
fn is_listed_as_before(
    index: &FleetIndex,
    probe: &Probe,
    term: TermSeen,
    sector: SectorSeen,
    height: Epoch,
) -> bool {
    let known = index.shelves.get(&probe.provider).zip(probe.sector);
    let known = known.and_then(|(shelf, sector)| Some((shelf, shelf.position(sector, probe.order)?)));
    let Some(row) = known.and_then(|(shelf, at)| shelf.row(at)) else { return false };
    let TermSeen::Listed(term) = term else { return false };
    term.end == row.end && height < term.end && row.mark == Mark::Proven && sector == SectorSeen::Live
}

/// The second witness for a deal that was published, never seen active, and is gone after its start: it has no
/// sector to ask. That the endpoint shows other known deals says that it does not forget; so does a market that
/// holds no money of ours.
async fn never_seen_active<W: World>(engine: &Engine<W>, others_present: bool) -> SectorSeen {
    let no_money = || async {
        let balances = engine.world.chain().balances().await;
        balances.is_ok_and(|balances| balances.locked == AttoFil::ZERO)
    };
    if others_present || no_money().await { SectorSeen::Dead } else { SectorSeen::NotSeen(NotSeen::NotAsked) }
}

/// Turns replicas whose sector is other than it was, and keeps what was found of each provider.
async fn turn_sectors<W: World>(
    engine: &Engine<W>,
    index: &mut FleetIndex,
    round: &Round,
    seen: &Seen,
    changes: &mut Changes,
) -> Result<(), Error> {
    let mut turned: Vec<Turned> = Vec::new();
    let mut doomed: Vec<(ProviderId, Vec<SectorNumber>)> = Vec::new();
    for (provider, seen) in &seen.providers {
        let Some(shelf) = index.shelves.get_mut(provider) else { continue };
        note_view(&mut shelf.view, seen, round.height);
        let rows: BTreeMap<SectorNumber, SectorSeen> = match seen {
            ProviderSeen::NotSeen(_) => continue,
            ProviderSeen::Clear => BTreeMap::new(),
            ProviderSeen::Except(rows) => rows.iter().copied().collect(),
        };
        shelf.faults_due.retain(|due| *due > round.height);
        let mut dead = Vec::new();
        for row in shelf.rows() {
            let now = rows.get(&row.sector).copied().unwrap_or(SectorSeen::Live);
            let other = match (row.mark, now) {
                (_, SectorSeen::Dead) => {
                    dead.push(row.sector);
                    false
                }
                (Mark::Proven, SectorSeen::Live) => false,
                (Mark::Suspect, SectorSeen::Faulty { since }) => {
                    // Sightings ahead of the fault's start do not count: the first one after it is kept.
                    let (known, first) = shelf.fault(row.order).unwrap_or_default();
                    since.is_some_and(|since| since != known) || (first < known && round.height >= known)
                }
                // Of these the deal was read, too.
                (Mark::Unknown | Mark::Doomed, _) => false,
                _ => true,
            };
            if other {
                turned.push(Turned { order: row.order, provider: *provider, sector: now });
            }
        }
        if !dead.is_empty() {
            shelf.lives_due = true;
            dead.dedup();
            doomed.push((*provider, dead));
        }
    }
    for (provider, dead) in doomed {
        index.doom(provider, &dead);
    }
    // A deal that was read in this round has said more.
    index.queue.turn(turned.into_iter().filter(|turned| !changes.has(turned.order)));
    settle_turned(engine, index, round, changes).await
}

/// Turns replicas whose sector is other than it was: the next slice of them.
pub(crate) async fn settle_turned<W: World>(
    engine: &Engine<W>,
    index: &mut FleetIndex,
    round: &Round,
    changes: &mut Changes,
) -> Result<(), Error> {
    let turned = index.queue.next_turned(SLICE);
    load(engine, changes, turned.iter().map(|turned| turned.order).collect()).await?;
    for Turned { order, sector, .. } in turned {
        if changes.stored(order).is_some_and(|stored| changes.state_of(stored).is_active()) {
            changes.step(order, &Event::SectorObserved { sector, height: round.height })?;
        }
    }
    Ok(())
}

fn note_view(view: &mut ProviderView, seen: &ProviderSeen, height: Epoch) {
    match seen {
        ProviderSeen::NotSeen(reason) => {
            let since = view.unseen.map_or(height, |unseen| unseen.since);
            view.unseen = Some(Unseen { reason: *reason, since, at: height });
        }
        ProviderSeen::Clear | ProviderSeen::Except(_) => {
            view.faults_at = Some(height);
            view.unseen = None;
        }
    }
}

/// Reads partitions.
fn lives<'a, W: World>(
    engine: &'a Engine<W>,
    index: &FleetIndex,
    round: &'a Round,
    reading: &Reading,
) -> impl Future<Output = Vec<(ProviderId, LivesSeen)>> + use<'a, W> {
    let reads = reading.lives.iter().filter_map(|provider| {
        let (provider, mut watched) = (*provider, index.shelves.get(provider)?.sectors().to_vec());
        watched.dedup();
        Some(async move {
            let chain = engine.world.chain();
            (provider, chain.lives(round, provider, &watched).await)
        })
    });
    let reads: Vec<_> = reads.collect();
    let side_by_side = engine.settings.concurrency.clamp(1, SIDE_BY_SIDE);
    stream::iter(reads).buffered(side_by_side).collect()
}

/// What does not live any more is queued for the market's word.
fn note_lives(
    index: &mut FleetIndex,
    round: &Round,
    reading: &Reading,
    seen: Vec<(ProviderId, LivesSeen)>,
    changes: &Changes,
) {
    for (provider, lives) in seen {
        if let LivesSeen::Except(dead) = &lives {
            index.doom(provider, dead);
        }
        let Some(shelf) = index.shelves.get_mut(&provider) else { continue };
        match lives {
            LivesSeen::All | LivesSeen::Except(_) => {
                shelf.view.lives_at = Some(round.height);
                shelf.lives_due = false;
            }
            LivesSeen::NotSeen(reason) => tracing::debug!(%provider, ?reason, "partitions could not be read"),
        }
    }
    for provider in &reading.lives_by_copies {
        let Some(shelf) = index.shelves.get_mut(provider) else { continue };
        let unread = |order: OrderId| {
            changes.stored(order).is_some_and(|stored| Mark::of(changes.state_of(stored)).is_doubtful())
        };
        if !shelf.rows().any(|row| unread(row.order)) {
            shelf.view.lives_at = Some(round.height);
            shelf.lives_due = false;
        }
    }
}

/// Asks the market about replicas whose sector was seen dead in this round: the next slice of them. False when it denies
/// what was seen finalized.
pub(crate) async fn settle_doomed<W: World>(
    engine: &Engine<W>,
    index: &mut FleetIndex,
    round: &Round,
    changes: &mut Changes,
) -> Result<bool, Error> {
    let doomed = index.queue.next_doomed(SLICE);
    for page in doomed.chunks(DEALS_AT_ONCE) {
        let deals: Vec<_> = page.iter().filter_map(|doomed| doomed.replica.deal()).collect();
        let seen = engine.world.chain().removed(round, &deals).await;
        if seen.contains(&DealSeen::NeverAllocated) {
            return Ok(false);
        }
        load(engine, changes, page.iter().map(|doomed| doomed.order).collect()).await?;
        let mut seen = seen.into_iter();
        for doomed in page {
            let copy = match doomed.replica {
                ReplicaRef::Deal(_) => {
                    CopySeen::Deal(seen.next().unwrap_or(DealSeen::NotSeen(NotSeen::NotAsked)))
                }
                // Nothing but the miner tells of it, which has just been asked.
                ReplicaRef::Sector { .. } => CopySeen::Sector(TermSeen::Gone),
            };
            changes.step(doomed.order, &copy.event(SectorSeen::Dead, round))?;
        }
    }
    Ok(true)
}

async fn load<W: World>(
    engine: &Engine<W>,
    changes: &mut Changes,
    orders: Vec<OrderId>,
) -> Result<(), Error> {
    let missing: Vec<OrderId> = orders.into_iter().filter(|order| !changes.has(*order)).collect();
    for page in missing.chunks(5_000) {
        changes.add(engine.store.orders_by_id(page).await?);
    }
    Ok(())
}
