//! CommP: the root over the Fr32 form of a payload, zero-padded to a power of two.

mod hasher;
mod info;
mod parallel;
mod small;

pub use hasher::{HEAD_BYTES, Hasher, HeadError};
pub use info::{Commitment, NotACommitment, PieceInfo};
pub use parallel::{ParallelHasher, of_reader, of_reader_on, of_slice};
pub use small::of_each;
