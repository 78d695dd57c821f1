//! The command line: one file per command. Data goes to stdout, talk to stderr.
//!
//! Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; 3 the node could not be reached.
//! Client commands use the public HTTP API only; nothing here reads the store. Commands about key files and `piece`
//! need no node; `contract` speaks to a chain endpoint, `kubo` to a Kubo node.

mod args;
mod args_wallet;
mod beside;
mod chain;
mod client;
mod contract;
mod doctor;
mod explain;
mod failure;
mod get;
mod incidents;
mod job;
mod key;
mod kubo;
mod output;
mod piece;
mod pin;
mod proof;
mod run;
mod signals;
mod store;
mod up;
mod upload;
mod wallet;
mod wallet_keys;
mod words;

#[cfg(feature = "devnet")]
mod demo;
#[cfg(feature = "devnet")]
mod devnet;

#[cfg(feature = "devnet")]
pub use demo::stepper;
pub use failure::Failure;
pub use run::run;
