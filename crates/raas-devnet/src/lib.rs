//! A small Filecoin in one process that speaks the real protocols and tells the truth.
//!
//! - [`world`] is the pure state: clock, tipsets, accounts, market f05, miners, one [`world::Command`] per
//!   mutation. It is deterministic from its [`Config`] and usable alone, in memory.
//! - [`fevm`] runs contracts over it, [`provider`] takes deals for it, [`codec`] decodes and checks what comes in.
//! - [`ipld`] shows miners' state as the blocks of a real chain.
//! - [`rpc`] serves `Filecoin.*`, `eth_*` and `devnet_*` over HTTP; [`journal`] makes commands durable;
//!   [`ledger`] is the record of all that was signed, published, paid, lost and attested, which judges tests.
//! - [`spawn()`] starts the whole.
//!
//! Invariant: nothing here knows the node that is tested on it, and nothing it decodes or checks is shared with it.
#![forbid(unsafe_code)]

pub mod codec;
pub mod config;
pub mod fevm;
pub mod host;
pub mod ipld;
pub mod journal;
pub mod ledger;
pub mod provider;
pub mod rpc;
pub mod spawn;
pub mod world;

pub use config::{Config, ConfigError, ProviderConfig, StatusStyle};
pub use spawn::{Devnet, SpawnError, spawn};
