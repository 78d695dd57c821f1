//! JSON-RPC 2.0 over HTTP: one endpoint, and a pool of them of which some number must agree.
//!
//! A call is asked once per endpoint, never repeated at the same one: backing off is the caller's policy. An
//! error is never an absence by itself; [`CallError`] sorts it into *try again*, *unknown* and *evidence*.

mod classify;
mod endpoint;
mod error;
mod pool;

pub use endpoint::{EndpointConfig, Limits};
pub use error::{CallError, Evidence, Reached, Unknown};
pub use pool::{Call, Pool, PoolError};
