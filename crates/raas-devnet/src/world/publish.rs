//! PublishStorageDeals: which proposals of a batch become deals, and why the others are skipped.

use super::{
    actor_events::EventBuilder,
    market::{Deal, Phase, min_provider_collateral},
    queue::Event,
    state::{MARKET, World},
    timeline::{StateAt, Timeline},
};
use crate::{
    codec::{Address, Bitfield, ClientDealProposal, DealProposal, to_cbor},
    ledger::Fact,
};
use cid::Cid;
use raas_core::{
    ids::{ActorId, DealId, ProviderId},
    units::{AttoFil, PaddedSize},
};

/// 180 days, the shortest deal.
pub const MIN_DURATION: i64 = 518_400;
/// 1,278 days, the longest deal.
pub const MAX_DURATION: i64 = 3_680_640;
/// Bytes of the longest label.
pub const MAX_LABEL: usize = 256;
/// The most attoFIL any price or collateral may name: all FIL there will ever be.
const MAX_AMOUNT: AttoFil = AttoFil::fil(2_000_000_000);
/// Never-activated deals are removed in the slot of their id, every 30 days.
const CLEAN_UP_INTERVAL: i64 = 86_400;
/// fil-commitment-unsealed and sha2-256-trunc254-padded, the form of every piece CID.
const PIECE_CODEC: u64 = 0xf101;
const PIECE_HASH: u64 = 0x1012;

/// Why the market skipped a proposal. It says so to nobody; the ledger does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Skipped {
    /// All of a batch belong to one miner.
    #[error("provider differs from the batch's first")]
    Provider,
    /// The client has no actor.
    #[error("client {0} has no actor")]
    NoClient(Address),
    /// The client's actor does not answer AuthenticateMessage with true.
    #[error("client {0} cannot authenticate: f1 keys can, Ethereum accounts cannot")]
    Client(Address),
    /// The signature is not the client's.
    #[error("signature: {0}")]
    Signature(String),
    /// A field is outside its bounds.
    #[error("{0} is out of bounds")]
    Field(&'static str),
    /// The same proposal is stored already.
    #[error("duplicate of a stored proposal")]
    Duplicate,
    /// The client's free escrow does not cover it.
    #[error("client escrow {available} does not cover {needed}")]
    ClientFunds {
        /// Free escrow.
        available: AttoFil,
        /// Price and collateral.
        needed: AttoFil,
    },
    /// The client's DataCap does not cover a verified deal's piece.
    #[error("the client's DataCap {available} does not cover {needed} bytes")]
    DataCap {
        /// What it has, in bytes.
        available: u64,
        /// Padded bytes of the piece.
        needed: u64,
    },
    /// A verified deal's piece is smaller than any allocation.
    #[error("a verified deal's piece has {0} bytes: at least 1048576 can be allocated")]
    TooSmallToVerify(u64),
    /// The provider's free escrow does not cover its collateral.
    #[error("provider escrow {available} does not cover {needed}")]
    ProviderFunds {
        /// Free escrow.
        available: AttoFil,
        /// Collateral.
        needed: AttoFil,
    },
}

/// What a publish message did.
pub(super) struct Publication {
    /// 0, 16 when nothing was valid, 18 for a stranger.
    pub(super) exit: i64,
    /// `[[ids], valid bitfield]`.
    pub(super) ret: Vec<u8>,
    /// Per proposal of the batch.
    pub(super) results: Vec<Result<DealId, Skipped>>,
}

impl World {
    /// Executes PublishStorageDeals in the tipset of `epoch`.
    pub(super) fn publish(
        &mut self,
        epoch: i64,
        caller: ActorId,
        message: Cid,
        batch: &[ClientDealProposal],
    ) -> Publication {
        let refused = |exit| Publication { exit, ret: Vec::new(), results: Vec::new() };
        let miner = batch.first().and_then(|first| self.miner_of(&first.proposal.provider));
        let Some(provider) = miner else { return refused(16) };
        if !self.controls(provider, caller) {
            return refused(18);
        }
        let results: Vec<_> =
            batch.iter().map(|signed| self.publish_one(epoch, provider, message, signed)).collect();
        for (signed, result) in batch.iter().zip(&results) {
            if let Err(reason) = result {
                let proposal_cid = signed.proposal.cid().map(|cid| cid.to_string()).unwrap_or_default();
                let reason = reason.to_string();
                self.ledger.record(epoch, Fact::PublishSkipped { provider, proposal_cid, reason });
            }
        }
        let ids: Vec<u64> = results.iter().flatten().map(|id| id.0).collect();
        let valid: Bitfield =
            (0_u64..).zip(&results).filter(|(_, result)| result.is_ok()).map(|(index, _)| index).collect();
        if ids.is_empty() {
            return Publication { results, ..refused(16) };
        }
        let ret = to_cbor(&(ids, valid)).expect("numbers and bytes have CBOR");
        Publication { exit: 0, ret, results }
    }

    fn publish_one(
        &mut self,
        epoch: i64,
        provider: ProviderId,
        message: Cid,
        signed: &ClientDealProposal,
    ) -> Result<DealId, Skipped> {
        let proposal = &signed.proposal;
        if self.miner_of(&proposal.provider) != Some(provider) {
            return Err(Skipped::Provider);
        }
        check_fields(proposal, epoch)?;
        let client = self.authenticate(signed, epoch)?;
        let stored = DealProposal {
            client: Address::Id(client),
            provider: Address::Id(provider.0),
            ..proposal.clone()
        };
        let (Ok(stored_cid), Ok(signed_cid)) = (stored.cid(), proposal.cid()) else {
            return Err(Skipped::Field("proposal"));
        };
        if self.market.pending.contains(&stored_cid) {
            return Err(Skipped::Duplicate);
        }
        let needed = proposal.client_balance_needed();
        let available = self.market.funds(client).available();
        if available < needed {
            return Err(Skipped::ClientFunds { available, needed });
        }
        let available = self.market.funds(provider.0).available();
        if available < proposal.provider_collateral {
            return Err(Skipped::ProviderFunds { available, needed: proposal.provider_collateral });
        }
        let allocation = self.set_aside(epoch, (client, provider), proposal, message)?;
        let collateral = proposal.provider_collateral;
        self.market.change(client, epoch, |balance| balance.locked = balance.locked.plus(needed));
        self.market.change(provider.0, epoch, |balance| balance.locked = balance.locked.plus(collateral));
        let id = self.market.next();
        self.record_published(epoch, id, provider, client, proposal, &signed_cid);
        self.market.pending.insert(stored_cid);
        self.market.by_signed.insert(signed_cid, id);
        let (start, end) = (stored.start.0, stored.end.0);
        let deal = Deal {
            id,
            proposal: stored,
            signed_cid,
            client,
            provider: provider.0,
            publish_message: message,
            allocation,
            phase: Timeline::since(epoch, Phase::Published),
        };
        self.market.deals.insert(id, deal);
        self.emit(epoch, MARKET, message, EventBuilder::deal("deal-published", id, client, provider.0));
        self.schedule(start + 1, Event::StartMissed { deal: id });
        self.schedule(clean_up_slot(id, start), Event::CleanUp { deal: id });
        self.schedule(end, Event::DealEnd { deal: id });
        Ok(id)
    }

    /// The client's actor, if its key signed this proposal.
    fn authenticate(&self, signed: &ClientDealProposal, epoch: i64) -> Result<ActorId, Skipped> {
        let named = &signed.proposal.client;
        let client = self
            .actors
            .lookup(named, StateAt::after(epoch))
            .ok_or_else(|| Skipped::NoClient(named.clone()))?;
        let key = self.actors.robust(client).ok_or_else(|| Skipped::Client(named.clone()))?;
        if matches!(key, Address::Delegated { .. }) {
            return Err(Skipped::Client(named.clone()));
        }
        let bytes = signed.proposal.signing_bytes().map_err(|error| Skipped::Signature(error.to_string()))?;
        signed.signature.verify(&bytes, key).map_err(|error| Skipped::Signature(error.to_string()))?;
        Ok(client)
    }

    fn record_published(
        &mut self,
        epoch: i64,
        id: DealId,
        provider: ProviderId,
        client: ActorId,
        proposal: &DealProposal,
        signed_cid: &Cid,
    ) {
        let fact = Fact::Published {
            deal_id: id,
            provider,
            operator: self.operator(provider),
            client,
            proposal_cid: signed_cid.to_string(),
            piece_cid: proposal.piece_cid.to_string(),
            piece_size: proposal.piece_size,
            label: proposal.label.as_text().to_owned(),
            start_epoch: proposal.start.0,
            end_epoch: proposal.end.0,
            price_per_epoch: proposal.price_per_epoch,
            provider_collateral: proposal.provider_collateral,
        };
        self.ledger.record(epoch, fact);
    }
}

/// The bounds of f05 that need no state.
fn check_fields(proposal: &DealProposal, epoch: i64) -> Result<(), Skipped> {
    let piece = &proposal.piece_cid;
    let piece_cid = piece.codec() == PIECE_CODEC
        && piece.hash().code() == PIECE_HASH
        && piece.hash().digest().len() == 32;
    let collateral = min_provider_collateral(proposal.piece_size)..=MAX_AMOUNT;
    let checks = [
        ("PieceCID", piece_cid),
        ("PieceSize", PaddedSize::new(proposal.piece_size).is_ok()),
        ("Label", proposal.label.len() <= MAX_LABEL),
        ("StartEpoch", proposal.start.0 >= epoch),
        ("EndEpoch", (MIN_DURATION..=MAX_DURATION).contains(&proposal.duration())),
        ("StoragePricePerEpoch", proposal.price_per_epoch <= MAX_AMOUNT),
        ("ProviderCollateral", collateral.contains(&proposal.provider_collateral)),
        ("ClientCollateral", proposal.client_collateral <= MAX_AMOUNT),
    ];
    checks.into_iter().find(|(_, good)| !good).map_or(Ok(()), |(field, _)| Err(Skipped::Field(field)))
}

/// The first clean-up slot of `id` after `start`.
pub(super) fn clean_up_slot(id: DealId, start: i64) -> i64 {
    let slot = i64::try_from(id.0 % CLEAN_UP_INTERVAL.unsigned_abs()).unwrap_or(0);
    start + 1 + (slot - start - 1).rem_euclid(CLEAN_UP_INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_up_comes_within_thirty_days_of_a_missed_start() {
        for (id, start) in [(0, 5_000_000), (100, 5_000_000), (86_399, 4_999_999), (1 << 40, 7)] {
            let slot = clean_up_slot(DealId(id), start);
            assert!((start + 1..=start + CLEAN_UP_INTERVAL).contains(&slot));
            assert_eq!(slot % CLEAN_UP_INTERVAL, i64::try_from(id).expect("small") % CLEAN_UP_INTERVAL);
        }
    }
}
