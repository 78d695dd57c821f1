//! A tree known only at some places: subtree roots set at positions, zero everywhere else.
//!
//! Invariant: levels[l] is sorted by index and holds exactly the nodes at or above a placed node.

use super::node::{MAX_LEVEL, Node, zero};
use crate::sha::Path;

/// A subtree root and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Level above the leaves (0 = leaf).
    pub level: u8,
    /// Position among the nodes of its level, from the left.
    pub index: u64,
    /// The root of the subtree.
    pub node: Node,
}

/// Nodes that do not make a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// A node was placed outside the tree.
    #[error("node {index} of level {level} is outside a tree of height {height}")]
    OutOfRange {
        /// Level of the node.
        level: u8,
        /// Its position.
        index: u64,
        /// Height of the tree.
        height: u8,
    },
    /// Two placed subtrees share leaves.
    #[error("node {index} of level {level} is set twice or covers a node that is set")]
    Overlap {
        /// Level of the clash.
        level: u8,
        /// Position of the clash.
        index: u64,
    },
}

/// A tree of `height` levels above its leaves with placed subtrees, computed once, level by level.
#[derive(Debug, Clone)]
pub struct SparseTree {
    levels: Vec<Vec<(u64, Node)>>,
}

impl SparseTree {
    /// Computes the tree over the placed nodes, in any order.
    ///
    /// # Errors
    /// [`TreeError`] for a node outside the tree, and for subtrees that overlap.
    pub fn build(height: u8, placed: &[Placed]) -> Result<Self, TreeError> {
        let mut at_level: Vec<Vec<(u64, Node)>> = vec![Vec::new(); usize::from(height) + 1];
        for &Placed { level, index, node } in placed {
            let above = height.checked_sub(level).filter(|_| height <= MAX_LEVEL);
            let inside = above.is_some_and(|above| index.checked_shr(u32::from(above)).unwrap_or(0) == 0);
            match at_level.get_mut(usize::from(level)) {
                Some(nodes) if inside => nodes.push((index, node)),
                _ => return Err(TreeError::OutOfRange { level, index, height }),
            }
        }
        let mut levels: Vec<Vec<(u64, Node)>> = Vec::with_capacity(at_level.len());
        for (level, mut nodes) in (0u8..).zip(at_level) {
            if let Some(below) = levels.last() {
                nodes.extend(parents(below, level - 1));
            }
            nodes.sort_unstable_by_key(|&(index, _)| index);
            if let Some(pair) = nodes.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                return Err(TreeError::Overlap { level, index: pair[0].0 });
            }
            levels.push(nodes);
        }
        Ok(Self { levels })
    }

    /// Levels above the leaves.
    #[must_use]
    pub fn height(&self) -> u8 {
        u8::try_from(self.levels.len().saturating_sub(1)).unwrap_or(MAX_LEVEL)
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Node {
        self.node(self.height(), 0)
    }

    /// The node at a position. Inside a placed subtree, or where nothing is placed, the zero node.
    #[must_use]
    pub fn node(&self, level: u8, index: u64) -> Node {
        let nodes = self.levels.get(usize::from(level)).map_or(&[][..], |nodes| nodes);
        find(nodes, index).unwrap_or_else(|| zero(level))
    }

    /// The siblings from a position up to the root, bottom first.
    #[must_use]
    pub fn path(&self, level: u8, index: u64) -> Vec<Node> {
        let mut path = Vec::with_capacity(usize::from(self.height().saturating_sub(level)));
        for (above, level) in (level..self.height()).enumerate() {
            path.push(self.node(level, (index >> above) ^ 1));
        }
        path
    }
}

/// The node of an index. Nodes mostly stand in two runs without gaps, those of the pieces from the left and
/// those of the deal's index from the right, so two guesses come before the search.
fn find(nodes: &[(u64, Node)], index: u64) -> Option<Node> {
    let at = |guess: u64| nodes.get(usize::try_from(guess).ok()?).filter(|(found, _)| *found == index);
    let (first, last) = (nodes.first()?.0, nodes.last()?.0);
    let from_left = index.checked_sub(first).and_then(at);
    let from_right = || at((nodes.len() as u64 - 1).checked_sub(last.checked_sub(index)?)?);
    let searched = || nodes.get(nodes.binary_search_by_key(&index, |&(index, _)| index).ok()?);
    from_left.or_else(from_right).or_else(searched).map(|&(_, node)| node)
}

/// The parents of one level's nodes; a missing child is the zero subtree.
fn parents(nodes: &[(u64, Node)], level: u8) -> Vec<(u64, Node)> {
    let empty = zero(level);
    let mut indices = Vec::with_capacity(nodes.len() / 2 + 1);
    let mut messages = Vec::with_capacity(nodes.len() / 2 + 1);
    for siblings in nodes.chunk_by(|a, b| a.0 >> 1 == b.0 >> 1) {
        let (left, right) = match siblings {
            [(_, left), (_, right)] => (left, right),
            [(index, only), ..] if index & 1 == 0 => (only, &empty),
            [(_, only), ..] => (&empty, only),
            [] => continue,
        };
        let mut message = [0; 64];
        message[..32].copy_from_slice(left);
        message[32..].copy_from_slice(right);
        messages.push(message);
        indices.extend(siblings.first().map(|(index, _)| index >> 1));
    }
    indices.into_iter().zip(Path::best().hash_pairs(&messages)).collect()
}
