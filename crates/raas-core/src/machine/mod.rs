//! The pure machines: `next(state, event) -> (state, effects)`.
//!
//! The caller stores the new state before it performs the effects. Every effect may be performed twice, and
//! every event may come twice: what says nothing new changes nothing. An event that cannot happen in a state
//! is a typed error, and the state stays.

pub mod cursor;
pub mod lane;
pub mod order;
pub mod rewind;
pub mod sender;
pub mod upload;
