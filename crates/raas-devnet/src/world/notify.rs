//! Notifications of FIP-0109: a miner actor tells contracts which pieces it has activated, and where.

use super::{command::CommandError, contracts::facts_of_logs, state::World, timeline::StateAt};
use crate::{
    codec::{Address as Filecoin, to_cbor},
    fevm::{NativeMessage, Telling, Tipset},
};
use alloy_primitives::{Address, B256};
use cid::Cid;
use raas_core::ids::{ProviderId, SectorNumber};
use serde::{Deserialize, Serialize};

/// SectorContentChanged
const METHOD: u64 = 2_034_386_435;

/// Whom a miner tells of a piece (`notify` of a piece activation manifest).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Notify {
    /// 0x address of a contract.
    pub address: String,
    /// What the contract is given along with the piece, 0x hex. DealStatus wants a request's id in CBOR.
    pub payload: String,
}

/// What a contract answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Notified {
    /// 0x address.
    pub contract: String,
    /// Exit code of its execution; 33 is a revert.
    pub exit: u32,
    /// Return or revert data, 0x hex.
    pub output: String,
}

/// A notification that can be delivered.
pub(super) struct Delivery {
    pub(super) contract: Address,
    pub(super) payload: Vec<u8>,
}

/// A piece of a sector with whom to tell.
pub(super) struct Told<'a> {
    pub(super) cid: Cid,
    /// Padded bytes.
    pub(super) size: u64,
    pub(super) notify: &'a [Delivery],
}

impl Notify {
    pub(super) fn parse(&self) -> Result<Delivery, CommandError> {
        let slip = |field, value: &str, fix| CommandError::Bulk { field, value: value.to_owned(), fix };
        let contract = self
            .address
            .parse()
            .map_err(|_| slip("notify.address", &self.address, "use 0x and 40 hex digits"))?;
        let payload =
            self.payload.strip_prefix("0x").and_then(|digits| hex::decode(digits).ok()).ok_or_else(|| {
                slip("notify.payload", &self.payload, "use 0x and an even number of hex digits")
            })?;
        Ok(Delivery { contract, payload })
    }
}

impl World {
    /// Tells every contract named, each once for the whole sector, in the order in which they were named first.
    /// `ends` is the minimum commitment epoch: until then the sector must hold its pieces.
    pub(super) fn notify(
        &mut self,
        epoch: i64,
        provider: ProviderId,
        message: Cid,
        (sector, ends): (SectorNumber, i64),
        pieces: &[Told<'_>],
    ) -> Vec<Notified> {
        let mut contracts: Vec<Address> = Vec::new();
        for delivery in pieces.iter().flat_map(|piece| piece.notify) {
            if !contracts.contains(&delivery.contract) {
                contracts.push(delivery.contract);
            }
        }
        if contracts.is_empty() {
            return Vec::new();
        }
        let tellings: Vec<Telling> = contracts
            .into_iter()
            .map(|contract| Telling {
                contract,
                method: METHOD,
                params: params(contract, sector, ends, pieces),
            })
            .collect();
        let sender = self.miners.get(&provider).map_or(provider.0, |miner| miner.config.operator);
        let hash = B256::from_slice(message.hash().digest().get(..32).unwrap_or(&[0; 32]));
        let told = NativeMessage { hash, sender, actor: provider.0 };
        let mut fevm = std::mem::take(&mut self.fevm);
        let tipset = Tipset { chain: &self.chain, height: epoch, miner: self.block_miner() };
        let (answers, effects) = fevm.tell(tipset, &self.actors_at(StateAt::after(epoch)), told, &tellings);
        self.fevm = fevm;
        self.settle_effects(epoch, effects);
        if let Some((.., executed)) = self.fevm.find(&hash) {
            for fact in facts_of_logs(executed) {
                self.ledger.record(epoch, fact);
            }
        }
        tellings
            .iter()
            .zip(answers)
            .map(|(telling, (exit, output))| Notified {
                contract: format!("{:#x}", telling.contract),
                exit: exit.0,
                output: output.to_string(),
            })
            .collect()
    }

    /// What executions in `epoch` mean for actors outside of the FEVM.
    pub(super) fn settle_effects(&mut self, epoch: i64, effects: crate::fevm::TipsetEffects) {
        for address in effects.addresses {
            self.actors.ensure(&Filecoin::from_eth(address.into()), epoch);
        }
        for (actor, amount) in effects.credits {
            self.give(epoch, actor, super::contracts::atto(amount));
        }
    }
}

/// `[[sector, minimum commitment epoch, [[piece, size, payload], ...]]]`, with the pieces that name the contract.
fn params(contract: Address, sector: SectorNumber, ends: i64, pieces: &[Told<'_>]) -> Vec<u8> {
    let told: Vec<(Cid, u64, serde_bytes::ByteBuf)> = pieces
        .iter()
        .flat_map(|piece| {
            let own = piece.notify.iter().filter(|delivery| delivery.contract == contract);
            own.map(|delivery| (piece.cid, piece.size, serde_bytes::ByteBuf::from(delivery.payload.clone())))
        })
        .collect();
    to_cbor(&[(sector.0, ends, told)]).unwrap_or_default()
}
