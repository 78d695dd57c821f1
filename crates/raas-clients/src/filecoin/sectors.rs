//! Sectors of miner actors: whether they are live, faulty or dead at the round's tipset.
//!
//! One count clears a whole provider. Only where it does not are faults asked for: through the faults bitfield, else
//! the partitions, else sector by sector through the actor's own methods (FIP-0112), which public gateways pass on too.

use super::partitions::{self, Voices, members};
use super::status::{Locations, Status, statuses};
use super::walk::Walker;
use super::wire::key_of_text;
use crate::rpc::{Call, CallError, Evidence, Pool, Reply};
use raas_core::ids::{ProviderId, SectorNumber};
use raas_core::observation::{NotSeen, ProviderSeen, Round, SectorSeen};
use raas_core::units::Epoch;
use serde::Deserialize;
use serde_json::{Value, json};

/// SYS_INVALID_RECEIVER: there is no such actor to call.
const EXIT_NO_RECEIVER: i64 = 5;
/// A sector faulty for this many epochs is terminated: fault start = early expiration - this.
const FAULT_MAX_AGE: i64 = 120_960;
/// Sectors of one provider that are asked for singly in one round.
const SINGLY: usize = 1_000;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Count {
    Sectors { live: u64, faulty: u64 },
    NoMiner,
}

impl Count {
    /// Whether nothing is wrong with a miner of which `watched` sectors are known.
    fn is_clear(&self, watched: usize) -> bool {
        matches!(self, Self::Sectors { live, faulty: 0 } if *live >= watched as u64)
    }
}

/// Faults of `provider` among `watched`, which is in order and names each once. Those of `known` that are still faulty are
/// not asked again since when. A miner with fewer live sectors than are watched there has lost some: these are told, too.
pub(super) async fn provider_seen(
    pool: &Pool,
    (walker, locations): (&Walker, &Locations),
    round: &Round,
    provider: ProviderId,
    watched: &[SectorNumber],
    known: &[SectorNumber],
) -> ProviderSeen {
    let key = key_of_text(&round.tipset);
    let count = match count(pool, &key, provider, watched.len()).await {
        Ok(count) if count.is_clear(watched.len()) => return ProviderSeen::Clear,
        Ok(Count::Sectors { live, faulty }) => (live, faulty),
        Ok(Count::NoMiner) => {
            return ProviderSeen::Except(watched.iter().map(|at| (*at, SectorSeen::Dead)).collect());
        }
        Err(error) => return ProviderSeen::NotSeen(error.not_seen()),
    };
    let (live, faulty) = count;
    let seen = match faulty {
        0 => ProviderSeen::Clear,
        _ => faults_seen(pool, (walker, locations), &key, provider, watched, known).await,
    };
    if live >= watched.len() as u64 {
        return seen;
    }
    // Where this cannot be read, the sweep over what lives will.
    let Ok(listed) = partitions::locate(pool, walker, &key, provider, watched, Voices::Agreed).await else {
        return seen;
    };
    let dead = listed.missing(watched).into_iter().map(|at| (at, SectorSeen::Dead));
    match seen {
        ProviderSeen::Clear => ProviderSeen::Except(dead.collect()),
        ProviderSeen::Except(rows) => ProviderSeen::Except(rows.into_iter().chain(dead).collect()),
        ProviderSeen::NotSeen(reason) => ProviderSeen::NotSeen(reason),
    }
}

async fn faults_seen(
    pool: &Pool,
    (walker, locations): (&Walker, &Locations),
    key: &Value,
    provider: ProviderId,
    watched: &[SectorNumber],
    known: &[SectorNumber],
) -> ProviderSeen {
    match faults(pool, walker, key, provider, watched).await {
        Ok(faulty) => {
            let new: Vec<SectorNumber> =
                faulty.iter().filter(|at| known.binary_search(at).is_err()).copied().collect();
            let mut since = since_each(pool, key, provider, &new).await.into_iter();
            let rows = faulty.into_iter().map(|at| {
                let since = if known.binary_search(&at).is_err() { since.next().flatten() } else { None };
                (at, SectorSeen::Faulty { since })
            });
            ProviderSeen::Except(rows.collect())
        }
        Err(error) if error.not_seen() == NotSeen::NotOffered => {
            let rows = watched.iter().zip(singly(pool, locations, key, provider, watched).await);
            let rows = rows.filter(|(_, seen)| *seen != SectorSeen::Live);
            ProviderSeen::Except(rows.map(|(at, seen)| (*at, seen)).collect())
        }
        Err(error) => ProviderSeen::NotSeen(error.not_seen()),
    }
}

/// Sectors singly, one answer each.
pub(super) async fn sectors(
    pool: &Pool,
    (walker, locations): (&Walker, &Locations),
    round: &Round,
    provider: ProviderId,
    sectors: &[SectorNumber],
) -> Vec<SectorSeen> {
    let key = key_of_text(&round.tipset);
    let mut seen = Vec::with_capacity(sectors.len());
    for page in sectors.chunks(SINGLY) {
        seen.extend(singly(pool, locations, &key, provider, page).await);
    }
    let not_offered = SectorSeen::NotSeen(NotSeen::NotOffered);
    if seen.contains(&not_offered) {
        let listed = listed(pool, walker, &key, provider, sectors).await;
        seen = seen
            .into_iter()
            .zip(listed)
            .map(|(seen, listed)| if seen == not_offered { listed } else { seen })
            .collect();
    }
    seen
}

/// What one endpoint says is enough where nothing is wrong with a miner of which `watched` sectors are known.
async fn count(pool: &Pool, key: &Value, provider: ProviderId, watched: usize) -> Result<Count, CallError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Sectors {
        live: u64,
        faulty: u64,
    }
    let call = on_miner("Filecoin.StateMinerSectorCount", provider, None, key);
    let read = |_, answer: Result<Reply, Evidence>| match answer {
        Ok(value) => value.read::<Sectors>().map(|Sectors { live, faulty }| Count::Sectors { live, faulty }),
        Err(Evidence::ActorNotFound) => Ok(Count::NoMiner),
        Err(evidence) => Err(CallError::Evidence(evidence)),
    };
    one(pool.votes(&[call], read, |count| count.is_clear(watched)).await)
}

/// Which of `watched` are faulty, by the faults bitfield or the partitions.
async fn faults(
    pool: &Pool,
    walker: &Walker,
    key: &Value,
    provider: ProviderId,
    watched: &[SectorNumber],
) -> Result<Vec<SectorNumber>, CallError> {
    let call = on_miner("Filecoin.StateMinerFaults", provider, None, key);
    let read = |_, answer: Result<Reply, Evidence>| {
        let runs: Vec<u64> = answer.map_err(CallError::Evidence)?.read()?;
        Ok(members(&runs, watched))
    };
    match one(pool.votes(&[call], read, |_| false).await) {
        Err(error) if error.not_seen() == NotSeen::NotOffered => {
            let listed = partitions::locate(pool, walker, key, provider, watched, Voices::Agreed).await?;
            Ok(listed.faulty)
        }
        faulty => faulty,
    }
}

/// Since when each of `faulty` is faulty, where the endpoint tells. Beyond the first thousand it is not asked.
async fn since_each(
    pool: &Pool,
    key: &Value,
    provider: ProviderId,
    faulty: &[SectorNumber],
) -> Vec<Option<Epoch>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Expiration {
        early: i64,
    }
    let calls: Vec<Call> = faulty
        .iter()
        .take(SINGLY)
        .map(|at| on_miner("Filecoin.StateSectorExpiration", provider, Some(*at), key))
        .collect();
    let read = |_, answer: Result<Reply, Evidence>| {
        let value = answer.map_err(CallError::Evidence)?;
        value.read::<Expiration>().map(|found| found.early)
    };
    let answers = pool.votes(&calls, read, |_| false).await;
    let since = answers.into_iter().map(|early| match early {
        Ok(early) if early > 0 => Some(Epoch(early.saturating_sub(FAULT_MAX_AGE))),
        _ => None,
    });
    since.chain(std::iter::repeat(None)).take(faulty.len()).collect()
}

/// The actor's own word on each sector.
async fn singly(
    pool: &Pool,
    locations: &Locations,
    key: &Value,
    provider: ProviderId,
    sectors: &[SectorNumber],
) -> Vec<SectorSeen> {
    let asked = sectors.get(..SINGLY).unwrap_or(sectors);
    let answers = statuses(pool, locations, key, provider, asked).await;
    let faulty: Vec<SectorNumber> = sectors
        .iter()
        .zip(&answers)
        .filter(|(_, answer)| matches!(answer, Ok(Status::Faulty)))
        .map(|(at, _)| *at)
        .collect();
    let mut since = since_each(pool, key, provider, &faulty).await.into_iter();
    let mut no_miner = None;
    let mut seen = Vec::with_capacity(sectors.len());
    for answer in answers {
        seen.push(match answer {
            Ok(Status::Dead) => SectorSeen::Dead,
            Ok(Status::Active) => SectorSeen::Live,
            Ok(Status::Faulty) => SectorSeen::Faulty { since: since.next().flatten() },
            Ok(Status::Exit(EXIT_NO_RECEIVER)) => {
                let gone = match no_miner {
                    Some(gone) => gone,
                    None => {
                        *no_miner.insert(matches!(count(pool, key, provider, 0).await, Ok(Count::NoMiner)))
                    }
                };
                if gone { SectorSeen::Dead } else { SectorSeen::NotSeen(NotSeen::Contradiction) }
            }
            // A network before FIP-0112 has no such method.
            Ok(Status::Exit(_)) => SectorSeen::NotSeen(NotSeen::NotOffered),
            Err(error) => SectorSeen::NotSeen(error.not_seen()),
        });
    }
    seen.resize(sectors.len(), SectorSeen::NotSeen(NotSeen::NotAsked));
    seen
}

/// Through the partitions, for networks and nodes without the actor's methods.
async fn listed(
    pool: &Pool,
    walker: &Walker,
    key: &Value,
    provider: ProviderId,
    wanted: &[SectorNumber],
) -> Vec<SectorSeen> {
    let mut sorted = wanted.to_vec();
    sorted.sort_unstable();
    let listed = match partitions::locate(pool, walker, key, provider, &sorted, Voices::Agreed).await {
        Ok(listed) => listed,
        Err(error) => return vec![SectorSeen::NotSeen(error.not_seen()); wanted.len()],
    };
    let mut since = since_each(pool, key, provider, &listed.faulty).await;
    since.resize(listed.faulty.len(), None);
    let mut seen = Vec::with_capacity(wanted.len());
    for sector in wanted {
        let has = |list: &[SectorNumber]| list.binary_search(sector).is_ok();
        seen.push(if let Ok(at) = listed.faulty.binary_search(sector) {
            SectorSeen::Faulty { since: since.get(at).copied().flatten() }
        } else if has(&listed.live) {
            SectorSeen::Live
        } else if has(&listed.all) {
            SectorSeen::Dead
        } else {
            unlisted(pool, key, provider, *sector).await
        });
    }
    seen
}

/// Compaction drops a terminated sector from the partitions and from the sectors alike.
async fn unlisted(pool: &Pool, key: &Value, provider: ProviderId, sector: SectorNumber) -> SectorSeen {
    let info = on_miner("Filecoin.StateSectorGetInfo", provider, Some(sector), key);
    match pool.agreed::<Value>(info).await {
        Ok(Value::Null) => SectorSeen::Dead,
        Ok(_) => SectorSeen::NotSeen(NotSeen::Contradiction),
        Err(error) => SectorSeen::NotSeen(error.not_seen()),
    }
}

/// A call about a miner, or about one of its sectors, at the tipset `key`.
pub(super) fn on_miner(
    method: &'static str,
    provider: ProviderId,
    sector: Option<SectorNumber>,
    key: &Value,
) -> Call {
    let mut params = vec![json!(provider.to_string())];
    params.extend(sector.map(|sector| json!(sector.0)));
    params.push(key.clone());
    Call::new(method, params)
}

fn one<T>(mut answers: Vec<Result<T, CallError>>) -> Result<T, CallError> {
    answers.pop().unwrap_or_else(|| Err(CallError::malformed("no answer")))
}
