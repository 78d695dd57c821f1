//! Opening the store, and the two ways into it: one writer, some readers.

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection, Sqlite, SqliteConnection, Transaction};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::error::Error;
use super::mark::Mark;
use super::{lease, schema};

/// Connections that only read.
const READERS: u32 = 4;
/// How long a connection waits for another process's lock, and a task for a connection.
const PATIENCE: Duration = Duration::from_secs(30);

/// Pages that a connection keeps in memory, in KiB: those of the indexes it goes through again and again. A writer meets
/// all of them, a reader some.
const WRITER_CACHE_KIB: u32 = 32 << 10;
const READER_CACHE_KIB: u32 = 24 << 10;

/// Rows handed over from a connection's thread at once: with few, long reads are mostly waking each other up.
const ROWS_BUFFERED: usize = 1_024;

/// Prepared statements that a connection keeps. There are some 300, and a pass meets most of them in the same order: with
/// room for fewer, the one that is needed next is always the one that was just dropped.
const STATEMENTS_KEPT: usize = 512;

/// A transaction. Dropped without commit, it is rolled back.
pub(super) type Tx = Transaction<'static, Sqlite>;

/// The store. Clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    writer: SqlitePool,
    reader: SqlitePool,
    fence: i64,
    id: [u8; 16],
    mark: Option<Mark>,
}

impl Store {
    /// Opens or makes the store at `path`, brings its schema up to date, and takes over the leases for
    /// `holder` (a name for people to read). The file is made readable by its user only.
    #[expect(clippy::disallowed_methods, reason = "the id of a new store")]
    pub async fn open(path: &Path, holder: &str) -> Result<Self, Error> {
        Self::open_with_id(path, holder, rand::random()).await
    }

    /// As [`Store::open`]; a store that is made now gets this id. Two stores with one id and one wallet sign
    /// different deals under the same UUID, so only a test that compares whole histories may choose it.
    pub async fn open_with_id(path: &Path, holder: &str, new_id: [u8; 16]) -> Result<Self, Error> {
        let failed = |source| Error::Open { path: path.display().to_string(), source };
        make_private_file(path).map_err(|error| failed(error.into()))?;
        let options = options().filename(path).journal_mode(SqliteJournalMode::Wal);
        let writer = sound(pool(1))
            .connect_with(cached(options.clone(), WRITER_CACHE_KIB))
            .await
            .map_err(|error| failed(error.into()))?;
        schema::migrator().run(&writer).await?;
        let reader = sound(pool(READERS))
            .connect_with(cached(options, READER_CACHE_KIB).pragma("query_only", "ON"))
            .await
            .map_err(|error| failed(error.into()))?;
        Self::started(writer, reader, holder, new_id, Some(path)).await
    }

    /// The store at `path` for a process beside the node that may run on it: no lease is taken over, so that the node goes
    /// on. Made for `holder` where there is none.
    pub async fn open_beside(path: &Path, holder: &str) -> Result<Self, Error> {
        if !path.exists() {
            return Self::open(path, holder).await;
        }
        let failed =
            |source: sqlx::Error| Error::Open { path: path.display().to_string(), source: source.into() };
        let options = options().filename(path).journal_mode(SqliteJournalMode::Wal);
        let writer = sound(pool(1)).connect_with(options.clone()).await.map_err(failed)?;
        let reader = sound(pool(1)).connect_with(options.pragma("query_only", "ON")).await.map_err(failed)?;
        let mut tx = writer.begin().await?;
        schema::is_current(&mut tx).await?;
        let (id,): (Vec<u8>,) =
            sqlx::query_as("SELECT id FROM store WHERE one = 1").fetch_one(&mut *tx).await?;
        let id = id
            .try_into()
            .map_err(|_| Error::Unreadable { format: "store id", source: "16 bytes are needed".into() })?;
        let fence = lease::newest(&mut tx).await?.unwrap_or_default();
        tx.commit().await?;
        Ok(Self { inner: Arc::new(Inner { writer, reader, fence, id, mark: None }) })
    }

    /// A store that lives as long as its last clone, with a random id.
    #[expect(clippy::disallowed_methods, reason = "the id of a new store")]
    pub async fn in_memory(holder: &str) -> Result<Self, Error> {
        Self::in_memory_with_id(holder, rand::random()).await
    }

    /// A store in memory with a given id, so that a simulation signs the same bytes each time.
    pub async fn in_memory_with_id(holder: &str, id: [u8; 16]) -> Result<Self, Error> {
        // Each connection to ":memory:" is a database of its own, so there is exactly one.
        let only = pool(1)
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options().in_memory(true))
            .await?;
        schema::migrator().run(&only).await?;
        Self::started(only.clone(), only, holder, id, None).await
    }

    /// What a new process on the same database gets: the next fence. Writes of this handle fail from here on.
    pub async fn restarted(&self, holder: &str) -> Result<Self, Error> {
        let (writer, reader) = (self.inner.writer.clone(), self.inner.reader.clone());
        Self::started(writer, reader, holder, self.inner.id, None).await
    }

    async fn started(
        writer: SqlitePool,
        reader: SqlitePool,
        holder: &str,
        new_id: [u8; 16],
        path: Option<&Path>,
    ) -> Result<Self, Error> {
        let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("INSERT INTO store (one, id) VALUES (1, $1) ON CONFLICT (one) DO NOTHING")
            .bind(new_id.as_slice())
            .execute(&mut *tx)
            .await?;
        let (id,): (Vec<u8>,) =
            sqlx::query_as("SELECT id FROM store WHERE one = 1").fetch_one(&mut *tx).await?;
        let id = id
            .try_into()
            .map_err(|_| Error::Unreadable { format: "store id", source: "16 bytes are needed".into() })?;
        let fence = lease::take_over(&mut tx, holder).await?;
        let seq = newest_event(&mut tx).await?;
        tx.commit().await?;
        let mark = path.map(|path| Mark::read(path, id, seq));
        Ok(Self { inner: Arc::new(Inner { writer, reader, fence, id, mark }) })
    }

    pub(super) fn mark(&self) -> Option<&Mark> {
        self.inner.mark.as_ref()
    }

    /// The number of the newest line of the log, if this start is still the newest.
    pub(super) async fn in_force(&self) -> Result<i64, Error> {
        let mut tx = self.snapshot().await?;
        lease::check(&mut tx, self.inner.fence).await?;
        newest_event(&mut tx).await
    }

    /// The store's own random id, made when it was first opened. With an order's id and attempt it determines
    /// a deal's UUID.
    #[must_use]
    pub fn store_id(&self) -> [u8; 16] {
        self.inner.id
    }

    /// This start's fence.
    #[must_use]
    pub fn fence(&self) -> i64 {
        self.inner.fence
    }

    /// Ends all connections; transactions that run now finish first. Other clones fail from here on.
    pub async fn close(self) {
        self.inner.reader.close().await;
        self.inner.writer.close().await;
    }

    /// Binds a new store to its chain; refuses when it is bound to another genesis.
    pub async fn bind_network(&self, network: &str, genesis: &str) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE store SET network = $1, genesis = $2 WHERE one = 1 AND genesis IS NULL")
            .bind(network)
            .bind(genesis)
            .execute(&mut *tx)
            .await?;
        let (bound, bound_genesis): (String, String) =
            sqlx::query_as("SELECT network, genesis FROM store WHERE one = 1").fetch_one(&mut *tx).await?;
        if bound_genesis != genesis {
            let (given, given_genesis) = (network.to_owned(), genesis.to_owned());
            return Err(Error::OtherNetwork { bound, bound_genesis, given, given_genesis });
        }
        tx.commit().await?;
        Ok(())
    }

    /// Begins a write: the lock is taken and the fence is checked under it, so it holds until the commit.
    pub(super) async fn write(&self) -> Result<Tx, Error> {
        let mut tx = self.inner.writer.begin_with("BEGIN IMMEDIATE").await?;
        lease::check(&mut tx, self.inner.fence).await?;
        Ok(tx)
    }

    /// A connection for a read of one statement, which is a snapshot by itself. A transaction around it would be three
    /// more hand-overs to the connection's thread, which cost more than most reads.
    pub(super) async fn read(&self) -> Result<PoolConnection<Sqlite>, Error> {
        Ok(self.inner.reader.acquire().await?)
    }

    /// Begins a read of several statements, which see one snapshot.
    pub(super) async fn snapshot(&self) -> Result<Tx, Error> {
        Ok(self.inner.reader.begin().await?)
    }
}

async fn newest_event(connection: &mut SqliteConnection) -> Result<i64, Error> {
    Ok(sqlx::query_scalar("SELECT COALESCE(MAX(seq), 0) FROM event").fetch_one(connection).await?)
}

/// Statements are not logged: on a slow disk every line would be a whole migration.
fn options() -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .disable_statement_logging()
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(PATIENCE)
        .row_buffer_size(ROWS_BUFFERED)
        .statement_cache_capacity(STATEMENTS_KEPT)
}

/// A negative size is one in KiB.
fn cached(options: SqliteConnectOptions, kib: u32) -> SqliteConnectOptions {
    options.pragma("cache_size", format!("-{kib}"))
}

/// A connection is asked whether it lives when it comes back; what is behind it is a thread of ours, no network, so it is
/// not asked once more before each use.
fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new().max_connections(connections).acquire_timeout(PATIENCE).test_before_acquire(false)
}

/// On a full disk, or when it cannot read, SQLite ends a transaction by itself, and the driver goes on counting it as
/// open: a writer could not begin another one, and a reader would see one snapshot for ever. Such a connection is of no
/// more use.
fn sound(pool: SqlitePoolOptions) -> SqlitePoolOptions {
    pool.before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
}

/// Makes an empty file for its user alone, since deal secrets will be in it. SQLite gives its side files the
/// same mode.
fn make_private_file(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}
