//! The node's own API, first part: jobs, plan, why, the node itself, its chain, its wallet, its own copies.

pub mod aggregates;
pub mod chain;
pub mod explain;
pub mod incidents;
pub mod jobs;
pub mod keys;
pub mod node;
pub mod pay;
pub mod pins;
pub mod proofs;
pub mod store;
pub mod wallet;
