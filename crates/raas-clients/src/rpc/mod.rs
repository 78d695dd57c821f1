//! JSON-RPC 2.0 over HTTP and WebSockets: one endpoint, and a pool of them of which some number must agree.
//!
//! A call is asked once per endpoint, never repeated at the same one once it may have been acted upon: backing off is
//! the caller's policy. An error is never an absence by itself; [`CallError`] sorts it into *try again*, *unknown* and
//! *evidence*. What an endpoint is remembered for (its breaker, its rate, its network, what it lacks) is in `memory`,
//! decided by pure parts that are told the time.

mod answer;
mod breaker;
mod bucket;
mod classify;
mod config;
mod endpoint;
mod error;
mod memory;
mod pool;
mod reply;
mod sight;
mod socket;
mod transport;

pub use config::{EndpointConfig, Limits};
pub use error::{CallError, Evidence, Reached, Unknown};
pub use pool::{Call, Pool, PoolError};

pub(crate) use reply::Reply;
pub(crate) use sight::{Abilities, Place, Sight};
