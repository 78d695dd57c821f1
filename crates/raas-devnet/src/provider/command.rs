//! What changes a provider's book from outside: one value each, as the journal keeps them.

use super::deal::TransferEnd;
use super::mode::Mode;
use crate::codec::{DealParams, DealResponse, DealUuid};
use raas_core::ids::ProviderId;
use serde::{Deserialize, Serialize};

/// Something that happened at a provider's server, or was done to the provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "provider", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Command {
    /// A deal was proposed. Answered by [`Reply::Store`].
    Store {
        /// At whom.
        at: ProviderId,
        /// The proposal and what belongs to it; hex of its CBOR in the journal.
        #[serde(with = "hex_cbor")]
        params: Box<DealParams>,
    },
    /// A transfer ended. Answered by [`Reply::Done`].
    TransferEnded {
        /// At whom.
        at: ProviderId,
        /// Of which deal, as hex.
        #[serde(with = "hex_uuid")]
        uuid: DealUuid,
        /// How.
        end: TransferEnd,
    },
    /// The provider is put into a mode. Answered by [`Reply::Done`].
    SetMode {
        /// Whom.
        at: ProviderId,
        /// Which.
        mode: Mode,
        /// How often it applies; absent is until further notice.
        count: Option<u32>,
    },
    /// A request was spoilt by the counted mode the provider is in. Answered by [`Reply::Done`].
    Spoilt {
        /// By whom.
        at: ProviderId,
        /// The mode to count down.
        mode: Mode,
    },
}

impl Command {
    /// The provider it is about.
    #[must_use]
    pub const fn provider(&self) -> ProviderId {
        match self {
            Self::Store { at, .. }
            | Self::TransferEnded { at, .. }
            | Self::SetMode { at, .. }
            | Self::Spoilt { at, .. } => *at,
        }
    }
}

/// What a proposer hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreReply {
    /// Nothing, and nothing was done.
    Unreachable,
    /// The provider's answer.
    Answered(DealResponse),
    /// Nothing, but the provider acted; this was its answer.
    AnswerLost(DealResponse),
}

/// What a command gives back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing to say.
    Done,
    /// To [`Command::Store`].
    Store(StoreReply),
}

mod hex_cbor {
    use crate::codec::{DealParams, from_cbor, to_cbor};
    use serde::{Deserialize, Deserializer, Serializer, de, ser};

    pub(super) fn serialize<S: Serializer>(params: &DealParams, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(to_cbor(params).map_err(ser::Error::custom)?))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Box<DealParams>, D::Error> {
        let bytes = hex::decode(String::deserialize(deserializer)?).map_err(de::Error::custom)?;
        from_cbor(&bytes).map(Box::new).map_err(de::Error::custom)
    }
}

mod hex_uuid {
    use crate::codec::DealUuid;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(uuid: &DealUuid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(uuid.0))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DealUuid, D::Error> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(String::deserialize(deserializer)?, &mut bytes).map_err(de::Error::custom)?;
        Ok(DealUuid(bytes))
    }
}
