//! Everything that can change the world, one value each: what the journal stores and replays.

use raas_core::{
    ids::{ProviderId, SectorNumber},
    units::AttoFil,
};
use serde::{Deserialize, Serialize};

/// One mutation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Command {
    /// Lets this many epochs pass.
    Advance {
        /// How many.
        epochs: i64,
    },
    /// Makes the next epochs null rounds.
    NullRounds {
        /// How many.
        count: i64,
    },
    /// Sectors stop being proven: the fault takes effect when their deadline closes next.
    Fault(Sectors),
    /// The provider has the sectors again: they recover with the next good proof.
    Recover(Sectors),
    /// The provider terminates sectors by a message in the next tipset.
    Terminate(Sectors),
    /// Makes proven deals out of nothing, by the million.
    Bulk(super::BulkOrder),
    /// Adds storage providers without servers, each of an operator of its own unless they share them.
    AddProviders {
        /// How many.
        count: u32,
        /// How many operators they belong to; as many as providers when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        operators: Option<u32>,
    },
    /// A provider proves a sector with pieces that no deal is about.
    Onboard(super::OnboardOrder),
    /// The network goes to version 29 with the next epoch: no claims are made any more, and those made stay readable.
    Upgrade,
    /// Leaves the newest tipsets for another branch.
    Reorg(super::ReorgOrder),
    /// Sets the base fee of the tipsets to come.
    BaseFee {
        /// In attoFIL.
        fee: u64,
    },
    /// Remembers the world as it is, for [`Command::Restore`].
    Snapshot,
    /// Goes back to a snapshot; later ones are forgotten.
    Restore {
        /// Its number.
        snapshot: u64,
    },
    /// Gives money out of nothing.
    Fund {
        /// f1, f3, f410, f0 or 0x address.
        address: String,
        /// How much.
        amount: AttoFil,
    },
    /// The network's verifier gives DataCap by a message in the head tipset.
    Datacap {
        /// f1, f3, f410, f0 or 0x address.
        address: String,
        /// How much.
        bytes: u64,
    },
    /// A signed native message enters the mempool.
    Push {
        /// The message's CBOR, hex.
        message: String,
        /// Signature type byte and data, hex.
        signature: String,
    },
    /// A signed Ethereum transaction enters the mempool.
    PushEth {
        /// The raw transaction, hex without 0x.
        raw: String,
    },
    /// Something that happened at a storage provider.
    Provider(crate::provider::Command),
}

/// Sectors of one provider; `None` means all that are alive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sectors {
    /// Whose.
    pub provider: ProviderId,
    /// Which.
    pub sectors: Option<Vec<SectorNumber>>,
}

/// Why a command was refused. A refused command changes nothing and is not journaled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Control methods name existing providers only.
    #[error("provider {0} does not exist: `devnet_providers` lists them")]
    UnknownProvider(ProviderId),
    /// Control methods name existing, living sectors only.
    #[error("provider {provider} has no live sector {sector}")]
    UnknownSector {
        /// Whose.
        provider: ProviderId,
        /// Which.
        sector: SectorNumber,
    },
    /// Counts are bounded, so that a slip does not run for ever.
    #[error("{field} is {value}: use 1 to {most}")]
    Count {
        /// The parameter at fault.
        field: &'static str,
        /// What was given.
        value: i64,
        /// The most that is allowed.
        most: i64,
    },
    /// Reorganisations stay within the epochs that this world has.
    #[error("depth {depth} reaches below {first}, where this world begins, or over more than 30000 epochs")]
    TooDeep {
        /// What was given.
        depth: i64,
        /// The first tipset of this world.
        first: i64,
    },
    /// There is no such snapshot.
    #[error("there is no snapshot {0}: devnet_snapshot gives one")]
    UnknownSnapshot(u64),
    /// A bulk order that no market would hold.
    #[error("{field} is {value}: {fix}")]
    Bulk {
        /// The field at fault.
        field: &'static str,
        /// What was given.
        value: String,
        /// What to do.
        fix: &'static str,
    },
    /// The address cannot be read.
    #[error("address {0} is not a Filecoin or Ethereum address")]
    Address(String),
    /// The mempool refused a native message.
    #[error("{0}")]
    Mempool(String),
    /// The mempool refused an Ethereum transaction.
    #[error(transparent)]
    Eth(#[from] crate::fevm::PoolError),
    /// The command happened, but whoever holds the world could not make it durable.
    #[error("the command cannot be journaled: {0}")]
    NotJournaled(String),
    /// A hex field of a stored command does not decode.
    #[error("{field} does not decode: {why}")]
    Hex {
        /// The field at fault.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// What a command did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, nothing to say.
    Done,
    /// The clock, or for null rounds the height of the next tipset.
    Height(i64),
    /// The CID of the message that entered the mempool.
    Message(cid::Cid),
    /// The hash of the transaction that entered the mempool.
    Transaction([u8; 32]),
    /// The sectors that a control command reaches.
    Sectors(Vec<SectorNumber>),
    /// What a bulk order made.
    Bulk(super::BulkMade),
    /// What a reorganisation did.
    Reorganised(super::Reorganised),
    /// The number of a snapshot.
    Snapshot(u64),
    /// The sector that was onboarded directly, and its claims.
    Onboarded {
        /// The sector.
        sector: SectorNumber,
        /// Numbers of the claims made, piece by piece; none for pieces that are not verified.
        claims: Vec<Option<u64>>,
        /// What the contracts answered that were notified, in the order in which they were named.
        notified: Vec<super::Notified>,
    },
    /// The miners that were added.
    Providers(Vec<ProviderId>),
    /// What a provider's book answered.
    Provider(crate::provider::Reply),
}
