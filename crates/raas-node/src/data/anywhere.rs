//! Blocks of the node's own copies, whichever of them has one.

use crate::blocks::{LocalPiece, PieceStore};
use raas_piece::block::{BlockError, Blocks};
use raas_piece::car::CarStore;
use std::fs::File;
use std::io;
use std::sync::Arc;

/// Knows which local piece has a block.
pub trait Whereabouts: Send + Sync + 'static {
    /// A piece with this block; `None` when no local one has it.
    ///
    /// # Errors
    /// When the disk cannot be read.
    fn piece_with(&self, cid: &cid::Cid) -> io::Result<Option<LocalPiece>>;
}

impl Whereabouts for PieceStore {
    /// By looking into one index after the other.
    fn piece_with(&self, cid: &cid::Cid) -> io::Result<Option<LocalPiece>> {
        for piece in self.kept()? {
            if let Some(local) = self.get(piece)?.filter(|local| local.index.get(cid).is_some()) {
                return Ok(Some(local));
            }
        }
        Ok(None)
    }
}

/// The blocks of one piece, and of all others where that one does not have them: a DAG over the limit of a piece lies in
/// several.
pub struct Anywhere {
    first: Option<CarStore<Arc<File>>>,
    others: Arc<dyn Whereabouts>,
}

impl Anywhere {
    /// Looks into `first` before all others.
    #[must_use]
    pub fn new(first: Option<&LocalPiece>, others: Arc<dyn Whereabouts>) -> Self {
        Self { first: first.map(LocalPiece::blocks), others }
    }
}

impl Blocks for Anywhere {
    fn get(&self, cid: &cid::Cid) -> Result<Option<Vec<u8>>, BlockError> {
        if let Some(first) = &self.first
            && let Some(block) = first.get(cid)?
        {
            return Ok(Some(block));
        }
        match self.others.piece_with(cid)? {
            Some(local) => local.blocks().get(cid),
            None => Ok(None),
        }
    }
}
