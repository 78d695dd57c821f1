//! The node's memory: named transactions over SQLite, never tables handed out.
//!
//! **Owner of state.** Everything durable is here: jobs and holdings, pieces, orders with the bytes of money,
//! rounds, plans, steps, transactions of the wallet, cursors, sightings, attempts, and a log of what happened.
//!
//! **Invariants.**
//! - Each public method is one transaction: all of it is stored and synced, or nothing. A killed process
//!   loses at most the transaction whose answer it had not yet seen.
//! - One connection writes, under `BEGIN IMMEDIATE`; readers see one snapshot each (WAL).
//! - Every start takes the next fence; a write of an older start fails with [`Error::Fenced`].
//! - A place has at most one order on its way (a unique index holds it) and two live generations. A closed
//!   order never changes but by a rewind, its id is never reused. A proposal's CID, UUID and secret are unique, and so is a
//!   nonce per account.
//! - Updates of orders and transactions name the version they read; a stale one changes nothing.
//! - Every JSON value is `{"v":version,"d":…}`; a newer version is refused, older ones stay readable.
//!
//! The SQL uses `$1` parameters and TEXT, INTEGER and BLOB only, so that PostgreSQL can follow.

mod aggregates;
mod apply_window;
mod assemble;
mod attempts;
mod batches;
mod budget;
mod contract_events;
mod cursor;
mod deployments;
mod error;
mod events;
mod figures;
mod holdings;
mod import;
mod incidents;
mod intents;
mod jobs;
mod keeping;
mod keys;
mod lanes;
mod leads;
mod lease;
mod mark;
mod open;
mod orders;
mod packing;
mod pieces;
mod places;
mod plans;
mod providers;
mod replicas;
mod rewind;
mod rounds;
mod schema;
mod seen_proposals;
mod sightings;
mod steps;
mod told;
mod trail;
mod txs;
mod types;
mod uploads;
mod watch;
mod wholes;

pub use aggregates::{PieceIn, StoredAggregate};
pub use apply_window::{RequestChange, Window};
pub use budget::Renewal;
pub use contract_events::{ContractEvent, EventKind, Superseded};
pub use error::Error;
pub(crate) use error::is_storage_full;
pub use events::{Happened, StoreEvent};
pub use figures::{Figures, OpenTransactions};
pub use import::Import;
pub use incidents::{Incident, Trouble, TroubleKind};
pub use keeping::{Kept, Pin, Shelved, Shelves, Spare};
pub use keys::{ApiKey, KeyScope, NewKey, NoKey};
pub use lanes::{GasDay, Halt};
pub use mark::Restored;
pub use open::Store;
pub use rewind::{ContractRewind, ContractRewound, Moved, OrderRewound, Rewind, Rewound};
pub use rounds::Applied;
pub use seen_proposals::SeenProposal;
pub use told::{CopyIn, ToldPiece};
pub use types::{
    Adopted, Attempt, Committed, Job, JobSource, JobState, NewJob, NewPiece, Refusal, Registered,
    RoundReport, Sighting, SightingState, Step, StepKind, StepOutcome, StoredOrder, StoredPiece,
    StoredProposal, StoredProvider, StoredTx, TxId, TxSubmit, Upload,
};
pub use types::{NO_TRANSACTION, ReplicaChange};
pub use watch::{Mark, Watched};
