//! The node's own copies: one CAR file and one index per piece, verified before they get their names.

mod local;
mod pieces;

pub use local::LocalBytes;
pub use pieces::{LocalPiece, PieceStore, Staged, core_commitment, core_size};
