//! JSON-RPC 2.0 at `/rpc/v1`: `Filecoin.*`, `eth_*`, `devnet_*`, and named endpoints at `/rpc/v1/NAME` over the same
//! chain that may lie about the first two.
//!
//! Every read fixes one head and sees the world from there: native state before that tipset's messages, eth state
//! after those of its parent. What an endpoint lacks or gets wrong on purpose is its [`Behaviour`]; the world never
//! lies.

mod accounts;
mod bulk;
mod chain;
mod control;
mod decode;
mod encode;
mod endpoint;
mod endpoints;
mod error;
mod events;
mod fault;
mod filters;
mod gateway;
mod lens;
mod market;
mod messages;
mod miner;
mod native;
mod params;
mod parents;
mod registry;
mod server;
mod socket;
mod subscription;
mod view;

pub use endpoint::{Answer, Behaviour, Client, Endpoint, Profile};
pub use error::RpcError;
pub use fault::{Fault, FaultMode};
pub(crate) use lens::Lens;
pub use native::methods;
pub(crate) use server::Server;
pub use server::{PATH, call};
