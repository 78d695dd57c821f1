//! Parts of data that are not here, fetched from providers when an answer comes to them.
//!
//! Which part has a block is known from its index only, which goes with it. Blocks are written in the order in which a file is
//! read, so the parts are fetched in theirs.

use super::gateway::Gateway;
use super::ipfs;
use crate::api::error::ApiError;
use crate::blocks::{Later, LocalPiece};
use crate::world::World;
use raas_core::cid::{Commitment, DataCid};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// What is still to be fetched for one answer.
pub struct Parts<W: World> {
    gateway: Arc<Gateway<W>>,
    root: DataCid,
    missing: Mutex<VecDeque<Commitment>>,
    failed: Mutex<Option<ApiError>>,
    runtime: Handle,
}

impl<W: World> Parts<W> {
    /// Of `root`, in this order. Called within the runtime.
    pub fn new(gateway: &Arc<Gateway<W>>, root: &DataCid, missing: VecDeque<Commitment>) -> Arc<Self> {
        let (gateway, root, missing) = (Arc::clone(gateway), root.clone(), Mutex::new(missing));
        Arc::new(Self { gateway, root, missing, failed: Mutex::default(), runtime: Handle::current() })
    }

    /// Why a part could not be had: to be told in place of what followed from it.
    pub fn failure(&self) -> Option<ApiError> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<W: World> fmt::Debug for Parts<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("root", &self.root).finish_non_exhaustive()
    }
}

impl<W: World> Later for Parts<W> {
    /// On a thread that may wait. The fetch goes on, and is kept as any other, when nobody waits for it any more.
    fn bring(&self) -> io::Result<Option<LocalPiece>> {
        let next = self.missing.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(piece) = next else { return Ok(None) };
        let (sender, receiver) = oneshot::channel();
        let (gateway, root) = (Arc::clone(&self.gateway), self.root.clone());
        self.runtime.spawn(async move {
            let _ = sender.send(ipfs::open_or_fetch(&gateway, &root, piece).await);
        });
        let ends = |_| Err(ApiError::Unavailable("the node ends".to_owned()));
        match receiver.blocking_recv().unwrap_or_else(ends) {
            Ok((Some(local), _)) => Ok(Some(local)),
            Ok((None, _)) => self.fail(ApiError::Unavailable(format!("piece {piece} is not here any more"))),
            Err(error) => self.fail(error),
        }
    }
}

impl<W: World> Parts<W> {
    fn fail(&self, error: ApiError) -> io::Result<Option<LocalPiece>> {
        let text = format!("a part of {} cannot be had: {error:?}", self.root);
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        Err(io::Error::other(text))
    }
}
