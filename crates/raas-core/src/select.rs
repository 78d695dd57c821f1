//! Choosing the provider of a new copy: first by what is forbidden, then by a total order without chance.

use crate::units::{AttoFil, Epoch, PaddedSize};
use serde::{Deserialize, Serialize};

/// Why a provider does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "unfit")]
pub enum Unfit {
    /// Not on the allow list, or on the deny list.
    NotAllowed,
    /// Its operator holds a slot of this holding already.
    OperatorInUse,
    /// No ask could be had.
    NoAsk,
    /// The piece is smaller than it takes.
    TooSmall {
        /// Its minimum.
        size_min: PaddedSize,
    },
    /// The piece is larger than it takes.
    TooLarge {
        /// Its maximum.
        size_max: PaddedSize,
    },
    /// It asks more than the policy allows.
    TooDear {
        /// Per GiB and epoch.
        price: AttoFil,
    },
    /// It has as many orders on their way as it takes.
    AtCapacity,
    /// It failed lately.
    BacksOff {
        /// Until when.
        until: Epoch,
    },
}
