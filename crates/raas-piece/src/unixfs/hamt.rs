//! Sharded directories: a hash trie of 256-wide shards over the hashes of the names.

use super::dag_pb::{Link, Node};
use super::data::{Data, Kind};
use super::entry::{Entry, ImportError, put_node};
use super::murmur3::murmur3_x64_64;
use super::profile::Profile;
use crate::block::BlockSink;

/// Width of the shards written.
pub(crate) const FANOUT: u64 = 256;
/// Multihash code of murmur3-x64-64.
pub(crate) const MURMUR3_X64_64: u64 = 0x22;
/// Levels of 8 bits in a 64-bit hash.
const MAX_DEPTH: u32 = 8;

/// The hash of a name, its first used bits on top.
pub(crate) fn name_hash(name: &str) -> u64 {
    murmur3_x64_64(name.as_bytes())
}

struct Item<'a> {
    hash: u64,
    link: &'a Link,
}

/// Writes the shards of a directory.
pub(crate) fn build(
    profile: &Profile,
    links: &[Link],
    sink: &mut (impl BlockSink + ?Sized),
) -> Result<Entry, ImportError> {
    let mut items: Vec<Item<'_>> =
        links.iter().map(|link| Item { hash: name_hash(&link.name), link }).collect();
    items.sort_by_key(|item| item.hash);
    shard(profile, &items, 0, sink)
}

const fn slot(hash: u64, depth: u32) -> u8 {
    (hash >> (56 - 8 * depth)) as u8
}

/// One shard over items that agree in their first `depth` bytes of hash, sorted by hash.
fn shard(
    profile: &Profile,
    items: &[Item<'_>],
    depth: u32,
    sink: &mut (impl BlockSink + ?Sized),
) -> Result<Entry, ImportError> {
    if depth >= MAX_DEPTH {
        let name = items.first().map(|item| item.link.name.clone()).unwrap_or_default();
        return Err(ImportError::Collision(name));
    }
    let mut links = Vec::new();
    let mut bits = [0u8; FANOUT as usize / 8];
    for group in items.chunk_by(|a, b| slot(a.hash, depth) == slot(b.hash, depth)) {
        let Some(first) = group.first() else { continue };
        let slot = slot(first.hash, depth);
        bits[bits.len() - 1 - usize::from(slot / 8)] |= 1 << (slot % 8);
        links.push(match group {
            [one] => Link { name: format!("{slot:02X}{}", one.link.name), ..*one.link },
            several => shard(profile, several, depth + 1, sink)?.link(format!("{slot:02X}")),
        });
    }
    let from = bits.iter().position(|&byte| byte != 0).unwrap_or(bits.len());
    let data = Data {
        bytes: Some(bits[from..].to_vec()),
        hash_type: Some(MURMUR3_X64_64),
        fanout: Some(FANOUT),
        ..Data::new(Kind::HamtShard)
    };
    let below: u64 = links.iter().map(|link| link.tsize).sum();
    let (cid, own) = put_node(profile, &Node { links, data: Some(data.encode()) }, sink)?;
    Ok(Entry { cid, dag_bytes: own + below, content_bytes: 0 })
}
