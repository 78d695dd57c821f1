//! Pieces in aggregates: alone, as a contract is shown that takes only proofs of inclusion, or packed with others.

use raas_core::cid::Commitment;
use raas_core::order::Within;
use raas_core::units::PaddedSize;
use raas_piece::inclusion::InclusionProof;
use raas_piece::segment::{Aggregate, AggregateError, LayoutError};

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

/// The aggregate of `size` over pieces in this order.
///
/// # Errors
/// Those of [`Aggregate::new`]: they do not fit, or one is no piece.
pub fn packed(size: PaddedSize, pieces: &[(Commitment, PaddedSize)]) -> Result<Aggregate, AggregateError> {
    let too_small = |size: PaddedSize| raas_piece::PaddedSize::new(size.get()).map_err(LayoutError::from);
    let mut parts = Vec::with_capacity(pieces.len());
    for (piece, bytes) in pieces {
        parts.push((raas_piece::Commitment::new(piece.0)?, too_small(*bytes)?));
    }
    Aggregate::new(too_small(size)?, &parts)
}

/// Whether `proof` shows that the piece is in the aggregate.
#[must_use]
pub fn proves(proof: &InclusionProof, piece: Commitment, size: PaddedSize, within: Within) -> bool {
    let piece = raas_piece::Commitment::new(piece.0).ok();
    let size = raas_piece::PaddedSize::new(size.get()).ok();
    let Some((piece, size)) = piece.zip(size) else { return false };
    proof.verify(piece, size).is_ok_and(|deal| {
        deal.commitment().as_bytes() == &within.aggregate.0 && deal.padded().get() == within.size.get()
    })
}

/// Where a piece of padded `size` begins in the served bytes of its aggregate, by its stored proof; `None` for one that is
/// not readable.
#[must_use]
pub fn start(proof: &[u8], size: PaddedSize) -> Option<u64> {
    let padded = InclusionProof::from_cbor(proof).ok()?.subtree.index.checked_mul(size.get())?;
    Some(padded - padded / 128)
}
