//! The world and its chain RPC: the clock, the market, the miners, and what each read sees of them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bulk;
mod clock;
mod endpoints;
mod events;
mod faults;
mod filters;
mod journal;
mod lifecycle;
mod methods;
mod money;
mod network;
mod publish;
mod registry;
mod reorg;
mod rpc;
mod shapes;
mod socket;
mod states;
mod verified;
mod whole;

/// Where providers fetch from, as the providers' own tests have it.
#[path = "../provider/source.rs"]
#[allow(dead_code, reason = "its bad habits are the business of the providers' tests")]
mod source;
