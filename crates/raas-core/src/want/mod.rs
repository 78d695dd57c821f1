//! What a holding should have, decided from the holding alone: rules 1 to 5 and 9.
//!
//! Money, capacity and storms are not looked at here; `admit` does that. Because nothing but the holding,
//! the round and the rules is read, planning one changed holding and planning all of them agree.
//!
//! One file per rule: `fill`, `replicate`, `renew`, `repair`, `keep`, `attest`, `evict`. `slot` decides
//! which of them a place falls under, `view` holds what they all look at.

mod attest;
mod evict;
mod fill;
mod holding;
mod keep;
mod renew;
mod repair;
mod replicate;
mod slot;
mod view;

pub use holding::want;
pub use renew::window;
