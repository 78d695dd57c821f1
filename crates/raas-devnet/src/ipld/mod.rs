//! The state of miner actors as the IPLD blocks of a real chain, so that a client can walk it by CID.
//!
//! The shapes are those of the built-in actors' version 18. Blocks are made when a state is asked for, and kept by CID
//! for whoever reads them next; a deadline in which nothing changed has the same CIDs in every state. Only a memory of
//! what can be made again: it is no part of the world's history.

mod amt;
mod blocks;
mod miner;

pub use blocks::Blocks;
pub use miner::MinerHead;
pub(crate) use miner::posted;
