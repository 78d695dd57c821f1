//! Keeping the node's own copies: in order at start, hashed again now and then, back where they are lost, gone where
//! nothing keeps them. What a piece is kept for is derived from rows, never counted.

mod collect;
mod order;
mod restore;
mod scrub;

pub use collect::{Collected, collect};
pub use order::{note_aside, put_in_order};
pub use restore::{Restored, bring, restore};
pub use scrub::{Verified, look_into, verify};

use crate::store;
use std::io;

/// Why the copies cannot be looked after now.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] store::Error),
    /// The disk failed.
    #[error("the disk of the pieces failed")]
    Disk(#[from] io::Error),
    /// A fetch could not be noted.
    #[error("the engine failed")]
    Engine(#[from] crate::engine::Error),
}

/// A disk's work on a thread that may wait.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    Ok(tokio::task::spawn_blocking(work).await.map_err(io::Error::other)??)
}
