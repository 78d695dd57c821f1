//! raas-node
