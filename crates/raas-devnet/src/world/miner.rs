//! Miner actors: sectors in deadlines, their proofs, faults, recoveries, terminations.
//!
//! A proving period of 2,880 epochs has 48 deadlines of 60 epochs. Every live sector is proven once per period;
//! instead of simulating each proof, only departures from it are events: a sector whose provider lost it turns
//! faulty at the last epoch of its deadline, a recovered one turns active with the proof in its next window.

use super::{
    bulk::{Batch, PARTITION_SECTORS},
    timeline::{StateAt, Timeline},
};
use crate::{ProviderConfig, codec::SecretKey};
use raas_core::ids::{DealId, SectorNumber};
use std::{
    borrow::{Borrow, Cow},
    collections::{BTreeMap, BTreeSet},
};

/// Epochs of a proving period.
pub const PROVING_PERIOD: i64 = 2_880;
/// Deadlines of a period.
pub const DEADLINES: i64 = 48;
/// Epochs of a deadline's window.
pub const CHALLENGE_WINDOW: i64 = 60;
/// A declaration must come this long before the window opens.
pub const FAULT_DECLARATION_CUTOFF: i64 = 70;
/// A sector faulty for this long is terminated by cron: 42 days.
pub const FAULT_MAX_AGE: i64 = 42 * PROVING_PERIOD;
/// How long after a window opens the provider's proof lands on chain.
pub(crate) const PROOF_LAG: i64 = 10;
/// [`DEADLINES`] as a length.
const DEADLINE_COUNT: usize = 48;

/// What the chain knows of a sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectorPhase {
    /// Activated, its first window has not come.
    Unproven,
    /// Proven in its last window.
    Active,
    /// Not proven.
    Faulty {
        /// The last epoch of the deadline in which it took effect.
        since: i64,
    },
    /// Declared recovered, still faulty until the next good proof.
    Recovering {
        /// Since when it has been faulty.
        since: i64,
    },
    /// Terminated before its time; still listed.
    Terminated,
    /// Its time is over; still listed.
    Expired,
}

impl SectorPhase {
    /// Its name in answers of control methods.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unproven => "unproven",
            Self::Active => "active",
            Self::Faulty { .. } => "faulty",
            Self::Recovering { .. } => "recovering",
            Self::Terminated => "terminated",
            Self::Expired => "expired",
        }
    }

    /// Whether it counts as live: neither terminated nor expired.
    #[must_use]
    pub const fn is_live(self) -> bool {
        !matches!(self, Self::Terminated | Self::Expired)
    }

    /// Whether it is in the faults bitfield, and since when. Recovering sectors still are.
    #[must_use]
    pub const fn faulty_since(self) -> Option<i64> {
        match self {
            Self::Faulty { since } | Self::Recovering { since } => Some(since),
            _ => None,
        }
    }
}

/// One sector.
#[derive(Clone, Debug)]
pub struct Sector {
    /// Its number at its miner; 0 is legal.
    pub number: SectorNumber,
    /// The deals in it.
    pub deals: Vec<DealId>,
    /// Epoch of its activation.
    pub activation: i64,
    /// Its nominal end.
    pub expiration: i64,
    /// Which of the 48 deadlines it is proven in.
    pub deadline: i64,
    /// Which partition of that deadline it is in.
    pub partition: u64,
    /// What the chain knew when.
    pub phase: Timeline<SectorPhase>,
    /// Whether it belongs to a batch and left its ways.
    pub(super) in_bulk: bool,
    /// Whether the provider has in truth lost it: the chain learns at the deadline.
    pub(super) lost: Timeline<bool>,
}

impl Sector {
    /// Whether the provider has in truth lost it, though the chain may not know yet.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost.latest().copied().unwrap_or(false)
    }

    /// Whether it came with a batch of bulk deals.
    #[must_use]
    pub const fn is_in_bulk(&self) -> bool {
        self.in_bulk
    }
}

/// Who is in one partition.
#[derive(Clone, Debug)]
enum Members {
    /// These sectors.
    Own(BTreeSet<SectorNumber>),
    /// A part of the batch whose first sector this is.
    Bulk { first: u64, chunk: u64 },
}

/// `StateMinerSectorCount`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SectorCounts {
    /// Neither terminated nor expired.
    pub live: u64,
    /// Live, proven and not faulty.
    pub active: u64,
    /// Faulty or recovering.
    pub faulty: u64,
}

/// One miner actor.
#[derive(Clone, Debug)]
pub struct Miner {
    /// Id, operator, worker, ask.
    pub config: ProviderConfig,
    /// Signs its asks and, on real networks, its messages.
    pub worker_key: SecretKey,
    /// Where its proving periods begin, modulo 2,880.
    pub(super) period_offset: i64,
    /// Its libp2p identity: the 32-byte digest of a multihash.
    pub(super) peer_digest: [u8; 32],
    /// Where its server listens, as binary multiaddrs.
    pub multiaddrs: Vec<Vec<u8>>,
    /// Where its server listens, as a URL; none in a world without servers.
    pub url: Option<String>,
    /// Sectors with a record of their own.
    pub(super) sectors: BTreeMap<SectorNumber, Sector>,
    /// Batches of bulk deals by their first sector.
    pub(super) bulk: BTreeMap<u64, Batch>,
    /// Partitions of each deadline.
    partitions: Vec<Vec<Members>>,
    /// Epochs in which something changed in a deadline, rising.
    changes: Vec<Vec<i64>>,
    counts: Timeline<SectorCounts>,
    /// Messages its worker has sent.
    pub(super) messages: u64,
}

impl Miner {
    pub(super) fn new(config: ProviderConfig, seed: [u8; 32]) -> Self {
        let offset = seed.iter().fold(0_i64, |sum, byte| (sum * 256 + i64::from(*byte)) % PROVING_PERIOD);
        Self {
            config,
            worker_key: SecretKey::from_seed(&seed),
            period_offset: offset,
            peer_digest: seed,
            multiaddrs: Vec::new(),
            url: None,
            sectors: BTreeMap::new(),
            bulk: BTreeMap::new(),
            partitions: vec![Vec::new(); DEADLINE_COUNT],
            changes: vec![Vec::new(); DEADLINE_COUNT],
            counts: Timeline::default(),
            messages: 0,
        }
    }

    /// Its libp2p peer id in base58.
    #[must_use]
    pub fn peer_id(&self) -> String {
        base58(&self.peer_bytes())
    }

    /// The peer id's bytes: a sha2-256 multihash.
    #[must_use]
    pub fn peer_bytes(&self) -> Vec<u8> {
        [[0x12, 0x20].as_slice(), &self.peer_digest].concat()
    }

    /// Live, active and faulty sectors in state `at`.
    #[must_use]
    pub fn counts(&self, at: StateAt) -> SectorCounts {
        self.counts.get(at).copied().unwrap_or_default()
    }

    /// A sector and its phase in state `at`; `None` before its activation.
    #[must_use]
    pub fn sector(&self, number: SectorNumber, at: StateAt) -> Option<(Cow<'_, Sector>, SectorPhase)> {
        let sector = match self.sectors.get(&number) {
            Some(own) => Cow::Borrowed(own),
            None => Cow::Owned(self.batch_of(number)?.sector(number)?),
        };
        let phase = *sector.phase.get(at)?;
        Some((sector, phase))
    }

    fn batch_of(&self, number: SectorNumber) -> Option<&Batch> {
        self.bulk.range(..=number.0).next_back().map(|(_, batch)| batch)
    }

    /// Batches of bulk deals.
    pub fn batches(&self) -> impl Iterator<Item = &Batch> {
        self.bulk.values()
    }

    /// The number the next sector gets.
    pub(super) fn next_number(&self) -> SectorNumber {
        let own = self.sectors.keys().next_back().map_or(0, |last| last.0 + 1);
        let bulk = self.bulk.values().next_back().map_or(0, |batch| batch.first_sector + batch.sectors);
        SectorNumber(own.max(bulk))
    }

    /// Every live sector in the newest state, numbers rising.
    pub(super) fn live_sectors(&self) -> Vec<SectorNumber> {
        let is_live = |phase: Option<&SectorPhase>| phase.is_some_and(|phase| phase.is_live());
        let own = self.sectors.values().filter(|sector| is_live(sector.phase.latest()));
        let mut live: Vec<SectorNumber> = own.map(|sector| sector.number).collect();
        for batch in self.bulk.values() {
            let in_step = batch.all_numbers().filter(|number| !self.sectors.contains_key(number));
            live.extend(in_step.filter(|number| is_live(self.newest(*number).as_ref())));
        }
        live.sort_unstable();
        live
    }

    /// Sector numbers given out up to state `at`: all of them from 0 on.
    #[must_use]
    pub fn allocated(&self, at: StateAt) -> u64 {
        let listed = |sector: &&Sector| sector.phase.get(at).is_some();
        let own = self.sectors.values().rev().find(listed).map(|sector| sector.number.0 + 1);
        let made = self.bulk.values().rev().find(|batch| batch.created <= at.0);
        let bulk = made.map(|batch| batch.first_sector + batch.sectors);
        own.into_iter().chain(bulk).max().unwrap_or(0)
    }

    /// The nominal end of a sector.
    #[must_use]
    pub fn expiration(&self, number: SectorNumber) -> Option<i64> {
        match self.sectors.get(&number) {
            Some(own) => Some(own.expiration),
            None => self.batch_of(number).map(|batch| batch.end),
        }
    }

    fn newest(&self, number: SectorNumber) -> Option<SectorPhase> {
        Some(self.sector(number, StateAt::NEWEST)?.1)
    }

    /// Every sector with a record of its own that is listed in state `at`, with its phase. Sectors of batches have one
    /// as soon as they were ever anything but proven.
    pub fn sectors(&self, at: StateAt) -> impl Iterator<Item = (&Sector, SectorPhase)> {
        self.sectors.values().filter_map(move |sector| Some((sector, *sector.phase.get(at)?)))
    }

    /// The epoch whose cron terminates a sector that became faulty at `since`; `None` when its own end comes first.
    #[must_use]
    pub fn early_expiration(sector: impl Borrow<Sector>, since: i64) -> Option<i64> {
        let early = since + FAULT_MAX_AGE;
        (early < sector.borrow().expiration).then_some(early)
    }

    /// The last epoch of the sector's deadline at or after its nominal end: when it leaves on time.
    #[must_use]
    pub fn on_time_expiration(&self, sector: &Sector) -> i64 {
        self.next_close(sector.deadline, sector.expiration)
    }

    /// The first epoch of the proving period that `epoch` lies in.
    #[must_use]
    pub fn period_start(&self, epoch: i64) -> i64 {
        epoch - (epoch - self.period_offset).rem_euclid(PROVING_PERIOD)
    }

    /// The first opening of `deadline` at or after `epoch`.
    pub(super) fn next_open(&self, deadline: i64, epoch: i64) -> i64 {
        let open = self.period_start(epoch) + deadline * CHALLENGE_WINDOW;
        if open >= epoch { open } else { open + PROVING_PERIOD }
    }

    /// The first last epoch of `deadline` at or after `epoch`: when a missed proof becomes a fault.
    pub(super) fn next_close(&self, deadline: i64, epoch: i64) -> i64 {
        self.next_open(deadline, epoch - CHALLENGE_WINDOW + 1) + CHALLENGE_WINDOW - 1
    }

    /// When a sector that is fit from `epoch` on is proven next, if that must be declared before the cutoff.
    pub(super) fn next_proof(&self, deadline: i64, epoch: i64) -> i64 {
        self.next_open(deadline, epoch + FAULT_DECLARATION_CUTOFF) + PROOF_LAG
    }

    /// The deadline for a sector activated in `epoch`: spread by number, never one that is open or opens next.
    pub(super) fn assign_deadline(&self, number: SectorNumber, epoch: i64) -> i64 {
        let current = (epoch - self.period_start(epoch)) / CHALLENGE_WINDOW;
        let spread = i64::try_from(number.0 % 44).unwrap_or(0) * 7 % 44;
        (current + 3 + spread) % DEADLINES
    }

    /// How many partitions a deadline has.
    #[must_use]
    pub fn partition_count(&self, deadline: usize) -> u64 {
        self.partitions.get(deadline).map_or(0, |partitions| partitions.len() as u64)
    }

    /// The sectors of one partition that are listed in state `at`, numbers rising.
    #[must_use]
    pub fn partition(&self, deadline: usize, index: u64, at: StateAt) -> Vec<(SectorNumber, SectorPhase)> {
        let members = usize::try_from(index).ok().and_then(|index| self.partitions.get(deadline)?.get(index));
        let own = |number: &SectorNumber| Some((*number, *self.sectors.get(number)?.phase.get(at)?));
        match members {
            None => Vec::new(),
            Some(Members::Own(numbers)) => numbers.iter().filter_map(own).collect(),
            Some(Members::Bulk { first, chunk }) => {
                let Some(batch) = self.bulk.get(first) else { return Vec::new() };
                let Some(phase) = batch.phase(deadline).get(at).copied() else { return Vec::new() };
                let numbers = batch.numbers(deadline, *chunk);
                numbers.map(|number| own(&number).unwrap_or((number, phase))).collect()
            }
        }
    }

    /// The last epoch up to state `at` in which a sector of the deadline changed.
    #[must_use]
    pub fn last_change(&self, deadline: usize, at: StateAt) -> Option<i64> {
        let changes = self.changes.get(deadline)?;
        let later = changes.partition_point(|epoch| *epoch <= at.0);
        changes.get(later.checked_sub(1)?).copied()
    }

    fn note_change(&mut self, deadline: usize, epoch: i64) {
        let Some(changes) = self.changes.get_mut(deadline) else { return };
        let place = changes.partition_point(|at| *at < epoch);
        if changes.get(place) != Some(&epoch) {
            changes.insert(place, epoch);
        }
    }

    /// The partition of a deadline in which a new sector finds room, itself counted in.
    pub(super) fn enter_partition(&mut self, number: SectorNumber, deadline: i64) -> u64 {
        let deadline = usize::try_from(deadline).unwrap_or(0);
        let Some(partitions) = self.partitions.get_mut(deadline) else { return 0 };
        let full = |members: &Members| match members {
            Members::Own(numbers) => numbers.len() as u64 >= PARTITION_SECTORS,
            Members::Bulk { .. } => true,
        };
        if partitions.last().is_none_or(full) {
            partitions.push(Members::Own(BTreeSet::new()));
        }
        if let Some(Members::Own(numbers)) = partitions.last_mut() {
            numbers.insert(number);
        }
        (partitions.len() - 1) as u64
    }

    /// Takes a batch in, with partitions of its own.
    pub(super) fn add_batch(&mut self, mut batch: Batch) {
        batch.base = self.partitions.iter().map(|partitions| partitions.len() as u64).collect();
        batch.expired = vec![None; DEADLINE_COUNT];
        for (deadline, partitions) in self.partitions.iter_mut().enumerate() {
            let chunks =
                (0..batch.partitions()).filter(|chunk| batch.numbers(deadline, *chunk).next().is_some());
            partitions.extend(chunks.map(|chunk| Members::Bulk { first: batch.first_sector, chunk }));
        }
        for deadline in 0..DEADLINE_COUNT {
            self.note_change(deadline, batch.created);
        }
        let sectors = batch.sectors;
        self.counts.amend_since(batch.created, |counts| {
            counts.live += sectors;
            counts.active += sectors;
        });
        self.bulk.insert(batch.first_sector, batch);
    }

    /// Gives a sector of a batch a record of its own.
    pub(super) fn promote(&mut self, number: SectorNumber) {
        if self.sectors.contains_key(&number) {
            return;
        }
        if let Some(sector) = self.batch_of(number).and_then(|batch| batch.sector(number)) {
            self.sectors.insert(number, sector);
        }
    }

    /// The end of a batch's sectors in one deadline.
    pub(super) fn expire_batch(&mut self, first: u64, deadline: usize, epoch: i64) {
        let Some(batch) = self.bulk.get(&first) else { return };
        let (from, to) = (SectorNumber(first), SectorNumber(first + batch.sectors));
        let own: Vec<(SectorNumber, bool)> = self
            .sectors
            .range(from..to)
            .filter(|(_, sector)| usize::try_from(sector.deadline) == Ok(deadline))
            .map(|(number, sector)| (*number, sector.phase.latest().is_some_and(|phase| phase.is_live())))
            .collect();
        let all =
            (0..batch.partitions()).map(|chunk| batch.numbers(deadline, chunk).count() as u64).sum::<u64>();
        let in_step = all - own.len() as u64;
        let mut counts = self.counts.latest().copied().unwrap_or_default();
        counts.live = counts.live.saturating_sub(in_step);
        counts.active = counts.active.saturating_sub(in_step);
        self.counts.set(epoch, counts);
        if let Some(slot) = self.bulk.get_mut(&first).and_then(|batch| batch.expired.get_mut(deadline)) {
            *slot = Some(epoch);
        }
        for (number, _) in own.into_iter().filter(|(_, live)| *live) {
            self.set_phase(number, epoch, SectorPhase::Expired);
        }
        self.note_change(deadline, epoch);
    }

    /// Forgets everything that happened after `epoch`.
    pub(super) fn revert(&mut self, epoch: i64) {
        self.counts.revert(epoch);
        self.bulk.retain(|_, batch| batch.created <= epoch);
        for expired in self.bulk.values_mut().flat_map(|batch| &mut batch.expired) {
            *expired = expired.filter(|at| *at <= epoch);
        }
        for changes in &mut self.changes {
            changes.retain(|at| *at <= epoch);
        }
        self.sectors.retain(|_, sector| {
            sector.lost.revert(epoch);
            sector.phase.revert(epoch)
        });
        let (sectors, bulk) = (&self.sectors, &self.bulk);
        for partitions in &mut self.partitions {
            partitions.retain_mut(|members| match members {
                Members::Own(numbers) => {
                    numbers.retain(|number| sectors.contains_key(number));
                    !numbers.is_empty()
                }
                Members::Bulk { first, .. } => bulk.contains_key(first),
            });
        }
    }

    /// Puts a sector into `phase` and keeps the counts.
    pub(super) fn set_phase(&mut self, number: SectorNumber, epoch: i64, phase: SectorPhase) {
        self.promote(number);
        if let Some(deadline) =
            self.sectors.get(&number).and_then(|sector| usize::try_from(sector.deadline).ok())
        {
            self.note_change(deadline, epoch);
        }
        let Some(sector) = self.sectors.get_mut(&number) else { return };
        let before = sector.phase.latest().copied();
        sector.phase.set(epoch, phase);
        let mut counts = self.counts.latest().copied().unwrap_or_default();
        if let Some(old) = before {
            counts.take(old);
        }
        counts.add(phase);
        self.counts.set(epoch, counts);
    }
}

impl SectorCounts {
    fn fields(&mut self, phase: SectorPhase) -> impl Iterator<Item = &mut u64> {
        let active = phase == SectorPhase::Active;
        let faulty = phase.faulty_since().is_some();
        [(phase.is_live(), &mut self.live), (active, &mut self.active), (faulty, &mut self.faulty)]
            .into_iter()
            .filter_map(|(counts, field)| counts.then_some(field))
    }

    fn add(&mut self, phase: SectorPhase) {
        self.fields(phase).for_each(|field| *field += 1);
    }

    fn take(&mut self, phase: SectorPhase) {
        self.fields(phase).for_each(|field| *field = field.saturating_sub(1));
    }
}

/// Base58 as libp2p writes peer ids.
fn base58(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut digits: Vec<u8> = Vec::new();
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = (carry % 58) as u8;
            carry /= 58;
        }
        while carry > 0 {
            digits.push((carry % 58) as u8);
            carry /= 58;
        }
    }
    let zeros = bytes.iter().take_while(|byte| **byte == 0).map(|_| '1');
    let rest = digits.iter().rev().filter_map(|digit| ALPHABET.get(usize::from(*digit)));
    zeros.chain(rest.map(|letter| char::from(*letter))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn miner() -> Miner {
        let config = crate::Config::default().providers.swap_remove(0);
        Miner::new(config, [7; 32])
    }

    #[test]
    fn base58_matches_a_published_vector() {
        assert_eq!(base58(b"Hello World!"), "2NEpo7TZRRrLZSi2U");
        assert_eq!(base58(&[0, 0, 1]), "112");
    }

    #[test]
    fn windows_come_once_per_period() {
        let miner = miner();
        for epoch in [0, 1, 59, 60, 2_879, 5_000_000] {
            for deadline in [0, 1, 47] {
                let open = miner.next_open(deadline, epoch);
                assert!((epoch..epoch + PROVING_PERIOD).contains(&open));
                assert_eq!((open - miner.period_start(open)) / CHALLENGE_WINDOW, deadline);
                let close = miner.next_close(deadline, epoch);
                assert!((epoch..epoch + PROVING_PERIOD).contains(&close));
                assert_eq!(
                    (close + 1 - miner.period_offset - (deadline + 1) * 60).rem_euclid(PROVING_PERIOD),
                    0
                );
            }
        }
    }

    #[test]
    fn a_new_sector_never_lands_in_a_deadline_about_to_be_proven() {
        let miner = miner();
        for number in 0..100 {
            let epoch = 5_000_000 + i64::try_from(number).expect("small") * 31;
            let deadline = miner.assign_deadline(SectorNumber(number), epoch);
            let lead = miner.next_open(deadline, epoch) - epoch;
            assert!(lead > CHALLENGE_WINDOW, "deadline {deadline} opens in {lead}");
        }
    }
}
