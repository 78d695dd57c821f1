//! The bytes on a provider's disk: one file per piece, by commitment, and one per transfer under way.
//!
//! A piece's file is written under another name, synced and renamed, so that under its own name it is whole.

use crate::codec::{Commitment, DealUuid};
use raas_core::ids::ProviderId;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Where providers keep their bytes; the directory goes with the last clone if it was a temporary one.
#[derive(Clone, Debug)]
pub(super) struct Files {
    root: PathBuf,
    _temporary: Option<Arc<tempfile::TempDir>>,
}

impl Files {
    /// `data_dir/pieces`, or a new temporary directory.
    pub(super) fn open(data_dir: Option<&std::path::Path>) -> io::Result<Self> {
        match data_dir {
            Some(dir) => {
                let root = dir.join("pieces");
                std::fs::create_dir_all(&root)?;
                Ok(Self { root, _temporary: None })
            }
            None => {
                let temporary = tempfile::Builder::new().prefix("raas-devnet-").tempdir()?;
                Ok(Self { root: temporary.path().to_owned(), _temporary: Some(Arc::new(temporary)) })
            }
        }
    }

    /// The file of a piece.
    pub(super) fn piece(&self, provider: ProviderId, commitment: Commitment) -> PathBuf {
        self.root.join(provider.to_string()).join(format!("{}.piece", hex::encode(commitment.0)))
    }

    /// The file of a transfer under way.
    pub(super) fn part(&self, provider: ProviderId, uuid: DealUuid) -> PathBuf {
        self.root.join(provider.to_string()).join(format!("{uuid}.part"))
    }
}
