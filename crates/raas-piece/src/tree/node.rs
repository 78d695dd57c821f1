//! One node and its hash.

use std::sync::LazyLock;

/// A tree node, 32 bytes; as a hash its two top bits (of byte 31) are zero.
pub type Node = [u8; 32];

/// The highest level of the zero table: 32 << 63 bytes is past any real tree.
pub const MAX_LEVEL: u8 = 63;

static ZEROS: LazyLock<[Node; MAX_LEVEL as usize + 1]> = LazyLock::new(|| {
    let mut table = [[0u8; 32]; MAX_LEVEL as usize + 1];
    for level in 1..table.len() {
        let below = table[level - 1];
        table[level] = hash(&below, &below);
    }
    table
});

/// The parent of two nodes: SHA-256 of both, cut to 254 bits.
#[must_use]
pub fn hash(left: &Node, right: &Node) -> Node {
    crate::sha::parent_of(left, right)
}

/// The root of 32 << `level` zero bytes. Levels past [`MAX_LEVEL`] give that of [`MAX_LEVEL`]; no tree
/// of this crate reaches it.
#[must_use]
pub fn zero(level: u8) -> Node {
    ZEROS[usize::from(level.min(MAX_LEVEL))]
}

/// The root of a larger tree whose left part is `node` (of height `from`) and whose rest is zero.
/// Heights not above `from` return the node itself.
#[must_use]
pub fn pad_up(node: Node, from: u8, to: u8) -> Node {
    (from..to).fold(node, |left, level| hash(&left, &zero(level)))
}
