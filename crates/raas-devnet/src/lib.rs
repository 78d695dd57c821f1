//! raas-devnet
