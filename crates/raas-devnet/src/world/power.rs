//! The power actor f04, as far as contracts ask it: whether an actor is a miner.

use super::{
    calls::{read, write},
    state::World,
};
use crate::codec::TokenAmount;
use raas_core::{
    ids::{ActorId, ProviderId},
    units::AttoFil,
};

const ILLEGAL_ARGUMENT: i64 = 16;
const UNHANDLED: i64 = 22;

impl World {
    /// MinerRawPower and MinerCount. Power itself plays no part on this network: every miner has enough of it.
    pub(super) fn power_read(&self, method: u64, params: &[u8]) -> Result<Vec<u8>, i64> {
        match method {
            3_753_401_894 => {
                let miner = ProviderId(ActorId(read(params)?));
                if !self.miners.contains_key(&miner) {
                    return Err(ILLEGAL_ARGUMENT);
                }
                // A big integer has the form of an amount.
                write(&(TokenAmount(AttoFil(MIN_POWER)), true))
            }
            1_987_646_258 => write(&self.miners.len()),
            _ => Err(UNHANDLED),
        }
    }
}

/// 10 TiB, the least that lets a miner win blocks.
const MIN_POWER: u128 = 10 << 40;
