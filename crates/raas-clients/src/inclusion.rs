//! A piece alone in an aggregate: what a contract is shown that takes only proofs of inclusion.

use raas_core::cid::Commitment;
use raas_core::order::Within;
use raas_core::units::PaddedSize;
use raas_piece::segment::Aggregate;

/// The smallest aggregate around one piece. `None` past the largest deal, or where there is no such piece.
#[must_use]
pub fn alone(piece: Commitment, size: PaddedSize) -> Option<Aggregate> {
    let piece = raas_piece::Commitment::new(piece.0).ok()?;
    let size = raas_piece::PaddedSize::new(size.get()).ok()?;
    Aggregate::alone(piece, size).ok()
}

/// The same in the words of the rules.
#[must_use]
pub fn within(piece: Commitment, size: PaddedSize) -> Option<Within> {
    let deal = alone(piece, size)?.piece();
    let size = PaddedSize::new(deal.padded().get()).ok()?;
    Some(Within { aggregate: Commitment(*deal.commitment().as_bytes()), size })
}
