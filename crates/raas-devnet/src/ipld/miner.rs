//! A miner actor's state as blocks: state, info, deadlines, each deadline with its partitions, their sector sets as RLE+
//! and their expirations.
//!
//! What this network does not model is as on a miner that has none of it: no precommits, no vesting, no stored proofs,
//! no fees. The sectors AMT, millions of records that no walk over partitions needs, is empty: sectors are read by
//! `StateSectorGetInfo`.

use super::amt::{array, encode};
use super::blocks::{Blocks, Kept, Put};
use crate::codec::{Address, Bitfield, TokenAmount};
use crate::world::{
    CHALLENGE_WINDOW, FAULT_MAX_AGE, Miner, PARTITION_SECTORS, PROVING_PERIOD, SECTOR_SIZE, SectorPhase,
    StateAt,
};
use cid::Cid;
use ipld_core::ipld::Ipld;
use raas_core::{
    ids::{ProviderId, SectorNumber},
    units::AttoFil,
};
use std::collections::BTreeMap;

/// Bit widths of the actor's arrays.
const PARTITIONS_WIDTH: u32 = 3;
const DEADLINE_EXPIRATIONS_WIDTH: u32 = 5;
const PARTITION_EXPIRATIONS_WIDTH: u32 = 4;
const EARLY_TERMINATED_WIDTH: u32 = 3;
const PROOFS_WIDTH: u32 = 2;
const SECTORS_WIDTH: u32 = 5;
const PRECOMMIT_CLEANUP_WIDTH: u32 = 6;
/// The window proof of 32 GiB sectors.
const WINDOW_PROOF: i128 = 13;

/// A miner's state by CID, and what `StateReadState` prints of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinerHead {
    /// The state block.
    pub head: Cid,
    /// MinerInfo.
    pub info: Cid,
    /// The 48 deadlines.
    pub deadlines: Cid,
    /// An empty HAMT.
    pub precommitted: Cid,
    /// An empty AMT.
    pub precommit_cleanup: Cid,
    /// A bitfield.
    pub allocated: Cid,
    /// An empty AMT.
    pub sectors: Cid,
    /// First epoch of the proving period.
    pub period_start: i64,
    /// The deadline that is open.
    pub current_deadline: i64,
}

/// What a deadline's block is made of besides the proofs of its open window.
#[derive(Clone, Debug)]
pub(super) struct DeadlineHead {
    partitions: Cid,
    expirations: Cid,
    live: u64,
    total: u64,
    faulty: u64,
    /// Partitions with anything to prove.
    provable: Vec<u64>,
}

impl Blocks {
    /// Makes the blocks of a miner's state `at` on a branch, which native reads at the tipset after it see.
    #[must_use]
    pub fn miner(&self, provider: ProviderId, miner: &Miner, at: StateAt, branch: u32) -> MinerHead {
        let mut kept = self.kept();
        let period_start = miner.period_start(at.0);
        let current_deadline = (at.0 - period_start) / CHALLENGE_WINDOW;
        let due: Vec<Ipld> = (0_usize..48)
            .map(|deadline| {
                let head = deadline_head(&mut kept, provider, miner, deadline, at, branch);
                let opened = period_start + deadline as i64 * CHALLENGE_WINDOW;
                let posted = at.0 >= opened + crate::world::PROOF_LAG && at.0 < opened + CHALLENGE_WINDOW;
                Ipld::Link(deadline_block(&mut kept, &head, posted))
            })
            .collect();
        let deadlines = kept.put(encode(&Ipld::List(vec![Ipld::List(due)])));
        let info = kept.put(encode(&info(miner)));
        let empty = |kept: &mut Kept, width| array(kept, width, &BTreeMap::new());
        let precommitted =
            kept.put(encode(&Ipld::List(vec![Ipld::Bytes(Vec::new()), Ipld::List(Vec::new())])));
        let precommit_cleanup = empty(&mut kept, PRECOMMIT_CLEANUP_WIDTH);
        let given = [0, miner.allocated(at)];
        let given = Bitfield::from_runs(if given == [0, 0] { &[] } else { &given }).unwrap_or_default();
        let allocated = kept.put(encode(&Ipld::Bytes(given.to_bytes())));
        let sectors = empty(&mut kept, SECTORS_WIDTH);
        let state = Ipld::List(vec![
            Ipld::Link(info),
            amount(0),
            amount(0),
            Ipld::Null,
            amount(0),
            amount(0),
            Ipld::Link(precommitted),
            Ipld::Link(precommit_cleanup),
            Ipld::Link(allocated),
            Ipld::Link(sectors),
            Ipld::from(i128::from(period_start)),
            Ipld::from(i128::from(current_deadline)),
            Ipld::Link(deadlines),
            set(Vec::new()),
            Ipld::Bool(true),
        ]);
        let head = kept.put(encode(&state));
        MinerHead {
            head,
            info,
            deadlines,
            precommitted,
            precommit_cleanup,
            allocated,
            sectors,
            period_start,
            current_deadline,
        }
    }
}

/// The partitions of a deadline that have been proven in its open window, in state `at`.
pub(crate) fn posted(miner: &Miner, deadline: usize, at: StateAt) -> Vec<u64> {
    let opened = miner.period_start(at.0) + deadline as i64 * CHALLENGE_WINDOW;
    if at.0 < opened + crate::world::PROOF_LAG || at.0 >= opened + CHALLENGE_WINDOW {
        return Vec::new();
    }
    let provable = |index: &u64| {
        let sectors = miner.partition(deadline, *index, at);
        sectors.iter().any(|(_, phase)| phase.is_live() && phase.faulty_since().is_none())
    };
    (0..miner.partition_count(deadline)).filter(provable).collect()
}

fn deadline_head(
    kept: &mut Kept,
    provider: ProviderId,
    miner: &Miner,
    deadline: usize,
    at: StateAt,
    branch: u32,
) -> DeadlineHead {
    // Nothing ever happened in a deadline without a change.
    let changed = miner.last_change(deadline, at).unwrap_or(i64::MIN);
    let key = (provider.number(), deadline, changed, branch);
    if let Some(made) = kept.made.get(&key) {
        return made.clone();
    }
    let (mut partitions, mut expiring) = (BTreeMap::new(), BTreeMap::<u64, Vec<SectorNumber>>::new());
    let mut head = DeadlineHead {
        partitions: Cid::default(),
        expirations: Cid::default(),
        live: 0,
        total: 0,
        faulty: 0,
        provable: Vec::new(),
    };
    for index in 0..miner.partition_count(deadline) {
        let sectors = miner.partition(deadline, index, at);
        if sectors.is_empty() {
            continue;
        }
        let count = |wanted: fn(SectorPhase) -> bool| {
            sectors.iter().filter(|(_, phase)| wanted(*phase)).count() as u64
        };
        let faulty = count(|phase| phase.faulty_since().is_some());
        head.live += count(SectorPhase::is_live);
        head.total += sectors.len() as u64;
        head.faulty += faulty;
        if count(SectorPhase::is_live) > faulty {
            head.provable.push(index);
        }
        let (block, epochs) = partition_block(kept, miner, deadline, &sectors, at);
        for epoch in epochs {
            expiring.entry(epoch).or_default().push(SectorNumber(index));
        }
        partitions.insert(index, block);
    }
    head.partitions = array(kept, PARTITIONS_WIDTH, &partitions);
    let expiring = expiring.into_iter().map(|(epoch, partitions)| (epoch, set(partitions))).collect();
    head.expirations = array(kept, DEADLINE_EXPIRATIONS_WIDTH, &expiring);
    kept.made.insert(key, head.clone());
    head
}

fn deadline_block(kept: &mut Kept, head: &DeadlineHead, posted: bool) -> Cid {
    let proofs = array(kept, PROOFS_WIDTH, &BTreeMap::new());
    let sectors = array(kept, SECTORS_WIDTH, &BTreeMap::new());
    let posted = if posted { head.provable.iter().copied().map(SectorNumber).collect() } else { Vec::new() };
    let block = Ipld::List(vec![
        Ipld::Link(head.partitions),
        Ipld::Link(head.expirations),
        set(posted),
        set(Vec::new()),
        Ipld::from(i128::from(head.live)),
        Ipld::from(i128::from(head.total)),
        power(head.faulty),
        Ipld::Link(proofs),
        Ipld::Link(sectors),
        Ipld::Link(head.partitions),
        Ipld::Link(proofs),
        power(head.live),
        amount(0),
    ]);
    kept.put(encode(&block))
}

/// A partition as it stands in its array, and the epochs at which sectors of it leave.
fn partition_block(
    kept: &mut Kept,
    miner: &Miner,
    deadline: usize,
    sectors: &[(SectorNumber, SectorPhase)],
    at: StateAt,
) -> (Ipld, Vec<u64>) {
    let of = |wanted: fn(SectorPhase) -> bool| -> Vec<SectorNumber> {
        sectors.iter().filter(|(_, phase)| wanted(*phase)).map(|(number, _)| *number).collect()
    };
    let unproven = of(|phase| phase == SectorPhase::Unproven);
    let faults = of(|phase| phase.faulty_since().is_some());
    let recoveries = of(|phase| matches!(phase, SectorPhase::Recovering { .. }));
    let terminated = of(|phase| !phase.is_live());
    let live = (sectors.len() - terminated.len()) as u64;
    let queue = expirations(miner, deadline, sectors, at);
    let epochs = queue.keys().copied().collect();
    let queue = queue.into_iter().map(|(epoch, leaving)| (epoch, leaving.block())).collect();
    let expirations = array(kept, PARTITION_EXPIRATIONS_WIDTH, &queue);
    let early = array(kept, EARLY_TERMINATED_WIDTH, &BTreeMap::new());
    let powers = [live, unproven.len() as u64, faults.len() as u64, recoveries.len() as u64];
    let sets = [of(|_| true), unproven, faults, recoveries, terminated];
    let block = sets.into_iter().map(set).chain([Ipld::Link(expirations), Ipld::Link(early)]);
    (Ipld::List(block.chain(powers.into_iter().map(power)).collect()), epochs)
}

/// Who leaves at one epoch.
#[derive(Default)]
struct Leaving {
    on_time: Vec<SectorNumber>,
    early: Vec<SectorNumber>,
    active: u64,
    faulty: u64,
}

impl Leaving {
    fn block(self) -> Ipld {
        Ipld::List(vec![
            set(self.on_time),
            set(self.early),
            amount(0),
            power(self.active),
            power(self.faulty),
            amount(0),
        ])
    }
}

/// The epochs, quantized to the ends of their deadline, at which live sectors leave on time or by a fault's age.
fn expirations(
    miner: &Miner,
    deadline: usize,
    sectors: &[(SectorNumber, SectorPhase)],
    at: StateAt,
) -> BTreeMap<u64, Leaving> {
    let mut queue = BTreeMap::<u64, Leaving>::new();
    let quantized = |epoch: i64| {
        let end = miner.period_start(at.0) + (deadline as i64 + 1) * CHALLENGE_WINDOW - 1;
        let up = epoch + (end - epoch).rem_euclid(PROVING_PERIOD);
        u64::try_from(up).unwrap_or(0)
    };
    for (number, phase) in sectors.iter().filter(|(_, phase)| phase.is_live()) {
        let Some(end) = miner.expiration(*number) else { continue };
        let early = phase.faulty_since().map(|since| since + FAULT_MAX_AGE).filter(|early| *early < end);
        let leaving = queue.entry(quantized(early.unwrap_or(end))).or_default();
        if early.is_some() {
            leaving.early.push(*number)
        } else {
            leaving.on_time.push(*number)
        }
        if phase.faulty_since().is_some() { leaving.faulty += 1 } else { leaving.active += 1 }
    }
    queue
}

fn info(miner: &Miner) -> Ipld {
    let owner = address(&Address::Id(miner.config.operator));
    let addresses = miner.multiaddrs.iter().map(|bytes| Ipld::Bytes(bytes.clone())).collect();
    Ipld::List(vec![
        owner.clone(),
        address(&Address::Id(miner.config.worker)),
        Ipld::List(Vec::new()),
        Ipld::Null,
        Ipld::Bytes(miner.peer_bytes()),
        Ipld::List(addresses),
        Ipld::from(WINDOW_PROOF),
        Ipld::from(i128::from(SECTOR_SIZE)),
        Ipld::from(i128::from(PARTITION_SECTORS)),
        Ipld::from(-1_i128),
        Ipld::Null,
        owner,
        Ipld::List(vec![amount(0), amount(0), Ipld::from(0_i128)]),
        Ipld::Null,
    ])
}

fn address(address: &Address) -> Ipld {
    Ipld::Bytes(address.to_bytes())
}

fn amount(atto: u128) -> Ipld {
    Ipld::Bytes(TokenAmount(AttoFil(atto)).to_bytes())
}

/// Raw and quality-adjusted power of so many sectors.
fn power(sectors: u64) -> Ipld {
    let bytes = u128::from(sectors) * u128::from(SECTOR_SIZE);
    Ipld::List(vec![amount(bytes), amount(bytes)])
}

/// A set of numbers as RLE+.
fn set(numbers: Vec<SectorNumber>) -> Ipld {
    let numbers: Bitfield = numbers.into_iter().map(|number| number.0).collect();
    Ipld::Bytes(numbers.to_bytes())
}
