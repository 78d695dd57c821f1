//! The pure state of the devnet: no I/O, no clock, no randomness beyond the seed, no HTTP.
//!
//! Every mutation is one [`Command`] given to [`World::apply`]; the same configuration and commands give the
//! same history and the same ledger hash. Reads take a [`StateAt`], since every record is a [`Timeline`]:
//! native reads at tipset T use [`StateAt::before`] (T's parent state), eth reads at block T use
//! [`StateAt::after`] (T's messages executed).
//!
//! Time is a queue of events by epoch. Epochs in which nothing happens cost nothing, tipsets are computed when
//! asked for, so half a million epochs pass in milliseconds.

mod actors;
mod chain;
mod command;
mod state;
mod timeline;

pub use actors::{Actor, Actors, EAM_NAMESPACE, Wallet, eth_robust};
pub use chain::{Chain, Tipset, TipsetError, blake2b_256, chain_cid};
pub use command::{Command, CommandError, Outcome, Sectors};
pub use state::{BURNT, CallResult, MARKET, World};
pub use timeline::{StateAt, Timeline};
