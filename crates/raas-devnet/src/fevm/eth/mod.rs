//! `eth_*`, `net_*` and `web3_*` with the semantics of a Filecoin node.
//!
//! A block is a tipset: its number the epoch, its hash the digest of the tipset key's CID. Reads at block B see the
//! state after B's messages. Sending goes through [`crate::world::Command::PushEth`], so that it is journaled.

mod blocks;
mod context;
mod dispatch;
mod failure;
mod fees;
mod hex;
mod logs;
mod params;
mod state;
mod traces;
mod transactions;

pub use dispatch::handle;
pub(crate) use dispatch::{handle_as, head, logs_of};
pub(crate) use logs::LogFilter;
