//! The two branches of a proof, and their verification.

use crate::commp::{Commitment, PieceInfo};
use crate::segment::{DealLayout, Descriptor, LayoutError};
use crate::size::{PaddedSize, SizeError};
use crate::tree::{Node, hash};

/// Longest path that is looked at.
pub const MAX_PATH: usize = 63;
/// Level of the node above an index entry's two leaves.
const ENTRY_HEIGHT: u8 = 1;

/// A way from a node to the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Position of the node in its level; bit 0 says it is a right child, and so on upwards.
    pub index: u64,
    /// Siblings, bottom first.
    pub path: Vec<Node>,
}

/// A proof that a piece and its index entry are in one deal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// From the piece's root.
    pub subtree: Branch,
    /// From the node of the index entry.
    pub index: Branch,
}

/// A proof that proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A path is longer than any tree is high.
    #[error("the path of the {branch} proof has {len} nodes, over the limit of {MAX_PATH}")]
    PathTooLong {
        /// Which of the two.
        branch: &'static str,
        /// Nodes given.
        len: usize,
    },
    /// A position outside the tree.
    #[error("index {index} of the {branch} proof is outside a tree {depth} levels deep")]
    IndexOutside {
        /// Which of the two.
        branch: &'static str,
        /// Position given.
        index: u64,
        /// Levels of the path.
        depth: usize,
    },
    /// The deal would be larger than any.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// The deal would be too small for an index.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The two branches are of deals of different size.
    #[error("the piece is in a deal of height {subtree}, the index entry in one of height {index}")]
    SizesDiffer {
        /// Height by the subtree proof.
        subtree: usize,
        /// Height by the index proof.
        index: usize,
    },
    /// The two branches end in different roots.
    #[error("the piece and the index entry are not in the same deal")]
    RootsDiffer,
    /// The entry is not in the index area: anybody could have put it there as data.
    #[error("the index entry is at {offset} padded bytes, before the index area at {index_start}")]
    OutsideIndex {
        /// Where it is.
        offset: u64,
        /// Where the index starts.
        index_start: u64,
    },
    /// The deal found is not the deal meant.
    #[error("the proof is of deal piece {found}, not of {wanted}")]
    OtherDeal {
        /// Commitment computed.
        found: Commitment,
        /// Commitment expected.
        wanted: Commitment,
    },
}

impl Branch {
    /// The root this branch leads to from a node.
    fn root(&self, node: Node, branch: &'static str) -> Result<Node, VerifyError> {
        let depth = self.path.len();
        if depth > MAX_PATH {
            return Err(VerifyError::PathTooLong { branch, len: depth });
        }
        // At most 63, so the shift is defined.
        if self.index >> depth != 0 {
            return Err(VerifyError::IndexOutside { branch, index: self.index, depth });
        }
        let root = self.path.iter().zip(0u32..).fold(node, |node, (sibling, level)| {
            if self.index >> level & 1 == 1 { hash(sibling, &node) } else { hash(&node, sibling) }
        });
        Ok(root)
    }
}

impl InclusionProof {
    /// The deal piece in which this proof shows the piece to be. Whether that deal exists and is active is
    /// for the chain to say: compare commitment and size with the deal's.
    ///
    /// # Errors
    /// [`VerifyError`] when the proof does not hold, also for an index entry outside the index area.
    pub fn verify(&self, piece: Commitment, size: PaddedSize) -> Result<PieceInfo, VerifyError> {
        let subtree_root = self.subtree.root(*piece.as_bytes(), "subtree")?;
        let deal_height = usize::from(size.height()) + self.subtree.path.len();
        let deal = PaddedSize::from_height(u8::try_from(deal_height).unwrap_or(u8::MAX))?;
        // The index fits the height and the height is at most 58, so the product fits.
        let offset = self.subtree.index * size.get();
        let entry = Descriptor { commitment: *piece.as_bytes(), offset, size: size.get() };
        let index_root = self.index.root(entry.node(), "index")?;
        let index_height = usize::from(ENTRY_HEIGHT) + self.index.path.len();
        if index_height != deal_height {
            return Err(VerifyError::SizesDiffer { subtree: deal_height, index: index_height });
        }
        if subtree_root != index_root {
            return Err(VerifyError::RootsDiffer);
        }
        let index_start = DealLayout::new(deal)?.index_start();
        let offset = self.index.index * crate::segment::DESCRIPTOR_BYTES as u64;
        if offset < index_start {
            return Err(VerifyError::OutsideIndex { offset, index_start });
        }
        let root = Commitment::new(subtree_root).map_err(|_| VerifyError::RootsDiffer)?;
        Ok(PieceInfo::full(root, deal))
    }

    /// Checks that this proof is of a known deal piece.
    ///
    /// # Errors
    /// [`VerifyError`], also when it is of another deal.
    pub fn verify_in(
        &self,
        piece: Commitment,
        size: PaddedSize,
        deal: Commitment,
        deal_size: PaddedSize,
    ) -> Result<(), VerifyError> {
        let found = self.verify(piece, size)?;
        if found.padded() != deal_size {
            let (subtree, index) = (found.padded().height(), deal_size.height());
            return Err(VerifyError::SizesDiffer { subtree: subtree.into(), index: index.into() });
        }
        if found.commitment() != deal {
            return Err(VerifyError::OtherDeal { found: found.commitment(), wanted: deal });
        }
        Ok(())
    }
}
