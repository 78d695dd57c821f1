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
pub use everywhere::{Later, LocalBlocks};
pub use examine::Damage;
pub use local::LocalBytes;
pub use piece::LocalPiece;
pub use pieces::{PieceStore, core_commitment, core_size};
pub use room::{NoRoom, Room};
pub use scrub::{Scrub, Scrubbed};
pub use staged::Staged;

use std::num::NonZero;

/// Most threads that hash CommP of one stream, besides the one that takes its bytes in.
const HASHING_MAX: NonZero<usize> = NonZero::<usize>::MIN.saturating_add(3);

/// How many threads hash CommP of one stream: with one, the taker's own. The taker has enough to do for a processor of its own; handing bytes
/// over to threads that must wait for one copies and wakes, which cost a fifth more processor time on two and saved none.
#[must_use]
pub fn hashing_threads() -> NonZero<usize> {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    NonZero::new(processors - 1).unwrap_or(NonZero::<usize>::MIN).min(HASHING_MAX)
}
