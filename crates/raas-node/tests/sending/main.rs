//! The one writer of an account against a scripted chain: drops, replacements, reorganisations, lying endpoints, foreign
//! transactions, a second leader.
//!
//! The devnet has no reorganisations and loses nothing from its mempool, so this chain is a script of its own: its rules
//! and texts are those of a public Lotus endpoint (no gap, a quarter more to replace, receipts one tipset later and
//! forgotten after a while). What reaches it is judged by what it mined.

mod batches;
mod faults;
mod pruning;
mod scene;
mod script;
