//! Follow: reads the contract's events up to the finalized block, each exactly once, and turns requests into
//! jobs in the transaction that moves the cursor.
//!
//! The cursor moves only over what a second witness vouches for. Where blocks are older than every endpoint keeps,
//! our own contract's views make up for the logs; the reference contract tells the CIDs, but not what was asked for. For
//! another contract that is for the admin to settle.

use crate::engine::{Engine, Error};
use crate::failpoint;
use crate::settings::ContractAt;
use crate::store::{Attempt, ContractEvent, JobSource, NO_TRANSACTION, NewJob, RequestChange, Window};
use crate::world::World;
use raas_clients::evm::AbiKind;
use raas_core::cid::DataCid;
use raas_core::ids::{ContractAddress, OwnerId, RequestId};
use raas_core::machine::cursor::{self, Doubt, Effect, Event, State};
use raas_core::observation::{NotSeen, Round};
use raas_core::policy::{Duties, Policy, REPLICAS_MAX, Replicas};
use raas_core::ports::{Asked, Contract, ContractWindow, Lane, Now, RequestSeen, Wallet, Witness};
use raas_core::units::{Epoch, Epochs};
use serde::Serialize;
use std::collections::BTreeMap;

/// Blocks asked for at once; below every endpoint's known limit.
pub(super) const WINDOW_BLOCKS: i64 = 2_000;
/// Windows read in one pass, so that catching up does not starve the rest of the loop.
const WINDOWS_PER_PASS: u32 = 50;
/// Requests read by view in one pass of calls.
const VIEWS_AT_ONCE: u64 = 100;

/// Why following went no further.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Stuck {
    /// No endpoint answered for these blocks; later one will.
    Unread {
        /// First block.
        from: Epoch,
        /// Last block.
        to: Epoch,
        /// In words.
        why: String,
    },
    /// An answer is not believed; it is asked for again.
    Doubted {
        /// First block.
        from: Epoch,
        /// Last block.
        to: Epoch,
        /// In words.
        why: String,
    },
    /// Every endpoint that answers keeps no blocks so old, and the contract has no views that tell the requests.
    Gap {
        /// First block.
        from: Epoch,
        /// Last block.
        to: Epoch,
        /// What to do.
        why: String,
    },
}

impl std::fmt::Display for Stuck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unread { from, to, why } => {
                write!(f, "events of blocks {from} to {to} could not be read: {why}")
            }
            Self::Doubted { from, to, why } => {
                write!(f, "events of blocks {from} to {to} are not believed: {why}")
            }
            Self::Gap { from, to, why } => {
                write!(f, "events of blocks {from} to {to} are older than every endpoint keeps: {why}")
            }
        }
    }
}

/// What following did.
#[derive(Debug, Default)]
pub struct Followed {
    /// Whether a job or a completion was applied.
    pub changed: bool,
    /// Why it went no further, by contract, where it is so.
    pub stuck: BTreeMap<ContractAddress, Stuck>,
}

/// Follows every contract; trouble with one does not hold up the others.
pub async fn follow<W: World>(engine: &Engine<W>, round: &Round, now: Now) -> Result<Followed, Error> {
    let mut all = Followed::default();
    for at in &engine.settings.contracts {
        let one = Box::pin(follow_one(engine, at, round, now)).await?;
        all.changed |= one.changed;
        all.stuck.extend(one.stuck.map(|stuck| (at.address, stuck)));
    }
    Ok(all)
}

/// What following one contract did.
#[derive(Default)]
struct One {
    changed: bool,
    stuck: Option<Stuck>,
}

/// Reads windows until the finalized block, or until one cannot be believed.
async fn follow_one<W: World>(
    engine: &Engine<W>,
    at: &ContractAt,
    round: &Round,
    now: Now,
) -> Result<One, Error> {
    let mut followed = One::default();
    let Some(contract) = engine.world.contract(at.address) else { return Ok(followed) };
    let mut state = cursor_of(engine, at).await?;
    // A window that was not believed is read again up to here.
    let mut until: Option<Epoch> = None;
    for _ in 0..WINDOWS_PER_PASS {
        if state.next_block > round.eth_block {
            return Ok(followed);
        }
        let from = state.next_block;
        let last = Epoch((from.0 + WINDOW_BLOCKS - 1).min(round.eth_block.0));
        let to = until.take().map_or(last, |until| until.min(last));
        let window = match failpoint::around("follow.window", contract.window(round, from, to)).await {
            Ok(window) => Read { inner: window, by_view: false },
            Err(NotSeen::MissingState) => match recover(engine, at, round, state, now).await? {
                Ok(recovered) => recovered,
                Err(stuck) => {
                    followed.stuck = Some(stuck);
                    return Ok(followed);
                }
            },
            Err(why) => {
                followed.stuck = Some(Stuck::Unread { from, to, why: why.to_string() });
                return Ok(followed);
            }
        };
        let to = if window.by_view { round.eth_block } else { to };
        match believe(state, from, to, &window.inner)? {
            Ok((after, requests)) => {
                note_unexplained(&window.inner);
                let changed = !requests.is_empty()
                    || !window.inner.completions.is_empty()
                    || !window.inner.told.is_empty()
                    || !window.inner.standing.is_empty();
                apply(engine, at, after, requests, &window.inner, now).await?;
                followed.changed |= changed;
                state = after;
            }
            Err((smaller, _)) if smaller < to => until = Some(smaller),
            Err((_, why)) => {
                followed.stuck = Some(Stuck::Doubted { from, to, why: why.to_string() });
                return Ok(followed);
            }
        }
    }
    followed.changed = true;
    Ok(followed)
}

/// A window, or what the contract's views tell instead of one.
struct Read {
    inner: ContractWindow,
    by_view: bool,
}

/// What stands in for logs that nobody keeps any more: the views of a contract that has them, else the admin's word.
async fn recover<W: World>(
    engine: &Engine<W>,
    at: &ContractAt,
    round: &Round,
    state: State,
    now: Now,
) -> Result<Result<Read, Stuck>, Error> {
    let Some(contract) = engine.world.contract(at.address) else { return Err(no_contract()) };
    let (from, to) = (state.next_block, round.eth_block);
    let unread = |why: NotSeen| Stuck::Unread { from, to, why: why.to_string() };
    let count = match contract.request_count(to).await {
        Ok(count) => count,
        Err(why) => return Ok(Err(unread(why))),
    };
    let mut requests = Some(Vec::new());
    let mut next = state.highest_request.saturating_add(1);
    while let (Some(known), Some(count)) = (&mut requests, count)
        && next <= count
    {
        let last = next.saturating_add(VIEWS_AT_ONCE - 1).min(count);
        match contract.requests_by_view(RequestId(next), RequestId(last), to).await {
            Ok(Some(page)) => known.extend(page),
            Ok(None) => requests = None,
            Err(why) => return Ok(Err(unread(why))),
        }
        next = last.saturating_add(1);
    }
    if let (Some(requests), Some(_)) = (requests, count) {
        tracing::warn!(%from, %to, requests = requests.len(), "no endpoint keeps these logs; the contract's views tell");
        // Completions are in the lists, which are read anew for every holding.
        engine.store.forget_lists(to).await?;
        let inner =
            ContractWindow { requests, request_count: count, witness: Witness::State, ..Default::default() };
        return Ok(Ok(Read { inner, by_view: true }));
    }
    if at.abi == AbiKind::Reference
        && let Some(read) = cids_only(contract, at, state, to).await
    {
        tracing::warn!(%from, %to, requests = read.inner.requests.len(), "no endpoint keeps these logs; the contract tells CIDs, and no policies");
        engine.store.forget_lists(to).await?;
        return Ok(Ok(read));
    }
    if let Some(skip) = at.skip_to.filter(|skip| *skip >= from && *skip < to) {
        tracing::warn!(%from, to = %skip, "blocks are left out by contract.skip_to_block");
        let after = State { next_block: Epoch(skip.0 + 1), ..state };
        apply(engine, at, after, Vec::new(), &ContractWindow::default(), now).await?;
        return Ok(Err(Stuck::Unread {
            from,
            to: skip,
            why: "left out by contract.skip_to_block".to_owned(),
        }));
    }
    let why =
        "this contract has no views that tell its requests: add an endpoint that keeps the whole history to \
               chain.endpoints, or set contract.skip_to_block to go on without them"
            .to_owned();
    Ok(Err(Stuck::Gap { from, to, why }))
}

/// What a reference contract still tells of requests whose logs are gone: their CIDs. Nothing when it cannot be asked,
/// or refuses; nothing follows from that.
async fn cids_only<C: Contract>(contract: &C, at: &ContractAt, state: State, to: Epoch) -> Option<Read> {
    let cids = contract.cids_by_request(to).await.ok().flatten()?;
    let count = u64::try_from(cids.len()).ok()?;
    let known = usize::try_from(state.highest_request).ok()?;
    let requests = (state.highest_request.saturating_add(1)..)
        .zip(cids.into_iter().skip(known))
        .map(|(id, cid)| RequestSeen {
            request: RequestId(id),
            cid,
            owner: OwnerId::unknown_at(at.address),
            asked: Asked::Unknown,
            open: true,
            transaction: String::new(),
            block: to,
        })
        .collect();
    let inner = ContractWindow {
        requests,
        request_count: Some(count),
        witness: Witness::State,
        ..Default::default()
    };
    Some(Read { inner, by_view: true })
}

fn no_contract() -> Error {
    Error::Unreadable { what: "contract", why: "it is not configured".to_owned() }
}

fn note_unexplained(window: &ContractWindow) {
    if let [first, ..] = window.unexplained.as_slice() {
        let blocks = window.unexplained.len();
        tracing::warn!(%first, blocks, "the contract changed, but no log of it tells how");
    }
}

/// The last block of the contract that was read; `None` when none was.
pub async fn followed_to<W: World>(engine: &Engine<W>, at: &ContractAt) -> Result<Option<Epoch>, Error> {
    let read = cursor_of(engine, at).await?.next_block.0 - 1;
    Ok((read >= at.from_block.0).then_some(Epoch(read)))
}

pub(super) async fn cursor_of<W: World>(engine: &Engine<W>, at: &ContractAt) -> Result<State, Error> {
    match engine.store.cursor(at.address).await? {
        Some(stored) => serde_json::from_value(stored)
            .map_err(|error| Error::Unreadable { what: "event cursor", why: error.to_string() }),
        None => Ok(State { next_block: at.from_block, highest_request: 0 }),
    }
}

/// A cursor and the requests it newly covers, or up to where to read again and why.
pub(super) type Believed = Result<(State, Vec<RequestSeen>), (Epoch, Doubt)>;

pub(super) fn believe(
    state: State,
    from: Epoch,
    to: Epoch,
    window: &ContractWindow,
) -> Result<Believed, Error> {
    let event = Event::WindowRead {
        from,
        to,
        request_count_at_to: window.request_count,
        witnessed: window.witness != Witness::None,
        events: window.requests.iter().map(|seen| (seen.request, seen.clone())).collect(),
    };
    let (after, effects) = cursor::next(&state, &event)
        .map_err(|error| Error::Unreadable { what: "event cursor", why: error.to_string() })?;
    let mut requests = Vec::new();
    for effect in effects {
        match effect {
            Effect::Apply(_, seen) => requests.push(seen),
            Effect::Reread { to, why, .. } => return Ok(Err((to, why))),
        }
    }
    Ok(Ok((after, requests)))
}

async fn apply<W: World>(
    engine: &Engine<W>,
    at: &ContractAt,
    after: State,
    requests: Vec<RequestSeen>,
    window: &ContractWindow,
    now: Now,
) -> Result<(), Error> {
    let read = prepare(engine, at, requests, window, now);
    for note in &read.notes {
        record(engine, now, at, note).await?;
    }
    let applied = Window { to: Epoch(after.next_block.0 - 1), ..read.window(window) };
    failpoint::around("follow.apply", engine.store.apply_whole_window(at.address, &stored(after)?, &applied))
        .await?;
    Ok(())
}

/// The cursor as the store keeps it.
pub(super) fn stored(cursor: State) -> Result<serde_json::Value, Error> {
    serde_json::to_value(cursor)
        .map_err(|error| Error::Unreadable { what: "event cursor", why: error.to_string() })
}

/// What a window's requests and changes mean here.
pub(super) struct Prepared {
    jobs: Vec<NewJob>,
    refused: Vec<ContractEvent>,
    changes: Vec<(RequestId, RequestChange)>,
    /// What is worth an attempt in the log.
    notes: Vec<Note>,
}

/// What became of a request that is not served as it stands.
struct Note {
    request: RequestId,
    outcome: &'static str,
    detail: String,
}

impl Prepared {
    /// The window for the store, whose last block is for the caller to say.
    pub(super) fn window<'a>(&'a self, read: &'a ContractWindow) -> Window<'a> {
        let Self { jobs, refused, changes, .. } = self;
        let (completions, told) = (&read.completions, &read.told);
        Window { jobs, completions, told, changes, refused, to: Epoch(0) }
    }
}

pub(super) fn prepare<W: World>(
    engine: &Engine<W>,
    at: &ContractAt,
    requests: Vec<RequestSeen>,
    window: &ContractWindow,
    now: Now,
) -> Prepared {
    let (mut jobs, mut refused, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    let firsts = firsts(&window.requests);
    for seen in requests {
        let first = firsts.get(seen.transaction.as_str());
        let position = first.map(|first| seen.request.0.saturating_sub(first.0));
        let made = if seen.open {
            job_of(&seen, at, &engine.settings.default_policy, now).map_err(|why| ("refused", why))
        } else {
            Err(("closed", "its owner closed it before it was seen".to_owned()))
        };
        match made {
            Ok((mut job, clamped)) => {
                if !may_be_ours(engine, at, &seen) {
                    not_ours(&mut job);
                }
                job.position = position;
                notes.extend(clamped.into_iter().map(|detail| Note {
                    request: seen.request,
                    outcome: "clamped",
                    detail,
                }));
                jobs.push(job);
            }
            Err((outcome, detail)) => {
                refused.push(ContractEvent::requested(seen.request, &seen.transaction, position, seen.block));
                notes.push(Note { request: seen.request, outcome, detail });
            }
        }
    }
    let changes = changes(engine, window, now, &mut notes);
    Prepared { jobs, refused, changes, notes }
}

/// The first request of each transaction. One call makes requests with consecutive ids, so the others count from it.
fn firsts(requests: &[RequestSeen]) -> BTreeMap<&str, RequestId> {
    let mut firsts = BTreeMap::new();
    for seen in requests.iter().filter(|seen| !seen.transaction.is_empty()) {
        let first = firsts.entry(seen.transaction.as_str()).or_insert(seen.request);
        *first = seen.request.min(*first);
    }
    firsts
}

/// Whether a request whose event is lost may be a registration by this node: it sends those to one contract, from one
/// account. With an event, its transaction tells.
fn may_be_ours<W: World>(engine: &Engine<W>, at: &ContractAt, seen: &RequestSeen) -> bool {
    let here = engine.settings.registers_at().is_some_and(|own| own.address == at.address);
    let account = engine.world.wallet().address(Lane::Evm);
    let told = seen.owner != OwnerId::unknown_at(at.address);
    !seen.transaction.is_empty() || (here && (!told || seen.owner.0.eq_ignore_ascii_case(&account)))
}

fn not_ours(job: &mut NewJob) {
    if let JobSource::Contract { transaction, .. } = &mut job.source {
        NO_TRANSACTION.clone_into(transaction);
    }
}

/// What owners changed or closed, as it stands on the contract at the window's end.
fn changes<W: World>(
    engine: &Engine<W>,
    window: &ContractWindow,
    now: Now,
    notes: &mut Vec<Note>,
) -> Vec<(RequestId, RequestChange)> {
    let mut changes = Vec::with_capacity(window.standing.len());
    for standing in &window.standing {
        let request = standing.request;
        // Over is over, whether it was closed or not.
        if !standing.open || standing.ends_at.is_some_and(|end| end <= now.epoch) {
            changes.push((request, RequestChange::Closed));
            continue;
        }
        match policy_of(standing.raas, standing.ends_at, &engine.settings.default_policy, now) {
            Ok((policy, clamped)) => {
                notes.extend(clamped.into_iter().map(|detail| Note { request, outcome: "clamped", detail }));
                changes.push((request, RequestChange::Policy(Box::new(policy))));
            }
            // What it wanted before still holds: an owner's slip must not end the care for the data.
            Err(detail) => notes.push(Note { request, outcome: "change refused", detail }),
        }
    }
    changes
}

async fn record<W: World>(engine: &Engine<W>, now: Now, at: &ContractAt, note: &Note) -> Result<(), Error> {
    let attempt = Attempt {
        holding: None,
        order: None,
        provider: None,
        what: format!("request {} of {}", note.request, at.address),
        outcome: note.outcome.to_owned(),
        detail: note.detail.clone(),
        at: now.epoch,
        at_unix: now.unix_seconds,
    };
    engine.store.add_attempt(&attempt).await?;
    Ok(())
}

/// A request as a job. Numbers that no policy can have are brought to the nearest that one can, and said so:
/// the request stands on chain and cannot be answered with an error.
fn job_of(
    seen: &RequestSeen,
    at: &ContractAt,
    defaults: &Policy,
    now: Now,
) -> Result<(NewJob, Vec<String>), String> {
    let cid = DataCid::from_contract_bytes(&seen.cid).map_err(|error| error.to_string())?;
    let wished = match seen.asked {
        Asked::Policy(thresholds) => Some(thresholds),
        Asked::Defaults | Asked::Unknown => None,
    };
    let (policy, notes) = policy_of(wished, None, defaults, now)?;
    let job = NewJob {
        owner: seen.owner.clone(),
        cid,
        duties: Duties::ALL,
        policy,
        source: JobSource::Contract {
            contract: at.address,
            request: seen.request,
            transaction: seen.transaction.clone(),
            block: seen.block,
            policy_known: seen.asked != Asked::Unknown,
        },
        on_chain: None,
        position: None,
        at: now.epoch,
        at_unix: now.unix_seconds,
        idempotency_key: None,
    };
    Ok((job, notes))
}

/// The policy of a request and what had to be brought into range.
fn policy_of(
    raas: Option<[u128; 3]>,
    ends_at: Option<Epoch>,
    defaults: &Policy,
    now: Now,
) -> Result<(Policy, Vec<String>), String> {
    let mut policy = defaults.clone();
    let mut notes = Vec::new();
    if let Some([target, repair, renew]) = raas {
        let wished = u32::try_from(target).unwrap_or(u32::MAX);
        let target = wished.clamp(1, REPLICAS_MAX);
        if wished != target {
            notes.push(format!("replication target {wished} became {target}"));
        }
        let margin = defaults.replicas.max - defaults.replicas.target;
        policy.replicas = Replicas {
            min: defaults.replicas.min.min(target),
            target,
            max: target.saturating_add(margin).min(REPLICAS_MAX),
        };
        let epochs =
            |count: u128| Epochs::new(i64::try_from(count).unwrap_or(i64::MAX)).unwrap_or(Epochs::ZERO);
        policy.repair_after = epochs(repair);
        let longest = Epochs::new(policy.duration.get() / 2 - 1).unwrap_or(Epochs::ZERO);
        policy.renew_before = epochs(renew).min(longest);
        if epochs(renew) > longest {
            notes.push(format!("renew threshold {renew} became {longest}, less than half the duration"));
        }
    }
    policy.ends_at = ends_at.or(policy.ends_at);
    let policy = policy.validated(now.epoch).map_err(|error| error.to_string())?;
    Ok((policy, notes))
}
