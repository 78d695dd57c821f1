//! The fleet in memory: what has to be looked at, and when holdings are planned again.
//!
//! **Owner of state.** Nothing here is durable. The store is the truth: [`FleetIndex::load`] reads it once, and
//! [`FleetIndex::sync`] follows its feed of touched holdings. When a row turns out to be other than the store says, the
//! index is dropped and loaded again.

mod index;
mod queue;
mod reading;
mod shelf;
mod touched;
mod wakes;

pub use index::FleetIndex;
pub use queue::Turned;
pub use reading::{PARTITION_CALLS, Probe, Reading, next_look, reading};
pub use shelf::{Row, Shelf};
pub use wakes::{EVERY_ROUND, Wakes};
