//! CommP: the root over the Fr32 form of a payload, zero-padded to a power of two.

mod hasher;
mod info;

pub use hasher::{HEAD_BYTES, Hasher, HeadError, of_reader};
pub use info::{Commitment, NotACommitment, PieceInfo};
