//! The world and its chain RPC: the clock, the market, the miners, and what each read sees of them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod clock;
mod faults;
mod journal;
mod lifecycle;
mod network;
mod publish;
mod rpc;
mod shapes;
mod states;
