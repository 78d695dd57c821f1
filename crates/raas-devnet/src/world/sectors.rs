//! What becomes of sectors: sealing, proofs, faults, recoveries, terminations.

use super::{
    actor_events::EventBuilder,
    command::{CommandError, Sectors},
    miner::{Miner, Sector, SectorPhase},
    queue::Event,
    state::World,
    timeline::{StateAt, Timeline},
};
use crate::ledger::Fact;
use cid::Cid;
use raas_core::ids::{DealId, ProviderId, SectorNumber};
use std::borrow::Cow;

/// The shortest life of a sector, 180 days.
pub(super) const MIN_SECTOR_LIFE: i64 = 518_400;

impl World {
    /// ProveCommit of a sector with these deals. Deals that can no longer activate are left out; without any
    /// left there is no sector. Answers the sector and the deals in it.
    pub(super) fn seal(
        &mut self,
        epoch: i64,
        provider: ProviderId,
        deals: &[DealId],
    ) -> Option<(SectorNumber, Vec<DealId>)> {
        let miner = self.miners.get(&provider)?;
        let number = miner.next_number();
        self.pre_commit(epoch, provider, number);
        let message = self.worker_message(epoch, provider, provider.0, PROVE_COMMIT, 0, Vec::new());
        let ends =
            deals.iter().filter_map(|id| self.market.current(*id)).map(|(deal, _)| deal.proposal.end.0);
        let ends = ends.max().unwrap_or(epoch).max(epoch + MIN_SECTOR_LIFE);
        let active: Vec<DealId> = deals
            .iter()
            .copied()
            .filter(|deal| self.activate(epoch, *deal, (number, ends), message))
            .collect();
        if active.is_empty() {
            return None;
        }
        let pieces: Vec<(Cid, u64, i64)> = active
            .iter()
            .filter_map(|id| self.market.current(*id))
            .map(|(deal, _)| (deal.proposal.piece_cid, deal.proposal.piece_size, deal.proposal.end.0))
            .collect();
        let last_end = pieces.iter().map(|(_, _, end)| *end).max().unwrap_or(epoch);
        let expiration = last_end.max(epoch + MIN_SECTOR_LIFE);
        let unsealed = if let [(only, ..)] = pieces.as_slice() {
            *only
        } else {
            self.chain.object_cid("unsealed", epoch)
        };
        let event = pieces.iter().fold(
            EventBuilder::sector("sector-activated", number).unsealed(Some(&unsealed)),
            |event, piece| event.piece(&piece.0, piece.1),
        );
        self.emit(epoch, provider.0, message, event);
        self.place_sector(epoch, provider, number, active.clone(), expiration);
        Some((number, active))
    }

    /// PreCommitSectorBatch2 of a sector. Its proof may follow in the same tipset: PreCommitChallengeDelay is 0 here.
    pub(super) fn pre_commit(&mut self, epoch: i64, provider: ProviderId, number: SectorNumber) {
        let message = self.worker_message(epoch, provider, provider.0, PRE_COMMIT, 0, Vec::new());
        self.emit(epoch, provider.0, message, EventBuilder::sector("sector-precommitted", number));
    }

    /// A new sector in a partition, proven first in its next window.
    pub(super) fn place_sector(
        &mut self,
        epoch: i64,
        provider: ProviderId,
        number: SectorNumber,
        deals: Vec<DealId>,
        expiration: i64,
    ) {
        let Some(miner) = self.miners.get_mut(&provider) else { return };
        let deadline = miner.assign_deadline(number, epoch);
        let partition = miner.enter_partition(number, deadline);
        let sector = Sector {
            number,
            deals,
            activation: epoch,
            expiration,
            deadline,
            partition,
            phase: Timeline::default(),
            in_bulk: false,
            lost: Timeline::default(),
        };
        miner.sectors.insert(number, sector);
        miner.set_phase(number, epoch, SectorPhase::Unproven);
        let first_proof = miner.next_proof(deadline, epoch + 1);
        let end = miner.next_close(deadline, expiration);
        self.schedule(first_proof, Event::Prove { provider, sector: number });
        self.schedule(end, Event::SectorExpire { provider, sector: number });
    }

    /// The sectors a control command reaches: those named, or all live ones.
    pub(super) fn reach(&self, target: &Sectors) -> Result<Vec<SectorNumber>, CommandError> {
        let provider = target.provider;
        let miner = self.miners.get(&provider).ok_or(CommandError::UnknownProvider(provider))?;
        match &target.sectors {
            None => Ok(miner.live_sectors()),
            Some(named) => {
                let dead = |number: &&SectorNumber| {
                    miner.sector(**number, StateAt::NEWEST).is_none_or(|(_, phase)| !phase.is_live())
                };
                match named.iter().find(dead) {
                    Some(sector) => Err(CommandError::UnknownSector { provider, sector: *sector }),
                    None => Ok(named.clone()),
                }
            }
        }
    }

    /// The provider loses sectors: the chain learns when their deadlines close.
    pub(super) fn lose(&mut self, provider: ProviderId, sectors: &[SectorNumber]) {
        let now = self.chain.clock();
        let next = now + 1;
        for number in sectors {
            let close = self.with_sector(provider, *number, |miner_close, sector| {
                sector.lost.set(now, true);
                miner_close(sector.deadline, next)
            });
            if let Some(close) = close {
                self.schedule(close, Event::DeadlineClose { provider, sector: *number });
            }
        }
    }

    /// The provider has sectors again: faulty ones are declared recovered in the next tipset.
    pub(super) fn regain(&mut self, provider: ProviderId, sectors: &[SectorNumber]) {
        let now = self.chain.clock();
        let next = now + 1;
        for number in sectors {
            let faulty = self.with_sector(provider, *number, |_, sector| {
                sector.lost.set(now, false);
                sector.phase.latest().is_some_and(|phase| phase.faulty_since().is_some())
            });
            if faulty == Some(true) {
                self.schedule(next, Event::DeclareRecovered { provider, sector: *number });
            }
        }
    }

    fn with_sector<T>(
        &mut self,
        provider: ProviderId,
        number: SectorNumber,
        act: impl FnOnce(&dyn Fn(i64, i64) -> i64, &mut Sector) -> T,
    ) -> Option<T> {
        let miner = self.miners.get_mut(&provider)?;
        miner.promote(number);
        let mut sector = miner.sectors.remove(&number)?;
        let result = act(&|deadline, epoch| miner.next_close(deadline, epoch), &mut sector);
        miner.sectors.insert(number, sector);
        Some(result)
    }

    fn newest(
        &self,
        provider: ProviderId,
        number: SectorNumber,
    ) -> Option<(&Miner, Cow<'_, Sector>, SectorPhase)> {
        let miner = self.miners.get(&provider)?;
        let (sector, phase) = miner.sector(number, StateAt::NEWEST)?;
        Some((miner, sector, phase))
    }

    /// Writes a phase into the tipset of `epoch`.
    fn turn(&mut self, provider: ProviderId, number: SectorNumber, epoch: i64, phase: SectorPhase) {
        if let Some(miner) = self.miners.get_mut(&provider) {
            miner.set_phase(number, epoch, phase);
        }
    }

    /// DeclareFaultsRecovered: the sector is proven in its next window that leaves room for the declaration.
    pub(super) fn declare_recovered(&mut self, epoch: i64, provider: ProviderId, number: SectorNumber) {
        let Some((miner, sector, SectorPhase::Faulty { since })) = self.newest(provider, number) else {
            return;
        };
        if sector.is_lost() {
            return;
        }
        let proof = miner.next_proof(sector.deadline, epoch);
        self.worker_message(epoch, provider, provider.0, DECLARE_RECOVERED, 0, Vec::new());
        self.turn(provider, number, epoch, SectorPhase::Recovering { since });
        self.schedule(proof, Event::Prove { provider, sector: number });
    }

    /// A window's proof covers a new or recovering sector, if the provider has it.
    pub(super) fn prove(&mut self, epoch: i64, provider: ProviderId, number: SectorNumber) {
        let Some((_, sector, phase)) = self.newest(provider, number) else { return };
        if sector.is_lost() {
            return;
        }
        match phase {
            SectorPhase::Unproven => self.turn(provider, number, epoch, SectorPhase::Active),
            SectorPhase::Recovering { .. } => {
                self.turn(provider, number, epoch, SectorPhase::Active);
                self.ledger.record(epoch, Fact::Recovered { provider, sector: number });
            }
            _ => {}
        }
    }

    /// Cron at the last epoch of a deadline (`nominal`; the change is part of the tipset of `epoch`): a lost
    /// sector missed its proof.
    pub(super) fn close_deadline(
        &mut self,
        epoch: i64,
        nominal: i64,
        provider: ProviderId,
        number: SectorNumber,
    ) {
        let Some((_, sector, phase)) = self.newest(provider, number) else { return };
        if !sector.is_lost() {
            return;
        }
        match phase {
            SectorPhase::Unproven | SectorPhase::Active => {
                let early = Miner::early_expiration(&*sector, nominal);
                self.turn(provider, number, epoch, SectorPhase::Faulty { since: nominal });
                self.ledger.record(epoch, Fact::Faulted { provider, sector: number });
                if let Some(early) = early {
                    self.schedule(early, Event::FaultExpire { provider, sector: number, since: nominal });
                }
            }
            // A declared recovery that was not proven: faulty as before, the 42 days go on.
            SectorPhase::Recovering { since } => {
                self.turn(provider, number, epoch, SectorPhase::Faulty { since });
            }
            SectorPhase::Faulty { .. } | SectorPhase::Terminated | SectorPhase::Expired => {}
        }
    }

    /// Cron 42 days after a fault that was never recovered. No message, so no visible event.
    pub(super) fn expire_fault(
        &mut self,
        epoch: i64,
        provider: ProviderId,
        number: SectorNumber,
        since: i64,
    ) {
        let still = self.newest(provider, number).and_then(|(_, _, phase)| phase.faulty_since());
        if still == Some(since) {
            self.terminate_sector(epoch, provider, number, None);
        }
    }

    /// TerminateSectors by the provider's worker.
    pub(super) fn terminate_sectors(&mut self, epoch: i64, provider: ProviderId, sectors: &[SectorNumber]) {
        let message = self.worker_message(epoch, provider, provider.0, TERMINATE_SECTORS, 0, Vec::new());
        for number in sectors {
            self.terminate_sector(epoch, provider, *number, Some(message));
        }
    }

    fn terminate_sector(
        &mut self,
        epoch: i64,
        provider: ProviderId,
        number: SectorNumber,
        message: Option<Cid>,
    ) {
        let Some((_, sector, phase)) = self.newest(provider, number) else { return };
        if !phase.is_live() {
            return;
        }
        let deals = sector.deals.clone();
        self.turn(provider, number, epoch, SectorPhase::Terminated);
        if let Some(message) = message {
            self.emit(epoch, provider.0, message, EventBuilder::sector("sector-terminated", number));
        }
        let by_cron = message.is_none();
        self.ledger.record(epoch, Fact::SectorTerminated { provider, sector: number, by_cron });
        for deal in deals {
            self.terminate_deal(epoch, deal, message);
        }
    }

    /// Cron at a sector's own end.
    pub(super) fn expire_sector(&mut self, epoch: i64, provider: ProviderId, number: SectorNumber) {
        if self.newest(provider, number).is_some_and(|(_, _, phase)| phase.is_live()) {
            self.turn(provider, number, epoch, SectorPhase::Expired);
        }
    }
}

/// Miner method PreCommitSectorBatch2.
const PRE_COMMIT: u64 = 28;
/// Miner method ProveCommitSectors3.
pub(super) const PROVE_COMMIT: u64 = 34;
/// Miner method DeclareFaultsRecovered.
const DECLARE_RECOVERED: u64 = 11;
/// Miner method TerminateSectors.
const TERMINATE_SECTORS: u64 = 9;
