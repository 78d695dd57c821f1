//! A Kubo node over its RPC (`/api/v0`): DAGs are imported into it and pinned there, and exported from it.
//!
//! Nothing it sends is believed: a block is hashed, and of an export the DAG is walked to its end. An answer that
//! begins with HTTP 200 may still fail, by a pin's error in its body or by the trailer `X-Stream-Error`; both are
//! failures here.

mod answer;
mod car;
mod client;
mod error;

pub use client::{Kubo, KuboConfig, KuboLimits, Version};
pub use error::KuboError;
