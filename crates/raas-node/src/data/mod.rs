//! The data listener: `/ipfs` for everyone, with `/routing/v1` for those who ask who has a CID; `/piece` for providers with a
//! deal's secret, and for everyone where the node is told to.

mod accept;
mod aggregates;
mod ahead;
mod answer;
mod asked;
mod files;
mod gateway;
mod ipfs;
mod limit;
mod parts;
mod patience;
mod piece;
mod range;
mod routing;

pub use gateway::{LISTENER, router};
pub use patience::{Patient, Patiently};
