//! One upload, from the first byte to a registered job. Nothing is half-registered: an upload that ends in
//! any other way leaves no job, and its bytes are deleted.

use serde::{Deserialize, Serialize};

/// Where an upload stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum State {
    /// Bytes stream in and are hashed on the way.
    Receiving {
        /// So far.
        bytes: u64,
    },
    /// All bytes are there; CID, CAR and commitment are being finished.
    Received {
        /// In all.
        bytes: u64,
    },
    /// The piece is on disk under its commitment.
    Packed {
        /// In all.
        bytes: u64,
    },
    /// A job, or the caller's wish to have none, is stored with it.
    Registered {
        /// In all.
        bytes: u64,
    },
    /// Not taken.
    Refused {
        /// Why.
        reason: Refusal,
    },
}

/// Why an upload is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The stream ended before the announced length or within a frame.
    #[error("the upload was cut off: send it again")]
    Truncated,
    /// The bytes do not have the CID the caller gave.
    #[error("cid: the bytes do not have this CID; check the file and the import profile")]
    CidMismatch,
    /// No room.
    #[error("the disk is full: free space or change the data directory")]
    DiskFull,
    /// Not one byte came.
    #[error(
        "the upload is empty, and a file of nothing needs no keeping: its CID is bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku \
         everywhere, and a deal for it would pay for 128 bytes of padding; send at least one byte"
    )]
    Empty,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// So many bytes more are on disk.
    Bytes(u64),
    /// The stream ended as announced.
    End,
    /// It ended otherwise.
    Truncated,
    /// The computed CID is not the caller's.
    CidMismatch,
    /// A write found no room.
    DiskFull,
    /// The piece is on disk, synced, under its commitment.
    Packed,
    /// The job is stored.
    JobStored,
}

/// What the executor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Finish CID, CAR and commitment.
    Pack,
    /// Store piece and job in one transaction.
    StoreJob,
    /// Delete what was written.
    DeleteBytes,
}

/// Why an event cannot happen in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an upload that is {state} cannot get {event:?}")]
pub struct Illegal {
    /// The state's name.
    pub state: &'static str,
    /// The event.
    pub event: Event,
}

impl State {
    /// Before the first byte.
    pub const START: Self = Self::Receiving { bytes: 0 };

    /// The state's name as the store spells it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Receiving { .. } => "receiving",
            Self::Received { .. } => "received",
            Self::Packed { .. } => "packed",
            Self::Registered { .. } => "registered",
            Self::Refused { .. } => "refused",
        }
    }
}

/// The state after `event`, and what to do then.
pub fn next(state: &State, event: Event) -> Result<(State, Vec<Effect>), Illegal> {
    let refused = |reason| Ok((State::Refused { reason }, vec![Effect::DeleteBytes]));
    match (state, event) {
        (State::Receiving { bytes }, Event::Bytes(more)) => {
            Ok((State::Receiving { bytes: bytes.saturating_add(more) }, Vec::new()))
        }
        (State::Receiving { bytes: 0 }, Event::End) => refused(Refusal::Empty),
        (State::Receiving { bytes }, Event::End) => {
            Ok((State::Received { bytes: *bytes }, vec![Effect::Pack]))
        }
        (State::Receiving { .. }, Event::Truncated) => refused(Refusal::Truncated),
        (State::Receiving { .. } | State::Received { .. }, Event::DiskFull) => refused(Refusal::DiskFull),
        (State::Receiving { .. } | State::Received { .. }, Event::CidMismatch) => {
            refused(Refusal::CidMismatch)
        }
        (State::Received { bytes } | State::Packed { bytes }, Event::Packed) => {
            Ok((State::Packed { bytes: *bytes }, vec![Effect::StoreJob]))
        }
        (State::Packed { bytes } | State::Registered { bytes }, Event::JobStored) => {
            Ok((State::Registered { bytes: *bytes }, Vec::new()))
        }
        _ => Err(Illegal { state: state.name(), event }),
    }
}
