//! Read-only calls of built-in actors: one implementation for `StateCall` and for contracts.

use super::{
    datacap::{DATACAP, REGISTRY, mutates, tokens},
    market::{DEAL_NOT_ACTIVATED, Phase},
    miner::{Sector, SectorPhase},
    state::{CallResult, MARKET, World},
    timeline::StateAt,
};
use crate::codec::{Address, CborError, TokenAmount, from_cbor, to_cbor};
use raas_core::ids::{ActorId, DealId, ProviderId, SectorNumber};
use serde::{Serialize, de::DeserializeOwned};

const CBOR: u64 = 0x51;
/// The power actor.
const POWER: ActorId = ActorId(4);
const NOT_FOUND: i64 = 17;
const ILLEGAL_ARGUMENT: i64 = 16;
const FORBIDDEN: i64 = 18;
const SERIALIZATION: i64 = 21;
const UNHANDLED: i64 = 22;
const READ_ONLY: i64 = 25;
/// Minus the system error "not found".
const NO_ACTOR: i64 = -6;
/// A location of a sector that no partition tracks.
const NOWHERE: (i64, i64) = (-1, -1);

/// FIP-0112 statuses.
const DEAD: u8 = 0;
const ACTIVE: u8 = 1;
const FAULTY: u8 = 2;

impl CallResult {
    fn of(result: Result<Vec<u8>, i64>) -> Self {
        match result {
            Ok(ret) if ret.is_empty() => Self::default(),
            Ok(ret) => Self { exit: 0, codec: CBOR, ret },
            Err(exit) => Self { exit, codec: 0, ret: Vec::new() },
        }
    }
}

pub(super) fn read<T: DeserializeOwned>(params: &[u8]) -> Result<T, i64> {
    from_cbor(params).map_err(|_: CborError| SERIALIZATION)
}

pub(super) fn write<T: Serialize>(value: &T) -> Result<Vec<u8>, i64> {
    to_cbor(value).map_err(|_| SERIALIZATION)
}

impl World {
    /// Calls `method` of a built-in actor in state `at`, changing nothing: methods that would change state exit
    /// with 25, unknown ones with 22, an absent actor is -6.
    #[must_use]
    pub fn call_actor(&self, at: StateAt, to: ActorId, method: u64, params: &[u8]) -> CallResult {
        let provider = ProviderId(to);
        CallResult::of(match to {
            MARKET => self.market_read(at, method, params),
            POWER => self.power_read(method, params),
            REGISTRY | DATACAP => self.registry_read(at, to, method, params),
            _ if self.miners.contains_key(&provider) => self.miner_read(at, provider, method, params),
            _ if self.actors.get(to).is_some_and(|actor| actor.created <= at.0) => Err(UNHANDLED),
            _ => Err(NO_ACTOR),
        })
    }

    fn market_read(&self, at: StateAt, method: u64, params: &[u8]) -> Result<Vec<u8>, i64> {
        if method == 726_108_461 {
            let address: Address = read(params)?;
            let account = self.actors.lookup(&address, at).ok_or(ILLEGAL_ARGUMENT)?;
            let balance = self.market.balance(account, at);
            return write(&(TokenAmount(balance.escrow), TokenAmount(balance.locked)));
        }
        if matches!(method, 822_473_126 | 2_280_458_852 | 2_236_929_350 | 1_900_091_594 | 2_034_386_435) {
            return Err(READ_ONLY);
        }
        if !reads_a_deal(method) {
            return Err(UNHANDLED);
        }
        let (deal, phase) = self.market.deal(DealId(read(params)?), at)?;
        let proposal = &deal.proposal;
        match method {
            1_157_985_802 => write(&(proposal.piece_cid, proposal.piece_size)),
            128_053_329 => write(&deal.client.0),
            935_081_690 => write(&deal.provider.0),
            46_363_526 => write(&proposal.label),
            163_777_312 => write(&(proposal.start.0, proposal.duration())),
            4_287_162_428 => {
                let epochs = u64::try_from(proposal.duration()).unwrap_or(0);
                write(&TokenAmount(proposal.price_per_epoch.times(epochs)))
            }
            200_567_895 => write(&TokenAmount(proposal.client_collateral)),
            2_986_712_137 => write(&TokenAmount(proposal.provider_collateral)),
            2_627_389_465 => write(&proposal.verified),
            2_567_238_399 => match phase {
                Phase::Active { since, .. } => write(&(since, -1_i64)),
                Phase::Published | Phase::Removed => write(&(-1_i64, -1_i64)),
            },
            2_611_213_344 => match phase {
                Phase::Active { sector, .. } => write(&sector.0),
                Phase::Published | Phase::Removed => Err(DEAL_NOT_ACTIVATED),
            },
            _ => Err(UNHANDLED),
        }
    }

    fn miner_read(
        &self,
        at: StateAt,
        provider: ProviderId,
        method: u64,
        params: &[u8],
    ) -> Result<Vec<u8>, i64> {
        let miner = self.miners.get(&provider).ok_or(NOT_FOUND)?;
        let status = |number: u64| {
            miner.sector(SectorNumber(number), at).map(|(sector, phase)| (sector, status_of(phase)))
        };
        match method {
            1_321_604_665 => {
                let (number,): (u64,) = read(params)?;
                let (status, place) =
                    status(number).map_or((DEAD, NOWHERE), |(sector, status)| (status, place_of(&sector)));
                write(&(status, serde_bytes::ByteBuf::from(write(&place)?)))
            }
            3_092_458_564 => {
                let (number, claimed, aux): (u64, u8, serde_bytes::ByteBuf) = read(params)?;
                let place: (i64, i64) = from_cbor(&aux).map_err(|_| ILLEGAL_ARGUMENT)?;
                if claimed > FAULTY {
                    return Err(SERIALIZATION);
                }
                if place == NOWHERE {
                    return write(&(claimed == DEAD && status(number).is_none()));
                }
                if place.0 < 0 || place.1 < 0 {
                    return Err(ILLEGAL_ARGUMENT);
                }
                let found = status(number).filter(|(sector, _)| place_of(sector) == place);
                let (_, status) = found.ok_or(NOT_FOUND)?;
                write(&(status == claimed))
            }
            3_010_055_991 => {
                let (sector, _) = miner.sector(SectorNumber(read(params)?), at).ok_or(NOT_FOUND)?;
                write(&sector.expiration)
            }
            3_275_365_574 => {
                let owner = Address::Id(miner.config.operator);
                write(&(owner, Option::<Address>::None))
            }
            348_244_887 => {
                let address: Address = read(params)?;
                let caller = self.actors.lookup(&address, at);
                write(&caller.is_some_and(|caller| self.controls(provider, caller)))
            }
            3_858_292_296 => write(&super::state::SECTOR_SIZE),
            2_812_875_329 => write(&serde_bytes::ByteBuf::from(miner.peer_bytes())),
            1_332_909_407 => {
                let addresses: Vec<_> =
                    miner.multiaddrs.iter().map(|bytes| serde_bytes::ByteBuf::from(bytes.clone())).collect();
                write(&addresses)
            }
            4_026_106_874 => write(&TokenAmount::default()),
            _ if MINER_MUTATORS.contains(&method) => Err(READ_ONLY),
            _ => Err(UNHANDLED),
        }
    }

    /// The verified registry and DataCap.
    pub(super) fn registry_read(
        &self,
        at: StateAt,
        actor: ActorId,
        method: u64,
        params: &[u8],
    ) -> Result<Vec<u8>, i64> {
        match (actor, method) {
            // GetClaims
            (REGISTRY, 2_199_871_187) => {
                let (provider, ids): (u64, Vec<u64>) = read(params)?;
                let (mut failed, mut claims) = (Vec::new(), Vec::new());
                for (index, id) in (0_u64..).zip(ids) {
                    match self.registry.claim(ProviderId::new(provider), id, at) {
                        Some(claim) => claims.push((
                            claim.provider.number(),
                            claim.client.0,
                            claim.data,
                            claim.size,
                            claim.term.0,
                            claim.term.1,
                            claim.start,
                            claim.sector.0,
                        )),
                        None => failed.push((index, NOT_FOUND)),
                    }
                }
                write(&((claims.len() as u64, failed), claims))
            }
            // Balance
            (DATACAP, 3_261_979_605) => {
                let address: Address = read(params)?;
                let account = self.actors.lookup(&address, at).ok_or(ILLEGAL_ARGUMENT)?;
                write(&tokens(self.registry.datacap(account, at)))
            }
            // Allowance: nobody lets another spend its DataCap here.
            (DATACAP, 4_205_072_950) => write(&TokenAmount::default()),
            _ if mutates(actor, method) => Err(if self.is_frozen(at) { FORBIDDEN } else { READ_ONLY }),
            _ => Err(UNHANDLED),
        }
    }
}

/// Deadline and partition of a sector.
fn place_of(sector: &Sector) -> (i64, i64) {
    (sector.deadline, i64::try_from(sector.partition).unwrap_or(0))
}

/// Whether a method of f05 reads one deal, by its id.
#[must_use]
pub fn reads_a_deal(method: u64) -> bool {
    GETTERS.contains(&method)
}

/// Methods of f05 that take a deal id.
const GETTERS: [u64; 11] = [
    1_157_985_802,
    128_053_329,
    935_081_690,
    46_363_526,
    163_777_312,
    4_287_162_428,
    200_567_895,
    2_986_712_137,
    2_627_389_465,
    2_567_238_399,
    2_611_213_344,
];

/// Methods of a miner that contracts may call and that change it: ChangeWorkerAddress, ConfirmChangeWorkerAddress,
/// ChangePeerID, ChangeMultiaddrs, ChangeOwnerAddress, WithdrawBalance, ChangeBeneficiary, RepayDebt.
const MINER_MUTATORS: [u64; 8] = [
    3_302_309_124,
    2_354_970_453,
    1_236_548_004,
    1_063_480_576,
    1_010_589_339,
    2_280_458_852,
    1_570_634_796,
    3_665_352_697,
];

const fn status_of(phase: SectorPhase) -> u8 {
    match phase {
        // Active means live and not faulty, so it includes what is not proven yet.
        SectorPhase::Unproven | SectorPhase::Active => ACTIVE,
        SectorPhase::Faulty { .. } | SectorPhase::Recovering { .. } => FAULTY,
        SectorPhase::Terminated | SectorPhase::Expired => DEAD,
    }
}

#[cfg(test)]
mod tests {
    use super::MINER_MUTATORS;
    use crate::codec::method_number;

    #[test]
    fn the_methods_that_change_a_miner_have_their_numbers() {
        let names = [
            "ChangeWorkerAddress",
            "ConfirmChangeWorkerAddress",
            "ChangePeerID",
            "ChangeMultiaddrs",
            "ChangeOwnerAddress",
            "WithdrawBalance",
            "ChangeBeneficiary",
            "RepayDebt",
        ];
        assert_eq!(names.map(method_number), MINER_MUTATORS);
    }
}
