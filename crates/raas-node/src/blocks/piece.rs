//! A piece on the disk, open for reading, and blocks out of it.
//!
//! Bytes were verified when the piece came, and the scrub hashes them again now and then; serving does not. What is
//! compared at each read is the digest that stands before a block in the CAR: an index that leads elsewhere is an
//! error, never another block.

use cid::Cid;
use raas_core::cid::Commitment;
use raas_piece::block::{BlockError, Blocks, MAX_BLOCK_BYTES, digest_of, identity_bytes};
use raas_piece::car::{IndexFile, ReadAt as _};
use std::fs::File;
use std::io;
use std::sync::Arc;

/// Bytes of the digest that ends a CID.
const DIGEST_BYTES: usize = 32;

/// A complete piece, open for reading. It stays readable when it is removed meanwhile.
#[derive(Clone, Debug)]
pub struct LocalPiece {
    /// Which.
    pub commitment: Commitment,
    /// The CAR.
    pub file: Arc<File>,
    /// Its length in bytes.
    pub car_bytes: u64,
    /// Where its blocks lie.
    pub index: Arc<IndexFile<File>>,
}

impl LocalPiece {
    /// Its blocks by CID, and no others; [`super::PieceStore::blocks`] gives those of all pieces.
    #[must_use]
    pub fn blocks(&self) -> Self {
        self.clone()
    }

    /// Whether the block is in it.
    pub fn has(&self, cid: &Cid) -> io::Result<bool> {
        Ok(self.index.get(cid)?.is_some())
    }
}

impl Blocks for LocalPiece {
    fn get(&self, cid: &Cid) -> Result<Option<Vec<u8>>, BlockError> {
        if let Some(inside) = identity_bytes(cid) {
            return Ok(Some(inside.to_vec()));
        }
        let Some(location) = self.index.get(cid)? else { return Ok(None) };
        // The length comes from a stored index, so it is capped like any other claim.
        let len = location.len as usize;
        if len > MAX_BLOCK_BYTES {
            return Err(BlockError::TooLarge { cid: Box::new(*cid), bytes: len });
        }
        let elsewhere = || {
            let why = format!("the index of piece {} does not fit its CAR at block {cid}", self.commitment);
            BlockError::Io(io::Error::new(io::ErrorKind::InvalidData, why))
        };
        let digest = digest_of(cid)?;
        let from = location.offset.checked_sub(DIGEST_BYTES as u64).ok_or_else(elsewhere)?;
        let mut bytes = vec![0; DIGEST_BYTES + len];
        self.file.read_exact_at(&mut bytes, from)?;
        if !bytes.starts_with(&digest) {
            return Err(elsewhere());
        }
        bytes.drain(..DIGEST_BYTES);
        Ok(Some(bytes))
    }
}
