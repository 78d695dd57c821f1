//! Hashing a piece again, a part at a time, so that the reader decides the pace.

use super::examine::is_damage;
use super::{LocalPiece, PieceStore, core_commitment};
use raas_core::cid::Commitment;
use raas_piece::car::IndexFileError;
use raas_piece::commp::Hasher;
use std::io;
use std::os::unix::fs::FileExt as _;

/// Bytes of one part.
const PART_BYTES: usize = 4 << 20;

/// A piece being hashed again.
#[derive(Debug)]
pub struct Scrub {
    piece: LocalPiece,
    hasher: Hasher,
    at: u64,
}

/// How far it is.
#[derive(Debug)]
pub enum Scrubbed {
    /// So many bytes were hashed now, and there are more.
    Part(Scrub, u64),
    /// The CAR is its piece to the last byte, and its index is as it was written or is made anew.
    Sound,
    /// It is not; its files are in quarantine.
    Damaged(String),
}

impl PieceStore {
    /// Begins to hash a piece again; `None` when it is not here.
    ///
    /// # Errors
    /// The disk's own.
    pub fn scrub(&self, commitment: Commitment) -> io::Result<Option<Scrub>> {
        Ok(self.get(commitment)?.map(|piece| Scrub { piece, hasher: Hasher::new(), at: 0 }))
    }

    /// Hashes one part more, or ends. Blocks the thread.
    ///
    /// # Errors
    /// The disk's own, where it says nothing of these bytes.
    pub fn scrub_on(&self, mut scrub: Scrub) -> io::Result<Scrubbed> {
        let left = scrub.piece.car_bytes.saturating_sub(scrub.at);
        if left == 0 {
            return self.end_scrub(&scrub.piece, scrub.hasher);
        }
        let mut part = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(PART_BYTES)];
        match scrub.piece.file.read_exact_at(&mut part, scrub.at) {
            Ok(()) => {}
            Err(error) if is_damage(&error) => {
                let why = format!("it cannot be read at byte {}: {error}", scrub.at);
                return self.put_aside(&scrub.piece, why);
            }
            Err(error) => return Err(error),
        }
        scrub.hasher.update(&part);
        scrub.at += part.len() as u64;
        Ok(Scrubbed::Part(scrub, part.len() as u64))
    }

    fn end_scrub(&self, piece: &LocalPiece, hasher: Hasher) -> io::Result<Scrubbed> {
        let found = hasher.finish().ok().map(|found| core_commitment(found.commitment()));
        if found != Some(piece.commitment) {
            let other = found.map_or_else(|| "nothing".to_owned(), |found| format!("piece {found}"));
            return self.put_aside(piece, format!("its bytes are those of {other} now"));
        }
        match piece.index.verify() {
            Ok(()) if piece.index.seal().is_some() => Ok(Scrubbed::Sound),
            Err(IndexFileError::Io(error)) if !is_damage(&error) => Err(error),
            // Version 1 has no seal: now that the CAR is known to be whole, it gets one.
            _ => {
                let Some(_claim) = self.claim(piece.commitment) else { return Ok(Scrubbed::Sound) };
                if self.is_current(piece)? && self.index_again(piece.commitment)?.is_none() {
                    let why = "its bytes changed while they were looked at".to_owned();
                    self.quarantine(piece.commitment, &why)?;
                    return Ok(Scrubbed::Damaged(why));
                }
                Ok(Scrubbed::Sound)
            }
        }
    }

    /// Puts a piece aside, unless another file has its name by now.
    fn put_aside(&self, piece: &LocalPiece, why: String) -> io::Result<Scrubbed> {
        let Some(_claim) = self.claim(piece.commitment) else { return Ok(Scrubbed::Sound) };
        if !self.is_current(piece)? {
            return Ok(Scrubbed::Sound);
        }
        self.quarantine(piece.commitment, &why)?;
        Ok(Scrubbed::Damaged(why))
    }
}
