//! Room on the disk of the pieces: a part of it stays free, for the store and whatever else lives there.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The disk's room, less the reserve. Clones are of the same disk.
#[derive(Clone, Debug)]
pub struct Room {
    folder: Arc<PathBuf>,
    reserve_bytes: u64,
}

/// The disk has less free than is to stay free: nothing more is staged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} MiB are free on the disk of the pieces and {} MiB are to stay free (store.reserve_mib): \
     make room, or lower the reserve",
    free_bytes >> 20, reserve_bytes >> 20
)]
pub struct NoRoom {
    /// Free now.
    pub free_bytes: u64,
    /// To stay free.
    pub reserve_bytes: u64,
}

impl NoRoom {
    /// The refusal among the causes of `error`, if that is what it is.
    #[must_use]
    pub fn among<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            // The kind of an I/O error hides what it was made of from `source`.
            let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            if let Some(refusal) = inner.and_then(|inner| inner.downcast_ref()) {
                return Some(refusal);
            }
            cause = error.source();
        }
        None
    }
}

impl Room {
    /// Bytes written between two looks.
    pub(super) const LOOK_EVERY: u64 = 16 << 20;

    pub(super) fn new(folder: PathBuf, reserve_bytes: u64) -> Self {
        Self { folder: Arc::new(folder), reserve_bytes }
    }

    /// Where files are staged.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Bytes that are to stay free.
    #[must_use]
    pub const fn reserve_bytes(&self) -> u64 {
        self.reserve_bytes
    }

    /// Bytes free on the disk, for this user.
    ///
    /// # Errors
    /// The disk's own.
    pub fn free_bytes(&self) -> io::Result<u64> {
        let disk = rustix::fs::statvfs(self.folder())?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Refuses when the reserve is reached.
    ///
    /// # Errors
    /// [`NoRoom`] within a `StorageFull`, else the disk's own.
    pub fn check(&self) -> io::Result<()> {
        if self.reserve_bytes == 0 {
            return Ok(());
        }
        let (free_bytes, reserve_bytes) = (self.free_bytes()?, self.reserve_bytes);
        if free_bytes < reserve_bytes {
            return Err(io::Error::new(io::ErrorKind::StorageFull, NoRoom { free_bytes, reserve_bytes }));
        }
        Ok(())
    }
}
