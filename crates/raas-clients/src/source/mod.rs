//! Where bytes come from: whole pieces from providers, CARs from trustless gateways.
//!
//! Nothing is verified here and nothing is kept: a [`Download`] is bounded in bytes, time and redirects, and
//! whoever takes the bytes checks them against their commitment or CID.

mod download;
mod fetcher;

pub use download::{Download, FetchError};
pub use fetcher::{FetchLimits, Fetcher};
