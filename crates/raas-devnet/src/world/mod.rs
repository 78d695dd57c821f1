//! The pure state of the devnet: no I/O, no clock, no randomness beyond the seed, no HTTP.
//!
//! Every mutation is one [`Command`] given to [`World::apply`]; the same configuration and commands give the
//! same history and the same ledger hash. Reads take a [`StateAt`], since every record is a [`Timeline`]:
//! native reads at tipset T use [`StateAt::before`] (T's parent state), eth reads at block T use
//! [`StateAt::after`] (T's messages executed).
//!
//! Time is a queue of events by epoch. Epochs in which nothing happens cost nothing, tipsets are computed when
//! asked for, so half a million epochs pass in milliseconds.
//!
//! Two neighbours live inside the world, each owner of its own state: [`crate::fevm::Fevm`] (contracts and their
//! accounts) and [`crate::provider::Book`] (what providers were offered, took and do next). The world executes what
//! both want done and tells them what became of it.
//! Heights and epochs are plain `i64` within this crate, since most of them are computed modulo proving periods;
//! types of `raas_core` stand where ids and money could be confused.

mod actor_events;
mod actors;
mod bulk;
mod calls;
mod chain;
mod command;
mod contracts;
mod datacap;
mod deals;
mod market;
mod messages;
mod miner;
mod notify;
mod onboard;
mod orders;
mod power;
mod providers;
mod publish;
mod queue;
mod registry;
mod reorg;
mod sectors;
mod state;
mod timeline;

pub use actor_events::{ActorEvent, EVENT_CODEC, EventEntry};
pub use actors::{Actor, Actors, Wallet};
pub use bulk::{Batch, BulkMade, BulkOrder, PARTITION_SECTORS, bulk_piece};
pub use calls::reads_a_deal;
pub use chain::{Chain, Tipset, TipsetError};
pub use command::{Command, CommandError, Outcome, Sectors};
pub use contracts::ActorsAt;
pub use market::{Balance, Deal, Market, Phase, min_provider_collateral};
pub use messages::NativeReceipt;
pub(crate) use miner::PROOF_LAG;
pub use miner::{
    CHALLENGE_WINDOW, DEADLINES, FAULT_DECLARATION_CUTOFF, FAULT_MAX_AGE, Miner, PROVING_PERIOD, Sector,
    SectorCounts, SectorPhase,
};
pub use notify::{Notified, Notify};
pub use onboard::{AllocationKey, DirectPiece, OnboardOrder};
pub use providers::collateral_bounds;
pub use publish::{MAX_DURATION, MAX_LABEL, MIN_DURATION, Skipped};
pub use registry::{Allocation, Claim, Registry};
pub use reorg::{MOST_REVERTED, ReorgOrder, Reorganised};
pub use state::{BURNT, CallResult, MARKET, MOST_EPOCHS, SECTOR_SIZE, World, read_address};
pub use timeline::{StateAt, Timeline};
