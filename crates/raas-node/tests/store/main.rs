//! The store, transaction by transaction, in memory and on the disk.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod actions;
mod aggregates;
mod batches;
mod crash;
mod deployments;
mod disk;
mod holdings;
mod jobs;
mod keeping;
mod keys;
mod leads;
mod old_data;
mod orders;
mod packing;
mod pieces;
mod rewinds;
mod rounds;
mod sectors;
mod steps;
mod support;
mod txs;
mod watch;
mod window;
