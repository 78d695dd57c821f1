//! The RaaS node: one loop over observe, plan and execute, a store, two listeners, a command line.
//!
//! `tasks` see and decide, `execute` acts, `store` remembers; `api` and `data` only read the store, register
//! and wake the loop. Decisions are `raas-core`'s, bytes are `raas-piece`'s, the outside is `raas-clients`'.
#![forbid(unsafe_code)]

pub mod api;
pub mod blocks;
pub mod causes;
pub mod cli;
pub mod config;
pub mod data;
pub mod engine;
pub mod execute;
pub mod failpoint;
pub mod keeping;
pub mod node;
pub mod settings;
pub mod store;
pub mod tasks;
pub mod upload;
pub mod watch;
pub mod world;
