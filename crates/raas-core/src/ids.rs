//! One type per id, so that a deal id can never stand where a request id is meant.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! number_ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    )+};
}

number_ids! {
    /// A job as one store numbers it.
    JobId,
    /// A holding as one store numbers it.
    HoldingId,
    /// An order as one store numbers it. **The key of money**: with the store's own id and the attempt it
    /// determines the deal UUID, the proposal's bytes and the signature.
    OrderId,
    /// One durable step of work.
    StepId,
    /// A deal of the market actor f05, sequential from 0 and never reused.
    DealId,
    /// A request of one DealStatus contract, dense from 1.
    RequestId,
    /// A sector of one miner. 0 is legal.
    SectorNumber,
    /// An actor by its number: 1000 is f01000.
    ActorId,
}

/// A storage provider: its miner actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProviderId(pub ActorId);

impl ProviderId {
    /// The provider with miner actor `number`.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(ActorId(number))
    }

    /// The miner actor's number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0.0
    }
}

impl fmt::Display for ProviderId {
    /// As an id address without network prefix knowledge: `f01000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "f0{}", self.0.0)
    }
}

/// Whoever controls several providers: the id of their common owner actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperatorId(pub ActorId);

impl fmt::Display for OperatorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "f0{}", self.0.0)
    }
}

/// Who registered a job: a tenant, or the address that called the contract.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OwnerId(pub String);

impl OwnerId {
    /// The owner of everything registered by whoever runs the node, over its loopback API or CLI.
    #[must_use]
    pub fn local() -> Self {
        Self("local".to_owned())
    }
}

impl fmt::Display for OwnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
