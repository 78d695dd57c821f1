//! The data listener: `/ipfs` for everyone, `/piece` for providers with a deal's secret, and for everyone where the node is
//! told to.

mod accept;
mod aggregates;
mod ahead;
mod answer;
mod asked;
mod files;
mod gateway;
mod ipfs;
mod limit;
mod patience;
mod piece;
mod range;

pub use gateway::{LISTENER, router};
pub use patience::{Patient, Patiently};
