//! Which way hashes are computed on this machine.

use std::sync::LazyLock;

use super::unit::{LANE_PAIRS, Order, SPAN_PAYLOAD, UNIT_NODES, UNIT_PAYLOAD, Unit};
use super::{library, portable};
use crate::tree::Node;

/// A way to compute SHA-256. All give the same hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Path {
    /// 32 messages at once with AVX-512.
    Avx512,
    /// Four at once with the SHA extensions of x86.
    ShaNi,
    /// Eight at once with AVX2.
    Avx2,
    /// One after the other with the crate `sha2`: the SHA instructions of ARMv8 and others.
    Library,
    /// Eight at once in plain code: what the others are compared with.
    Portable,
}

static BEST: LazyLock<Path> =
    LazyLock::new(|| Path::ALL.into_iter().find(Path::is_available).unwrap_or(Path::Library));

impl Path {
    /// All of them, the fastest first.
    pub const ALL: [Self; 5] = [Self::Avx512, Self::ShaNi, Self::Avx2, Self::Library, Self::Portable];

    /// The fastest on this machine.
    #[must_use]
    pub fn best() -> Self {
        *BEST
    }

    /// Whether this machine can take it.
    #[must_use]
    pub fn is_available(&self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw"),
            #[cfg(target_arch = "x86_64")]
            Self::ShaNi => {
                is_x86_feature_detected!("sha")
                    && is_x86_feature_detected!("sse4.1")
                    && is_x86_feature_detected!("ssse3")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx512 | Self::ShaNi | Self::Avx2 => false,
            Self::Library | Self::Portable => true,
        }
    }

    /// Name for users and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::ShaNi => "sha-ni",
            Self::Avx2 => "avx2",
            Self::Library => "library",
            Self::Portable => "portable",
        }
    }

    /// How many long messages side by side are worth waiting for.
    pub(crate) const fn streams(self) -> usize {
        match self {
            Self::Avx512 => 32,
            Self::Avx2 | Self::Portable => 8,
            Self::ShaNi => 4,
            Self::Library => 1,
        }
    }

    /// The tree node over each pair of nodes: SHA-256 of 64 bytes, cut to 254 bits.
    #[must_use]
    pub fn hash_pairs(self, pairs: &[[u8; 64]]) -> Vec<Node> {
        let mut nodes = vec![Node::default(); pairs.len()];
        self.kernel().pairs(pairs, &mut nodes);
        nodes
    }

    pub(crate) fn kernel(self) -> &'static Kernel {
        match self {
            #[cfg(target_arch = "x86_64")]
            path if x86::of(path).is_some() && path.is_available() => x86::of(path).unwrap_or(&LIBRARY),
            Self::Portable => &PORTABLE,
            _ => &LIBRARY,
        }
    }
}

/// Takes so many blocks of the first so many messages into their states.
type Blocks = fn(&mut Unit, usize, usize, &[&[[u8; 64]]; UNIT_NODES]);

/// Makes the units over spans of payload.
type Spans = fn(&Kernel, &[[u8; SPAN_PAYLOAD]], &mut [Unit]);

/// The functions of a path. Units go only to the functions of the path that made them.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub(super) order: Order,
    unit_of: fn(&[u8; UNIT_PAYLOAD], &mut Unit),
    parents: fn(&Unit, &Unit, &mut Unit),
    spans: Spans,
    pairs: fn(&[[u8; 64]], &mut [Node]),
    pub(super) blocks: Blocks,
}

impl Kernel {
    /// The 32 nodes of level 1 over 2,032 payload bytes.
    pub(crate) fn unit_of(&self, payload: &[u8; UNIT_PAYLOAD]) -> Unit {
        let mut unit = Unit::EMPTY;
        (self.unit_of)(payload, &mut unit);
        unit
    }

    /// The 32 nodes of level 4 over each 16,256 payload bytes: as many as both slices have.
    pub(crate) fn spans(&self, payload: &[[u8; SPAN_PAYLOAD]], out: &mut [Unit]) {
        let count = payload.len().min(out.len());
        (self.spans)(self, &payload[..count], &mut out[..count]);
    }

    /// The 32 parents of 64 neighbouring nodes.
    pub(crate) fn parents(&self, left: &Unit, right: &Unit) -> Unit {
        let mut unit = Unit::EMPTY;
        (self.parents)(left, right, &mut unit);
        unit
    }

    /// The parents of pairs of nodes: as many as both slices have.
    pub(crate) fn pairs(&self, pairs: &[[u8; 64]], out: &mut [Node]) {
        let count = pairs.len().min(out.len());
        (self.pairs)(&pairs[..count], &mut out[..count]);
    }

    /// A unit of equal nodes.
    pub(crate) fn filled(&self, node: &Node) -> Unit {
        Unit::filled(self.order, node)
    }

    /// The nodes of a unit.
    pub(crate) fn nodes(&self, unit: &Unit) -> [Node; UNIT_NODES] {
        std::array::from_fn(|node| unit.node(self.order, node))
    }

    /// The common root of a unit's nodes.
    pub(crate) fn root(&self, unit: &Unit) -> Node {
        let mut nodes = self.nodes(unit);
        let mut count = UNIT_NODES / 2;
        while count > 0 {
            let mut messages = [[0; 64]; UNIT_NODES / 2];
            for (message, pair) in messages.as_flattened_mut().as_chunks_mut::<32>().0.iter_mut().zip(&nodes)
            {
                *message = *pair;
            }
            self.pairs(&messages[..count], &mut nodes);
            count /= 2;
        }
        nodes[0]
    }
}

/// Spans for paths that have no way of their own: unit by unit, each made where it waits for its right neighbour.
fn spans_by_units(kernel: &Kernel, spans: &[[u8; SPAN_PAYLOAD]], out: &mut [Unit]) {
    const LEVELS: usize = LANE_PAIRS.ilog2() as usize;
    let mut waiting = [[Unit::EMPTY; 2]; LEVELS];
    for (span, top) in spans.iter().zip(out) {
        for (number, payload) in span.as_chunks().0.iter().enumerate() {
            (kernel.unit_of)(payload, &mut waiting[0][number % 2]);
            for level in 1..=number.trailing_ones() as usize {
                let (below, above) = waiting.split_at_mut(level);
                let [left, right] = &below[level - 1];
                let out = above.first_mut().map_or(&mut *top, |pair| &mut pair[(number >> level) % 2]);
                (kernel.parents)(left, right, out);
            }
        }
    }
}

static LIBRARY: Kernel = Kernel {
    order: Order::Nodes,
    unit_of: library::unit_of,
    parents: library::parents,
    spans: spans_by_units,
    pairs: library::pairs,
    blocks: library::blocks,
};

static PORTABLE: Kernel = Kernel {
    order: Order::Words,
    unit_of: portable::unit_of,
    parents: portable::parents,
    spans: spans_by_units,
    pairs: portable::pairs,
    blocks: portable::blocks,
};

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "calls into code for instructions that were looked for")]
mod x86 {
    use super::{Kernel, Order, Path, spans_by_units};
    use crate::sha::{avx2, avx512, shani};

    /// The functions of a path; `Path::kernel` gives them only where [`Path::is_available`].
    pub(super) fn of(path: Path) -> Option<&'static Kernel> {
        match path {
            Path::Avx512 => Some(&AVX512),
            Path::ShaNi => Some(&SHANI),
            Path::Avx2 => Some(&AVX2),
            Path::Library | Path::Portable => None,
        }
    }

    macro_rules! found {
        ($call:expr) => {
            // SAFETY: the tables below are given out only after the instructions of their functions were found.
            unsafe { $call }
        };
    }

    macro_rules! kernel {
        ($module:ident, $order:expr, $spans:expr) => {
            Kernel {
                order: $order,
                unit_of: |payload, out| found!($module::unit_of(payload, out)),
                parents: |left, right, out| found!($module::parents(left, right, out)),
                spans: $spans,
                pairs: |pairs, out| found!($module::pairs(pairs, out)),
                blocks: |states, used, count, messages| {
                    found!($module::blocks(states, used, count, messages))
                },
            }
        };
    }

    static AVX512: Kernel =
        kernel!(avx512, Order::Words, |_, payload, out| found!(avx512::spans(payload, out)));
    static SHANI: Kernel = kernel!(shani, Order::Nodes, spans_by_units);
    static AVX2: Kernel = kernel!(avx2, Order::Words, spans_by_units);
}
