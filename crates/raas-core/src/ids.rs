//! One type per id, so that a deal id can never stand where a request id is meant.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

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
    /// A deal of a market actor: of f05, sequential from 0 and never reused, or, from [`DealId::FIRST_OF_SECTORS`] on, a
    /// piece that a miner actor told one of our contracts of.
    DealId,
    /// A request of one DealStatus contract, dense from 1.
    RequestId,
    /// A sector of one miner. 0 is legal.
    SectorNumber,
    /// An actor by its number: 1000 is f01000.
    ActorId,
}

impl DealId {
    /// Our contract counts the pieces it is told of from here, so that no id of f05 is one of them.
    pub const FIRST_OF_SECTORS: Self = Self(1 << 63);

    /// Whether it is a contract's own deal, about a piece in a sector.
    #[must_use]
    pub const fn is_of_sector(self) -> bool {
        self.0 >= Self::FIRST_OF_SECTORS.0
    }
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

/// The address of a DealStatus contract; one type for all spellings of its hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContractAddress(pub [u8; 20]);

/// A text that is no contract's address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no contract address: 0x and 40 hex digits are needed")]
pub struct NoAddress(pub String);

impl fmt::Display for ContractAddress {
    /// 0x and 40 lower-case digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for ContractAddress {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        let no = || NoAddress(text.to_owned());
        let digits = text.strip_prefix("0x").filter(|hex| hex.len() == 40).ok_or_else(no)?;
        let mut bytes = [0; 20];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let digit = |at: usize| pair.get(at).and_then(|digit| char::from(*digit).to_digit(16));
            let (Some(high), Some(low)) = (digit(0), digit(1)) else { return Err(no()) };
            *byte = u8::try_from(high * 16 + low).map_err(|_| no())?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for ContractAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContractAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A request of one contract among several: their ids all begin at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestAt {
    /// Which contract.
    pub contract: ContractAddress,
    /// Its id there.
    pub request: RequestId,
}

impl fmt::Display for RequestAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request {} of {}", self.request, self.contract)
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

    /// Whoever sent a request of `contract` whose event nobody keeps any more, where the contract does not tell.
    #[must_use]
    pub fn unknown_at(contract: ContractAddress) -> Self {
        Self(format!("unknown at {contract}"))
    }
}

impl fmt::Display for OwnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
