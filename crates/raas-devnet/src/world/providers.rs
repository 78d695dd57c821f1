//! Between the world and the book of its storage providers: commands in, messages of their workers out.

use super::{
    command::{CommandError, Outcome},
    market::{Deal, Phase, min_provider_collateral},
    state::{MARKET, SECTOR_SIZE, World},
    timeline::StateAt,
};
use crate::{
    codec::{Address, Bitfield, ClientDealProposal, DealUuid, to_cbor},
    config::StatusStyle,
    provider::{ChainView, Command, Effect},
};
use cid::Cid;
use raas_core::{
    ids::{DealId, ProviderId, SectorNumber},
    units::{AttoFil, Epoch, PaddedSize},
};
use std::collections::BTreeMap;

/// f05 method PublishStorageDeals, as providers call it.
const PUBLISH: u64 = 4;
/// f05 method SettleDealPayments.
const SETTLE: u64 = 1_900_091_594;

impl ChainView for World {
    fn head(&self) -> Epoch {
        Epoch(self.chain.head())
    }

    fn account_key(&self, address: &Address) -> Option<Address> {
        let id = self.actors.lookup(address, self.at_head())?;
        let key = self.actors.robust(id)?;
        matches!(key, Address::Secp256k1(_) | Address::Bls(_)).then(|| key.clone())
    }

    fn available_escrow(&self, client: &Address) -> AttoFil {
        let at = self.at_head();
        let available = |id| self.market.balance(id, at).available();
        self.actors.lookup(client, at).map_or(AttoFil::ZERO, available)
    }

    fn datacap(&self, client: &Address) -> u64 {
        let at = self.at_head();
        let spendable = |id| if self.is_frozen(at) { u64::MAX } else { self.registry.datacap(id, at) };
        self.actors.lookup(client, at).map_or(0, spendable)
    }

    fn provider_collateral_bounds(&self, size: PaddedSize, _verified: bool) -> (AttoFil, AttoFil) {
        collateral_bounds(size.get())
    }

    fn deal_is_stored(&self, deal: DealId) -> bool {
        let at = self.at_head();
        let Ok((deal, Phase::Active { sector, .. })) = self.market.deal(deal, at) else { return false };
        let miner = self.miners.get(&ProviderId(deal.provider));
        miner.and_then(|miner| miner.sector(sector, at)).is_some_and(|(_, phase)| phase.is_live())
    }
}

/// What `StateDealProviderCollateralBounds` answers: the market's least with the ten percent a node adds, and all
/// the FIL there is.
#[must_use]
pub fn collateral_bounds(padded: u64) -> (AttoFil, AttoFil) {
    let least = min_provider_collateral(padded).0;
    (AttoFil(least / 100 * 110 + least % 100 * 110 / 100), AttoFil::fil(2_000_000_000))
}

impl World {
    /// Carries out what happened at a provider.
    pub(super) fn provider_command(&mut self, command: &Command) -> Result<Outcome, CommandError> {
        let at = command.provider();
        let mut book = std::mem::take(&mut self.book);
        let handled = book.get_mut(at).map(|provider| provider.handle(command, self));
        self.book = book;
        let (reply, facts) = handled.ok_or(CommandError::UnknownProvider(at))?;
        let now = self.chain.clock();
        for fact in facts {
            self.ledger.record(now, fact);
        }
        Ok(Outcome::Provider(reply))
    }

    /// The next epoch in which a provider has something to do, if it lies after the clock or was passed over.
    pub(super) fn next_provider_work(&self) -> Option<i64> {
        let now = self.chain.clock();
        let due = self.book.next_due().map(|(epoch, _)| epoch.0);
        let pull = self.book.next_pull(Epoch(now)).map(|epoch| epoch.0);
        let soonest = due.into_iter().chain(pull).min()?;
        Some(self.chain.at_or_after(soonest.max(now + 1)))
    }

    /// Every provider that has something due sends its messages into the tipset of `epoch`. Whether any did.
    pub(super) fn work_of_providers(&mut self, epoch: i64) -> bool {
        let ids: Vec<ProviderId> = self
            .book
            .iter()
            .filter(|(_, provider)| provider.next_due().is_some_and(|due| due.0 <= epoch))
            .map(|(id, _)| id)
            .collect();
        let mut worked = false;
        for id in ids {
            let effects =
                self.book.get_mut(id).map(|provider| provider.due(Epoch(epoch))).unwrap_or_default();
            for effect in effects {
                worked = true;
                match effect {
                    Effect::Publish(batch) => self.publish_batch(epoch, id, batch),
                    Effect::Seal(deals) => self.seal_batch(epoch, id, &deals),
                }
            }
        }
        worked
    }

    fn publish_batch(
        &mut self,
        epoch: i64,
        provider: ProviderId,
        batch: Vec<(DealUuid, ClientDealProposal)>,
    ) {
        let (uuids, signed): (Vec<DealUuid>, Vec<ClientDealProposal>) = batch.into_iter().unzip();
        let params = to_cbor(&(&signed,)).unwrap_or_default();
        let Some(message) = self.next_worker_message(provider, MARKET, PUBLISH, params) else { return };
        let cid = message.2;
        let publication = self.publish(epoch, message.0, cid, &signed);
        self.finish_made_message(epoch, message, publication.exit, publication.ret);
        let refused = format!("the publish message exits with {}", publication.exit);
        let mut results = publication.results.into_iter();
        let told = uuids
            .into_iter()
            .map(|uuid| {
                let result = results.next().map(|result| result.map_err(|reason| reason.to_string()));
                (uuid, result.unwrap_or_else(|| Err(refused.clone())))
            })
            .collect();
        if let Some(book) = self.book.get_mut(provider) {
            book.published(cid, Epoch(epoch), told);
        }
    }

    /// Seals deals into as many sectors as their pieces need, in order.
    fn seal_batch(&mut self, epoch: i64, provider: ProviderId, deals: &[(DealUuid, DealId)]) {
        let mut sectors: Vec<Vec<DealId>> = Vec::new();
        let mut room = 0_u64;
        for (_, id) in deals {
            let size = self.market.current(*id).map_or(0, |(deal, _)| deal.proposal.piece_size);
            match sectors.last_mut().filter(|_| size <= room) {
                Some(sector) => sector.push(*id),
                None => {
                    sectors.push(vec![*id]);
                    room = SECTOR_SIZE;
                }
            }
            room = room.saturating_sub(size);
        }
        let sealed: BTreeMap<DealId, SectorNumber> = sectors
            .iter()
            .filter_map(|deals| self.seal(epoch, provider, deals))
            .flat_map(|(sector, active)| active.into_iter().map(move |deal| (deal, sector)))
            .collect();
        let too_late = || "the deal's start epoch has passed, or it is gone".to_owned();
        let told =
            deals.iter().map(|(uuid, id)| (*uuid, sealed.get(id).copied().ok_or_else(too_late))).collect();
        if let Some(book) = self.book.get_mut(provider) {
            book.sealed(Epoch(epoch), told);
        }
    }

    /// The deal made of the proposal with this CID (as the client signed it), in its newest state.
    #[must_use]
    pub fn deal_by_proposal(&self, signed: &Cid) -> Option<(&Deal, Phase)> {
        let deal = self.market.deals.get(self.market.by_signed.get(signed)?)?;
        Some((deal, *deal.phase.latest()?))
    }

    /// Whether a provider settles its deals after their end.
    pub(super) fn settles(&self, provider: ProviderId) -> bool {
        self.miners.get(&provider).is_some_and(|miner| miner.config.status == StatusStyle::Boost)
    }

    /// A provider collects what a deal that ended still owes it.
    pub(super) fn settle_own(&mut self, epoch: i64, provider: ProviderId, deal: DealId) {
        if self.market.deal(deal, StateAt::NEWEST).is_err() {
            return;
        }
        let params: Bitfield = [deal.0].into_iter().collect();
        let encoded = to_cbor(&params).unwrap_or_default();
        let Some(message) = self.next_worker_message(provider, MARKET, SETTLE, encoded) else { return };
        let ret = self.settle_message(epoch, message.2, &params);
        self.finish_made_message(epoch, message, 0, ret);
    }
}
