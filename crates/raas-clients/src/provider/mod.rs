//! Storage providers' deal protocols.

mod mk12;
mod wire;

pub use mk12::{Mk12, Mk12Config, StatusHint};
