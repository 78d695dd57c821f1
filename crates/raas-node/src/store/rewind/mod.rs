//! Rewinds: history that was final is another one now, and an admin had it read again.
//!
//! What was read of the history that is gone is superseded, what followed from it is undone or follows anew, and the new
//! history takes its place: all in one transaction. Nothing is deleted before its successor is there.

mod apply;
mod contract;

pub use apply::{OrderRewound, Rewind, Rewound};
pub use contract::{ContractRewind, ContractRewound, Moved};
