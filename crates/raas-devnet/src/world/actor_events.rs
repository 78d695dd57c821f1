//! Events of built-in actors (FIP-0083), as messages emit them. Cron emits none that can be seen.

use super::state::World;
use crate::codec::{TokenAmount, to_cbor};
use cid::Cid;
use raas_core::ids::{ActorId, DealId, SectorNumber};
use serde::Serialize;

/// Codec of every event value: CBOR.
pub const EVENT_CODEC: u64 = 0x51;
/// Key and value are indexed.
const INDEXED: u64 = 3;
/// Only the key is indexed.
const KEY_INDEXED: u64 = 1;

/// One key and value of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventEntry {
    /// 3: key and value indexed, 1: key only.
    pub flags: u64,
    /// Its name.
    pub key: String,
    /// CBOR.
    pub value: Vec<u8>,
}

/// An event of a built-in actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActorEvent {
    /// Who emitted it.
    pub emitter: ActorId,
    /// The message in which it did.
    pub message: Cid,
    /// `$type` first.
    pub entries: Vec<EventEntry>,
}

/// Collects an event's entries.
pub(super) struct EventBuilder {
    entries: Vec<EventEntry>,
}

impl EventBuilder {
    pub(super) fn new(kind: &str) -> Self {
        Self { entries: Vec::new() }.with(INDEXED, "$type", kind)
    }

    /// A market event: the deal's id, client and provider.
    pub(super) fn deal(kind: &str, id: DealId, client: ActorId, provider: ActorId) -> Self {
        Self::new(kind).with(INDEXED, "id", &id.0).with(INDEXED, "client", &client.0).with(
            INDEXED,
            "provider",
            &provider.0,
        )
    }

    /// A miner event about one sector.
    pub(super) fn sector(kind: &str, sector: SectorNumber) -> Self {
        Self::new(kind).with(INDEXED, "sector", &sector.0)
    }

    /// An event of the verified registry: what a verifier has left after it gave to a client. The amount is in bytes.
    pub(super) fn verifier(verifier: ActorId, left: u64, client: ActorId) -> Self {
        let left = TokenAmount(raas_core::units::AttoFil(u128::from(left)));
        Self::new("verifier-balance")
            .with(INDEXED, "verifier", &verifier.0)
            .with(KEY_INDEXED, "balance", &left)
            .with(INDEXED, "client", &client.0)
    }

    /// An event of the verified registry about an allocation.
    pub(super) fn allocation(kind: &str, allocation: &super::Allocation) -> Self {
        Self::new(kind)
            .with(INDEXED, "id", &allocation.id)
            .with(INDEXED, "client", &allocation.client.0)
            .with(INDEXED, "provider", &allocation.provider.number())
            .with(INDEXED, "piece-cid", &allocation.data)
            .with(KEY_INDEXED, "piece-size", &allocation.size)
            .with(KEY_INDEXED, "term-min", &allocation.term.0)
            .with(KEY_INDEXED, "term-max", &allocation.term.1)
            .with(KEY_INDEXED, "expiration", &allocation.expiration)
    }

    /// An event of the verified registry about a claim.
    pub(super) fn claim(kind: &str, claim: &super::Claim) -> Self {
        Self::new(kind)
            .with(INDEXED, "id", &claim.id)
            .with(INDEXED, "client", &claim.client.0)
            .with(INDEXED, "provider", &claim.provider.number())
            .with(INDEXED, "piece-cid", &claim.data)
            .with(KEY_INDEXED, "piece-size", &claim.size)
            .with(KEY_INDEXED, "term-min", &claim.term.0)
            .with(KEY_INDEXED, "term-max", &claim.term.1)
            .with(KEY_INDEXED, "term-start", &claim.start)
            .with(INDEXED, "sector", &claim.sector.0)
    }

    /// The sector's unsealed CID.
    pub(super) fn unsealed(self, cid: Option<&Cid>) -> Self {
        self.with(INDEXED, "unsealed-cid", &cid)
    }

    /// One piece of a sector.
    pub(super) fn piece(self, cid: &Cid, size: u64) -> Self {
        self.with(INDEXED, "piece-cid", cid).with(KEY_INDEXED, "piece-size", &size)
    }

    fn with<T: Serialize + ?Sized>(mut self, flags: u64, key: &str, value: &T) -> Self {
        let value = to_cbor(value).expect("numbers, text and CIDs have CBOR");
        self.entries.push(EventEntry { flags, key: key.to_owned(), value });
        self
    }
}

impl World {
    /// Records an event of a message in the tipset of `epoch`.
    pub(super) fn emit(&mut self, epoch: i64, emitter: ActorId, message: Cid, event: EventBuilder) {
        let event = ActorEvent { emitter, message, entries: event.entries };
        self.events.entry(epoch).or_default().push(event);
    }

    /// Events of built-in actors in tipsets `from..=to`, in order, as far as they can be seen: a tipset's events
    /// show once it has a child.
    pub fn actor_events(&self, from: i64, to: i64) -> impl Iterator<Item = (i64, &ActorEvent)> {
        let visible = to.min(self.chain.head() - 1);
        let range = if from <= visible { from..visible + 1 } else { 0..0 };
        self.events.range(range).flat_map(|(epoch, events)| events.iter().map(|event| (*epoch, event)))
    }
}

/// The CBOR of an amount, as events and returns carry it.
pub(super) fn amount_cbor(amount: raas_core::units::AttoFil) -> Vec<u8> {
    to_cbor(&TokenAmount(amount)).expect("an amount is a byte string")
}
