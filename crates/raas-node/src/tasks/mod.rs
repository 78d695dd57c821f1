//! The tasks of the loop. None takes an input: a wake-up is a hint, the store and the ports say the rest.

pub mod adopt;
pub(crate) mod beside;
pub(crate) mod changes;
pub(crate) mod fleet;
pub mod follow;
pub(crate) mod look;
pub mod money;
pub mod observe;
pub mod plan;
mod prune;
pub mod published;
pub mod restored;
pub mod rewind;
