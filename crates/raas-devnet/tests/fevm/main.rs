//! Contracts on the devnet: the checked-in bytecode, the precompiles' traps, the mempool's rules, `eth_*`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bench;
mod contract;
mod eth;
mod mempool;
mod network;
mod precompiles;
mod scenario;
mod sectors;
mod traces;
mod world;
