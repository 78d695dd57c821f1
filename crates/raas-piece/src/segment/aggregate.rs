//! An aggregate computed from the commitments of its pieces alone: no payload is needed.

use super::descriptor::{DESCRIPTOR_BYTES, Descriptor};
use super::layout::{DealLayout, LayoutError, Segment, minimum_deal_size, place};
use crate::commp::{Commitment, NotACommitment, PieceInfo};
use crate::fr32;
use crate::inclusion::{Branch, InclusionProof};
use crate::sha::Path;
use crate::size::{NODE_BYTES, PaddedSize};
use crate::tree::{Placed, SparseTree, TreeError};

/// Level of the node above an entry's two leaves.
const ENTRY_LEVEL: u8 = 1;

/// Pieces that do not make an aggregate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AggregateError {
    /// They do not fit.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// They do not make a tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The root is no commitment; hashing never makes such a root.
    #[error(transparent)]
    Commitment(#[from] NotACommitment),
    /// There is no such entry.
    #[error("the aggregate has {count} entries, there is no entry {position}")]
    NoEntry {
        /// Entry asked for.
        position: usize,
        /// Entries there are.
        count: usize,
    },
}

/// An aggregate: its pieces in order, and the tree over them and their index.
#[derive(Debug, Clone)]
pub struct Aggregate {
    layout: DealLayout,
    segments: Vec<Segment>,
    index: Vec<[u8; DESCRIPTOR_BYTES]>,
    tree: SparseTree,
    piece: PieceInfo,
}

impl Aggregate {
    /// Places the pieces in this order in a deal of this size.
    ///
    /// # Errors
    /// [`AggregateError::Layout`] when they do not fit.
    pub fn new(deal: PaddedSize, pieces: &[(Commitment, PaddedSize)]) -> Result<Self, AggregateError> {
        let layout = DealLayout::new(deal)?;
        let segments = place(pieces)?;
        layout.check(segments.len() as u64, segments.last().map_or(0, Segment::end))?;
        let pieces = segments.iter().map(|segment| Placed {
            level: segment.size.height(),
            index: segment.offset / segment.size.get(),
            node: *segment.commitment.as_bytes(),
        });
        let descriptors: Vec<Descriptor> = segments.iter().map(Descriptor::from).collect();
        let index = Descriptor::encode_all(&descriptors);
        let nodes = Path::best().hash_pairs(&index);
        let entries = (entry_index(&layout, 0)..).zip(nodes).map(|(index, node)| Placed {
            level: ENTRY_LEVEL,
            index,
            node,
        });
        let placed: Vec<Placed> = pieces.chain(entries).collect();
        let tree = SparseTree::build(deal.height(), &placed)?;
        let piece = PieceInfo::full(Commitment::new(tree.root())?, deal);
        Ok(Self { layout, segments, index, tree, piece })
    }

    /// One piece in the smallest deal that holds it and its index.
    ///
    /// # Errors
    /// [`AggregateError::Layout`] past the 64-bit sizes.
    pub fn alone(piece: Commitment, size: PaddedSize) -> Result<Self, AggregateError> {
        Self::new(minimum_deal_size(&[size])?, &[(piece, size)])
    }

    /// The layout of the deal.
    #[must_use]
    pub const fn layout(&self) -> &DealLayout {
        &self.layout
    }

    /// The pieces at their places; the position in this list names an entry.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The aggregate as a piece (its payload is the whole capacity).
    #[must_use]
    pub const fn piece(&self) -> PieceInfo {
        self.piece
    }

    /// The used index entries in padded form.
    #[must_use]
    pub fn index_padded(&self) -> Vec<u8> {
        self.index.as_flattened().to_vec()
    }

    /// The used part of the index as it stands in the raw stream at [`DealLayout::index_payload_offset`], in
    /// whole groups of 127 bytes (two entries each); zeros follow to the end of the deal.
    #[must_use]
    pub fn index_payload(&self) -> Vec<u8> {
        let mut padded = self.index_padded();
        padded.resize(padded.len().next_multiple_of(2 * DESCRIPTOR_BYTES), 0);
        fr32::unpad(&padded).expect("index entries keep the top bits of both their nodes zero")
    }

    /// The proof that the piece of an entry, and the entry, are in the aggregate.
    ///
    /// # Errors
    /// [`AggregateError::NoEntry`] past the last entry.
    pub fn proof(&self, position: usize) -> Result<InclusionProof, AggregateError> {
        let count = self.segments.len();
        let segment = self.segments.get(position).ok_or(AggregateError::NoEntry { position, count })?;
        Ok(self.proof_of(position, segment))
    }
}

impl Aggregate {
    /// The proofs of all entries, in order. Each is made when it is asked for: together they can be larger than
    /// everything else.
    pub fn proofs(&self) -> impl ExactSizeIterator<Item = InclusionProof> + '_ {
        self.segments.iter().enumerate().map(|(position, segment)| self.proof_of(position, segment))
    }

    fn proof_of(&self, position: usize, segment: &Segment) -> InclusionProof {
        let (level, index) = (segment.size.height(), segment.offset / segment.size.get());
        let entry = entry_index(&self.layout, position as u64);
        InclusionProof {
            subtree: Branch { index, path: self.tree.path(level, index) },
            index: Branch { index: entry, path: self.tree.path(ENTRY_LEVEL, entry) },
        }
    }
}

/// Position of an entry among the nodes of level 1.
const fn entry_index(layout: &DealLayout, position: u64) -> u64 {
    layout.index_start() / (2 * NODE_BYTES) + position
}
