//! A running node: real adapters behind the ports, two listeners, one loop.
//!
//! [`start`] binds everything or nothing and gives a [`Handle`]; the first stop drains, the second ends at once.

pub mod bootstrap;
pub mod doctor;
mod driver;
mod endpoints;
mod establish;
mod keeper;
pub mod key;
pub mod keys;
pub mod kubo;
pub mod leftovers;
mod real;
mod start;
mod token;
mod waiting;

pub use key::{KeyFileError, read as read_key};
pub use real::RealWorld;
pub use start::{Handle, Options, StartError, start};
