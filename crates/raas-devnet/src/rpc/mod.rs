//! JSON-RPC 2.0 at `/rpc/v1`: `Filecoin.*`, `eth_*`, `devnet_*`, and the fault modes that lie about the first two.
//!
//! Every read fixes one head and sees the world from there: native state before that tipset's messages, eth state
//! after those of its parent. What an endpoint gets wrong on purpose is a [`FaultMode`]; the world never lies.

mod accounts;
mod chain;
mod control;
mod encode;
mod error;
mod events;
mod fault;
mod market;
mod messages;
mod miner;
mod native;
mod params;
mod parents;
mod server;
mod view;

pub use error::RpcError;
pub use fault::FaultMode;
pub(crate) use server::Server;
pub use server::{PATH, call};
