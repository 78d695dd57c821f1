//! Deals by the million: a batch is a range of deal ids and sector numbers and everything else follows by arithmetic.
//!
//! Nothing is kept per deal or sector. One that departs from its batch (faulty, terminated, settled) becomes a record of
//! its own, which shadows its place in the batch from then on. Sector numbers are scattered: of every 48 neighbours each
//! is proven in another deadline, in an order that differs from block to block, as sealing in parallel leaves them.

use super::miner::{DEADLINES, SectorPhase};
use super::timeline::Timeline;
use super::{Deal, Phase, Sector};
use crate::codec::{Address, DealProposal, Label};
use cid::Cid;
use multihash::Multihash;
use raas_core::{
    ids::{ActorId, DealId, ProviderId, SectorNumber},
    units::{AttoFil, Epoch},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Sectors of a 32 GiB partition.
pub const PARTITION_SECTORS: u64 = 2_349;
/// Deadlines as a count of sectors.
const BLOCK: u64 = DEADLINES.unsigned_abs();
/// Within a block of sectors, neighbours lie this many deadlines apart (a unit modulo 48).
const STRIDE: u64 = 5;
/// The inverse of [`STRIDE`] modulo 48.
const STRIDE_BACK: u64 = 29;
/// Codec and hash of piece CIDs.
const PIECE_CODEC: u64 = 0xf101;
const PIECE_HASH: u64 = 0x1012;

/// What `devnet_bulkDeals` asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BulkOrder {
    /// At whom.
    pub provider: ProviderId,
    /// How many deals.
    pub count: u64,
    /// The number of the first deal's piece; equal numbers are equal pieces, at every provider.
    #[serde(default)]
    pub first_piece: u64,
    /// Padded bytes of every piece.
    pub piece_size: u64,
    /// Deals of one sector.
    pub deals_per_sector: u64,
    /// Epochs from now to the end of the deals.
    pub duration: i64,
    /// How many of them, the last ones, are published and not activated.
    #[serde(default)]
    pub pending: u64,
    /// After how many epochs the pending ones are sealed; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal_in: Option<i64>,
    /// Whose deals: an address; the account f0999 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
}

/// What a bulk order made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BulkMade {
    /// The id of the first deal; the others follow it, the pending ones last.
    pub first_deal: DealId,
    /// Proven deals.
    pub proven: u64,
    /// Deals that are published only.
    pub pending: u64,
    /// The number of the first sector; the others follow it.
    pub first_sector: SectorNumber,
    /// How many sectors.
    pub sectors: u64,
    /// Whose deals.
    pub client: ActorId,
    /// Their start epoch, also that of their activation.
    pub start: i64,
    /// Their end epoch.
    pub end: i64,
}

/// Proven deals of one provider.
#[derive(Clone, Debug)]
pub struct Batch {
    pub(super) provider: ProviderId,
    pub(super) client: ActorId,
    pub(super) first_deal: u64,
    pub(super) deals: u64,
    pub(super) first_sector: u64,
    pub(super) sectors: u64,
    pub(super) per_sector: u64,
    pub(super) first_piece: u64,
    pub(super) piece_size: u64,
    /// The epoch in whose state they appear, activated and proven.
    pub(super) created: i64,
    pub(super) end: i64,
    /// Its first partition in every deadline.
    pub(super) base: Vec<u64>,
    /// When the sectors of a deadline left at their end.
    pub(super) expired: Vec<Option<i64>>,
}

impl Batch {
    /// What it holds, in the words of the answer to its order.
    #[must_use]
    pub const fn shape(&self) -> BulkMade {
        BulkMade {
            first_deal: DealId(self.first_deal),
            proven: self.deals,
            pending: 0,
            first_sector: SectorNumber(self.first_sector),
            sectors: self.sectors,
            client: self.client,
            start: self.created,
            end: self.end,
        }
    }

    /// The place of a deal in the batch.
    fn index_of_deal(&self, id: DealId) -> Option<u64> {
        id.0.checked_sub(self.first_deal).filter(|index| *index < self.deals)
    }

    fn index_of_sector(&self, number: SectorNumber) -> Option<u64> {
        number.0.checked_sub(self.first_sector).filter(|index| *index < self.sectors)
    }

    fn shift(&self, block: u64) -> u64 {
        // Mixed well enough that no run of blocks has the same order.
        let mixed = (block ^ self.first_sector).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ (mixed >> 29)) % BLOCK
    }

    /// Deadline and partition of the sector at `index`.
    fn place(&self, index: u64) -> (usize, u64) {
        let (block, offset) = (index / BLOCK, index % BLOCK);
        let deadline = (offset * STRIDE + self.shift(block)) % BLOCK;
        let deadline = usize::try_from(deadline).unwrap_or(0);
        let base = self.base.get(deadline).copied().unwrap_or(0);
        (deadline, base + block / PARTITION_SECTORS)
    }

    /// How many partitions its sectors fill in one deadline.
    pub(super) fn partitions(&self) -> u64 {
        self.sectors.div_ceil(BLOCK).div_ceil(PARTITION_SECTORS)
    }

    /// The sectors of its partition number `chunk` in `deadline`, numbers rising.
    pub(super) fn numbers(&self, deadline: usize, chunk: u64) -> impl Iterator<Item = SectorNumber> + '_ {
        let blocks = self.sectors.div_ceil(BLOCK);
        let first = chunk * PARTITION_SECTORS;
        let deadline = deadline as u64;
        (first..blocks.min(first + PARTITION_SECTORS)).filter_map(move |block| {
            let offset = (deadline + BLOCK - self.shift(block)) * STRIDE_BACK % BLOCK;
            let index = block * BLOCK + offset;
            (index < self.sectors).then(|| SectorNumber(self.first_sector + index))
        })
    }

    /// All sector numbers.
    pub(super) fn all_numbers(&self) -> impl Iterator<Item = SectorNumber> + '_ {
        (self.first_sector..self.first_sector + self.sectors).map(SectorNumber)
    }

    /// Phases of the sectors of a deadline that follow the batch.
    pub(super) fn phase(&self, deadline: usize) -> Timeline<SectorPhase> {
        let mut phase = Timeline::since(self.created, SectorPhase::Active);
        if let Some(Some(expired)) = self.expired.get(deadline) {
            phase.set(*expired, SectorPhase::Expired);
        }
        phase
    }

    /// A sector as a record of its own.
    pub(super) fn sector(&self, number: SectorNumber) -> Option<Sector> {
        let index = self.index_of_sector(number)?;
        let (deadline, partition) = self.place(index);
        let first = index * self.per_sector;
        let deals =
            (first..self.deals.min(first + self.per_sector)).map(|deal| DealId(self.first_deal + deal));
        Some(Sector {
            number,
            deals: deals.collect(),
            activation: self.created,
            expiration: self.end,
            deadline: i64::try_from(deadline).unwrap_or(0),
            partition,
            phase: self.phase(deadline),
            in_bulk: true,
            lost: Timeline::default(),
        })
    }

    /// A deal as a record of its own.
    pub(super) fn deal(&self, id: DealId) -> Option<Deal> {
        let index = self.index_of_deal(id)?;
        let sector = SectorNumber(self.first_sector + index / self.per_sector);
        let phase = Phase::Active { sector, since: self.created, settled: None };
        Some(self.deal_in(id, index, Timeline::since(self.created, phase)))
    }

    /// The deal with this id and the piece at `index`, in phases of its own.
    pub(super) fn deal_in(&self, id: DealId, index: u64, phase: Timeline<Phase>) -> Deal {
        let proposal = DealProposal {
            piece_cid: bulk_piece(self.first_piece + index),
            piece_size: self.piece_size,
            verified: false,
            client: Address::Id(self.client),
            provider: Address::Id(self.provider.0),
            label: Label::Text(String::new()),
            start: Epoch(self.created),
            end: Epoch(self.end),
            price_per_epoch: AttoFil::ZERO,
            provider_collateral: AttoFil::ZERO,
            client_collateral: AttoFil::ZERO,
        };
        let signed_cid = proposal.cid().expect("a proposal made here encodes");
        Deal {
            id,
            proposal,
            signed_cid,
            client: self.client,
            provider: self.provider.0,
            publish_message: signed_cid,
            allocation: None,
            phase,
        }
    }
}

/// The CID of bulk piece number `number`: the digest is sha2-256 of `raas-devnet bulk piece` and the number as eight
/// big-endian bytes, with the two top bits of its last byte cleared as in every commitment.
#[must_use]
pub fn bulk_piece(number: u64) -> Cid {
    let mut hasher = Sha256::new();
    hasher.update(b"raas-devnet bulk piece");
    hasher.update(number.to_be_bytes());
    let mut digest: [u8; 32] = hasher.finalize().into();
    if let Some(last) = digest.last_mut() {
        *last &= 0x3f;
    }
    let hash = Multihash::<64>::wrap(PIECE_HASH, &digest).expect("32 bytes fit a 64-byte multihash");
    Cid::new_v1(PIECE_CODEC, hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn batch(sectors: u64) -> Batch {
        Batch {
            provider: ProviderId::new(1_000),
            client: ActorId(999),
            first_deal: 100,
            deals: sectors * 2 - 1,
            first_sector: 7,
            sectors,
            per_sector: 2,
            first_piece: 0,
            piece_size: 1 << 30,
            created: 10,
            end: 1_000,
            base: vec![3; 48],
            expired: vec![None; 48],
        }
    }

    #[test]
    fn every_sector_is_in_exactly_one_partition() {
        for sectors in [1, 47, 48, 49, 1_000, 48 * 2_349 + 100] {
            let batch = batch(sectors);
            let mut seen = BTreeSet::new();
            for deadline in 0..48 {
                for chunk in 0..batch.partitions() {
                    let numbers: Vec<_> = batch.numbers(deadline, chunk).collect();
                    assert!(numbers.is_sorted() && numbers.len() <= 2_349);
                    for number in numbers {
                        let sector = batch.sector(number).expect("in the batch");
                        assert_eq!(sector.deadline, i64::try_from(deadline).expect("small"));
                        assert_eq!(sector.partition, 3 + chunk);
                        assert!(seen.insert(number));
                    }
                }
            }
            assert_eq!(seen.len() as u64, sectors);
            assert_eq!(seen, batch.all_numbers().collect());
        }
    }

    #[test]
    fn neighbours_are_proven_far_apart() {
        let batch = batch(4_800);
        let places: Vec<usize> = (0..4_800).map(|index| batch.place(index).0).collect();
        let near = places.windows(2).filter(|pair| matches!(pair, [a, b] if a.abs_diff(*b) <= 1)).count();
        assert!(near < 200, "{near} of 4799 neighbours");
    }

    #[test]
    fn deals_and_sectors_point_at_each_other() {
        let batch = batch(50);
        for id in (100..199).map(DealId) {
            let deal = batch.deal(id).expect("in the batch");
            let Some(Phase::Active { sector, .. }) = deal.phase.latest().copied() else {
                panic!("not active")
            };
            assert!(batch.sector(sector).expect("there").deals.contains(&id));
        }
        assert!(batch.deal(DealId(199)).is_none() && batch.deal(DealId(99)).is_none());
    }
}
