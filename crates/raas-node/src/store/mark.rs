//! The mark beside the store: how far its log was when bytes of money last left.
//!
//! A store that is put back from a backup is behind its mark. It does not know what was signed since, so the node only
//! looks until nothing of that can be published any more. The mark is not part of a backup of the store.

use raas_core::units::Epoch;
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use tokio::sync::Mutex;

use super::error::Error;
use super::open::Store;
use super::schema::RESTORED;

const KEY: &str = "restored";
/// The node's own 0x account, lower case, while the store is behind.
const ACCOUNT: &str = "restored account";

/// What is known of a store that was put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// Deals of the node's account are looked for from here on.
    pub read_to: Epoch,
    /// Nothing signed before can be published any more once this is finalized.
    pub until: Epoch,
}

/// The file, and whether the store is behind it.
#[derive(Debug)]
pub(super) struct Mark {
    path: PathBuf,
    written: AtomicI64,
    behind: AtomicBool,
    /// Steps of several orders write it; one at a time.
    writing: Mutex<()>,
}

impl Mark {
    /// Reads the mark of the store with `id` whose log is at `seq`. A mark of another store counts for nothing.
    pub(super) fn read(store: &Path, id: [u8; 16], seq: i64) -> Self {
        let path = store.with_extension("mark");
        let written = std::fs::read_to_string(&path).ok().and_then(|text| {
            let (of, at) = text.trim().split_once(' ')?;
            if of == hex::encode(id) { at.parse().ok() } else { None }
        });
        let written = written.unwrap_or(0);
        let behind = AtomicBool::new(written > seq);
        Self { path, written: AtomicI64::new(written), behind, writing: Mutex::new(()) }
    }

    /// Writes `seq`, unless it or a later one stands there.
    async fn advance(&self, id: [u8; 16], seq: i64) -> io::Result<()> {
        let _writing = self.writing.lock().await;
        if self.written.load(Ordering::SeqCst) < seq { self.put(id, seq).await } else { Ok(()) }
    }

    /// Writes `seq`, whatever stands there.
    async fn write(&self, id: [u8; 16], seq: i64) -> io::Result<()> {
        let _writing = self.writing.lock().await;
        self.put(id, seq).await
    }

    async fn put(&self, id: [u8; 16], seq: i64) -> io::Result<()> {
        let text = format!("{} {seq}\n", hex::encode(id));
        let new = self.path.with_extension("mark-new");
        tokio::fs::write(&new, text).await?;
        tokio::fs::rename(&new, &self.path).await?;
        self.written.store(seq, Ordering::SeqCst);
        Ok(())
    }
}

impl Store {
    /// Whether bytes of money left after this state of the store: it was put back from a backup.
    #[must_use]
    pub fn is_older_copy(&self) -> bool {
        self.mark().is_some_and(|mark| mark.behind.load(Ordering::SeqCst))
    }

    /// Checks that no other process has taken the store over, and notes how far the store is. Called before bytes of
    /// money leave.
    pub async fn before_money_leaves(&self) -> Result<(), Error> {
        let seq = self.in_force().await?;
        let Some(mark) = self.mark() else { return Ok(()) };
        mark.advance(self.store_id(), seq).await.map_err(Error::Mark)
    }

    /// That the store was put back, while that matters.
    pub async fn restored(&self) -> Result<Option<Restored>, Error> {
        self.meta(KEY).await?.filter(|text| !text.is_empty()).map(|text| RESTORED.decode(&text)).transpose()
    }

    /// Notes that the store was put back, and by which 0x account the node calls the contract.
    pub async fn begin_restored(&self, restored: Restored, account: &str) -> Result<(), Error> {
        self.put_meta(ACCOUNT, &account.to_ascii_lowercase()).await?;
        self.set_restored(restored).await
    }

    /// Notes how far a store that was put back has been looked through.
    pub async fn set_restored(&self, restored: Restored) -> Result<(), Error> {
        self.put_meta(KEY, &RESTORED.encode(&restored)?).await
    }

    /// Nothing of what the backup lacks can happen any more: the store counts as whole.
    pub async fn end_restored(&self) -> Result<(), Error> {
        self.put_meta(KEY, "").await?;
        self.put_meta(ACCOUNT, "").await?;
        let seq = self.in_force().await?;
        if let Some(mark) = self.mark() {
            mark.write(self.store_id(), seq).await.map_err(Error::Mark)?;
            mark.behind.store(false, Ordering::SeqCst);
        }
        Ok(())
    }
}

/// The account of a store that was put back, while that matters.
pub(super) async fn restored_account(connection: &mut SqliteConnection) -> Result<Option<String>, Error> {
    Ok(sqlx::query_scalar("SELECT value FROM meta WHERE key = $1 AND value <> ''")
        .bind(ACCOUNT)
        .fetch_optional(connection)
        .await?)
}
