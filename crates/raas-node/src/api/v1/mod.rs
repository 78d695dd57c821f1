//! The node's own API, first part: jobs, plan, why, the node itself, its chain, its wallet.

pub mod chain;
pub mod explain;
pub mod jobs;
pub mod node;
pub mod pay;
pub mod wallet;
