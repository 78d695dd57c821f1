//! Direct data onboarding: sectors with pieces that no deal is about, and the claims of verified ones.

use super::{
    actor_events::EventBuilder,
    command::{CommandError, Outcome},
    notify::{Delivery, Notify, Told},
    registry::Allocation,
    sectors::{MIN_SECTOR_LIFE, PROVE_COMMIT},
    state::{World, read_address},
    timeline::StateAt,
};
use cid::Cid;
use raas_core::ids::{ProviderId, SectorNumber};
use raas_core::units::PaddedSize;
use serde::{Deserialize, Serialize};

/// Miner method ProveReplicaUpdates3.
const PROVE_UPDATES: u64 = 35;

/// One piece of a sector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DirectPiece {
    /// Its piece CID (v1).
    pub cid: String,
    /// Padded bytes.
    pub size: u64,
    /// The allocation that the miner claims by it; none for a piece that is not verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocation: Option<AllocationKey>,
    /// Contracts that the miner actor tells of it (FIP-0109).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<Notify>,
}

/// How a miner names an allocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AllocationKey {
    /// Whose DataCap, as an address.
    pub client: String,
    /// Its number.
    pub id: u64,
}

/// What `devnet_onboard` asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OnboardOrder {
    /// By whom.
    pub provider: ProviderId,
    /// Which pieces; none for committed capacity.
    #[serde(default)]
    pub pieces: Vec<DirectPiece>,
    /// A live sector that gets the pieces, instead of a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<SectorNumber>,
    /// Epochs until the sector ends; 540 days when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<i64>,
}

struct Piece {
    cid: Cid,
    size: u64,
    allocation: Option<Allocation>,
    notify: Vec<Delivery>,
}

impl World {
    /// Proves a sector by a message in the head tipset.
    pub(super) fn onboard(&mut self, order: &OnboardOrder) -> Result<Outcome, CommandError> {
        let slip = |field, value: String, fix| CommandError::Bulk { field, value, fix };
        let provider = order.provider;
        if !self.miners.contains_key(&provider) {
            return Err(CommandError::UnknownProvider(provider));
        }
        let duration = order.duration.unwrap_or(1_555_200);
        if !(MIN_SECTOR_LIFE..=3_680_640).contains(&duration) {
            return Err(slip("duration", duration.to_string(), "use 518400 to 3680640 epochs"));
        }
        let epoch = self.chain.head();
        let miner = self.miners.get(&provider).ok_or(CommandError::UnknownProvider(provider))?;
        let (number, ends, kind, method) = match order.update {
            Some(sector) => {
                let live = miner.sector(sector, StateAt::NEWEST).filter(|(_, phase)| phase.is_live());
                let unknown = CommandError::UnknownSector { provider, sector };
                (sector, live.ok_or(unknown)?.0.expiration, "sector-updated", PROVE_UPDATES)
            }
            None => (miner.next_number(), epoch + duration, "sector-activated", PROVE_COMMIT),
        };
        let pieces = self.direct_pieces(order, ends)?;
        if order.update.is_none() {
            self.pre_commit(epoch, provider, number);
        }
        let message = self.worker_message(epoch, provider, provider.0, method, 0, Vec::new());
        let unsealed = match pieces.as_slice() {
            [] => None,
            [only] => Some(only.cid),
            _ => Some(self.chain.object_cid(&format!("unsealed {number}"), epoch)),
        };
        let event = pieces
            .iter()
            .fold(EventBuilder::sector(kind, number).unsealed(unsealed.as_ref()), |event, piece| {
                event.piece(&piece.cid, piece.size)
            });
        if order.update.is_none() {
            self.place_sector(epoch, provider, number, Vec::new(), epoch + duration);
        }
        for allocation in pieces.iter().filter_map(|piece| piece.allocation.as_ref()) {
            self.claim(epoch, allocation, number, message);
        }
        let claims = pieces.iter().map(|piece| piece.allocation.as_ref().map(|made| made.id)).collect();
        self.emit(epoch, provider.0, message, event);
        let told: Vec<Told<'_>> = pieces
            .iter()
            .map(|piece| Told { cid: piece.cid, size: piece.size, notify: &piece.notify })
            .collect();
        let notified = self.notify(epoch, provider, message, (number, ends), &told);
        Ok(Outcome::Onboarded { sector: number, claims, notified })
    }

    fn direct_pieces(&self, order: &OnboardOrder, ends: i64) -> Result<Vec<Piece>, CommandError> {
        let slip = |field, value: &str, fix| CommandError::Bulk { field, value: value.to_owned(), fix };
        let mut pieces: Vec<Piece> = Vec::new();
        for piece in &order.pieces {
            let cid: Cid = piece.cid.parse().map_err(|_| slip("cid", &piece.cid, "use a piece CID"))?;
            if PaddedSize::new(piece.size).is_err() {
                return Err(slip("size", &piece.size.to_string(), "use a power of two of padded bytes"));
            }
            let allocation = match &piece.allocation {
                None => None,
                Some(key) => {
                    let named = self.claimable(key, order.provider, ends)?;
                    if named.data != cid || named.size != piece.size {
                        return Err(slip(
                            "allocation.id",
                            &key.id.to_string(),
                            "name one of this piece and size",
                        ));
                    }
                    Some(named)
                }
            };
            let twice = |other: &Piece| allocation.is_some() && other.allocation == allocation;
            if pieces.iter().any(twice) {
                return Err(slip("allocation.id", "given twice", "claim an allocation once"));
            }
            let notify = piece.notify.iter().map(Notify::parse).collect::<Result<_, _>>()?;
            pieces.push(Piece { cid, size: piece.size, allocation, notify });
        }
        Ok(pieces)
    }

    /// The allocation with this key, if `provider` may claim it now for a sector that ends at `ends`.
    fn claimable(
        &self,
        key: &AllocationKey,
        provider: ProviderId,
        ends: i64,
    ) -> Result<Allocation, CommandError> {
        let epoch = self.chain.head();
        let slip = |fix| CommandError::Bulk { field: "allocation.id", value: key.id.to_string(), fix };
        let bad = || CommandError::Address(key.client.clone());
        if self.is_frozen(StateAt(epoch)) {
            return Err(slip("leave it out: version 29 makes no claims"));
        }
        let client = self.actors.lookup(&read_address(&key.client).ok_or_else(bad)?, StateAt::NEWEST);
        let client = client.ok_or_else(bad)?;
        let waits = self.registry.allocation(client, key.id, StateAt::NEWEST);
        let waits = waits.ok_or_else(|| slip("name one that waits: StateGetAllocations lists them"))?;
        if waits.provider != provider {
            return Err(slip("name one of this provider"));
        }
        if epoch > waits.expiration {
            return Err(slip("name one that has not expired"));
        }
        if !(waits.term.0..=waits.term.1).contains(&(ends - epoch)) {
            return Err(slip("let the sector live as long as its term says"));
        }
        Ok(waits.clone())
    }
}
