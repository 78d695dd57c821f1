//! One file per act. Each ends only when what it shows was verified.

pub mod renew;
pub mod repair;
pub mod retrieve;
mod show;
pub mod store;

pub use show::Show;
