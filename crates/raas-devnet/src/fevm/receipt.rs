//! What became of a transaction.

use super::{gas::Charge, run::Exit, trace::Frame, transaction::Transaction};
use alloy_primitives::{Address, Bytes, Log, U256};
use raas_core::ids::ActorId;
use std::collections::BTreeMap;

/// An executed transaction. Made in the tipset that includes it, shown one tipset later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// What was signed.
    pub transaction: Transaction,
    /// How it ended.
    pub exit: Exit,
    /// In Filecoin gas.
    pub gas_used: u64,
    /// What the gas cost.
    pub charge: Charge,
    /// The contract it created.
    pub contract: Option<Address>,
    /// What contracts emitted, empty if it failed.
    pub logs: Vec<Log>,
    /// Return or revert data.
    pub output: Bytes,
    /// Its calls in the order in which they began, the outermost first.
    pub trace: Vec<Frame>,
    /// How many logs stand before its first one in the tipset.
    pub first_log: usize,
}

/// What the transactions of one tipset mean for the rest of the world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TipsetEffects {
    /// Addresses that were touched and exist now, in order of first touch; each needs an actor id.
    pub addresses: Vec<Address>,
    /// attoFIL that went to actors the FEVM does not keep.
    pub credits: BTreeMap<ActorId, U256>,
    /// attoFIL burned.
    pub burned: U256,
    /// attoFIL tipped to the miner.
    pub tips: U256,
}
