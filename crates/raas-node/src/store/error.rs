//! Why the store refuses or fails.

use raas_core::ids::{ContractAddress, JobId, RequestId};
use raas_core::ports::Lane;
use raas_core::units::AttoFil;

use super::types::TxId;

/// Why a named transaction did not happen. Nothing of it is stored then.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be used.
    #[error("store file {path} cannot be opened; check the directory, its permissions and free space")]
    Open {
        /// As given.
        path: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The schema cannot be brought to this version's, or is newer than it.
    #[error(
        "the store's schema does not fit this version of raas; use the version that wrote it, or a newer one"
    )]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A newer start took over the leases. This process must not act any more.
    #[error("another process took over this store (fence {newest} is newer than {mine}); stop this one")]
    Fenced {
        /// This process's fence.
        mine: i64,
        /// The fence in force.
        newest: i64,
    },
    /// The store belongs to another chain.
    #[error(
        "the store is bound to network {bound} (genesis {bound_genesis}), not to {given} (genesis {given_genesis}); \
         use another data directory"
    )]
    OtherNetwork {
        /// Stored name.
        bound: String,
        /// Stored genesis.
        bound_genesis: String,
        /// Name now.
        given: String,
        /// Genesis now.
        given_genesis: String,
    },
    /// The idempotency key was used with other content.
    #[error("Idempotency-Key {key:?} was used for job {job} with other content; use a new key")]
    KeyReused {
        /// The key.
        key: String,
        /// What it stands for.
        job: JobId,
    },
    /// A finalized contract request has another CID or owner than before: somebody lies.
    #[error("request {request} of contract {contract} differs from what was read before (job {job})")]
    RequestChanged {
        /// The contract.
        contract: ContractAddress,
        /// The request.
        request: RequestId,
        /// The job it led to.
        job: JobId,
    },
    /// Another transaction holds this nonce.
    #[error("nonce {nonce} of the {lane:?} account is reserved for another transaction than {}", .tx.0)]
    NonceTaken {
        /// Which account.
        lane: Lane,
        /// The nonce.
        nonce: u64,
        /// Who asked for it.
        tx: TxId,
    },
    /// All signed forms of one transaction share one nonce, so that at most one is mined.
    #[error("transaction {} has nonce {reserved} and cannot be signed with {given}", .tx.0)]
    NonceChanged {
        /// The transaction.
        tx: TxId,
        /// Its nonce.
        reserved: u64,
        /// The other one.
        given: u64,
    },
    /// A key of a payment stands for another payment.
    #[error("this Idempotency-Key was used for transaction {}, which does something else; use a new key", .tx.0)]
    IntentChanged {
        /// The first one.
        tx: TxId,
    },
    /// The gas of the last 2,880 epochs leaves no room for it.
    #[error(
        "gas may cost {needed} attoFIL, and {available} attoFIL are left of budget.gas_per_day_attofil for this day"
    )]
    GasSpent {
        /// The most it can cost.
        needed: AttoFil,
        /// What is left.
        available: AttoFil,
    },
    /// The mark beside the store cannot be written.
    #[error("the mark beside the store cannot be written; check the data directory and free space")]
    Mark(#[source] std::io::Error),
    /// The market takes a proposal once, and this one is another order's.
    #[error("proposal {0} is another order's")]
    ProposalReused(String),
    /// An order's UUID or secret is another one's: a defect, since they follow from store, order and attempt.
    #[error("the UUID or secret of proposal {0} is another order's")]
    IdentityReused(String),
    /// The file is of another version, and only the node brings it up to date.
    #[error(
        "the store has schema {found}, this program {known}; start the node of this version once, or use the program \
         of the store's version"
    )]
    OtherSchema {
        /// In the file.
        found: i64,
        /// Of this program.
        known: i64,
    },
    /// A stored format is newer than this program.
    #[error("stored {format} has version {found}, this version of raas reads up to {known}; use a newer one")]
    NewerFormat {
        /// Which.
        format: &'static str,
        /// Its version.
        found: u32,
        /// The newest known here.
        known: u32,
    },
    /// A stored value cannot be read.
    #[error("stored {format} is unreadable")]
    Unreadable {
        /// Which.
        format: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A number does not fit its column.
    #[error("{what} {value} is outside what the store holds")]
    OutOfRange {
        /// Which.
        what: &'static str,
        /// As given.
        value: String,
    },
    /// The database failed.
    #[error("the store's database failed")]
    Database(#[from] sqlx::Error),
}

/// SQLite's primary result codes that say something of the database as a whole: busy, locked, no memory, read-only,
/// input or output, corrupt, full, cannot open, no database.
const OF_THE_WHOLE: &[u32] = &[5, 6, 7, 8, 10, 11, 13, 14, 26];
/// `SQLITE_FULL`, and `SQLITE_IOERR_SHMSIZE`: no room for the log's index.
const FULL: &[u32] = &[13, 4874];

impl Error {
    /// Whether the disk has no room for what was to be stored.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Database(error) => sqlite_code(error).is_some_and(|code| FULL.contains(&code)),
            Self::Mark(error) => is_storage_full(error),
            _ => false,
        }
    }

    /// Whether the store as a whole cannot be worked with, rather than one thing in it.
    pub(crate) fn is_of_the_whole(&self) -> bool {
        use sqlx::Error::{
            BeginFailed, InvalidSavePointStatement, Io, PoolClosed, PoolTimedOut, Protocol, WorkerCrashed,
        };
        match self {
            Self::Fenced { .. } | Self::Mark(_) => true,
            Self::Database(
                Io(_)
                | PoolTimedOut
                | PoolClosed
                | WorkerCrashed
                | BeginFailed
                | Protocol(_)
                | InvalidSavePointStatement,
            ) => true,
            // An extended code has the primary one in its last byte.
            Self::Database(error) => {
                sqlite_code(error).is_some_and(|code| OF_THE_WHOLE.contains(&(code & 0xff)))
            }
            _ => false,
        }
    }
}

fn sqlite_code(error: &sqlx::Error) -> Option<u32> {
    error.as_database_error()?.code()?.parse().ok()
}

/// Whether a write failed for want of room, on the disk or in a quota.
pub(crate) fn is_storage_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

/// Whether `error` comes from a UNIQUE constraint.
pub(super) fn is_unique_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.is_unique_violation())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Coded(&'static str);

    impl std::fmt::Display for Coded {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl std::error::Error for Coded {}

    impl sqlx::error::DatabaseError for Coded {
        fn message(&self) -> &str {
            self.0
        }

        fn code(&self) -> Option<std::borrow::Cow<'_, str>> {
            Some(self.0.into())
        }

        fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> sqlx::error::ErrorKind {
            sqlx::error::ErrorKind::Other
        }
    }

    #[test]
    fn what_concerns_one_thing_is_told_from_what_concerns_all() {
        let coded = |code| Error::Database(sqlx::Error::Database(Box::new(Coded(code))));
        // Code, whether it is the whole store, whether the disk is full.
        for (code, whole, full) in [
            ("13", true, true),     // SQLITE_FULL
            ("4874", true, true),   // SQLITE_IOERR_SHMSIZE
            ("778", true, false),   // SQLITE_IOERR_WRITE
            ("5", true, false),     // SQLITE_BUSY
            ("11", true, false),    // SQLITE_CORRUPT
            ("2067", false, false), // SQLITE_CONSTRAINT_UNIQUE
            ("1811", false, false), // SQLITE_CONSTRAINT_TRIGGER
        ] {
            let error = coded(code);
            assert_eq!((error.is_of_the_whole(), error.is_disk_full()), (whole, full), "{code}");
        }
        assert!(Error::Fenced { mine: 1, newest: 2 }.is_of_the_whole());
        assert!(Error::Database(sqlx::Error::PoolTimedOut).is_of_the_whole());
        assert!(!Error::Database(sqlx::Error::RowNotFound).is_of_the_whole());
        assert!(!Error::ProposalReused("bafy".to_owned()).is_of_the_whole());
        let mark = Error::Mark(std::io::Error::from(std::io::ErrorKind::StorageFull));
        assert!(mark.is_of_the_whole() && mark.is_disk_full());
    }
}
