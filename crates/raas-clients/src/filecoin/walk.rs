//! The walk: a miner's partitions block by block through `ChainReadObj`, which public gateways pass on.
//!
//! Only the head of the actor needs as many voices as must agree. Every block below it is checked against its CID, so
//! one endpoint is enough for it. A deadline whose block did not change is not read again, nor are partitions whose root
//! did not.

use super::partitions::{Listed, members};
use super::wire::Link;
use crate::rle;
use crate::rpc::{Call, CallError, Evidence, Pool, Reply};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest};
use cid::Cid;
use ipld_core::ipld::Ipld;
use raas_core::ids::{ProviderId, SectorNumber};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// blake2b-256, with which the chain's blocks are named.
const BLAKE2B_256: u64 = 0xb220;
/// Where the state of a miner has its deadlines.
const DEADLINES: usize = 12;
/// Where a partition has its sectors.
const SECTORS: usize = 0;
/// Where a partition has its faults.
const FAULTS: usize = 2;
/// Where a partition has its terminated sectors.
const TERMINATED: usize = 4;

/// A partition's sets, as they stand in its state.
#[derive(Clone, Debug, Default)]
struct Partition {
    sectors: Vec<u8>,
    faults: Vec<u8>,
    terminated: Vec<u8>,
}

/// One deadline as it was last read.
#[derive(Clone, Debug)]
struct Deadline {
    block: Cid,
    root: Cid,
    partitions: Vec<Partition>,
}

/// What was read of miners, so that it is not read again.
#[derive(Debug, Default)]
pub(super) struct Walker {
    kept: Mutex<BTreeMap<ProviderId, Vec<Deadline>>>,
}

impl Walker {
    /// Where `wanted`, in order, stand.
    pub(super) async fn read(
        &self,
        pool: &Pool,
        key: &Value,
        provider: ProviderId,
        wanted: &[SectorNumber],
    ) -> Result<Listed, CallError> {
        let due = self.due(pool, key, provider).await?;
        let before = self.take(provider);
        let mut deadlines: Vec<Option<Deadline>> = due
            .iter()
            .enumerate()
            .map(|(at, block)| before.get(at).filter(|kept| kept.block == *block).cloned())
            .collect();
        let new: Vec<(usize, Cid)> = (0..due.len())
            .zip(&due)
            .filter(|(at, _)| matches!(deadlines.get(*at), Some(None)))
            .map(|(at, block)| (at, *block))
            .collect();
        let blocks: Vec<Cid> = new.iter().map(|(_, block)| *block).collect();
        for ((at, block), read) in new.iter().zip(objects(pool, &blocks).await?) {
            let root = link(&read, 0)?;
            let partitions = match before.get(*at).filter(|kept| kept.root == root) {
                Some(kept) => kept.partitions.clone(),
                None => partitions(pool, root).await?,
            };
            if let Some(place) = deadlines.get_mut(*at) {
                *place = Some(Deadline { block: *block, root, partitions });
            }
        }
        let deadlines: Vec<Deadline> = deadlines.into_iter().flatten().collect();
        let listed = deadlines.iter().flat_map(|deadline| &deadline.partitions);
        let listed: Result<Vec<Listed>, CallError> = listed.map(|at| stand(at, wanted)).collect();
        self.keep(provider, deadlines);
        Ok(Listed::join(listed?))
    }

    /// The blocks of the miner's deadlines.
    async fn due(&self, pool: &Pool, key: &Value, provider: ProviderId) -> Result<Vec<Cid>, CallError> {
        #[derive(Clone, PartialEq, Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Actor {
            head: Link,
        }
        let call = Call::new("Filecoin.StateGetActor", vec![json!(provider.to_string()), key.clone()]);
        let actor: Actor = pool.agreed(call).await?;
        let head: Cid = actor.head.cid.parse().map_err(CallError::malformed)?;
        let deadlines = link(&object(pool, head).await?, DEADLINES)?;
        let block = object(pool, deadlines).await?;
        let Some(Ipld::List(due)) = item(&block, 0) else { return Err(not_as_known("deadlines")) };
        due.iter()
            .map(|entry| match entry {
                Ipld::Link(cid) => Ok(*cid),
                _ => Err(not_as_known("deadlines")),
            })
            .collect()
    }

    fn take(&self, provider: ProviderId) -> Vec<Deadline> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(&provider).unwrap_or_default()
    }

    fn keep(&self, provider: ProviderId, deadlines: Vec<Deadline>) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(provider, deadlines);
    }
}

/// The partitions under the array `root`, in order.
async fn partitions(pool: &Pool, root: Cid) -> Result<Vec<Partition>, CallError> {
    let root = object(pool, root).await?;
    // Bit width, height, count, node; without the width in older arrays.
    let Ipld::List(fields) = &root else { return Err(not_as_known("an array")) };
    let Some(node) = fields.last() else { return Err(not_as_known("an array")) };
    let mut found = Vec::new();
    let mut open = vec![node.clone()];
    while let Some(node) = open.pop() {
        let (Some(Ipld::List(links)), Some(Ipld::List(values))) = (item(&node, 1), item(&node, 2)) else {
            return Err(not_as_known("an array's node"));
        };
        for value in values {
            found.push(partition(value)?);
        }
        let links: Result<Vec<Cid>, CallError> = links
            .iter()
            .map(|entry| match entry {
                Ipld::Link(cid) => Ok(*cid),
                _ => Err(not_as_known("an array's node")),
            })
            .collect();
        open.extend(objects(pool, &links?).await?);
    }
    Ok(found)
}

fn partition(value: &Ipld) -> Result<Partition, CallError> {
    let set = |at| match item(value, at) {
        Some(Ipld::Bytes(bytes)) => Ok(bytes.clone()),
        _ => Err(not_as_known("a partition")),
    };
    Ok(Partition { sectors: set(SECTORS)?, faults: set(FAULTS)?, terminated: set(TERMINATED)? })
}

fn stand(partition: &Partition, wanted: &[SectorNumber]) -> Result<Listed, CallError> {
    let among = |set: &[u8], wanted: &[SectorNumber]| -> Result<Vec<SectorNumber>, CallError> {
        Ok(members(&rle::runs(set).map_err(CallError::malformed)?, wanted))
    };
    let all = among(&partition.sectors, wanted)?;
    let terminated = among(&partition.terminated, &all)?;
    let live = all.iter().filter(|sector| terminated.binary_search(sector).is_err()).copied().collect();
    let faulty = among(&partition.faults, &all)?;
    Ok(Listed { all, live, faulty })
}

async fn object(pool: &Pool, cid: Cid) -> Result<Ipld, CallError> {
    let mut objects = objects(pool, &[cid]).await?;
    objects.pop().ok_or_else(|| not_as_known("a block"))
}

/// Blocks, each checked against its CID.
async fn objects(pool: &Pool, cids: &[Cid]) -> Result<Vec<Ipld>, CallError> {
    let calls: Vec<Call> = cids
        .iter()
        .map(|cid| Call::new("Filecoin.ChainReadObj", vec![json!({"/": cid.to_string()})]))
        .collect();
    let read = |at: usize, answer: Result<Reply, Evidence>| {
        let value = answer.map_err(CallError::Evidence)?;
        let text: String = value.read()?;
        let bytes = BASE64.decode(text).map_err(CallError::malformed)?;
        match cids.get(at) {
            Some(cid) if is_block_of(*cid, &bytes) => {
                serde_ipld_dagcbor::from_slice::<Ipld>(&bytes).map_err(CallError::malformed)
            }
            _ => Err(CallError::malformed("a block that is not what its CID says")),
        }
    };
    pool.votes(&calls, read, |_| true).await.into_iter().collect()
}

fn is_block_of(cid: Cid, bytes: &[u8]) -> bool {
    let digest: [u8; 32] = Blake2b::<U32>::digest(bytes).into();
    cid.hash().code() == BLAKE2B_256 && cid.hash().digest() == digest
}

fn item(value: &Ipld, at: usize) -> Option<&Ipld> {
    match value {
        Ipld::List(items) => items.get(at),
        _ => None,
    }
}

fn link(value: &Ipld, at: usize) -> Result<Cid, CallError> {
    match item(value, at) {
        Some(Ipld::Link(cid)) => Ok(*cid),
        _ => Err(not_as_known("a state")),
    }
}

/// A network whose actors are of another make than this program knows: nothing follows from it.
fn not_as_known(what: &str) -> CallError {
    CallError::malformed(format!("{what} is not as this program knows it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rle::pack;

    fn sectors(numbers: &[u64]) -> Vec<SectorNumber> {
        numbers.iter().copied().map(SectorNumber).collect()
    }

    #[test]
    fn a_partitions_sets_tell_who_lives() {
        // {0, 1, 2, 5}, of which 1 is faulty and 2 is terminated.
        let value = Ipld::List(vec![
            Ipld::Bytes(pack("00 1 01 1100 01 0100 1")),
            Ipld::Bytes(Vec::new()),
            Ipld::Bytes(pack("00 0 1 1")),
            Ipld::Bytes(Vec::new()),
            Ipld::Bytes(pack("00 0 01 0100 1")),
        ]);
        let partition = partition(&value).expect("a partition");
        let listed = stand(&partition, &sectors(&[0, 1, 2, 3, 5, 9])).expect("sets");
        let expected =
            Listed { all: sectors(&[0, 1, 2, 5]), live: sectors(&[0, 1, 5]), faulty: sectors(&[1]) };
        assert_eq!(listed, expected);
        assert!(super::partition(&Ipld::List(vec![])).is_err());
    }

    #[test]
    fn a_block_is_believed_only_under_its_own_name() {
        let bytes = serde_ipld_dagcbor::to_vec(&Ipld::List(vec![Ipld::Integer(7)])).expect("CBOR");
        let digest: [u8; 32] = Blake2b::<U32>::digest(&bytes).into();
        let hash = cid::multihash::Multihash::wrap(BLAKE2B_256, &digest).expect("a hash");
        let name = Cid::new_v1(0x71, hash);
        assert!(is_block_of(name, &bytes));
        assert!(!is_block_of(name, b"other"));
    }
}
