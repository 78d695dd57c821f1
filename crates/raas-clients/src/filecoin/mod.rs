//! The chain, natively: `Filecoin.*` of Lotus and Forest behind the [`raas_core::ports::Chain`] port.
//!
//! Every read of a round names the round's tipset by its key, so that an endpoint on another fork or behind it
//! can only fail, never answer from another state.

mod chain;
mod deals;
mod direct;
mod events;
mod identity;
mod multiaddr;
mod partitions;
mod pin;
mod probe;
mod sectors;
mod sight;
mod status;
mod walk;
mod wire;

pub use chain::LotusChain;
pub use identity::{Identity, IdentityError, identify, identify_one};
pub use multiaddr::http_url;

pub(crate) use identity::{identity_calls, identity_of};
pub(crate) use wire::{Link, TipSet, key_of_text, key_value};
