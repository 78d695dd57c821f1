//! The binary tree under every commitment: truncated SHA-256 of two nodes, the table of all-zero
//! subtrees, and a sparse tree built from subtree roots alone.

mod node;
mod sparse;

pub use node::{MAX_LEVEL, Node, hash, pad_up, zero};
pub use sparse::{Placed, SparseTree, TreeError};
