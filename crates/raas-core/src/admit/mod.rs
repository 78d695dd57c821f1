//! What of all wants starts now: one total order, then money, capacity, pace and storms.
//!
//! Wants are served by (priority, due, proven, CID, slot). Those that renew or repair one shared order become
//! one action for all its slots, under the strictest of their limits. What does not start yields a wait.
//!
//! `budget`: what is left to spend. `pace`: how many lost copies one window may replace. `storm`: which
//! suspects wait for the breaker. `group` merges, `admit` runs them in order. `anew` says who has to compete again
//! when only some holdings were planned since.

mod anew;
mod budget;
mod group;
mod pace;
mod run;
mod storm;

pub use anew::anew;
pub use run::admit;
