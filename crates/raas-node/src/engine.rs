//! The engine: one loop over observe, plan and execute, level-triggered.
//!
//! [`Engine::tick`] runs every task once at the present head; [`Engine::quiesce`] repeats it until nothing
//! changes any more and says when to come back. A restart, a missed event and normal running are one path:
//! no task takes an input besides the store and the ports.

use crate::execute;
use crate::settings::{ContractAt, PIECE_MAX_LEAST, Settings};
use crate::store::{self, Store, StoredOrder, TxId};
use crate::tasks;
use crate::tasks::beside::Beside;
use crate::tasks::follow::Stuck;
use crate::tasks::plan::{Admitted, Memory, as_of, see_through};
use crate::watch::{self, FleetIndex};
use crate::world::World;
use raas_core::fleet::Rules;
use raas_core::gate::Hold;
use raas_core::holding::Holding;
use raas_core::ids::{ContractAddress, HoldingId, ProviderId};
use raas_core::lead::Leads;
use raas_core::observation::{ProviderView, Round};
use raas_core::plan::{Plan, Wait, WaitFor, Wake};
use raas_core::ports::{Clock, Now};
use raas_core::select::piece_max;
use raas_core::units::{Epoch, Epochs, PaddedSize};
use raas_core::want::want;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{Mutex, Notify};

pub use crate::tasks::rewind::{NoRewind, Reread};

/// Ticks at one head before [`Engine::quiesce`] gives up calling it quiet. Each tick must have changed
/// something to get here, so reaching it is a defect worth a loud error.
const TICKS_MAX: u32 = 200;
/// Passes that take up what the one before had left, between two looks at the chain.
const PASSES_A_LOOK: u32 = 16;
/// A provider that serves wrong bytes is passed over for this long.
const WRONG_BYTES_BACKS_OFF: Epochs = Epochs::days(30);

/// Why the engine cannot go on. What the outside does is never here: that is a wait.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] store::Error),
    /// A stored state and an event do not go together: a defect, reported instead of acted on.
    #[error("illegal transition of order {order}")]
    Order {
        /// Which order.
        order: raas_core::ids::OrderId,
        /// As the machine says.
        source: raas_core::machine::order::Illegal,
    },
    /// A stored format is not readable.
    #[error("unreadable stored {what}: {why}")]
    Unreadable {
        /// Which record.
        what: &'static str,
        /// The decoder's words.
        why: String,
    },
    /// The loop did not come to rest.
    #[error("still changing after {TICKS_MAX} ticks at one head")]
    Restless,
}

/// What one pass over all tasks did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether anything changed, in the store or outside.
    pub changed: bool,
    /// Whether a slice of what is to be done at this head was left for the next pass.
    pub more: bool,
}

/// When to come back if nothing else wakes the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextWake {
    /// The earliest epoch at which something is due; `None` when only an event can wake it.
    pub epoch: Option<Epoch>,
    /// Whether something waits for the next round: an order on its way, a transaction not final.
    pub on_round: bool,
}

/// What the last pass saw, for `why`, health and the API.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// The last round, open or held.
    pub round: Option<Round>,
    /// Why nothing is started, if so.
    pub hold: Option<Hold>,
    /// Time of the last pass.
    pub now: Option<Now>,
    /// Why events of contracts are not read further, by contract, where it is so.
    pub follow: BTreeMap<ContractAddress, Stuck>,
    /// How long the money lasts, by the last look.
    pub outlook: Option<tasks::money::Outlook>,
}

impl Status {
    /// Why events are not read further, in words; with the contract's name where there are several such.
    #[must_use]
    pub fn contract_waits(&self) -> Option<String> {
        let mut stuck = self.follow.iter();
        let (_, first) = stuck.next()?;
        if stuck.next().is_none() {
            return Some(first.to_string());
        }
        let all: Vec<String> = self.follow.iter().map(|(at, stuck)| format!("{at}: {stuck}")).collect();
        Some(all.join("; "))
    }
}

/// The engine over one store and one world.
pub struct Engine<W: World> {
    pub(crate) world: Arc<W>,
    pub(crate) store: Store,
    pub(crate) settings: Settings,
    status: std::sync::RwLock<Status>,
    /// One transaction is signed or sent at a time: the one writer of the wallet.
    pub(crate) sending: Mutex<()>,
    /// Tells a pass that waits for the chain of a job that has come in.
    pub(crate) registered: Notify,
    /// One pass at a time; two would observe the same and plan it twice. It owns the fleet in memory, which is
    /// loaded by the first pass and after one that failed.
    pass: Mutex<Option<Watching>>,
    /// What the last looks at providers found, for readers outside a pass.
    views: std::sync::RwLock<Arc<BTreeMap<ProviderId, ProviderView>>>,
    /// Transactions that wait because their gas is too dear, with why.
    dear: std::sync::Mutex<BTreeMap<TxId, String>>,
    /// The settings' rules with what was learned since.
    rules: std::sync::RwLock<Arc<Rules>>,
    /// What the last plan said of the wants, for readers outside a pass.
    admitted: std::sync::RwLock<Arc<BTreeMap<HoldingId, Admitted>>>,
}

/// The fleet in memory, and what planning remembers.
#[derive(Default)]
struct Watching {
    index: FleetIndex,
    memory: Memory,
    /// Passes in a row that took up what the one before had left, without a look at the chain.
    in_row: u32,
}

impl Watching {
    /// Whether a slice is left for the next pass.
    fn is_behind(&self) -> bool {
        !self.index.queue.is_empty() || !self.index.touched.is_empty() || self.memory.is_behind()
    }
}

impl<W: World> Engine<W> {
    /// An engine at rest.
    pub fn new(world: Arc<W>, store: Store, settings: Settings) -> Self {
        let rules = std::sync::RwLock::new(Arc::new(settings.rules.clone()));
        Self {
            world,
            store,
            settings,
            rules,
            status: std::sync::RwLock::default(),
            sending: Mutex::new(()),
            pass: Mutex::new(None),
            views: std::sync::RwLock::default(),
            admitted: std::sync::RwLock::default(),
            registered: Notify::new(),
            dear: std::sync::Mutex::default(),
        }
    }

    /// Its store.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Its settings.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The largest piece to make of new data, by the configuration and by what enough providers take.
    pub async fn piece_max(&self) -> Result<PaddedSize, Error> {
        let settings = &self.settings;
        let known = self.store.providers().await?;
        let used = known.into_iter().filter(|known| settings.providers.contains(&known.on_chain.provider));
        let asks = used.filter_map(|known| Some((known.on_chain.operator, known.ask?)));
        let taken = piece_max(settings.piece_max, settings.default_policy.replicas.target, asks);
        // Whatever is asked, a block has to fit.
        Ok(taken.max(PaddedSize::new(PIECE_MAX_LEAST).unwrap_or(taken)))
    }

    /// Its ports.
    pub fn world(&self) -> &W {
        &self.world
    }

    /// What the last pass saw.
    pub fn status(&self) -> Status {
        self.status.read().map(|status| status.clone()).unwrap_or_default()
    }

    /// Whether no pass has been made at this round's tipset yet.
    pub(crate) fn is_first_pass_of(&self, round: &Round) -> bool {
        self.status().round.is_none_or(|last| last.tipset != round.tipset)
    }

    pub(crate) fn note_views(&self, views: BTreeMap<ProviderId, ProviderView>) {
        if let Ok(mut kept) = self.views.write() {
            *kept = Arc::new(views);
        }
    }

    /// What planning goes by now.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.rules.read().map_or_else(|_| Arc::new(self.settings.rules.clone()), |rules| Arc::clone(&rules))
    }

    pub(crate) fn note_leads(&self, leads: Leads) {
        if let Ok(mut rules) = self.rules.write()
            && rules.leads != leads
        {
            *rules = Arc::new(Rules { leads, ..self.settings.rules.clone() });
        }
    }

    /// Notes what became of all wants, or of those of the holdings that competed `again`.
    pub(crate) fn note_admitted(&self, again: Option<&[HoldingId]>, admitted: BTreeMap<HoldingId, Admitted>) {
        let Ok(mut kept) = self.admitted.write() else { return };
        let Some(again) = again else {
            *kept = Arc::new(admitted);
            return;
        };
        let kept = Arc::make_mut(&mut kept);
        for holding in again {
            kept.remove(holding);
        }
        kept.extend(admitted);
    }

    /// Notes that a transaction waits for cheaper gas, or, with `None`, that it waits no more.
    pub(crate) fn note_dear(&self, tx: TxId, why: Option<&str>) {
        let Ok(mut dear) = self.dear.lock() else { return };
        let before = match why {
            Some(why) => dear.insert(tx, why.to_owned()),
            None => dear.remove(&tx),
        };
        if let (Some(why), None) = (why, before) {
            tracing::warn!(tx = tx.0, "{why}");
        }
    }

    /// The transactions that wait because their gas is too dear, with why.
    pub fn dear(&self) -> BTreeMap<TxId, String> {
        self.dear.lock().map(|dear| dear.clone()).unwrap_or_default()
    }

    /// What is decided of a holding as it is stored now: what the rules say in the last round, and what became of its
    /// wants in the last pass.
    pub async fn explain(&self, holding: &Holding) -> Result<Plan, Error> {
        let status = self.status();
        let round = match status.round {
            Some(round) => Some(round),
            None => self.store.last_round().await?.map(|(round, _)| round),
        };
        let Some(round) = round else { return Ok(Plan::default()) };
        if let Some(hold) = status.hold {
            let (for_, wake) = (WaitFor::Gate(hold), Wake::OnRound);
            let wait = Wait { holding: None, slot: None, part: None, for_, wake };
            return Ok(Plan { actions: Vec::new(), waits: vec![wait] });
        }
        let views = self.views.read().map(|views| Arc::clone(&views)).unwrap_or_default();
        let mut seen = holding.clone();
        see_through(&mut seen, |provider| views.get(&provider).copied(), &round);
        let (wants, mut waits) = want(&seen, &round, &self.rules());
        let mut actions = Vec::new();
        if !wants.is_empty() {
            let admitted = self.admitted.read().map(|admitted| Arc::clone(&admitted)).unwrap_or_default();
            if let Some(admitted) = admitted.get(&holding.id) {
                actions.clone_from(&admitted.actions);
                waits.extend(admitted.waits.iter().cloned());
            }
        }
        waits.sort_by_key(|wait| (wait.holding, wait.slot));
        Ok(Plan { actions, waits })
    }

    /// Every order ever made for a holding, active ones as of the last looks at their providers.
    pub async fn orders_of_holding(&self, holding: HoldingId) -> Result<Vec<StoredOrder>, Error> {
        let mut orders = self.store.orders_of_holding(holding).await?;
        let views = self.views.read().map(|views| Arc::clone(&views)).unwrap_or_default();
        if let Some(round) = self.status().round {
            for stored in &mut orders {
                let view = views.get(&stored.order.provider).copied().unwrap_or_default();
                as_of(&mut stored.order, &view, &round);
            }
        }
        Ok(orders)
    }

    /// Plans every holding in the next pass, whatever touched it: the answer must be the same.
    pub async fn plan_all(&self) {
        if let Some(watching) = self.pass.lock().await.as_mut() {
            watching.memory.all = true;
        }
    }

    /// Reads history again that was final and is another one now; with `keep` it takes the old one's place.
    pub async fn rewind(&self, from: Option<Epoch>, keep: bool) -> tasks::rewind::Outcome {
        let mut pass = self.pass.lock().await;
        let outcome = Box::pin(tasks::rewind::rewind(self, from, keep)).await?;
        if keep && outcome.is_ok() {
            // What is in memory is of the history that is gone.
            *pass = None;
            if let Ok(mut status) = self.status.write() {
                status.round = None;
            }
        }
        Ok(outcome)
    }

    /// How long the money lasts, by a fresh look; by the last one where a balance cannot be read now.
    pub async fn outlook(&self) -> Result<Option<tasks::money::Outlook>, Error> {
        let status = self.status();
        let Some(round) = &status.round else { return Ok(None) };
        Ok(tasks::money::make(self, round).await?.or(status.outlook))
    }

    /// The last block up to which a contract's events were read; `None` when none was.
    pub async fn followed_to(&self, at: &ContractAt) -> Result<Option<Epoch>, Error> {
        tasks::follow::followed_to(self, at).await
    }

    /// Every task once: observe, follow, plan, execute. A pass that fails is a hold until one does not; one whose caller
    /// went away is made again by the next caller.
    pub async fn tick(&self) -> Result<Progress, Error> {
        let mut pass = self.pass.lock().await;
        let ticked = self.attempt(&mut pass).await;
        if let Err(error) = &ticked {
            self.note_failed(error);
        }
        ticked
    }

    fn note_failed(&self, error: &Error) {
        let disk_full = matches!(error, Error::Store(error) if error.is_disk_full());
        if let Ok(mut status) = self.status.write() {
            status.hold = Some(Hold::PassFailed { disk_full });
        }
    }

    async fn attempt(&self, pass: &mut Option<Watching>) -> Result<Progress, Error> {
        // What a failed pass leaves in memory may be ahead of the store: it is dropped and loaded again.
        let mut watching = match pass.take() {
            Some(watching) => watching,
            None => {
                self.store.give_back_steps().await?;
                let index = FleetIndex::load(&self.store).await?;
                self.note_views(index.views());
                Watching { index, ..Watching::default() }
            }
        };
        // On the heap: with all tasks in it, it is large for a thread's stack.
        let progress = Box::pin(self.run(&mut watching)).await?;
        *pass = Some(watching);
        Ok(progress)
    }

    /// The tasks' futures are large: each is on the heap, or a thread's stack would have to hold them all.
    async fn run(&self, watching: &mut Watching) -> Result<Progress, Error> {
        let goes_on = watching.is_behind() && watching.in_row < PASSES_A_LOOK;
        watching.in_row = if goes_on { watching.in_row + 1 } else { 0 };
        let Watching { index, memory, .. } = watching;
        let now = self.world.clock().now().await;
        index.sync(&self.store).await?;
        tasks::restored::notice(self, now).await?;
        let before = self.status();
        let mut beside = Beside::new(memory, &before, now);
        let seen = match before.round.filter(|_| goes_on && before.hold.is_none()) {
            Some(round) => Box::pin(tasks::observe::go_on(self, index, &mut beside, round)).await?,
            None => Box::pin(tasks::observe::observe(self, index, &mut beside, now)).await?,
        };
        let mut changed = seen.changed || beside.changed;
        let mut follow = before.follow;
        if let (Some(round), None, false) = (&seen.round, &seen.hold, goes_on) {
            let followed = Box::pin(tasks::follow::follow(self, round, now)).await?;
            changed |= followed.changed;
            if followed.changed {
                // A deal completed in the same window is adopted before anything is ordered in its place.
                changed |= Box::pin(tasks::adopt::adopt(self, round)).await?;
            }
            follow = followed.stuck;
        }
        let mut hold = seen.hold;
        let mut outlook = before.outlook;
        if let Some(round) = &seen.round {
            if hold.is_none() {
                hold = tasks::restored::look(self, round).await?;
            }
            changed |= Box::pin(tasks::plan::plan(self, index, memory, round, hold, now)).await?;
            if hold.is_none() {
                changed |= Box::pin(execute::work(self, round, now)).await?;
                outlook = tasks::money::look(self, round, outlook).await?;
            }
        }
        if let Ok(mut status) = self.status.write() {
            *status = Status { round: seen.round, hold, now: Some(now), follow, outlook };
        }
        let more = hold.is_none() && watching.is_behind();
        Ok(Progress { changed: changed || more, more })
    }

    /// Ticks until a pass changes nothing at this head, then says when to come back.
    pub async fn quiesce(&self) -> Result<NextWake, Error> {
        let mut ticks = 0;
        while ticks < TICKS_MAX {
            let progress = self.tick().await?;
            if !progress.changed {
                return self.next_wake().await.inspect_err(|error| self.note_failed(error));
            }
            ticks += u32::from(!progress.more);
        }
        self.note_failed(&Error::Restless);
        Err(Error::Restless)
    }

    /// Marks a provider that served other bytes than it should: it gets no order for a long while.
    pub(crate) async fn note_wrong_bytes(
        &self,
        provider: ProviderId,
        why: &str,
        round: &Round,
    ) -> Result<(), Error> {
        let until = round.head.after(WRONG_BYTES_BACKS_OFF);
        self.store.provider_failed(provider, &format!("served wrong bytes: {why}"), until).await?;
        Ok(())
    }

    async fn next_wake(&self) -> Result<NextWake, Error> {
        let status = self.status();
        let pass = self.pass.lock().await;
        let watching = pass.as_ref();
        let head = status.round.as_ref().map_or(Epoch(0), |round| round.head);
        let planned = watching.and_then(|watching| {
            [watching.index.wakes.next(), watching.memory.next_wake(head)].into_iter().flatten().min()
        });
        let due = match (self.store.next_due().await?, status.now) {
            (Some(due), Some(now)) => Some(epoch_of(due, now)),
            _ => None,
        };
        let unsettled = self.store.unsettled_orders().await?;
        let any_open =
            watching.is_some_and(|watching| watching.index.any_pending() || watching.index.any_doomed());
        let on_round = !self.store.open_txs(None).await?.is_empty() || any_open || !unsettled.is_empty();
        let lapse = status.round.as_ref().and_then(|round| {
            // Once its start is behind the finalized tipset, an order that is not active has failed.
            let lag = round.head.since(round.height).plus(Epochs::new(1).unwrap_or(Epochs::ZERO));
            let signed = unsettled.iter().filter_map(|stored| stored.order.state.signed());
            let shelves = watching.into_iter().flat_map(|watching| watching.index.shelves.values());
            let published = shelves.flat_map(|shelf| shelf.pending.values().map(|pending| pending.start));
            let starts = signed.map(|signed| signed.term.start).chain(published);
            starts.map(|start| start.after(lag)).filter(|at| *at > round.head).min()
        });
        let whole = match (status.hold, &status.round) {
            // The first finalized height after it.
            (Some(Hold::Restored { until }), Some(round)) => {
                let lag = round.head.since(round.height).plus(Epochs::new(1).unwrap_or(Epochs::ZERO));
                Some(until.after(lag).max(Epoch(round.head.0 + 1)))
            }
            _ => None,
        };
        let look = status.round.as_ref().zip(watching).and_then(|(round, watching)| {
            let due = watch::next_look(&watching.index)?;
            Some(round.head.after(due.since(round.height).max(Epochs::new(1)?)))
        });
        // A finalized height: the head is further by then, so this is never too late.
        let release = self.store.breaker().await?.next_release();
        Ok(NextWake {
            epoch: [planned, due, release, lapse, look, whole].into_iter().flatten().min(),
            on_round,
        })
    }
}

/// The first epoch at which `due` seconds have come, given the present time.
fn epoch_of(due_unix: i64, now: Now) -> Epoch {
    const BLOCK_DELAY_SECONDS: i64 = 30;
    let seconds = due_unix.saturating_sub(now.unix_seconds).max(0);
    Epoch(now.epoch.0.saturating_add((seconds + BLOCK_DELAY_SECONDS - 1) / BLOCK_DELAY_SECONDS))
}
