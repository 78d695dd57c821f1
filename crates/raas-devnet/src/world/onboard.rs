//! Direct data onboarding: sectors with pieces that no deal is about, and the claims of verified ones.

use super::{
    actor_events::EventBuilder,
    command::{CommandError, Outcome},
    notify::{Delivery, Notify, Told},
    registry::Claim,
    sectors::{MIN_SECTOR_LIFE, PROVE_COMMIT},
    state::{World, read_address},
    timeline::StateAt,
};
use cid::Cid;
use raas_core::ids::{ActorId, ProviderId, SectorNumber};
use raas_core::units::PaddedSize;
use serde::{Deserialize, Serialize};

/// f06.
const REGISTRY: ActorId = ActorId(6);
/// Miner method ProveReplicaUpdates3.
const PROVE_UPDATES: u64 = 35;
/// The shortest and the longest term of a claim.
const TERM_MIN: i64 = 518_400;
const TERM_MAX: i64 = 5_259_485;

/// One piece of a sector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DirectPiece {
    /// Its piece CID (v1).
    pub cid: String,
    /// Padded bytes.
    pub size: u64,
    /// The client whose DataCap pays, as an address; none for a piece that is not verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Contracts that the miner actor tells of it (FIP-0109).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<Notify>,
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
    client: Option<ActorId>,
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
        let pieces = self.direct_pieces(order)?;
        let epoch = self.chain.head();
        let miner = self.miners.get(&provider).ok_or(CommandError::UnknownProvider(provider))?;
        let (number, kind, method) = match order.update {
            Some(sector) => {
                let live = miner.sector(sector, StateAt::NEWEST).is_some_and(|(_, phase)| phase.is_live());
                if !live {
                    return Err(CommandError::UnknownSector { provider, sector });
                }
                (sector, "sector-updated", PROVE_UPDATES)
            }
            None => (miner.next_number(), "sector-activated", PROVE_COMMIT),
        };
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
        let claims = pieces
            .iter()
            .map(|piece| {
                piece.client.map(|client| self.claim(epoch, provider, client, piece, number, message))
            })
            .collect();
        self.emit(epoch, provider.0, message, event);
        let told: Vec<Told<'_>> = pieces
            .iter()
            .map(|piece| Told { cid: piece.cid, size: piece.size, notify: &piece.notify })
            .collect();
        let ends = self.miners.get(&provider).and_then(|miner| miner.sector(number, StateAt::NEWEST));
        let ends = ends.map_or(epoch + duration, |(sector, _)| sector.expiration);
        let notified = self.notify(epoch, provider, message, (number, ends), &told);
        Ok(Outcome::Onboarded { sector: number, claims, notified })
    }

    fn claim(
        &mut self,
        epoch: i64,
        provider: ProviderId,
        client: ActorId,
        piece: &Piece,
        sector: SectorNumber,
        message: Cid,
    ) -> u64 {
        let id = self.registry.next();
        let claim = Claim {
            id,
            provider,
            client,
            data: piece.cid,
            size: piece.size,
            term: (TERM_MIN, TERM_MAX),
            start: epoch,
            sector,
        };
        self.emit(epoch, REGISTRY, message, EventBuilder::claim("claim", &claim));
        self.registry.insert(claim);
        id
    }

    fn direct_pieces(&mut self, order: &OnboardOrder) -> Result<Vec<Piece>, CommandError> {
        let slip = |field, value: &str, fix| CommandError::Bulk { field, value: value.to_owned(), fix };
        let mut pieces = Vec::new();
        let epoch = self.chain.head();
        for piece in &order.pieces {
            let cid = piece.cid.parse().map_err(|_| slip("cid", &piece.cid, "use a piece CID"))?;
            if PaddedSize::new(piece.size).is_err() {
                return Err(slip("size", &piece.size.to_string(), "use a power of two of padded bytes"));
            }
            let client = match piece.client.as_deref() {
                None => None,
                Some(_) if self.is_frozen(StateAt(epoch)) => {
                    return Err(slip("client", "given", "leave it out: version 29 makes no claims"));
                }
                Some(text) => {
                    let bad = || CommandError::Address(text.to_owned());
                    Some(self.actors.ensure(&read_address(text).ok_or_else(bad)?, epoch).ok_or_else(bad)?)
                }
            };
            let notify = piece.notify.iter().map(Notify::parse).collect::<Result<_, _>>()?;
            pieces.push(Piece { cid, size: piece.size, client, notify });
        }
        Ok(pieces)
    }
}
