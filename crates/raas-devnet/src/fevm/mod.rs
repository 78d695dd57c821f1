//! Contracts: revm over the world, with the actor-call precompiles, and the `eth_*` methods.
//!
//! [`Fevm`] owns balance, nonce, code and storage of everything at an eth address, the mempool of Ethereum
//! transactions and what became of them. It is pure: [`Fevm::push`], [`Fevm::execute_tipset`] and what
//! built-in actors tell contracts are its only mutations besides money given from outside, and the world calls them. Built-in actors are read through
//! [`ActorCalls`], never changed.
//!
//! Invariants: every value is kept over epochs, so a call at a past block sees that block; a transaction is executed
//! in the tipset that includes it and shown when that tipset has a child; one sender's transactions run in nonce
//! order; money that leaves the FEVM (gas, value to native actors) is reported in [`TipsetEffects`] exactly once.

mod actor_calls;
mod direct;
pub mod eth;
mod gas;
mod key;
mod pool;
mod precompiles;
mod receipt;
mod run;
mod simulate;
mod state;
mod tell;
mod tipset;
mod trace;
mod transaction;
mod view;

pub use actor_calls::{ActorCalls, masked, unmasked};
pub use direct::SendError;
pub(crate) use gas::fee_cap_floor;
pub use gas::{BASE_FEE, BLOCK_LIMIT, Charge, MIN_PREMIUM, SCALE};
pub use key::{EthKey, NoKey, Unsigned};
pub use pool::PoolError;
pub use receipt::{Executed, TipsetEffects};
pub use run::Exit;
pub use simulate::{Failure, Trial};
pub use state::{Account, Fevm};
pub(crate) use tell::{NativeMessage, Telling};
pub use tipset::Tipset;
pub use trace::Frame;
pub use transaction::{DecodeError, Kind, Transaction};
