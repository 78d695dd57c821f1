//! One node and its hash.

use std::sync::LazyLock;

/// A tree node, 32 bytes; as a hash its two top bits (of byte 31) are zero.
pub type Node = [u8; 32];

/// The highest level of the zero table: 32 << 63 bytes is past any real tree.
pub const MAX_LEVEL: u8 = 63;

const SHA256_IV: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The second SHA-256 block of every 64-byte message: the end mark and the length 512.
const TAIL: [u8; 64] = {
    let mut block = [0u8; 64];
    block[0] = 0x80;
    block[62] = 0x02;
    block
};

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
    let mut message = [0u8; 64];
    message[..32].copy_from_slice(left);
    message[32..].copy_from_slice(right);
    let mut state = SHA256_IV;
    sha2::compress256(&mut state, &[message.into(), TAIL.into()]);
    let mut node = [0u8; 32];
    for (bytes, word) in node.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    node[31] &= 0x3f;
    node
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
