//! Aggregates at hand: which pieces lie where, without their bytes. Owner of what was computed of the last ones asked for.
//!
//! A piece's bytes are checked against its commitment when they are first read whole through an aggregate at hand, and not
//! again as long as it is: they were checked when they came, and the disk is checked by the scrub.

use super::files::OnDisk;
use crate::blocks::{PieceStore, core_commitment};
use crate::store::{StoredAggregate, StoredPiece};
use raas_clients::inclusion;
use raas_core::cid::Commitment;
use raas_piece::segment::{Aggregate, Payload, VirtualDeal};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many are kept. One of 262,144 pieces takes about 100 MiB.
const KEPT_MAX: usize = 4;

type Deal = Arc<VirtualDeal<OnDisk>>;

/// The aggregates asked for last.
#[derive(Debug, Default)]
pub struct Aggregates {
    /// The newest in front.
    kept: Mutex<VecDeque<(Commitment, Deal)>>,
}

impl Aggregates {
    /// One that is at hand.
    pub fn get(&self, aggregate: Commitment) -> Option<Deal> {
        let mut kept = self.kept();
        let at = kept.iter().position(|(commitment, _)| *commitment == aggregate)?;
        let found = kept.remove(at)?;
        kept.push_front(found);
        kept.front().map(|(_, deal)| Arc::clone(deal))
    }

    /// Keeps one at hand, for the one asked for longest ago. Where another request was faster, its one stays.
    pub fn keep(&self, aggregate: Commitment, deal: Deal) -> Deal {
        if let Some(other) = self.get(aggregate) {
            return other;
        }
        let mut kept = self.kept();
        kept.push_front((aggregate, Arc::clone(&deal)));
        kept.truncate(KEPT_MAX);
        deal
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<(Commitment, Deal)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stored aggregate over the files of its pieces; `None` when they do not make it.
#[must_use]
pub fn stored(pieces: &PieceStore, wanted: Commitment, stored: &StoredAggregate) -> Option<Deal> {
    let size = raas_piece::PaddedSize::new(stored.size.get()).ok()?;
    let mut parts = Vec::with_capacity(stored.pieces.len());
    for piece in &stored.pieces {
        let commitment = raas_piece::Commitment::new(piece.commitment.0).ok()?;
        parts.push((commitment, raas_piece::PaddedSize::new(piece.size.get()).ok()?));
    }
    let aggregate = Aggregate::new(size, &parts).ok()?;
    let files = stored.pieces.iter().map(|piece| (piece.commitment, piece.car_bytes));
    over(pieces, wanted, &aggregate, files)
}

/// The aggregate around one piece; `None` when it is another one.
#[must_use]
pub fn alone(pieces: &PieceStore, wanted: Commitment, piece: &StoredPiece) -> Option<Deal> {
    let aggregate = inclusion::alone(piece.piece.commitment, piece.piece.size)?;
    over(pieces, wanted, &aggregate, [(piece.piece.commitment, piece.piece.car_bytes)])
}

fn over(
    pieces: &PieceStore,
    wanted: Commitment,
    aggregate: &Aggregate,
    files: impl IntoIterator<Item = (Commitment, u64)>,
) -> Option<Deal> {
    if core_commitment(aggregate.piece().commitment()) != wanted {
        return None;
    }
    let payload = |(piece, bytes)| Payload { file: OnDisk { pieces: pieces.clone(), piece }, bytes };
    VirtualDeal::new(aggregate, files.into_iter().map(payload).collect()).ok().map(Arc::new)
}
