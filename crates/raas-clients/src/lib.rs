//! The outside, one folder per party: chain RPC, the contract, the wallet, providers, sources of bytes, time.
//!
//! Each adapter answers in the words of `raas_core::ports`. What it could not see it says so; an error is never
//! passed off as an absence, and an effect that nobody knows the end of is `Uncertain`.
#![forbid(unsafe_code)]

pub mod address;
mod cbor;
pub mod clock;
pub mod evm;
pub mod filecoin;
pub mod guard;
mod http;
pub mod inclusion;
pub mod key;
pub mod kubo;
pub mod provider;
mod rle;
pub mod rpc;
pub mod source;
pub mod wallet;
