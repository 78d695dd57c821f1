//! `raas demo`: the whole job on a real file, in a minute, on a devnet in this process.
//!
//! The demo acts through the public HTTP API and the devnet's control methods only, and believes nothing that the
//! node says of the chain: each claim is read again from chain RPC, contract or provider before it is printed.
//! One act per file in `acts`; one line per step, with the facts for whoever wants to check it once more.

mod acts;
mod chain;
mod copies;
mod digest;
mod report;
mod run;
mod stage;
pub mod stepper;
mod subject;

pub use run::demo;
