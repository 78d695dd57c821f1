//! The node's own API, first part: jobs, plan, why, the node itself, its wallet.

pub mod aggregates;
pub mod explain;
pub mod jobs;
pub mod node;
pub mod pay;
pub mod wallet;
