//! The miner actor's own word on a sector (FIP-0112), which public gateways pass on, too.
//!
//! To say where a sector is, the actor looks through all of its deadlines; to check a sector at a known place is cheap. So a
//! place is learned once and kept, and learned again when the sector is not there any more (partitions are compacted) or
//! has another status. That a sector is dead is never taken from what is kept.

use super::wire::{receipt, state_call};
use crate::cbor;
use crate::rpc::{Call, CallError, Evidence, Pool, Reply};
use raas_core::ids::{ProviderId, SectorNumber};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// FRC-42 number of GenerateSectorLocation.
const GENERATE_SECTOR_LOCATION: u64 = 1_321_604_665;
/// FRC-42 number of ValidateSectorStatus.
const VALIDATE_SECTOR_STATUS: u64 = 3_092_458_564;
/// Places kept; about 100 bytes each. Beyond that sectors are located each time.
const KEPT_MAX: usize = 200_000;

/// What the actor says of a sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Terminated, or never there.
    Dead,
    /// Live and not faulty.
    Active,
    /// Live and faulty.
    Faulty,
    /// The actor refused the question with this exit code.
    Exit(i64),
}

impl Status {
    const fn number(self) -> Option<u8> {
        match self {
            Self::Dead => Some(0),
            Self::Active => Some(1),
            Self::Faulty => Some(2),
            Self::Exit(_) => None,
        }
    }
}

/// Where a sector was, and how it was there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    status: Status,
    /// Deadline and partition as the actor wrote them.
    aux: Vec<u8>,
}

/// The places of sectors that were asked for.
#[derive(Debug, Default)]
pub(super) struct Locations {
    kept: Mutex<BTreeMap<(ProviderId, SectorNumber), Place>>,
}

impl Locations {
    fn kept(&self) -> MutexGuard<'_, BTreeMap<(ProviderId, SectorNumber), Place>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, provider: ProviderId, sector: SectorNumber) -> Option<Place> {
        self.kept().get(&(provider, sector)).cloned()
    }

    fn learn(&self, provider: ProviderId, sector: SectorNumber, place: Place) {
        let mut kept = self.kept();
        let is_live = matches!(place.status, Status::Active | Status::Faulty);
        if !is_live {
            kept.remove(&(provider, sector));
        } else if kept.len() < KEPT_MAX || kept.contains_key(&(provider, sector)) {
            kept.insert((provider, sector), place);
        }
    }
}

/// What a kept place is worth now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Checked {
    /// The sector is there, with the status that it had.
    Same(Status),
    /// It has another status, or is elsewhere.
    Other,
}

/// The status of each of `sectors`, in their order.
pub(super) async fn statuses(
    pool: &Pool,
    locations: &Locations,
    key: &Value,
    provider: ProviderId,
    sectors: &[SectorNumber],
) -> Vec<Result<Status, CallError>> {
    let mut found: Vec<Option<Result<Status, CallError>>> = vec![None; sectors.len()];
    let known: Vec<(usize, Place)> = sectors
        .iter()
        .enumerate()
        .filter_map(|(at, sector)| Some((at, locations.of(provider, *sector)?)))
        .collect();
    for ((at, _), checked) in known.iter().zip(check(pool, key, provider, sectors, &known).await) {
        if let Some(slot) = found.get_mut(*at) {
            *slot = match checked {
                Ok(Checked::Same(status)) => Some(Ok(status)),
                Ok(Checked::Other) => None,
                Err(error) => Some(Err(error)),
            };
        }
    }
    let open: Vec<(usize, SectorNumber)> = sectors
        .iter()
        .enumerate()
        .filter(|(at, _)| matches!(found.get(*at), Some(None)))
        .map(|(at, sector)| (at, *sector))
        .collect();
    for ((at, sector), located) in open.iter().zip(locate(pool, key, provider, &open).await) {
        if let Ok(place) = &located {
            locations.learn(provider, *sector, place.clone());
        }
        if let Some(slot) = found.get_mut(*at) {
            *slot = Some(located.map(|place| place.status));
        }
    }
    let absent = || Err(CallError::malformed("no answer"));
    found.into_iter().map(|status| status.unwrap_or_else(absent)).collect()
}

/// Whether sectors are where, and as, they were.
async fn check(
    pool: &Pool,
    key: &Value,
    provider: ProviderId,
    sectors: &[SectorNumber],
    known: &[(usize, Place)],
) -> Vec<Result<Checked, CallError>> {
    let calls: Vec<Call> = known
        .iter()
        .map(|(at, place)| {
            let sector = sectors.get(*at).map_or(0, |sector| sector.0);
            let aux = serde_bytes::Bytes::new(&place.aux);
            let params = cbor::encode(&(sector, place.status.number().unwrap_or_default(), aux));
            state_call(provider.0, VALIDATE_SECTOR_STATUS, &params, key)
        })
        .collect();
    let read = |call: usize, answer: Result<Reply, Evidence>| {
        let receipt = receipt(&answer.map_err(CallError::Evidence)?)?;
        if receipt.exit_code != 0 {
            return Ok(Checked::Other);
        }
        let holds: bool = serde_ipld_dagcbor::from_slice(&receipt.returned).map_err(CallError::malformed)?;
        let status = known.get(call).map(|(_, place)| place.status).filter(|_| holds);
        Ok(status.map_or(Checked::Other, Checked::Same))
    };
    pool.votes(&calls, read, |checked| *checked == Checked::Same(Status::Active)).await
}

/// Where sectors are, and how.
async fn locate(
    pool: &Pool,
    key: &Value,
    provider: ProviderId,
    sectors: &[(usize, SectorNumber)],
) -> Vec<Result<Place, CallError>> {
    let calls: Vec<Call> = sectors
        .iter()
        .map(|(_, at)| state_call(provider.0, GENERATE_SECTOR_LOCATION, &cbor::encode(&(at.0,)), key))
        .collect();
    let read = |_, answer: Result<Reply, Evidence>| place(&answer.map_err(CallError::Evidence)?);
    pool.votes(&calls, read, |place| place.status == Status::Active).await
}

fn place(value: &Reply) -> Result<Place, CallError> {
    let receipt = receipt(value)?;
    if receipt.exit_code != 0 {
        return Ok(Place { status: Status::Exit(receipt.exit_code), aux: Vec::new() });
    }
    let (status, aux): (u64, serde_bytes::ByteBuf) =
        serde_ipld_dagcbor::from_slice(&receipt.returned).map_err(CallError::malformed)?;
    let status = match status {
        0 => Status::Dead,
        1 => Status::Active,
        2 => Status::Faulty,
        other => return Err(CallError::malformed(format!("sector status {other}"))),
    };
    Ok(Place { status, aux: aux.into_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_actors_answer_is_read_as_it_stands_on_the_wire() {
        let answer = |exit: i64, bytes: Option<&str>| {
            Reply::from(json!({"MsgRct": {"ExitCode": exit, "Return": bytes}}))
        };
        let read = |exit, bytes| place(&answer(exit, bytes)).map(|place| place.status);
        assert_eq!(read(0, Some("ggFDggUG")), Ok(Status::Active));
        assert_eq!(read(0, Some("ggJDggUG")), Ok(Status::Faulty));
        assert_eq!(read(0, Some("ggBDgiAg")), Ok(Status::Dead));
        assert_eq!(read(22, None), Ok(Status::Exit(22)));
        assert!(read(0, None).is_err());
        assert!(read(0, Some("ggdDggUG")).is_err());
        assert_eq!(cbor::encode(&(17_u64,)), [0x81, 0x11]);
        let place = place(&answer(0, Some("ggFDggUG"))).expect("a place");
        assert_eq!(place.aux, [0x82, 5, 6], "deadline 5, partition 6");
        let validate = cbor::encode(&(17_u64, 1_u8, serde_bytes::Bytes::new(&place.aux)));
        assert_eq!(hex::encode(validate), "83110143820506");
    }

    #[test]
    fn only_what_lives_has_a_place_and_no_more_are_kept_than_allowed() {
        let locations = Locations::default();
        let (provider, sector) = (ProviderId::new(1), SectorNumber(2));
        let place = |status| Place { status, aux: vec![1] };
        locations.learn(provider, sector, place(Status::Active));
        assert_eq!(locations.of(provider, sector), Some(place(Status::Active)));
        locations.learn(provider, sector, place(Status::Dead));
        assert_eq!(locations.of(provider, sector), None);
    }
}
