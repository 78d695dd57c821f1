//! Miner actors: sectors in deadlines, their proofs, faults, recoveries, terminations.
//!
//! A proving period of 2,880 epochs has 48 deadlines of 60 epochs. Every live sector is proven once per period;
//! instead of simulating each proof, only departures from it are events: a sector whose provider lost it turns
//! faulty at the last epoch of its deadline, a recovered one turns active with the proof in its next window.

use super::timeline::{StateAt, Timeline};
use crate::{ProviderConfig, codec::SecretKey};
use raas_core::ids::{DealId, SectorNumber};
use std::collections::BTreeMap;

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
const PROOF_LAG: i64 = 10;

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
    /// Which of the 48 deadlines it is proven in; its partition is always 0.
    pub deadline: i64,
    /// What the chain knew when.
    pub phase: Timeline<SectorPhase>,
    /// Whether the provider has in truth lost it: the chain learns at the deadline.
    pub(super) lost: bool,
}

impl Sector {
    /// Whether the provider has in truth lost it, though the chain may not know yet.
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        self.lost
    }
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
#[derive(Debug)]
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
    pub(super) sectors: BTreeMap<SectorNumber, Sector>,
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
    pub fn sector(&self, number: SectorNumber, at: StateAt) -> Option<(&Sector, SectorPhase)> {
        let sector = self.sectors.get(&number)?;
        Some((sector, *sector.phase.get(at)?))
    }

    /// Every sector listed in state `at` with its phase.
    pub fn sectors(&self, at: StateAt) -> impl Iterator<Item = (&Sector, SectorPhase)> {
        self.sectors.values().filter_map(move |sector| Some((sector, *sector.phase.get(at)?)))
    }

    /// The epoch whose cron terminates a sector that became faulty at `since`; `None` when its own end comes first.
    #[must_use]
    pub fn early_expiration(sector: &Sector, since: i64) -> Option<i64> {
        let early = since + FAULT_MAX_AGE;
        (early < sector.expiration).then_some(early)
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

    /// Puts a sector into `phase` and keeps the counts.
    pub(super) fn set_phase(&mut self, number: SectorNumber, epoch: i64, phase: SectorPhase) {
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
