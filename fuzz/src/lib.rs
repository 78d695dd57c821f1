//! What the fuzz targets check, a module for each: not only that a decoder does not panic, but that what it took is
//! what was written, and that an independent model says the same.

pub mod car;
pub mod cid;
pub mod commp;
#[path = "../../crates/raas-piece/tests/counted/mod.rs"]
mod counted;
pub mod dag;
pub mod index;
mod input;
pub mod proof;
pub mod unixfs;
pub mod varint;

/// Memory that any input may take. Inputs are a few kibibytes, of which a decoder makes numbers, names and CIDs; the
/// rest is buffers of a fixed length.
const MEMORY_MAX: usize = 16 << 20;

/// Checks one input, and that it took no more memory than any may.
pub fn run(check: impl FnOnce(&[u8]), data: &[u8]) {
    let ((), grown) = counted::grown(|| check(data));
    assert!(grown <= MEMORY_MAX, "{} bytes took {} KiB of memory", data.len(), grown >> 10);
}
