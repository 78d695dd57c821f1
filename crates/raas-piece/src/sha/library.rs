//! One message at a time with the crate `sha2`, which knows the SHA instructions of ARMv8, LoongArch and WASM.

use sha2_11::block_api::compress256;

use super::unit::{UNIT_NODES, UNIT_PAYLOAD, Unit};
use super::words::{IV, LAST_WORD_MASK, TAIL};
use crate::fr32::{self, GROUP_IN};
use crate::tree::Node;

fn parent(message: &[u8; 64]) -> [u32; 8] {
    let mut state = IV;
    compress256(&mut state, &[*message, TAIL]);
    state[7] &= LAST_WORD_MASK;
    state
}

/// The parent of two nodes.
pub(crate) fn parent_of(left: &Node, right: &Node) -> Node {
    let mut message = [0; 64];
    message[..32].copy_from_slice(left);
    message[32..].copy_from_slice(right);
    bytes(&parent(&message))
}

fn bytes<const WORDS: usize, const BYTES: usize>(words: &[u32; WORDS]) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    for (four, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *four = word.to_be_bytes();
    }
    bytes
}

pub(super) fn unit_of(payload: &[u8; UNIT_PAYLOAD], out: &mut Unit) {
    let (groups, nodes) = (payload.as_chunks::<GROUP_IN>().0, out.0.as_chunks_mut::<16>().0);
    for (group, two) in groups.iter().zip(nodes) {
        let padded = fr32::pad_group(group);
        for (message, node) in padded.as_chunks::<64>().0.iter().zip(two.as_chunks_mut::<8>().0) {
            *node = parent(message);
        }
    }
}

pub(super) fn parents(left: &Unit, right: &Unit, out: &mut Unit) {
    let children = [left, right].into_iter().flat_map(|unit| unit.0.as_chunks::<16>().0);
    for (words, node) in children.zip(out.0.as_chunks_mut::<8>().0) {
        *node = parent(&bytes(words));
    }
}

pub(super) fn pairs(pairs: &[[u8; 64]], out: &mut [Node]) {
    for (pair, node) in pairs.iter().zip(out) {
        *node = bytes(&parent(pair));
    }
}

pub(super) fn blocks(states: &mut Unit, used: usize, count: usize, messages: &[&[[u8; 64]]; UNIT_NODES]) {
    for (state, message) in states.0.as_chunks_mut::<8>().0.iter_mut().zip(messages).take(used) {
        compress256(state, &message[..count]);
    }
}
