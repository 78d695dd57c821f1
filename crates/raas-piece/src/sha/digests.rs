//! SHA-256 of several messages of any length side by side.

use super::path::{Kernel, Path};
use super::unit::{UNIT_NODES, Unit};
use super::words::IV;

impl Path {
    /// The SHA-256 of each message, in their order. Fastest when neighbours in length are many: messages are
    /// taken 32 at a time, longest first.
    #[must_use]
    pub fn digests(self, messages: &[&[u8]]) -> Vec<[u8; 32]> {
        let kernel = self.kernel();
        let mut order: Vec<usize> = (0..messages.len()).collect();
        order.sort_by_key(|&at| std::cmp::Reverse(messages.get(at).map_or(0, |message| message.len() / 64)));
        let mut digests = vec![[0; 32]; messages.len()];
        for chosen in order.chunks(UNIT_NODES) {
            let mut lanes: [&[u8]; UNIT_NODES] = [&[]; UNIT_NODES];
            for (lane, &at) in lanes.iter_mut().zip(chosen) {
                *lane = messages[at];
            }
            let done = kernel.digests(&lanes, chosen.len());
            for (lane, &at) in chosen.iter().enumerate() {
                digests[at] = done.node(kernel.order, lane);
            }
        }
        digests
    }
}

impl Kernel {
    /// The final states of the first `used` messages, which are sorted by whole blocks, most first.
    fn digests(&self, messages: &[&[u8]; UNIT_NODES], used: usize) -> Unit {
        let mut iv = [0; 32];
        for (four, word) in iv.as_chunks_mut::<4>().0.iter_mut().zip(IV) {
            *four = word.to_be_bytes();
        }
        let mut states = Unit::filled(self.order, &iv);
        let mut rest: [&[[u8; 64]]; UNIT_NODES] = messages.map(|message| message.as_chunks().0);
        let mut running = used;
        while running > 0 {
            let count = rest[running - 1].len();
            if count > 0 {
                let before = states;
                (self.blocks)(&mut states, running, count, &rest);
                // A path may write more lanes than it was asked for: those that are done keep their states.
                (running..used).for_each(|lane| states.copy_node(self.order, lane, &before));
                rest[..running].iter_mut().for_each(|blocks| *blocks = &blocks[count..]);
            }
            running = rest[..running].partition_point(|blocks| !blocks.is_empty());
        }
        let ends = messages.map(end);
        if ends[..used].iter().any(|end| end.two) {
            // The end mark did not fit the last block of some: these take one block more than the others.
            let mut longer = states;
            (self.blocks)(&mut longer, used, 1, &std::array::from_fn(|lane| &ends[lane].blocks[..1]));
            for lane in (0..used).filter(|&lane| ends[lane].two) {
                states.copy_node(self.order, lane, &longer);
            }
        }
        (self.blocks)(&mut states, used, 1, &std::array::from_fn(|lane| &ends[lane].blocks[1..]));
        states
    }
}

/// What follows the whole blocks of a message; the second block is always the last.
struct End {
    blocks: [[u8; 64]; 2],
    two: bool,
}

fn end(message: &[u8]) -> End {
    let rest = message.as_chunks::<64>().1;
    let two = rest.len() >= 56;
    let mut blocks = [[0; 64]; 2];
    let first = if two { 0 } else { 64 };
    let bytes = blocks.as_flattened_mut();
    bytes[first..first + rest.len()].copy_from_slice(rest);
    bytes[first + rest.len()] = 0x80;
    bytes[120..].copy_from_slice(&(8 * message.len() as u64).to_be_bytes());
    End { blocks, two }
}
