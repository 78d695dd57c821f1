//! SHA-256 of many messages at once: tree nodes, and blocks of files. The only unsafe code of the project.
//!
//! There are several paths to the same numbers, one per kind of processor. Which ones this machine can take is
//! found once, at run time; every path is compared with the others, and with the vectors, by the tests.

mod digests;
mod lanes;
mod library;
mod path;
mod portable;
mod unit;
mod words;

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "instructions that must be looked for first, and unaligned vector loads")]
mod avx2;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "instructions that must be looked for first, and unaligned vector loads")]
mod avx512;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "instructions that must be looked for first, and unaligned vector loads")]
mod shani;

pub(crate) use library::parent_of;
pub(crate) use path::Kernel;
pub use path::Path;
pub(crate) use unit::{SPAN_LEVEL, SPAN_PAYLOAD, UNIT_HEIGHT, UNIT_LEVEL, UNIT_PAYLOAD, Unit};
