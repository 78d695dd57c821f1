//! A running node: real adapters behind the ports, two listeners, one loop.
//!
//! [`start`] binds everything or nothing and gives a [`Handle`]; the first stop drains, the second ends at once.

pub mod bootstrap;
mod driver;
pub mod key;
mod real;
mod start;
mod token;

pub use real::RealWorld;
pub use start::{Handle, Options, StartError, start};
