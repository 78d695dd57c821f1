//! Following a path through directories, sharded or not.

use ::cid::Cid;

use super::hamt::name_hash;
use super::node::{ReadError, Shard, UnixNode, slot_of};
use crate::block::Blocks;

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The target.
    pub cid: Cid,
    /// The blocks it was resolved through, the root first, without the target: what a client needs to
    /// check the path.
    pub via: Vec<Cid>,
    /// What the path and each beginning of it name: the root, then one for each name. The last is the target.
    pub named: Vec<Cid>,
}

/// Follows a path like `a/b/c` (slashes at either end are ignored; the empty path is the root itself).
/// Symbolic links are not followed.
///
/// # Errors
/// [`ReadError::NotFound`] for a name that is not there, [`ReadError::NotA`] for a way through a file.
pub fn resolve<B: Blocks + ?Sized>(blocks: &B, root: &Cid, path: &str) -> Result<Resolved, ReadError> {
    let mut at = Resolved { cid: *root, via: Vec::new(), named: vec![*root] };
    for name in path.split('/').filter(|part| !part.is_empty()) {
        let directory = at.cid;
        at.via.push(directory);
        let found = match UnixNode::load(blocks, &directory)? {
            UnixNode::Directory(links) => {
                links.into_iter().find(|link| link.name == name).map(|link| link.cid)
            }
            UnixNode::Shard(shard) => find_in_shards(blocks, shard, name, &mut at.via)?,
            other => {
                let found = other.describe();
                return Err(ReadError::NotA { cid: Box::new(directory), found, wanted: "a directory" });
            }
        };
        at.cid = found
            .ok_or_else(|| ReadError::NotFound { directory: Box::new(directory), name: name.to_owned() })?;
        at.named.push(at.cid);
    }
    Ok(at)
}

/// Goes down the shards by the name's hash; each level uses up some of its 64 bits, so it ends.
fn find_in_shards<B: Blocks + ?Sized>(
    blocks: &B,
    mut shard: Shard,
    name: &str,
    via: &mut Vec<Cid>,
) -> Result<Option<Cid>, ReadError> {
    let mut hash = name_hash(name);
    let mut left = u64::BITS;
    loop {
        let Shard { links, bits, prefix_len } = shard;
        if left < bits {
            return Ok(None);
        }
        let slot = hash >> (u64::BITS - bits);
        (hash, left) = (hash << bits, left - bits);
        let in_slot = links.into_iter().filter(|link| slot_of(link, prefix_len) == Some(slot));
        let mut below = None;
        for link in in_slot {
            match link.name.get(prefix_len..) {
                Some("") => below = Some(link.cid),
                Some(rest) if rest == name => return Ok(Some(link.cid)),
                _ => {}
            }
        }
        let Some(cid) = below else { return Ok(None) };
        via.push(cid);
        shard = match UnixNode::load(blocks, &cid)? {
            UnixNode::Shard(shard) => shard,
            other => {
                let found = other.describe();
                return Err(ReadError::NotA { cid: Box::new(cid), found, wanted: "a shard" });
            }
        };
    }
}
