//! What the hashing paths work on: 32 nodes at once, from 2,032 payload bytes.

use crate::fr32::GROUP_IN;
use crate::tree::Node;

/// Nodes in a [`Unit`].
pub(crate) const UNIT_NODES: usize = 32;
/// Payload bytes under a [`Unit`] of level 1: 16 groups of four leaves.
pub(crate) const UNIT_PAYLOAD: usize = 16 * GROUP_IN;
/// Pairs of leaves that one lane hashes to their root.
pub(super) const LANE_PAIRS: usize = 8;
/// Payload bytes of a lane: four groups. With more, the bytes of all lanes would not stay in the first cache.
pub(super) const LANE_PAYLOAD: usize = LANE_PAIRS / 2 * GROUP_IN;
/// Payload bytes under a [`Unit`] of level [`SPAN_LEVEL`]: those of as many lanes as it has nodes.
pub(crate) const SPAN_PAYLOAD: usize = UNIT_NODES * LANE_PAYLOAD;
/// Height of the roots of the lanes above the leaves.
pub(crate) const SPAN_LEVEL: u8 = UNIT_LEVEL + 3;
const _: () = assert!(LANE_PAIRS == 1 << (SPAN_LEVEL - UNIT_LEVEL));
/// The unit of the lowest level is this high above the leaves.
pub(crate) const UNIT_LEVEL: u8 = 1;
/// Levels between the nodes of a unit and their common root.
pub(crate) const UNIT_HEIGHT: u8 = 5;

/// How the words of 32 nodes lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Node after node.
    Nodes,
    /// All first words, all second words, and so on.
    Words,
}

/// 32 neighbouring nodes of one level as words, in the order of the path that made them; units of different
/// paths must not be mixed.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Unit(pub(super) [u32; 8 * UNIT_NODES]);

impl Unit {
    pub(crate) const EMPTY: Self = Self([0; 8 * UNIT_NODES]);

    pub(super) fn node(&self, order: Order, node: usize) -> Node {
        let mut bytes = [0; 32];
        for (word, four) in bytes.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let at = match order {
                Order::Nodes => 8 * node + word,
                Order::Words => UNIT_NODES * word + node,
            };
            *four = self.0[at].to_be_bytes();
        }
        bytes
    }

    pub(super) fn copy_node(&mut self, order: Order, node: usize, from: &Self) {
        for word in 0..8 {
            let at = match order {
                Order::Nodes => 8 * node + word,
                Order::Words => UNIT_NODES * word + node,
            };
            self.0[at] = from.0[at];
        }
    }

    /// The same node 32 times.
    pub(super) fn filled(order: Order, node: &Node) -> Self {
        let mut unit = Self::EMPTY;
        for (word, four) in node.as_chunks::<4>().0.iter().enumerate() {
            let value = u32::from_be_bytes(*four);
            match order {
                Order::Nodes => unit.0.iter_mut().skip(word).step_by(8).for_each(|at| *at = value),
                Order::Words => unit.0[UNIT_NODES * word..][..UNIT_NODES].fill(value),
            }
        }
        unit
    }
}
