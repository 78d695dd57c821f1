//! The entries of a directory, sharded or not.

use ::cid::Cid;

use super::dag_pb::Link;
use super::node::{ReadError, UnixNode};
use crate::block::Blocks;

/// Levels of shards in a 64-bit hash at the narrowest width (3 bits).
const MAX_SHARD_DEPTH: usize = 22;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// Its name, as stored; check it with [`super::check_name`] before it becomes a path.
    pub name: String,
    /// Its root.
    pub cid: Cid,
    /// Bytes of its DAG, as the writer claims.
    pub dag_bytes: u64,
}

/// Lists a directory, sorted by name bytes.
///
/// # Errors
/// [`ReadError::NotA`] for anything but a directory; [`ReadError::Limit`] past `max_entries` entries or
/// as many shards, so that a directory that links to itself many times over cannot keep the reader busy.
pub fn list<B: Blocks + ?Sized>(blocks: &B, cid: &Cid, max_entries: u64) -> Result<Vec<DirEntry>, ReadError> {
    let mut entries: Vec<DirEntry> = Vec::new();
    let mut shards = 0u64;
    let mut todo = vec![(*cid, 0usize)];
    while let Some((at, depth)) = todo.pop() {
        match UnixNode::load(blocks, &at)? {
            UnixNode::Directory(links) if depth == 0 => {
                check_count(links.len(), max_entries)?;
                entries.extend(links.into_iter().map(|link| entry(link, 0)));
            }
            UnixNode::Shard(shard) => {
                shards += 1;
                if depth > MAX_SHARD_DEPTH || shards > max_entries.max(1) {
                    return Err(ReadError::Limit { what: "shards", limit: max_entries });
                }
                for link in shard.links {
                    if link.name.len() == shard.prefix_len {
                        todo.push((link.cid, depth + 1));
                    } else {
                        entries.push(entry(link, shard.prefix_len));
                    }
                }
                check_count(entries.len(), max_entries)?;
            }
            other => {
                let wanted = if depth == 0 { "a directory" } else { "a shard" };
                return Err(ReadError::NotA { cid: Box::new(at), found: other.describe(), wanted });
            }
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

fn entry(link: Link, prefix_len: usize) -> DirEntry {
    let name = link.name.get(prefix_len..).unwrap_or_default().to_owned();
    DirEntry { name, cid: link.cid, dag_bytes: link.tsize }
}

fn check_count(count: usize, max_entries: u64) -> Result<(), ReadError> {
    if count as u64 > max_entries {
        return Err(ReadError::Limit { what: "entries", limit: max_entries });
    }
    Ok(())
}
