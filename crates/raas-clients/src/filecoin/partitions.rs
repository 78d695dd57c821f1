//! Partitions of a miner: which of its sectors live and which are faulty, all 48 deadlines at one tipset.
//!
//! Good news (all that were asked for live, none is faulty) may come from one endpoint; an exception needs as many
//! voices as must agree. An answer that lacks a deadline is no answer.

use super::walk::Walker;
use super::wire::{key_of_text, or_default};
use crate::rpc::{Call, CallError, Evidence, Pool, Reply};
use raas_core::ids::{ProviderId, SectorNumber};
use raas_core::observation::{LivesSeen, NotSeen, Round};
use serde::Deserialize;
use serde_json::{Value, json};

/// Deadlines of a proving period.
const DEADLINES: u64 = 48;

/// Where the sectors that were asked for stand, each list in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listed {
    /// In some partition, terminated or not.
    pub(super) all: Vec<SectorNumber>,
    /// Not terminated.
    pub(super) live: Vec<SectorNumber>,
    /// Live and faulty.
    pub(super) faulty: Vec<SectorNumber>,
}

impl Listed {
    pub(super) fn join(parts: Vec<Self>) -> Self {
        let mut joined = Self::default();
        for part in parts {
            joined.all.extend(part.all);
            joined.live.extend(part.live);
            joined.faulty.extend(part.faulty);
        }
        for list in [&mut joined.all, &mut joined.live, &mut joined.faulty] {
            list.sort_unstable();
            list.dedup();
        }
        joined
    }

    /// Those of `wanted`, in order, that do not live.
    pub(super) fn missing(&self, wanted: &[SectorNumber]) -> Vec<SectorNumber> {
        let mut missing: Vec<SectorNumber> =
            wanted.iter().filter(|sector| self.live.binary_search(sector).is_err()).copied().collect();
        missing.dedup();
        missing
    }
}

/// Which of `watched`, in order, do not live.
pub(super) async fn lives(
    pool: &Pool,
    walker: &Walker,
    round: &Round,
    provider: ProviderId,
    watched: &[SectorNumber],
) -> LivesSeen {
    let key = key_of_text(&round.tipset);
    match locate(pool, walker, &key, provider, watched, Voices::One).await {
        Ok(listed) if listed.missing(watched).is_empty() => return LivesSeen::All,
        Ok(_) => {}
        Err(error) => return LivesSeen::NotSeen(error.not_seen()),
    }
    match locate(pool, walker, &key, provider, watched, Voices::Agreed).await {
        Ok(listed) => match listed.missing(watched) {
            missing if missing.is_empty() => LivesSeen::All,
            missing => LivesSeen::Except(missing),
        },
        Err(error) => LivesSeen::NotSeen(error.not_seen()),
    }
}

/// Whose answers count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Voices {
    /// One endpoint's: enough for good news.
    One,
    /// As many as must agree.
    Agreed,
}

/// Where `wanted`, in order, stand: by the partitions, or by a walk where these are not offered.
pub(super) async fn locate(
    pool: &Pool,
    walker: &Walker,
    key: &Value,
    provider: ProviderId,
    wanted: &[SectorNumber],
    voices: Voices,
) -> Result<Listed, CallError> {
    match read(pool, key, provider, wanted, voices).await {
        Err(error) if error.not_seen() == NotSeen::NotOffered => {
            walker.read(pool, key, provider, wanted).await
        }
        listed => listed,
    }
}

/// Where `wanted`, in order, stand.
async fn read(
    pool: &Pool,
    key: &Value,
    provider: ProviderId,
    wanted: &[SectorNumber],
    voices: Voices,
) -> Result<Listed, CallError> {
    let calls: Vec<Call> = (0..DEADLINES)
        .map(|deadline| {
            let params = vec![json!(provider.to_string()), json!(deadline), key.clone()];
            Call::new("Filecoin.StateMinerPartitions", params)
        })
        .collect();
    let parse = |_, answer: Result<Reply, Evidence>| listed(&answer.map_err(CallError::Evidence)?, wanted);
    let answers = pool.votes(&calls, parse, |_| voices == Voices::One).await;
    Ok(Listed::join(answers.into_iter().collect::<Result<_, _>>()?))
}

fn listed(value: &Reply, wanted: &[SectorNumber]) -> Result<Listed, CallError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Partition {
        all_sectors: Vec<u64>,
        faulty_sectors: Vec<u64>,
        live_sectors: Vec<u64>,
    }
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Partitions(#[serde(deserialize_with = "or_default")] Vec<Partition>);
    let Partitions(partitions) = value.read()?;
    let parts = partitions.iter().map(|partition| Listed {
        all: members(&partition.all_sectors, wanted),
        live: members(&partition.live_sectors, wanted),
        faulty: members(&partition.faulty_sectors, wanted),
    });
    Ok(Listed::join(parts.collect()))
}

/// Those of `wanted`, which is in order, that are set in a bitfield of run lengths, the first run being of zeros.
pub(super) fn members(runs: &[u64], wanted: &[SectorNumber]) -> Vec<SectorNumber> {
    let mut found = Vec::new();
    let mut rest = wanted;
    let mut end = 0_u64;
    for (position, run) in runs.iter().enumerate() {
        if rest.is_empty() {
            break;
        }
        end = end.saturating_add(*run);
        let (inside, after) = rest.split_at(rest.partition_point(|sector| sector.0 < end));
        if position % 2 == 1 {
            found.extend_from_slice(inside);
        }
        rest = after;
    }
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sectors(numbers: &[u64]) -> Vec<SectorNumber> {
        numbers.iter().copied().map(SectorNumber).collect()
    }

    #[test]
    fn run_lengths_begin_with_zeros() {
        let all = sectors(&[0, 1, 2, 3, 5, 6]);
        assert_eq!(members(&[5, 1], &all), sectors(&[5]));
        assert_eq!(members(&[0], &all), sectors(&[]));
        assert_eq!(members(&[0, 3], &all), sectors(&[0, 1, 2]));
        assert_eq!(members(&[1, 2, 2, 1], &all), sectors(&[1, 2, 5]));
        assert_eq!(members(&[], &all), sectors(&[]));
        assert_eq!(members(&[0, u64::MAX, 5, 5], &sectors(&[7])), sectors(&[7]));
        assert_eq!(members(&[0, 9], &sectors(&[7, 7])), sectors(&[7]), "several deals in one sector");
    }

    #[test]
    fn a_terminated_sector_is_listed_but_not_live() {
        let partition = json!([{"AllSectors": [0, 5], "FaultySectors": [1, 1], "RecoveringSectors": [0],
            "LiveSectors": [0, 2, 1, 2], "ActiveSectors": [0, 1, 2, 2]}]);
        let listed = listed(&partition.into(), &sectors(&[0, 1, 2, 9])).expect("partitions");
        assert_eq!(
            listed,
            Listed { all: sectors(&[0, 1, 2]), live: sectors(&[0, 1]), faulty: sectors(&[1]) }
        );
        assert_eq!(listed.missing(&sectors(&[0, 1, 2, 9])), sectors(&[2, 9]));
        assert_eq!(super::listed(&Reply::default(), &sectors(&[1])), Ok(Listed::default()));
    }
}
