//! Any block by its CID, whichever piece it is in.
//!
//! A filter of each piece's index is in memory (two bytes per block); a question goes through all of them, and to the
//! disk only where one lets it through. Blocks asked for one after the other are mostly of one piece, which is asked
//! first; a DAG over the limit of a piece lies in several.
//!
//! What a read finds wrong is not passed over: a damaged index is made anew from its CAR by the read that meets it, and a
//! CAR that cannot be right is named, so that the keeper hashes all of it.

use super::{LocalPiece, PieceStore};
use cid::Cid;
use raas_core::cid::Commitment;
use raas_piece::block::{BlockError, Blocks, digest_of, identity_bytes, links, verify};
use std::collections::{BTreeSet, HashSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Pieces that are not here, brought one by one when a block is in none that is.
pub trait Later: std::fmt::Debug + Send + Sync {
    /// Waits for the next; `None` when there is no more.
    ///
    /// # Errors
    /// When it cannot be had.
    fn bring(&self) -> io::Result<Option<LocalPiece>>;
}

/// The blocks of all pieces on the disk. Clones share what they found last.
#[derive(Clone, Debug)]
pub struct LocalBlocks {
    pieces: PieceStore,
    likely: Arc<Mutex<Likely>>,
    later: Option<Arc<dyn Later>>,
    hashing: bool,
}

/// The pieces that are asked without a look at the filters.
#[derive(Debug, Default)]
struct Likely {
    first: Vec<LocalPiece>,
    near: Option<LocalPiece>,
}

impl PieceStore {
    /// Every block on the disk, read without hashing it again. Reads block the thread.
    #[must_use]
    pub fn blocks(&self) -> LocalBlocks {
        LocalBlocks { pieces: self.clone(), likely: Arc::default(), later: None, hashing: false }
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

    /// The pieces that hold a block and everything below it; `None` when something of that is not here, or cannot be looked
    /// into. Memory is 36 bytes for each block.
    ///
    /// # Errors
    /// The disk's own.
    pub fn pieces_under(&self, root: Cid) -> io::Result<Option<BTreeSet<Commitment>>> {
        let (mut found, mut seen, mut waiting) = (BTreeSet::new(), HashSet::new(), vec![root]);
        let mut near: Option<LocalPiece> = None;
        while let Some(cid) = waiting.pop() {
            if identity_bytes(&cid).is_none() && !seen.insert((cid.codec(), cid.hash().digest().to_vec())) {
                continue;
            }
            let block = if let Some(inside) = identity_bytes(&cid) {
                inside.to_vec()
            } else {
                let is_near = match &near {
                    Some(piece) => piece.has(&cid)?,
                    None => false,
                };
                if !is_near {
                    near = self.piece_with(&cid)?;
                }
                let Some(piece) = &near else { return Ok(None) };
                found.insert(piece.commitment);
                if cid.codec() == raas_piece::block::RAW {
                    continue;
                }
                match piece.get(&cid) {
                    Ok(Some(block)) => block,
                    _ => return Ok(None),
                }
            };
            match links(&cid, &block) {
                Ok(below) => waiting.extend(below),
                Err(_) => return Ok(None),
            }
        }
        Ok((!found.is_empty()).then_some(found))
    }
}

impl LocalBlocks {
    /// Asks `pieces` before all others, even when they are removed meanwhile.
    #[must_use]
    pub fn with_first(self, pieces: Vec<LocalPiece>) -> Self {
        self.likely().first = pieces;
        self
    }

    /// Has `later` bring pieces when a block is not here.
    #[must_use]
    pub fn with_later(self, later: Arc<dyn Later>) -> Self {
        Self { later: Some(later), ..self }
    }

    /// Hashes every block again as it is read: for readers who cannot do so themselves.
    #[must_use]
    pub fn hashing(self) -> Self {
        Self { hashing: true, ..self }
    }

    /// Whether the block is here; identity CIDs carry their own bytes and always are.
    ///
    /// # Errors
    /// The disk's own.
    pub fn has(&self, cid: &Cid) -> io::Result<bool> {
        if identity_bytes(cid).is_some() {
            return Ok(true);
        }
        for piece in self.asked_first() {
            if piece.has(cid)? {
                return Ok(true);
            }
        }
        Ok(self.elsewhere(cid)?.is_some())
    }

    /// Nothing panics while it is held, so what a poisoned one holds is whole.
    fn likely(&self) -> MutexGuard<'_, Likely> {
        self.likely.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked_first(&self) -> Vec<LocalPiece> {
        let likely = self.likely();
        likely.near.iter().chain(&likely.first).cloned().collect()
    }

    /// Looks through all pieces, and asks the one that has it sooner from then on.
    fn elsewhere(&self, cid: &Cid) -> io::Result<Option<LocalPiece>> {
        let found = self.pieces.piece_with(cid)?;
        if let Some(piece) = &found {
            self.likely().near = Some(piece.clone());
        }
        Ok(found)
    }

    /// The block as the indexes lead to it.
    fn look(&self, cid: &Cid) -> Result<Option<Vec<u8>>, Trouble> {
        let from = |piece: &LocalPiece| match piece.get(cid) {
            Ok(Some(block)) if self.hashing => match verify(cid, &block) {
                Ok(()) => Ok(Some(block)),
                Err(error) => Err(Trouble { at: Some(piece.clone()), error }),
            },
            Ok(found) => Ok(found),
            Err(error) => Err(Trouble { at: Some(piece.clone()), error }),
        };
        for piece in self.asked_first() {
            if let Some(block) = from(&piece)? {
                return Ok(Some(block));
            }
        }
        let elsewhere = self.elsewhere(cid).map_err(|error| Trouble { at: None, error: error.into() })?;
        elsewhere.as_ref().map_or(Ok(None), from)
    }

    /// The block, if it is on this disk.
    fn here(&self, cid: &Cid) -> Result<Option<Vec<u8>>, BlockError> {
        let found = self.look(cid);
        let met = match &found {
            Ok(Some(_)) => Vec::new(),
            // It should be in one of these.
            Ok(None) => self.likely().first.clone(),
            Err(trouble) => trouble.at.iter().cloned().collect(),
        };
        let found = if self.mend(&met)? { self.look(cid) } else { found };
        found.map_err(|trouble| {
            if let Some(piece) = trouble.at {
                self.pieces.suspect(piece.commitment);
            }
            trouble.error
        })
    }

    /// Gives those of `met` whose index is not as it was written another one. Whether there was such a one.
    fn mend(&self, met: &[LocalPiece]) -> io::Result<bool> {
        let mut mended = false;
        for piece in met.iter().filter(|piece| piece.index.verify().is_err()) {
            let Some(new) = self.pieces.reindex(piece.commitment)? else { continue };
            let mut likely = self.likely();
            let Likely { first, near } = &mut *likely;
            let old = first.iter_mut().chain(near.as_mut()).filter(|old| old.commitment == new.commitment);
            old.for_each(|old| *old = new.clone());
            mended = true;
        }
        Ok(mended)
    }
}

/// Why a block cannot be had, and from which piece.
struct Trouble {
    at: Option<LocalPiece>,
    error: BlockError,
}

impl Blocks for LocalBlocks {
    fn get(&self, cid: &Cid) -> Result<Option<Vec<u8>>, BlockError> {
        if let Some(inside) = identity_bytes(cid) {
            return Ok(Some(inside.to_vec()));
        }
        loop {
            let found = self.here(cid)?;
            if found.is_some() {
                return Ok(found);
            }
            let Some(piece) = self.later.as_ref().map_or(Ok(None), |later| later.bring())? else {
                return Ok(None);
            };
            self.likely().first.push(piece);
        }
    }
}
