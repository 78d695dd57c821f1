//! One deal in a provider's book, from its proposal to its sector.

use super::terms::Terms;
use crate::codec::{Commitment, DealParams, DealUuid, Piece, PieceCid, TransferParams, extend};
use cid::Cid;
use raas_core::ids::{DealId, SectorNumber};
use raas_core::units::{Epoch, PaddedSize};
use serde::{Deserialize, Serialize};

/// What the provider means to do with a deal, drawn when it was proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Everything as agreed.
    Honest,
    /// Fetch late, else as agreed.
    Slow,
    /// Refused in words; published at this epoch, whether the bytes came or not.
    PublishUnasked {
        /// When.
        at: Epoch,
    },
    /// Never do anything.
    Vanish,
    /// Publish and never activate.
    NeverSeal,
}

/// How far a deal is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The bytes are to be fetched from this epoch on.
    Fetching {
        /// Not before.
        from: Epoch,
    },
    /// The bytes are there and right.
    Fetched {
        /// Since when.
        at: Epoch,
    },
    /// The deal has an id.
    Published {
        /// The id.
        deal: DealId,
        /// The message.
        message: Cid,
        /// The message's epoch.
        at: Epoch,
    },
    /// The deal's sector was proven.
    Sealed {
        /// The id.
        deal: DealId,
        /// The publishing message.
        message: Cid,
        /// Where the bytes are.
        sector: SectorNumber,
    },
    /// The provider gave up.
    Failed {
        /// Why.
        error: String,
        /// The id and message, if it was published before.
        published: Option<(DealId, Cid)>,
    },
}

/// A deal as a provider keeps it.
#[derive(Clone, Debug)]
pub struct Deal {
    /// As proposed.
    pub params: DealParams,
    /// Parsed out of the parameters.
    pub transfer: TransferParams,
    /// What the chain calls the proposal.
    pub proposal_cid: Cid,
    /// When it came.
    pub proposed_at: Epoch,
    /// What the provider means to do.
    pub intent: Intent,
    /// How far it is.
    pub stage: Stage,
    /// Whether right bytes are on the provider's disk.
    pub has_bytes: bool,
    /// Stages that the chain ended, and when: where the deal stands again if those tipsets are reverted.
    pub(super) past: Vec<(Epoch, Stage)>,
}

/// How a transfer ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "as", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum TransferEnd {
    /// These bytes came.
    Received {
        /// Hex of their commitment.
        commitment: String,
        /// The smallest piece for them.
        padded_size: PaddedSize,
        /// How many.
        payload_size: u64,
    },
    /// None came, or not all, or not a CAR.
    Failed {
        /// Why.
        reason: String,
    },
}

impl TransferEnd {
    /// The end that `piece` came.
    #[must_use]
    pub fn received(piece: &Piece) -> Self {
        Self::Received {
            commitment: hex::encode(piece.commitment.0),
            padded_size: piece.padded_size,
            payload_size: piece.payload_size,
        }
    }
}

/// Bytes that a provider has to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    /// For which deal.
    pub uuid: DealUuid,
    /// Where from.
    pub source: TransferParams,
    /// How many bytes.
    pub size: u64,
    /// What they must hash to, in a piece of `padded_size`.
    pub commitment: Commitment,
    /// The piece's size in the proposal.
    pub padded_size: PaddedSize,
}

impl Pull {
    /// `Err` with the reason when `piece` is not what was agreed. A piece proposed larger than its payload needs
    /// is compared after extending the commitment with zeros.
    pub fn judge(&self, piece: &Piece) -> Result<(), String> {
        if piece.payload_size != self.size {
            return Err(format!("received {} bytes, the transfer size is {}", piece.payload_size, self.size));
        }
        if piece.padded_size > self.padded_size {
            return Err(format!("{} bytes do not fit a piece of {}", piece.payload_size, self.padded_size));
        }
        let extended = extend(piece.commitment, piece.padded_size, self.padded_size);
        if extended != self.commitment {
            return Err(format!("commp mismatch: received {extended:?}, proposed {:?}", self.commitment));
        }
        Ok(())
    }
}

impl Deal {
    /// The commitment proposed. `None` cannot be: the checks let only piece CIDs in.
    pub(super) fn commitment(&self) -> Option<Commitment> {
        let cid = &self.params.client_deal_proposal.proposal.piece_cid;
        PieceCid::try_from(cid).ok().map(|cid| cid.commitment())
    }

    /// The piece proposed, with the payload that the transfer brings.
    pub(super) fn piece(&self) -> Option<Piece> {
        let padded_size = PaddedSize::new(self.params.client_deal_proposal.proposal.piece_size).ok()?;
        Some(Piece { commitment: self.commitment()?, padded_size, payload_size: self.params.transfer.size })
    }

    pub(super) fn pull(&self) -> Option<Pull> {
        let piece = self.piece()?;
        Some(Pull {
            uuid: self.params.deal_uuid,
            source: self.transfer.clone(),
            size: piece.payload_size,
            commitment: piece.commitment,
            padded_size: piece.padded_size,
        })
    }

    /// The deal's id, once it has one.
    #[must_use]
    pub fn deal_id(&self) -> Option<DealId> {
        match &self.stage {
            Stage::Published { deal, .. } | Stage::Sealed { deal, .. } => Some(*deal),
            Stage::Failed { published, .. } => published.map(|(deal, _)| deal),
            Stage::Fetching { .. } | Stage::Fetched { .. } => None,
        }
    }

    /// Changes the stage by what a tipset of `epoch` did.
    pub(super) fn turn(&mut self, epoch: Epoch, change: impl FnOnce(&mut Self)) {
        let before = self.stage.clone();
        change(self);
        if self.stage != before {
            self.past.push((epoch, before));
        }
    }

    /// Goes back to where the deal stood at `epoch`, as far as the chain moved it since. What the provider fetched stays
    /// fetched.
    pub(super) fn revert(&mut self, epoch: Epoch) {
        while let Some((_, stage)) = self.past.pop_if(|(at, _)| *at > epoch) {
            self.stage = stage;
        }
    }

    pub(super) fn fail(&mut self, error: String) {
        let published = match &self.stage {
            Stage::Published { deal, message, .. } | Stage::Sealed { deal, message, .. } => {
                Some((*deal, *message))
            }
            Stage::Failed { .. } => return,
            Stage::Fetching { .. } | Stage::Fetched { .. } => None,
        };
        self.stage = Stage::Failed { error, published };
    }

    /// The last epoch at which it can be activated.
    pub(super) fn start(&self) -> Epoch {
        self.params.client_deal_proposal.proposal.start
    }

    /// Since when the transfer is to be under way, if it is.
    pub(super) fn fetches_from(&self) -> Option<Epoch> {
        match self.stage {
            Stage::Fetching { from } if self.intent != Intent::Vanish => Some(from),
            _ => None,
        }
    }

    /// Since when the bytes have been waiting for the publish message of the batch.
    pub(super) fn batched_since(&self) -> Option<Epoch> {
        match (&self.stage, self.intent) {
            (_, Intent::PublishUnasked { .. } | Intent::Vanish) => None,
            (Stage::Fetched { at }, _) => Some(*at),
            _ => None,
        }
    }

    /// Whether it is not published yet, but might be.
    pub(super) fn is_unpublished(&self) -> bool {
        matches!(self.stage, Stage::Fetching { .. } | Stage::Fetched { .. })
    }

    /// Whether it was refused in words and is published all the same at `now`.
    pub(super) fn publishes_unasked(&self, now: Epoch) -> bool {
        self.is_unpublished() && matches!(self.intent, Intent::PublishUnasked { at } if at <= now)
    }

    /// When its sector is proven, if its provider means to do that.
    pub(super) fn seals_at(&self, terms: &Terms) -> Option<Epoch> {
        match self.stage {
            Stage::Published { at, .. } if self.intent != Intent::NeverSeal && self.has_bytes => {
                Some(Epoch(at.0.saturating_add(terms.seal_delay)))
            }
            _ => None,
        }
    }

    /// Whether nothing is left to do for it: it is in a sector, given up, or published by one that will not seal it.
    pub(super) fn rests(&self) -> bool {
        match self.stage {
            Stage::Fetching { .. } | Stage::Fetched { .. } => false,
            Stage::Published { .. } => self.intent == Intent::NeverSeal || !self.has_bytes,
            Stage::Sealed { .. } | Stage::Failed { .. } => true,
        }
    }

    /// The next epoch at which this deal alone has something due: it is published unasked, sealed or given up.
    pub(super) fn next_due(&self, terms: &Terms) -> Option<Epoch> {
        if !self.is_unpublished() {
            return self.seals_at(terms);
        }
        let given_up = Epoch(self.start().0.saturating_add(1));
        match self.intent {
            Intent::PublishUnasked { at } => Some(at.min(given_up)),
            _ => Some(given_up),
        }
    }
}
