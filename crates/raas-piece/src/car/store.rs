//! Random access to the blocks of a CAR file.

use std::fs::File;
use std::io;
use std::sync::Arc;

use ::cid::Cid;

use super::index::Index;
use crate::block::{BlockError, Blocks, identity_bytes, verify};

/// Positioned reads that need no seek, so that many readers share one file.
pub trait ReadAt {
    /// Fills the buffer from `offset` on.
    ///
    /// # Errors
    /// `UnexpectedEof` when the input is shorter, else the input's own error.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }
}

impl ReadAt for Vec<u8> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes =
            self.get(start..start.saturating_add(buffer.len())).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

impl<R: ReadAt + ?Sized> ReadAt for Arc<R> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_exact_at(buffer, offset)
    }
}

/// A CAR file with its index. Every block is hashed again when it is read, so rot on disk is an error and
/// never served.
#[derive(Debug, Clone)]
pub struct CarStore<R> {
    file: R,
    index: Arc<Index>,
}

impl<R: ReadAt> CarStore<R> {
    /// A store over a file and its index.
    pub fn new(file: R, index: Arc<Index>) -> Self {
        Self { file, index }
    }

    /// The index.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }
}

impl<R: ReadAt> Blocks for CarStore<R> {
    fn get(&self, cid: &Cid) -> Result<Option<Vec<u8>>, BlockError> {
        if let Some(inside) = identity_bytes(cid) {
            return Ok(Some(inside.to_vec()));
        }
        let Some(location) = self.index.get(cid) else { return Ok(None) };
        // The length comes from a stored index, so it is capped like any other claim.
        let len = location.len as usize;
        if len > crate::block::MAX_BLOCK_BYTES {
            return Err(BlockError::TooLarge { cid: Box::new(*cid), bytes: len });
        }
        let mut data = vec![0; len];
        self.file.read_exact_at(&mut data, location.offset)?;
        verify(cid, &data)?;
        Ok(Some(data))
    }
}
