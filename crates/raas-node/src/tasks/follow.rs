//! Follow: reads the contract's events up to the finalized block, each exactly once, and turns requests into
//! jobs in the transaction that moves the cursor.

use crate::engine::{Engine, Error};
use crate::failpoint;
use crate::settings::ContractAt;
use crate::store::{Attempt, JobSource, NewJob};
use crate::world::World;
use raas_core::cid::DataCid;
use raas_core::machine::cursor::{self, Effect, Event, State};
use raas_core::observation::Round;
use raas_core::policy::{Duties, Policy, REPLICAS_MAX, Replicas};
use raas_core::ports::{Contract, ContractWindow, Now, RequestSeen};
use raas_core::units::{Epoch, Epochs};

/// Blocks asked for at once; below every endpoint's known limit.
const WINDOW_BLOCKS: i64 = 2_000;
/// Windows read in one pass, so that catching up does not starve the rest of the loop.
const WINDOWS_PER_PASS: u32 = 50;

/// What following did.
#[derive(Debug, Default)]
pub struct Followed {
    /// Whether a job or a completion was applied.
    pub changed: bool,
    /// Why it went no further, if so.
    pub waits: Option<String>,
}

/// Reads windows until the finalized block, or until one cannot be believed.
pub async fn follow<W: World>(engine: &Engine<W>, round: &Round, now: Now) -> Result<Followed, Error> {
    let mut followed = Followed::default();
    let (Some(contract), Some(at)) = (engine.world.contract(), &engine.settings.contract) else {
        return Ok(followed);
    };
    let mut state = cursor_of(engine, at).await?;
    for _ in 0..WINDOWS_PER_PASS {
        if state.next_block > round.eth_block {
            return Ok(followed);
        }
        let (from, to) =
            (state.next_block, Epoch((state.next_block.0 + WINDOW_BLOCKS - 1).min(round.eth_block.0)));
        let read = failpoint::around("follow.window", contract.window(from, to)).await;
        let window = match read {
            Ok(window) => window,
            Err(why) => {
                followed.waits = Some(format!("events of blocks {from} to {to} could not be read: {why:?}"));
                return Ok(followed);
            }
        };
        match believe(state, from, to, &window)? {
            Ok((after, requests)) => {
                let changed = !requests.is_empty() || !window.completions.is_empty();
                apply(engine, at, after, requests, &window, now).await?;
                followed.changed |= changed;
                state = after;
            }
            Err(doubt) => {
                followed.waits = Some(doubt);
                return Ok(followed);
            }
        }
    }
    followed.changed = true;
    Ok(followed)
}

async fn cursor_of<W: World>(engine: &Engine<W>, at: &ContractAt) -> Result<State, Error> {
    match engine.store.cursor(&at.address).await? {
        Some(stored) => serde_json::from_value(stored)
            .map_err(|error| Error::Unreadable { what: "event cursor", why: error.to_string() }),
        None => Ok(State { next_block: at.from_block, highest_request: 0 }),
    }
}

/// A cursor and the requests it newly covers, or why the answer is not believed.
type Believed = Result<(State, Vec<RequestSeen>), String>;

fn believe(state: State, from: Epoch, to: Epoch, window: &ContractWindow) -> Result<Believed, Error> {
    let event = Event::WindowRead {
        from,
        to,
        request_count_at_to: window.request_count,
        events: window.requests.iter().map(|seen| (seen.request, seen.clone())).collect(),
    };
    let (after, effects) = cursor::next(&state, &event)
        .map_err(|error| Error::Unreadable { what: "event cursor", why: error.to_string() })?;
    let mut requests = Vec::new();
    for effect in effects {
        match effect {
            Effect::Apply(_, seen) => requests.push(seen),
            Effect::Reread { why, .. } => {
                return Ok(Err(format!("events of blocks {from} to {to} are not believed: {why}")));
            }
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
    let mut jobs = Vec::new();
    for seen in requests {
        match job_of(&seen, at, &engine.settings.default_policy, now) {
            Ok((job, notes)) => {
                for note in notes {
                    record(engine, now, &seen, "clamped", &note).await?;
                }
                jobs.push(job);
            }
            Err(why) => record(engine, now, &seen, "refused", &why).await?,
        }
    }
    let cursor = serde_json::to_value(after)
        .map_err(|error| Error::Unreadable { what: "event cursor", why: error.to_string() })?;
    failpoint::around(
        "follow.apply",
        engine.store.apply_window(&at.address, &cursor, &jobs, &window.completions),
    )
    .await?;
    Ok(())
}

async fn record<W: World>(
    engine: &Engine<W>,
    now: Now,
    seen: &RequestSeen,
    outcome: &str,
    detail: &str,
) -> Result<(), Error> {
    let attempt = Attempt {
        holding: None,
        order: None,
        provider: None,
        what: format!("request {}", seen.request),
        outcome: outcome.to_owned(),
        detail: detail.to_owned(),
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
    let mut policy = defaults.clone();
    let mut notes = Vec::new();
    if let Some([target, repair, renew]) = seen.raas {
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
    let policy = policy.validated(now.epoch).map_err(|error| error.to_string())?;
    let job = NewJob {
        owner: seen.owner.clone(),
        cid,
        duties: Duties::ALL,
        policy,
        source: JobSource::Contract {
            contract: at.address.clone(),
            request: seen.request,
            transaction: seen.transaction.clone(),
            block: seen.block,
        },
        on_chain: None,
        at: now.epoch,
        at_unix: now.unix_seconds,
        idempotency_key: None,
    };
    Ok((job, notes))
}
