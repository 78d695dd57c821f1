//! Time: the queue of what happens when, and the loop that lets epochs pass.
//!
//! Work is bounded by events, never by epochs. In one tipset native messages run first, then the messages of
//! storage providers, then Ethereum transactions, then cron. What falls into a null round is done by the next
//! tipset, before its messages, as on Filecoin; it keeps its own epoch for what it computes.

use super::state::World;
use crate::ledger::Fact;
use raas_core::ids::{DealId, ProviderId, SectorNumber};
use std::collections::BTreeMap;

/// Epochs that what was done is remembered: more than any reorganisation can undo.
const REMEMBERED: i64 = 40_000;

/// Something due at an epoch. The order of variants is the order within a tipset.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    /// A provider declares a sector recovered.
    DeclareRecovered { provider: ProviderId, sector: SectorNumber },
    /// A window's proof covers a new or recovering sector.
    Prove { provider: ProviderId, sector: SectorNumber },
    /// A provider gives sectors up.
    TerminateSectors { provider: ProviderId, sectors: Vec<SectorNumber> },
    /// A provider seals deals that were published in bulk.
    SealBulk { provider: ProviderId, deals: Vec<DealId> },
    /// A provider settles a deal after its end.
    Settle { provider: ProviderId, deal: DealId },
    /// Cron: the deadline of a lost sector closes.
    DeadlineClose { provider: ProviderId, sector: SectorNumber },
    /// Cron: a fault is 42 days old.
    FaultExpire { provider: ProviderId, sector: SectorNumber, since: i64 },
    /// Cron: a sector's own end.
    SectorExpire { provider: ProviderId, sector: SectorNumber },
    /// Cron: the sectors of a batch that one deadline proves are over.
    BulkExpire { provider: ProviderId, first: u64, deadline: usize },
    /// Cron: the slot in which a never-activated deal is removed.
    CleanUp { deal: DealId },
    /// A deal's time is over; nothing changes on chain.
    DealEnd { deal: DealId },
    /// A deal can no longer activate; nothing changes on chain.
    StartMissed { deal: DealId },
    /// An earlier change becomes visible or final; for those who step from event to event.
    Echo,
}

impl Event {
    /// Whether it is a message of a provider, not cron.
    const fn is_message(&self) -> bool {
        matches!(
            self,
            Self::DeclareRecovered { .. }
                | Self::Prove { .. }
                | Self::TerminateSectors { .. }
                | Self::SealBulk { .. }
                | Self::Settle { .. }
        )
    }
}

/// What is due when: epoch of processing -> (epoch it belongs to, event) -> the epoch in which it was caused.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    due: BTreeMap<i64, BTreeMap<(i64, Event), i64>>,
    /// What was processed in the last epochs that can be reverted.
    past: BTreeMap<i64, Vec<(i64, Event, i64)>>,
    /// Events processed so far: the measure of work.
    steps: u64,
}

impl Queue {
    /// Takes what is to be done in `epoch` out of `events`, and remembers it. In a quiet tipset messages wait for the
    /// next one.
    fn take(&mut self, epoch: i64, events: BTreeMap<(i64, Event), i64>, quiet: bool) -> Vec<(i64, Event)> {
        let (late, done): (BTreeMap<_, _>, BTreeMap<_, _>) =
            events.into_iter().partition(|((_, event), _)| quiet && event.is_message());
        if !late.is_empty() {
            self.due.entry(epoch + 1).or_default().extend(late);
        }
        let memory = done.iter().map(|((nominal, event), made)| (*nominal, event.clone(), *made));
        let memory: Vec<_> = memory.collect();
        if !memory.is_empty() {
            self.past.insert(epoch, memory);
        }
        while let Some(oldest) = self.past.first_entry().filter(|oldest| *oldest.key() < epoch - REMEMBERED) {
            oldest.remove();
        }
        done.into_keys().collect()
    }

    /// As it was at `epoch`: what was caused since is forgotten, what was done since is due again.
    pub(super) fn revert(&mut self, epoch: i64) {
        for events in self.due.values_mut() {
            events.retain(|_, made| *made <= epoch);
        }
        let undone = self.past.split_off(&(epoch + 1));
        for (nominal, event, made) in undone.into_values().flatten().filter(|(_, _, made)| *made <= epoch) {
            let due = nominal.max(epoch + 1);
            self.due.entry(due).or_default().entry((nominal, event)).or_insert(made);
        }
        self.due.retain(|_, events| !events.is_empty());
    }
}

impl World {
    /// Puts `event` into the epoch `epoch`, or into the next one if that has passed.
    pub(super) fn schedule(&mut self, epoch: i64, event: Event) {
        self.schedule_since(epoch, event, self.chain.clock());
    }

    /// As [`World::schedule`], for something that was caused in the epoch `made`.
    pub(super) fn schedule_since(&mut self, epoch: i64, event: Event, made: i64) {
        let epoch = epoch.max(self.chain.clock() + 1);
        self.queue.due.entry(epoch).or_default().entry((epoch, event)).or_insert(made);
    }

    /// The next epoch in which something happens or becomes visible or final; `None` in a world at rest.
    #[must_use]
    pub fn next_event(&self) -> Option<i64> {
        let queued = self.queue.due.keys().next().copied().into_iter().chain(self.next_return());
        let waiting = self.has_pending().then(|| self.chain.at_or_after(self.chain.clock() + 1));
        queued.chain(waiting).chain(self.next_provider_work()).min()
    }

    /// Events processed since the world began: passing empty epochs adds nothing.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.queue.steps
    }

    /// Lets `epochs` epochs pass.
    pub(super) fn advance(&mut self, epochs: i64) {
        let target = self.chain.clock().saturating_add(epochs);
        while let Some(epoch) = self.next_event().filter(|epoch| *epoch <= target) {
            self.chain.set_clock(epoch);
            self.pass(epoch);
        }
        self.chain.set_clock(target);
    }

    fn has_pending(&self) -> bool {
        self.has_pending_native() || self.fevm.has_pending()
    }

    /// Everything that happens in `epoch`.
    fn pass(&mut self, epoch: i64) {
        let events = self.queue.due.remove(&epoch).unwrap_or_default();
        if self.chain.is_null(epoch) {
            let tipset = self.chain.at_or_after(epoch);
            self.queue.due.entry(tipset).or_default().extend(events);
            return;
        }
        self.fevm.set_base_fee(self.chain.base_fee(epoch));
        self.queue.steps += u64::try_from(events.len()).unwrap_or(u64::MAX) + 1;
        let quiet = self.is_quiet(epoch);
        let events = self.queue.take(epoch, events, quiet);
        let (missed, own): (Vec<_>, Vec<_>) =
            events.into_iter().partition(|(nominal, event)| *nominal < epoch && !event.is_message());
        let (messages, cron): (Vec<_>, Vec<_>) = own.into_iter().partition(|(_, event)| event.is_message());
        self.return_due(epoch, quiet);
        let facts = self.ledger.len();
        let mut worked = self.has_pending() || !messages.is_empty();
        for (nominal, event) in missed {
            self.happen(epoch, nominal, event);
        }
        if !quiet {
            self.execute_native(epoch);
            for (nominal, event) in messages {
                self.happen(epoch, nominal, event);
            }
            worked |= self.work_of_providers(epoch);
            self.execute_eth(epoch);
        }
        for (nominal, event) in cron {
            self.happen(epoch, nominal, event);
        }
        if worked || self.ledger.len() > facts {
            let visible = self.chain.at_or_after(epoch + 1);
            let last = self.chain.at_or_after(visible + self.config.finality_lag);
            self.schedule(visible, Event::Echo);
            self.schedule(last, Event::Echo);
        }
    }

    /// One event, written into the tipset of `epoch`; `nominal` is the epoch it was due in.
    fn happen(&mut self, epoch: i64, nominal: i64, event: Event) {
        match event {
            Event::DeclareRecovered { provider, sector } => self.declare_recovered(epoch, provider, sector),
            Event::Prove { provider, sector } => self.prove(epoch, provider, sector),
            Event::TerminateSectors { provider, sectors } => {
                self.terminate_sectors(epoch, provider, &sectors)
            }
            Event::SealBulk { provider, deals } => {
                for deal in deals {
                    self.seal(epoch, provider, &[deal]);
                }
            }
            Event::BulkExpire { provider, first, deadline } => {
                if let Some(miner) = self.miners.get_mut(&provider) {
                    miner.expire_batch(first, deadline, epoch);
                }
            }
            Event::Settle { provider, deal } => self.settle_own(epoch, provider, deal),
            Event::DeadlineClose { provider, sector } => {
                self.close_deadline(epoch, nominal, provider, sector)
            }
            Event::FaultExpire { provider, sector, since } => {
                self.expire_fault(epoch, provider, sector, since);
            }
            Event::SectorExpire { provider, sector } => self.expire_sector(epoch, provider, sector),
            Event::CleanUp { deal } => self.clean_up(epoch, deal),
            Event::DealEnd { deal } => self.note_end(epoch, deal),
            Event::StartMissed { deal } => self.note_missed(epoch, deal),
            Event::Echo => {}
        }
    }

    fn note_end(&mut self, epoch: i64, id: DealId) {
        let Some((deal, super::Phase::Active { .. })) = self.market.current(id) else { return };
        let (provider, piece_cid) = (ProviderId(deal.provider), deal.proposal.piece_cid.to_string());
        self.ledger.record(epoch, Fact::Ended { deal_id: id, provider, piece_cid });
    }

    fn note_missed(&mut self, epoch: i64, id: DealId) {
        let Some((deal, super::Phase::Published)) = self.market.current(id) else { return };
        let (provider, piece_cid) = (ProviderId(deal.provider), deal.proposal.piece_cid.to_string());
        self.ledger.record(epoch, Fact::NeverActivated { deal_id: id, provider, piece_cid });
    }
}
