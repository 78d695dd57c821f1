//! The rules of the RaaS node, pure: words, policy, holdings, slots, orders, observations, plans, machines.
//!
//! Nothing here knows a runtime, a network, a store, a clock, the environment or a random number. Epochs,
//! seeds and observations are arguments, so that the same input gives the same plan, everywhere and always.
#![forbid(unsafe_code)]

pub mod activation;
pub mod admit;
pub mod allocation;
pub mod amount;
pub mod breaker;
pub mod cid;
pub mod endpoint;
pub mod fleet;
pub mod forecast;
pub mod gate;
mod hash;
pub mod health;
pub mod holding;
pub mod ids;
pub mod lead;
pub mod machine;
pub mod observation;
pub mod order;
pub mod pack;
pub mod plan;
pub mod policy;
pub mod ports;
pub mod prune;
pub mod retry;
pub mod select;
mod signature;
pub mod spend;
pub mod sweep;
pub mod units;
pub mod wallet;
pub mod want;
