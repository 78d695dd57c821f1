//! Trees lower than a unit, and many small payloads at once.

use super::hasher::Hasher;
use super::info::{Commitment, PieceInfo};
use crate::fr32::{self, GROUP_IN};
use crate::sha::{Kernel, Path};
use crate::size::{PaddedSize, SizeError};
use crate::tree::{Node, zero};

/// A payload over this is a tree of its own that fills every call; smaller ones share calls.
const SHARED_BYTES: usize = 16 << 10;
/// Payload hashed together: enough for full calls on every level, small enough to stay in the cache.
const BATCH_BYTES: usize = 128 << 10;

/// The root over a payload that fits the padded size.
pub(super) fn root(kernel: &Kernel, payload: &[u8], padded: PaddedSize) -> Node {
    roots(kernel, &[(payload, padded)]).first().copied().unwrap_or_else(|| zero(padded.height()))
}

/// CommP of many payloads, in their order; neighbouring small ones are hashed together.
///
/// # Errors
/// [`SizeError::PayloadTooLarge`] past the 64-bit sizes; no slice gets there.
pub fn of_each(path: Path, payloads: &[&[u8]]) -> Result<Vec<PieceInfo>, SizeError> {
    let kernel = path.kernel();
    let mut infos = Vec::with_capacity(payloads.len());
    let mut rest = payloads;
    while let Some(first) = rest.first() {
        if first.len() > SHARED_BYTES {
            let mut hasher = Hasher::on(path);
            hasher.update(first);
            infos.push(hasher.finish()?);
            rest = &rest[1..];
            continue;
        }
        let mut bytes = 0;
        let count = rest.iter().take_while(|payload| {
            bytes += payload.len().max(GROUP_IN);
            payload.len() <= SHARED_BYTES && bytes <= BATCH_BYTES
        });
        let (together, later) = rest.split_at(count.count().max(1));
        let sized =
            together.iter().map(|payload| Ok((*payload, PaddedSize::for_payload(payload.len() as u64)?)));
        let sized = sized.collect::<Result<Vec<_>, SizeError>>()?;
        for (root, (payload, _)) in roots(kernel, &sized).into_iter().zip(&sized) {
            let too_large = |_| SizeError::PayloadTooLarge(payload.len() as u64);
            infos.push(PieceInfo::new(Commitment::new(root).map_err(too_large)?, payload.len() as u64)?);
        }
        rest = later;
    }
    Ok(infos)
}

/// The roots of several trees, level by level through all of them. Parts of zeros are not hashed.
fn roots(kernel: &Kernel, payloads: &[(&[u8], PaddedSize)]) -> Vec<Node> {
    // Nodes of all trees one after the other; `counts` says how many are whose.
    let bytes: usize = payloads.iter().map(|(payload, _)| payload.len()).sum();
    let mut nodes: Vec<Node> = Vec::with_capacity(bytes / 31 + 4 * payloads.len());
    let mut counts = Vec::with_capacity(payloads.len());
    for (payload, _) in payloads {
        let before = nodes.len();
        let (groups, rest) = payload.as_chunks::<GROUP_IN>();
        groups.iter().for_each(|group| nodes.extend(fr32::pad_group(group).as_chunks::<32>().0));
        if !rest.is_empty() || groups.is_empty() {
            let mut group = [0; GROUP_IN];
            group[..rest.len()].copy_from_slice(rest);
            nodes.extend(fr32::pad_group(&group).as_chunks::<32>().0);
        }
        counts.push(nodes.len() - before);
    }
    let mut roots = vec![Node::default(); payloads.len()];
    let mut trees: Vec<usize> = (0..payloads.len()).collect();
    let mut level = 0u8;
    while !trees.is_empty() {
        let ready = |&tree: &usize| counts[tree] % 2 == 0 && payloads[tree].1.height() > level;
        if !trees.iter().all(ready) {
            nodes = tidied(&nodes, level, &mut trees, &mut counts, payloads, &mut roots);
        }
        let mut above = vec![Node::default(); nodes.len() / 2];
        kernel.pairs(nodes.as_flattened().as_chunks().0, &mut above);
        trees.iter().for_each(|&tree| counts[tree] /= 2);
        nodes = above;
        level += 1;
    }
    roots
}

/// Takes the roots of trees of this height out, and brings the others to even counts.
fn tidied(
    nodes: &[Node],
    level: u8,
    trees: &mut Vec<usize>,
    counts: &mut [usize],
    payloads: &[(&[u8], PaddedSize)],
    roots: &mut [Node],
) -> Vec<Node> {
    let mut even = Vec::with_capacity(nodes.len() + trees.len());
    let mut rest = nodes;
    trees.retain(|&tree| {
        let (own, later) = rest.split_at(counts[tree]);
        rest = later;
        if payloads[tree].1.height() == level {
            roots[tree] = own[0];
            return false;
        }
        even.extend_from_slice(own);
        if own.len() % 2 == 1 {
            even.push(zero(level));
        }
        counts[tree] = own.len().next_multiple_of(2);
        true
    });
    even
}
