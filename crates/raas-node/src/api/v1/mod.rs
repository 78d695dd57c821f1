//! The node's own API, first part: jobs, plan, why, the node itself.

pub mod explain;
pub mod jobs;
pub mod node;
