//! Every vector file, each row; properties over hostile bytes; and the bounds of memory and size.
//!
//! `RAAS_LONG=1` adds the rows that need more than a few seconds (1 GiB files).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod car;
mod commp;
mod deal;
mod go_random;
mod hostile;
mod pack;
mod seeds;
mod segment;
mod streams;
mod support;
mod unixfs;
