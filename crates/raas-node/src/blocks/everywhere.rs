//! Any block by its CID, whichever piece it is in.
//!
//! A filter of each piece's index is in memory (two bytes per block); a question goes through all of them, and to the
//! disk only where one lets it through. Blocks asked for one after the other are mostly of one piece, which is asked
//! first; a DAG over the limit of a piece lies in several.

use super::{LocalPiece, PieceStore};
use cid::Cid;
use raas_piece::block::{BlockError, Blocks, digest_of, identity_bytes};
use std::io;
use std::sync::{Arc, Mutex};

/// The blocks of all pieces on the disk. Clones share what they found last.
#[derive(Clone, Debug)]
pub struct LocalBlocks {
    pieces: PieceStore,
    first: Option<LocalPiece>,
    near: Arc<Mutex<Option<LocalPiece>>>,
}

impl PieceStore {
    /// Every block on the disk, read without hashing it again. Reads block the thread.
    #[must_use]
    pub fn blocks(&self) -> LocalBlocks {
        LocalBlocks { pieces: self.clone(), first: None, near: Arc::default() }
    }

    /// A piece that has the block; `None` when no piece here has it. Reads the disk.
    ///
    /// # Errors
    /// The disk's own.
    pub fn piece_with(&self, cid: &Cid) -> io::Result<Option<LocalPiece>> {
        let Ok(digest) = digest_of(cid) else { return Ok(None) };
        for commitment in self.candidates(&digest) {
            // A piece that went meanwhile has it no more.
            if let Some(piece) = self.get(commitment)?
                && piece.has(cid)?
            {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }
}

impl LocalBlocks {
    /// Asks `piece` before all others, even when it is removed meanwhile.
    #[must_use]
    pub fn with_first(self, piece: LocalPiece) -> Self {
        Self { first: Some(piece), ..self }
    }

    /// Whether the block is here; identity CIDs carry their own bytes and always are.
    ///
    /// # Errors
    /// The disk's own.
    pub fn has(&self, cid: &Cid) -> io::Result<bool> {
        if identity_bytes(cid).is_some() {
            return Ok(true);
        }
        for piece in self.likely() {
            if piece.has(cid)? {
                return Ok(true);
            }
        }
        Ok(self.elsewhere(cid)?.is_some())
    }

    /// The pieces that are asked without a look at the filters.
    fn likely(&self) -> impl Iterator<Item = LocalPiece> {
        let near = self.near.lock().map(|near| near.clone()).unwrap_or_default();
        self.first.clone().into_iter().chain(near)
    }

    /// Looks through all pieces, and asks the one that has it sooner from then on.
    fn elsewhere(&self, cid: &Cid) -> io::Result<Option<LocalPiece>> {
        let found = self.pieces.piece_with(cid)?;
        if let (Some(piece), Ok(mut near)) = (&found, self.near.lock()) {
            *near = Some(piece.clone());
        }
        Ok(found)
    }
}

impl Blocks for LocalBlocks {
    fn get(&self, cid: &Cid) -> Result<Option<Vec<u8>>, BlockError> {
        if let Some(inside) = identity_bytes(cid) {
            return Ok(Some(inside.to_vec()));
        }
        for piece in self.likely() {
            if let Some(block) = piece.get(cid)? {
                return Ok(Some(block));
            }
        }
        match self.elsewhere(cid)? {
            Some(piece) => piece.get(cid),
            None => Ok(None),
        }
    }
}
