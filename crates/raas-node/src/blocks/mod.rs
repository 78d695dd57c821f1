//! The node's own copies: one CAR file and one index per piece, verified before they get their names; blocks of all of
//! them by CID; and room that stays free.

mod claims;
mod everywhere;
mod examine;
mod local;
mod piece;
mod pieces;
mod room;
mod scrub;
mod staged;

pub use claims::Claim;
pub use everywhere::LocalBlocks;
pub use examine::Damage;
pub use local::LocalBytes;
pub use piece::LocalPiece;
pub use pieces::{PieceStore, core_commitment, core_size};
pub use room::{NoRoom, Room};
pub use scrub::{Scrub, Scrubbed};
pub use staged::Staged;
